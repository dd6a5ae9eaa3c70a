#!/usr/bin/env python3
"""Checks an evidence package of nhatle from docs/format/proof.md alone: the standard library, nothing of nhatle.

    python3 check.py [--key KEY_OR_FILE] [--timestamp-ca FILE] PACKAGE.tar
    python3 check.py [--key KEY_OR_FILE] [--timestamp-ca FILE] --store FOLDER [--head FILE]

Of a time-stamp (RFC 3161) it compares what the stamp is of; with --timestamp-ca (certificates in PEM) it has openssl check
the signature too, where there is one. The second form checks the proof of a store's folder: log, tree, heads, the segments' files and the register against it.
Exit code: 0 all of it holds, 1 something does not (one line each), 2 wrong arguments.
"""

import base64
import calendar
import hashlib
import ipaddress
import json
import os
import sqlite3
import struct
import subprocess
import sys
import tarfile
import tempfile
import time

findings = []
stamp_authorities = None


def find(where, what):
    findings.append((where, what))
    print(f"damage: {where}: {what}")


# --- Ed25519 (RFC 8032, section 5.1.7), verification only -----------------------------------------------------------

P = 2**255 - 19
Q = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)


def point_add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_mul(s, p):
    q = (0, 1, 1, 0)
    while s > 0:
        if s & 1:
            q = point_add(q, p)
        p = point_add(p, p)
        s >>= 1
    return q


def point_equal(p, q):
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if x2 == 0:
        return None if sign else 0
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P != 0:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - x2) % P != 0:
        return None
    return P - x if (x & 1) != sign else x


