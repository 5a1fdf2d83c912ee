//! The drain thread of a shard: device ready queues to ready ring, lanes to device free queues.
//!
//! Peek, deliver, acknowledge: `taken` runs ahead privately; the head is pushed once the contents of at most
//! [`MAX_ENTRIES`] entries are safe and before anything that can block. A delivered entry is never delivered again; after
//! a failed head push only the push is retried.

use super::config::{Entry, MAX_ENTRIES, MAX_ENTRY_WORDS, NO_FREE_QUEUE, REJECT, Role, Site};
use super::instances::Served;
use super::refill::Refill;
use super::replenish::LAST_TRIES;
use super::run::{Run, last_tail};
use crate::event::{Deadline, now};
use crate::pool::ledger::Place;
use crate::pool::{Buffer, MAX_PAYLOAD};
use crate::status::Status;
use crate::sync::atomic::Ordering;
use crate::sync::{relax, step_aside};
use core::mem::MaybeUninit;

/// Looks at the tails before a sleep; after the first few of them the other threads have their turn.
const IDLE_SCANS: u32 = 9;
const EAGER_SCANS: u32 = 8;
/// Scans that find the same entry without an address before it is skipped.
const NULL_SCANS: u32 = 64;

/// No index of a queue: whatever is taken, the device is to be told.
const UNKNOWN: u32 = u32::MAX;

struct Queue {
    number: u32,
    /// Next entry to take.
    taken: u32,
    /// What the device was told, or [`UNKNOWN`].
    acknowledged: u32,
    /// Scans that found the next entry without an address.
    null_scans: u32,
}

/// A pass over one queue.
enum Pass {
    Nothing,
    Took,
    /// Something failed; worth another look after a while.
    Retry,
}

pub(super) struct Drain {
    shard: u32,
    queues: Box<[Queue]>,
    /// Instances whose free queue stands empty for want of a buffer.
    starving: Vec<u32>,
    /// Demand as last stored, per kind.
    demand: Box<[u32]>,
    retry: bool,
    /// The sentinel's announcements that this thread has acted upon.
    announced: u32,
    /// The replenish thread's requests that this thread has acted upon.
    requested: u32,
    /// The replenish thread's hand-overs that this thread has acted upon.
    handed_over: u32,
}

/// Room for one run of entries, kept off the stack of the loop.
struct Scratch {
    words: [u64; MAX_ENTRIES * MAX_ENTRY_WORDS],
    payloads: Payloads,
}

#[repr(align(16))]
struct Payloads([u8; MAX_ENTRIES * MAX_PAYLOAD as usize]);

impl Drain {
    /// The drain thread of `shard`.
    pub(super) fn new(run: &Run, shard: u32) -> Self {
        let queues = run.config.queues.iter().zip(0u32..).filter(|(_, number)| number % run.shards == shard);
        let queues = queues.map(|(queue, number)| {
            let head = queue.port.own_head();
            Queue {
                number,
                taken: head,
                // An earlier run may have ended before it could tell the device.
                acknowledged: UNKNOWN,
                null_scans: 0,
            }
        });
        Self {
            shard,
            queues: queues.collect(),
            starving: Vec::new(),
            demand: vec![0; run.config.kinds.len()].into(),
            retry: false,
            announced: 0,
            requested: 0,
            handed_over: 0,
        }
    }

