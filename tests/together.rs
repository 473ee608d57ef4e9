//! Many queries in one pass give what each gives alone, over rows of which some texts hardly repeat: those are not kept, so
//! some of the queries look at the rows as they are read, others once all are there, and a few read the source twice.

use backsight_engine::error::Error;
use backsight_engine::plan::{CompileSettings, Plan, SourceRef};
use backsight_engine::source::{Catalog, Flow, Source};
use backsight_engine::value::column::Batch;
use backsight_engine::{Ctl, compile, run, run_all};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// More than it takes to notice that ids hardly repeat, for each of several workers.
const ROWS: usize = 20_000;

/// Requests of eight days in the order of time; the ids of two of them are those of others.
fn lines() -> String {
    let mut out = String::new();
    for i in 0..ROWS {
        let id = if i == ROWS - 5 || i == 10_000 { 41 } else { i };
        let (day, second) = (i * 8 / ROWS + 1, i * 8 % ROWS * 86_400 / ROWS);
        let time = format!("2025-11-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
        let (ip, status) = (i * i % 1009 % 250, [200, 200, 200, 401, 500][i * 7919 % 5]);
        let method = if i > ROWS * 7 / 8 && i % 100 == 0 { "DELETE" } else { "GET" };
        let _ = writeln!(
            out,
            "{{\"@timestamp\":\"{time}\",\"id\":\"{:08x}-{id:08x}-of-a-request\",\"ip\":\"10.0.{}.{ip}\",\"status\":{status},\
             \"method\":\"{method}\",\"path\":\"/items/{}\"}}",
            id.wrapping_mul(0x9e37_79b9) as u32,
            ip % 3,
            i % 400,
        );
    }
    out
}

const QUERIES: &[&str] = &[
    "stats count(*) as n, min(@timestamp), max(@timestamp), count(id) as ids",
    "stats count(*) as n by id | filter n > 1",
    "stats count(*) as n by id | filter n > 2 and ispresent(id)",
    "stats count(*) as n by id | filter n > 3",
    "stats count_distinct(id) as ids by ip, bin(1h) as w | filter ids >= 3",
    "filter id like /7a/ | stats count(*) as n by ip | filter n > 4",
    "filter status = 401 | stats count(*) as n by ip, bin(1h) as w | filter n >= 2",
    "stats count_distinct(path) as paths by ip, bin(1d) as w | filter paths >= 20",
    "stats count(*) as n by path | filter n > 49",
    "firstseen method by ip history 7d",
    "firstseen id by method history 7d | filter id like /00/ | limit 20",
    "sequence by ip within 1h [ fail: status = 401 at least 2 ; ok: status = 500 ]",
    "filter status = 500 | stats count(*) as n by substr(id, 0, 2) as start | filter n > 12",
];

struct Logs(tempfile::TempDir);

impl Catalog for Logs {
    fn open(&self, _: &[SourceRef]) -> Result<Arc<dyn Source + Send>, Error> {
        let paths: Vec<PathBuf> = vec![self.0.path().join("lines.ndjson")];
        let options = backsight_io::Options { morsel: 64 << 10, ..backsight_io::Options::default() };
        Ok(Arc::new(backsight_io::open(&paths, options)?))
    }
}

fn add(batch: &Batch, out: &mut Vec<String>) {
    let cell = |column: &backsight_engine::value::column::Column, row: usize| {
        String::from_utf8_lossy(&column.get(row).text().unwrap_or_default()).into_owned()
    };
    out.extend((0..batch.rows).map(|row| batch.columns.iter().map(|c| cell(c, row) + "\t").collect::<String>()));
}

#[test]
fn many_queries_give_what_each_gives_alone() {
    let logs = Logs(tempfile::tempdir().expect("a folder"));
    std::fs::write(logs.0.path().join("lines.ndjson"), lines()).expect("written");
    let settings = CompileSettings { pushdown: true, ..CompileSettings::default() };
    let plans: Vec<Plan> = QUERIES.iter().map(|text| compile(text, &settings).expect(text).plan).collect();
    let ctl = |threads: usize| Ctl::new(threads).expect("threads");
    let alone = |plan: &Plan| {
        let mut rows = Vec::new();
        let mut out = |batch: Batch| {
            add(&batch, &mut rows);
            Ok(Flow::More)
        };
        run(plan, &logs, &settings.clock, &ctl(1), &mut out).expect("an answer");
        rows
    };
    let expected: Vec<Vec<String>> = plans.iter().map(alone).collect();
    let empty: Vec<usize> = (0..plans.len()).filter(|i| expected[*i].is_empty()).collect();
    assert_eq!(empty, [3], "all but one find something");
    let those: Vec<&Plan> = plans.iter().collect();
    for (name, ctl) in [
        ("one thread", ctl(1)),
        ("two threads", ctl(2)),
        ("groups counted first", ctl(2).with_groups_kept(0)),
        ("little kept", ctl(2).with_rows_kept(200_000)),
        ("nothing kept", ctl(2).with_rows_kept(0)),
        ("nothing kept, groups counted first", ctl(2).with_rows_kept(0).with_groups_kept(0)),
        ("in small parts", ctl(2).with_parts_of(100)),
        ("through files", ctl(2).with_eager_spill(Box::new(backsight_io::TemporaryFiles))),
    ] {
        let mut found: Vec<Vec<String>> = plans.iter().map(|_| Vec::new()).collect();
        let mut out = |plan: usize, batch: Batch| {
            add(&batch, &mut found[plan]);
            Ok(Flow::More)
        };
        let outcomes = run_all(&those, &logs, &settings.clock, &ctl, &mut out).expect("a pass");
        assert!(outcomes.iter().all(Result::is_ok));
        for ((query, expected), found) in QUERIES.iter().zip(&expected).zip(&found) {
            assert!(found == expected, "{name}: {query}: {} rows instead of {}", found.len(), expected.len());
        }
    }
}