def decompress(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE = decompress((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_verify(public, message, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    a, r = decompress(public), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= Q:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % Q
    return point_equal(point_mul(s, BASE), point_add(r, point_mul(h, a)))


# --- Time-stamps (RFC 3161, section 2.4) ----------------------------------------------------------------------------


def der(raw):
    """The values of DER that stand one behind the other: (tag, content)."""
    values, at = [], 0
    while at < len(raw):
        tag, length, at = raw[at], raw[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length, at = int.from_bytes(raw[at : at + count], "big"), at + count
        if len(raw) < at + length:
            raise ValueError("a value longer than what is there")
        values.append((tag, raw[at : at + length]))
        at += length
    return values


def imprint_of(value):
    """The hash of a MessageImprint that names SHA-256."""
    (_, algorithm), (_, hashed) = der(value)
    if der(algorithm)[0][1] != bytes.fromhex("608648016503040201"):
        raise ValueError("another hash than SHA-256")
    return hashed


def check_stamp(where, head, request, answer):
    try:
        asked = der(der(request)[0][1])
        token = der(der(answer)[0][1])[1][1]
        signed = der(der(der(token)[1][1])[0][1])
        content = der(der(signed[2][1])[1][1])[0][1]
        info = der(der(content)[0][1])
        hashes = {imprint_of(asked[1][1]), imprint_of(info[2][1]), hashlib.sha256(head).digest()}
        numbers = {value for tag, value in asked[2:] + info[5:] if tag == 2}
        at = info[4][1].decode()
        seconds = calendar.timegm(time.strptime(at[:14], "%Y%m%d%H%M%S"))
    except (ValueError, IndexError, TypeError) as error:
        return find(where, f"no time-stamp: {error}")
    if len(hashes) != 1:
        find(where, "the time-stamp is of other bytes than those of the head")
    if len(numbers) != 1:
        find(where, "the time-stamp answers another request")
    print(f"time-stamp: existed at or before {at}" + ("" if stamp_authorities else "; its signature was not looked at: give --timestamp-ca"))
    if not stamp_authorities:
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("head.tsq", "head.tsr")]
        for path, raw in zip(paths, (request, answer)):
            with open(path, "wb") as file:
                file.write(raw)
        command = ["openssl", "ts", "-verify", "-attime", str(seconds), "-CAfile", stamp_authorities, "-queryfile", paths[0], "-in", paths[1]]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        except OSError:
            return print("skipped: no openssl, the signature of the time-stamp was not looked at")
    if done.returncode != 0:
        find(where, f"openssl does not take it: {done.stdout.decode(errors='replace').strip()}")


# --- Trees (RFC 6962, section 2.1) ----------------------------------------------------------------------------------


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def tree_root(leaves):
    if not leaves:
        return hashlib.sha256(b"").digest()
    while len(leaves) > 1:
        pairs = [node_hash(*leaves[at : at + 2]) for at in range(0, len(leaves) - 1, 2)]
        leaves = pairs + ([leaves[-1]] if len(leaves) % 2 else [])
    return leaves[0]


def root_by_path(leaf, index, size, path):
    """The root that a leaf's hash and its path come to; None where the path is not of the right length."""
    if not 0 <= index < size:
        return None
    at, last, root = index, size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if at & 1 or at == last:
            root = node_hash(step, root)
            while at & 1 == 0 and at != 0:
                at, last = at >> 1, last >> 1
        else:
            root = node_hash(root, step)
        at, last = at >> 1, last >> 1
    return root if last == 0 else None


# --- Signed notes and heads -----------------------------------------------------------------------------------------


def parse_key(text):
    name, number, rest = text.strip().split("+", 2)
    raw = base64.b64decode(rest, validate=True)
    if len(raw) != 33 or raw[0] != 1:
        raise ValueError("not an Ed25519 key for notes")
    if hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() != number:
        raise ValueError("its number is not that of its name and key")
    return name, bytes.fromhex(number), raw[1:]


def note_text(note, key):
    """The signed text of a note, or None where this key did not sign it."""
    at = note.rfind("\n\n")
    if at < 0:
        return None
    text, lines = note[: at + 1], note[at + 2 :].splitlines()
    name, number, public = key
    for line in lines:
        mark, _, rest = line.partition(" ")
        who, _, sig = rest.partition(" ")
        if mark != "\u2014" or who != name:
            continue
        raw = base64.b64decode(sig)
        if raw[:4] == number and ed25519_verify(public, text.encode(), raw[4:]):
            return text
    return None


def parse_head(text):
    lines = text.split("\n")
    return {"origin": lines[0], "size": int(lines[1]), "root": base64.b64decode(lines[2]), "more": lines[3:-1]}


# --- The leaf of an event -------------------------------------------------------------------------------------------


def text_bytes(text):
    raw = text.encode()
    return struct.pack("<I", len(raw)) + raw


def value_bytes(value):
    if value is None:
        return b"n"
    if value is False:
        return b"f"
    if value is True:
        return b"t"
    if isinstance(value, int):
        return b"l" + struct.pack("<q", value)
    if isinstance(value, str):
        return b"s" + text_bytes(value)
    if isinstance(value, list):
        return b"a" + struct.pack("<I", len(value)) + b"".join(value_bytes(one) for one in value)
    ((kind, inner),) = value.items()
    if kind == "double":
        number = float(inner)
        return b"d" + (struct.pack("<Q", 0x7FF8000000000000) if number != number else struct.pack("<d", number))
    if kind == "date":
        return b"m" + struct.pack("<q", inner)
    address = ipaddress.ip_address(inner)
    return (b"4" if address.version == 4 else b"6") + address.packed


def event_leaf_data(event):
    fields = sorted((name.encode(), value) for name, value in event["fields"].items())
    parts = [struct.pack("<Qqqq", event["seq"], event["committed_ns"], event["timestamp_ns"], event["received_ns"])]
    parts.append(hashlib.sha256(base64.b64decode(event["original"], validate=True)).digest())
    parts.append(struct.pack("<I", len(fields)))
    for name, value in fields:
        parts.append(struct.pack("<I", len(name)) + name + value_bytes(value))
    return b"".join(parts)


# --- A row of the register ------------------------------------------------------------------------------------------


def row_hash(row):
    parts = [b"nhatle-register-1"]
    for name in ("id", "stream", "version", "kind", "json", "actor", "at_ns", "prev_hash"):
        raw = str(row[name]).encode()
        parts.append(struct.pack("<Q", len(raw)) + raw)
    return hashlib.sha256(b"".join(parts)).digest()


# --- A package ------------------------------------------------------------------------------------------------------


def check_package(path, known_key):
    files = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if not member.isfile() or "/" in member.name or member.name in files:
                    return find(path, f"{member.name!r} is no plain file, or is there twice")
                files[member.name] = archive.extractfile(member).read()
    except (tarfile.TarError, OSError, EOFError) as error:
        return find(path, f"no evidence package: {error}")
    needed = ["about.json", "head.txt", "key.txt", "entries.jsonl", "events.jsonl", "changes.jsonl", "proofs.json", "sums.txt"]
    missing = [name for name in needed if name not in files]
    if missing:
        return find(missing[0], "is missing")
    try:
        check_files(files, known_key)
        if {"head.tsq", "head.tsr"} & files.keys():
            check_stamp("head.tsr", files["head.txt"], files.get("head.tsq", b""), files.get("head.tsr", b""))
    except (ValueError, KeyError, TypeError, struct.error, AttributeError) as error:
        find(path, f"is of no known form: {error!r}")


def check_files(files, known_key):
    key = parse_key(files["key.txt"].decode())
    if known_key is not None and key != known_key:
        find("key.txt", "is not the key given")
    sums = note_text(files["sums.txt"].decode(), key)
    if sums is None:
        find("sums.txt", "is not signed by the key")
    else:
        lines = sums.splitlines()
        if lines[0] != "nhatle evidence 1":
            find("sums.txt", "is none")
        listed = {name: digest for digest, name in (line.split("  ", 1) for line in lines[1:])}
        for name in listed.keys() | (files.keys() - {"sums.txt"}):
            if name not in files:
                find(name, "is missing")
            elif hashlib.sha256(files[name]).hexdigest() != listed.get(name):
                find(name, "is not the file that was signed")

    text = note_text(files["head.txt"].decode(), key)
    if text is None:
        return find("head.txt", "is not signed by the key")
    head = parse_head(text)
    if head["origin"] != key[0]:
        find("head.txt", "is of another log than the key")
    proofs = json.loads(files["proofs.json"])

    def lines_with(name, kind):
        lines = files[name].decode().split("\n")[:-1]
        if len(lines) != len(proofs[kind]):
            find("proofs.json", f"has not one proof for each line of {name}")
        return zip(lines, proofs[kind])

    def path_of(proof):
        return [bytes.fromhex(step) for step in proof["path"]]

    entries = {}
    for line, proof in lines_with("entries.jsonl", "entries"):
        number = proof["leaf"]
        entry = json.loads(line)
        if root_by_path(leaf_hash(line.encode()), number, head["size"], path_of(proof)) != head["root"]:
            find("entries.jsonl", f"leaf {number} does not stand under the head")
        elif entry["leaf"] != number:
            find("entries.jsonl", f"leaf {number} says that it is {entry['leaf']}")
        else:
            entries[number] = entry

    events = changes = erased = 0
    for line, proof in lines_with("events.jsonl", "events"):
        event, entry = json.loads(line), entries.get(proof["leaf"], {})
        leaf = leaf_hash(event_leaf_data(event))
        if "erased" in proof:
            leaf = leaf_before(entries.get(proof["erased"]["leaf"], {}), proof["erased"], event)
        holds = (
            entry.get("kind") == "segment"
            and entry["form"] == 1
            and event["seq"] == proof["seq"]
            and event["dataset"] == entry["dataset"]
            and leaf is not None
            and root_by_path(leaf, proof["index"], entry["rows"], path_of(proof))
            == bytes.fromhex(entry["root"])
        )
        events += holds
        erased += holds and "erased" in proof
        if not holds:
            find("events.jsonl", f"event {proof['seq']} is not what was stored")
    for line, proof in lines_with("changes.jsonl", "changes"):
        row, entry = json.loads(line), entries.get(proof["leaf"], {})
        made = row_hash(row)
        holds = (
            entry.get("kind") == "register"
            and row["id"] == proof["id"]
            and row["hash"] == made.hex()
            and root_by_path(leaf_hash(made), row["id"] - 1, entry["rows"], path_of(proof)) == bytes.fromhex(entry["root"])
        )
        changes += holds
        if not holds:
            find("changes.jsonl", f"row {proof['id']} is not what stood in the register")

    about = json.loads(files["about.json"])
    if "document" in files or about["what"] == "document":
        sum_of = (len(files["document"]), hashlib.sha256(files["document"]).hexdigest()) if "document" in files else None
        written = [one for one in entries.values() if one.get("kind") == "document" and (one["bytes"], one["sha256"]) == sum_of]
        if not written:
            find("document", "is not a file that was written down")
        elif about["what"] != "document":
            find("about.json", "does not say that the package holds a document")
        else:
            print(f"document: {written[0]['name']!r}, written down at {written[0]['at_ns']} ns")
    if (about["format"], about["origin"], about["events"], about["changes"]) != (1, head["origin"], events, changes):
        find("about.json", "does not say what the package holds")
    print(f"proved: {events} events, {changes} changes of the register")
    if erased:
        print(f"of {erased} of these events something was erased: that they stood there is proved, what is left of them is not")
    print(f"under: head over {head['size']} leaves of {head['origin']}, {' '.join(head['more'])}")
    print(f"signed with: {files['key.txt'].decode().strip()}")


# --- What was erased --------------------------------------------------------------------------------------------------


def erased_record(seq, leaf):
    return leaf_hash(struct.pack("<Q", seq) + leaf)


def leaf_before(entry, proof, event):
    """The leaf that an event was sealed with of which something was erased, where the log says that it was; else None."""
    if entry.get("kind") != "erased" or entry["dataset"] != event["dataset"]:
        return None
    if not entry["first_seq"] <= event["seq"] <= entry["last_seq"]:
        return None
    was = bytes.fromhex(proof["was"])
    path = [bytes.fromhex(step) for step in proof["path"]]
    root = root_by_path(erased_record(event["seq"], was), proof["index"], entry["events"], path)
    return was if root == bytes.fromhex(entry["erased"]) else None


def check_erased(name, raw, meta, entries):
    """Every event that a segment calls erased is one that the log says was."""
    lines = raw.decode(errors="replace").split("\n")
    if lines[0] != "nhatle erased 1" or lines[-1] != "":
        return find(name, "is no list of erased events")
    kept = []
    for line in lines[1:-1]:
        try:
            seq, leaf, now, numbers = line.split(" ")
            kept.append((int(seq), bytes.fromhex(leaf), [int(number) for number in numbers.split(",")]))
            if len(bytes.fromhex(now)) != 32 or len(kept[-1][1]) != 32 or len(kept) > 1 and kept[-1][0] <= kept[-2][0]:
                raise ValueError("not in order, or no hash")
        except ValueError as error:
            return find(name, f"line {len(kept) + 1} is none: {error}")
    said = set()
    for entry in entries:
        if entry["kind"] != "erased" or entry["dataset"] != meta["dataset"]:
            continue
        if not meta["first_seq"] <= entry["first_seq"] <= entry["last_seq"] <= meta["last_seq"]:
            continue
        of_it = [
            (seq, leaf)
            for seq, leaf, numbers in kept
            if entry["first_seq"] <= seq <= entry["last_seq"] and entry["erasure"] in numbers
        ]
        root = tree_root([erased_record(seq, leaf) for seq, leaf in of_it])
        if len(of_it) == entry["events"] and root == bytes.fromhex(entry["erased"]):
            said |= {(seq, entry["erasure"]) for seq, _ in of_it}
    unsaid = [(seq, number) for seq, _, numbers in kept for number in numbers if (seq, number) not in said]
    if unsaid:
        seq, number = unsaid[0]
        find(name, f"event {seq} is called erased by erasure {number}, the log does not say so")
    elif kept:
        print(f"erased: something of {len(kept)} of {meta['row_count']} events of {meta['dir']}: {', '.join(str(one[0]) for one in kept[:8])}")


# --- A store --------------------------------------------------------------------------------------------------------


def split_heads(text):
    """Each head is two paragraphs, the text and the signatures."""
    parts = text.split("\n\n")
    return [parts[at] + "\n\n" + parts[at + 1] + "\n" for at in range(0, len(parts) - 1, 2)]


def check_store(folder, known_key, kept):
    def read(name):
        try:
            with open(os.path.join(folder, name), "rb") as file:
                return file.read()
        except OSError:
            return b""

    def names(place):
        try:
            return os.listdir(os.path.join(folder, place))
        except OSError:
            return []

    lines = read("proof/log.jsonl").split(b"\n")[:-1]
    leaves = [leaf_hash(line) for line in lines]
    entries, keys, key_leaves = [], [], []
    for number, line in enumerate(lines):
        try:
            entry = json.loads(line)
            if entry["leaf"] != number:
                raise ValueError(f"it says that it is leaf {entry['leaf']}")
            if entry["kind"] == "key":
                keys.append(parse_key(entry["key"]))
                key_leaves.append(number)
            entries.append(entry)
        except (ValueError, KeyError, TypeError) as error:
            find("proof/log.jsonl", f"leaf {number} is none: {error}")
    if known_key is not None and known_key not in keys:
        find("proof/heads", "no head was signed with the key given")

    def check_head(where, note):
        text = next(filter(None, (note_text(note, key) for key in keys)), None)
        if text is None:
            return find(where, "a head that no key of the log signed")
        head = parse_head(text)
        if head["size"] > len(leaves):
            find(where, f"put back to an older state: a head over {head['size']} leaves, the log has {len(leaves)}")
        elif tree_root(leaves[: head["size"]]) != head["root"]:
            find(where, f"the log was written anew: its first {head['size']} leaves do not come to the head's root")

    heads = split_heads(read("proof/heads").decode(errors="replace"))
    for note in heads[-64:]:
        check_head("proof/heads", note)
    for note in kept:
        check_head("kept head", note)
    for name in sorted(name[:-4] for name in names("proof/stamps") if name.endswith(".tsr")):
        head, request, answer = (read(f"proof/stamps/{name}{ending}") for ending in (".head", ".tsq", ".tsr"))
        check_head(f"proof/stamps/{name}.head", head.decode(errors="replace"))
        check_stamp(f"proof/stamps/{name}.tsr", head, request, answer)
    if heads:
        check_keys(list(zip(key_leaves, keys)), heads, known_key)
        check_nodes(read("proof/nodes"), leaves[: size_of(heads[-1])])
    elif key_leaves and key_leaves[0] + 1 < len(leaves):
        find("proof/heads", "there is no signed head: they were taken out")
    if heads and 16 < len(leaves) - size_of(heads[-1]):
        find("proof/heads", f"the last {len(leaves) - size_of(heads[-1])} leaves are under no head")
    if keys and (public := read("pki/proof.pub").decode(errors="replace").strip()) and public not in map(key_text, keys):
        find("pki/proof.pub", "is no key of the log")

    manifests = sorted(name for name in names("manifest") if name.endswith(".json"))
    segments = {}
    for name in manifests:
        try:
            title, _, text = read("manifest/" + name).partition(b"\n")
            if not title and name != manifests[-1]:
                continue  # A server that runs has taken it away meanwhile.
            if title != b"nhatle manifest 1 %08x" % crc32c(text):
                find("manifest/" + name, "is not as it was written: another checksum")
            segments = {one["dir"]: one for one in json.loads(text)["segments"]}
        except (ValueError, KeyError, TypeError) as error:
            find("manifest/" + name, f"is none: {error}")
    gone = set()
    for entry in entries:
        gone |= set(entry.get("replaces", [])) | set(entry["dirs"] if entry["kind"] == "dropped" else [])
    logged = {entry["dir"]: entry for entry in entries if entry["kind"] == "segment"}
    for name, entry in logged.items():
        if name not in segments:
            if name not in gone:
                find("manifest", f"segment {name} is missing and was never dropped")
            continue
        meta = segments[name]
        if (meta["events_root"], meta["row_count"], meta["dataset"]) != (entry["root"], entry["rows"], entry["dataset"]):
            find("manifest", f"what it says of segment {name} is not what the log says")
        for file in entry["files"]:
            raw = read(f"{name}/{file['name']}")
            if hashlib.sha256(raw).hexdigest() != file["sha256"]:
                find(f"{name}/{file['name']}", "is not the file that was sealed")
            elif file["name"] == "erased.leaves":
                check_erased(f"{name}/{file['name']}", raw, meta, entries)
    for entry in entries:
        if entry["kind"] != "erased":
            continue
        before = logged.get(entry["dir"], {"form": 0})
        if before["form"] == 1 and before["root"] != entry["root"]:
            find("proof/log.jsonl", f"leaf {entry['leaf']} says another root of {entry['dir']} than it was sealed with")
        print(f"erased: erasure {entry['erasure']}, leaf {entry['leaf']}: {entry['events']} events of {entry['dir']}, basis {entry['basis']!r}")
    sealed_to = max((entry["last_seq"] for entry in logged.values()), default=0)
    for name in segments.keys() - logged.keys():
        if segments[name]["last_seq"] <= sealed_to:
            find("manifest", f"segment {name} is in no leaf of the log")
    check_register(os.path.join(folder, "register.sqlite"), entries)
    check_intake([("log/" + name, read("log/" + name)) for name in sorted(names("log"))])
    print(f"checked: {len(leaves)} leaves, {len(heads)} heads, {len(segments)} segments")


def size_of(note):
    """The size a head says; 0 for a head that says none, which was found already."""
    size = note.split("\n")[1:2]
    return int(size[0]) if size and size[0].isdecimal() else 0


def key_text(key):
    name, number, public = key
    return f"{name}+{number.hex()}+{base64.b64encode(bytes([1]) + public).decode()}"


def check_keys(keys, heads, known_key):
    """The newest head is signed by the key known, or the first one, or by one that was vouched for: the first head over the
    entry that names it is signed by a trusted key too."""
    trusted = [known_key] if known_key is not None else [key for _, key in keys[:1]]
    for leaf, key in keys:
        first = next((note for note in heads if leaf < size_of(note)), None)
        if key not in trusted and first and any(note_text(first, one) for one in trusted):
            trusted.append(key)
    for at, (leaf, key) in enumerate(keys):
        if any(one == key and earlier + 1 < leaf for earlier, one in keys[:at]):
            find("proof/log.jsonl", f"leaf {leaf} names a key again: heads were taken out, or another key signed meanwhile")
    if not any(note_text(heads[-1], key) for key in trusted):
        find("proof/heads", "the key was lost or replaced: no key before it vouched for the one that signs now")


def check_nodes(raw, leaves):
    made, at = [], 0
    for number, leaf in enumerate(leaves):
        hashes, place = [leaf], number
        while place & 1:
            hashes.append(node_hash(made.pop(), hashes[-1]))
            place >>= 1
        made.append(hashes[-1])
        for one in hashes:
            if raw[at : at + 32] != one:
                return find("proof/nodes", f"the hash at byte {at} is not that of the log")
            at += 32


# CRC-32C (RFC 3720, section 12.1), as the manifest and the log of intake have it.
CRC_TABLE = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    CRC_TABLE.append(number)


def crc32c(raw):
    crc = 0xFFFFFFFF
    for byte in raw:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def check_intake(files):
    """The frames of docs/format/log.md. What is torn at the very end was never acknowledged."""
    for at, (name, raw) in enumerate(files):
        is_newest = at + 1 == len(files)
        if len(raw) < 48 and is_newest:
            continue
        if raw[:8] != b"nhatleLG" or struct.unpack("<I", raw[44:48])[0] != crc32c(raw[:44]):
            find(name, "its first 48 bytes are not as they were written")
            continue
        previous = struct.unpack("<Q", raw[36:44])[0]
        if at and previous != len(files[at - 1][1]):
            find(files[at - 1][0], f"has {len(files[at - 1][1])} bytes, it was closed with {previous}")

        def frame(place):
            """The place behind the whole frame here; None where there is none."""
            if len(raw) < place + 17:
                return None
            length, crc = struct.unpack("<II", raw[place : place + 8])
            end = place + 16 + length
            if not 1 <= length <= 64 << 20 or len(raw) < end:
                return None
            return end if crc32c(raw[28:36] + raw[place : place + 4] + raw[place + 8 : end]) == crc else None

        place = 48
        while place < len(raw):
            end = frame(place)
            if end is None:
                if not is_newest or any(frame(later) for later in range(place + 1, len(raw) - 16)):
                    find(name, f"the frame at byte {place} is not as it was written")
                break
            place = end


def check_register(path, entries):
    said = [entry for entry in entries if entry["kind"] == "register"]
    hashes, before = [], "0" * 64
    if os.path.exists(path):
        names = ("id", "stream", "version", "kind", "json", "actor", "at_ns", "prev_hash", "hash")
        try:
            with sqlite3.connect(path) as database:
                for values in database.execute(f"SELECT {', '.join(names)} FROM change_log ORDER BY id"):
                    row = dict(zip(names, values))
                    made = row_hash(row)
                    if row["id"] != len(hashes) + 1 or row["prev_hash"] != before or row["hash"] != made.hex():
                        find("register.sqlite", f"row {row['id']} is not as it was written")
                    before = row["hash"]
                    hashes.append(made)
        except sqlite3.Error as error:
            find("register.sqlite", f"cannot be read: {error}")
    for entry in said:
        rows = entry["rows"]
        if rows > len(hashes):
            find("register.sqlite", f"put back to an older state: {len(hashes)} rows, leaf {entry['leaf']} says {rows}")
        elif tree_root([leaf_hash(one) for one in hashes[:rows]]) != bytes.fromhex(entry["root"]):
            find("register.sqlite", f"a row was written anew: its first {rows} rows are not those of leaf {entry['leaf']}")
            break


def main(arguments):
    global stamp_authorities
    known_key, store, kept, rest = None, None, [], []
    arguments = list(arguments)
    while arguments:
        one = arguments.pop(0)
        if one in ("--key", "--store", "--head", "--timestamp-ca") and arguments:
            value = arguments.pop(0)
            if one == "--store":
                store = value
            elif one == "--timestamp-ca":
                stamp_authorities = os.path.abspath(value)
            elif one == "--head":
                # Whatever a clipboard or an editor did at the ends and to line ends was never signed.
                with open(value, encoding="utf-8-sig") as file:
                    kept = split_heads(file.read().strip("\n") + "\n\n")
            else:
                if os.path.isfile(value):
                    with open(value, encoding="utf-8-sig") as file:
                        value = file.readline()
                known_key = parse_key(value)
        else:
            rest.append(one)
    if len(rest) != (0 if store else 1) or any(one.startswith("-") for one in rest):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if store:
        check_store(store, known_key, kept)
    else:
        check_package(rest[0], known_key)
    if findings:
        return 1
    print("all of it holds")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
