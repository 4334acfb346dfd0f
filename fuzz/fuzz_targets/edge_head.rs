//! Any bytes as the head of a request.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entrepot::edge::fuzz::head(bytes));
