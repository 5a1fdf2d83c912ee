//! Checks of what a caller hands in and of who calls.

use super::{Buffer, Pool};
use crate::log;
use crate::ring::Ring;
use crate::status::Status;

impl Pool {
    /// Checks the buffers that a caller hands in: kinds always, identity and place where the pool is strict.
    #[inline(always)]
    pub fn check_incoming(&self, buffers: &[Buffer]) -> Result<(), Status> {
        let kinds = self.config.kinds;
        let sound = |buffer: &Buffer| buffer.dev != 0 && buffer.kind < kinds;
        if !self.config.strict && buffers.iter().all(sound) {
            return Ok(());
        }
        self.check_each(buffers)
    }

    /// As [`Pool::check_incoming`] for a ready ring, which in an untracked pool may carry elements without a buffer.
    #[inline(always)]
    pub fn check_ready(&self, buffers: &[Buffer]) -> Result<(), Status> {
        if !self.config.untracked {
            return self.check_incoming(buffers);
        }
        match buffers.iter().find(|buffer| buffer.kind >= self.config.kinds) {
            Some(buffer) => self.refuse(Status::LANEPIPE_E_KIND, buffer),
            None => Ok(()),
        }
    }

    #[cold]
    fn check_each(&self, buffers: &[Buffer]) -> Result<(), Status> {
        for (position, buffer) in buffers.iter().enumerate() {
            if buffer.dev == 0 {
                return self.refuse(Status::LANEPIPE_E_INVALID, buffer);
            }
            if buffer.kind >= self.config.kinds {
                return self.refuse(Status::LANEPIPE_E_KIND, buffer);
            }
            if self.config.strict {
                let is_twin = |other: &Buffer| other.id == buffer.id;
                match self.ledger.get(buffer.id) {
                    // Id 0 is no buffer's: the address is unknown, or inside a block.
                    _ if buffer.id == 0 || self.resolve(buffer.dev).is_none_or(|known| known.id != buffer.id) => {
                        return self.refuse(Status::LANEPIPE_E_UNKNOWN_POINTER, buffer);
                    }
                    Some(entry) if entry.kind != buffer.kind => {
                        return self.refuse(Status::LANEPIPE_E_KIND, buffer);
                    }
                    Some(entry) if entry.place.is_queue() || buffers[..position].iter().any(is_twin) => {
                        return self.refuse(Status::LANEPIPE_E_DUPLICATE, buffer);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    #[cold]
    fn refuse(&self, status: Status, buffer: &Buffer) -> Result<(), Status> {
        self.logger().log(log::ERROR, format_args!("{buffer} refused: {status:?}"));
        Err(status)
    }

    /// Reports that a call by hand found lanes full.
    pub(crate) fn report_parked(&self, count: usize) {
        self.logger().log(log::ERROR, format_args!("lanes are full: {count} done buffers are parked"));
    }

    /// Refuses calls by hand on queue ends while the threads of a profiler hold them, in pools that check for overlap.
    pub(crate) fn require_own_ends(&self) -> Result<(), Status> {
        if self.config.check_overlap && self.running.is_taken() {
            self.logger().log(log::ERROR, format_args!("a queue end belongs to a thread of the running profiler"));
            return Err(Status::LANEPIPE_E_OWNER);
        }
        Ok(())
    }

    /// Guards of the queue ends for pools that check for overlap; `None` where they do not.
    #[inline(always)]
    pub(crate) fn enter<'a, G>(&self, enter: impl FnOnce() -> Option<G> + 'a) -> Result<Option<G>, Status> {
        if !self.config.check_overlap {
            return Ok(None);
        }
        self.require_own_ends()?;
        match enter() {
            Some(guard) => Ok(Some(guard)),
            None => {
                self.logger().log(log::ERROR, format_args!("two threads are inside calls of one queue end"));
                Err(Status::LANEPIPE_E_OVERLAP)
            }
        }
    }

    /// The done ring of `shard`, for guards.
    pub(crate) fn done_ring(&self, shard: u32) -> &Ring<Buffer> {
        &self.done[self.fold(shard)]
    }

    /// The lane (`shard`, `kind`), for guards. The kind is in range.
    pub(crate) fn lane_ring(&self, shard: u32, kind: u32) -> &Ring<Buffer> {
        &self.lane(self.fold(shard), kind).recycled
    }
}
