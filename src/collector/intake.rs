//! From an entry of a ready queue to records: what the drain and collect threads do, and the owner at rest in their place.
//!
//! The drain thread brings a buffer's contents to the host, as many bytes as its records need, before the entry is
//! acknowledged; a buffer whose contents cannot be had goes on all the same, marked, so that it comes back into circulation
//! and the books know whose records are lost. The collect thread copies the records away, or hands them to the output.

use super::account::{Collected, Taken};
use super::acknowledge::Progress;
use super::describe::{ENTRY_WORDS, Module, Special, Stream, address};
use super::memory::Block;
use super::output::{Output, RECOVERED, Records};
use super::store::Store;
use crate::layout::Gates;
use crate::log;
use crate::pool::{MemoryContext, Pool};
use crate::profiler::{Counter, Entry, REJECT, Route, Site};
use crate::sync::atomic::Ordering;
use crate::sync::{CachePadded, RawWord32, Word32};
use std::sync::Arc;

/// Tries of a failing copy.
pub(super) const TRIES: usize = 3;

/// The buffer's contents did not come.
pub(super) const LOST: u32 = 1 << 31;

/// What goes with a buffer from the drain to the collect thread.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Parcel {
    /// Host address of the buffer.
    pub(super) host: u64,
    /// Number of the instance.
    pub(super) number: u32,
    pub(super) seq: u32,
    /// Records in it.
    pub(super) count: u32,
    /// [`RECOVERED`], [`LOST`].
    pub(super) flags: u32,
}

/// One instance.
#[derive(Default)]
pub(super) struct Account {
    pub(super) taken: CachePadded<Taken>,
    pub(super) collected: CachePadded<Collected>,
    pub(super) progress: Progress,
}

/// What the threads of a collector share.
pub(super) struct Intake {
    pub(super) module: Module,
    pub(super) pool: Arc<Pool>,
    /// The same for the whole life of the collector.
    pub(super) memory: Arc<MemoryContext>,
    /// Host address of the region.
    pub(super) host: u64,
    pub(super) gates: Gates<RawWord32>,
    /// By number of the instance: the ready queue on which it publishes.
    pub(super) routes: Box<[Route]>,
    /// By number of the instance.
    pub(super) accounts: Box<[Account]>,
    /// By ready queue: entries refused that name no instance. Written as [`Taken`].
    pub(super) nameless: Box<[CachePadded<Counter>]>,
    /// By ready queue: index behind the last entry that was looked at.
    pub(super) positions: Box<[super::acknowledge::Position]>,
    /// By instance of the kind with payloads.
    pub(super) arenas: Box<[Block]>,
    pub(super) store: Store,
    pub(super) output: Option<Box<dyn Output>>,
}

impl Intake {
    /// Interprets entries of ready queue `queue` and brings their contents. Drain thread of the queue's shard.
    ///
    /// # Safety
    ///
    /// Each entry's `bytes` are those of an entry, and its host address, where it has one, is that of a buffer of its kind
    /// that nobody else has.
    pub(super) unsafe fn resolve(&self, queue: u32, entries: &[Entry], sites: &mut [Site]) {
        for (entry, site) in entries.iter().zip(sites) {
            // SAFETY: the caller's contract; entries are whole words.
            let words = unsafe { &*entry.bytes.cast::<[u64; ENTRY_WORDS as usize]>() };
            let (number, seq) = self.module.decode(words);
            let known = number.and_then(|at| Some((at, self.routes.get(at as usize)?, self.module.stream(at)?)));
            let Some((number, route, (place, stream))) = known.filter(|(_, route, _)| route.may_be(queue)) else {
                self.refuse(queue, site);
                continue;
            };
            let account = &self.accounts[number as usize];
            if entry.host == 0 || entry.kind != place.kind {
                // Even of an entry that is refused: its free queue wants to be filled.
                site.instance = number;
                match route.is(queue) {
                    true => account.taken.rejected.add(1),
                    // The account is that of the thread whose queue turns out to be the instance's.
                    false => self.refused(queue),
                };
                continue;
            }
            if !route.settle(queue) {
                self.refuse(queue, site);
                continue;
            }
            site.instance = number;
            // SAFETY: the caller's contract; the kind is the pool's.
            let (count, flags) = unsafe { self.bring(stream, &account.taken, entry.dev, entry.host) };
            account.progress.note_taken();
            // The contents are here.
            site.content_size = 0;
            // SAFETY: the pool's payloads have this size, and are aligned to 8.
            unsafe { site.payload.cast::<Parcel>().write(Parcel { host: entry.host, number, seq, count, flags }) };
        }
        if let Some(position) = self.positions.get(queue as usize) {
            position.advance(entries.len() as u32, self.module.header.ready_size);
        }
    }

