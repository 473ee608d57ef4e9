//! Benchmark data generator. Same (seed, rows) => same bytes, whatever the thread or file count.
//!
//!   gen access     --rows 5000000 --out access.ndjson             one NDJSON file
//!   gen access     --rows 5000000 --files 16 --out DIR            DIR/access-00.json.gz ...
//!   gen cloudtrail --rows 380000 --files 200 --out DIR            DIR/ct-000.json.gz, {"Records":[...]}
//!
//! Common options: --seed N (default 7), --threads N (default: cores).

mod access;
mod cloudtrail;
mod rng;

use std::{fs, io::Write, path::Path, thread};

/// Rows are made in blocks; block b has its own random stream, so blocks can be made in any order.
pub const BLOCK: u64 = 8192;

struct Opt {
    rows: u64,
    seed: u64,
    files: u64,
    threads: usize,
    out: String,
}

fn options(args: &[String]) -> Opt {
    let get = |key: &str| args.iter().position(|a| a == key).and_then(|i| args.get(i + 1)).cloned();
    let num = |key: &str, default: u64| get(key).map_or(default, |v| v.parse().expect(key));
    let cores = thread::available_parallelism().map_or(1, |n| n.get()) as u64;
    Opt {
        rows: num("--rows", 100_000),
        seed: num("--seed", 7),
        files: num("--files", 0),
        threads: num("--threads", cores) as usize,
        out: get("--out").expect("--out PATH is needed"),
    }
}

/// Make blocks `lo..hi` on all threads, hand them to `sink` in order.
fn in_order(o: &Opt, lo: u64, hi: u64, make: &(dyn Fn(u64) -> Vec<u8> + Sync), sink: &mut dyn FnMut(&[u8])) {
    let mut b = lo;
    while b < hi {
        let end = hi.min(b + o.threads as u64 * 4);
        let made: Vec<Vec<u8>> = thread::scope(|s| {
            let per = (end - b).div_ceil(o.threads as u64).max(1);
            let handles: Vec<_> = (b..end)
                .step_by(per as usize)
                .map(|start| s.spawn(move || (start..end.min(start + per)).map(make).collect::<Vec<_>>()))
                .collect();
            handles.into_iter().flat_map(|h| h.join().unwrap()).collect()
        });
        made.iter().for_each(|block| sink(block));
        b = end;
    }
}

fn gz(path: &Path, write: impl FnOnce(&mut dyn Write)) {
    let mut w = flate2::write::GzEncoder::new(fs::File::create(path).unwrap(), flate2::Compression::new(6));
    write(&mut w);
    w.finish().unwrap();
}

/// Run `job` for every file number, spread over the threads.
fn each_file(o: &Opt, job: &(dyn Fn(u64) + Sync)) {
    thread::scope(|s| {
        for t in 0..o.threads as u64 {
            s.spawn(move || (t..o.files).step_by(o.threads).for_each(job));
        }
    });
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let kind = args.first().map(String::as_str).unwrap_or("");
    let o = options(&args);
    match kind {
        "access" => {
            let world = access::World::new(o.seed, o.rows);
            let make = |b: u64| world.block(b);
            let blocks = o.rows.div_ceil(BLOCK);
            if o.files == 0 {
                let mut w = fs::File::create(&o.out).unwrap();
                in_order(&o, 0, blocks, &make, &mut |block| w.write_all(block).unwrap());
            } else {
                fs::create_dir_all(&o.out).unwrap();
                each_file(&o, &|f| {
                    let path = Path::new(&o.out).join(format!("access-{f:02}.json.gz"));
                    gz(&path, |w| {
                        (blocks * f / o.files..blocks * (f + 1) / o.files)
                            .for_each(|b| w.write_all(&world.block(b)).unwrap())
                    });
                });
            }
        }
        "cloudtrail" => {
            fs::create_dir_all(&o.out).unwrap();
            let files = o.files.max(1);
            let o = Opt { files, ..o };
            each_file(&o, &|f| {
                let (lo, hi) = (o.rows * f / files, o.rows * (f + 1) / files);
                let path = Path::new(&o.out).join(format!("ct-{f:03}.json.gz"));
                gz(&path, |w| w.write_all(&cloudtrail::file(o.seed, lo, hi, o.rows)).unwrap());
            });
        }
        _ => {
            eprintln!("gen access|cloudtrail --rows N --out PATH [--files N] [--seed N]");
            std::process::exit(2)
        }
    }
}
