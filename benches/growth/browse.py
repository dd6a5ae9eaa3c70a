#!/usr/bin/env python3
"""Asks the search page of a running server in headless Chromium, as an analyst does, and says how long each answer took.

In: the address of the server, an account that may search, a span of time, and lines of the search language (usual ones where none are
given). Out: one CSV line `line,turn,name,value,unit` a figure on standard output: from the request to the last byte of the page with its
first rows, until the page was drawn, how many rows it has, until the search came to its end, and how far the page moved by itself
(layout shift, no unit). At last a search is stopped by its button, and the page is compared with itself two seconds later. Needs
Chromium and chromedriver. Loopback only.

    python3 benches/growth/browse.py --user xem --password … --from 2026-05-01T00:00:00Z --to 2026-07-01T00:00:00Z http://127.0.0.1:8080
"""
import argparse
import csv
import json
import subprocess
import sys
import time
import urllib.parse
import urllib.request

LINES = ["*", "failed", '"failed password"', "user.name:root", "mimikatz", "message:*sqlm*", "nosuchwordatall"]
TURNS = 3
# A search that takes longer is left alone.
END_SECONDS_MAX = 40
TIMES = """const page = performance.getEntriesByType('navigation')[0];
const paint = performance.getEntriesByType('paint').find(one => one.name === 'first-contentful-paint');
return [page.responseEnd - page.requestStart, paint ? paint.startTime : null, document.querySelectorAll('table.hits tbody tr').length];"""
IS_OVER = """const stop = document.querySelector('[data-stop]');
return !document.querySelector('[data-parts]') || !stop || stop.disabled;"""
SHIFT = """return new Promise(done => { let sum = 0;
new PerformanceObserver(list => { for (const one of list.getEntries()) sum += one.value; }).observe({ type: 'layout-shift', buffered: true });
setTimeout(() => done(sum), 200); });"""
SHOWN = "return [document.querySelector('.progress')?.innerText, document.querySelector('[data-total]')?.textContent, document.querySelectorAll('table.hits tbody tr').length];"


class Browser:
    """Chromium behind chromedriver, by the WebDriver protocol."""

    def __init__(self, port):
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.root = f"http://127.0.0.1:{port}"
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1366,768", "--lang=vi"]}
        for _ in range(50):
            try:
                answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit("chromedriver did not come up")
        self.session = f"/session/{answer['sessionId']}"

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.root + path, method=method, data=data, headers={"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=120))["value"]

    def open(self, address):
        self.call("POST", f"{self.session}/url", {"url": address})

    def run(self, script):
        return self.call("POST", f"{self.session}/execute/sync", {"script": script, "args": []})

    def element(self, selector):
        return next(iter(self.call("POST", f"{self.session}/element", {"using": "css selector", "value": selector}).values()))

    def fill(self, selector, text):
        self.call("POST", f"{self.session}/element/{self.element(selector)}/value", {"text": text})

    def click(self, selector):
        self.call("POST", f"{self.session}/element/{self.element(selector)}/click", {})

    def end(self):
        self.call("DELETE", self.session)
        self.driver.terminate()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server")
    parser.add_argument("lines", nargs="*", default=LINES)
    for name in ("user", "password", "from", "to"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--port", type=int, default=19515)
    options = parser.parse_args()
    span = {"from": getattr(options, "from"), "to": options.to}
    browser = Browser(options.port)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["line", "turn", "name", "value", "unit"])

    def ask(line):
        browser.open(f"{options.server}/search?" + urllib.parse.urlencode({"q": line, **span}))

    browser.open(f"{options.server}/login")
    browser.fill("#user", options.user)
    browser.fill("#password", options.password)
    browser.click("form.stack button")
    for line in options.lines:
        for turn in range(1, TURNS + 1):
            began = time.monotonic()
            ask(line)
            answered, drawn, rows = browser.run(TIMES)
            while not browser.run(IS_OVER) and time.monotonic() - began < END_SECONDS_MAX:
                time.sleep(0.1)
            whole = time.monotonic() - began
            for name, value, unit in (("first rows", answered, "ms"), ("drawn", drawn, "ms"), ("rows", rows, "rows"), ("to the end", whole * 1e3, "ms")):
                out.writerow([line, turn, name, "" if value is None else round(value, 1), unit])
            out.writerow([line, turn, "layout shift", round(browser.run(SHIFT), 4), ""])
            sys.stdout.flush()
    ask("message:*sqlm*")
    time.sleep(0.5)
    browser.click("[data-stop]")
    time.sleep(0.3)
    before = browser.run(SHOWN)
    time.sleep(2)
    out.writerow(["message:*sqlm*", 1, "stopped", "stands still" if browser.run(SHOWN) == before else "MOVED", before[0] or ""])
    browser.end()


if __name__ == "__main__":
    main()
