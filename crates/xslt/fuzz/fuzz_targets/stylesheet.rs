//! Any bytes as a stylesheet.
#![no_main]

use entrepot_xslt::{Limits, NoResolver, Stylesheet};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(sheet) = Stylesheet::compile(text, "fuzz.xsl", &NoResolver) {
        let limits = Limits { steps_max: 100_000, output_bytes_max: 1 << 20, stack_bytes: 32 << 20, ..Limits::default() };
        let _ = sheet.transform().limits(limits).run(&b"<r a='1'><b>2</b><!--c--><?p i?>text</r>"[..], &mut Vec::new());
    }
});
