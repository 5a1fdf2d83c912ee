//! Recovery: what the device recorded and never handed over, and what stayed in ready queues when transfers failed.
//!
//! A buffer is delivered once: the ledger says whether it is still at the device, and who takes it says so there. Entries
//! come before active buffers, which is the order in which they were filled.

use super::Collector;
use super::describe::{ENTRY_WORDS, POINTER_WORD, Special};
use super::intake::Parcel;
use super::output::RECOVERED;
use super::snapshot::Snapshot;
use crate::pool::Buffer;
use crate::pool::ledger::Place;
use crate::profiler::shared_link::SharedLink;
use crate::status::Status;

impl Collector {
    /// Delivers entries left in ready queues, then non-empty active buffers; returns the records of this call. At rest,
    /// the device quiet; a second call finds nothing. The run is over: the collector does not start again.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_STATE` while threads run; `LANEPIPE_E_CALLBACK` if the region or an active buffer cannot be copied: what
    /// could be delivered has been, and another call may go on.
    pub fn recover(&self) -> Result<u64, Status> {
        self.at_rest(|| {
            self.end();
            let before = self.recovered();
            self.recover_entries()?;
            self.recover_active()?;
            Ok(self.recovered() - before)
        })
    }

    fn recovered(&self) -> u64 {
        self.intake.accounts.iter().map(|account| account.collected.recovered.get()).sum()
    }

    fn recover_entries(&self) -> Result<(), Status> {
        let link = SharedLink::new(self.intake.memory.clone());
        for queue in 0..self.intake.positions.len() as u32 {
            // SAFETY: the collector's region.
            let port = unsafe { self.intake.module.ready(self.intake.host, queue) };
            let tail = port.tail(&link)?;
            // Indices that no queue has lead nowhere.
            if tail >= port.capacity || port.own_head() >= port.capacity {
                continue;
            }
            while port.own_head() != tail {
                let head = port.own_head();
                let mut words = [0u64; ENTRY_WORDS as usize];
                port.read_entries(&link, head, &mut words)?;
                self.recover_entry(queue, &words);
                port.keep_head((head + 1) % port.capacity);
            }
        }
        Ok(())
    }

    /// Delivers what an entry names, or refuses it, as [`Intake::resolve`](super::intake::Intake::resolve) does.
    fn recover_entry(&self, queue: u32, words: &[u64; ENTRY_WORDS as usize]) {
        let intake = &self.intake;
        let (number, seq) = intake.module.decode(words);
        let known = number.and_then(|at| Some((at, intake.routes.get(at as usize)?, intake.module.stream(at)?)));
        let Some((number, route, (_, stream))) = known.filter(|(_, route, _)| route.may_be(queue)) else {
            intake.refused(queue);
            return;
        };
        let taken = &intake.accounts[number as usize].taken;
        let Some(buffer) = self.at_device(number, words[POINTER_WORD as usize]) else {
            match route.is(queue) {
                true => taken.rejected.add(1),
                false => intake.refused(queue),
            };
            return;
        };
        // The owner is alone: what may be its queue is.
        route.settle(queue);
        self.claim(number, &buffer);
        // SAFETY: the buffer was claimed, and is of the kind.
        let (count, flags) = unsafe { intake.bring(stream, taken, buffer.dev, buffer.host) };
        self.hand_over(&buffer, Parcel { host: buffer.host, number, seq, count, flags });
    }

    /// Those that cannot be copied stay for another call.
    fn recover_active(&self) -> Result<(), Status> {
        let snapshot = Snapshot::take(&self.intake)?;
        (0..self.intake.module.places.len() as u32)
            .map(|number| self.recover_current(&snapshot, number))
            .fold(Ok(()), Result::and)
    }