    /// The thread.
    pub(super) fn run(mut self, run: &Run) {
        let mut scratch = Box::new(Scratch {
            words: [0; MAX_ENTRIES * MAX_ENTRY_WORDS],
            payloads: Payloads([0; MAX_ENTRIES * MAX_PAYLOAD as usize]),
        });
        self.take_over(run);
        self.take_left_over(run, &mut scratch);
        let mut idle_scans = 0;
        while !run.intake_stopped() {
            self.retry = false;
            if run.drain_bells[self.shard as usize].is_handed_over(&mut self.handed_over) {
                self.take_over(run);
            }
            let mut took = self.serve_starving(run);
            for index in 0..self.queues.len() {
                match self.pass(run, index, None, &mut scratch) {
                    Pass::Took => took = true,
                    Pass::Nothing => {}
                    Pass::Retry => self.retry = true,
                }
            }
            self.share(run);
            if took {
                idle_scans = 0;
            } else if idle_scans < IDLE_SCANS && !self.retry {
                idle_scans += 1;
                if idle_scans <= EAGER_SCANS {
                    relax();
                } else {
                    step_aside();
                }
            } else {
                self.sleep(run);
                idle_scans = IDLE_SCANS;
            }
        }
        self.last_pass(run, &mut scratch);
        self.starving.clear();
        self.store_demand(run, 0);
    }

    /// Takes note of the free queues of the shard that somebody else left empty.
    fn take_over(&mut self, run: &Run) {
        for (number, served) in run.instances.iter() {
            if run.shard_of(served) == self.shard && served.take_hungry() && !self.starving.contains(&number) {
                self.starving.push(number);
            }
        }
        self.store_demand(run, 0);
    }

    /// Sleeps until the sentinel announces a tail, a starved lane gets a buffer, or the run ends; no longer than the
    /// shortest polling interval if something failed.
    fn sleep(&mut self, run: &Run) {
        let Self { shard, starving, retry, announced, requested, handed_over, .. } = self;
        let bell = &run.drain_bells[*shard as usize];
        let deadline = if *retry { now().saturating_add(run.config.poll_min_ns) } else { Deadline::NEVER };
        let _ = bell.event.wait_until(deadline, 0, || {
            let lane =
                |at: &u32| run.instances.get(*at).map_or(0, |at| run.pool.recycled_len(*shard, at.instance.kind));
            // After a failure the lane is tried again at the deadline, and in a freeze the queues are not this thread's.
            let supplied = !*retry && starving.iter().any(|at| lane(at) != 0) && !run.is_frozen();
            // The hand-over is acted upon by the loop.
            let called = bell.is_announced(announced) | bell.is_requested(requested);
            let called = called || bell.is_handed_over(&mut handed_over.clone());
            (called || supplied || run.intake_stopped()).then_some(())
        });
    }

    /// Takes what an earlier run left in the queues, before any drain thread takes an entry of this one: what it says of the
    /// instances' queues holds for that run.
    fn take_left_over(&mut self, run: &Run, scratch: &mut Scratch) {
        if !run.is_any_left_over() {
            return;
        }
        for index in 0..self.queues.len() {
            if let Some(end) = run.left_over(self.queues[index].number) {
                self.take_up_to(run, index, end, scratch);
            }
        }
        run.left_over_taken(self.shard);
    }

    /// Takes the entries of a queue up to `end`, unless that fails too often.
    fn take_up_to(&mut self, run: &Run, index: usize, end: u32, scratch: &mut Scratch) {
        let mut failures = 0;
        while self.queues[index].taken != end && failures < NULL_SCANS + LAST_TRIES {
            match self.pass(run, index, Some(end), scratch) {
                Pass::Took => failures = 0,
                _ => failures += 1,
            }
        }
    }

    /// Takes everything that was published when the pass begins, and makes sure that the device knows.
    fn last_pass(&mut self, run: &Run, scratch: &mut Scratch) {
        for index in 0..self.queues.len() {
            let queue = &run.config.queues[self.queues[index].number as usize];
            // Unreadable or out of range: nothing more is taken.
            let tail = last_tail(&queue.port, &run.link).unwrap_or(self.queues[index].taken);
            self.take_up_to(run, index, tail, scratch);
            if !(0..LAST_TRIES).any(|_| self.acknowledge(run, index)) {
                queue.port.keep_head(self.queues[index].taken);
            }
        }
    }

