"""Logs numbered messages through the OpenTelemetry SDK, in batches over OTLP/HTTP; a batch that failed goes again.

In: the server's port, a token, how many.
"""
import logging
import sys
import time

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult
from opentelemetry.sdk.resources import Resource

port, token, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
logging.disable(logging.CRITICAL)


class Patient(OTLPLogExporter):
    """The SDK drops a batch whose export failed for good; this one asks again."""

    def export(self, batch):
        while True:
            result = super().export(batch)
            if result is LogRecordExportResult.SUCCESS:
                return result
            time.sleep(0.05)


exporter = Patient(f"http://127.0.0.1:{port}/v1/logs", headers={"Authorization": f"Bearer {token}"}, timeout=2)
provider = LoggerProvider(Resource.create({"host.name": "may-01"}))
provider.add_log_record_processor(
    BatchLogRecordProcessor(exporter, max_queue_size=count, max_export_batch_size=100, schedule_delay_millis=10)
)
logger = provider.get_logger("sender")
for number in range(count):
    now = time.time_ns()
    logger.emit(LogRecord(timestamp=now, severity_number=SeverityNumber.INFO, body=f"dong{number:05}"))
assert provider.force_flush(120_000)
provider.shutdown()
