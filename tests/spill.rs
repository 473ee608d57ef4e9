//! More than fits into memory: the same answer by way of temporary files, and a clean end where these fail.

use backsight_engine::error::Error;
use backsight_engine::plan::{CompileSettings, SourceRef};
use backsight_engine::source::{Catalog, Flow, Source};
use backsight_engine::{Ctl, Scratch, ScratchFile, compile, run};
use std::fmt::Write as _;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One query for everything that keeps rows or groups.
const QUERIES: &[&str] = &[
    "stats count(*) as n, sum(x) as s, avg(f), min(who), max(x), stddev(x) by who, k | sort n desc, who, k",
    "stats count_distinct(id) as d, count(*) as n",
    "stats count_distinct(id) as d, values(k) as v, topk(3, k), latest(id), earliest(x) by who | sort who",
    "stats pct(x, 50), pct(x, 99.9), median(f), histogram(x, 4), rate(x, 1m)",
    "stats pct(x, 90) as p by k | sort p desc, k",
    "stats count(*) as n by who | stats count(*), sum(n) as s by n | sort n",
    "fields @timestamp, who, x, id",
    "fields id, x | sort x desc, id",
    "fields who, f | sort f, who | limit 1500",
    "fields who, k | dedup who, k",
    "fields id, k | dedup id | stats count(*)",
    "fields id, who, x | sort id | limit any 2000 | stats count(*)",
    "fields who, x | filter x < 40 | join type=left left=a right=b where a.x = b.x (fields x, id | filter x > 30) \
     | fields who, x, b.id | sort x, who, b.id",
    "fields x | filter x in (filter k = \"k3\" | fields x | limit 50) | stats count(*) by x",
    "fields who, x | limit 900 | union (fields who, k | limit 800)",
];

const LINES: u64 = 3000;

