//! The steps on a device whose copies fail as a script says.

use super::{Supplied, supply, take};
use crate::layout::{FreePort, Link, ReadyPort, Words64};
use crate::log::{Logger, Sink};
use crate::pool::ledger::Place;
use crate::pool::{Audit, Buffer, MemoryContext, MemoryOps, Pool, PoolConfig};
use crate::profiler::steps::Fault;
use crate::status::Status;
use crate::sync::{Edge, Word32, Word64};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::CStr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

/// What becomes of one transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Works,
    Fails,
    /// Reports failure, but a push has taken effect.
    Lands,
}

const FAILED: Status = Status::LANEPIPE_E_CALLBACK;

/// A word with its copy in device memory.
#[derive(Debug, Default)]
struct Shadowed32 {
    host: Cell<u32>,
    dev: Cell<u32>,
}

#[derive(Debug, Default)]
struct Shadowed64 {
    host: Cell<u64>,
    dev: Cell<u64>,
}

impl Word32 for Shadowed32 {
    fn load(&self, _: Ordering) -> u32 {
        self.host.get()
    }
    fn store(&self, value: u32, _: Ordering) {
        self.host.set(value);
    }
}

impl Word64 for Shadowed64 {
    fn load(&self, _: Ordering) -> u64 {
        self.host.get()
    }
    fn store(&self, value: u64, _: Ordering) {
        self.host.set(value);
    }
}

struct Shadowed(Vec<Shadowed64>);

impl Shadowed {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| Shadowed64::default()).collect())
    }
}

impl Words64 for Shadowed {
    type Word = Shadowed64;
    fn with<R>(&self, index: usize, f: impl FnOnce(&Shadowed64) -> R) -> R {
        f(&self.0[index])
    }
}

/// Transfers meet the fates of the script, then all work.
#[derive(Default)]
struct Script {
    fates: RefCell<VecDeque<Fate>>,
    transfers: Cell<u32>,
    /// Order of what was pushed: `s` for slots, `w` for a word.
    pushes: RefCell<String>,
}

impl Script {
    fn set(&self, fates: &[Fate]) {
        *self.fates.borrow_mut() = fates.iter().copied().collect();
        self.transfers.set(0);
    }

    fn next(&self) -> Fate {
        self.transfers.set(self.transfers.get() + 1);
        self.fates.borrow_mut().pop_front().unwrap_or(Fate::Works)
    }
}

impl Link<Shadowed32, Shadowed> for Script {
    fn load(&self, word: &Shadowed32, _: &Edge) -> Result<u32, Status> {
        if self.next() != Fate::Works {
            return Err(FAILED);
        }
        word.host.set(word.dev.get());
        Ok(word.dev.get())
    }

    fn store(&self, word: &Shadowed32, value: u32, _: &Edge) -> Result<(), Status> {
        let fate = self.next();
        if fate != Fate::Fails {
            self.pushes.borrow_mut().push('w');
            word.dev.set(value);
        }
        if fate != Fate::Works {
            return Err(FAILED);
        }
        word.host.set(value);
        Ok(())
    }

    fn load_words(&self, words: &Shadowed, first: usize, out: &mut [u64]) -> Result<(), Status> {
        if self.next() != Fate::Works {
            return Err(FAILED);
        }
        for (word, value) in words.0[first..].iter().zip(out) {
            *value = word.dev.get();
        }
        Ok(())
    }

    fn store_words(&self, words: &Shadowed, first: usize, values: &[u64]) -> Result<(), Status> {
        let fate = self.next();
        for (word, value) in words.0[first..].iter().zip(values) {
            word.host.set(*value);
            if fate != Fate::Fails {
                self.pushes.borrow_mut().push('s');
                word.dev.set(*value);
            }
        }
        if fate == Fate::Works { Ok(()) } else { Err(FAILED) }
    }
}

/// A ready queue whose entries are one word.
fn ready(capacity: u32) -> ReadyPort<Shadowed32, Shadowed> {
    ReadyPort {
        head: Shadowed32::default(),
        tail: Shadowed32::default(),
        entries: Shadowed::new(capacity as usize),
        capacity,
        entry_words: 1,
    }
}

