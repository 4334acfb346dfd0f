//! xsl:sort (XSLT 1.0, section 10).

use std::cmp::Ordering;

use crate::collate::{CaseOrder, TextKey};
use crate::error::{Error, Result};
use crate::run::{Context, Run};
use crate::sheet::SortKey;
use crate::tree::node::Node;

/// A computed key.
enum Key {
    Number(f64),
    Text(TextKey),
}

/// How one key is compared.
struct Rule {
    numbers: bool,
    descending: bool,
    case_order: CaseOrder,
}

impl Run<'_> {
    /// The nodes in the order of the keys; equal ones stay as they are.
    pub(crate) fn sorted(&mut self, nodes: Vec<Node>, sorts: &[SortKey], context: &Context) -> Result<Vec<Node>> {
        let mut rules = Vec::with_capacity(sorts.len());
        for sort in sorts {
            rules.push(self.sort_rule(sort, context).map_err(|error| error.at(sort.place.clone()))?);
        }
        let size = nodes.len();
        let mut items: Vec<(Vec<Key>, Node)> = Vec::with_capacity(size);
        for (index, &node) in nodes.iter().enumerate() {
            let inner = Context { node, position: index + 1, size, current: node };
            let mut keys = Vec::with_capacity(sorts.len());
            for (sort, rule) in sorts.iter().zip(&rules) {
                let key = if rule.numbers {
                    self.number(&sort.select, &inner).map(Key::Number)
                } else {
                    self.text(&sort.select, &inner).map(|text| Key::Text(TextKey::new(&text, rule.case_order)))
                };
                keys.push(key.map_err(|error| error.at(sort.place.clone()))?);
            }
            items.push((keys, node));
        }
        items.sort_by(|(left, _), (right, _)| {
            for ((left, right), rule) in left.iter().zip(right).zip(&rules) {
                let order = compare(left, right);
                let order = if rule.descending { order.reverse() } else { order };
                if order != Ordering::Equal {
                    return order;
                }
            }
            Ordering::Equal
        });
        self.charge((size as u64) * u64::from(usize::BITS - size.leading_zeros()))?;
        Ok(items.into_iter().map(|(_, node)| node).collect())
    }

    fn sort_rule(&mut self, sort: &SortKey, context: &Context) -> Result<Rule> {
        let mut value = |template: &Option<crate::sheet::ValueTemplate>| {
            template.as_ref().map(|template| self.value_template(template, context)).transpose()
        };
        value(&sort.language)?;
        let numbers = match value(&sort.data_type)?.as_deref() {
            None | Some("text") => false,
            Some("number") => true,
            // A qualified name means a type of an extension; there are none, so it sorts as text.
            Some(other) => return Err(Error::run("an unknown data-type of xsl:sort").found(other).expected("text or number")),
        };
        let descending = match value(&sort.order)?.as_deref() {
            None | Some("ascending") => false,
            Some("descending") => true,
            Some(other) => return Err(Error::run("an unknown order of xsl:sort").found(other).expected("ascending or descending")),
        };
        let case_order = match value(&sort.case_order)?.as_deref() {
            None | Some("lower-first") => CaseOrder::LowerFirst,
            Some("upper-first") => CaseOrder::UpperFirst,
            Some(other) => return Err(Error::run("an unknown case-order of xsl:sort").found(other).expected("upper-first or lower-first")),
        };
        Ok(Rule { numbers, descending, case_order })
    }
}

/// What is no number comes before all numbers.
fn compare(left: &Key, right: &Key) -> Ordering {
    match (left, right) {
        (Key::Number(left), Key::Number(right)) => left.partial_cmp(right).unwrap_or_else(|| right.is_nan().cmp(&left.is_nan())),
        (Key::Text(left), Key::Text(right)) => left.cmp(right),
        (Key::Number(_), Key::Text(_)) => Ordering::Less,
        (Key::Text(_), Key::Number(_)) => Ordering::Greater,
    }
}
