//! The fast ways of reading against the plain ones, over lines made at random.

use super::follow::Follow;
use super::index::{Index, Indexing};
use super::odd::{Keys, repeats};
use super::simd::{Level, dispatch};
use super::skim::{Needles, Skim, Sought};
use super::walk;
use super::wanted::{Hits, Tree};
use super::ways::Ways;
use backsight_lang::ast::Segment;

/// A sequence of numbers without pattern (Vigna, "splitmix64").
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.next(all.len())]
    }
}

fn space(random: &mut Random, out: &mut String) {
    if random.next(12) == 0 {
        out.push_str(random.of(&[" ", "  ", "\t", " \r "]));
    }
}

fn string(random: &mut Random, out: &mut String) {
    out.push('"');
    for _ in 0..random.next(4) {
        out.push_str(random.of(&[
            "a",
            "bc",
            "status",
            "é",
            "ſ",
            "{",
            "}",
            "[",
            ":,",
            " ",
            "\\\\",
            "\\\"",
            "\\n",
            "\\u00e9",
            "\\ud800",
            "needle",
            "a long text that goes on and on, for more than a block of sixty-four bytes, as some do",
        ]));
    }
    out.push('"');
}

fn value(random: &mut Random, depth: usize, out: &mut String) {
    match random.next(if depth > 3 { 5 } else { 8 }) {
        0 => out.push_str(random.of(&["0", "-1", "12", "3.5e+7", "1234567890123456789012", "true", "false", "null"])),
        1..=4 => string(random, out),
        5 => {
            out.push('[');
            for i in 0..random.next(4) {
                if i > 0 {
                    out.push(',');
                }
                space(random, out);
                value(random, depth + 1, out);
                space(random, out);
            }
            out.push(']');
        }
        _ => map(random, depth + 1, out),
    }
}

fn map(random: &mut Random, depth: usize, out: &mut String) {
    out.push('{');
    space(random, out);
    for i in 0..random.next(7) {
        if i > 0 {
            out.push(',');
        }
        space(random, out);
        match random.next(8) {
            0 => string(random, out),
            _ => out.push_str(random.of(&[
                "\"a\"",
                "\"b\"",
                "\"bc\"",
                "\"@message\"",
                "\"a.b\"",
                "\"\\u0061\"",
                "\"0\"",
            ])),
        }
        space(random, out);
        out.push(':');
        space(random, out);
        value(random, depth, out);
        space(random, out);
    }
    out.push('}');
}

/// A line: mostly an object, sometimes with something wrong about it.
fn line(random: &mut Random) -> Vec<u8> {
    let mut text = String::new();
    space(random, &mut text);
    map(random, 0, &mut text);
    space(random, &mut text);
    let mut line = text.into_bytes();
    for _ in 0..[0, 0, 0, 1, 2][random.next(5)] {
        let at = random.next(line.len());
        match random.next(4) {
            0 => drop(line.remove(at)),
            1 => line.insert(at, b"\"\\{}[]:,0 \x01\x0c\xff"[random.next(13)]),
            2 => line.truncate(at),
            _ => line[at] = b"\"\\{}[]:,0 \x01\x0c\xff"[random.next(13)],
        }
        if line.is_empty() {
            break;
        }
    }
    line
}

fn rounds() -> usize {
    std::env::var("BACKSIGHT_RANDOM").ok().and_then(|n| n.parse().ok()).unwrap_or(4000)
}

/// A tree of some paths; with or without one that leads to an element of a list.
fn tree(indexed: bool) -> Tree {
    let name = |text: &str| Segment::Name { text: text.into(), quoted: false };
    let mut tree = Tree::new(super::USUAL);
    let paths = [vec![name("a")], vec![name("b"), name("bc")], vec![name("bc")], vec![name("a"), Segment::Index(0)]];
    paths.iter().take(if indexed { 4 } else { 3 }).for_each(|path| drop(tree.add(path)));
    tree
}

fn all(tree: &Tree, hits: &Hits) -> Vec<Option<super::wanted::Hit>> {
    (0..tree.size().0 as u32).map(|leaf| hits.get(leaf)).collect()
}

#[test]
fn following_finds_what_the_cursor_finds() {
    let mut random = Random(23);
    let mut earlier: Vec<Vec<u8>> = Vec::new();
    let trees = [tree(true), tree(false)];
    let mut ways = [Ways::default(), Ways::default()];
    let mut followed = 0;
    for round in 0..rounds() {
        // Most records are like one before, or have something of it changed.
        let mut text = match earlier.len() {
            0 => line(&mut random),
            _ if random.next(4) == 0 => line(&mut random),
            n => earlier[random.next(n)].clone(),
        };
        if random.next(3) == 0 && !text.is_empty() {
            let at = random.next(text.len());
            text[at] = b"\"\\{}[]:,019e-.ax \x01\xff"[random.next(19)];
        }
        if earlier.len() < 40 {
            earlier.push(text.clone());
        } else {
            earlier[round % 40].clone_from(&text);
        }
        let before = random.next(3);
        let mut data = vec![b'"'; before];
        data.extend_from_slice(&text);
        if random.next(4) > 0 {
            data.extend_from_slice(b",\"\\{");
            data.resize(data.len() + random.next(140), b'"');
        }
        let shown = String::from_utf8_lossy(&text);
        for (tree, ways) in trees.iter().zip(&mut ways) {
            let (mut expected, mut found, mut quotes) = (tree.hits(), tree.hits(), Vec::new());
            let plain = tree.find(&text, true, &mut expected);
            for level in Level::all() {
                let (hits, end) = (&mut found, before + text.len());
                let follow = Follow { data: &data, start: before, end, ways, hits, quotes: &mut quotes };
                let Some(seen) = dispatch(level, follow) else { continue };
                followed += 1;
                assert!(plain.is_ok() && !repeats(&text), "{level:?}, round {round}: {shown}");
                assert_eq!((seen.high, seen.slashed), (!text.is_ascii(), text.contains(&b'\\')));
                assert_eq!(all(tree, &found), all(tree, &expected), "{level:?}, round {round}: {shown}");
            }
            if plain.is_ok() {
                ways.learn(&text, tree);
            }
        }
    }
    assert!(followed > rounds() / 8, "{followed} were followed");
}

