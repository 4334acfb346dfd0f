//! Values whose path is one name, as most are: found in one pass over the children of their record, and not one pass for each.

use crate::document::tree::{Kind, Namespaces, NodeId, Tree};
use crate::model::path::{Path, Step, To};

/// Places of which it is remembered what stood there; a record with more children is looked through as if each were new.
const PLACES_MAX: usize = 4096;

/// So many names that no path means are kept, and only of so many bytes.
const STRANGERS_MAX: usize = 100;
const STRANGER_BYTES_MAX: usize = 100;

/// Finds such values.
#[derive(Default)]
pub(super) struct Direct {
    /// For each path whether it is one name.
    plain: Vec<bool>,
    /// What stood at each place of the record before: the next one is alike in all likelihood.
    places: Vec<Place>,
    /// For each path what it leads to in this record, and whether to more than that.
    found: Vec<(Option<NodeId>, bool)>,
    /// Names in records that no such path means, some of them: elements where paths lead to elements, else attributes.
    strangers: Vec<String>,
}

#[derive(Default)]
struct Place {
    attribute: bool,
    namespace: u32,
    name: String,
    /// The paths that mean it.
    paths: Vec<usize>,
}

impl Direct {
    /// Looks through a record.
    pub fn look(&mut self, tree: &Tree, record: NodeId, paths: &[Path], namespaces: &Namespaces) {
        if self.plain.len() != paths.len() {
            self.plain = paths.iter().map(is_plain).collect();
        }
        self.found.clear();
        self.found.resize(paths.len(), (None, false));
        let named = tree.children(record).filter(|child| matches!(tree.kind(*child), Kind::Element | Kind::Attribute));
        for (at, child) in named.enumerate() {
            let (attribute, namespace, name) = (tree.kind(child) == Kind::Attribute, tree.namespace_of(child), tree.local_name(child));
            let at = at.min(PLACES_MAX);
            if self.places.len() <= at {
                self.places.push(Place::default());
            }
            let place = &mut self.places[at];
            if (place.attribute, place.namespace, place.name.as_str()) != (attribute, namespace, name) {
                *place = Place { attribute, namespace, name: name.to_owned(), paths: Vec::new() };
                let means = |path: &Path| is_plain(path) && path.steps.first().is_some_and(|step| tree.is_step(child, step, namespaces));
                place.paths.extend((0..paths.len()).filter(|index| means(&paths[*index])));
                let is_stranger = place.paths.is_empty() && paths.first().is_some_and(|path| leads_to_attribute(path) == attribute);
                if is_stranger && name.len() <= STRANGER_BYTES_MAX && self.strangers.len() < STRANGERS_MAX {
                    let known = self.strangers.iter().any(|known| known == name);
                    self.strangers.extend((!known).then(|| name.to_owned()));
                }
            }
            for path in &place.paths {
                match &mut self.found[*path] {
                    (Some(before), _) if attribute => {
                        // The one that is written so, of those that are called alike.
                        let exact = |id| matches!(&paths[*path].steps[0].to, To::Attribute(meant) if meant.local == tree.local_name(id));
                        if !exact(*before) && exact(child) {
                            *before = child;
                        }
                    }
                    (Some(_), more) => *more = true,
                    (first, _) => *first = Some(child),
                }
            }
        }
    }

    /// What the path of this number leads to in the record, if to anything; the outer `None` when it is not one name, or leads to more than one.
    pub fn found(&self, path: usize) -> Option<Option<NodeId>> {
        match self.found.get(path) {
            Some((first, false)) if self.plain[path] => Some(*first),
            _ => None,
        }
    }

    /// Up to [`STRANGERS_MAX`] names in records that no path of one name means, short ones.
    pub fn strangers(&self) -> &[String] {
        &self.strangers
    }
}

fn leads_to_attribute(path: &Path) -> bool {
    path.steps.last().is_some_and(|step| matches!(step.to, To::Attribute(_)))
}

fn is_plain(path: &Path) -> bool {
    let one =
        matches!(path.steps.as_slice(), [Step { deep: false, to: To::Element(_) | To::Attribute(_), predicates }] if predicates.is_empty());
    one && !path.absolute
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_pass_finds_what_each_path_finds_alone(
            records in prop::collection::vec(prop::collection::vec((any::<bool>(), "[aAb_]{1,2}"), 0..6), 1..5),
            names in prop::collection::vec("[aAb]{1,2}", 1..4),
        ) {
            let mut paths: Vec<Path> = names.iter().flat_map(|name| [Path::element(name), Path::attribute(name)]).collect();
            paths.extend(["a/b", "//a", "*"].map(|text| Path::parse(text).unwrap()));
            let (mut direct, namespaces): (_, &Namespaces) = (Direct::default(), &[]);
            let mut tree = Tree::default();
            for children in records {
                let record = tree.element(NodeId::DOCUMENT, "record", 0, 1);
                for (attribute, name) in children {
                    match attribute {
                        true => tree.attribute(record, &name, 0, "1"),
                        false => drop(tree.element(record, &name, 0, 1)),
                    }
                }
                direct.look(&tree, record, &paths, namespaces);
                for (index, path) in paths.iter().enumerate() {
                    let alone = tree.find_one(record, path, namespaces);
                    if let Some(found) = direct.found(index) {
                        prop_assert_eq!(found.map(|found| (found, false)), alone);
                    } else {
                        prop_assert!(!is_plain(path) || tree.find_all(record, path, namespaces, 9).len() > 1);
                    }
                }
            }
        }
    }
}