/// Lines with few and with many different values, some missing, kinds mixed.
fn lines() -> String {
    let mut out = String::new();
    for i in 0..LINES {
        let n = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        let _ = write!(
            out,
            r#"{{"@timestamp":{},"id":"{n:016x}-a-rather-long-identifier""#,
            1_714_560_000_000 + i / 3 * 1000
        );
        if n % 7 > 0 {
            let _ = write!(out, r#","who":"user {}""#, n % 613);
        }
        if n % 11 > 0 {
            let _ = write!(out, r#","x":{}"#, n % 97);
        } else {
            let _ = write!(out, r#","x":"{}""#, n % 97);
        }
        let _ = writeln!(out, r#","f":{}.5,"k":"k{}"}}"#, n % 1009, n % 5);
    }
    out
}

/// The lines as a source, in pieces that give several workers something to do.
struct Lines {
    folder: tempfile::TempDir,
}

impl Lines {
    fn new() -> Lines {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("lines.ndjson"), lines()).expect("a temporary file");
        Lines { folder }
    }

    fn answer(&self, query: &str, ctl: &Ctl) -> Result<String, Error> {
        let compiled = compile(query, &CompileSettings { pushdown: true, ..CompileSettings::default() })?;
        let mut text = String::new();
        run(&compiled.plan, self, &Default::default(), ctl, &mut |batch| {
            for row in 0..batch.rows {
                for column in &batch.columns {
                    let cell = column.get(row);
                    let shown = cell.text().unwrap_or_default();
                    let _ = write!(text, "{:?} {}\t", cell.kind(), String::from_utf8_lossy(&shown));
                }
                text.push('\n');
            }
            Ok(Flow::More)
        })?;
        Ok(text)
    }
}

impl Catalog for Lines {
    fn open(&self, _wanted: &[SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        let paths: Vec<PathBuf> = vec![self.folder.path().join("lines.ndjson")];
        let options = backsight_io::Options { morsel: 16 << 10, ..backsight_io::Options::default() };
        Ok(Arc::new(backsight_io::open(&paths, options)?))
    }
}

/// Temporary files that count, and fail from some write on.
#[derive(Clone, Default)]
struct Counting {
    files: Arc<AtomicU64>,
    open: Arc<AtomicU64>,
    writes: Arc<AtomicU64>,
    /// The first write that fails; 0 for none.
    fails: u64,
}

struct Counted {
    file: std::fs::File,
    of: Counting,
}

impl Scratch for Counting {
    fn file(&self) -> io::Result<Box<dyn ScratchFile>> {
        self.files.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Counted { file: tempfile::tempfile()?, of: self.clone() }))
    }

    fn place(&self) -> String {
        "a test".into()
    }
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let number = self.of.writes.fetch_add(1, Ordering::Relaxed) + 1;
        if self.of.fails > 0 && number >= self.of.fails {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into)
    }
}

impl Seek for Counted {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.of.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn ctl(threads: usize) -> Ctl {
    Ctl::new(threads).expect("threads")
}

#[test]
fn the_answer_is_the_same_by_way_of_files() {
    let lines = Lines::new();
    for query in QUERIES {
        let expected = lines.answer(query, &ctl(1)).unwrap_or_else(|e| panic!("{query}: {e}"));
        for (limit, threads) in [(300 << 10, 2), (0, 3)] {
            let scratch = Counting::default();
            let ctl = match limit {
                0 => ctl(threads).with_eager_spill(Box::new(scratch.clone())),
                limit => ctl(threads).with_memory_limit(limit, Box::new(scratch.clone())),
            };
            let found = lines.answer(query, &ctl).unwrap_or_else(|e| panic!("{query}, limit {limit}: {e}"));
            assert!(found == expected, "{query}, limit {limit}, {threads} threads\n{expected}\n---\n{found}");
            assert!(limit > 0 || scratch.files.load(Ordering::Relaxed) > 0, "{query}: nothing was written");
            assert_eq!(scratch.open.load(Ordering::Relaxed), 0, "{query}: files are left open");
        }
    }
}

#[test]
fn a_full_disk_is_an_error_at_every_write() {
    let lines = Lines::new();
    for query in ["stats count_distinct(id), count(*) by who", "fields id, x | sort x desc, id", "fields id | dedup id"]
    {
        let expected = lines.answer(query, &ctl(1)).expect("an answer");
        let mut fails = 1;
        loop {
            let scratch = Counting { fails, ..Counting::default() };
            let ctl = ctl(2).with_memory_limit(200 << 10, Box::new(scratch.clone()));
            match lines.answer(query, &ctl) {
                Err(Error::Io { what, source }) => {
                    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
                    assert!(what.contains("a test"), "{what}");
                }
                Ok(found) => {
                    assert!(found == expected, "{query}");
                    assert!(fails > 1, "{query}: nothing was written");
                    break;
                }
                Err(other) => panic!("{query}: {other}"),
            }
            assert_eq!(scratch.open.load(Ordering::Relaxed), 0, "{query}: files are left open");
            // Every one of the first, then ever fewer.
            fails += 1 + fails / 8;
        }
    }
}

#[test]
fn what_must_be_in_memory_is_refused() {
    let lines = Lines::new();
    for query in ["sessionize who as s", "stats values(id) as v"] {
        let ctl = ctl(2).with_memory_limit(40 << 10, Box::new(Counting::default()));
        match lines.answer(query, &ctl) {
            Err(Error::Limit(why)) => assert!(why.contains("--memory-limit"), "{why}"),
            other => panic!("{query}: {other:?}"),
        }
    }
}

#[test]
fn a_run_stops_soon_whatever_it_is_at() {
    let lines = Lines::new();
    let mut stopped = 0;
    for (i, query) in QUERIES.iter().cycle().take(4 * QUERIES.len()).enumerate() {
        let ctl = Arc::new(match i % 2 {
            0 => ctl(2).with_eager_spill(Box::new(Counting::default())),
            _ => ctl(2),
        });
        let canceller = {
            let ctl = Arc::clone(&ctl);
            let wait = Duration::from_micros(i as u64 * 7919 % 40_000);
            std::thread::spawn(move || {
                std::thread::sleep(wait);
                ctl.abort();
                Instant::now()
            })
        };
        let ended = lines.answer(query, &ctl);
        let after = Instant::now();
        let asked = canceller.join().expect("no panic");
        match ended {
            Ok(_) => {}
            Err(Error::Cancelled) => stopped += 1,
            Err(other) => panic!("{query}: {other}"),
        }
        let took = after.saturating_duration_since(asked);
        assert!(took < Duration::from_millis(1500), "{query}: stopped only after {took:?}");
    }
    assert!(stopped > 0, "nothing was interrupted");
}

/// `BACKSIGHT_ROWS=20000000 BACKSIGHT_LIMIT=256` (rows, MiB) is the full size; without it, this test only says so.
#[cfg(target_os = "linux")]
#[test]
fn the_peak_is_within_the_limit() {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    let Some(rows) = number("BACKSIGHT_ROWS") else {
        println!("skipped: set BACKSIGHT_ROWS");
        return;
    };
    let limit = number("BACKSIGHT_LIMIT").unwrap_or(256);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("rows.ndjson");
    let mut file = io::BufWriter::new(std::fs::File::create(&path).expect("a temporary file"));
    for i in 0..rows {
        let n = i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
        writeln!(file, r#"{{"k":"key-{i:08}-{:06}","x":{}}}"#, n % 999_983, n % 1000).expect("disk");
    }
    file.flush().expect("disk");
    let queries = ["stats count(*) as n by k", "stats count_distinct(k)", "fields k, x | sort x, k", "fields x, k"];
    for query in queries {
        let (free, free_peak) = peak(query, &path, 1 << 20);
        let (bound, bound_peak) = peak(query, &path, limit);
        println!("{query}: {free_peak} MiB without a limit, {bound_peak} MiB with {limit} MiB");
        assert!(free == bound, "{query}: the answers differ");
        assert!(bound_peak <= limit + 64, "{query}: {bound_peak} MiB");
    }
}

/// A hash of what the binary prints, and the most anonymous memory it had, in MiB.
#[cfg(target_os = "linux")]
fn peak(query: &str, path: &std::path::Path, limit: u64) -> (u64, u64) {
    use std::hash::{DefaultHasher, Hasher};
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("backsight"))
        .args(["query", "--quiet", "--format", "csv", "--memory-limit", &format!("{limit}M"), query])
        .arg(path)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut out = child.stdout.take().expect("a pipe");
    let reader = std::thread::spawn(move || {
        let (mut hasher, mut buffer) = (DefaultHasher::new(), vec![0; 1 << 16]);
        // Chunks come as they will: the hash must not depend on where they end.
        while let Ok(n @ 1..) = out.read(&mut buffer) {
            buffer[..n].iter().for_each(|b| hasher.write_u8(*b));
        }
        hasher.finish()
    });
    let mut most = 0;
    let status = format!("/proc/{}/status", child.id());
    while child.try_wait().expect("a child").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("RssAnon:")).unwrap_or_default();
        most = most.max(line.split_whitespace().next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().expect("a child").success(), "{query}");
    (reader.join().expect("no panic"), most >> 10)
}
