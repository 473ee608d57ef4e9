//! What is said after an answer: one line of numbers, then whatever was not clean.

use crate::escape;
use crate::exit;
use backsight_engine::Outcome;
use backsight_engine::source::{COUNTS, Counters, FileCount, Note, Weight};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Findings listed one by one; more than these are only counted.
const LISTED: usize = 20;

/// The numbers of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    /// Rows of the answer.
    pub(crate) rows: u64,
    /// Records read.
    pub(crate) records: u64,
    /// Bytes of records, decompressed.
    pub(crate) bytes: u64,
    /// Bytes of input files that were in fact read.
    pub(crate) bytes_read: u64,
    /// Row groups of Parquet that were passed over.
    pub(crate) passed_groups: u64,
    /// All counters with their names, these included.
    pub(crate) counts: Vec<(&'static str, u64)>,
    /// Each file, and each member of an archive, by itself; in source order.
    pub(crate) files: Vec<Arc<FileCount>>,
    /// Findings about the input, by file and offset.
    pub(crate) notes: Vec<Note>,
    /// Wall time.
    pub(crate) elapsed: Duration,
    /// The run was interrupted.
    pub(crate) partial: bool,
    /// Fields of the scan, by number, that the run has not met.
    pub(crate) absent: Vec<usize>,
}

impl Summary {
    /// Takes the counts of a run that is over, and what was found before it began.
    pub(crate) fn new(counters: &Counters, found_before: &[Note], outcome: Outcome, elapsed: Duration) -> Summary {
        let mut notes = counters.notes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        notes.extend_from_slice(found_before);
        notes.sort();
        notes.dedup();
        let mut files = counters.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        files.sort_by(|a, b| (a.position, &a.file).cmp(&(b.position, &b.file)));
        Summary {
            rows: outcome.rows,
            records: Counters::get(&counters.records),
            bytes: Counters::get(&counters.bytes),
            bytes_read: counters.bytes_read(),
            passed_groups: Counters::get(&counters.passed_groups),
            counts: COUNTS.iter().map(|(name, counter)| (*name, Counters::get(counter(counters)))).collect(),
            files,
            notes,
            elapsed,
            partial: outcome.partial,
            absent: outcome.absent,
        }
    }