    /// Tells the device which entries are taken, if it does not know yet.
    fn acknowledge(&mut self, run: &Run, index: usize) -> bool {
        let queue = &mut self.queues[index];
        let port = &run.config.queues[queue.number as usize].port;
        // An index that was out of range from the start is not this thread's to publish.
        if queue.acknowledged == queue.taken || queue.taken >= port.capacity {
            return true;
        }
        match port.publish_head(&run.link, queue.taken) {
            Ok(()) => {
                queue.acknowledged = queue.taken;
                true
            }
            Err(status) => {
                // The push may have landed all the same, and `taken` may come back to the index acknowledged before.
                queue.acknowledged = UNKNOWN;
                let number = queue.number;
                self.transfer_failed(run, status, number, "the head of a ready queue could not be pushed");
                false
            }
        }
    }

    #[cold]
    fn transfer_failed(&self, run: &Run, status: Status, queue: u32, what: &str) {
        let count = run.stats.queues[queue as usize].transfer_failed.add(1);
        run.report(status, Role::Drain, queue, 0, count, what);
    }

    /// Takes up to [`MAX_ENTRIES`] entries of one queue, none at or beyond `limit`.
    fn pass(&mut self, run: &Run, index: usize, limit: Option<u32>, scratch: &mut Scratch) -> Pass {
        let number = self.queues[index].number;
        let queue = &run.config.queues[number as usize];
        let capacity = queue.port.capacity;
        if !self.acknowledge(run, index) {
            self.retry = true;
        }
        let tail = match limit.map_or_else(|| queue.port.tail(&run.link), Ok) {
            Ok(tail) => tail,
            Err(status) => {
                self.transfer_failed(run, status, number, "the tail of a ready queue could not be read");
                return Pass::Retry;
            }
        };
        let taken = self.queues[index].taken;
        if tail >= capacity || taken >= capacity {
            let count = run.stats.queues[number as usize].corrupt.add(1);
            let what = "an index of a ready queue is out of range";
            run.report(Status::LANEPIPE_E_CORRUPT, Role::Drain, number, u64::from(tail), count, what);
            return Pass::Nothing;
        }
        let available = if tail >= taken { tail - taken } else { tail + capacity - taken };
        let count = MAX_ENTRIES.min(available as usize);
        if count == 0 {
            return Pass::Nothing;
        }
        let words = &mut scratch.words[..count * queue.port.entry_words as usize];
        if let Err(status) = queue.port.read_entries(&run.link, taken, words) {
            self.transfer_failed(run, status, number, "entries of a ready queue could not be read");
            return Pass::Retry;
        }
        // At an end of its own the walk skips what will never be there only to reach what is behind it: a pointer that is
        // still to come is left to the next run.
        let is_last = limit.is_some() && count == available as usize;
        let count = self.published(run, index, words, is_last);
        if count == 0 {
            return Pass::Retry;
        }
        self.take(run, index, count, scratch);
        Pass::Took
    }

    /// How many of the entries from the first on carry an address, or are to be skipped because they never will; nothing is
    /// skipped at the end of the last ones.
    fn published(&mut self, run: &Run, index: usize, words: &[u64], is_last: bool) -> usize {
        let queue = &mut self.queues[index];
        let config = &run.config.queues[queue.number as usize];
        let addresses =
            words.chunks_exact(config.port.entry_words as usize).map(|entry| entry[config.pointer_word as usize]);
        let total = addresses.len();
        let first_null = addresses.clone().position(|address| address == 0).unwrap_or(total);
        if first_null != 0 {
            queue.null_scans = 0;
            return first_null;
        }
        queue.null_scans += 1;
        if queue.null_scans < NULL_SCANS {
            return 0;
        }
        queue.null_scans = 0;
        usize::from(!is_last || addresses.clone().any(|address| address != 0))
    }

