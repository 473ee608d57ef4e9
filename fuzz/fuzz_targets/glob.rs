//! A glob cuts a text as its definition says: the first place where its pieces follow each other, each star taking as
//! little as possible, one at the end the rest.

#![no_main]

use backsight_fuzz::{Answer, ask, quoted};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (&str, &str)| {
    let (pattern, text) = data;
    let stars = pattern.matches('*').count();
    let names: Vec<String> = (0..stars).map(|i| format!("x{i}")).collect();
    let query = format!("parse @message {} as {}", quoted(pattern), names.join(", "));
    let Answer::Rows(rows) = ask(&format!("{query} | display {}", names.join(", ")), text) else { return };
    let Some(row) = rows.first() else { panic!("a row is lost") };
    if row.iter().all(Option::is_some) {
        // What was cut out stands in the text, in order.
        let mut rest = text;
        for cut in row.iter().flatten() {
            let at = rest.find(cut.as_str()).expect("a part of the text");
            rest = &rest[at + cut.len()..];
        }
    }
});
