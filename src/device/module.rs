//! What a subsystem tells the engine.

use super::view::{FreeView, GateView, ReadyView};
use super::wait::{Latch, Refused};
use crate::layout::Words64;
use crate::sync::Word32;

/// A subsystem as one of its threads sees it: which ready queue it fills and how its states and buffers look. A value is
/// what the C++ runtime calls a context; hooks run on the thread that called the engine, and none calls the engine back for
/// the same state.
pub trait Module {
    /// Words of queues and gates.
    type Word: Word32;
    /// Slots of free queues.
    type Slots: Words64;
    /// One instance's state, usually a pointer to it.
    type State: Copy;
    /// A record buffer, usually a pointer to it.
    type Buffer: Copy;

    /// Budget of one operation in ticks of the clock; 0: one look.
    fn budget(&self) -> u64;
    /// The memory of a dead host, one for all threads of the subsystem.
    fn latch(&self) -> Option<&Latch>;
    /// The ready queue of this thread; [`Refused::NoHeader`] or [`Refused::BadIndex`] if there is none.
    fn ready(&self) -> Result<ReadyView<Self::Word>, Refused>;
    /// The gates; `None` without a header.
    fn gates(&self) -> Option<GateView<Self::Word>>;
    /// The free queue of an instance, if it has one.
    fn free(&self, state: Self::State) -> Option<FreeView<Self::Word, Self::Slots>>;

    /// Address of the active buffer; 0: none.
    fn current(&self, state: Self::State) -> u64;
    /// Sets it.
    fn set_current(&mut self, state: Self::State, address: u64);
    /// Sequence number of the active buffer, or of the next one if there is none.
    fn seq(&self, state: Self::State) -> u32;
    /// Sets it.
    fn set_seq(&mut self, state: Self::State, seq: u32);

    /// The buffer at a device address, which is not 0.
    fn buffer(&self, address: u64) -> Self::Buffer;
    /// Records in a buffer.
    fn count(&self, buffer: Self::Buffer) -> u32;
    /// Sets it.
    fn set_count(&mut self, buffer: Self::Buffer, count: u32);

    /// Fills entry `tail` of this thread's ready queue. Touches no index.
    fn write_entry(&mut self, tail: u32, address: u64, seq: u32);

    /// Counts one attempt to record. Called first of all by [`super::Engine::record`].
    fn account_attempt(&mut self, state: Self::State) {
        let _ = state;
    }
    /// Counts `count` records as lost.
    fn account_dropped(&mut self, state: Self::State, count: u32);

    /// A buffer became the active one: its address and sequence number are set, the barrier is to come.
    fn on_popped(&mut self, state: Self::State, buffer: Self::Buffer) {
        let _ = (state, buffer);
    }
    /// There is no active buffer any more: its address is 0, the sequence number has advanced, the barrier is to come.
    fn on_cleared(&mut self, state: Self::State) {
        let _ = state;
    }
    /// A switch published the full buffer and found no other; without a reason because a slot held 0.
    fn on_no_replacement(&mut self, state: Self::State, reason: Option<Refused>) {
        let _ = (state, reason);
    }
    /// A consumed slot held 0.
    fn on_null_slot(&mut self, state: Self::State) {
        let _ = state;
    }
    /// A full buffer was not published; its records are counted as lost, `count` still has the old value.
    fn on_enqueue_failed(&mut self, state: Self::State, full: Self::Buffer, reason: Refused) {
        let _ = (state, full, reason);
    }
    /// A full buffer was published, but the push gate did not open in time: the host has it, nothing is lost.
    fn on_gate_timeout(&mut self, state: Self::State, reason: Refused) {
        let _ = (state, reason);
    }
    /// The run is over: what is cached of the state is to be forgotten.
    fn on_finalized(&mut self, state: Self::State) {
        let _ = state;
    }
    /// A switch that published is through.
    fn on_switched(&mut self, state: Self::State, new: Option<Self::Buffer>) {
        let _ = (state, new);
    }
}
