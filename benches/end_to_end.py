#!/usr/bin/env python3
"""Backsight beside other engines: the same questions over the same files, in one run.

  end_to_end.py setup                        environment with the peers, generator, data (once; about 2.5 GB)
  end_to_end.py run [-s ndjson,gz,parquet] [-q Q1,..] [-p duckdb] [-n 3]
  end_to_end.py convert [-s ndjson,gz] [-p polars,duckdb] [-n 5]
                                             converting to Parquet, in turn, pair by pair
  end_to_end.py report FILE                  the table of an earlier run

Answers must be equal before anything is timed. What is compared: the best peer's time for the query alone (its import
and start taken off) and the whole process of Backsight; the ratio says how many times faster Backsight is. Medians of
`-n` runs; the input is brought into the page cache before each. A run that other processes disturbed is repeated.
Everything lives under $BENCH_DIR (default target/bench), results go to results.jsonl there.
"""
import argparse
import fcntl
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True  # no cache beside the sources
import peers

HERE = os.path.dirname(os.path.abspath(__file__))
DIR = peers.DIR
PYTHON = os.path.join(DIR, "venv/bin/python")
PINS = ["duckdb==2.0.0", "chdb==4.4.0", "polars==2.1.0", "datafusion==55.0.0", "pyarrow==26.0.1"]
LOGS = ["Q1", "Q2", "Q3", "Q4", "Q5", "Q6", "Q7", "Q8", "Q9", "Q10"]
TRAIL = ["C1", "C2"]
# How many times faster than the best peer a query is meant to be.
GOALS = {
    "ndjson": {"Q1": 4.5, "Q2": 3.5, "Q3": 2.5, "Q4": 8, "Q5": 7, "Q6": 5, "Q7": 5, "Q8": 4.5, "Q9": 4, "Q10": 3},
    "gz": {"Q1": 2.2, "Q4": 2.2, "Q7": 1.5, "Q9": 1.8, "Q10": 2.4},
    "parquet": {"Q1": 1.3, "Q2": 1.3, "Q3": 1.3, "Q4": 1.3, "Q5": 1.3, "Q6": 3, "Q8": 1.8, "Q9": 1.7, "Q10": 1.6},
    "ct": {"C1": 2, "C2": 2.5},
}
# MiB that Backsight is meant to stay below.
MEMORY = {"Q3": 450, "Q9": 450, "Q10": 450}


# Commands -------------------------------------------------------------------------------------------------------------

def backsight(a, q, source):
    command = [a.backsight, "query", "-f", os.path.join(HERE, "queries", q + ".bsq"), "-q", "--format", "ndjson"]
    if q == "Q4":
        command += ["--param", "needle=" + peers.needle()]
    if a.threads:
        command += ["--threads", str(a.threads)]
    return command + sorted(glob.glob(os.path.join(DIR, peers.PATHS[source])))


def peer(a, engine, q, source):
    return ["timeout", str(a.limit), PYTHON, os.path.join(HERE, "peers.py"), engine, q, source]


def read(engine, out):
    """What a command printed: rows, hash, and for peers the seconds of the query alone."""
    if engine != "backsight":
        return json.loads(out.splitlines()[-1])
    return peers.answer(list(json.loads(line).values()) for line in out.splitlines())


# Measuring ------------------------------------------------------------------------------------------------------------

def busy():
    """CPU seconds of all processes since the machine started."""
    f = [int(x) for x in open("/proc/stat").readline().split()[1:]]
    return (sum(f[:8]) - f[3] - f[4]) / os.sysconf("SC_CLK_TCK")


def warm(source):
    """Brings the source into the page cache."""
    for path in glob.glob(os.path.join(DIR, peers.PATHS[source])):
        with open(path, "rb", buffering=0) as f:
            while f.read(1 << 24):
                pass


def once(command):
    """Wall, CPU and peak memory (MiB) of a command; `others`: the part of the machine that other processes used."""
    before, start = busy(), time.perf_counter()
    with tempfile.TemporaryFile() as errors:  # a pipe could fill up
        p = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, "BENCH_DIR": DIR})
        out = p.stdout.read()
        _, status, usage = os.wait4(p.pid, 0)
        errors.seek(0)
        err = errors.read()
    wall, cpu = time.perf_counter() - start, usage.ru_utime + usage.ru_stime
    others = max(0.0, (busy() - before - cpu) / (wall * os.cpu_count()))
    return {"wall": wall, "cpu": cpu, "rss": usage.ru_maxrss // 1024, "others": others, "ok": status == 0,
            "out": out.decode(), "err": err.decode(errors="replace").strip()[-300:]}


def measure(command, source, tries):
    best = None
    for _ in range(tries):
        warm(source)
        m = once(command)
        if best is None or m["others"] < best["others"]:
            best = m
        if m["others"] < 0.05 or not m["ok"]:
            break
        time.sleep(2)
    return best


