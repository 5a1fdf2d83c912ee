//! The boot thread: both ways to start a run.

use super::super::memory::{Memory, word};
use super::super::padding::{self, Start};
use super::{Transport, ahead};
use crate::sync::Word64;
use crate::sync::atomic::Ordering;

/// Slots behind the head that are looked at before a ring is taken over; as many again all over the ring.
const LOOKS: u64 = 8;

/// Tickets of one life of the memory, from one [`Transport::init_empty`] to the next. At a nanosecond each they last for
/// eighteen minutes; a life that went on for longer ends with everything being cleared.
const LIFE: u64 = 1 << 40;

impl<M: Memory> Transport<M> {
    /// `tail := head`: everything that was not consumed is discarded, claims that nobody published included. For memory
    /// that was initialised once, by zero bytes for instance. Nothing else is at work on the mailbox; the caller publishes
    /// the start.
    pub fn discard(&self) {
        // Relaxed, both: single-threaded, published by whatever starts the threads.
        let head = self.memory.word(word::HEAD).load(Ordering::Relaxed);
        self.memory.word(word::TAIL).store(head, Ordering::Relaxed);
    }

    /// Makes an empty ring of any bytes. If the padding proves that the ring was made here, the tickets of the new run begin
    /// where no earlier one has come to (true is returned); otherwise everything is cleared. A new run number stands in the
    /// padding afterwards. Nothing else is at work on the mailbox; the caller publishes the start.
    pub fn init_empty(&self) -> bool {
        let known = self.start();
        let next = known.filter(|start| self.is_sound(start.first)).and_then(|start| {
            let first = start.first.wrapping_add(LIFE);
            // Beyond the last life only cleared slots are sound.
            (first != 0).then_some(Start { run: start.run.wrapping_add(1), first })
        });
        let Start { run, first } = next.unwrap_or_else(|| {
            self.memory.clear();
            Start { run: fresh_run(), first: 0 }
        });
        // 0 says that there is none.
        let stamp = padding::stamp(Start { run: run.max(1), first });
        // Relaxed, all: as in `discard`.
        let words = [word::HEAD, word::TAIL, word::STAMP, word::FIRST, word::STAMP_CHECK];
        for (index, value) in words.into_iter().zip([first; 2].into_iter().chain(stamp)) {
            self.memory.word(index).store(value, Ordering::Relaxed);
        }
        next.is_some()
    }

    /// Number of the run that [`Transport::init_empty`] began last, unless the padding was overwritten since. Never 0.
    pub fn run(&self) -> Option<u32> {
        self.start().map(|start| start.run)
    }

    fn start(&self) -> Option<Start> {
        // Relaxed, all: written at rest.
        let load = |index| self.memory.word(index).load(Ordering::Relaxed);
        padding::start_of([load(word::STAMP), load(word::FIRST), load(word::STAMP_CHECK)])
    }

    /// Whether the cursors are where a life that began at ticket `first` can have brought them, and no slot that is looked at
    /// has a `seq` that it cannot have left.
    fn is_sound(&self, first: u64) -> bool {
        // Relaxed, all: as in `discard`.
        let load = |index| self.memory.word(index).load(Ordering::Relaxed);
        let (head, tail) = (load(word::HEAD), load(word::TAIL));
        let capacity = self.memory.capacity();
        let out = ahead(head, tail);
        if head.wrapping_sub(first) >= LIFE || tail.wrapping_sub(first) >= LIFE || !(0..=capacity as i64).contains(&out)
        {
            return false;
        }
        // What the stamp vouches for is vouched for once more, for memory that somebody else has used in between: a slot holds
        // the `seq` of a ticket of its own before `head`, or 0 if it was not used yet.
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
