//! `concatenate = ["Street", "Number"], with = " "`: the values of several sources, one behind the other. In a text blank ones are left out, with what
//! would stand before them. In anything else they are not, unless all are blank: cents alone are no whole number, and a day without a month is no date.

/// Joins values; `text` says whether they make a text.
pub fn join<'a>(parts: impl IntoIterator<Item = &'a str>, with: &str, text: bool) -> String {
    let (mut out, mut any) = (String::new(), false);
    for (at, part) in parts.into_iter().filter(|part| !text || !part.trim().is_empty()).enumerate() {
        if at > 0 {
            out.push_str(with);
        }
        any |= !part.trim().is_empty();
        out.push_str(part);
    }
    if any { out } else { String::new() }
}

#[cfg(test)]
mod tests {
    #[test]
    fn blank_parts_leave_no_trace() {
        assert_eq!(super::join(["Main street", " ", "7", ""], ", ", true), "Main street, 7");
        assert_eq!(super::join(["", ""], "-", true), "");
    }

    #[test]
    fn a_part_of_a_number_is_not_taken_for_the_whole() {
        for (parts, joined) in [(["12", "05"], "12.05"), (["", "5"], ".5"), (["12", ""], "12."), (["", " "], "")] {
            assert_eq!(super::join(parts, ".", false), joined);
        }
    }
}