    /// Refuses an entry that names no instance which publishes on `queue`. Drain thread of the queue's shard.
    fn refuse(&self, queue: u32, site: &mut Site) {
        site.instance = REJECT;
        self.refused(queue);
    }

    /// Counts an entry of `queue` that is refused and counts for no instance. Drain thread of its shard; owner at rest.
    pub(super) fn refused(&self, queue: u32) -> u64 {
        self.nameless.get(queue as usize).map_or(0, |counter| counter.add(1))
    }

    /// Brings the contents of a buffer to the host; how many records, and [`LOST`] if they did not come.
    ///
    /// # Safety
    ///
    /// `host` is the host address of a buffer of the stream at `dev` that nobody else has.
    pub(super) unsafe fn bring(&self, stream: &Stream, taken: &Taken, dev: u64, host: u64) -> (u32, u32) {
        // SAFETY: forwarded.
        let Some(announced) = (unsafe { self.count_of(stream, dev, host) }) else {
            taken.lost_buffers.add(1);
            return (0, LOST);
        };
        let count = announced.min(stream.capacity);
        taken.clamped.add(u64::from(announced > stream.capacity));
        // SAFETY: forwarded; the count is within the buffer.
        let came = unsafe { self.pull_records(stream, dev, host, count) };
        if came {
            return (count, 0);
        }
        taken.lost.add(u64::from(count));
        taken.lost_buffers.add(1);
        (count, LOST)
    }

    /// The count in a buffer, unchecked; `None` if it cannot be had.
    ///
    /// # Safety
    ///
    /// As for [`Intake::bring`], or the device has the buffer and is quiet, or one word may be old.
    pub(super) unsafe fn count_of(&self, stream: &Stream, dev: u64, host: u64) -> Option<u32> {
        if !self.memory.copies_in() {
            // SAFETY: a word of the buffer.
            let word = unsafe { RawWord32::new(address(host, stream.count)) };
            // Relaxed: the ready tail, or the end of the run, orders it.
            return Some(word.load(Ordering::Relaxed));
        }
        let mut count = 0u32;
        let source = dev + stream.count as u64;
        // SAFETY: the landing place is four bytes long, and the source is inside the buffer.
        let mut pull = |_| unsafe { self.memory.pull((&raw mut count).cast(), source, size_of::<u32>()) };
        (0..TRIES).any(|at| pull(at).is_ok()).then_some(count)
    }

    /// Brings the first `count` records; whether they came.
    ///
    /// # Safety
    ///
    /// As for [`Intake::bring`]; `count` is at most the stream's capacity.
    pub(super) unsafe fn pull_records(&self, stream: &Stream, dev: u64, host: u64, count: u32) -> bool {
        let size = count as usize * stream.record;
        let place = address(host, stream.records);
        // SAFETY: inside the buffer on both sides.
        let pull = |_| unsafe { self.memory.pull(place, dev + stream.records as u64, size) };
        (0..TRIES).any(|at| pull(at).is_ok())
    }

    /// Records in the host's copy of a core's buffer.
    ///
    /// # Safety
    ///
    /// `host` is the host address of a buffer of the stream; the device is quiet.
    pub(super) unsafe fn filled(&self, stream: &Stream, host: u64) -> u32 {
        let records = address::<u8>(host, stream.records).cast_const();
        // SAFETY: a slot of the buffer.
        (0..stream.capacity).filter(|index| unsafe { is_record(records, stream.record, *index) }).count() as u32
    }

