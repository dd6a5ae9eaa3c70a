"""The bytes as received, made again from rows.parquet as docs/format/segment.md describes it, with nothing of ours: DuckDB reads the file.

In: files, by argument. Out: a line {"seq": ..., "outlined": ..., "original": hex} for each row."""
import json, re, sys
import duckdb

PIECE = re.compile("\x01([^\x02]*)\x02")
SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


def in_json(text):
    return "".join(SHORT.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text)


def original(row):
    outline, rest = row["nhatle.original.outline"], row["nhatle.original.rest"] or b""
    if outline is None:
        return row["event.original"]
    out, plain_from = b"", 0
    for piece in PIECE.finditer(outline):
        out += outline[plain_from:piece.start()].encode()
        plain_from, name = piece.end(), piece.group(1)
        if name == "":
            length = shift = 0
            while True:
                byte, rest = rest[0], rest[1:]
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            out, rest = out + rest[:length], rest[length:]
        elif name[0] == '"':
            out += in_json(str(row[name[1:]])).encode()
        else:
            out += str(row[name]).encode()
    assert rest == b""
    return out + outline[plain_from:].encode()


for file in sys.argv[1:]:
    # Moments with a zone ask for an extension.
    table = duckdb.connect().execute("SELECT * EXCLUDE (\"@timestamp\", \"event.created\", \"event.ingested\") FROM read_parquet(?)", [file])
    names = [column[0] for column in table.description]
    for values in table.fetchall():
        row = dict(zip(names, values))
        outlined = row["nhatle.original.outline"] is not None
        print(json.dumps({"seq": row["nhatle.seq"], "outlined": outlined, "original": original(row).hex()}))