fn publish(port: &ReadyPort<Shadowed32, Shadowed>, value: u64) {
    let tail = port.tail.dev.get();
    port.entries.0[tail as usize].dev.set(value);
    port.tail.dev.set((tail + 1) % port.capacity);
}

fn take_one(
    port: &ReadyPort<Shadowed32, Shadowed>,
    link: &Script,
    refresh: bool,
) -> Result<Result<u64, Status>, Fault> {
    let mut entry = [0];
    take(port, link, 0, refresh, &mut entry).map(|outcome| outcome.map(|()| entry[0]))
}

#[test]
fn entries_come_in_order_with_three_transfers_each() {
    for capacity in [2, 3, 5, 8] {
        let (port, link) = (ready(capacity), Script::default());
        for value in 1..=20 {
            assert_eq!(take_one(&port, &link, true), Ok(Err(Status::LANEPIPE_EMPTY)));
            publish(&port, value);
            link.set(&[]);
            assert_eq!(take_one(&port, &link, true), Ok(Ok(value)));
            assert_eq!(link.transfers.get(), 3, "tail, entry, head");
            assert_eq!((port.head.dev.get(), port.tail.host.get()), (port.head.host.get(), port.tail.dev.get()));
        }
    }
}

#[test]
fn without_refresh_the_hosts_tail_counts() {
    let (port, link) = (ready(4), Script::default());
    publish(&port, 7);
    assert_eq!(take_one(&port, &link, false), Ok(Err(Status::LANEPIPE_EMPTY)));
    port.tail.host.set(1);
    assert_eq!(take_one(&port, &link, false), Ok(Ok(7)));
    assert_eq!(link.transfers.get(), 2);
}

#[test]
fn an_entry_without_address_stays() {
    let (port, link) = (ready(4), Script::default());
    publish(&port, 0);
    for _ in 0..100 {
        assert_eq!(take_one(&port, &link, true), Ok(Err(Status::LANEPIPE_AGAIN)));
    }
    assert_eq!(port.head.host.get(), 0);
    port.entries.0[0].dev.set(9);
    assert_eq!(take_one(&port, &link, true), Ok(Ok(9)));
}

#[test]
fn a_queue_of_one_never_holds_an_entry() {
    let (port, link) = (ready(1), Script::default());
    assert_eq!(take_one(&port, &link, true), Ok(Err(Status::LANEPIPE_EMPTY)));
    port.tail.dev.set(1);
    assert_eq!(take_one(&port, &link, true), Err(Fault::Indices { head: 0, tail: 1 }));
}

#[test]
fn indices_out_of_range_change_nothing() {
    for (head, tail) in [(4, 0), (0, 4), (u32::MAX, u32::MAX), (4, 4)] {
        let (port, link) = (ready(4), Script::default());
        port.head.host.set(head);
        port.tail.dev.set(tail);
        assert_eq!(take_one(&port, &link, true), Err(Fault::Indices { head, tail }));
        assert_eq!((port.head.host.get(), port.head.dev.get()), (head, 0));
    }
}

/// Whatever transfers fail, land or work: each entry comes once and in order, and the device never sees a head that the
/// host has not come to.
#[test]
fn failed_transfers_neither_skip_nor_repeat_an_entry() {
    let fates = [Fate::Works, Fate::Fails, Fate::Lands];
    for script in 0..3usize.pow(7) {
        let (port, link) = (ready(3), Script::default());
        let script: Vec<_> = (0..7).map(|digit| fates[script / 3usize.pow(digit) % 3]).collect();
        link.set(&script);
        publish(&port, 1);
        publish(&port, 2);
        let mut taken = Vec::new();
        for _ in 0..12 {
            let head = port.own_head();
            match take_one(&port, &link, true) {
                Ok(Ok(value)) => {
                    taken.push(value);
                    assert_eq!(port.head.dev.get(), port.own_head(), "{script:?}");
                }
                _ => assert_eq!(port.own_head(), head, "{script:?}"),
            }
        }
        assert_eq!(taken, [1, 2], "{script:?}");
    }
}

