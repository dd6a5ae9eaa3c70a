#!/usr/bin/env python3
"""Grows one store step by step and says at each step what importing, starting, searching, SQL and merging cost,
beside DuckDB and embedded ClickHouse (chdb) over the same rows, and ripgrep over the same lines.

In: the binary, files of lines (read in turn, again from the start when they end), the folder of the store, the steps in
millions of events. Out: one CSV line `events,group,name,value,unit` a figure on standard output; progress on standard error.
Answers are compared before times: a query whose answer differs from DuckDB's over our own Parquet files is told as `DIFFERS`
and has no time. Loopback only; the server is ended by this script. Needs duckdb (and chdb, ripgrep, zstd where they are asked for).

    python3 benches/growth/grow.py --binary target/release/nhatle --store /tmp/store --steps 1,2,4,8 all.log > figures.csv

A store of many days from files of one: `--day 2026-08-01` names the day the files speak of, and each time they are read
again they are moved one day on. What is only compared while it is small: `--lines-max` (ripgrep), `--own-max` (DuckDB's own file, chdb).
"""
import argparse
import atexit
import csv
import datetime
import glob
import http.client
import itertools
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

TURNS = 5
PART = 4_000_000
COLUMNS = {"ts": '"@timestamp"', "ip": '"source.ip"', "who": '"user.name"', "result": '"event.outcome"', "code": '"http.response.status_code"',
           "path": '"url.original"', "text": "message", "seq": '"nhatle.seq"', "host": '"host.name"', "rank": '"log.level"'}


def queries(table, engine, address):
    """Eight questions of a SOC, in the words of each engine: who, how often, what of one address, a word inside text, how many users of an
    address, a histogram, refused pages, a success after failures."""
    c = COLUMNS
    if engine == "clickhouse":
        window = f"toStartOfInterval({c['ts']}, INTERVAL 5 MINUTE)"
    elif engine == "duckdb":
        window = f"time_bucket(INTERVAL '5 minutes', {c['ts']})"
    else:
        window = f"date_bin(INTERVAL '5 minutes', {c['ts']})"
    ten = "INTERVAL 10 MINUTE" if engine == "clickhouse" else "INTERVAL '10 minutes'"
    return {
        "q1 top addresses": f"SELECT {c['ip']} AS a, count(*) AS n FROM {table} WHERE {c['ip']} IS NOT NULL GROUP BY {c['ip']} ORDER BY n DESC, a LIMIT 10",
        "q2 failures by user": f"SELECT {c['who']} AS u, {window} AS w, count(*) AS n FROM {table} WHERE {c['result']} = 'failure' AND {c['who']} IS NOT NULL"
                               f" GROUP BY {c['who']}, {window} HAVING count(*) >= 5 ORDER BY n DESC, u, w LIMIT 20",
        "q3 newest of an address": f"SELECT {c['seq']} AS s, {c['text']} AS t FROM {table} WHERE {c['ip']} = '{address}' ORDER BY {c['ts']} DESC, {c['seq']} DESC LIMIT 100",
        "q4 word inside text": f"SELECT count(*) AS n, min({c['seq']}) AS a, max({c['seq']}) AS b FROM {table} WHERE {c['text']} LIKE '%mimikatz%'",
        "q5 users by address": f"SELECT {c['ip']} AS a, count(DISTINCT {c['who']}) AS n FROM {table} WHERE {c['ip']} IS NOT NULL GROUP BY {c['ip']} ORDER BY n DESC, a LIMIT 10",
        "q6 histogram": f"SELECT {window} AS w, {c['rank']} AS r, count(*) AS n FROM {table} GROUP BY {window}, {c['rank']} ORDER BY n DESC, w, r LIMIT 500",
        "q7 refused pages": f"SELECT {c['path']} AS p, count(*) AS n FROM {table} WHERE {c['code']} >= 400 GROUP BY {c['path']} ORDER BY n DESC, p LIMIT 20",
        "q8 success after failures": f"WITH f AS (SELECT {c['who']} AS u, {c['ip']} AS a, {c['ts']} AS t FROM {table} WHERE {c['result']} = 'failure' AND {c['who']} IS NOT NULL),"
                                     f" s AS (SELECT {c['who']} AS u, {c['ip']} AS a, {c['ts']} AS t FROM {table} WHERE {c['result']} = 'success' AND {c['who']} IS NOT NULL)"
                                     f" SELECT s.u AS u, s.a AS a, count(*) AS n FROM s JOIN f ON s.u = f.u AND s.a = f.a WHERE f.t < s.t AND f.t >= s.t - {ten}"
                                     f" GROUP BY s.u, s.a ORDER BY n DESC, u, a LIMIT 20",
    }


