//! The boot thread: both ways to start a run.

use super::super::memory::{Memory, word};
use super::super::padding;
use super::{Transport, ahead};
use crate::sync::Word64;
use crate::sync::atomic::Ordering;

/// Slots behind the head that are looked at before a ring is taken over; as many again all over the ring.
const LOOKS: u64 = 8;

impl<M: Memory> Transport<M> {
    /// `tail := head`: everything that was not consumed is discarded, claims that nobody published included. For memory
    /// that was initialised once, by zero bytes for instance. Nothing else is at work on the mailbox; the caller publishes
    /// the start.
    pub fn discard(&self) {
        // Relaxed, both: single-threaded, published by whatever starts the threads.
        let head = self.memory.word(word::HEAD).load(Ordering::Relaxed);
        self.memory.word(word::TAIL).store(head, Ordering::Relaxed);
    }

    /// Makes an empty ring of any bytes. If the padding proves that the ring was made here and that nothing but pushes has
    /// moved `head`, that is `tail := head`, and the tickets go on (true is returned); otherwise everything is cleared. A new run
    /// number stands in the padding afterwards. Nothing else is at work on the mailbox; the caller publishes the start.
    pub fn init_empty(&self) -> bool {
        let run = self.run();
        let kept = run.is_some() && self.is_sound();
        if kept {
            self.discard();
        } else {
            self.memory.clear();
        }
        let run = match run {
            Some(run) if kept => run.wrapping_add(1),
            _ => fresh_run(),
        };
        // 0 says that there is none.
        let (stamp, check) = padding::stamp(run.max(1));
        // Relaxed, both: as in `discard`.
        self.memory.word(word::STAMP).store(stamp, Ordering::Relaxed);
        self.memory.word(word::STAMP_CHECK).store(check, Ordering::Relaxed);
        kept
    }

    /// Number of the run that [`Transport::init_empty`] began last, unless the padding was overwritten since. Never 0.
    pub fn run(&self) -> Option<u32> {
        // Relaxed, both: written at rest.
        let load = |index| self.memory.word(index).load(Ordering::Relaxed);
        padding::stamp_run(load(word::STAMP), load(word::STAMP_CHECK))
    }

    /// Whether the cursors are where pushes and pops have left them, and no slot that is looked at could be taken for a
    /// message to come.
    fn is_sound(&self) -> bool {
        // Relaxed, all: as in `discard`.
        let load = |index| self.memory.word(index).load(Ordering::Relaxed);
        let (head, tail) = (load(word::HEAD), load(word::TAIL));
        let capacity = self.memory.capacity();
        if !(0..=capacity as i64).contains(&ahead(head, tail)) {
            return false;
        }
        // Before the first push there is no hint.
        let hint = load(word::HINT);
        let untouched = head == 0 && hint == 0;
        if !untouched && padding::hint_used(hint, head) > capacity {
            return false;
        }
        // A slot holds the `seq` of a ticket of its own before `head`, or 0 if it was not used yet.
        let stride = (capacity / LOOKS).max(1);
        let near = (0..LOOKS).map(|offset| head.wrapping_add(offset));
        let far = (0..LOOKS).map(|offset| head.wrapping_sub(1).wrapping_add(offset.wrapping_mul(stride)));
        near.chain(far).all(|ticket| {
            let seq = self.memory.seq(ticket).load(Ordering::Relaxed);
            seq == 0 || (seq.wrapping_sub(ticket).wrapping_sub(1) & (capacity - 1) == 0 && ahead(seq, head) <= 0)
        })
    }
}

/// A number that is unlikely to be that of an earlier run in this memory, whatever has become of it.
fn fresh_run() -> u32 {
    let ticks: u64;
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: reads the time stamp counter.
    unsafe {
        ticks = core::arch::x86_64::_rdtsc();
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: reads the virtual counter.
    unsafe {
        core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        ticks = 1;
    }
    padding::mix(ticks) as u32
}