#[derive(Clone, Default)]
struct Messages(Arc<Mutex<Vec<String>>>);

impl Messages {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Sink for Messages {
    fn write(&self, _: u32, message: &CStr) {
        self.0.lock().unwrap().push(message.to_str().unwrap().to_owned());
    }
}

/// Allocates addresses; host and device share them.
struct Addresses {
    next: std::sync::atomic::AtomicU64,
    left: std::sync::atomic::AtomicU32,
}

impl Addresses {
    fn new(left: u32) -> Self {
        Self { next: 0x10_0000.into(), left: left.into() }
    }
}

impl MemoryOps for Addresses {
    fn alloc(&self, size: usize) -> u64 {
        if self.left.load(Ordering::Relaxed) == 0 {
            return 0;
        }
        self.left.fetch_sub(1, Ordering::Relaxed);
        self.next.fetch_add(size as u64 + 64, Ordering::Relaxed)
    }
    fn registers(&self) -> bool {
        false
    }
    fn register(&self, _: u64, _: usize, _: i32) -> u64 {
        0
    }
    fn free(&self, _: u64) {}
    fn copies(&self) -> bool {
        false
    }
    unsafe fn copy_to_device(&self, _: u64, _: *const u8, _: usize) -> bool {
        false
    }
    unsafe fn copy_from_device(&self, _: *mut u8, _: u64, _: usize) -> bool {
        false
    }
}

/// A free queue, its device, and a pool that knows every buffer.
struct Bench {
    pool: Pool,
    messages: Messages,
    port: FreePort<Shadowed32, Shadowed>,
    link: Script,
}

const ADDRESS: usize = 0x40;

impl Bench {
    fn new(slots: u32, start: u32) -> Self {
        let messages = Messages::default();
        let pool = Pool::new(PoolConfig {
            shards: 2,
            kinds: 2,
            payload_size: 0,
            ready_capacity: 4,
            done_capacity: 4,
            recycled_capacity: 32,
            strict: false,
            untracked: false,
            check_overlap: false,
            block_granularity: 1,
            block_align: 1,
            logger: Logger::new(Box::new(messages.clone()), crate::log::DEBUG),
        });
        let pool = pool.unwrap();
        let ops: Box<dyn MemoryOps> = Box::new(Addresses::new(100));
        pool.set_memory(MemoryContext { ops: Some(ops), ..MemoryContext::default() }).unwrap();
        let port = FreePort {
            head: Shadowed32::default(),
            tail: Shadowed32::default(),
            slots: Shadowed::new(slots as usize),
            slot_count: slots,
        };
        for word in [&port.head, &port.tail] {
            word.host.set(start);
            word.dev.set(start);
        }
        Self { pool, messages, port, link: Script::default() }
    }

    /// New buffers in a lane.
    fn stock(&self, count: u32) -> Vec<u64> {
        // SAFETY: the test is on one thread, which plays every role; so below.
        assert_eq!(unsafe { self.pool.allocate(1, 64, count, Some(1)) }, Ok(count as usize));
        let known: BTreeSet<_> = self.in_lane().into_iter().collect();
        known.into_iter().collect()
    }

    fn in_lane(&self) -> Vec<u64> {
        let mut found = Vec::new();
        // SAFETY: as above; nothing is taken.
        unsafe {
            self.pool.offer_recycled(1, 1, 32, |buffers| {
                found = buffers.iter().map(|buffer| buffer.dev).collect();
                0
            })
        };
        found
    }

    fn top_up(&self) -> Supplied {
        supply(&self.pool, &self.port, ADDRESS, &self.link, 1, 1, |max, take| {
            // SAFETY: as above.
            Ok(unsafe { self.pool.offer_recycled(1, 1, max, take) })
        })
    }