def say(text):
    print(text, file=sys.stderr, flush=True)


class Figures:
    """Where figures go."""

    def __init__(self):
        self.events = 0
        self.lines = csv.writer(sys.stdout, lineterminator="\n")
        self.lines.writerow(["events", "group", "name", "value", "unit"])

    def put(self, group, name, value, unit):
        self.lines.writerow([self.events, group, name, f"{value:.6g}", unit])
        sys.stdout.flush()


def read_in_turn(files, first):
    """Lines of the files, again from the start when they end; then a day on, where the day they speak of is told: dates with and without
    a year, and FortiGate's moments."""
    for days in itertools.count():
        dates = [[of.strftime(form).format(of.day).encode() for of in (first, first + datetime.timedelta(days))]
                 for form in ("%Y-%m-%d", "%b {:2}", "%d/%b/%Y")] if first and days else []
        for path in files:
            with open(path, "rb") as file:
                for line in file:
                    for old, new in dates:
                        line = line.replace(old, new)
                    if dates and b"eventtime=" in line:
                        line = re.sub(rb"eventtime=(\d{10})", lambda found: b"eventtime=%d" % (int(found[1]) + 86400 * days), line)
                    yield line


def run(command):
    """Runs it; gives seconds, CPU seconds, peak MiB, its output."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read().decode()
    if child.returncode != 0:
        raise SystemExit(f"{command[:2]} ended with {child.returncode}: {text}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, text


def bytes_below(pattern):
    return sum(os.path.getsize(path) for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))


class Server:
    """`nhatle serve` over the store, without rules."""

    def __init__(self, binary, store):
        config = os.path.join(store, "..", "grow.toml")
        with open(config, "w", encoding="utf-8") as file:
            file.write("[rules]\nbuiltin = false\npaths = []\n[canary]\nenabled = false\n")
        began = time.monotonic()
        self.child = subprocess.Popen(
            [binary, "serve", "--config", config, "--data", store, "--http", "127.0.0.1:0", "--syslog-udp", "127.0.0.1:0", "--syslog-tcp", "127.0.0.1:0"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.child.stdout:
            if line.startswith("ready"):
                self.host = next(word for word in line.split() if word.startswith("http=")).removeprefix("http=").strip()
                break
        else:
            raise SystemExit("the server did not come up")
        self.ready_s = time.monotonic() - began
        atexit.register(self.child.kill)

    def ask(self, method, path, token, body=None):
        """Status, body, seconds to the first byte of the body, seconds to its end."""
        connection = http.client.HTTPConnection(self.host, timeout=600)
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        start = answer.read(1)
        first = time.monotonic() - began
        data = start + answer.read()
        return answer.status, data, first, time.monotonic() - began

    def metric(self, name):
        text = self.ask("GET", "/metrics", "")[1].decode()
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ")), float("nan"))

    def memory(self, key):
        with open(f"/proc/{self.child.pid}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith(key))

    def stop(self):
        self.child.terminate()
        self.child.wait(120)


def rows(value):
    """Rows as text that is the same for every engine."""
    def cell(one):
        if one is None:
            return ""
        if isinstance(one, float) and one == int(one):
            return str(int(one))
        text = str(one)
        return text.replace("T", " ").replace("+00:00", "").removesuffix("Z").split(".")[0] if text[:3] == "202" and ":" in text else text
    return [[cell(one) for one in row] for row in value]


def of_ours(data):
    answer = json.loads(data)
    names = [column["name"] if isinstance(column, dict) else column for column in answer["columns"]]
    return [[row[name] for name in names] if isinstance(row, dict) else row for row in answer["rows"]]


def median_ms(ask, turns=TURNS):
    """The median of so many turns; of two where one takes longer than five seconds."""
    took = []
    for _ in range(turns):
        began = time.monotonic()
        ask()
        took.append((time.monotonic() - began) * 1e3)
        if len(took) == 2 and min(took) > 5e3:
            break
    return statistics.median(took)


def searches(server, token, address, figures):
    kinds = {
        "rare word": "mimikatz", "an address": f"source.ip:{address}", "common word": "failed", "phrase": '"failed password"',
        "wildcard": "process.executable:*\\\\cmd.exe", "nothing": "nosuchwordatall", "everything": "*",
    }
    for name, line in kinds.items():
        path = f"/api/v1/search?q={urllib.parse.quote(line)}&limit=100"
        server.ask("GET", path, token)
        took = [server.ask("GET", path, token) for _ in range(TURNS)]
        if took[0][0] != 200:
            say(f"search {name}: {took[0][:2]}")
            continue
        figures.put("search", f"{name}: newest 100", statistics.median(one[3] for one in took) * 1e3, "ms")
        figures.put("search", f"{name}: hits", json.loads(took[0][1])["total"], "events")
        path = f"/api/v1/search/stream?q={urllib.parse.quote(line)}&limit=100&buckets=60"
        took = [server.ask("GET", path, token) for _ in range(TURNS)]
        figures.put("search", f"{name}: first rows of the stream", statistics.median(one[2] for one in took) * 1e3, "ms")
        figures.put("search", f"{name}: whole stream with histogram", statistics.median(one[3] for one in took) * 1e3, "ms")


def sql(server, token, address, store, figures, has_own, with_chdb):
    import duckdb
    files = glob.glob(os.path.join(store, "segments", "*-events", "rows.parquet"))
    own = os.path.join(os.path.dirname(os.path.abspath(store)), "peer.duckdb")
    for path in (own, own + ".wal"):
        if os.path.exists(path):
            os.remove(path)
    duck = duckdb.connect(own)
    duck.execute("SET threads = 2")
    duck.execute("SET TimeZone = 'UTC'")
    used = ", ".join(COLUMNS.values())
    table = f"read_parquet({files!r})"
    if has_own:
        seconds = median_ms(lambda: duck.execute(f"CREATE OR REPLACE TABLE ev AS SELECT {used} FROM {table}"), 1)
        figures.put("sql", "DuckDB: loading ten columns into its own file", seconds, "ms")
        duck.execute("CHECKPOINT")
    click = None
    if with_chdb:
        from chdb import session
        folder = os.path.join(os.path.dirname(os.path.abspath(store)), "chdb")
        shutil.rmtree(folder, ignore_errors=True)
        click = session.Session(folder)
        pattern = os.path.join(os.path.abspath(store), "segments", "*-events", "rows.parquet")
        click.query("CREATE DATABASE d ENGINE = Atomic")
        click.query(f"CREATE TABLE d.ev ENGINE = MergeTree ORDER BY ({COLUMNS['ts']}, {COLUMNS['seq']}) AS SELECT {used} FROM file('{pattern}', Parquet)")
    ratios = {"DuckDB's own file": [], "DuckDB over our files": [], "ClickHouse (chdb)": []}
    for name, ours in queries("events", "datafusion", address).items():
        body = json.dumps({"query": ours})
        status, data, _, _ = server.ask("POST", "/api/v1/sql", token, body)
        if status != 200:
            say(f"{name}: {status} {data[:300]!r}")
            figures.put("sql", f"{name}: REFUSED", status, "status")
            continue
        over_files = queries(table, "duckdb", address)[name]
        theirs = queries("ev", "duckdb", address)[name] if has_own else over_files
        expected = rows(duck.execute(theirs).fetchall())
        if rows(of_ours(data)) != expected:
            say(f"{name}: DIFFERS\n  ours   {rows(of_ours(data))[:3]}\n  DuckDB {expected[:3]}")
            figures.put("sql", f"{name}: DIFFERS", len(expected), "rows")
            continue
        mine = median_ms(lambda: server.ask("POST", "/api/v1/sql", token, body))
        figures.put("sql", f"{name}: nhatle over HTTP", mine, "ms")
        peers = {"DuckDB over our files": lambda: duck.execute(over_files).fetchall()}
        if has_own:
            peers["DuckDB's own file"] = lambda: duck.execute(theirs).fetchall()
        if click:
            peers["ClickHouse (chdb)"] = lambda: click.query(queries("d.ev", "clickhouse", address)[name] + " SETTINGS max_threads = 2", "JSONCompactEachRow")
        for peer, ask in peers.items():
            ask()
            its = median_ms(ask)
            figures.put("sql", f"{name}: {peer}", its, "ms")
            ratios[peer].append(mine / its)
    for peer, of in ratios.items():
        if of:
            figures.put("sql", f"geometric mean of {len(of)}: ours by {peer}", statistics.geometric_mean(of), "ratio")
    duck.close()
    if has_own:
        figures.put("bytes", "DuckDB's own file, ten columns", os.path.getsize(own) / figures.events, "bytes/event")


def scans(lines, figures):
    """ripgrep over the lines as they came and over zstd of them: what a search without an index costs."""
    took, _, _, out = run(["sh", "-c", f"rg -c mimikatz {lines} || true"])
    figures.put("scan", "ripgrep, a rare word in plain lines", min([took] + [run(['sh', '-c', f'rg -c mimikatz {lines} || true'])[0] for _ in range(4)]) * 1e3, "ms")
    figures.put("scan", "ripgrep: lines found", float(out.strip() or 0), "lines")


def grow(options, until, lines, everything, figures):
    """Imports until the store has so many events, a part after the other, as one would day by day."""
    part = os.path.join(options.store, "..", "part.log")
    begun, wall, busy, most = figures.events, 0.0, 0.0, 0.0
    while figures.events < until:
        more = min(until - figures.events, PART)
        with open(part, "wb") as file:
            file.writelines(itertools.islice(lines, more))
        if everything:
            with open(everything, "ab") as whole, open(part, "rb") as file:
                shutil.copyfileobj(file, whole)
        figures.events += more
        say(f"{figures.events} events: importing {more}")
        took, cpu, peak, out = run([options.binary, "import", "--data", options.store, part])
        counted = json.loads(out.strip().splitlines()[-1])
        if counted["stored"] + counted["dead_lettered"] != more:
            raise SystemExit(f"not all arrived: {counted}")
        wall, busy, most = wall + took, busy + cpu, max(most, peak)
    os.remove(part)
    more = until - begun
    figures.put("import", "wall", wall * 1e6 / more, "us/event")
    figures.put("import", "CPU", busy * 1e6 / more, "us/event")
    figures.put("import", "events a second", more / wall, "events/s")
    figures.put("import", "peak memory", most, "MiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--steps", default="1,2,4")
    parser.add_argument("--address", default="", help="an address that occurs now and then; the 50th by number of events if none is given")
    parser.add_argument("--merge-seconds", type=float, default=120, help="how long to wait at each step for merging")
    parser.add_argument("--chdb", action="store_true")
    parser.add_argument("--day", type=datetime.date.fromisoformat, help="the day the files speak of: each further round of them is a day later")
    parser.add_argument("--lines-max", type=float, default=8, help="millions of lines that are kept for ripgrep")
    parser.add_argument("--own-max", type=float, default=40, help="millions of events that are also loaded into DuckDB's own file and chdb")
    parser.add_argument("--floor", action="store_true", help="bytes of the last step's lines under zstd -19")
    options = parser.parse_args()
    shutil.rmtree(options.store, ignore_errors=True)
    os.makedirs(options.store)
    figures = Figures()
    lines = read_in_turn(options.files, options.day)
    everything = os.path.join(options.store, "..", "grown.log")
    open(everything, "wb").close()
    token = None
    for step in [float(word) for word in options.steps.split(",")]:
        is_small = step <= options.lines_max
        grow(options, int(step * 1e6), lines, everything if is_small else None, figures)
        if token is None:
            token = run([options.binary, "token", "add", "grow", "--role", "analyst", "--data", options.store])[3].strip()
        server = Server(options.binary, options.store)
        figures.put("start", "until ready", server.ready_s, "s")
        figures.put("start", "segments when it starts", len(glob.glob(os.path.join(options.store, "segments", "*"))), "segments")
        began, last, still = time.monotonic(), -1.0, 0
        while still < 8 and time.monotonic() - began < options.merge_seconds:
            time.sleep(1)
            now = server.metric("nhatle_merges_total")
            still, last = (still + 1, last) if now == last else (0, now)
        figures.put("merge", "merges", server.metric("nhatle_merges_total"), "merges")
        figures.put("merge", "time", server.metric("nhatle_merge_nanoseconds_total") / 1e9, "s")
        figures.put("merge", "segments after", len(glob.glob(os.path.join(options.store, "segments", "*"))), "segments")
        figures.put("merge", "peak memory", server.memory("VmHWM"), "MiB")
        server.stop()
        server = Server(options.binary, options.store)
        figures.put("start", "memory when ready", server.memory("VmRSS"), "MiB")
        for name, pattern in (("rows", "*/rows.parquet"), ("words", "*/words.index")):
            figures.put("bytes", name, bytes_below(os.path.join(options.store, "segments", pattern)) / figures.events, "bytes/event")
        if is_small:
            figures.put("bytes", "lines as they came", os.path.getsize(everything) / figures.events, "bytes/event")
        address = options.address
        if not address:
            body = json.dumps({"query": "SELECT \"source.ip\" AS a, count(*) AS n FROM events WHERE \"source.ip\" IS NOT NULL GROUP BY \"source.ip\" ORDER BY n DESC, a LIMIT 50"})
            address = of_ours(server.ask("POST", "/api/v1/sql", token, body)[1])[-1][0]
        searches(server, token, address, figures)
        is_own = step <= options.own_max
        sql(server, token, address, options.store, figures, is_own, options.chdb and is_own)
        figures.put("memory", "server after searches and SQL, peak", server.memory("VmHWM"), "MiB")
        server.stop()
        if is_small:
            scans(everything, figures)
    if options.floor:
        took, _, _, out = run(["sh", "-c", f"zstd -19 -T2 -c {everything} | wc -c"])
        figures.put("bytes", "zstd -19 of the lines", int(out) / figures.events, "bytes/event")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
