//! Which name was meant by one that is not known.

/// A word of more letters is like no other.
const LETTERS_MAX: usize = 200;

/// The candidate most like a word, when one is near: a typing mistake or two away.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    within(word.chars().count() / 3 + 1, word, candidates)
}

/// The candidate most like a word, when one is near enough to be told without being asked: one mistake for each four letters.
pub fn misspelled<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    within((word.chars().count() / 4).max(1), word, candidates)
}

fn within<'a>(near: usize, word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let far = |candidate: &str| {
        let candidate: Vec<char> = candidate.to_lowercase().chars().collect();
        if word.len() > LETTERS_MAX || candidate.len().abs_diff(word.len()) > near { usize::MAX } else { distance(&word, &candidate) }
    };
    candidates
        .into_iter()
        .map(|candidate| (far(candidate), candidate))
        .filter(|(far, _)| *far <= near)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Mistakes between two words: letters that are changed, lack, are too many, or changed places with their neighbour (optimal string alignment).
fn distance(one: &[char], other: &[char]) -> usize {
    let (mut before, mut row) = (Vec::new(), (0..=other.len()).collect::<Vec<usize>>());
    for (i, a) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_one_or_two_mistakes_away_and_no_more() {
        assert_eq!(nearest("lesae", ["lease", "retention"]), Some("lease"));
        assert_eq!(nearest("colour", ["lease", "retention"]), None);
        assert_eq!(nearest("id", ["sku", "ids", "identifier"]), Some("ids"));
    }

    #[test]
    fn letters_that_changed_places_are_one_mistake() {
        for (one, other, mistakes) in
            [("name", "nmae", 1), ("name", "date", 2), ("", "ab", 2), ("abc", "abc", 0), ("abcd", "badc", 2), ("ca", "abc", 3)]
        {
            let chars = |word: &str| word.chars().collect::<Vec<char>>();
            assert_eq!(distance(&chars(one), &chars(other)), mistakes, "{one} {other}");
        }
        assert_eq!((misspelled("Name", ["Date"]), misspelled("Name", ["Nmae"])), (None, Some("Nmae")));
    }
}