def cell(a, engine, q, source):
    """One engine's result for one query, median of the runs."""
    command = backsight(a, q, source) if engine == "backsight" else peer(a, engine, q, source)
    runs = []
    for _ in range(a.runs):
        m = measure(command, source, a.tries)
        if not m["ok"]:
            return {"ok": False, "err": m["err"]}
        runs.append({**m, **read(engine, m["out"])})
    median = lambda key: round(statistics.median(r[key] for r in runs), 3)
    return {"ok": True, "wall": median("wall"), "query": median("query" if "query" in runs[0] else "wall"), "cpu": median("cpu"),
            "rss": max(r["rss"] for r in runs), "others": max(round(r["others"], 3) for r in runs),
            "rows": runs[0]["rows"], "hash": runs[0]["hash"]}


def run(a):
    if not os.path.exists(a.backsight):
        sys.exit(f"{a.backsight} is missing: cargo build --release")
    results = []
    with open(os.path.join(DIR, "bench.lock"), "w") as lock, open(os.path.join(DIR, "results.jsonl"), "a") as log:
        for source in a.sources.split(","):
            queries = a.queries.split(",") if a.queries else TRAIL if source == "ct" else LOGS
            for q in queries:
                fcntl.flock(lock, fcntl.LOCK_EX)  # one measurement at a time on this machine
                for engine in ["backsight"] + a.peers.split(","):
                    row = {"engine": engine, "q": q, "source": source, **cell(a, engine, q, source)}
                    results.append(row)
                    log.write(json.dumps(row) + "\n")
                    log.flush()
                fcntl.flock(lock, fcntl.LOCK_UN)
                print(line(results, source, q), flush=True)
    print()
    return 0 if show(results) else 1


# Reporting ------------------------------------------------------------------------------------------------------------

def compare(results, source, q):
    mine = {r["engine"]: r for r in results if (r["source"], r["q"]) == (source, q)}
    own = mine.pop("backsight", {"ok": False, "err": "not run"})
    others = {e: r for e, r in mine.items() if r["ok"]}
    best = min(others, key=lambda e: others[e]["query"], default=None)
    equal = own["ok"] and all(r["hash"] == own["hash"] for r in others.values())
    ratio = others[best]["query"] / own["wall"] if own["ok"] and best else None
    return own, best, others.get(best), equal, ratio


def line(results, source, q):
    own, best, other, equal, ratio = compare(results, source, q)
    if not own["ok"]:
        return f"{source:8} {q:4} backsight fails: {own['err'][:150]}"
    goal = GOALS.get(source, {}).get(q)
    limit = MEMORY.get(q, 100)
    return (f"{source:8} {q:4} {own['wall']:7.3f} s {own['cpu']:7.3f} CPU {own['rss']:5d} MiB"
            f"{' (!)' if own['rss'] > limit and source != 'ndjson' else '    '}"
            + (f" {best:>10} {other['query']:7.3f} s {other['cpu']:7.3f} CPU {other['rss']:5d} MiB   {ratio:5.2f}x" if best else " no peer")
            + (f" of {goal}x{'' if ratio and ratio >= goal else '  BELOW'}" if goal else "")
            + ("" if equal else f"   ANSWERS DIFFER ({own['rows']} rows, {other['rows'] if other else '-'})"))


def show(results):
    """Prints the table; true if all answers agree."""
    agreed = True
    print("| source | query | rows | equal | Backsight s / CPU s / MiB | best peer: query s / CPU s / MiB | ratio | goal |")
    print("|---" * 8 + "|")
    product = {}
    for source, q in dict.fromkeys((r["source"], r["q"]) for r in results):
        own, best, other, equal, ratio = compare(results, source, q)
        agreed &= equal
        if not own["ok"]:
            print(f"| {source} | {q} | | | fails | | | |")
            continue
        show_other = f"{best}: {other['query']:.3f} / {other['cpu']:.2f} / {other['rss']}" if best else ""
        print(f"| {source} | {q} | {own['rows']} | {'yes' if equal else '**NO**'} | {own['wall']:.3f} / {own['cpu']:.2f} / {own['rss']} "
              f"| {show_other} | {f'{ratio:.2f}' if ratio else ''} | {GOALS.get(source, {}).get(q, '')} |")
        if ratio:
            product.setdefault(source, []).append(ratio)
    for source, ratios in product.items():
        print(f"\n{source}: geometric mean {statistics.geometric_mean(ratios):.2f}x over {len(ratios)} queries")
    return agreed


def report(a):
    show([json.loads(x) for x in open(a.file)])
    return 0


# Setting up -----------------------------------------------------------------------------------------------------------

