//! Any text is lexed and parsed without a panic; what is right goes on to the planner.

#![no_main]

use backsight_engine::plan::CompileSettings;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let parsed = backsight_lang::parse(text);
    for found in &parsed.diagnostics {
        assert!(found.span.start <= found.span.end && found.span.end <= text.len(), "{found:?}");
        assert!(text.is_char_boundary(found.span.start) && text.is_char_boundary(found.span.end), "{found:?}");
    }
    let _ = backsight_lang::is_complete(text);
    if parsed.is_ok() {
        let settings = CompileSettings { pushdown: true, ..CompileSettings::default() };
        if let Ok(compiled) = backsight_engine::compile(text, &settings) {
            let _ = compiled.plan.explain();
        }
    }
});
