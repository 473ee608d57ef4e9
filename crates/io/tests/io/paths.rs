//! What a person may name on the command line.

use super::{read, scan};
use backsight_engine::error::Error;
use backsight_engine::source::{Source, Weight};
use backsight_io::{Options, open};
use std::path::{Path, PathBuf};

/// A tree of files; each holds its own name as field `f`.
fn tree(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    for file in files {
        let path = dir.path().join(file);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(&path, format!("{{\"f\":\"{file}\"}}\n")).expect("written");
    }
    dir
}

fn found(paths: &[PathBuf]) -> Result<Vec<String>, Error> {
    let files = open(paths, Options::default())?;
    let pass = read(&files, &scan(&["f"]));
    assert!(pass.error.is_none(), "{:?}", pass.error);
    Ok(pass.column(0).into_iter().map(str::to_owned).collect())
}

fn why(paths: &[PathBuf]) -> String {
    match open(paths, Options::default()) {
        Err(Error::Input { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn directories_are_walked_in_order_of_names() {
    let dir = tree(&["b.json", "a/2.json", "a/1.json", "c/x/y.log", ".hidden/h.json", "a/.h", "README.md", "_SUCCESS"]);
    let root = dir.path().to_owned();
    assert_eq!(found(std::slice::from_ref(&root)).expect("logs"), ["a/1.json", "a/2.json", "b.json", "c/x/y.log"]);
    let files = open(std::slice::from_ref(&root), Options::default()).expect("logs");
    let mut skipped: Vec<_> =
        files.notes().iter().map(|n| Path::new(&n.file).strip_prefix(&root).expect("below").to_owned()).collect();
    skipped.sort();
    assert_eq!(skipped, [".hidden", "README.md", "_SUCCESS", "a/.h"].map(PathBuf::from));
    let streams: Vec<_> = files.inputs().iter().map(|i| i.stream.clone()).collect();
    assert_eq!(streams, ["a/1.json", "a/2.json", "b.json", "c/x/y.log"]);
    assert_eq!(files.size(), Some(files.inputs().iter().filter_map(|i| i.size).sum()));
}

#[test]
fn patterns() {
    let dir = tree(&["a/1.json", "a/2.json", "a/3.log", "b/1.json", "b/deep/1.json", "c[1].json"]);
    for (pattern, expected) in [
        ("a/*.json", &["a/1.json", "a/2.json"][..]),
        ("*/1.json", &["a/1.json", "b/1.json"]),
        ("**/1.json", &["a/1.json", "b/1.json", "b/deep/1.json"]),
        ("{a,b}/[12].json", &["a/1.json", "a/2.json", "b/1.json"]),
        ("b*", &["b/1.json", "b/deep/1.json"]),
        ("c[1].json", &["c[1].json"]),
    ] {
        assert_eq!(found(&[dir.path().join(pattern)]).expect(pattern), expected, "{pattern}");
    }
    assert_eq!(why(&[dir.path().join("x*.json")]), "no log matches this pattern");
}

#[test]
fn what_is_not_there() {
    let dir = tree(&["README.md"]);
    assert_eq!(why(&[dir.path().to_owned()]), "no log in this directory");
    assert_eq!(why(&[dir.path().join("none.json")]), "no such file or directory");
    let options = Options { format: Some("nope".into()), ..Options::default() };
    assert!(matches!(open(&[dir.path().join("README.md")], options), Err(Error::Input { .. })));
    // Named on purpose, any name is fine.
    assert_eq!(found(&[dir.path().join("README.md")]).expect("a file"), ["README.md"]);
}

#[test]
fn a_file_is_read_once() {
    let dir = tree(&["a.json", "b.json"]);
    let paths = [dir.path().join("b.json"), dir.path().to_owned(), dir.path().to_owned()];
    assert_eq!(found(&paths).expect("logs"), ["b.json", "a.json"]);
    let files = open(&paths, Options::default()).expect("logs");
    assert_eq!(files.notes().len(), 3);
    assert!(files.notes().iter().all(|n| n.message.starts_with("the same file as")));
}

#[cfg(unix)]
#[test]
fn links_loops_and_pipes() {
    use std::os::unix::fs::symlink;
    let dir = tree(&["a/1.json"]);
    symlink(dir.path().join("a"), dir.path().join("a/loop")).expect("link");
    symlink(dir.path().join("a/1.json"), dir.path().join("z.json")).expect("link");
    symlink("nowhere", dir.path().join("dangling.json")).expect("link");
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    assert_eq!(found(&[dir.path().to_owned()]).expect("logs"), ["a/1.json"]);
    let files = open(&[dir.path().to_owned()], Options::default()).expect("logs");
    let mut notes: Vec<_> = files
        .notes()
        .iter()
        .map(|n| (Path::new(&n.file).file_name().expect("a name").to_string_lossy().into_owned(), n.weight))
        .collect();
    notes.sort();
    let expected = [
        ("dangling.json", Weight::Damage),
        ("fifo", Weight::Notice),
        ("loop", Weight::Notice),
        ("z.json", Weight::Notice),
    ];
    assert_eq!(notes, expected.map(|(name, weight)| (name.to_owned(), weight)));
    // A pipe named on purpose is read, as often as asked.
    let writer = std::thread::spawn({
        let fifo = fifo.clone();
        move || std::fs::write(fifo, "{\"f\":\"piped\"}\n")
    });
    let files = open(&[fifo], Options::default()).expect("a pipe");
    for _ in 0..2 {
        assert_eq!(read(&files, &scan(&["f"])).column(0), ["piped"]);
    }
    writer.join().expect("no panic").expect("written");
}

#[test]
fn content_decides_not_the_name() {
    let dir = tree(&[]);
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).expect("written");
    write("1.gz", b"{\"f\":\"plain\"}\n");
    write("2.json", &super::damage::gzip(b"{\"f\":\"gzip\"}\n"));
    write("3.log", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    write("4.log", b"7z\xbc\xaf\x27\x1c and so on");
    let paths = [dir.path().to_owned()];
    assert_eq!(found(&paths).expect("logs"), ["plain", "gzip"]);
    let files = open(&paths, Options::default()).expect("logs");
    let pass = read(&files, &scan(&["f"]));
    let notes = |weight| pass.notes(weight).iter().map(|n| n.message.clone()).collect::<Vec<_>>();
    let told = ["text", "gzip"].map(|content| format!("but its content is {content}: read as that"));
    let notices = notes(Weight::Notice);
    assert!(notices[0].ends_with(&told[0]) && notices[1].ends_with(&told[1]), "{notices:?}");
    assert_eq!(notices[2..], ["skipped: an image"]);
    assert_eq!(notes(Weight::Damage), ["not a log: a 7z archive, which cannot be read"]);
    // Alone, it is an error: nothing could be read.
    let alone = open(&[dir.path().join("4.log")], Options::default()).expect("a file");
    assert!(matches!(read(&alone, &scan(&["f"])).error, Some(Error::Input { .. })));
    let codecs: Vec<_> =
        files.inputs()[..2].iter().map(|i| files.detect(i).expect("read").codec.map(|c| c.name)).collect();
    assert_eq!(codecs, [None, Some("gzip")]);
}

#[test]
fn folders_give_fields() {
    let dir = tree(&["dt=2024-05-01/f=x/1.json", "dt=2024-05-02/1.json"]);
    let files = open(&[dir.path().to_owned()], Options::default()).expect("logs");
    let pass = read(&files, &scan(&["dt", "f"]));
    assert_eq!(pass.column(0), ["2024-05-01", "2024-05-02"]);
    // What the data says goes first.
    assert_eq!(pass.column(1), ["dt=2024-05-01/f=x/1.json", "dt=2024-05-02/1.json"]);
}

#[test]
fn positions_are_in_order_over_files() {
    let dir = tree(&["1.json", "2.json"]);
    let files = open(&[dir.path().to_owned()], Options::default()).expect("logs");
    let begins: Vec<u64> = files.inputs().iter().map(|i| i.position(0)).collect();
    assert!(begins[0] < begins[1]);
    assert_eq!(read(&files, &scan(&[])).positions, begins);
}