def setup(_):
    os.makedirs(DIR, exist_ok=True)
    shell = lambda *c: subprocess.run(c, check=True, env={**os.environ, "BENCH_DIR": DIR})
    at = lambda name: os.path.join(DIR, name)
    if not os.path.exists(at("venv")):
        shell(sys.executable, "-m", "venv", at("venv"))
        shell(at("venv/bin/pip"), "install", "-q", "--disable-pip-version-check", *PINS)
    shell("cargo", "build", "-q", "--release", "--manifest-path", os.path.join(HERE, "gen/Cargo.toml"), "--target-dir", at("target"))
    gen = at("target/release/gen")
    for name, arguments in [("small.ndjson", "access --rows 100000"), ("access.ndjson", "access --rows 5000000"),
                            ("gz", "access --rows 5000000 --files 16"), ("ct", "cloudtrail --rows 380000 --files 200")]:
        if not os.path.exists(at(name)):
            shell(gen, *arguments.split(), "--out", at(name))
    with open(at("access.ndjson"), "rb") as f:  # the needle: the row in the middle of the file
        f.seek(os.path.getsize(f.name) // 2)
        f.readline()
        row = json.loads(f.readline())
    with open(at("needle.txt"), "w") as f:
        f.write(row["requestId"])
    if not os.path.exists(at("access.parquet")):
        shell(PYTHON, os.path.join(HERE, "peers.py"), "duckdb", "convert", "ndjson")
        os.rename(at("out-duckdb.parquet"), at("access.parquet"))
    return 0


# Converting -----------------------------------------------------------------------------------------------------------

def convert(a):
    """Backsight and peers in turn; how many times faster it is than the peer's query alone, and pair by pair, as both meet the
    same disturbances."""
    for source in a.sources.split(","):
        engines = ["backsight"] + a.peers.split(",")
        runs = {engine: [] for engine in engines}
        for _ in range(a.runs):
            for engine in engines:
                target = os.path.join(DIR, f"out-{engine}.parquet")
                command = [PYTHON, os.path.join(HERE, "peers.py"), engine, "convert", source]
                if engine == "backsight":
                    inputs = sorted(glob.glob(os.path.join(DIR, peers.PATHS[source])))
                    command = [a.backsight, "convert", *inputs, "-o", target, "-q"]
                for old in glob.glob(target + "*"):
                    os.remove(old)
                warm(source)
                os.sync()
                m = once(command)
                if not m["ok"]:
                    sys.exit(f"{engine}: {m['err']}")
                rows = "import sys, pyarrow.parquet as p; print(p.ParquetFile(sys.argv[1]).metadata.num_rows)"
                m["rows"] = int(subprocess.check_output([PYTHON, "-c", rows, target]))
                alone = m["wall"] if engine == "backsight" else read(engine, m["out"])["query"]
                runs[engine].append({**m, "query": alone, "size": os.path.getsize(target)})
        if len({m["rows"] for all_of in runs.values() for m in all_of}) != 1:
            sys.exit("not the same number of rows")
        print(f"{source}: {runs['backsight'][0]['rows']} rows")
        for engine, of in runs.items():
            middle = lambda key: statistics.median(m[key] for m in of)
            pairs = sorted(m["query"] / own["wall"] for m, own in zip(of, runs["backsight"]))
            own = statistics.median(m["wall"] for m in runs["backsight"])
            print(f"  {engine:10} {middle('wall'):6.2f} s {middle('cpu'):6.2f} CPU s {middle('size') / 1e6:6.1f} MB "
                  f"{middle('rss'):5.0f} MiB", end="")
            print("" if engine == "backsight" else f"   alone {middle('query'):.2f} s, {middle('query') / own:.2f} times Backsight's; "
                  f"pair by pair {statistics.median(pairs):.2f} of {' '.join(f'{r:.2f}' for r in pairs)}")
    return 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = p.add_subparsers(required=True)
    commands.add_parser("setup").set_defaults(do=setup)
    r = commands.add_parser("run")
    r.set_defaults(do=run)
    r.add_argument("-s", "--sources", default="ndjson,gz,parquet", help="of ndjson gz parquet ct small")
    r.add_argument("-q", "--queries", help="Q1..Q10, C1 C2 for ct; all if left out")
    r.add_argument("-p", "--peers", default="duckdb", help="of duckdb chdb polars datafusion")
    r.add_argument("-n", "--runs", type=int, default=3)
    r.add_argument("-b", "--backsight", default=os.path.join(HERE, "../target/release/backsight"))
    r.add_argument("--threads", type=int, help="of Backsight")
    r.add_argument("--limit", type=int, default=120, help="seconds a peer may take")
    r.add_argument("--tries", type=int, default=6, help="how often a disturbed run is repeated")
    c = commands.add_parser("convert")
    c.set_defaults(do=convert)
    c.add_argument("-s", "--sources", default="ndjson,gz", help="of ndjson gz")
    c.add_argument("-p", "--peers", default="polars,duckdb", help="of polars duckdb")
    c.add_argument("-n", "--runs", type=int, default=5)
    c.add_argument("-b", "--backsight", default=os.path.join(HERE, "../target/release/backsight"))
    t = commands.add_parser("report")
    t.set_defaults(do=report)
    t.add_argument("file")
    a = p.parse_args()
    sys.exit(a.do(a))


if __name__ == "__main__":
    main()
