//! Producers.

use super::super::layout::{KIND_CONDITION, MAX_CONDITIONS, MsgView, SlabEntry, Words};
use super::super::memory::{Memory, word};
use super::{MAX_CLAIM, P1, P2, P3, P4, Transport};
use crate::sync::atomic::Ordering;
use crate::sync::{SharedWord64, Word64, relax};
use core::mem::MaybeUninit;

/// Consecutive tickets of one producer, to be published in order.
#[derive(Debug, Clone, Copy)]
struct Claim {
    first: u64,
    count: u64,
}

/// How long a producer that has lost an exchange leaves the line to the others: what it spares them is worth several of
/// their messages. Bounded. A model explores all orders anyway.
struct Pause {
    spins: u32,
}

impl Pause {
    const FIRST: u32 = if cfg!(all(test, loom)) { 0 } else { 64 };
    const MOST: u32 = 256;

    #[inline(always)]
    const fn new() -> Self {
        Self { spins: Self::FIRST }
    }

    #[inline(always)]
    fn wait(&mut self) {
        (0..self.spins).for_each(|_| relax());
        self.spins = (self.spins * 2).min(Self::MOST);
    }
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

    /// Takes `wanted` tickets if there is room for all of them and the head stays where it is; otherwise none. `wanted` is
    /// between 1 and [`MAX_CLAIM`].
    #[inline(always)]
    fn claim_at_once(&self, wanted: u64) -> Option<Claim> {
        // Relaxed: nothing is refused here.
        let (tail, head) = self.look(Ordering::Relaxed);
        let used = head.wrapping_sub(tail);
        let fits = used <= self.memory.capacity().wrapping_sub(wanted) && wanted <= self.memory.capacity();
        let claim = Claim { first: head, count: wanted };
        if fits && self.exchange(claim) { Some(claim) } else { None }
    }

    /// Takes up to `wanted` tickets, at least one unless the ring is full. `wanted` is as for [`Transport::claim_at_once`].
    #[inline(always)]
    fn claim_anyhow(&self, wanted: u64) -> Claim {
        let mut pause = Pause::new();
        loop {
            // [P4] Acquire: pairs with [P3]; see below.
            let (tail, head) = self.look(P4.order());
            // Too much as well if the tail is ahead: it was put there by hand.
            let used = head.wrapping_sub(tail);
            if used >= self.memory.capacity() {
                // Relaxed: who made this head had room by a tail that [P4] brings along, so this one is not older.
                let moved = self.memory.word(word::TAIL).load(Ordering::Relaxed);
                if moved == tail {
                    return Claim { first: head, count: 0 };
                }
                continue;
            }
            let claim = Claim { first: head, count: wanted.min(self.memory.capacity().wrapping_sub(used)) };
            if self.exchange(claim) {
                return claim;
            }
            pause.wait();
        }
    }

    /// Both cursors, the head last and in a line that can be written. The head is not behind the tail: whoever moved the
    /// tail had acquired a `seq` that was stored after the claim.
    #[inline(always)]
    fn look(&self, order: Ordering) -> (u64, u64) {
        // [P2] Acquire: pairs with [C2]; the consumer is done with the slots before this tail.
        let tail = self.memory.word(word::TAIL).load(P2.order());
        self.memory.prefetch_head();
        (tail, self.memory.word(word::HEAD).load(order))
    }

    /// Takes the tickets of `claim`, for which there is room; false if the head has moved.
    #[inline(always)]
    fn exchange(&self, claim: Claim) -> bool {
        let next = claim.first.wrapping_add(claim.count);
        let head = self.memory.word(word::HEAD);
        // [P3] Release: pairs with [P4]; the tail by which there is room. Relaxed on failure: the head is read again.
        head.compare_exchange(claim.first, next, P3.order(), Ordering::Relaxed).is_ok()
    }

    /// Fills the slot of a claimed ticket and publishes it.
    #[inline(always)]
    fn publish(&self, ticket: u64, message: &Words) {
        self.memory.write(ticket, message);
        // [P1] Release: pairs with [C1]; the payload is visible before the ticket.
        self.memory.seq(ticket).store(ticket.wrapping_add(1), P1.order());
    }
}