    /// A counter by its name.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.counts.iter().find(|(n, _)| *n == name).map_or(0, |(_, count)| *count)
    }

    /// Part of the input could not be read.
    pub(crate) fn damaged(&self) -> bool {
        self.notes.iter().any(|n| n.weight == Weight::Damage)
    }

    /// The exit status of a run that ended so; `lenient`: damage does not count.
    pub(crate) fn status(&self, lenient: bool) -> u8 {
        match () {
            () if self.partial => exit::INTERRUPTED,
            () if self.damaged() && !lenient => exit::DAMAGED,
            () => exit::ANSWERED,
        }
    }

    /// For people: the line, then one line per finding. `shown`: rows printed at most.
    pub(crate) fn text(&self, shown: u64) -> String {
        let seconds = self.elapsed.as_secs_f64();
        let mut line = format!(
            "{}{} from {}, {} in {}",
            if self.partial { "interrupted, answer is partial: " } else { "" },
            counted(self.rows, "row"),
            counted(self.records, "record"),
            amount(self.bytes as f64),
            duration(seconds),
        );
        if self.bytes > 0 && seconds > 0.0 {
            let _ = write!(line, " ({}/s)", amount(self.bytes as f64 / seconds));
        }
        if self.rows > shown {
            let _ = write!(line, "; the last {} not shown", counted(self.rows - shown, "row"));
        }
        let damaged = self.notes.iter().filter(|n| n.weight == Weight::Damage).count() as u64;
        let noticed = self.notes.len() as u64 - damaged;
        let counts = self.unclean().collect();
        for (n, what) in [vec![(damaged, "damaged place")], counts, vec![(noticed, "notice")]].concat() {
            if n > 0 {
                let _ = write!(line, "; {}", counted(n, what));
            }
        }
        line.push('\n');
        let (notes, files) = (self.notes.iter().map(told), self.unclean_files());
        line.extend(notes.take(LISTED));
        if self.notes.len() > LISTED {
            let more = self.notes.len() - LISTED;
            let _ = writeln!(line, "… and {more} more; `--stats json` lists all");
        }
        line.extend(files.iter().take(LISTED).map(String::as_str));
        if files.len() > LISTED {
            let more = files.len() - LISTED;
            let _ = writeln!(line, "… and {more} more files; `--stats json` lists all");
        }
        line
    }

    /// All that was not clean, a line each: counts, findings, and the files they come from.
    pub(crate) fn losses(&self) -> String {
        let counts = self.unclean().filter(|(n, _)| *n > 0).map(|(n, what)| counted(n, what) + "\n");
        counts.chain(self.notes.iter().map(told)).chain(self.unclean_files()).collect()
    }

    /// How much of what was not clean.
    fn unclean(&self) -> impl Iterator<Item = (u64, &'static str)> {
        UNCLEAN.iter().map(|(name, what)| (self.count(name), *what))
    }

    /// Which of several files the counts of what was not clean come from, a line each.
    fn unclean_files(&self) -> Vec<String> {
        if self.files.len() < 2 {
            return Vec::new();
        }
        let counter = |name: &str| COUNTS.iter().find(|(n, _)| *n == name).map(|(_, counter)| counter);
        let of = |file: &FileCount, name| counter(name).map_or(0, |counter| Counters::get(counter(&file.counts)));
        let unclean = self.files.iter().filter_map(|file| {
            let counts = UNCLEAN.iter().map(|(name, what)| (of(file, name), *what)).filter(|(n, _)| *n > 0);
            let said = counts.map(|(n, what)| counted(n, what)).collect::<Vec<_>>().join(", ");
            (!said.is_empty()).then(|| format!("{}: {said}\n", escape::visible(&file.file)))
        });
        unclean.collect()
    }

    /// For programs: the same as one JSON object.
    pub(crate) fn json(&self, exit: u8, warnings: &[serde_json::Value]) -> serde_json::Value {
        let notes: Vec<_> = self
            .notes
            .iter()
            .map(|n| {
                serde_json::json!({
                    "file": n.file, "offset": n.offset, "message": n.message, "damage": n.weight == Weight::Damage,
                })
            })
            .collect();
        let mut stats = serde_json::json!({
            "rows": self.rows, "seconds": self.elapsed.as_secs_f64(),
            "bytes_read": self.bytes_read, "row_groups_passed": self.passed_groups,
        });
        for (name, n) in &self.counts {
            stats[*name] = (*n).into();
        }
        let files: Vec<_> = self.files.iter().map(|file| of_file(file)).collect();
        for (name, value) in [
            ("partial", self.partial.into()),
            ("exit", exit.into()),
            ("notes", notes.into()),
            ("warnings", warnings.into()),
            ("files", files.into()),
        ] {
            stats[name] = value;
        }
        stats
    }
}

/// A finding, a line.
fn told(note: &Note) -> String {
    let weight = if note.weight == Weight::Damage { "damaged" } else { "notice" };
    let at = note.offset.map_or(String::new(), |at| format!(" at byte {at}"));
    format!("{weight}: {}{at}: {}\n", escape::visible(&note.file), escape::visible(&note.message))
}

/// What is said of counters that are not zero, in this order.
const UNCLEAN: &[(&str, &str)] = &[
    ("lost", "byte lost"),
    ("not_json", "record not JSON"),
    ("unlike", "record unlike its log"),
    ("not_utf8", "record not UTF-8"),
    ("repeated_keys", "record with a repeated key"),
    ("half_surrogates", "record with half a surrogate pair"),
    ("zeros", "record with a zero character"),
    ("no_timestamp", "row without timestamp"),
    ("out_of_range", "file outside the time range by its path"),
];

