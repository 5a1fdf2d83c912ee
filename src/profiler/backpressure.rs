//! Common-mode backpressure: while a gate is shut all lanes of the device park, the ready queues drain, and the driver of
//! the gates refills every free queue before it opens them again.
//!
//! # Owners
//!
//! | state | written by | read by |
//! | --- | --- | --- |
//! | freeze words | driver (replenish thread, or one caller by hand) | device; drain threads, under their lanes' turn |
//! | contended words | device sets, driver clears | driver |
//! | turn of a shard's lanes | drain thread for one top-up, driver for one refill | – |
//! | free queues | drain thread with its lanes' turn while no gate is shut, driver with all turns | device |
//!
//! # States of a gate
//!
//! *open* → (contended) → *shut*: freeze word, then the contended word is cleared → (all ready queues drained, no top-up
//! under way, a refill that publishes nothing, the subsystem agrees) → *open*. Both gates open in one tick.
//!
//! # The hand-shake
//!
//! Free queues and the consumer ends of lanes have one user at a time. A drain thread takes its lanes' turn, then looks at
//! the freeze words; the driver shuts the gate, then takes all turns. If the driver finds a turn taken, that drain
//! thread may have looked before the gate was shut: the driver refills in a later tick. If it gets all turns, every drain
//! thread that takes its turn later sees what came before they were given back (`turn.T1` → `turn.T2`), the shut gate among
//! it, and leaves the free queues alone. A drain thread that waits for room in its ready ring has no turn.
//!
//! A drain thread that is turned away forgets the free queue it came for: either the refill fills it, or the driver finds it
//! empty after it has opened the gates and given the turns back, and hands it over. So the driver's look and the drain
//! thread's try must not miss each other:
//!
//! | edge | from | to | carries | model that fails when weakened |
//! | --- | --- | --- | --- | --- |
//! | `profiler.B1` ↔ `profiler.B2` | drain: what it knows of the free queue; SeqCst fence B1; second try | driver: opens, gives the turns back; SeqCst fence B2; look at the free queues | one of them sees the other | `loom_turned_away` |
//!
//! # Failure exits
//!
//! | exit | what holds |
//! | --- | --- |
//! | freeze word not pushed | the host goes by its own word; the push is repeated every tick, and the signal of a gate that was just shut is only cleared after it succeeded |
//! | contended word not pushed | the gate is shut again after it opened |
//! | tails not readable | the gates stay shut |
//! | turn taken | the gates stay shut until the next tick; nobody waits |
//! | end of a run | the gates open whatever the conditions say |

use crate::layout::{Gate, Gates, Link, Words64};
use crate::log;
use crate::pool::{GateMemory, GatesMemory, LaneTurns, Pool};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::{Edge, Held, Turn, Word32};
use core::marker::PhantomData;

const B1: Edge = Edge::new("profiler.B1", Ordering::SeqCst);
const B2: Edge = Edge::new("profiler.B2", Ordering::SeqCst);

/// A drain thread's turn at the lanes of its shard; `None` while they belong to the driver, who will look at the free queue
/// that the caller has in mind.
pub(super) fn enter_lanes(turn: &Turn, is_frozen: impl Fn() -> bool) -> Option<Held<'_>> {
    let attempt = || {
        let lanes = turn.enter()?;
        // After the turn was taken: see the module documentation.
        if is_frozen() { None } else { Some(lanes) }
    };
    attempt().or_else(|| {
        // [B1] SeqCst fence: Dekker with [B2].
        B1.fence();
        attempt()
    })
}

/// To be called when the gates are open and the turns given back, before the look for free queues that stay empty. Driver.
pub(super) fn order_hand_over() {
    // [B2] SeqCst fence: Dekker with [B1].
    B2.fence();
}

/// The driver's hold on the gates of one shared region.
pub(crate) struct Backpressure<'a, W, S, L> {
    gates: &'a Gates<W>,
    link: &'a L,
    pool: &'a Pool,
    words: PhantomData<S>,
}

impl<'a, W: Word32, S: Words64, L: Link<W, S>> Backpressure<'a, W, S, L> {
    /// The caller is the one thread that drives these gates.
    pub(crate) fn new(pool: &'a Pool, gates: &'a Gates<W>, link: &'a L) -> Self {
        Self { gates, link, pool, words: PhantomData }
    }

