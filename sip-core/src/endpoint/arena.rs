//! A slab whose keys carry a generation: an id that outlived its entry finds nothing.
//! Ids are `Copy`, so the application may keep them as long as it likes.

use std::marker::PhantomData;

use slab::Slab;

/// An id made of a slot and the generation that filled it.
pub(crate) trait Id: Copy {
    fn new(slot: u32, generation: u32) -> Self;
    fn slot(self) -> u32;
    fn generation(self) -> u32;
}

macro_rules! id {
    ($(#[$doc:meta])* $vis:vis $name:ident) => {
        $(#[$doc])*
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        $vis struct $name {
            slot: u32,
            generation: u32,
        }

        impl $crate::endpoint::arena::Id for $name {
            fn new(slot: u32, generation: u32) -> Self {
                Self { slot, generation }
            }

            fn slot(self) -> u32 {
                self.slot
            }

            fn generation(self) -> u32 {
                self.generation
            }
        }
    };
}

id! {
    /// A request that was received and may still be answered. It outlives its transaction without
    /// harm: commands on a finished one are [`EndpointError::Gone`](super::EndpointError::Gone).
    pub ServerTx
}

id! {
    /// A request that we sent, from the command that started it to its last event
    /// ([`Event::Final`](super::Event::Final) or [`Event::Failed`](super::Event::Failed)). Digest
    /// challenges and fail-over to another target happen under the same id.
    pub ClientTx
}

id! {
    /// A dialog (RFC 3261 12), early or confirmed.
    pub DialogId
}

id! {
    /// One client transaction on the wire; a [`ClientTx`] may go through several.
    pub(crate) WireTx
}

/// Entries of type `T` under generational ids of type `I`.
#[derive(Debug)]
pub(crate) struct Arena<I, T> {
    slots: Slab<(u32, T)>,
    generation: u32,
    id: PhantomData<I>,
}

impl<I: Id, T> Arena<I, T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Slab::new(),
            generation: 0,
            id: PhantomData,
        }
    }

    pub(crate) fn insert(&mut self, value: T) -> I {
        self.generation = self.generation.wrapping_add(1);
        let slot = self.slots.insert((self.generation, value));
        I::new(slot as u32, self.generation)
    }

    pub(crate) fn get(&self, id: I) -> Option<&T> {
        self.slots
            .get(id.slot() as usize)
            .filter(|(generation, _)| *generation == id.generation())
            .map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, id: I) -> Option<&mut T> {
        self.slots
            .get_mut(id.slot() as usize)
            .filter(|(generation, _)| *generation == id.generation())
            .map(|(_, value)| value)
    }

    pub(crate) fn remove(&mut self, id: I) -> Option<T> {
        self.get(id)?;
        self.slots
            .try_remove(id.slot() as usize)
            .map(|(_, value)| value)
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.slots
            .iter()
            .map(|(slot, (generation, value))| (I::new(slot as u32, *generation), value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_id_does_not_reach_the_entry_that_took_its_slot() {
        let mut arena: Arena<DialogId, &str> = Arena::new();
        let old = arena.insert("old");
        assert_eq!(arena.remove(old), Some("old"));
        let new = arena.insert("new");
        assert_eq!(old.slot(), new.slot());
        assert_eq!(arena.get(old), None);
        assert_eq!(arena.remove(old), None);
        assert_eq!(arena.get(new), Some(&"new"));
        assert_eq!(arena.len(), 1);
    }
}
