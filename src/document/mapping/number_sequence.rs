//! `number_sequence = "CG-#####"`: the next number of a sequence, without gaps. Numbers are taken in the load's own transaction, last of all, so
//! that a row that is refused and a load that is taken back leave none out.

/// A pattern with its number: the run of `#` is as wide as the number is padded to.
pub fn fill(pattern: &str, number: u64) -> String {
    let width = pattern.bytes().filter(|byte| *byte == b'#').count();
    let digits = format!("{number:0>width$}");
    match pattern.find('#') {
        Some(at) => format!("{}{digits}{}", &pattern[..at], pattern[at..].trim_start_matches('#')),
        None => format!("{pattern}{digits}"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_run_of_marks_is_as_wide_as_the_number() {
        for (pattern, number, expected) in [("CG-###", 7, "CG-007"), ("##/x", 123, "123/x"), ("#", 1, "1")] {
            assert_eq!(super::fill(pattern, number), expected);
        }
    }
}
