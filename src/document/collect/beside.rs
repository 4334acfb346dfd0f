//! What of the elements beside records some path may lead to: only that is kept until the records come that ask for it.

use super::{Asked, only_attributes};
use crate::document::tree::{Namespaces, NodeId, Tree};
use crate::model::path::{Path, Predicate, Step, To};

/// Leads nowhere.
const NONE: usize = usize::MAX;

/// The paths that leave records, each from where it goes down again. Conditions are taken to hold.
#[derive(Default)]
pub(super) struct Beside {
    routes: Vec<Route>,
    /// There is one that cannot be followed beforehand, and everything is kept.
    pub all: bool,
}

#[derive(PartialEq)]
struct Route {
    /// How many elements are open where it begins; any number when that is not known.
    from: Option<usize>,
    /// Without conditions. None is empty.
    steps: Vec<Step>,
}

/// How far routes have come with an element. What they began at is told by how many elements were open there: when it closes, they lead no record here.
pub(super) struct Reach {
    routes: Vec<Way>,
    /// Where the outermost route begins that ends at this element or at one around it: all that stands in it is the value.
    whole: usize,
    /// Where the outermost route begins that leads to this element.
    own: usize,
    /// Where the outermost route begins that leads into it.
    inside: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    route: usize,
    /// So many of its steps are done.
    done: usize,
    from: usize,
}

impl Beside {
    /// Of these paths, where those of the document do not name the `unnamed` outermost elements.
    pub fn new(asked: &Asked, unnamed: usize) -> Beside {
        let mut beside = Beside::default();
        let steps = &asked.record.steps;
        // How many elements are open with a record, and with those on the way there.
        let known = |steps: &[Step]| steps.iter().all(|step| !step.deep && matches!(step.to, To::Element(_)));
        let depth = |count: usize| known(&steps[..count]).then_some(if steps.is_empty() { 1 } else { unnamed + count });
        let record = depth(steps.len());
        for (at, step) in steps.iter().enumerate() {
            let outside = at + 1 < steps.len();
            step.predicates.iter().for_each(|predicate| beside.condition(predicate, outside.then(|| (depth(at + 1), &[][..])), unnamed));
        }
        asked.values.iter().for_each(|path| beside.path(path, record, record, unnamed));
        for nested in &asked.nested {
            let Some(place) = &nested.record else { continue };
            beside.path(place, record, record, unnamed);
            let depth = record.filter(|_| !place.absolute && known(&place.steps)).map(|record| record + place.steps.len());
            nested.values.iter().for_each(|path| beside.path(path, depth, record, unnamed));
        }
        beside
    }

    /// A path that begins where so many elements are open.
    fn path(&mut self, path: &Path, depth: Option<usize>, record: Option<usize>, unnamed: usize) {
        let above = path.steps.iter().take_while(|step| step.to == To::Parent && !step.deep).count();
        let rest = &path.steps[above..];
        if rest.iter().any(|step| step.to == To::Parent) || (path.absolute && above > 0) {
            self.all = true;
            return;
        }
        let from = match depth.map(|depth| depth.checked_sub(above)) {
            _ if path.absolute => Some(unnamed),
            // It leads out of the document.
            Some(None) => return,
            from => from.flatten(),
        };
        // No further than to the record: only its conditions may leave it.
        if !path.absolute && (above == 0 || from.is_some() && from >= record) {
            let conditions = rest.iter().flat_map(|step| &step.predicates);
            return conditions.for_each(|predicate| self.condition(predicate, None, unnamed));
        }
        for (at, step) in rest.iter().enumerate() {
            step.predicates.iter().for_each(|predicate| self.condition(predicate, Some((from, &rest[..=at])), unnamed));
        }
        self.route(from, rest.iter());
    }

    /// A condition of what these steps lead to, when that is not in a record.
    fn condition(&mut self, predicate: &Predicate, of: Option<(Option<usize>, &[Step])>, unnamed: usize) {
        let (Predicate::Has(path) | Predicate::Equals(path, _)) = predicate else { return };
        match of {
            _ if path.steps.iter().any(|step| step.to == To::Parent) => self.all = true,
            _ if path.absolute => self.route(Some(unnamed), path.steps.iter()),
            // Attributes stay with their element.
            Some((from, steps)) if !(steps.is_empty() && only_attributes(path)) => self.route(from, steps.iter().chain(&path.steps)),
            _ => {}
        }
    }

