#!/usr/bin/env python3
"""What each level of zstd makes of a sealed segment: bytes, seconds of CPU to write and to read (best of three).

    python3 benches/archive_levels.py DATA/segments/0000000000000001-events/rows.parquet

Needs pyarrow. The columns that the segment has in dictionaries keep them; row groups and pages are as ours. Writing is
pyarrow's own, so that only ratios between the levels count. The levels chosen: storage/src/segment/writer.rs, ADR 29.
"""

import os
import sys
import tempfile
import time

import pyarrow.parquet as parquet


def best(work):
    took = []
    for _ in range(3):
        began = time.process_time()
        work()
        took.append(time.process_time() - began)
    return min(took)


def main(path):
    file = parquet.ParquetFile(path)
    table, group = file.read(), file.metadata.row_group(0)
    columns = [group.column(at) for at in range(group.num_columns)]
    dictionaries = [one.path_in_schema for one in columns if any("DICTIONARY" in form for form in one.encodings)]
    print(f"{table.num_rows} rows, {os.path.getsize(path)} bytes as sealed")
    print("| level | bytes | write s | read s |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "rows.parquet")
        for level in (1, 3, 6, 9, 10, 11, 12, 13, 15, 17, 19):
            form = {"compression": "zstd", "compression_level": level, "row_group_size": 65_536}
            form |= {"use_dictionary": dictionaries, "max_rows_per_page": 1024}
            write = best(lambda: parquet.write_table(table, out, **form))
            read = best(lambda: parquet.read_table(out, use_threads=False))
            print(f"| {level} | {os.path.getsize(out)} | {write:.2f} | {read:.3f} |")


if __name__ == "__main__":
    main(sys.argv[1])
