#!/usr/bin/env python3
"""Instructions that the queries take on a small input, as Callgrind counts them: a figure that other processes do not disturb.

  instructions.py check [-q Q1,..]   compares with instructions.json; fails where one has grown beyond the tolerance
  instructions.py record             writes instructions.json anew, after a change that is meant to cost or save something

Needs valgrind, a release build and the generator (`end_to_end.py setup` builds it). Valgrind knows no AVX-512, so it is
the AVX2 path that is counted. A new compiler moves all figures by a few per cent: record them then.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # no cache beside the sources
import end_to_end
import peers

FILE = os.path.join(end_to_end.HERE, "instructions.json")
ROWS = 20_000
# Hash tables have a random seed and memory lies elsewhere each time: runs differ by less than a hundredth of this.
TOLERANCE = 0.03
QUERIES = end_to_end.LOGS


def count(binary, q, path):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary, "query", "--threads", "1", "-q",
               "--format", "ndjson", "-f", os.path.join(end_to_end.HERE, "queries", q + ".bsq")]
    if q == "Q4":
        with open(path) as rows:
            command += ["--param", "needle=" + json.loads(rows.readlines()[ROWS // 2])["requestId"]]
    p = subprocess.run(command + [path], capture_output=True, text=True)
    found = re.search(r"Collected\s*:\s*(\d+)", p.stderr)
    if p.returncode or not found:
        sys.exit(f"{q}: {p.stderr[-500:]}")
    return int(found.group(1))


def figures(a):
    gen = os.path.join(peers.DIR, "target/release/gen")
    with tempfile.TemporaryDirectory() as scratch:
        path = os.path.join(scratch, "rows.ndjson")
        subprocess.run([gen, "access", "--rows", str(ROWS), "--out", path], check=True)
        size = os.path.getsize(path)
        for q in a.queries.split(","):
            yield q, count(a.backsight, q, path), size


def record(a):
    found = {q: n for q, n, _ in figures(a)}
    with open(FILE, "w") as f:
        json.dump(found, f, indent=1)
        f.write("\n")
    return 0


def check(a):
    if not os.path.exists(FILE):
        sys.exit("no figures are written down yet: instructions.py record")
    with open(FILE) as f:
        known = json.load(f)
    worse = 0
    for q, n, size in figures(a):
        change = n / known[q] - 1
        worse += change > TOLERANCE
        print(f"{q:4} {n:12,} instructions  {n / size:6.2f} a byte  {change:+.1%}{'  MORE' if change > TOLERANCE else ''}", flush=True)
    return 1 if worse else 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(required=True)
    for name, do in (("check", check), ("record", record)):
        c = commands.add_parser(name)
        c.set_defaults(do=do)
        c.add_argument("-q", "--queries", default=",".join(QUERIES))
        c.add_argument("-b", "--backsight", default=os.path.join(end_to_end.HERE, "../target/release/backsight"))
    a = p.parse_args()
    sys.exit(a.do(a))


if __name__ == "__main__":
    main()