    fn route<'a>(&mut self, from: Option<usize>, steps: impl Iterator<Item = &'a Step>) {
        let steps: Vec<Step> = steps.map(|step| Step { predicates: Vec::new(), ..step.clone() }).collect();
        let route = Route { from, steps };
        self.all |= route.steps.is_empty();
        if !self.routes.contains(&route) {
            self.routes.push(route);
        }
    }

    /// How far routes come with an element that opened, as one of so many, in another.
    pub fn reach(&self, tree: &Tree, id: NodeId, depth: usize, parent: Option<&Reach>, namespaces: &Namespaces) -> Reach {
        if self.all {
            return Reach { whole: 0, own: 0, ..Reach::NOWHERE };
        }
        let whole = parent.map_or(NONE, |parent| parent.whole);
        let mut reach = Reach { whole, own: whole, ..Reach::NOWHERE };
        let begun = parent.map_or(&[][..], |parent| &parent.routes);
        let begins = |route: &Route| route.from.is_none_or(|from| from + 1 == depth);
        let begin = self.routes.iter().enumerate().filter(|(_, route)| begins(route));
        let begin = begin.map(|(route, _)| Way { route, done: 0, from: depth - 1 });
        for way in begun.iter().copied().chain(begin) {
            let steps = &self.routes[way.route].steps;
            let Some(step) = steps.get(way.done) else { continue };
            if step.deep {
                reach.routes.push(way);
            }
            match &step.to {
                To::Element(_) if tree.is_step(id, step, namespaces) => {
                    reach.own = reach.own.min(way.from);
                    match way.done + 1 == steps.len() {
                        true => reach.whole = reach.whole.min(way.from),
                        false => reach.routes.push(Way { done: way.done + 1, ..way }),
                    }
                }
                // It may be one of its own.
                To::Attribute(_) if step.deep => reach.own = reach.own.min(way.from),
                _ => {}
            }
        }
        // Of the same way the one that begins further out is alive for longer.
        reach.routes.sort_unstable();
        reach.routes.dedup_by_key(|way| (way.route, way.done));
        reach
    }
}

impl Reach {
    /// No route leads here.
    pub const NOWHERE: Reach = Reach { routes: Vec::new(), whole: NONE, own: NONE, inside: NONE };

    /// Whether the element is kept for itself, as far as is known when it opens.
    pub fn leads_here(&self) -> bool {
        self.own != NONE
    }

    /// Whether its text is kept.
    pub fn is_value(&self) -> bool {
        self.whole != NONE
    }

    /// Whether an element, one of so many, is of use when it closes: to a route that began around it.
    pub fn stays(&self, depth: usize) -> bool {
        self.own.min(self.inside) < depth
    }

    /// An element in it stays.
    pub fn holds(&mut self, inner: &Reach) {
        self.inside = self.inside.min(inner.own).min(inner.inside);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CONTEXT_MAX, Collector, Nested, TooMuch};
    use super::*;
    use crate::document::record::{Frame, Record};
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    struct Piece {
        name: usize,
        attribute: Option<u8>,
        text: Option<u8>,
        inner: Vec<Piece>,
    }

    const NAMES: [&str; 5] = ["R", "a", "b", "c", "d"];
    const RECORDS: [&str; 8] = ["/d/R", "/d/a/R", "//R", "//a/R", "/d/a[b='1']/R", "/*/*/R[a]", "/d//R", "//a[@x][//c='1']/R"];
    const VALUES: [&str; 28] = [
        "a",
        "@x",
        "../a",
        "../b",
        "../../a",
        "../a/b",
        "../a/@x",
        "/d/b",
        "/d/a/b",
        "//a",
        "//@x",
        "..//b",
        "../*",
        "../b[2]",
        "../a[2]/b",
        "../a[@x='1']/b",
        "../a[b='1']",
        "../a[.='1']/@x",
        "../*[2]/a",
        "..",
        "a/../../b",
        "a[/d/b='1']",
        "../a[//c]",
        "/",
        "/d/a[b]//c",
        "../../..//a[b][2]",
        "//b/c",
        "/d//c",
    ];

