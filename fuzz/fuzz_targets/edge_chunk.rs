//! Any bytes as a chunked body, in pieces of any size.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: (Vec<u8>, &[u8])| entrepot::edge::fuzz::chunks(&input.0, input.1));
