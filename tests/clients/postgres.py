"""Asks as psycopg, SQLAlchemy and pandas do. In: what to do, where, who. Out: JSON lines of what was seen."""

import json
import sys
import threading
import time

import pandas
import psycopg
import sqlalchemy

what, port, user, password = sys.argv[1:5]
more = sys.argv[5:]


def tell(**seen):
    print(json.dumps(seen, default=str))


def connect(**options):
    return psycopg.connect(host="localhost", hostaddr="127.0.0.1", port=port, dbname="nhatle", user=user, password=password,
                           connect_timeout=20, **options)


def units():
    """The units seen by each of the clients, within TLS that is verified."""
    tls = {"sslmode": "verify-full", "sslrootcert": more[0]}
    text = 'SELECT nhatle.unit AS unit, count(*) AS count FROM events GROUP BY 1 ORDER BY 1'
    with connect(**tls) as connection:
        tell(client="psycopg", rows=connection.execute(text).fetchall(),
             named=connection.execute("SELECT count(*) FROM events WHERE nhatle.unit = %s", [more[1]]).fetchone())
    url = sqlalchemy.URL.create("postgresql+psycopg", user, password, "localhost", int(port), "nhatle", query=tls)
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        rows = [list(row) for row in connection.execute(sqlalchemy.text(text))]
        tell(client="sqlalchemy", rows=rows, named=None)
        frame = pandas.read_sql(sqlalchemy.text(text), connection)
        tell(client="pandas", rows=frame.values.tolist(), named=None, types=[str(kind) for kind in frame.dtypes])


def values():
    """Values and parameters, in text and in binary."""
    with connect() as connection:
        for binary in (False, True):
            cursor = connection.cursor(binary=binary)
            cursor.execute('SELECT "@timestamp", nhatle.seq, message, 1.5e0, true, null, count(*) OVER () > 0 FROM events ORDER BY 2 LIMIT 2')
            tell(step="row", binary=binary, row=cursor.fetchone(), oids=[column.type_code for column in cursor.description])
            cursor.execute("SELECT count(*) FROM events WHERE nhatle.seq >= %(b)b AND event.created < %(t)b AND message LIKE %(s)b".replace(")b", ")b" if binary else ")t"),
                           {"b": 0, "t": __import__("datetime").datetime(2030, 1, 1, tzinfo=__import__("datetime").timezone.utc), "s": "%sudo%"})
            tell(step="parameters", binary=binary, row=cursor.fetchone())
            cursor.execute("SELECT typname, oid, typlen, typarray FROM pg_type WHERE oid = ANY(%s) ORDER BY oid", [[16, 25, 1184]])
            tell(step="catalog", binary=binary, rows=cursor.fetchall())
        connection.commit()
        for number in range(12):
            connection.execute("SELECT count(*) FROM events WHERE nhatle.seq > %s", [number], prepare=True)
        connection.commit()
        with connection.cursor(name="of rows") as cursor:
            cursor.itersize = 2
            cursor.execute("SELECT nhatle.seq FROM events ORDER BY 1 LIMIT 3")
            tell(step="cursor", rows=[row[0] for row in cursor])
        with connection.cursor() as cursor, cursor.copy("COPY (SELECT 1 AS a, 'x,y' AS b, NULL AS c) TO STDOUT WITH (FORMAT csv, HEADER)") as copy:
            tell(step="copy", text=b"".join(bytes(part) for part in copy).decode())
        connection.commit()
        try:
            connection.execute("SELECT no_such FROM events")
        except psycopg.Error as error:
            tell(step="error", code=error.sqlstate)
        try:
            connection.execute("SELECT 1")
        except psycopg.Error as error:
            tell(step="aborted", code=error.sqlstate)
        connection.rollback()
        for text in ("DELETE FROM events", "CREATE TABLE t (a int)", "COPY events FROM STDIN"):
            try:
                connection.execute(text)
                tell(step="change", code=None)
            except psycopg.Error as error:
                tell(step="change", code=error.sqlstate)
            connection.rollback()
        # Many statements in one go, then as many at once as a pipeline.
        with connection.pipeline():
            cursors = [connection.execute("SELECT %s::int8", [number]) for number in range(20)]
            tell(step="pipeline", rows=[cursor.fetchone()[0] for cursor in cursors])


def reflect():
    """What SQLAlchemy and pandas find out about the tables."""
    url = sqlalchemy.URL.create("postgresql+psycopg", user, password, "127.0.0.1", int(port), "nhatle")
    engine = sqlalchemy.create_engine(url)
    inspector = sqlalchemy.inspect(engine)
    tell(step="tables", names=inspector.get_table_names(), schemas=inspector.get_schema_names(), views=inspector.get_view_names())
    columns = {column["name"]: str(column["type"]) for column in inspector.get_columns("events")}
    tell(step="columns", some={name: columns.get(name) for name in ("@timestamp", "source.ip", "nhatle.seq")}, count=len(columns))
    tell(step="keys", primary=inspector.get_pk_constraint("events"), foreign=inspector.get_foreign_keys("events"),
         indexes=inspector.get_indexes("events"), comment=inspector.get_table_comment("events"))
    table = sqlalchemy.Table("events", sqlalchemy.MetaData(), autoload_with=engine)
    with engine.connect() as connection:
        query = sqlalchemy.select(table.c["nhatle.seq"], table.c["message"]).where(table.c["nhatle.seq"] >= 0).order_by(table.c["nhatle.seq"]).limit(2)
        tell(step="select", rows=[list(row) for row in connection.execute(query)])
        parts = pandas.read_sql(query, connection.execution_options(stream_results=True), chunksize=1)
        tell(step="parts", lengths=[len(part) for part in parts])
        frame = pandas.read_sql_table("alerts", connection, columns=["@timestamp"])
        tell(step="table", columns=list(frame.columns))


ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"


def limits():
    """A statement that would not end: canceled, and ended by its time."""
    with connect(autocommit=True) as connection:
        connection.execute("SET statement_timeout = '700ms'")
        began = time.monotonic()
        try:
            connection.execute(ENDLESS)
        except psycopg.Error as error:
            tell(step="time", code=error.sqlstate, message=str(error), took=time.monotonic() - began)
        connection.execute("RESET statement_timeout")
        timer = threading.Timer(0.7, connection.cancel)
        timer.start()
        began = time.monotonic()
        try:
            connection.execute(ENDLESS)
        except psycopg.Error as error:
            tell(step="cancel", code=error.sqlstate, message=str(error), took=time.monotonic() - began)
        # One that comes late ends nothing.
        connection.cancel()
        time.sleep(0.3)
        tell(step="after", row=connection.execute("SELECT 40 + 2").fetchone())


{"units": units, "values": values, "reflect": reflect, "limits": limits}[what]()
