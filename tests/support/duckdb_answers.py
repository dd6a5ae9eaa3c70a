"""Answers of DuckDB: reads {"query": ...} a line, writes {"rows": [[...]]} a line. Tables are Parquet files, by argument name=file."""
import datetime, decimal, json, sys
import duckdb

con = duckdb.connect()
for pair in sys.argv[1:]:
    name, file = pair.split("=", 1)
    # Moments without a zone: what has one asks for an extension.
    moment = 'REPLACE (make_timestamp(epoch_ns("@timestamp") // 1000) AS "@timestamp")' if name == "events" else ""
    con.execute(f"CREATE TABLE {name} AS SELECT * {moment} FROM read_parquet('{file}')")


def plain(value):
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat()
    return value


for line in sys.stdin:
    query = json.loads(line)["query"]
    try:
        rows = [[plain(value) for value in row] for row in con.execute(query).fetchall()]
        print(json.dumps({"rows": rows}), flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error)}), flush=True)
