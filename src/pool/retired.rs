//! Buffers that nobody could pass on. Parking is the exit of a failure, so a lock is allowed.

use super::Buffer;
use crate::status::Status;
use crate::sync::atomic::{AtomicU32, ColdMutex, Ordering};
use core::cmp::Reverse;

/// A parked buffer and when it came.
#[derive(Clone, Copy)]
struct Item {
    buffer: Buffer,
    ticket: u64,
}

/// What is parked for one (shard, kind), oldest first.
#[derive(Default)]
struct Slot {
    circulable: Vec<Item>,
    quarantined: Vec<Item>,
}

struct Parked {
    /// By shard, then kind: a kind whose lanes are full must not stand in the way of another.
    slots: Box<[Slot]>,
    next_ticket: u64,
}

/// The parking place of a pool.
pub(super) struct Retired {
    parked: ColdMutex<Parked>,
    // Buffers of each kind that can be brought back. Lets the replenish thread look without the lock.
    circulable: Box<[AtomicU32]>,
}

impl Retired {
    pub(super) fn new(shards: u32, kinds: u32) -> Result<Self, Status> {
        let slots = super::build(shards * kinds, || Ok(Slot::default()))?;
        Ok(Self {
            parked: ColdMutex::new(Parked { slots, next_ticket: 0 }),
            circulable: super::build(kinds, || Ok(AtomicU32::new(0)))?,
        })
    }

    fn kinds(&self) -> usize {
        self.circulable.len()
    }

    /// Parks `buffer`; for good if `quarantined`. Fails only if storage cannot grow. Shard and kind are in range.
    pub(super) fn park(&self, shard: usize, buffer: Buffer, quarantined: bool) -> Result<(), Status> {
        let kind = buffer.kind as usize;
        let mut parked = self.parked.lock();
        let ticket = parked.next_ticket;
        let slot = &mut parked.slots[shard * self.kinds() + kind];
        let list = if quarantined { &mut slot.quarantined } else { &mut slot.circulable };
        list.try_reserve(1).map_err(|_| Status::LANEPIPE_E_NO_MEMORY)?;
        list.push(Item { buffer, ticket });
        parked.next_ticket += 1;
        if !quarantined {
            // Relaxed: a hint; the lock orders the lists.
            self.circulable[kind].fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether there may be a buffer of `kind` to bring back. Any thread.
    pub(super) fn has_circulable(&self, kind: u32) -> bool {
        // Relaxed: a hint.
        self.circulable[kind as usize].load(Ordering::Relaxed) != 0
    }

    /// Takes the buffer of `kind` parked last that can be brought back, of all shards or of one.
    pub(super) fn take(&self, shard: Option<usize>, kind: u32) -> Option<Buffer> {
        let kind = kind as usize;
        let mut parked = self.parked.lock();
        let of_kind = parked.slots.iter_mut().skip(kind).step_by(self.kinds());
        let newest = of_kind
            .enumerate()
            .filter(|(at, _)| shard.is_none_or(|shard| shard == *at))
            .map(|(_, slot)| &mut slot.circulable)
            .max_by_key(|list| list.last().map(|item| item.ticket))?;
        let item = newest.pop()?;
        self.circulable[kind].fetch_sub(1, Ordering::Relaxed);
        Some(item.buffer)
    }

    /// Takes `buffer` out of quarantine; false if it is not there.
    pub(super) fn end_quarantine(&self, buffer: &Buffer) -> bool {
        let mut parked = self.parked.lock();
        for slot in &mut parked.slots {
            if let Some(at) = slot.quarantined.iter().rposition(|item| item.buffer == *buffer) {
                slot.quarantined.remove(at);
                return true;
            }
        }
        false
    }

    /// Runs `f` on every parked buffer with its shard; the flag says whether it is quarantined.
    pub(super) fn for_each(&self, mut f: impl FnMut(usize, &Buffer, bool)) {
        let parked = self.parked.lock();
        for (index, slot) in parked.slots.iter().enumerate() {
            let shard = index / self.kinds();
            slot.circulable.iter().for_each(|item| f(shard, &item.buffer, false));
            slot.quarantined.iter().for_each(|item| f(shard, &item.buffer, true));
        }
    }

    /// Runs `f` on every parked buffer: by shard, then kind, the newest first.
    pub(super) fn for_each_newest_first(&self, mut f: impl FnMut(&Buffer)) {
        let parked = self.parked.lock();
        for slot in &parked.slots {
            let mut lists = [slot.circulable.as_slice(), slot.quarantined.as_slice()];
            loop {
                lists.sort_by_key(|list| Reverse(list.last().map(|item| item.ticket)));
                let Some((newest, older)) = lists[0].split_last() else { break };
                f(&newest.buffer);
                lists[0] = older;
            }
        }
    }

    /// Number of parked buffers.
    pub(super) fn len(&self) -> usize {
        let parked = self.parked.lock();
        parked.slots.iter().map(|slot| slot.circulable.len() + slot.quarantined.len()).sum()
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        let mut parked = self.parked.lock();
        parked.slots.iter_mut().for_each(|slot| *slot = Slot::default());
        for count in &self.circulable {
            count.store(0, Ordering::Relaxed);
        }
    }
}
