//! Producers.

use super::super::layout::{KIND_CONDITION, MAX_CONDITIONS, MsgView, SlabEntry, Words};
use super::super::memory::{Memory, word};
use super::super::padding;
use super::{H1, H2, MAX_CLAIM, P1, P2, Transport};
use crate::sync::atomic::Ordering;
use crate::sync::{SharedWord64, Word64};
use core::mem::MaybeUninit;

/// Consecutive tickets of one producer, to be published in order.
#[derive(Debug, Clone, Copy)]
struct Claim {
    first: u64,
    count: u64,
}

impl<M: Memory> Transport<M> {
    /// Publishes one message; false if the ring is full, in which case nothing happened. Any thread; lock-free.
    #[inline(always)]
    pub fn push(&self, message: &MsgView) -> bool {
        self.push_at_once(message) || self.push_anyhow(message)
    }

    /// The first half of [`Transport::push`]: publishes the message if that takes no more than the rule; otherwise false, and
    /// nothing happened.
    #[inline(always)]
    pub fn push_at_once(&self, message: &MsgView) -> bool {
        match self.claim_at_once(1) {
            Some(claim) => {
                self.publish(claim.first, &message.words());
                true
            }
            None => false,
        }
    }

    /// The second half of [`Transport::push`].
    #[inline(never)]
    pub fn push_anyhow(&self, message: &MsgView) -> bool {
        let claim = self.claim_anyhow(1);
        if claim.count != 0 {
            self.publish(claim.first, &message.words());
        }
        claim.count != 0
    }

    /// Publishes a prefix of `messages`, as long as room allows, under consecutive tickets taken by one exchange. Gives its
    /// length. At most [`MAX_CLAIM`] messages count. Any thread; lock-free.
    #[inline(always)]
    pub fn push_run(&self, messages: &[Words]) -> usize {
        let wanted = messages.len().min(MAX_CLAIM);
        if wanted == 0 {
            return 0;
        }
        let claim = match self.claim_at_once(wanted as u64) {
            Some(claim) => claim,
            None => self.claim_anyhow(wanted as u64),
        };
        let mut ticket = claim.first;
        for message in messages.iter().take(claim.count as usize) {
            self.publish(ticket, message);
            ticket = ticket.wrapping_add(1);
        }
        claim.count as usize
    }

    /// [`Transport::push_run`] of the `count` conditions of a slab from `entries` on, followed by the task's sentinel if
    /// `slot_state` is given: for a task whose only subtask this is. Gives how many messages were published, the sentinel
    /// counted. A `count` above [`MAX_CONDITIONS`] counts as that.
    ///
    /// The slab is read before tickets are claimed, so that publication follows at once.
    ///
    /// # Safety
    ///
    /// `entries` is 8-byte aligned and readable for `count` elements; nobody writes to them but possibly a device.
    #[inline(always)]
    pub unsafe fn push_slab(
        &self,
        task_token: u64,
        entries: *const SlabEntry,
        count: usize,
        slot_state: Option<u64>,
    ) -> usize {
        let mut messages = [const { MaybeUninit::<Words>::uninit() }; MAX_CLAIM];
        let mut length = 0;
        for (place, offset) in messages.iter_mut().zip(0..count.min(MAX_CONDITIONS)) {
            let words = entries.wrapping_add(offset).cast::<u64>();
            // SAFETY: the caller vouches for `count` entries of four words.
            let [addr, cookie, threshold, kind] =
                core::array::from_fn(|index| unsafe { words.wrapping_add(index).read_volatile() });
            let kind = kind & u64::from(u32::MAX) | u64::from(KIND_CONDITION) << 32;
            place.write([task_token, addr, cookie, threshold, kind]);
            length += 1;
        }
        if let (Some(slot_state), Some(place)) = (slot_state, messages.get_mut(length)) {
            place.write(MsgView::normal_done(task_token, slot_state).words());
            length += 1;
        }
        // SAFETY: the first `length` of at most `MAX_CLAIM` places were written above.
        self.push_run(unsafe { core::slice::from_raw_parts(messages.as_ptr().cast::<Words>(), length) })
    }

