//! Any bytes as a sample to guess from.
#![no_main]

libfuzzer_sys::fuzz_target!(|sample: &[u8]| drop(entrepot::document::infer::infer(sample)));
