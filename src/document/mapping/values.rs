//! `values = { "30" = "Net30", "*" = "Cash" }`: one value for another; `*` is for all others, and as a right side leaves the value as it is. A value that nothing converts is a finding; blank
//! stays blank unless `""` says otherwise.

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

    /// The value for this one.
    pub fn apply(&self, text: &str) -> Result<Option<String>, Wrong> {
        let blank = text.trim().is_empty();
        match self.pairs.get(text).or(self.other.as_ref().filter(|_| !blank)) {
            Some(to) if to == "*" => Ok(Some(text.to_owned())),
            Some(to) => Ok(Some(to.clone())),
            None if blank => Ok(None),
            None => Err(Wrong {
                rule: Rule::Conversion,
                message: "the mapping's values do not convert it".into(),
                hint: "add it to values in the mapping, or a \"*\" for all others".into(),
            }),
        }
    }
}
