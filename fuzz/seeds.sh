#!/bin/sh
# Seeds for the readers' targets, made from the fixtures.
set -eu
cd "$(dirname "$0")/.."
for target in json text tables codecs containers parquet; do mkdir -p "fuzz/corpus/$target"; done
seed() { head -c 4096 "$3" | { printf '%b' "\\$2"; cat; } >"fuzz/corpus/$1/$2-$(basename "$3")"; }
find fixtures -type f -name '*.json*' -o -type f -name '*.ndjson' | while read -r file; do
    # The first byte: as what it looks like, and as each dialect.
    for first in 000 001 002 003 004 005 006; do seed json "$first" "$file"; done
done
find fixtures -type f \( -name '*.log' -o -name '*.txt' \) | while read -r file; do
    for first in 000 001 002 003 004 005 006 007 010 011; do seed text "$first" "$file"; done
done
find fixtures -type f \( -name '*.csv' -o -name '*.tsv' \) | while read -r file; do
    for first in 000 001 002; do seed tables "$first" "$file"; done
done
cp fixtures/access/parquet/*.parquet fuzz/corpus/parquet/
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -c 1500 fixtures/access/numbers/access.ndjson >"$work/a.json"
head -c 300 fixtures/alb/access.log >"$work/b.log"
codecs=fuzz/corpus/codecs
for compress in gzip zstd bzip2 xz lz4; do
    command -v "$compress" >/dev/null || continue
    "$compress" -c <"$work/a.json" >"$codecs/$compress"
    { cat "$codecs/$compress"; "$compress" -c <"$work/b.log"; } >"$codecs/$compress-twice"
    gzip -c <"$codecs/$compress" >"$codecs/gzip-of-$compress"
done
tar -C "$work" -cf fuzz/corpus/containers/tar a.json b.log
gzip -c <fuzz/corpus/containers/tar >fuzz/corpus/containers/tar.gz
if command -v python3 >/dev/null; then
    (cd "$work" && python3 -m zipfile -c stored.zip a.json b.log)
    cp "$work/stored.zip" fuzz/corpus/containers/
    python3 - "$work" fuzz/corpus/containers/deflated.zip <<'PYTHON'
import sys, zipfile
with zipfile.ZipFile(sys.argv[2], "w", zipfile.ZIP_DEFLATED) as out:
    for name in "a.json", "b.log", "stored.zip":
        out.write(f"{sys.argv[1]}/{name}", name)
PYTHON
fi
