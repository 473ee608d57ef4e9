#!/usr/bin/env python3
"""The benchmark queries on other engines, one query a process, so that each starts from nothing.

  peers.py ENGINE QUERY SOURCE [naive]     prints JSON: load, query (seconds), rows, hash of the answer

ENGINE  duckdb chdb polars datafusion
QUERY   Q1..Q10 C1 C2; `convert` writes SOURCE as Parquet
SOURCE  ndjson gz parquet ct small, below $BENCH_DIR
naive   lets the engine find columns and types by itself instead of naming them

Every query is held once as SQL, for Polars as expressions. The hash is over the rows as text, sorted, columns joined
with `|`: equal hashes are equal answers. Run by end_to_end.py, in the environment it sets up.
"""
import hashlib
import json
import os
import sys
import time

DIR = os.path.abspath(os.environ.get("BENCH_DIR", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../target/bench")))
PATHS = {"ndjson": "access.ndjson", "gz": "gz/access-*.json.gz", "parquet": "access.parquet", "ct": "ct/ct-*.json.gz", "small": "small.ndjson"}
FIELDS = ["requestId", "ip", "caller", "user", "requestTime", "httpMethod", "resourcePath", "status", "protocol",
          "responseLength", "errorMessage", "userAgent"]
NEEDS = {"Q1": ["ip", "status"], "Q2": ["ip", "resourcePath", "status"], "Q3": ["ip", "user"], "Q4": FIELDS, "Q5": ["ip", "userAgent"],
         "Q6": ["requestTime", "status"], "Q7": ["status"], "Q8": ["requestId", "ip", "responseLength"], "Q9": ["requestId"],
         "Q10": ["ip", "user", "resourcePath"]}

# {T} the table, {IPS} ip in the order of its numbers, as Backsight sorts (where ties at the limit matter), {RX} regex test, {B5} epoch second of the 5-minute bin, {N} responseLength as a number, {D} exact distinct count of
SQL = {
    "Q1": "SELECT ip, count(*) AS c FROM {T} WHERE status IN ('401', '403') GROUP BY ip ORDER BY c DESC, {IPS} LIMIT 20",
    "Q2": """SELECT ip, count(DISTINCT "resourcePath") AS c FROM {T} WHERE status = '404' GROUP BY ip HAVING count(DISTINCT "resourcePath") > 20 ORDER BY c DESC, ip""",
    "Q3": 'SELECT ip, "user", count(*) AS c FROM {T} GROUP BY ip, "user" HAVING count(*) > 1000 ORDER BY c DESC',
    "Q4": "SELECT * FROM {T} WHERE \"requestId\" = '{needle}'",
    "Q5": "SELECT ip, count(*) AS c FROM {T} WHERE {RX} GROUP BY ip ORDER BY c DESC",
    "Q6": "SELECT {B5} AS b, count(*) AS c, sum(CASE WHEN status LIKE '5%' THEN 1 ELSE 0 END) AS e FROM {T} GROUP BY b ORDER BY b",
    "Q7": "SELECT count(*) AS c FROM {T}",
    "Q8": 'SELECT "requestId", ip, {N} AS n FROM {T} ORDER BY n DESC, "requestId" LIMIT 20',
    "Q9": 'SELECT count(DISTINCT "requestId") AS c FROM {T}',
    "Q10": 'SELECT ip, "user", "resourcePath", count(*) AS c FROM {T} GROUP BY ip, "user", "resourcePath" ORDER BY c DESC, ip, "user", "resourcePath" LIMIT 20',
    "C1": """SELECT {ARN} AS arn, {EV} AS ev, count(*) AS c FROM {T} WHERE {ERR} LIKE '%AccessDenied%' OR {ERR} LIKE '%Unauthorized%' GROUP BY {ARN}, {EV} ORDER BY c DESC""",
    "C2": "SELECT {SRC} AS src, count(DISTINCT {EV}) AS c FROM {T} GROUP BY {SRC} ORDER BY c DESC",
    "noop": "SELECT 1 AS c",
}
CT = {"ARN": "r.userIdentity.arn", "EV": "r.eventName", "ERR": "r.errorCode", "SRC": "r.sourceIPAddress"}


def needle():
    return open(os.path.join(DIR, "needle.txt")).read().strip()


# One function per engine: (query, path, source, careful) -> rows. It yields once when the engine is loaded.
def run_duckdb(q, path, source, careful):
    import duckdb
    yield
    con = duckdb.connect()
    if q == "convert":
        cols = "{" + ", ".join(f"'{c}': 'VARCHAR'" for c in FIELDS) + "}"
        con.execute(f"COPY (SELECT * FROM read_json('{path}', format='newline_delimited', columns={cols})) TO '{DIR}/out-duckdb.parquet' (FORMAT parquet, COMPRESSION zstd)")
        yield []; return
    if source == "parquet":
        t = f"read_parquet('{path}')"
    elif source == "ct":
        st = "STRUCT(userIdentity STRUCT(arn VARCHAR), eventName VARCHAR, errorCode VARCHAR, sourceIPAddress VARCHAR)[]"
        reader = f"read_json('{path}', columns={{'Records': '{st}'}})" if careful else f"read_json_auto('{path}')"
        t = f"(SELECT unnest(Records) AS r FROM {reader})"
    elif careful:
        cols = "{" + ", ".join(f"'{c}': 'VARCHAR'" for c in NEEDS.get(q, FIELDS)) + "}"
        t = f"read_json('{path}', format='newline_delimited', columns={cols})"
    else:
        t = f"read_json_auto('{path}')"
    yield con.execute(SQL[q].format(
        T=t, IPS="string_split(ip, '.')::INT[]", needle=needle() if q == "Q4" else "", RX="regexp_matches(userAgent, '(?i)sqlmap|nikto')", N="CAST(responseLength AS BIGINT)",
        B5="(epoch(strptime(requestTime, '%d/%b/%Y:%H:%M:%S %z'))::BIGINT // 300) * 300", **CT)).fetchall()


def run_chdb(q, path, source, careful):
    import chdb
    yield
    lite = "settings input_format_json_ignore_unknown_keys_in_named_tuple = 1"
    if q == "convert":
        cols = ", ".join(f"{c} String" for c in FIELDS)
        chdb.query(f"SELECT * FROM file('{path}', JSONEachRow, '{cols}') INTO OUTFILE '{DIR}/out-chdb.parquet' TRUNCATE FORMAT Parquet SETTINGS output_format_parquet_compression_method = 'zstd'")
        yield []; return
    if source == "parquet":
        t = f"file('{path}', Parquet)"
    elif source == "ct":
        st = ", JSONEachRow, 'Records Array(Tuple(userIdentity Tuple(arn String), eventName String, errorCode String, sourceIPAddress String))'"
        t = f"(SELECT arrayJoin(Records) AS r FROM file('{path}'{st if careful else ''}))"
    elif careful:
        cols = ", ".join(f"{c} String" for c in NEEDS.get(q, FIELDS))
        t = f"file('{path}', JSONEachRow, '{cols}')"
    else:
        t = f"file('{path}')"
    sql = SQL[q].format(
        T=t, IPS="ip", needle=needle() if q == "Q4" else "", RX="match(userAgent, '(?i)sqlmap|nikto')", N="toInt64(responseLength)",
        B5="intDiv(toUnixTimestamp(parseDateTime(requestTime, '%d/%b/%Y:%H:%i:%S +0000', 'UTC')), 300) * 300", **CT)
    out = chdb.query(sql + " " + lite, "JSONCompactEachRow").bytes()
    yield [json.loads(line) for line in out.splitlines()]


def run_polars(q, path, source, careful):
    import polars as pl
    yield
    c = pl.col
    if q == "noop":
        yield [(1,)]; return
    full = {f: pl.String for f in FIELDS}
    if q == "convert":
        pl.scan_ndjson(path, schema=full).sink_parquet(f"{DIR}/out-polars.parquet", compression="zstd")
        yield []; return
    if source == "parquet":
        t = pl.scan_parquet(path)
    elif source == "ct":
        st = {"Records": pl.List(pl.Struct({"userIdentity": pl.Struct({"arn": pl.String}), "eventName": pl.String, "errorCode": pl.String, "sourceIPAddress": pl.String}))}
        t = (pl.scan_ndjson(path, schema=st) if careful else pl.scan_ndjson(path)).select("Records").explode("Records").unnest("Records")
    elif careful:
        t = pl.scan_ndjson(path, schema={f: pl.String for f in NEEDS.get(q, FIELDS)})
    else:
        t = pl.scan_ndjson(path)
    n = pl.len().alias("c")
    denied = c("errorCode").str.contains("AccessDenied|Unauthorized")
    bins = (c("requestTime").str.strptime(pl.Datetime("us", "UTC"), "%d/%b/%Y:%H:%M:%S %z").dt.epoch("s") // 300 * 300).alias("b") if q == "Q6" else None
    plan = {
        "Q1": lambda: t.filter(c("status").is_in(["401", "403"])).group_by("ip").agg(n).sort(["c", "ip"], descending=[True, False]).head(20),
        "Q2": lambda: t.filter(c("status") == "404").group_by("ip").agg(c("resourcePath").n_unique().alias("c")).filter(c("c") > 20).sort("c", descending=True),
        "Q3": lambda: t.group_by("ip", "user").agg(n).filter(c("c") > 1000).sort("c", descending=True),
        "Q4": lambda: t.filter(c("requestId") == needle()),
        "Q5": lambda: t.filter(c("userAgent").str.contains("(?i)sqlmap|nikto")).group_by("ip").agg(n).sort("c", descending=True),
        "Q6": lambda: t.group_by(bins).agg(n, c("status").str.starts_with("5").sum().alias("e")).sort("b"),
        "Q7": lambda: t.select(n),
        "Q8": lambda: t.select("requestId", "ip", c("responseLength").cast(pl.Int64).alias("n")).sort(["n", "requestId"], descending=[True, False]).head(20),
        "Q9": lambda: t.select(c("requestId").n_unique()),
        "Q10": lambda: t.group_by("ip", "user", "resourcePath").agg(n).sort(["c", "ip", "user", "resourcePath"], descending=[True, False, False, False]).head(20),
        "C1": lambda: t.filter(denied).group_by(c("userIdentity").struct.field("arn").alias("arn"), "eventName").agg(n).sort("c", descending=True),
        "C2": lambda: t.group_by("sourceIPAddress").agg(c("eventName").n_unique().alias("c")).sort("c", descending=True),
    }[q]()
    yield plan.collect(engine="streaming").rows()


def run_datafusion(q, path, source, careful):
    import datafusion, pyarrow as pa
    yield
    ctx = datafusion.SessionContext(datafusion.SessionConfig({"datafusion.sql_parser.enable_ident_normalization": "false"}))
    if q != "noop":
        where = os.path.dirname(path) + "/" if "*" in path else path
        if source == "parquet":
            ctx.register_parquet("t", path)
        else:
            schema = None
            if careful and source == "ct":
                s = pa.string()
                schema = pa.schema([("Records", pa.list_(pa.struct([("userIdentity", pa.struct([("arn", s)])), ("eventName", s), ("errorCode", s), ("sourceIPAddress", s)])))])
            elif careful:
                schema = pa.schema([(f, pa.string()) for f in NEEDS.get(q, FIELDS)])
            gz = path.endswith(".gz")
            ctx.register_json("t", where, schema=schema, file_extension=".json.gz" if gz else ".ndjson", file_compression_type="gzip" if gz else None)
    ct = {"ARN": "r['userIdentity']['arn']", "EV": "r['eventName']", "ERR": "r['errorCode']", "SRC": "r['sourceIPAddress']"}
    df = ctx.sql(SQL[q].format(
        T='(SELECT unnest("Records") AS r FROM t)' if source == "ct" else "t", IPS="ip", needle=needle() if q == "Q4" else "",
        RX="regexp_like(\"userAgent\", '(?i)sqlmap|nikto')", N='CAST("responseLength" AS BIGINT)',
        B5="(to_unixtime(to_timestamp_seconds(\"requestTime\", '%d/%b/%Y:%H:%M:%S %z')) / 300) * 300", **ct))
    yield [tuple(r.values()) for batch in df.collect() for r in batch.to_pylist()]


ENGINES = {"duckdb": run_duckdb, "chdb": run_chdb, "polars": run_polars, "datafusion": run_datafusion}


def text(v):
    return "" if v is None else str(int(v)) if isinstance(v, float) and v == int(v) else str(v)


def answer(rows):
    """Number of rows and hash of an answer."""
    lines = sorted("|".join(text(v) for v in r) for r in rows)
    return {"rows": len(lines), "hash": hashlib.md5("\n".join(lines).encode()).hexdigest()[:12]}


def main(engine, q, source, form="careful"):
    start = time.perf_counter()
    steps = ENGINES[engine](q, os.path.join(DIR, PATHS.get(source, source)), source, form != "naive")
    next(steps)
    loaded = time.perf_counter()
    rows = next(steps)
    done = time.perf_counter()
    print(json.dumps({"load": round(loaded - start, 3), "query": round(done - loaded, 3), **answer(rows)}), flush=True)
    os._exit(0)  # no engine's slow teardown


if __name__ == "__main__":
    main(*sys.argv[1:])
