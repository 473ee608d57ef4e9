//! How fast files are read: `scan_rate PATH [FIELD…]`, on one thread and on two.

use backsight_engine::source::{Counters, Field, Flow, Morsels, Scan, Source};
use backsight_io::{Options, open};
use backsight_lang::ast::{Path, Segment};
use backsight_lang::span::Span;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

fn main() -> Result<(), backsight_engine::error::Error> {
    let mut arguments = std::env::args().skip(1);
    let files = open(&[arguments.next().unwrap_or_default().into()], Options::default())?;
    let want: Vec<Field> = arguments
        .map(|name| {
            let segments = name.split('.').map(|n| Segment::Name { text: n.into(), quoted: false }).collect();
            Field::named(&Path { segments, span: Span::default() })
        })
        .collect();
    let scan = Scan { want, ..Scan::default() };
    for threads in [1, 2, 1, 2] {
        let counters = Counters::default();
        let start = Instant::now();
        let morsels = files.open(&scan, &counters)?;
        let rows = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| work(&*morsels, &rows));
            }
        });
        drop(morsels);
        let (seconds, bytes) = (start.elapsed().as_secs_f64(), Counters::get(&counters.bytes));
        println!(
            "{threads} threads: {} rows, {seconds:.3} s, {:.2} GB/s",
            rows.into_inner(),
            bytes as f64 / seconds / 1e9
        );
    }
    Ok(())
}

fn work(morsels: &dyn Morsels, rows: &AtomicUsize) {
    while let Some(morsel) = morsels.next() {
        let result = morsel.read(&mut |batch| {
            rows.fetch_add(std::hint::black_box(&batch).rows, Ordering::Relaxed);
            Ok(Flow::More)
        });
        if let Err(error) = result {
            eprintln!("{error}");
        }
    }
}
