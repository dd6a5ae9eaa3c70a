#!/usr/bin/env python3
"""Draws `figures.csv` (from grow.py) as small line charts: one SVG a group, events on a logarithmic axis. Standard library only.

    python3 benches/growth/plot.py benches/growth/figures.csv benches/growth
"""
import csv
import html
import math
import os
import sys

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 860, 340, 70, 40, 330, 45
# What is counted and not measured: no chart.
COUNTED = {"events", "lines", "segments", "merges"}
INKS = ["#0b6e99", "#c4432b", "#3a7d34", "#7a4fa3", "#b07a00", "#444444", "#d0708e", "#1d9a8a"]


def charts(rows):
    """Figures by (group, unit): name -> [(events, value)]; only names with two points or more."""
    found = {}
    for row in rows:
        series = found.setdefault((row["group"], row["unit"]), {})
        series.setdefault(row["name"], []).append((float(row["events"]), float(row["value"])))
    for key, series in found.items():
        kept = {name: sorted(points) for name, points in series.items() if len(points) > 1}
        if any(y for points in kept.values() for _, y in points) and key[1] not in COUNTED:
            yield key, kept


def short(value):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def draw(group, unit, series):
    """One chart. Times and counts that spread over more than two powers of ten stand on a logarithmic axis."""
    xs = sorted({x for points in series.values() for x, _ in points})
    ys = [y for points in series.values() for _, y in points if not math.isnan(y)]
    low, high = min(ys), max(ys)
    is_log = low > 0 and high / low > 100
    floor = 10 ** math.floor(math.log10(low)) if is_log else 0.0
    top = 10 ** math.ceil(math.log10(high)) if is_log else high * 1.1 or 1.0
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def across(x):
        span = math.log(xs[-1] / xs[0])
        return LEFT + wide * (math.log(x / xs[0]) / span if span else 0.5)

    def up(y):
        part = math.log(max(y, floor) / floor) / math.log(top / floor) if is_log else y / top
        return TOP + tall * (1 - part)

    whole = max(HEIGHT, TOP + 14 * len(series) + 10)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {whole}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{whole}" fill="white"/>',
           f'<text x="{LEFT}" y="20" font-size="15">{html.escape(group)}, {html.escape(unit)}{" (logarithmic)" if is_log else ""}</text>']
    marks = [floor * 10 ** step for step in range(round(math.log10(top / floor)) + 1)] if is_log else [top * step / 4 for step in range(5)]
    for mark in marks:
        out.append(f'<line x1="{LEFT}" x2="{LEFT + wide}" y1="{up(mark):.1f}" y2="{up(mark):.1f}" stroke="#ddd"/>')
        out.append(f'<text x="{LEFT - 6}" y="{up(mark) + 4:.1f}" text-anchor="end">{short(float(f"{mark:.3g}"))}</text>')
    last = -math.inf
    for x in xs:
        # Not where it would stand in the one before.
        if across(x) - last > 38:
            last = across(x)
            out.append(f'<text x="{last:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{short(x)}</text>')
    out.append(f'<text x="{LEFT + wide / 2}" y="{HEIGHT - 8}" text-anchor="middle">events in the store</text>')
    for place, (name, points) in enumerate(series.items()):
        ink = INKS[place % len(INKS)]
        dash = "" if place < len(INKS) else ' stroke-dasharray="5 3"'
        line = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points if not math.isnan(y))
        out.append(f'<polyline points="{line}" fill="none" stroke="{ink}" stroke-width="2"{dash}/>')
        out.extend(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="3" fill="{ink}"/>' for x, y in points if not math.isnan(y))
        y = TOP + 14 * place
        out.append(f'<line x1="{WIDTH - RIGHT + 10}" x2="{WIDTH - RIGHT + 28}" y1="{y}" y2="{y}" stroke="{ink}" stroke-width="2"{dash}/>')
        out.append(f'<text x="{WIDTH - RIGHT + 32}" y="{y + 4}" font-size="10">{html.escape(name)}</text>')
    out.append("</svg>")
    return "\n".join(out) + "\n"


def main():
    source, folder = sys.argv[1:3]
    with open(source, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for (group, unit), series in charts(rows):
        name = f"{group}-{unit}".replace("/", "-by-").replace(" ", "-")
        with open(os.path.join(folder, f"{name}.svg"), "w", encoding="utf-8") as file:
            file.write(draw(group, unit, series))


if __name__ == "__main__":
    main()