    fn pieces() -> impl Strategy<Value = Vec<Piece>> {
        let some = |inner: BoxedStrategy<Vec<Piece>>| {
            let piece = (0..NAMES.len() - 1, prop::option::of(0..3u8), prop::option::of(0..3u8), inner);
            prop::collection::vec(piece.prop_map(|(name, attribute, text, inner)| Piece { name, attribute, text, inner }), 0..5).boxed()
        };
        some(some(some(some(Just(Vec::new()).boxed()))))
    }

    fn frame(_: &Tree, _: NodeId, _: super::super::Inner) -> Frame {
        Frame { number: 0, before: String::new(), link: String::new(), after: String::new() }
    }

    fn give(collector: &mut Collector, piece: &Piece, into: &mut Vec<Record>) -> Result<(), TooMuch> {
        collector.open(NAMES[piece.name], 0, 1)?;
        if let Some(value) = piece.attribute {
            collector.attribute("x", 0, &value.to_string())?;
        }
        collector.opened();
        if let Some(value) = piece.text {
            collector.text(&value.to_string(), false)?;
        }
        piece.inner.iter().try_for_each(|inner| give(collector, inner, into))?;
        let mut record = Record::default();
        if collector.close(&mut record)? {
            record.frames = None;
            into.push(record);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(3000))]
        #[test]
        fn records_are_as_where_everything_is_kept(
            inner in pieces(),
            record in prop::sample::select(&RECORDS[..]),
            values in prop::sample::subsequence(&VALUES[..], 1..7),
            nested in prop::option::of((prop::sample::select(&["a", "a/b", ".//c", "//b", "a[../b]"][..]), prop::sample::subsequence(&VALUES[..], 1..3))),
            unnamed in 0..2usize,
        ) {
            let paths = |texts: &[&str]| texts.iter().map(|text| Path::parse(text).unwrap()).collect::<Vec<Path>>();
            let nested = nested.map(|(place, values)| Nested { record: Path::parse(place).ok(), values: paths(&values) });
            let asked = Asked {
                record: Path::parse(record).unwrap(),
                values: paths(&values),
                nested: nested.into_iter().collect(),
                namespaces: Vec::new(),
            };
            let mut document = Piece { name: 4, attribute: None, text: None, inner };
            if unnamed > 0 {
                document = Piece { name: 3, attribute: None, text: None, inner: vec![document] };
            }
            let mut told = Vec::new();
            for all in [false, true] {
                let mut collector = Collector::new(asked.clone(), unnamed, frame);
                if let Some(beside) = collector.beside.as_mut().filter(|_| all) {
                    beside.all = true;
                }
                let mut records = Vec::new();
                let end = give(&mut collector, &document, &mut records);
                // Half a document is none, wherever it is refused.
                told.push(end.map(|()| records));
            }
            prop_assert_eq!(&told[0], &told[1]);
        }
    }

    #[test]
    fn only_what_a_path_leads_to_counts() {
        let large = "x".repeat(CONTEXT_MAX + 1);
        for (record, value, beside, counts) in [
            ("//R", "../a", "b", false),
            ("//R", "../a", "a", true),
            ("//R", "../a/c", "a", false),
            ("//R", "../*", "b", true),
            ("/d/R", "//c", "b", false),
            ("/d/R", "/d/b/c", "b", false),
            ("/d/R", "/b", "b", false),
            ("/d/R", "../..//b", "b", true),
            ("/d/R", "..", "b", true),
            ("/d/R", "../a[b='1']/c", "b", false),
            ("/d[b='1']/R", "a", "b", true),
            ("/d[a='1']/R", "a", "b", false),
        ] {
            let asked = Asked {
                record: Path::parse(record).unwrap(),
                values: vec![Path::parse(value).unwrap()],
                nested: Vec::new(),
                namespaces: Vec::new(),
            };
            let mut collector = Collector::new(asked, 0, frame);
            collector.open("d", 0, 1).unwrap();
            collector.opened();
            collector.open(beside, 0, 1).unwrap();
            collector.opened();
            assert_eq!(collector.text(&large, false).err(), counts.then_some(TooMuch::Context), "{record}, {value}, {beside}");
        }
    }
}