    /// What the device finds.
    fn at_device(&self) -> Vec<u64> {
        let (head, tail) = (self.port.head.dev.get(), self.port.tail.dev.get());
        let fill = tail.wrapping_sub(head);
        assert!(fill <= self.port.slot_count, "head {head}, tail {tail}");
        (0..fill)
            .map(|at| self.port.slots.0[(head.wrapping_add(at) % self.port.slot_count) as usize].dev.get())
            .collect()
    }

    fn device_takes(&self) -> Option<u64> {
        let buffer = *self.at_device().first()?;
        self.port.head.dev.set(self.port.head.dev.get().wrapping_add(1));
        Some(buffer)
    }

    fn audit(&self) -> Audit {
        // SAFETY: as above.
        unsafe { self.pool.audit() }
    }

    fn parked(&self) -> usize {
        self.audit().at(Place::Retired) as usize
    }

    fn quarantined(&self) -> usize {
        self.audit().at(Place::Quarantined) as usize
    }
}

fn done(published: usize) -> Supplied {
    Supplied { published, status: Status::LANEPIPE_OK }
}

fn failed(published: usize) -> Supplied {
    Supplied { published, status: FAILED }
}

#[test]
fn a_run_of_slots_is_published_with_one_tail() {
    for (slots, start) in [(4, 0), (4, u32::MAX - 1), (1, 7), (3, 5), (5, 9)] {
        let bench = Bench::new(slots, start);
        let buffers = bench.stock(slots + 2);
        assert_eq!(bench.top_up(), done(slots as usize), "{slots} slots from {start}");
        assert_eq!(bench.at_device(), buffers[..slots as usize]);
        assert_eq!(bench.in_lane(), buffers[slots as usize..]);
        let pushes = bench.link.pushes.take();
        assert_eq!(pushes, "s".repeat(slots as usize) + "w", "slots before tail");
        assert_eq!(bench.top_up(), done(0), "full");
        bench.device_takes();
        bench.link.set(&[]);
        assert_eq!(bench.top_up(), done(1));
        assert_eq!(bench.link.transfers.get(), 3, "head, slot, tail");
        assert_eq!(bench.audit().errors, 0);
        assert!(bench.messages.take().is_empty());
    }
}

#[test]
fn counters_wrap_with_slots_that_are_no_power_of_two() {
    let bench = Bench::new(3, u32::MAX - 5);
    bench.stock(20);
    let mut taken = Vec::new();
    for _ in 0..12 {
        assert_eq!(bench.top_up().status, Status::LANEPIPE_OK);
        taken.extend(bench.device_takes());
    }
    assert_eq!(bench.port.head.dev.get(), 6);
    // One slot has two counters at the seam, no more.
    let distinct: BTreeSet<_> = taken.iter().collect();
    assert!(taken.len() - distinct.len() <= 1, "{taken:?}");
}

#[test]
fn a_slot_that_cannot_be_pushed_parks_one_buffer_and_leaves_the_rest() {
    let bench = Bench::new(4, 0);
    let buffers = bench.stock(3);
    for fate in [Fate::Fails, Fate::Lands] {
        bench.link.set(&[Fate::Works, fate]);
        let before = bench.in_lane();
        assert_eq!(bench.top_up(), failed(0));
        assert_eq!(bench.in_lane(), before[1..]);
        assert!(bench.port.slots.0.iter().all(|slot| slot.host.get() == 0), "old slots are back");
        assert_eq!((bench.port.own_tail(), bench.port.tail.dev.get()), (0, 0));
    }
    assert_eq!((bench.parked(), bench.at_device().len()), (2, 0));
    assert_eq!(bench.messages.take().len(), 1, "a fault that lasts is reported once");
    assert_eq!(bench.top_up(), done(1));
    assert_eq!(bench.at_device(), buffers[2..]);
    assert_eq!(bench.audit().errors, 0);
}

#[test]
fn a_tail_that_was_not_pushed_parks_one_buffer_and_leaves_the_rest() {
    let bench = Bench::new(4, 0);
    let buffers = bench.stock(3);
    bench.link.set(&[Fate::Works, Fate::Works, Fate::Fails]);
    assert_eq!(bench.top_up(), failed(0));
    assert_eq!((bench.in_lane(), bench.parked()), (buffers[1..].to_vec(), 1));
    assert_eq!((bench.port.own_tail(), bench.port.slots.0[0].host.get()), (0, 0));
    assert_eq!(bench.top_up(), done(2));
    assert_eq!(bench.at_device(), buffers[1..]);
    assert_eq!(bench.audit().errors, 0);
}

#[test]
fn a_tail_push_that_landed_but_reported_failure_counts() {
    let bench = Bench::new(4, u32::MAX);
    let buffers = bench.stock(3);
    // The slots lie on both sides of the end, so that they are two runs.
    bench.link.set(&[Fate::Works, Fate::Works, Fate::Works, Fate::Lands]);
    assert_eq!(bench.top_up(), done(3));
    assert_eq!(bench.at_device(), buffers);
    assert_eq!(bench.port.own_tail(), 2);
    assert_eq!((bench.parked(), bench.quarantined(), bench.in_lane().len()), (0, 0, 0));
    assert!(bench.messages.take().is_empty());
    while bench.device_takes().is_some() {}
    bench.stock(4);
    assert_eq!(bench.top_up(), done(4), "the queue never counts as full for ever");
}

#[test]
fn a_publication_in_doubt_is_cleared_up_before_the_next() {
    for landed in [false, true] {
        let bench = Bench::new(4, 6);
        let buffers = bench.stock(2);
        let push = if landed { Fate::Lands } else { Fate::Fails };
        bench.link.set(&[Fate::Works, Fate::Works, push, Fate::Fails]);
        assert_eq!(bench.top_up(), failed(0));
        assert_eq!((bench.quarantined(), bench.parked(), bench.in_lane().len()), (2, 0, 0));
        assert_eq!(bench.port.own_tail(), 6);
        bench.stock(1);
        bench.link.set(&[Fate::Fails]);
        assert_eq!(bench.top_up(), failed(0));
        assert_eq!(bench.link.transfers.get(), 1, "nothing is done before the tail is known");
        if landed {
            assert_eq!(bench.device_takes(), Some(buffers[0]));
        }
        assert_eq!(bench.top_up(), done(if landed { 1 } else { 3 }));
        assert_eq!((bench.quarantined(), bench.parked()), (0, 0));
        assert_eq!(bench.at_device()[..if landed { 1 } else { 2 }], buffers[if landed { 1 } else { 0 }..]);
        assert_eq!(bench.at_device().len(), if landed { 2 } else { 3 });
        assert_eq!(bench.audit().errors, 0);
        assert_eq!(bench.messages.take().len(), 2, "the push, then the read");
    }
}

#[test]
fn impossible_heads_are_reported_once_and_harm_nothing() {
    let bench = Bench::new(4, 0);
    bench.stock(2);
    for head in [1, u32::MAX - 100, 5] {
        bench.port.head.dev.set(head);
        assert_eq!(bench.top_up(), Supplied { published: 0, status: Status::LANEPIPE_E_CORRUPT });
    }
    assert_eq!(bench.in_lane().len(), 2);
    assert_eq!(bench.messages.take().len(), 1);
    bench.port.head.dev.set(0);
    assert_eq!(bench.top_up(), done(2));
    bench.port.head.dev.set(9);
    assert_eq!(bench.top_up().status, Status::LANEPIPE_E_CORRUPT);
    assert_eq!(bench.messages.take().len(), 1, "sound in between, so it is news again");
}

#[test]
fn a_queue_has_one_writer() {
    let bench = Bench::new(4, 0);
    bench.stock(2);
    let note = bench.pool.queue_note(ADDRESS);
    let other = bench.pool.queue_note(ADDRESS + 4);
    let held = note.turn.enter();
    assert!(held.is_some() && other.turn.enter().is_some(), "other queues have other turns");
    assert_eq!(bench.top_up(), Supplied::BUSY);
    drop(held);
    assert_eq!(bench.top_up(), done(2));
}

#[test]
fn queues_beyond_the_table_share_a_record() {
    let bench = Bench::new(4, 0);
    let records: BTreeSet<_> =
        (1..10_000).map(|at| std::ptr::from_ref(bench.pool.queue_note(at * 128)) as usize).collect();
    assert!((2000..=2049).contains(&records.len()), "{}", records.len());
    bench.stock(2);
    assert_eq!(bench.top_up(), done(2));
    // SAFETY: nobody else uses the pool.
    unsafe { bench.pool.release_all(|_| ()) }.unwrap();
    let fresh: BTreeSet<_> = (1..100).map(|at| std::ptr::from_ref(bench.pool.queue_note(at * 64)) as usize).collect();
    assert_eq!(fresh.len(), 99);
}

/// The device and the host of a run of random faults.
#[derive(Debug, Clone)]
enum Act {
    TopUp(Vec<Fate>),
    /// The device takes so many buffers, and the host gets them back.
    Device(u8),
    Recirculate,
}

fn act() -> impl Strategy<Value = Act> {
    let fate = prop_oneof![3 => Just(Fate::Works), 1 => Just(Fate::Fails), 1 => Just(Fate::Lands)];
    prop_oneof![
        4 => proptest::collection::vec(fate, 0..6).prop_map(Act::TopUp),
        2 => (0u8..5).prop_map(Act::Device),
        1 => Just(Act::Recirculate),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 400 }))]
    /// Each buffer is in one place at any time; none is published twice; the tail only goes back before it was seen.
    #[test]
    fn buffers_survive_any_schedule(acts in proptest::collection::vec(act(), 1..40), slots in 1u32..6) {
        // Away from the seam, where a number of slots that is no power of two loses one.
        let bench = Bench::new(slots, 100);
        let all: BTreeSet<_> = bench.stock(8).into_iter().collect();
        let mut seen_tail = 100u32;
        for act in acts {
            match act {
                Act::TopUp(fates) => {
                    bench.link.set(&fates);
                    bench.top_up();
                }
                Act::Device(count) => {
                    for _ in 0..count {
                        let Some(dev) = bench.device_takes() else { break };
                        let known = bench.pool.resolve(dev).expect("the device got a buffer that nobody made");
                        let buffer = Buffer { dev, kind: 1, id: known.id };
                        // SAFETY: as above.
                        let stored = unsafe { bench.pool.push_recycled(1, &buffer) };
                        prop_assert!(stored);
                    }
                }
                // SAFETY: as above.
                Act::Recirculate => { unsafe { bench.pool.recirculate(|_, _| ()) }; }
            }
            let at_device = bench.at_device();
            let distinct: BTreeSet<_> = at_device.iter().copied().collect();
            prop_assert_eq!(distinct.len(), at_device.len(), "published twice");
            let tail = bench.port.tail.dev.get();
            prop_assert!(tail >= seen_tail, "the tail went back");
            seen_tail = tail;
        }
        bench.link.set(&[]);
        // Clears up what is in doubt.
        bench.top_up();
        let mut places: BTreeMap<u64, u32> = BTreeMap::new();
        // SAFETY: as above.
        unsafe { bench.pool.recirculate(|_, _| ()) };
        let mut lanes = Vec::new();
        for shard in 0..2 {
            // SAFETY: as above.
            unsafe { bench.pool.offer_recycled(shard, 1, 32, |buffers| {
                lanes.extend(buffers.iter().map(|buffer| buffer.dev));
                buffers.len()
            }) };
            // SAFETY: as above; what wrapped around the ring's storage.
            unsafe { bench.pool.offer_recycled(shard, 1, 32, |buffers| {
                lanes.extend(buffers.iter().map(|buffer| buffer.dev));
                buffers.len()
            }) };
        }
        for dev in bench.at_device().into_iter().chain(lanes) {
            *places.entry(dev).or_default() += 1;
        }
        prop_assert_eq!(places.keys().copied().collect::<BTreeSet<_>>(), all);
        prop_assert!(places.values().all(|count| *count == 1), "{:?}", places);
        prop_assert_eq!((bench.parked(), bench.quarantined()), (0, 0));
    }
}