/// One file, with the counts that are not zero.
fn of_file(file: &FileCount) -> serde_json::Value {
    let taken = file.taken_for.get();
    let mut out = serde_json::json!({
        "file": file.file, "format": taken.map(|t| t.0), "compression": taken.and_then(|t| t.1),
        "records": Counters::get(&file.counts.records),
    });
    for (name, counter) in COUNTS {
        let n = Counters::get(counter(&file.counts));
        if n > 0 {
            out[*name] = n.into();
        }
    }
    out
}

/// `1 row`, `2,395 rows`; only the first word of `what` takes the plural.
pub(crate) fn counted(n: u64, what: &str) -> String {
    let (noun, rest) = what.split_at(what.find(' ').filter(|_| !what.starts_with("damaged")).unwrap_or(what.len()));
    format!("{} {noun}{}{rest}", grouped(n), if n == 1 { "" } else { "s" })
}

/// Digits in threes.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in decimal units, three digits.
pub(crate) fn amount(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 999.5 {
            return significant(value, unit);
        }
        value /= 1000.0;
    }
    significant(value, "TB")
}

pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.0995 => format!("{:.0} ms", (s * 1000.0).max(1.0)),
        s if s < 59.95 => significant(s, "s"),
        s => format!("{} min {:02} s", s.round() as u64 / 60, s.round() as u64 % 60),
    }
}

fn significant(value: f64, unit: &str) -> String {
    let decimals = match value {
        _ if unit == "B" => 0,
        v if v < 9.995 => 2,
        v if v < 99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(n), text);
        }
        for (n, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1000.0, "1.00 kB"),
            (1.77e9, "1.77 GB"),
            (693_566.0, "694 kB"),
            (12.3e12, "12.3 TB"),
        ] {
            assert_eq!(amount(n), text);
        }
        for (s, text) in [(0.0004, "1 ms"), (0.012, "12 ms"), (0.25, "0.25 s"), (12.34, "12.3 s"), (75.2, "1 min 15 s")]
        {
            assert_eq!(duration(s), text);
        }
    }

    #[test]
    fn a_clean_run_is_one_line() {
        let summary = Summary {
            rows: 1,
            records: 2395,
            bytes: 693_566,
            elapsed: Duration::from_millis(10),
            ..Summary::default()
        };
        assert_eq!(summary.text(u64::MAX), "1 row from 2,395 records, 694 kB in 10 ms (69.4 MB/s)\n");
        assert!(!summary.damaged());
    }

    #[test]
    fn rows_that_are_not_shown_are_said() {
        let summary = Summary { rows: 2395, elapsed: Duration::from_millis(1), ..Summary::default() };
        assert!(summary.text(1000).contains("; the last 1,395 rows not shown\n"), "{}", summary.text(1000));
        assert!(!summary.text(2395).contains("not shown"));
    }

    #[test]
    fn whatever_was_not_clean_is_said() {
        let note = |file: &str, offset, weight| Note { file: file.into(), offset, message: "cut short".into(), weight };
        let summary = Summary {
            counts: vec![("not_json", 1), ("not_utf8", 2)],
            notes: vec![note("a\x1b.gz", Some(7), Weight::Damage), note("b", None, Weight::Notice)],
            partial: true,
            elapsed: Duration::from_millis(1),
            ..Summary::default()
        };
        assert_eq!(
            summary.text(u64::MAX),
            "interrupted, answer is partial: 0 rows from 0 records, 0 B in 1 ms; 1 damaged place; 1 record not JSON; \
             2 records not UTF-8; 1 notice\ndamaged: a\\x1b.gz at byte 7: cut short\nnotice: b: cut short\n"
        );
        assert!(summary.damaged());
        let json = summary.json(3, &[]);
        assert_eq!(json["notes"][0]["offset"], 7);
        assert_eq!(json["exit"], 3);
    }
}
