//! Who is next: requests that wait, served address by address in turn, so that one that sends many delays the others by one request each.

use std::collections::{HashMap, VecDeque};

use super::address::AddressKey;
use super::slab::Key;

/// Waiting requests of many addresses.
#[derive(Default)]
pub(super) struct Turns {
    waiting: HashMap<AddressKey, VecDeque<Key>>,
    /// Each address that has requests here, once, the next in front.
    round: VecDeque<AddressKey>,
    count: usize,
}

impl Turns {
    /// All that wait.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Those of one address.
    pub(super) fn len_of(&self, address: AddressKey) -> usize {
        self.waiting.get(&address).map_or(0, VecDeque::len)
    }

    /// One more waits.
    pub(super) fn push(&mut self, address: AddressKey, key: Key) {
        let queue = self.waiting.entry(address).or_default();
        if queue.is_empty() {
            self.round.push_back(address);
        }
        queue.push_back(key);
        self.count += 1;
    }

    /// The oldest of the address whose turn it is.
    pub(super) fn pop(&mut self) -> Option<Key> {
        let address = self.round.pop_front()?;
        let queue = self.waiting.get_mut(&address)?;
        let key = queue.pop_front();
        match queue.is_empty() {
            true => drop(self.waiting.remove(&address)),
            false => self.round.push_back(address),
        }
        self.count -= usize::from(key.is_some());
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::slab::Slab;

    #[test]
    fn addresses_take_turns_and_each_is_served_in_its_own_order() {
        let mut slab = Slab::<()>::new();
        let keys: Vec<Key> = (0..6).map(|_| slab.reserve()).collect();
        let address = |last: u8| AddressKey::of(std::net::IpAddr::from([10, 0, 0, last]));
        let mut turns = Turns::default();
        for (owner, key) in [(1, 0), (1, 1), (1, 2), (2, 3), (1, 4), (3, 5)] {
            turns.push(address(owner), keys[key]);
        }
        assert_eq!((turns.len(), turns.len_of(address(1)), turns.len_of(address(4))), (6, 4, 0));
        let mut served = Vec::new();
        while let Some(key) = turns.pop() {
            served.push(keys.iter().position(|other| *other == key).unwrap());
        }
        assert_eq!(served, [0, 3, 5, 1, 2, 4]);
        assert_eq!((turns.len(), turns.round.len(), turns.waiting.len()), (0, 0, 0), "nothing is kept of who has gone");
    }
}