/// Free queues in plain memory, through the functions that take raw words.
mod whole {
    use super::{Bench, done};
    use crate::layout::{FreePort, RawWords64};
    use crate::profiler::Free;
    use crate::profiler::steps::{Supplied, refill, top_up};
    use crate::status::Status;
    use crate::sync::RawWord32;

    #[derive(Default)]
    struct Memory {
        head: u32,
        tail: u32,
        slots: [u64; 8],
    }

    fn port(memory: &mut Memory, slot_count: u32) -> Free {
        // SAFETY: the memory outlives the port, and only this thread uses it.
        unsafe {
            FreePort {
                head: RawWord32::new(&raw mut memory.head),
                tail: RawWord32::new(&raw mut memory.tail),
                slots: RawWords64::new(memory.slots.as_mut_ptr(), 8),
                slot_count,
            }
        }
    }

    #[test]
    fn the_turn_of_the_lanes_comes_first_and_then_the_gates() {
        let (bench, mut memory) = (Bench::new(1, 0), Memory::default());
        bench.stock(3);
        let port = port(&mut memory, 4);
        // SAFETY: the test plays every role; so below.
        let step = |frozen| unsafe { top_up(&bench.pool, &port, || frozen, 1, 1) };
        let held = bench.pool.take_lanes();
        assert!(held.is_some());
        assert_eq!(step(false), Supplied::BUSY);
        drop(held);
        assert_eq!(step(true), Supplied::BUSY);
        assert!(bench.pool.take_lanes().is_some(), "a refused step gives the turn back");
        assert_eq!(step(false), done(3));
        assert_eq!(memory.tail, 3);
    }

