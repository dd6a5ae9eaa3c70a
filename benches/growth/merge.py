#!/usr/bin/env python3
"""What merging costs: the segments of an import are merged by a server, while a sender sends to it and waits for each answer.

In: the binary, a file of lines, the folder of the store (made anew), how many lines. Out: lines `name,value,unit`: processor time of the
thread that merges for each event merged, memory of the server before and at most, bytes of segments before and after, and how long the
sender waited for an answer while it merged and when it had ended. Linux only (/proc); loopback only; the server is ended by this script.

    python3 benches/growth/merge.py --binary target/release/nhatle --store /tmp/store --lines 1000000 all.log
"""
import argparse
import glob
import http.client
import itertools
import json
import os
import shutil
import threading
import time

import grow


def merging_s(pid):
    """Processor time of the thread that merges."""
    for task in glob.glob(f"/proc/{pid}/task/*/stat"):
        with open(task, encoding="utf-8") as file:
            name, rest = file.read().split(")", 1)
        if name.endswith("(tend"):
            user, system = rest.split()[11:13]
            return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    raise SystemExit("no thread merges")


class Sender(threading.Thread):
    """Sends a line, waits for the answer (which comes when it is durable), and again: few, so that they are no part of what is merged."""

    def __init__(self, host, token, lines):
        super().__init__(daemon=True)
        self.host, self.token, self.lines, self.waits, self.is_over = host, token, lines, [], False

    def run(self):
        connection = http.client.HTTPConnection(self.host, timeout=600)
        headers = {"Authorization": f"Bearer {self.token}"}
        for at in itertools.count():
            if self.is_over:
                return
            body = json.dumps({"message": self.lines[at % len(self.lines)]}) + "\n"
            began = time.monotonic()
            connection.request("POST", "/api/v1/events", body.encode(), headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"sent, answered {answer.status}")
            self.waits.append((began, time.monotonic() - began))
            time.sleep(0.1)


def waits(of, begin, end):
    of = sorted(wait for began, wait in of if begin <= began < end)
    return of[len(of) // 2] * 1e3, of[len(of) * 99 // 100] * 1e3, of[-1] * 1e3, len(of)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--binary", required=True)
    parser.add_argument("--store", required=True)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seconds-max", type=float, default=900)
    options = parser.parse_args()
    shutil.rmtree(options.store, ignore_errors=True)
    os.makedirs(options.store)
    part = os.path.join(options.store, "..", "merge-part.log")
    with open(options.file, "rb") as file, open(part, "wb") as to:
        to.writelines(itertools.islice(itertools.cycle(file.readlines()), options.lines))
    with open(part, "rb") as file:
        lines = [line.decode(errors="replace").strip() for line in itertools.islice(file, 5_000)]
    grow.run([options.binary, "import", "--data", options.store, part])
    os.remove(part)
    token = grow.run([options.binary, "token", "add", "push", "--role", "ingest", "--data", options.store])[3].strip()
    folders = set(glob.glob(os.path.join(options.store, "segments", "*-events")))
    sizes = sum(grow.bytes_below(os.path.join(folder, "*")) for folder in folders)
    server = grow.Server(options.binary, options.store)
    before, memory, began = merging_s(server.child.pid), server.memory("VmRSS"), time.monotonic()
    sender = Sender(server.host, token, lines)
    sender.start()
    while time.monotonic() - began < options.seconds_max and any(os.path.isdir(folder) for folder in folders):
        time.sleep(0.5)
    changed, merges = time.monotonic(), server.metric("nhatle_merges_total")
    used, most = merging_s(server.child.pid) - before, server.memory("VmHWM")
    left = set(glob.glob(os.path.join(options.store, "segments", "*-events")))
    bytes_after = sum(grow.bytes_below(os.path.join(folder, "*")) for folder in left - folders)
    time.sleep(30)
    sender.is_over = True
    sender.join()
    server.stop()
    print("merges", f"{merges:.0f}", f"of {len(folders)} segments, {len(folders & left)} left", sep=",")
    print("lines", options.lines, "lines", sep=",")
    print("processor time", f"{used / options.lines * 1e6:.2f}", "us/event", sep=",")
    print("until merged", f"{changed - began:.0f}", "s", sep=",")
    print("memory before", f"{memory:.0f}", "MiB", sep=",")
    print("memory at most", f"{most:.0f}", "MiB", sep=",")
    print("bytes before", f"{sizes / options.lines:.1f}", "bytes/event", sep=",")
    print("bytes after", f"{bytes_after / options.lines:.1f}", "bytes/event", sep=",")
    for name, begin, end in (("while merging", began, changed), ("afterwards", changed + 5, time.monotonic())):
        median, late, longest, count = waits(sender.waits, begin, end)
        print(f"answer {name}", f"{median:.1f}/{late:.1f}/{longest:.1f}", f"ms (median/p99/longest of {count})", sep=",")


if __name__ == "__main__":
    main()