    fn memory(&self) -> &'a GatesMemory {
        self.pool.gates()
    }

    /// Looks at both signals and shuts gates; whether any is shut.
    pub(crate) fn tend(&self) -> bool {
        let push = self.tend_gate(&self.gates.push, &self.memory().push, "push");
        let pop = self.tend_gate(&self.gates.pop, &self.memory().pop, "pop");
        push || pop
    }

    fn tend_gate(&self, gate: &Gate<W>, memory: &GateMemory, name: &str) -> bool {
        let shut = gate.is_frozen();
        // Relaxed, here and below: the driver's own memory.
        if memory.unconfirmed.load(Ordering::Relaxed) {
            self.push_freeze(gate, memory, name, shut);
        }
        if shut {
            self.clear_owed(gate, memory);
            return true;
        }
        // A signal that cannot be read is looked at again in the next tick.
        if gate.is_contended(self.link) != Ok(true) {
            return false;
        }
        memory.owed.store(true, Ordering::Relaxed);
        self.push_freeze(gate, memory, name, true);
        self.clear_owed(gate, memory);
        if !memory.unheard.load(Ordering::Relaxed) {
            self.pool.logger().log(log::WARN, format_args!("the {name} gate is shut"));
        }
        true
    }

    fn push_freeze(&self, gate: &Gate<W>, memory: &GateMemory, name: &str, frozen: bool) {
        let outcome = gate.set_frozen(self.link, frozen);
        if frozen && outcome.is_ok() {
            memory.unheard.store(false, Ordering::Relaxed);
        }
        let was_confirmed = !memory.unconfirmed.swap(outcome.is_err(), Ordering::Relaxed);
        if let Err(status) = outcome {
            memory.failures.fetch_add(1, Ordering::Relaxed);
            if was_confirmed && !memory.unheard.load(Ordering::Relaxed) {
                let what = format_args!("the freeze word of the {name} gate could not be pushed: {status:?}");
                self.pool.logger().log(log::ERROR, what);
            }
        }
    }

    /// Clears the signal that shut the gate, once the device knows that it is shut.
    fn clear_owed(&self, gate: &Gate<W>, memory: &GateMemory) {
        if memory.unconfirmed.load(Ordering::Relaxed) || !memory.owed.swap(false, Ordering::Relaxed) {
            return;
        }
        if gate.clear_contended(self.link).is_err() {
            memory.failures.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether another tick is due whatever the device does: a gate is shut, or a freeze word is still to be pushed.
    pub(crate) fn is_busy(&self) -> bool {
        let GatesMemory { push, pop, .. } = self.memory();
        self.gates.any_frozen() || [push, pop].iter().any(|memory| memory.unconfirmed.load(Ordering::Relaxed))
    }

    /// Failed pushes of gate words so far.
    pub(crate) fn failures(&self) -> u64 {
        let GatesMemory { push, pop, .. } = self.memory();
        [push, pop].iter().map(|memory| u64::from(memory.failures.load(Ordering::Relaxed))).sum()
    }

    /// The turns of all lanes, for one refill; `None` while a top-up is under way.
    pub(crate) fn take_lanes(&self) -> Option<LaneTurns<'a>> {
        self.pool.take_lanes()
    }

    /// Opens the gates that are shut. Driver, with all turns, or after all drain threads have ended.
    pub(crate) fn open(&self) {
        let mut is_news = false;
        for (gate, memory, name) in
            [(&self.gates.push, &self.memory().push, "push"), (&self.gates.pop, &self.memory().pop, "pop")]
        {
            if gate.is_frozen() {
                // The signal stays: the device shuts the gate again by it.
                memory.owed.store(false, Ordering::Relaxed);
                let was_heard = !memory.unconfirmed.load(Ordering::Relaxed);
                is_news |= !memory.unheard.swap(!was_heard, Ordering::Relaxed);
                self.push_freeze(gate, memory, name, false);
            }
        }
        if is_news {
            self.pool.logger().log(log::WARN, format_args!("the gates are open again"));
        }
    }

    /// Opens the gates at the end of a run; whether the device knows of it.
    pub(crate) fn conclude(&self, tries: u32) -> bool {
        self.open();
        let confirmed = |(gate, memory, name): (&Gate<W>, &GateMemory, &str)| {
            (0..tries).any(|_| {
                if memory.unconfirmed.load(Ordering::Relaxed) {
                    self.push_freeze(gate, memory, name, false);
                }
                !memory.unconfirmed.load(Ordering::Relaxed)
            })
        };
        let push = confirmed((&self.gates.push, &self.memory().push, "push"));
        let pop = confirmed((&self.gates.pop, &self.memory().pop, "pop"));
        push && pop
    }

    /// The first half of a tick by hand: `LANEPIPE_OK` if the caller has all turns and is to refill, `LANEPIPE_EMPTY` if no
    /// gate is shut, `LANEPIPE_BUSY` if one is and this tick can do no more.
    pub(crate) fn begin(&self, drained: impl FnOnce() -> Result<bool, Status>) -> Result<Status, Status> {
        if self.memory().refilling.load(Ordering::Relaxed) {
            return Err(Status::LANEPIPE_E_STATE);
        }
        if !self.tend() {
            return Ok(Status::LANEPIPE_EMPTY);
        }
        if drained() != Ok(true) {
            return Ok(Status::LANEPIPE_BUSY);
        }
        let Some(turns) = self.take_lanes() else {
            return Ok(Status::LANEPIPE_BUSY);
        };
        turns.keep();
        self.memory().refilling.store(true, Ordering::Relaxed);
        Ok(Status::LANEPIPE_OK)
    }

    /// The second half: opens the gates if the refill published nothing and the subsystem agrees, else `LANEPIPE_BUSY`.
    pub(crate) fn end(&self, published: u64, agreed: bool) -> Result<Status, Status> {
        if !self.memory().refilling.swap(false, Ordering::Relaxed) {
            return Err(Status::LANEPIPE_E_STATE);
        }
        let opens = published == 0 && agreed;
        if opens {
            self.open();
        }
        self.pool.give_lanes_back();
        Ok(if opens { Status::LANEPIPE_OK } else { Status::LANEPIPE_BUSY })
    }
}