    fn recover_current(&self, snapshot: &Snapshot, number: u32) -> Result<(), Status> {
        let Some((place, stream)) = self.intake.module.stream(number) else { return Ok(()) };
        let Some(buffer) = self.current(snapshot, number) else { return Ok(()) };
        let records = self.unflushed(snapshot, number)?;
        if records == 0 {
            return Ok(());
        }
        // The records of a core may have holes between them.
        let count = if stream.special == Special::Holes { stream.capacity } else { records };
        // SAFETY: a buffer of the kind that the device has, which is quiet; the count is within it.
        if !unsafe { self.intake.pull_records(stream, buffer.dev, buffer.host, count) } {
            return Err(Status::LANEPIPE_E_CALLBACK);
        }
        self.claim(number, &buffer);
        let seq = snapshot.word32(stream.state_at(place.index) + stream.state.seq);
        self.hand_over(&buffer, Parcel { host: buffer.host, number, seq, count, flags: 0 });
        Ok(())
    }

    /// Records in the active buffer of an instance, if the device still has it.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_CALLBACK` if they cannot be copied.
    pub(super) fn unflushed(&self, snapshot: &Snapshot, number: u32) -> Result<u32, Status> {
        let Some((_, stream)) = self.intake.module.stream(number) else { return Ok(0) };
        let Some(buffer) = self.current(snapshot, number) else { return Ok(0) };
        if stream.special != Special::Holes {
            // SAFETY: a buffer of the kind, at rest.
            let count = unsafe { self.intake.count_of(stream, buffer.dev, buffer.host) };
            return Ok(count.ok_or(Status::LANEPIPE_E_CALLBACK)?.min(stream.capacity));
        }
        // A core does not count.
        // SAFETY: as above; all of it.
        if !unsafe { self.intake.pull_records(stream, buffer.dev, buffer.host, stream.capacity) } {
            return Err(Status::LANEPIPE_E_CALLBACK);
        }
        // SAFETY: a buffer of the stream, at rest.
        Ok(unsafe { self.intake.filled(stream, buffer.host) })
    }

    /// The active buffer of an instance, if the device still has it.
    fn current(&self, snapshot: &Snapshot, number: u32) -> Option<Held> {
        let (place, stream) = self.intake.module.stream(number)?;
        self.at_device(number, snapshot.word64(stream.state_at(place.index) + stream.state.current))
    }

    /// The buffer at `dev`, if it is one of the instance's kind and at the device.
    fn at_device(&self, number: u32, dev: u64) -> Option<Held> {
        let (place, _) = self.intake.module.stream(number)?;
        let known = self.intake.pool.resolve(dev)?;
        let entry = self.intake.pool.ledger().get(known.id)?;
        (entry.place == Place::Device && entry.kind == place.kind).then_some(Held {
            dev,
            host: known.host,
            kind: place.kind,
            id: known.id,
        })
    }

    fn shard_of(&self, number: u32) -> u32 {
        self.intake.routes[number as usize].queue() % self.intake.pool.live_shards()
    }

    /// Takes a buffer out of the device's hands.
    fn claim(&self, number: u32, buffer: &Held) {
        let claimed = self.intake.pool.ledger().claim(buffer.id, Place::Collect, self.shard_of(number));
        debug_assert!(claimed.is_some(), "nobody else claims at rest");
    }

    /// Delivers a buffer that was claimed.
    fn hand_over(&self, buffer: &Held, payload: Parcel) {
        let shard = self.shard_of(payload.number);
        let payload = Parcel { flags: payload.flags | RECOVERED, ..payload };
        // SAFETY: the buffer was claimed, is of the kind, and the count is within it.
        unsafe { self.intake.deliver(shard, buffer.dev, &payload) };
        // Parking fails only when memory is out; the ledger has the buffer as retired all the same.
        let _ = self.intake.pool.retire(shard, Buffer { dev: buffer.dev, kind: buffer.kind, id: buffer.id });
    }
}

/// A buffer that the device has, or had.
struct Held {
    dev: u64,
    host: u64,
    kind: u32,
    id: u32,
}
