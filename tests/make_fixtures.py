#!/usr/bin/env python3
"""Writes fixtures/access: the same API Gateway access log in several forms.

    python3 tests/make_fixtures.py

Same bytes every time. The log covers two days and holds ordinary traffic plus three stories:

- 198.51.100.23 tries passwords on /v1/login: 184 answers 401 and 12 answers 403 within minutes, then one 200.
- 192.0.2.66 scans: 57 distinct paths that answer 404, some of them asked for more than once.
- 203.0.113.50 as user `batch-export` sends 1 120 requests, evenly spread over the two days.

No other address comes near those numbers, nor does any when the forms are read together as one directory:
counts are then multiplied by the number of forms, so ordinary addresses stay below 1000 / 5 requests each.
Addresses are from the blocks reserved for documentation.
"""

import gzip
import json
import random
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "fixtures" / "access"
START = datetime(2025, 11, 3, tzinfo=timezone.utc)
DAYS = 2

ROUTES = [
    ("GET", "/v1/products", 30), ("GET", "/v1/products/{id}", 40), ("GET", "/v1/orders", 12),
    ("GET", "/v1/orders/{id}", 14), ("POST", "/v1/orders", 6), ("POST", "/v1/login", 5),
    ("GET", "/v1/users/me", 9), ("PUT", "/v1/cart", 7), ("DELETE", "/v1/cart/{id}", 2), ("GET", "/health", 4),
]
PROBES = [
    "/.env", "/.git/config", "/.git/HEAD", "/.aws/credentials", "/.ssh/id_rsa", "/.svn/entries", "/.DS_Store",
    "/admin", "/admin/login", "/administrator/index.php", "/wp-login.php", "/wp-admin/setup-config.php",
    "/wp-content/debug.log", "/wp-config.php.bak", "/xmlrpc.php", "/phpinfo.php", "/phpmyadmin/index.php",
    "/server-status", "/actuator", "/actuator/env", "/actuator/heapdump", "/swagger-ui.html", "/v2/api-docs",
    "/openapi.json", "/graphql", "/console", "/jenkins/login", "/manager/html", "/solr/admin", "/cgi-bin/test.cgi",
    "/config.json", "/config.yml", "/backup.zip", "/backup.sql", "/db.sqlite3", "/dump.sql", "/id_rsa", "/robots.txt",
    "/sitemap.xml", "/api", "/api/v1", "/api/v1/users", "/api/v1/pods", "/api/internal/metrics", "/debug/pprof",
    "/metrics", "/test", "/old", "/shell.php", "/vendor/phpunit/phpunit/phpunit.xml", "/telescope/requests",
    "/_ignition/health-check", "/latest/meta-data/", "/../../etc/passwd", "/..%2f..%2fetc%2fpasswd",
    "/login.action?class.x=1", "/?q=<script>alert(1)</script>",
]
ERRORS = {"401": "Unauthorized", "403": "Forbidden", "404": "Not Found", "429": "Limit Exceeded", "500": "Internal server error"}

rng = random.Random(20251103)


def event(at, ip, method, path, status, user="-", length=None):
    """One record, all values as text, keys in the order the stage's log format names them."""
    request_id = "%08x-%04x-4%03x-a%03x-%012x" % tuple(rng.getrandbits(n) for n in (32, 16, 12, 12, 48))
    return at, {
        "requestId": request_id,
        "ip": ip,
        "caller": "-" if user == "-" else "AIDA" + user.upper().replace("-", "")[:12].ljust(12, "X"),
        "user": user,
        "requestTime": at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "httpMethod": method,
        "resourcePath": path,
        "status": status,
        "protocol": "HTTP/2.0" if rng.random() < 0.2 else "HTTP/1.1",
        "responseLength": str(length if length is not None else rng.randint(80, 9000)),
        "errorMessage": ERRORS.get(status, "-"),
    }


def ordinary():
    """About 1 000 requests from 40 addresses: by day more than by night, few errors."""
    addresses = ["203.0.113.%d" % n for n in range(101, 121)] + ["198.51.100.%d" % n for n in range(101, 121)]
    users = ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"]
    home = {ip: users[i % len(users)] if i % 3 else "-" for i, ip in enumerate(addresses)}
    for _ in range(1000):
        hour = min(23.99, max(0.0, rng.gauss(13.5, 4.0)))
        at = START + timedelta(days=rng.randrange(DAYS), seconds=int(hour * 3600))
        ip = rng.choice(addresses)
        method, path, _ = rng.choices(ROUTES, weights=[w for *_, w in ROUTES])[0]
        status = rng.choices(["200", "201", "304", "401", "403", "404", "429", "500"],
                             weights=[880, 30, 40, 12, 6, 16, 6, 10])[0]
        if status == "404":
            path = rng.choice(["/favicon.ico", "/v1/products/{id}", "/v1/orders/{id}"])
        yield event(at, ip, method, path, status, "-" if status in ("401", "403") else home[ip])


def stuffing():
    at = START + timedelta(hours=2, minutes=41)
    for i in range(196):
        at += timedelta(seconds=rng.choice([0, 1, 1, 2, 3]))
        yield event(at, "198.51.100.23", "POST", "/v1/login", "403" if i % 16 == 15 else "401", length=47)
    yield event(at + timedelta(seconds=4), "198.51.100.23", "POST", "/v1/login", "200", user="heidi", length=512)


def scan():
    at = START + timedelta(days=1, hours=4, minutes=5)
    for path in PROBES + rng.sample(PROBES, 20):
        at += timedelta(seconds=rng.choice([0, 0, 1, 1, 2]))
        yield event(at, "192.0.2.66", "GET", path, "404", length=23)
    yield event(at + timedelta(seconds=1), "192.0.2.66", "GET", "/health", "200", length=15)


def export():
    for i in range(1120):
        at = START + timedelta(seconds=i * (DAYS * 86400 // 1120))
        yield event(at, "203.0.113.50", "GET", "/v1/orders/{id}", "200", user="batch-export")


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def lines(events):
    return "".join(json.dumps(e, separators=(",", ":")) + "\n" for e in events).encode()


def main():
    both = sorted((e for story in (ordinary(), stuffing(), scan(), export()) for e in story), key=lambda e: e[0])
    events = [e for _, e in both]
    write(ROOT / "strings" / "access.ndjson", lines(events))
    numbers = [{k: int(v) if k in ("status", "responseLength") else v for k, v in e.items()} for e in events]
    write(ROOT / "numbers" / "access.ndjson", lines(numbers))
    for day in range(DAYS):
        date = (START + timedelta(days=day)).date()
        data = lines(e for at, e in both if at.date() == date)
        write(ROOT / "gzip" / f"{date}.ndjson.gz", gzip.compress(data, mtime=0))
    parquet(events)


def parquet(events):
    """The same rows as text columns; needs pyarrow (the fixture is kept as it is without it)."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return print("no pyarrow: the Parquet fixture is not written")
    path = ROOT / "parquet" / "access.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist(events)
    pyarrow.parquet.write_table(table, path, compression="zstd", row_group_size=1000)


main()