    /// Delivers what is in a buffer. Collect thread of the instance's shard, or the owner at rest.
    ///
    /// # Safety
    ///
    /// `payload` is what [`Intake::resolve`] or the owner made of the buffer at `dev`, which is the caller's.
    pub(super) unsafe fn deliver(&self, shard: u32, dev: u64, payload: &Parcel) {
        let Some((place, stream)) = self.module.stream(payload.number) else { return };
        let account = &self.accounts[payload.number as usize];
        let mut payloads_read = 0;
        if payload.flags & LOST == 0 {
            let records = Records {
                kind: place.kind,
                instance: place.index,
                shard,
                seq: payload.seq,
                flags: payload.flags & RECOVERED,
                count: payload.count,
                record_size: stream.record as u32,
                data: address::<u8>(payload.host, stream.records),
                payloads: &[],
            };
            match stream.special {
                Special::None => self.hand_on(payload.number, &records),
                // SAFETY: the records are inside the buffer, on the host.
                Special::Holes => unsafe { self.hand_on_runs(payload.number, &records) },
                // SAFETY: as above.
                Special::Payloads => payloads_read = unsafe { self.hand_on_with_payloads(payload.number, &records) },
            }
        }
        if stream.special == Special::Holes && payload.flags & RECOVERED == 0 {
            // SAFETY: the buffer is the caller's, and large enough for any count.
            unsafe { self.clear(stream, account, dev, payload) };
        }
        if payload.flags & RECOVERED == 0 {
            account.progress.note_done(payloads_read);
        }
    }

    /// Stores a run, or hands it to the output.
    pub(super) fn hand_on(&self, number: u32, records: &Records<'_>) {
        if records.count == 0 {
            return;
        }
        let account = &self.accounts[number as usize].collected;
        account.records.add(u64::from(records.count));
        if records.flags & RECOVERED != 0 {
            account.recovered.add(u64::from(records.count));
        }
        match &self.output {
            Some(output) => output.take(records),
            None => {
                // SAFETY: this is the collect thread of the instance's shard, or the owner at rest.
                if !unsafe { self.store.keep(number, records) } {
                    account.not_stored.add(u64::from(records.count));
                    let count = account.refused_runs.add(1);
                    let what = format_args!("records are not stored: the limit is reached, or memory is short");
                    self.pool.logger().log_occurrence(log::WARN, count, what);
                }
            }
        }
    }

    /// As [`Intake::hand_on`] for what a core wrote: in runs without holes.
    ///
    /// # Safety
    ///
    /// The records are readable.
    unsafe fn hand_on_runs(&self, number: u32, records: &Records<'_>) {
        let size = records.record_size as usize;
        // SAFETY: a slot of the run.
        let is_record = |index: &u32| unsafe { is_record(records.data, size, *index) };
        let mut first = 0;
        while first < records.count {
            let holes = (first..records.count).take_while(|index| !is_record(index)).count() as u32;
            first += holes;
            let count = (first..records.count).take_while(is_record).count() as u32;
            // How far an active buffer was filled nobody knows.
            if records.flags & RECOVERED == 0 {
                self.accounts[number as usize].collected.empty.add(u64::from(holes));
            }
            self.hand_on(
                number,
                &Records { data: records.data.wrapping_add(first as usize * size), count, ..*records },
            );
            first += count;
        }
    }

    /// Makes the slots of a core's buffer that were in use read as none: the core need not fill all of them the next time.
    ///
    /// # Safety
    ///
    /// As for [`Intake::deliver`].
    unsafe fn clear(&self, stream: &Stream, account: &Account, dev: u64, payload: &Parcel) {
        // What did not come may be there.
        let count = if payload.flags & LOST == 0 { payload.count } else { stream.capacity };
        let size = count as usize * stream.record;
        let place = address::<u8>(payload.host, stream.records);
        // SAFETY: inside the buffer; the caller's contract.
        unsafe { place.write_bytes(0, size) };
        let Some(ops) = self.memory.ops.as_ref().filter(|ops| ops.copies_out() && size != 0) else { return };
        let target = dev + stream.records as u64;
        // SAFETY: inside the buffer on both sides.
        if !(0..TRIES).any(|_| unsafe { ops.copy_to_device(target, place, size) }) {
            let count = account.collected.uncleared.add(1);
            let what = format_args!("{}: a buffer could not be cleared; old records may come again", stream.name);
            self.pool.logger().log_occurrence(log::ERROR, count, what);
        }
    }
}

/// Whether slot `index` of a core's records, `size` bytes each, has one.
///
/// # Safety
///
/// The slot is readable.
unsafe fn is_record(records: *const u8, size: usize, index: u32) -> bool {
    let word = records.wrapping_add(index as usize * size).cast::<u64>();
    // SAFETY: the first word of the slot, which a device may write against the contract.
    unsafe { word.read_volatile() != 0 }
}