    #[test]
    fn a_refill_takes_lanes_then_parked_buffers_then_blocks() {
        let (bench, mut memory) = (Bench::new(1, 0), Memory::default());
        let port = port(&mut memory, 8);
        // SAFETY: as above.
        let step = |batch| unsafe { refill(&bench.pool, &port, 1, 64, batch) };
        let own = bench.stock(2);
        // SAFETY: as above.
        assert_eq!(unsafe { bench.pool.allocate(1, 64, 1, Some(0)) }, Ok(1));
        // SAFETY: as above.
        let parked = unsafe { bench.pool.pop_recycled(0, 1, &mut []) };
        assert_eq!(parked, 0);
        let mut buffer = [std::mem::MaybeUninit::uninit()];
        // SAFETY: as above.
        assert_eq!(unsafe { bench.pool.pop_recycled(1, 1, &mut buffer) }, 1);
        // SAFETY: filled.
        bench.pool.retire(0, unsafe { buffer[0].assume_init() }).unwrap();
        assert_eq!(step(0), done(3));
        assert_eq!((memory.slots[1], memory.slots[2]), (own[1], own[0]), "lane 0, lane 1, parked");
        assert_ne!(memory.slots[0], own[0]);
        // The queue of eight has room for five: two blocks of three, of which one buffer stays in a lane.
        assert_eq!(step(3), done(5));
        assert_eq!(bench.pool.recycled_total(1), 1);
        assert_eq!(bench.audit().errors, 0);
    }

    #[test]
    fn a_refill_without_memory_is_no_fault_and_an_impossible_block_is() {
        let (bench, mut memory) = (Bench::new(1, 0), Memory::default());
        let port = port(&mut memory, 8);
        // SAFETY: as above.
        let step = |size| unsafe { refill(&bench.pool, &port, 1, size, 2) };
        assert_eq!(step(0), done(0));
        assert_eq!(bench.messages.take().len(), 0);
        assert_eq!(step(usize::MAX / 2), Supplied { published: 0, status: Status::LANEPIPE_E_TOO_LARGE });
        assert_eq!(bench.messages.take().len(), 1);
        bench.pool.set_memory(crate::pool::MemoryContext::default()).unwrap();
        assert_eq!(step(64), done(0));
        assert_eq!(bench.messages.take().len(), 0);
    }
}