    /// Takes `count` entries whose words are in `scratch`.
    fn take(&mut self, run: &Run, index: usize, count: usize, scratch: &mut Scratch) {
        let number = self.queues[index].number;
        let config = &run.config.queues[number as usize];
        let payload_size = run.pool.config().payload_size as usize;
        let payloads = &mut scratch.payloads.0[..count * payload_size];
        payloads.fill(0);
        let words = scratch.words.chunks_exact(config.port.entry_words as usize);
        let mut entries = [Entry { bytes: core::ptr::null(), dev: 0, host: 0, kind: u32::MAX, id: 0 }; MAX_ENTRIES];
        for (entry, words) in entries[..count].iter_mut().zip(words) {
            *entry = self.identify(run, words[config.pointer_word as usize]);
            entry.bytes = words.as_ptr().cast();
        }
        let entries = &mut entries[..count];
        let mut sites =
            [Site { instance: REJECT, kind: 0, content_size: 0, payload: core::ptr::null_mut(), dev: 0 }; MAX_ENTRIES];
        for (position, (site, entry)) in sites[..count].iter_mut().zip(entries.iter()).enumerate() {
            site.dev = entry.dev;
            // In bounds or, without payloads, not dereferenced.
            site.payload = payloads.as_mut_ptr().wrapping_add(position * payload_size);
        }
        // Of an entry that is skipped nobody is asked.
        if entries.iter().all(|entry| entry.dev != 0) {
            run.config.hooks.resolve(number, entries, &mut sites[..count]);
        }
        if run.pool.config().untracked {
            for (entry, site) in entries.iter_mut().zip(&sites).filter(|(entry, site)| entry.dev != site.dev) {
                *entry = Entry { bytes: entry.bytes, ..self.identify(run, site.dev) };
            }
        }

        let mut buffers = [Buffer { dev: 0, kind: 0, id: 0 }; MAX_ENTRIES];
        let mut delivered = 0;
        let mut refill = [REJECT; MAX_ENTRIES];
        for (position, (entry, site)) in entries.iter().zip(&sites).enumerate() {
            let served = self.sound_site(run, number, entry, site);
            let kind = match served {
                Some(served) => Some(served.instance.kind),
                None => self.kind_without_free_queue(run, site),
            };
            if kind.is_some() {
                refill[position] = site.instance;
            }
            if let Some(buffer) = self.accept(run, number, entry, site, kind) {
                payloads.copy_within(position * payload_size..(position + 1) * payload_size, delivered * payload_size);
                buffers[delivered] = buffer;
                delivered += 1;
            }
        }
        let queue = &mut self.queues[index];
        queue.taken = (queue.taken + count as u32) % config.port.capacity;
        run.progress[number as usize].set(queue.taken);
        run.stats.queues[number as usize].taken.add(count as u64);
        if !self.acknowledge(run, index) {
            self.retry = true;
        }
        // Who starves comes before who has just published.
        self.serve_starving(run);
        for position in 0..count {
            if refill[position] < NO_FREE_QUEUE && !refill[..position].contains(&refill[position]) {
                let spare = self.spare(run, refill[position]);
                self.top_up(run, number, refill[position], spare);
            }
        }
        if refill[..count].contains(&REJECT) {
            self.serve_unknown(run, number);
        }
        // What is about to be delivered comes back, and then finds whom it is for: nobody has to be woken before, unless
        // there are others to be had meanwhile.
        let spare = |kind| run.pool.recycled_total(kind) != 0;
        let coming = buffers[..delivered].iter().filter(|buffer| !spare(buffer.kind));
        let coming = coming.fold(0, |kinds, buffer| kinds | 1 << buffer.kind);
        self.store_demand(run, if run.config.eager { 0 } else { coming });
        self.deliver(run, number, &buffers[..delivered], payloads.as_ptr());
    }