#[test]
fn walking_by_tokens_finds_what_the_cursor_finds() {
    let tree = tree(true);
    let mut random = Random(7);
    let (mut expected, mut found, mut index) = (tree.hits(), tree.hits(), Index::default());
    let mut keys = Keys::default();
    for round in 0..rounds() {
        let text = line(&mut random);
        if text.contains(&b'\n') {
            continue;
        }
        let mut data = text.clone();
        if random.next(3) > 0 {
            data.extend_from_slice(b"\n{\"a\": \"\\");
        }
        let plain = tree.find(&text, true, &mut expected);
        for level in Level::all() {
            assert!(dispatch(level, Indexing { data: &data, at: 0, index: &mut index }));
            assert_eq!(index.len, text.len());
            assert_eq!((index.high, index.slashed), (!text.is_ascii(), text.contains(&b'\\')));
            let fast = walk::find(&tree, &text, &index, &mut found, &mut keys);
            let shown = String::from_utf8_lossy(&text);
            assert_eq!(fast.is_ok(), plain.is_ok(), "{level:?}, round {round}: {shown}");
            if plain.is_ok() {
                assert!(keys.may_repeat || !repeats(&text), "{level:?}, round {round}: {shown}");
                assert_eq!(all(&tree, &found), all(&tree, &expected), "{level:?}, round {round}: {shown}");
            }
        }
    }
}

#[test]
fn skimming_leaves_nothing_out() {
    let mut random = Random(11);
    for round in 0..rounds() / 20 {
        let mut data = Vec::new();
        for _ in 0..random.next(12) {
            match random.next(10) {
                0 => data
                    .extend_from_slice(random.of(&["", " ", "no json", "\r", "{}", "{\"a\":\"Needle\"} "]).as_bytes()),
                _ => data.extend(line(&mut random)),
            }
            data.extend_from_slice(random.of(&["\n", "\n", "\n", "\r\n"]).as_bytes());
        }
        data.extend(line(&mut random));
        for conditions in [vec![], vec![vec![b"needle".to_vec()]], vec![vec![b"a".to_vec(), b"Status".to_vec()]]] {
            let needles = Needles::new(&conditions);
            let needles = needles.get(&data);
            for level in Level::all() {
                let (mut at, mut passed, mut read) = (0, 0, 0);
                while at < data.len() {
                    let before = (at, passed);
                    at = dispatch(level, Skim { data: &data, at, needles, passed: &mut passed });
                    let over = &data[before.0..at];
                    assert_eq!(passed - before.1, memchr::memchr_iter(b'\n', over).count() as u64, "round {round}");
                    for line in over.split_inclusive(|b| *b == b'\n') {
                        let text = line.trim_ascii_end();
                        assert!(text.starts_with(b"{") && text.ends_with(b"}"), "an object by its looks");
                        assert!(std::str::from_utf8(text).is_ok());
                        let lower = String::from_utf8_lossy(text).to_ascii_lowercase().replace('ſ', "s");
                        let held = |c: &Vec<Vec<u8>>| {
                            c.iter().any(|n| lower.contains(&String::from_utf8_lossy(n).to_lowercase()))
                        };
                        assert!(
                            conditions.is_empty() || !text.contains(&b'\\') && !conditions.iter().all(held),
                            "{lower}"
                        );
                    }
                    if at < data.len() {
                        read += 1;
                        at += memchr::memchr(b'\n', &data[at..]).map_or(data.len() - at, |n| n + 1);
                    }
                }
                let lines = data.split_inclusive(|b| *b == b'\n').count() as u64;
                assert_eq!(passed + read, lines, "round {round}, {level:?}");
            }
        }
    }
}

#[test]
fn what_is_sought_is_not_passed_over() {
    let mut random = Random(31);
    let conditions = [vec![b"needle".to_vec(), b"Status".to_vec()]];
    let mut passed = 0;
    for round in 0..rounds() {
        let (before, text) = (line(&mut random), line(&mut random));
        let data = [&before[..], &text, &line(&mut random)].concat();
        let needles = Needles::new(&conditions);
        let needles = needles.get(&data);
        let (start, end) = (before.len(), before.len() + text.len());
        let lower = text.to_ascii_lowercase();
        let holds = |needle: &[u8]| memchr::memmem::find(&lower, needle).is_some();
        let hides = !text.is_ascii() || text.contains(&b'\\');
        for level in Level::all() {
            let is_sought = dispatch(level, Sought { data: &data, start, end, needles });
            assert!(is_sought || !hides && !holds(b"needle") && !holds(b"status"), "{level:?}, round {round}");
            passed += usize::from(!is_sought);
        }
    }
    assert!(passed > rounds() / 4, "{passed} were passed over");
}
