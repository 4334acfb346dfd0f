//! `values = { "30" = "Net30", "*" = "Cash" }`: one value for another; `*` is for all others, and leaves them as they are when its right side
//! is `*` too. A value that nothing converts is a finding; blank, as what lacks is, stays blank unless `""` says otherwise. What a spreadsheet has ruined
//! is a finding unless a pair of its own names it.

use std::collections::HashMap;

use crate::document::value::Wrong;
use crate::model::finding::Rule;

/// Pairs, made ready.
#[derive(Clone, Debug)]
pub struct Values {
    pairs: HashMap<String, String>,
    other: Option<String>,
}

impl Values {
    /// Makes pairs ready.
    pub fn new(pairs: &[(String, String)]) -> Values {
        let other = pairs.iter().find(|(from, _)| from == "*").map(|(_, to)| to.clone());
        Values { pairs: pairs.iter().filter(|(from, _)| from != "*").cloned().collect(), other }
    }

    /// Whether blank is another value.
    pub fn fills_blank(&self) -> bool {
        self.pairs.contains_key("")
    }

    /// The value for this one, and whether a pair of its own names it.
    pub fn apply(&self, text: &str) -> Result<Option<(String, bool)>, Wrong> {
        let blank = text.trim().is_empty();
        let own = self.pairs.get(if blank { "" } else { text });
        match own.or(self.other.as_ref().filter(|_| !blank)) {
            Some(to) if own.is_none() && to == "*" => Ok(None),
            Some(to) => Ok(Some((to.clone(), own.is_some()))),
            None if blank => Ok(None),
            None => Err(Wrong {
                rule: Rule::Conversion,
                message: "the mapping's values do not convert it".into(),
                hint: "add it to values in the mapping, or a \"*\" for all others".into(),
            }),
        }
    }
}
