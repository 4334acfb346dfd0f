//! A node of any tree, in eight bytes that sort in document order.

/// Tree number (20 bits), node number (32 bits), and for a namespace node its rank among those of its element (12 bits, from 1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Node(u64);

/// How many trees can be alive at once.
pub(crate) const TREES_MAX: usize = (1 << 20) - 1;
/// How many namespaces can be in scope of one element.
pub(crate) const NAMESPACES_MAX: usize = (1 << 12) - 2;

impl Node {
    pub(crate) fn new(tree: u32, id: u32) -> Node {
        Node(u64::from(tree) << 44 | u64::from(id) << 12)
    }

    /// The namespace node of this rank, counted from 1.
    pub(crate) fn namespace(self, rank: u32) -> Node {
        Node(self.0 & !0xFFF | u64::from(rank))
    }

    pub(crate) fn tree(self) -> u32 {
        (self.0 >> 44) as u32
    }

    /// The number in its tree; of a namespace node, its element's.
    pub(crate) fn id(self) -> u32 {
        (self.0 >> 12) as u32
    }

    /// 0, or the rank of a namespace node.
    pub(crate) fn rank(self) -> u32 {
        (self.0 & 0xFFF) as u32
    }

    pub(crate) fn is_namespace(self) -> bool {
        self.rank() != 0
    }

    /// Another node of the same tree.
    pub(crate) fn with(self, id: u32) -> Node {
        Node::new(self.tree(), id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespace_nodes_stand_between_their_element_and_its_attributes() {
        let element = Node::new(3, 7);
        assert!(element < element.namespace(1));
        assert!(element.namespace(4000) < element.with(8));
        assert!(element.with(u32::MAX) < Node::new(4, 0));
        let node = Node::new(TREES_MAX as u32, u32::MAX).namespace(9);
        assert_eq!((node.tree(), node.id(), node.rank()), (TREES_MAX as u32, u32::MAX, 9));
    }
}
