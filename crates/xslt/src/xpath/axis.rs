//! The axes and node tests (XPath 1.0, sections 2.2 and 2.3) over one tree.

use super::expression::{Axis, Test};
use crate::name::{Names, StringId};
use crate::tree::node::Node;
use crate::tree::{Kind, Tree};

/// Whether a node (no namespace node) passes a test, where `principal` is the kind that names mean.
pub(crate) fn passes(tree: &Tree, names: &Names, id: u32, principal: Kind, test: Test) -> bool {
    match test {
        Test::Node => true,
        Test::Name(name) => tree.is(id, principal) && tree.qname(id).is_some_and(|qname| names.name(qname) == name),
        Test::Any => tree.is(id, principal),
        Test::Text => tree.is(id, Kind::Text),
        Test::Comment => tree.is(id, Kind::Comment),
        Test::Namespace(uri) => tree.is(id, principal) && tree.qname(id).is_some_and(|qname| names.uri(names.name(qname)) == uri),
        Test::Instruction(target) => {
            tree.is(id, Kind::Instruction)
                && target.is_none_or(|target| tree.qname(id).is_some_and(|qname| names.local(names.name(qname)) == target))
        }
    }
}

/// Whether a namespace node passes; `principal` is whether names mean namespace nodes.
fn namespace_passes(names: &Names, prefix: StringId, principal: bool, test: Test) -> bool {
    match test {
        Test::Node => true,
        Test::Any => principal,
        Test::Name(name) => principal && names.uri(name) == StringId::EMPTY && names.local(name) == prefix,
        _ => false,
    }
}

/// Visits the nodes of an axis that pass the test, in the order of the axis, until the visitor says true. Returns how many nodes were
/// looked at, for the budget.
pub(crate) fn walk(tree: &Tree, names: &Names, from: Node, axis: Axis, test: Test, mut visit: impl FnMut(Node) -> bool) -> u64 {
    let mut looked = 0;
    if from.is_namespace() {
        return walk_from_namespace(tree, names, from, axis, test, visit);
    }
    let id = from.id();
    let mut check = |id: u32, principal: Kind, visit: &mut dyn FnMut(Node) -> bool| {
        looked += 1;
        passes(tree, names, id, principal, test) && visit(from.with(id))
    };
    match axis {
        Axis::Child => {
            let mut next = tree.first_child(id);
            while let Some(child) = next {
                if check(child, Kind::Element, &mut visit) {
                    break;
                }
                next = tree.next_sibling(child);
            }
        }
        Axis::Attribute => {
            for attribute in tree.attributes(id) {
                if check(attribute, Kind::Attribute, &mut visit) {
                    break;
                }
            }
        }
        Axis::SelfNode => {
            check(id, Kind::Element, &mut visit);
        }
        Axis::Parent => {
            if id != 0 {
                check(tree.parent(id), Kind::Element, &mut visit);
            }
        }
        Axis::Ancestor | Axis::AncestorOrSelf => {
            let mut at = id;
            if axis == Axis::AncestorOrSelf && check(at, Kind::Element, &mut visit) {
                return looked;
            }
            while at != 0 {
                at = tree.parent(at);
                if check(at, Kind::Element, &mut visit) {
                    break;
                }
            }
        }
        Axis::Descendant | Axis::DescendantOrSelf => {
            if axis == Axis::DescendantOrSelf && check(id, Kind::Element, &mut visit) {
                return looked;
            }
            for at in id + 1..tree.end(id) {
                if !tree.is(at, Kind::Attribute) && check(at, Kind::Element, &mut visit) {
                    break;
                }
            }
        }
        Axis::FollowingSibling => {
            let mut next = tree.next_sibling(id);
            while let Some(sibling) = next {
                if check(sibling, Kind::Element, &mut visit) {
                    break;
                }
                next = tree.next_sibling(sibling);
            }
        }
        Axis::PrecedingSibling => {
            let mut next = tree.previous_sibling(id);
            while let Some(sibling) = next {
                if check(sibling, Kind::Element, &mut visit) {
                    break;
                }
                next = tree.previous_sibling(sibling);
            }
        }
        Axis::Following => {
            for at in tree.end(id)..tree.len() {
                if !tree.is(at, Kind::Attribute) && check(at, Kind::Element, &mut visit) {
                    break;
                }
            }
        }
        Axis::Preceding => {
            // Ancestors are met on the way back: the next one is known, so that each is skipped at once.
            let mut ancestor = if tree.is(id, Kind::Attribute) { tree.parent(id) } else { id };
            let mut at = ancestor;
            ancestor = tree.parent(ancestor);
            while at > 1 {
                at -= 1;
                if at == ancestor {
                    ancestor = tree.parent(ancestor);
                } else if !tree.is(at, Kind::Attribute) && check(at, Kind::Element, &mut visit) {
                    break;
                }
            }
        }
        Axis::Namespace => {
            if tree.is(id, Kind::Element) {
                for (index, (prefix, _)) in tree.namespace_nodes(id).into_iter().enumerate() {
                    looked += 1;
                    if namespace_passes(names, prefix, true, test) && visit(from.namespace(index as u32 + 1)) {
                        break;
                    }
                }
            }
        }
    }
    looked
}

fn walk_from_namespace(tree: &Tree, names: &Names, from: Node, axis: Axis, test: Test, mut visit: impl FnMut(Node) -> bool) -> u64 {
    let element = from.with(from.id());
    let itself = |visit: &mut dyn FnMut(Node) -> bool| {
        let prefix = tree.namespace_nodes(from.id()).get(from.rank() as usize - 1).map_or(StringId::EMPTY, |&(prefix, _)| prefix);
        namespace_passes(names, prefix, false, test) && visit(from)
    };
    match axis {
        Axis::SelfNode | Axis::DescendantOrSelf => {
            itself(&mut visit);
            1
        }
        Axis::Parent => walk(tree, names, element, Axis::SelfNode, test, visit),
        Axis::Ancestor => walk(tree, names, element, Axis::AncestorOrSelf, test, visit),
        Axis::AncestorOrSelf => {
            if itself(&mut visit) {
                return 1;
            }
            walk(tree, names, element, Axis::AncestorOrSelf, test, visit)
        }
        Axis::Preceding => walk(tree, names, element, axis, test, visit),
        Axis::Following => {
            // What follows a namespace node in document order are the descendants of its element too.
            let mut looked = 0;
            for at in from.id() + 1..tree.len() {
                looked += 1;
                if !tree.is(at, Kind::Attribute) && passes(tree, names, at, Kind::Element, test) && visit(from.with(at)) {
                    break;
                }
            }
            looked
        }
        Axis::Child | Axis::Attribute | Axis::Descendant | Axis::FollowingSibling | Axis::PrecedingSibling | Axis::Namespace => 0,
    }
}
