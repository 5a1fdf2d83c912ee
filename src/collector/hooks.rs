//! The collector as its profiler's callbacks.

use super::config::Threads;
use super::describe::{Special, Stream};
use super::intake::{Intake, Parcel};
use crate::pool::Buffer;
use crate::profiler::{Entry, Hooks, Role, Route, Site, ThreadBody};
use std::sync::Arc;

/// See the module documentation.
pub(super) struct Callbacks {
    pub(super) intake: Arc<Intake>,
    pub(super) factory: Box<dyn Threads>,
    /// The kind whose payloads the device waits for, if there is one.
    pub(super) awaited: Option<Stream>,
}

impl Callbacks {
    pub(super) fn new(intake: Arc<Intake>, factory: Box<dyn Threads>) -> Self {
        let awaited = intake.module.streams.iter().find(|stream| stream.special == Special::Payloads).copied();
        Self { intake, factory, awaited }
    }
}

impl Hooks for Callbacks {
    fn resolve(&self, queue: u32, entries: &[Entry], sites: &mut [Site]) {
        // SAFETY: the profiler's entries: their bytes, and buffers that this drain thread has claimed.
        unsafe { self.intake.resolve(queue, entries, sites) };
    }

    fn collect(&self, shard: u32, buffers: &[Buffer], payloads: *const u8) {
        for (index, buffer) in buffers.iter().enumerate() {
            // SAFETY: one payload per buffer, back to back and aligned to 8, as `resolve` filled it.
            let payload = unsafe { payloads.cast::<Parcel>().add(index).read() };
            // SAFETY: the buffer is this collect thread's.
            unsafe { self.intake.deliver(shard, buffer.dev, &payload) };
        }
    }

    fn kind_of(&self, _: u32, buffer: &Buffer, _: *const u8) -> u32 {
        buffer.kind
    }

    fn release_ready(&self) -> bool {
        self.awaited.as_ref().is_none_or(|stream| self.intake.release_ready(stream))
    }

    fn refresh(&self) {}

    fn left_over_taken(&self) {
        self.intake.routes.iter().for_each(Route::reopen);
    }

    fn idle(&self, _: u32) {}

    fn spawn(&self, role: Role, index: u32, body: ThreadBody) -> Option<usize> {
        self.factory.spawn(role, index, body)
    }

    fn join(&self, thread: usize) {
        self.factory.join(thread);
    }
}
