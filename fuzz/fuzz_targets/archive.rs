//! An archive in which bytes are changed is read, or refused.

#![no_main]

use backsight_engine::Ctl;
use backsight_fuzz::readers::hold;
use backsight_io::archive::{Settings, convert};
use backsight_io::{Options, open};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

/// What is converted: records, records beside text, and text.
const EXPORTS: &[&str] = &[
    "{\"n\":1,\"a\":{\"b\":[1,2]},\"x\":\"é\"}\n{\"n\":\"2\",\"a\":null}\n{\"n\":1.50,\"n\":2}\nno record\n",
    "{\"Records\":[{\"eventVersion\":\"1.08\",\"eventTime\":\"2024-01-01T00:00:00Z\",\"eventName\":\"error\"}]}",
    "2024-01-01T00:00:00.000Z error 1\n2024-01-01T00:00:01.000Z {\"n\":1}\n\tat x\n",
];

/// The archives.
static ARCHIVES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("backsight-fuzz-archives-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder to write to");
    let archives = EXPORTS.iter().map(|export| {
        let (log, target) = (folder.join("log"), folder.join("archive.parquet"));
        std::fs::write(&log, export).expect("written");
        let settings = Settings { target: target.clone(), force: true, ..Settings::default() };
        let files = open(&[log], Options::default()).expect("a file");
        convert(&files, &settings, &Ctl::new(1).expect("a thread")).expect("an archive");
        std::fs::read(target).expect("an archive")
    });
    archives.collect()
});

fuzz_target!(|data: (u8, Vec<(u16, u8)>)| {
    let (which, changes) = data;
    let mut bytes = ARCHIVES[usize::from(which) % ARCHIVES.len()].clone();
    let len = bytes.len();
    for (at, byte) in changes {
        bytes[usize::from(at) % len] ^= byte;
    }
    hold(Some("parquet"), &bytes);
});
