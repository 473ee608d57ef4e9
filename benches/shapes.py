#!/usr/bin/env python3
"""Data that was not laid out for us: the same records with keys in any order, numbers, spaces, nesting, escapes, many fields.

  shapes.py make                     the files, from small.ndjson of `end_to_end.py setup` (once; about 500 MB)
  shapes.py run [-q Q1,Q2,..] [-n 3] CPU seconds beside DuckDB over the same file, and per byte beside the plain shape

What is meant to hold: never slower than DuckDB, at most four times slower per byte than plain, the same answers, and the
same ones with --no-pushdown.
"""
import argparse
import json
import os
import random
import sys

sys.dont_write_bytecode = True  # no cache beside the sources
import end_to_end
import peers

DIR = os.path.join(peers.DIR, "shapes")
compact = lambda row: json.dumps(row, separators=(",", ":"))


def numbers(row):
    return {**row, **{k: int(row[k]) for k in ("status", "responseLength") if row[k].isdigit()}}


def nested(row):
    row = numbers(row)
    http = {"method": row["httpMethod"], "path": row["resourcePath"], "tags": ["a", 1, None, {"x": True}]}
    request = {"id": row["requestId"], "time": row["requestTime"], "http": http}
    rest = ("ip", "user", "status", "requestId", "resourcePath", "requestTime", "responseLength", "userAgent")
    return {"request": request, **{k: row[k] for k in rest}}


def escapes(row):
    return {**row, "userAgent": row["userAgent"].replace(" ", '"\\') + "\n\t\u00e9", "caller": 'a\\b"c"' * 3}


def shuffled(row, r):
    keys = list(row)
    r.shuffle(keys)
    return {k: row[k] for k in keys}


def optional(row, r):
    return {k: v for k, v in row.items() if k not in ("caller", "errorMessage", "protocol", "httpMethod") or r.random() < 0.5}


def wide(row, fields):
    extra = [(f"field{i}", i * 31 if i % 3 == 0 else f"v{i * 7919 % 1000}") for i in range(fields - len(row))]
    half = len(extra) // 2
    return dict(extra[:half] + list(row.items()) + extra[half:])


# name: part of the rows, how a row is written
SHAPES = {
    "plain": (1, lambda row, r: compact(row)),
    "numbers": (1, lambda row, r: compact(numbers(row))),
    "spaces": (1, lambda row, r: json.dumps(row)),
    "nested": (1, lambda row, r: json.dumps(nested(row))),
    "escapes": (1, lambda row, r: compact(escapes(row))),
    "shuffled": (1, lambda row, r: compact(shuffled(row, r))),
    "optional": (1, lambda row, r: compact(optional(row, r))),
    "20 fields": (1, lambda row, r: compact(wide(row, 20))),
    "200 fields": (5, lambda row, r: compact(wide(row, 200))),
    "2000 fields": (40, lambda row, r: compact(wide(row, 2000))),
    "2000 shuffled": (40, lambda row, r: compact(shuffled(wide(row, 2000), r))),
}


def make(_):
    os.makedirs(DIR, exist_ok=True)
    rows = [json.loads(line) for line in open(os.path.join(peers.DIR, "small.ndjson"))]
    for name, (part, write) in SHAPES.items():
        r = random.Random(1)
        with open(path(name), "w") as out:
            out.writelines(write(row, r) + "\n" for row in rows[: len(rows) // part])


def path(name):
    return os.path.join(DIR, name.replace(" ", "-") + ".ndjson")


def cpu(command, engine, runs):
    """Least CPU seconds, and the answer."""
    done = [end_to_end.once(command) for _ in range(runs)]
    failed = next((d for d in done if not d["ok"]), None)
    if failed:
        sys.exit(failed["err"])
    return min(d["cpu"] for d in done), end_to_end.read(engine, done[0]["out"])


def run(a):
    print("| shape | MB | query | Backsight CPU s | GB/s | times plain, per byte | DuckDB CPU s | ratio | equal |")
    print("|---" * 9 + "|")
    sound = True
    plain = {}
    for name in SHAPES:
        size = os.path.getsize(path(name))
        file = peers.PATHS[name] = os.path.relpath(path(name), peers.DIR)
        start = cpu(end_to_end.peer(a, "duckdb", "noop", file), "duckdb", a.runs)[0]
        for q in a.queries.split(","):
            command = end_to_end.backsight(a, q, name)
            own, answer = cpu(command, "backsight", a.runs)
            unpushed = cpu(command + ["--no-pushdown"], "backsight", 1)[1]
            theirs, other = cpu(end_to_end.peer(a, "duckdb", q, file), "duckdb", a.runs)
            rate = own / size
            slower = rate / plain.setdefault(q, rate)
            equal = answer["hash"] == unpushed["hash"] == other["hash"]
            ratio = max(theirs - start, 0) / own
            sound &= equal and ratio >= 1 and slower <= 4
            print(f"| {name} | {size / 1e6:.0f} | {q} | {own:.3f} | {1e-9 / rate:.2f} | {slower:.1f} "
                  f"| {theirs - start:.2f} | {ratio:.1f} | {'yes' if equal else '**NO**'} |", flush=True)
    return 0 if sound else 1


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(required=True)
    commands.add_parser("make").set_defaults(do=make)
    r = commands.add_parser("run")
    r.set_defaults(do=run, limit=120)
    r.add_argument("-q", "--queries", default="Q1,Q2,Q6")
    r.add_argument("-n", "--runs", type=int, default=3)
    r.add_argument("-b", "--backsight", default=os.path.join(end_to_end.HERE, "../target/release/backsight"))
    r.add_argument("--threads", type=int, default=1, help="of Backsight")
    a = p.parse_args()
    sys.exit(a.do(a))


if __name__ == "__main__":
    main()
