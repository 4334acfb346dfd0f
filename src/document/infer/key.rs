//! Guesses which fields tell one record from another.

use std::collections::BTreeSet;

use super::GuessedField;

/// Fields that may be half of a key.
const NEAR: usize = 12;

/// The fields that tell one record from another. What is measured does so by chance, and a moment until there are two of one.
pub(super) fn key_of(fields: &[GuessedField], columns: &[&Vec<String>], notes: &mut Vec<String>) -> Vec<usize> {
    let unique = |places: &[usize]| {
        let mut seen = BTreeSet::new();
        let rows = columns.first().map_or(0, |column| column.len());
        (0..rows).all(|row| {
            let key: Vec<&str> = places.iter().map(|place| columns[*place][row].as_str()).collect();
            key.iter().all(|part| !part.trim().is_empty()) && seen.insert(key)
        })
    };
    let called_so = |at: &usize| {
        let name = fields[*at].name.to_lowercase();
        ["id", "code", "number", "no", "key", "nr"].iter().any(|word| name.ends_with(word))
    };
    let is = |at: &usize, kinds: &[&str]| kinds.iter().any(|kind| fields[*at].kind.starts_with(&format!("type = \"{kind}\"")));
    let parts: Vec<usize> = (0..fields.len()).filter(|at| !is(at, &["decimal", "boolean"])).collect();
    let (moments, mut singles): (Vec<usize>, Vec<usize>) = parts.iter().partition(|at| is(at, &["date", "datetime"]));
    singles.sort_by_key(|at| !called_so(at));
    if let Some(one) = singles.iter().find(|at| unique(&[**at])) {
        return vec![*one];
    }
    let near = &parts[..parts.len().min(NEAR)];
    for (position, one) in near.iter().enumerate() {
        if let Some(other) = near[position + 1..].iter().find(|other| unique(&[*one, **other])) {
            return vec![*one, *other];
        }
    }
    if let Some(one) = moments.iter().find(|at| unique(&[**at])) {
        notes.push(format!(
            "{} alone tells one record from another: of two of one moment the later replaces the other",
            fields[*one].source
        ));
        return vec![*one];
    }
    notes
        .push("no column, and no two together, tell one record from another (amounts and answers are none that do): choose the key".into());
    vec![0]
}

#[cfg(test)]
mod tests {
    use crate::document::infer::infer;

    #[test]
    fn amounts_answers_and_moments_are_no_key_by_themselves() {
        for (sample, key, note) in [
            ("date,account,amount\n2026-01-02,3,8.97\n2026-01-03,1,5.97\n2026-01-02,3,3.26\n", &[0][..], "choose the key"),
            ("date,account,amount\n2026-01-02,3,8.97\n2026-01-03,1,5.97\n2026-01-02,1,3.26\n", &[0, 1], ""),
            ("date,rate\n2026-01-02,8.97\n2026-01-03,5.97\n", &[0], "date alone tells one record from another"),
            ("amount,text\n1.50,b\n2.50,a\n", &[1], ""),
            ("open,amount\nyes,1.50\nno,1.50\n", &[0], "choose the key"),
        ] {
            let guess = infer(sample.as_bytes()).unwrap();
            assert_eq!(guess.key, key, "{sample}");
            let said = guess.notes.iter().any(|one| one.contains("choose the key") || one.contains("alone tells"));
            assert_eq!(said, !note.is_empty(), "{:?}", guess.notes);
            assert!(guess.notes.iter().any(|one| one.contains(note)), "{:?}", guess.notes);
        }
    }
}
