//! Questions about rows, as OData clients ask them: a filter, an order, a page. Pure; `http/odata` reads them, `store/page` answers them.

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `eq`
    Equal,
    /// `ne`
    NotEqual,
    /// `gt`
    Greater,
    /// `ge`
    GreaterOrEqual,
    /// `lt`
    Less,
    /// `le`
    LessOrEqual,
}

/// A test of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// `startswith`
    StartsWith,
    /// `endswith`
    EndsWith,
    /// `contains`
    Contains,
}

/// A filter over fields of type `F` (a name as written, or a position) and values.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter<F> {
    /// All hold.
    And(Box<Filter<F>>, Box<Filter<F>>),
    /// One holds.
    Or(Box<Filter<F>>, Box<Filter<F>>),
    /// It does not hold.
    Not(Box<Filter<F>>),
    /// A field compared with a value; `None` is null.
    Compare(F, Operator, Option<String>),
    /// A field's text tested.
    Text(F, TextTest, String),
}

impl<F> Filter<F> {
    /// The same filter over other fields and values; the first that cannot be converted ends it.
    pub fn convert<G, E>(&self, convert: &impl Fn(&F, Option<&str>) -> Result<(G, Option<String>), E>) -> Result<Filter<G>, E> {
        Ok(match self {
            Filter::And(one, other) => Filter::And(Box::new(one.convert(convert)?), Box::new(other.convert(convert)?)),
            Filter::Or(one, other) => Filter::Or(Box::new(one.convert(convert)?), Box::new(other.convert(convert)?)),
            Filter::Not(inner) => Filter::Not(Box::new(inner.convert(convert)?)),
            Filter::Compare(field, operator, value) => {
                let (field, value) = convert(field, value.as_deref())?;
                Filter::Compare(field, *operator, value)
            }
            Filter::Text(field, test, value) => {
                let (field, _) = convert(field, None)?;
                Filter::Text(field, *test, value.clone())
            }
        })
    }

    /// Whether it holds, when `value` tells the fields' values: numbers compare as numbers, other text without regard to case.
    pub fn holds(&self, value: &impl Fn(&F) -> Option<String>) -> bool {
        match self {
            Filter::And(one, other) => one.holds(value) && other.holds(value),
            Filter::Or(one, other) => one.holds(value) || other.holds(value),
            Filter::Not(inner) => !inner.holds(value),
            Filter::Compare(field, operator, wanted) => match (value(field), wanted) {
                (None, None) => *operator == Operator::Equal,
                (None, Some(_)) | (Some(_), None) => *operator == Operator::NotEqual,
                (Some(found), Some(wanted)) => {
                    let order = match (found.parse::<f64>(), wanted.parse::<f64>()) {
                        (Ok(one), Ok(other)) => one.partial_cmp(&other),
                        _ => Some(found.to_lowercase().cmp(&wanted.to_lowercase())),
                    };
                    order.is_some_and(|order| match operator {
                        Operator::Equal => order.is_eq(),
                        Operator::NotEqual => order.is_ne(),
                        Operator::Greater => order.is_gt(),
                        Operator::GreaterOrEqual => order.is_ge(),
                        Operator::Less => order.is_lt(),
                        Operator::LessOrEqual => order.is_le(),
                    })
                }
            },
            Filter::Text(field, test, wanted) => value(field).is_some_and(|found| {
                let (found, wanted) = (found.to_lowercase(), wanted.to_lowercase());
                match test {
                    TextTest::StartsWith => found.starts_with(&wanted),
                    TextTest::EndsWith => found.ends_with(&wanted),
                    TextTest::Contains => found.contains(&wanted),
                }
            }),
        }
    }
}

/// A page of rows, by keyset: after a row, at most so many.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Rows for which this holds; positions of fields, values in the spelling that the table keeps.
    pub filter: Option<Filter<usize>>,
    /// Fields to order by, and whether downwards; the key follows, so that the order is total.
    pub order: Vec<(usize, bool)>,
    /// The row before the page: its values of `order`, then of the key, as `store::page::place` spells them.
    pub after: Option<Vec<Option<String>>>,
    /// Rows to pass over.
    pub skip: u64,
    /// Rows at most.
    pub limit: u64,
}
