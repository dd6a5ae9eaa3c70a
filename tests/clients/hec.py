"""Logs numbered messages through splunk-hec-handler; one that was not answered is logged again.

In: the server's port, a token, how many.
"""
import logging
import sys
import time

import requests
from splunk_hec_handler import SplunkHecHandler

port, token, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
handler = SplunkHecHandler("127.0.0.1", token, port=port, proto="http", source="sender", hostname="may-01")
logger = logging.getLogger("sender")
logger.propagate = False
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for number in range(count):
    while True:
        try:
            logger.info(f"dong{number:05}")
            break
        except requests.exceptions.RequestException:
            time.sleep(0.05)
