//! Puts the rules of `queries/` into the program: a table of names and texts, in order of name.

use std::fmt::Write;
use std::path::{Path, PathBuf};

fn main() {
    let queries = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../queries");
    let mut files = Vec::new();
    walk(&queries, &mut files);
    files.sort();
    let mut table = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&queries).expect("was found below").to_string_lossy().replace('\\', "/");
        let _ = writeln!(table, "    ({name:?}, include_str!({:?})),", file.display().to_string());
    }
    table.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it"));
    std::fs::write(out.join("pack.rs"), table).expect("the output folder can be written");
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    println!("cargo::rerun-if-changed={}", folder.display());
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if matches!(path.extension().and_then(|e| e.to_str()), Some("bsq" | "jsonl")) {
            println!("cargo::rerun-if-changed={}", path.display());
            files.push(path);
        }
    }
}
