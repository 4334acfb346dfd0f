//! Any bytes as a document of any format: it is read to its end or refused with a place, and what is read keeps to its bounds.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8])| {
    let (kind, bytes) = input;
    let format = if kind == u8::MAX { shared::workbook(1) } else { shared::format(kind) };
    shared::is_read_or_refused(bytes, &format);
});
