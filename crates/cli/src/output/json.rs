//! JSON: one array of objects, or one object per line. Always exact: numbers as spelled, lists and maps as values.
//!
//! Control and invisible characters are spelled `\uXXXX`, which is the same string to every reader of JSON and inert
//! on a terminal. Bytes that are not UTF-8 cannot be said in JSON and become U+FFFD.

use super::lines::Form;
use crate::escape::needs_json_escape;
use backsight_engine::value::column::Batch;
use backsight_engine::value::{Kind, ValueRef};
use std::io;

/// Each row is an object whose keys are the columns in order.
pub(super) struct Json {
    /// `{"name":` and `,"name":`, ready to write.
    keys: Vec<String>,
    array: bool,
}

impl Json {
    /// One array, a row per line.
    pub(super) fn array(columns: &[String]) -> Json {
        Json { array: true, ..Json::lines(columns) }
    }

    /// One object per line.
    pub(super) fn lines(columns: &[String]) -> Json {
        let keys = columns
            .iter()
            .enumerate()
            .map(|(i, name)| {
                let mut key = if i == 0 { "{".to_string() } else { ",".to_string() };
                push_string(&mut key, name);
                key.push(':');
                key
            })
            .collect();
        Json { keys, array: false }
    }
}

impl Form for Json {
    fn rows(&self, batch: &Batch, out: &mut Vec<u8>) -> io::Result<()> {
        for row in 0..batch.rows {
            if row > 0 {
                out.extend_from_slice(self.between());
            }
            if self.keys.is_empty() {
                out.push(b'{');
            }
            for (key, column) in self.keys.iter().zip(&batch.columns) {
                out.extend_from_slice(key.as_bytes());
                push_cell(out, column.get(row));
            }
            out.push(b'}');
            if !self.array {
                out.push(b'\n');
            }
        }
        Ok(())
    }

    fn opening(&self) -> io::Result<Vec<u8>> {
        Ok(if self.array { b"[\n".to_vec() } else { Vec::new() })
    }

    fn between(&self) -> &'static [u8] {
        if self.array { b",\n" } else { b"" }
    }

    fn closing(&self) -> &'static [u8] {
        if self.array { b"\n]\n" } else { b"" }
    }

    fn empty(&self) -> io::Result<Vec<u8>> {
        Ok(if self.array { b"[]\n".to_vec() } else { Vec::new() })
    }
}

fn push_cell(line: &mut Vec<u8>, cell: ValueRef<'_>) {
    let Some(text) = cell.text() else {
        line.extend_from_slice(b"null");
        return;
    };
    match cell.kind() {
        Some(Kind::Number | Kind::Float | Kind::Bool) => line.extend_from_slice(&text),
        Some(Kind::List | Kind::Map) => {
            // The text is JSON already; such characters can only stand inside its strings.
            let text = String::from_utf8_lossy(&text);
            let mut out = String::with_capacity(text.len());
            text.chars().for_each(|c| push_char(&mut out, c));
            line.extend_from_slice(out.as_bytes());
        }
        Some(Kind::String | Kind::Time) | None => {
            if text.iter().all(|b| matches!(b, b' '..=b'~') && !matches!(b, b'"' | b'\\')) {
                line.push(b'"');
                line.extend_from_slice(&text);
                line.push(b'"');
            } else {
                let mut out = String::with_capacity(text.len() + 16);
                push_string(&mut out, &String::from_utf8_lossy(&text));
                line.extend_from_slice(out.as_bytes());
            }
        }
    }
}

/// Adds `text` as a JSON string.
fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => push_char(out, c),
        }
    }
    out.push('"');
}

fn push_char(out: &mut String, c: char) {
    use std::fmt::Write;
    if needs_json_escape(c) {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    } else {
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use crate::output::tests::{batch, of_kind, text, written};
    use crate::output::{Format, Look};
    use backsight_engine::value::{Kind, Value};

    #[test]
    fn values_are_exact() {
        let cells = [
            (Value::Null, "null"),
            (Value::Bool(true), "true"),
            (Value::Int(-9_007_199_254_740_993), "-9007199254740993"),
            (Value::Float(0.1), "0.1"),
            (Value::Float(1e21), "1e+21"),
            (Value::Time(1_714_559_832_345), r#""2024-05-01 10:37:12.345""#),
            (of_kind(Kind::Number, "1.0e3"), "1.0e3"),
            (of_kind(Kind::Bool, "false"), "false"),
            (of_kind(Kind::List, r#"["a",1.0]"#), r#"["a",1.0]"#),
            (of_kind(Kind::Map, "{\"k\":\"\u{202e}\"}"), r#"{"k":"\u202e"}"#),
            (text("007"), r#""007""#),
            (text("say \"hi\"\\\n\x1b \u{e0041}é"), r#""say \"hi\"\\\n\u001b \udb40\udc41é""#),
            (Value::string(b"a\xffb"), "\"a\u{fffd}b\""),
        ];
        for (value, json) in cells {
            let shown = format!("{value:?}");
            let out = written(Format::Ndjson, Look::default(), &["a.b"], &[batch(vec![vec![value]])]);
            assert_eq!(out, format!("{{\"a.b\":{json}}}\n"), "{shown}");
            serde_json::from_str::<serde_json::Value>(&out).expect("is JSON");
        }
    }

    #[test]
    fn arrays_are_closed() {
        let one = || batch(vec![vec![Value::Int(1)], vec![text("x")]]);
        let both = written(Format::Json, Look::default(), &["n", "s"], &[one(), one()]);
        assert_eq!(both, "[\n{\"n\":1,\"s\":\"x\"},\n{\"n\":1,\"s\":\"x\"}\n]\n");
        assert_eq!(written(Format::Json, Look::default(), &["n"], &[]), "[]\n");
    }
}