    /// Takes `wanted` tickets if the hint says that there is room and the head stays where it is; otherwise none. `wanted` is
    /// between 1 and [`MAX_CLAIM`].
    #[inline(always)]
    fn claim_at_once(&self, wanted: u64) -> Option<Claim> {
        self.memory.prefetch_head();
        // Relaxed: a guess, which the exchange validates.
        let head = self.memory.word(word::HEAD).load(Ordering::Relaxed);
        let hint = self.hint();
        let claim = Claim { first: head, count: wanted };
        let taken = self.holds(padding::hint_used(hint, head), wanted)
            && self.exchange(claim, padding::hint_after(hint, wanted)).is_ok();
        if taken { Some(claim) } else { None }
    }

    /// Takes up to `wanted` tickets, at least one unless the ring is full. `wanted` is as for [`Transport::claim_at_once`].
    #[inline(always)]
    fn claim_anyhow(&self, wanted: u64) -> Claim {
        self.memory.prefetch_head();
        // Relaxed: as in `claim_at_once`.
        let mut head = self.memory.word(word::HEAD).load(Ordering::Relaxed);
        loop {
            // What lies between claim and publication holds everybody up.
            self.memory.prefetch_to_write(head);
            let mut hint = self.hint();
            let mut count = wanted;
            if !self.holds(padding::hint_used(hint, head), wanted) {
                let Some((now, used)) = self.look_for_room(head) else {
                    return Claim { first: head, count: 0 };
                };
                (head, hint) = (now, padding::hint(now, used));
                count = wanted.min(self.memory.capacity().wrapping_sub(used));
            }
            let claim = Claim { first: head, count };
            match self.exchange(claim, padding::hint_after(hint, count)) {
                Ok(()) => return claim,
                Err(moved) => head = moved,
            }
        }
    }

    #[inline(always)]
    fn hint(&self) -> u64 {
        // [H2] Acquire: pairs with [H1]; with what [P2] brought to the writer of the hint, the consumer is done with the
        // slots.
        self.memory.word(word::HINT).load(H2.order())
    }

    /// Whether `wanted` tickets fit where `used` are taken.
    #[inline(always)]
    fn holds(&self, used: u64, wanted: u64) -> bool {
        used <= self.memory.capacity().wrapping_sub(wanted) && wanted <= self.memory.capacity()
    }

    /// Takes the tickets of `claim`, for which there is room; `hint` is about the head behind it. Gives the head if that has
    /// moved.
    #[inline(always)]
    fn exchange(&self, claim: Claim, hint: u64) -> Result<(), u64> {
        let next = claim.first.wrapping_add(claim.count);
        // Before the exchange, while nobody else is likely to want the line. If the exchange fails, what the hint says of the
        // tail is true all the same.
        // [H1] Release: pairs with [H2].
        self.memory.word(word::HINT).store(hint, H1.order());
        // Relaxed: see the module's documentation.
        let head = self.memory.word(word::HEAD);
        head.compare_exchange(claim.first, next, Ordering::Relaxed, Ordering::Relaxed).map(|_| ())
    }

    /// Asks the consumer's cursor: the head and how many tickets are taken, below the capacity; `None` if the ring is full.
    #[inline(always)]
    fn look_for_room(&self, mut head: u64) -> Option<(u64, u64)> {
        loop {
            // [P2] Acquire: pairs with [C2]; the consumer is done with the slots before this tail.
            let tail = self.memory.word(word::TAIL).load(P2.order());
            // Too much as well if the tail is ahead, because the head moved before it was read.
            let used = head.wrapping_sub(tail);
            if used < self.memory.capacity() {
                return Some((head, used));
            }
            // Relaxed: if the head has not moved, the ring was full when the tail was read. It is not behind what the
            // acquired tail has counted, so a tail that is ahead of it now was put there by hand.
            let moved = self.memory.word(word::HEAD).load(Ordering::Relaxed);
            if moved == head {
                return None;
            }
            head = moved;
        }
    }

    /// Fills the slot of a claimed ticket and publishes it.
    #[inline(always)]
    fn publish(&self, ticket: u64, message: &Words) {
        self.memory.write(ticket, message);
        // [P1] Release: pairs with [C1]; the payload is visible before the ticket.
        self.memory.seq(ticket).store(ticket.wrapping_add(1), P1.order());
    }
}