    /// What the pool knows of the address in an entry. Host address 0: not that of a buffer at the device, for instance
    /// one that was published before and is in the host's hands.
    fn identify(&self, run: &Run, dev: u64) -> Entry {
        let mut entry = Entry { bytes: core::ptr::null(), dev, host: 0, kind: u32::MAX, id: 0 };
        let Some(known) = run.pool.resolve(dev) else {
            return entry;
        };
        if run.pool.config().untracked {
            entry.host = known.host;
        } else if let Some(kind) = run.pool.ledger().claim(known.id, Place::Drain, self.shard) {
            // A second publication, on this queue or at the same moment on another, is not at the device any more.
            entry.host = known.host;
            entry.kind = kind;
            entry.id = known.id;
        }
        entry
    }

    /// The instance in the answer, if it can have published the entry.
    fn sound_site<'a>(&self, run: &'a Run, queue: u32, entry: &Entry, site: &Site) -> Option<&'a Served> {
        let served = run.instances.get(site.instance)?;
        let instance = &served.instance;
        let fits = run.pool.config().untracked
            || match entry.host {
                0 => served.route().may_be(queue),
                _ => instance.kind == entry.kind && served.route().settle(queue),
            };
        fits.then_some(served)
    }

    /// The kind of an entry whose answer names no free queue.
    fn kind_without_free_queue(&self, run: &Run, site: &Site) -> Option<u32> {
        let allowed = run.pool.config().untracked && site.instance == NO_FREE_QUEUE;
        (allowed && run.pool.check_kind(site.kind).is_ok()).then_some(site.kind)
    }

    /// Brings the contents of an acceptable entry to the host; without a kind there is none. What is not acceptable is parked,
    /// if it is a buffer.
    fn accept(&mut self, run: &Run, queue: u32, entry: &Entry, site: &Site, kind: Option<u32>) -> Option<Buffer> {
        let stats = &run.stats.queues[queue as usize];
        let untracked = run.pool.config().untracked;
        let (is_acceptable, kind) = (kind.is_some(), kind.unwrap_or(0));
        let buffer = Buffer { dev: entry.dev, kind: if untracked { kind } else { entry.kind }, id: entry.id };
        let memory = run.link.memory();
        let fits = match untracked {
            // Addresses inside a block are good there, too, and one that the device made up may be the last in it.
            true => !memory.copies_in() || run.pool.is_inside(entry.dev, site.content_size),
            false => site.content_size <= run.instances.buffer_size(kind),
        };
        if !is_acceptable || entry.host == 0 || !fits {
            let count = stats.rejected.add(1);
            run.report(Status::LANEPIPE_E_CORRUPT, Role::Drain, queue, entry.dev, count, "an entry was rejected");
            // An id says that the buffer is this thread's now, even if no host memory belongs to it.
            if entry.id != 0 || untracked && run.pool.resolve(entry.dev).is_some() {
                // Parking fails only when memory is out; the ledger has the buffer as quarantined all the same.
                let _ = run.pool.quarantine(self.shard, buffer);
            }
            return None;
        }
        run.circulation.enter(self.shard, buffer.kind, 1);
        // SAFETY: the host address is that of a buffer of the kind, which holds `content_size` bytes; in an untracked pool that
        // of `content_size` bytes inside a block, or one that was registered for the instance's buffers.
        let pull = |_| unsafe { memory.pull(entry.host as *mut u8, entry.dev, site.content_size) };
        if (0..run.config.copy_tries).map(pull).any(|outcome| outcome.is_ok()) {
            return Some(buffer);
        }
        let count = stats.copy_failed.add(1);
        run.report(Status::LANEPIPE_E_CALLBACK, Role::Drain, queue, entry.dev, count, "contents could not be copied");
        // The buffer itself is sound: it goes back into circulation.
        let _ = run.pool.retire(self.shard, buffer);
        run.circulation.nudge();
        None
    }

    fn deliver(&self, run: &Run, queue: u32, buffers: &[Buffer], payloads: *const u8) {
        if buffers.is_empty() {
            return;
        }
        let stats = &run.stats.queues[queue as usize];
        // SAFETY: this is the shard's drain thread, and there is a payload for each buffer.
        let pushed = unsafe { run.pool.push_ready(self.shard, buffers, payloads) };
        if pushed < buffers.len() {
            stats.ready_full.add(1);
            let rest = payloads.wrapping_add(pushed * run.pool.config().payload_size as usize);
            // SAFETY: as above.
            unsafe { run.pool.wait_push_ready(self.shard, &buffers[pushed..], rest, Deadline::NEVER) };
        }
        stats.delivered.add(buffers.len() as u64);
        stats.ready_peak.raise(run.pool.ready(self.shard).len() as u64);
    }

    /// Tops up the free queue of `instance` with at most `most` buffers; notes it if it stays empty.
    fn top_up(&mut self, run: &Run, queue: u32, instance: u32, most: u32) -> bool {
        let Some(served) = run.instances.get(instance) else {
            return false;
        };
        let stats = &run.stats.queues[queue as usize];
        let Some(_lanes) = run.lanes_of(self.shard) else {
            // A freeze is on: its refill serves the queue, or it is handed over at the end.
            return false;
        };
        let Some(mut free) = run.instances.enter(served) else {
            // An alias of another shard is at it, or the shard that the queue was taken for and that may see it full still.
            if served.instance.guess {
                if !self.starving.contains(&instance) {
                    self.starving.push(instance);
                }
                self.retry = true;
            }
            return false;
        };
        // SAFETY: the turns make this thread the sole writer of the free queue and the sole consumer of its lanes.
        let refill = unsafe { free.top_up(&run.pool, &run.link, served.instance.kind, self.shard, most) };
        let parked = free.take_parked();
        drop(free);
        if !parked.is_empty() {
            parked.iter().for_each(|kind| run.circulation.enter(self.shard, *kind, 1));
            run.circulation.nudge();
        }
        match refill {
            Refill::Done(published) => {
                stats.refilled.add(u64::from(published));
                self.starving.retain(|at| *at != instance);
                return published != 0;
            }
            Refill::Starved => {
                if !self.starving.contains(&instance) {
                    stats.starved.add(1);
                    self.starving.push(instance);
                }
            }
            Refill::Failed(status, published) => {
                stats.refilled.add(u64::from(published));
                self.transfer_failed(run, status, queue, "a free queue could not be topped up");
                // The device may be waiting for this one.
                if !self.starving.contains(&instance) {
                    self.starving.push(instance);
                }
                self.retry = true;
            }
            Refill::Corrupt(head) => {
                let count = stats.corrupt.add(1);
                let what = "the head of a free queue is impossible";
                run.report(Status::LANEPIPE_E_CORRUPT, Role::Drain, queue, u64::from(head), count, what);
                self.starving.retain(|at| *at != instance);
            }
        }
        false
    }

    /// The queue in whose counters this thread books what it does for an instance: they have one writer. An instance whose queue
    /// was guessed may turn out to be another shard's while this thread still serves it.
    fn own_queue(&self, run: &Run, served: &Served) -> u32 {
        match self.queues.first() {
            Some(first) if run.shard_of(served) != self.shard => first.number,
            _ => served.queue(),
        }
    }

    /// Serves free queues that stand empty, one buffer each, whoever waits longest first.
    fn serve_starving(&mut self, run: &Run) -> bool {
        if self.starving.is_empty() {
            return false;
        }
        let (mut served, mut position) = (false, 0);
        // A buffer that comes while this goes through the list is for the next round: it is not for the tail of the list.
        let supplied = (0..self.demand.len() as u32)
            .filter(|kind| run.pool.recycled_len(self.shard, *kind) != 0)
            .fold(0u64, |kinds, kind| kinds | 1 << kind);
        while let Some(instance) = self.starving.get(position).copied() {
            if let Some(at) = run.instances.get(instance) {
                let unsettled = || run.instances.enter(at).is_some_and(|free| free.is_unsettled());
                if supplied >> at.instance.kind & 1 != 0 || unsettled() {
                    let queue = self.own_queue(run, at);
                    served |= self.top_up(run, queue, instance, 1);
                }
            }
            // Who is served leaves the list.
            position += usize::from(self.starving.get(position) == Some(&instance));
        }
        self.store_demand(run, 0);
        served
    }

    /// Buffers in the lane of `instance` that it may have: those that no starving instance of the shard waits for, and only
    /// one while another shard starves.
    fn spare(&self, run: &Run, instance: u32) -> u32 {
        let kind = kind_of(run, instance);
        let ahead = self.starving.iter().filter(|at| **at != instance && kind_of(run, **at) == kind).count();
        let spare = run.pool.recycled_len(self.shard, kind).saturating_sub(ahead) as u32;
        if self.wanted_elsewhere(run, kind) == 0 { spare } else { spare.min(1) }
    }

    /// Free queues of `kind` in other shards that stand empty, beyond what lies in their lanes.
    fn wanted_elsewhere(&self, run: &Run, kind: u32) -> u32 {
        if !run.circulation.starves_beyond(self.demand.iter().sum()) {
            return 0;
        }
        let others = (0..run.shards).filter(|shard| *shard != self.shard);
        // Relaxed: a hint; the replenish thread asks again.
        let demand = |shard| run.pool.demand(shard as usize, kind).load(Ordering::Relaxed);
        others.map(|shard| demand(shard).saturating_sub(run.pool.recycled_len(shard, kind) as u32)).sum()
    }

    /// Parks buffers that lie in the shard's lanes while another shard starves, for the replenish thread to bring there. Those
    /// that the shard itself wants it keeps, unless it waits for transfers: nobody knows when those will work again.
    fn share(&self, run: &Run) {
        if (0..self.demand.len() as u32).all(|kind| self.wanted_elsewhere(run, kind) == 0) {
            return;
        }
        let Some(_lanes) = run.lanes_of(self.shard) else {
            return;
        };
        for kind in (0..self.demand.len() as u32).filter(|kind| self.retry || self.demand[*kind as usize] == 0) {
            for _ in 0..self.wanted_elsewhere(run, kind) {
                let mut buffer = [MaybeUninit::uninit()];
                // SAFETY: this is the drain thread of the shard, sole consumer of its lanes.
                if unsafe { run.pool.pop_recycled(self.shard, kind, &mut buffer) } == 0 {
                    break;
                }
                // SAFETY: `pop_recycled` filled the element.
                let buffer = unsafe { buffer[0].assume_init() };
                run.circulation.enter(self.shard, kind, 1);
                // Parking fails only when memory is out; the ledger has the buffer as retired all the same.
                let _ = run.pool.retire(self.shard, buffer);
                run.circulation.nudge();
            }
        }
    }

    /// After an entry of `queue` that nobody owns up to: one of its instances may be waiting and will not publish again.
    #[cold]
    fn serve_unknown(&mut self, run: &Run, queue: u32) {
        for instance in 0..run.instances.len() {
            if run.instances.get(instance).is_some_and(|served| served.queue() == queue) {
                self.top_up(run, queue, instance, 1);
            }
        }
    }

    /// Stores the demand words of the shard's lanes where they changed. Of the kinds in `coming` the caller holds a buffer
    /// that it delivers next.
    fn store_demand(&mut self, run: &Run, coming: u64) {
        for kind in 0..self.demand.len() {
            let before = self.demand[kind];
            let now = self.starving.iter().filter(|at| kind_of(run, **at) as usize == kind).count() as u32;
            if now != before {
                self.demand[kind] = now;
                let word = run.pool.demand(self.shard as usize, kind as u32);
                run.circulation.set_demand(word, before, now, coming >> kind & 1 != 0);
            }
        }
    }
}

/// The kind of a known instance.
fn kind_of(run: &Run, instance: u32) -> u32 {
    run.instances.get(instance).map_or(0, |served| served.instance.kind)
}
