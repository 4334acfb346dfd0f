//! `concatenate = ["Street", "Number"], with = " "`: the values of several sources, one behind the other; blank ones are left out, with what would
//! stand before them.

/// Joins values.
pub fn join<'a>(parts: impl IntoIterator<Item = &'a str>, with: &str) -> String {
    let mut out = String::new();
    for part in parts.into_iter().filter(|part| !part.trim().is_empty()) {
        if !out.is_empty() {
            out.push_str(with);
        }
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn blank_parts_leave_no_trace() {
        assert_eq!(super::join(["Main street", " ", "7", ""], ", "), "Main street, 7");
        assert_eq!(super::join(["", ""], "-"), "");
    }
}
