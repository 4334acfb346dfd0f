//! Numbered places for connections. A key names a place and its generation, so an event or a link that outlived its connection
//! finds nothing, never a stranger.

/// Names an entry; fits the key of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key(usize);

/// Bits of the place; the others, but for the two lowest, count generations.
const PLACE_BITS: u32 = usize::BITS / 2 - 2;
const GENERATIONS: usize = 1 << (usize::BITS / 2 - 1);

impl Key {
    fn new(place: usize, generation: usize) -> Self {
        Key(generation << PLACE_BITS | place)
    }

    fn place(self) -> usize {
        self.0 & ((1 << PLACE_BITS) - 1)
    }

    /// The key of an event, with the kind (0 or 1) of what it names in the lowest bit.
    pub(super) fn event(self, kind: usize) -> usize {
        self.0 << 1 | kind
    }

    /// The reverse of [`Key::event`].
    pub(super) fn of_event(event: usize) -> (Self, usize) {
        (Key(event >> 1), event & 1)
    }
}

/// Entries by key.
pub(super) struct Slab<T> {
    places: Vec<(usize, Option<Box<T>>)>,
    free: Vec<usize>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Slab { places: Vec::new(), free: Vec::new() }
    }

    /// A key for a new entry, which [`Slab::put`] then fills.
    pub(super) fn reserve(&mut self) -> Key {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() - 1
        });
        Key::new(place, self.places[place].0)
    }

    /// Takes an entry out, to work on; it is put back or its key is released.
    pub(super) fn take(&mut self, key: Key) -> Option<Box<T>> {
        let (generation, entry) = self.places.get_mut(key.place())?;
        if Key::new(key.place(), *generation) != key {
            return None;
        }
        entry.take()
    }

    /// Looks at an entry.
    pub(super) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let (generation, entry) = self.places.get_mut(key.place())?;
        if Key::new(key.place(), *generation) != key {
            return None;
        }
        entry.as_deref_mut()
    }

    pub(super) fn put(&mut self, key: Key, entry: Box<T>) {
        self.places[key.place()].1 = Some(entry);
    }

    /// Gives the place up; the key is never valid again.
    pub(super) fn release(&mut self, key: Key) {
        let place = &mut self.places[key.place()];
        *place = ((place.0 + 1) % GENERATIONS, None);
        self.free.push(key.place());
    }

    /// The keys of all entries.
    pub(super) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.places
            .iter()
            .enumerate()
            .filter(|(_, (_, entry))| entry.is_some())
            .map(|(place, (generation, _))| Key::new(place, *generation))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.len() == self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_key_finds_nothing() {
        let mut slab = Slab::new();
        let first = slab.reserve();
        slab.put(first, Box::new("first"));
        assert_eq!(slab.take(first).as_deref(), Some(&"first"));
        slab.release(first);
        let second = slab.reserve();
        slab.put(second, Box::new("second"));
        assert_eq!(slab.take(first), None);
        assert!(slab.get_mut(first).is_none());
        assert_eq!(Key::of_event(second.event(1)), (second, 1));
        assert_ne!(second.event(1), usize::MAX);
        assert_eq!(slab.keys().collect::<Vec<_>>(), [second]);
    }
}
