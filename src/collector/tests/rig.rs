//! Device memory, threads and a clock for collectors, and the words that tests write in the device's place.

use crate::collector::{Books, Chip, Collector, Config, Of, RECOVERED, Subsystem, Threads, Verdict};
use crate::device::args_dump::DumpArch;
use crate::device::pmu::{Pmu, PmuArch, registers};
use crate::device::scope_stats::ScopeArch;
use crate::device::swimlane::SwimlaneArch;
use crate::device::wait::Clock;
use crate::event::Deadline;
use crate::layout::runtime::{A2a3, A5, a5};
use crate::log::{Logger, Sink};
use crate::pool::MemoryOps;
use crate::profiler::{Role, State, ThreadBody};
use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longer than any wait that ends well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What both architectures have.
pub trait TestArch: SwimlaneArch + PmuArch + DumpArch + ScopeArch + Send + Sync {
    const CHIP: Chip;
    /// Ticks in a nanosecond, as a fraction.
    const TICKS: (u64, u64);
    fn record_pmu(pmu: &Pmu<Self>, at: &mut PmuAt<'_>, task: crate::device::pmu::Task) -> crate::device::pmu::Outcome
    where
        Self: Sized;
}

/// The place of a record of a core.
pub struct PmuAt<'a> {
    pub thread: &'a mut crate::device::lane::Thread,
    pub clock: &'a mut WallClock,
    pub core: i32,
    pub token: u32,
}

struct NoRegisters;

impl registers::Registers for NoRegisters {
    fn read(&mut self, _: u64, offset: u32) -> u32 {
        offset
    }
    fn write(&mut self, _: u64, _: u32, _: u32) {}
}

impl TestArch for A2a3 {
    const CHIP: Chip = Chip::A2a3;
    const TICKS: (u64, u64) = (1, 20);
    fn record_pmu(pmu: &Pmu<Self>, at: &mut PmuAt<'_>, task: crate::device::pmu::Task) -> crate::device::pmu::Outcome {
        let core = registers::Core::new(at.core, 1);
        pmu.record_task(at.thread, at.clock, &mut NoRegisters, &core, task)
    }
}

impl TestArch for A5 {
    const CHIP: Chip = Chip::A5;
    const TICKS: (u64, u64) = (1, 1);
    fn record_pmu(pmu: &Pmu<Self>, at: &mut PmuAt<'_>, task: crate::device::pmu::Task) -> crate::device::pmu::Outcome {
        pmu.complete_record(at.thread, at.clock, at.core, at.token, task)
    }
}

/// Time as it passes.
pub struct WallClock {
    start: Instant,
    ticks: (u64, u64),
    /// Each poll takes this long on top.
    pub haste: u64,
    added: u64,
}

impl WallClock {
    pub fn new<A: TestArch>() -> Self {
        Self { start: Instant::now(), ticks: A::TICKS, haste: 0, added: 0 }
    }

    /// One on which every wait runs out at once.
    pub fn hasty<A: TestArch>() -> Self {
        Self { haste: A::BUDGET, ..Self::new::<A>() }
    }
}

impl Clock for WallClock {
    fn now(&mut self) -> u64 {
        self.start.elapsed().as_nanos() as u64 * self.ticks.0 / self.ticks.1 + self.added
    }
    fn relax(&mut self) {
        self.added += self.haste;
        std::thread::yield_now();
    }
}

/// How the host reaches device memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reach {
    /// It is the same memory.
    #[default]
    Shared,
    /// By copies; the pool makes the shadows.
    Shadow,
    /// By copies; registration makes the shadows.
    Registered,
}

impl Reach {
    pub fn all() -> [Self; 3] {
        [Self::Shared, Self::Shadow, Self::Registered]
    }
}

/// Device memory on the heap.
#[derive(Default)]
pub struct Device {
    pub mode: Reach,
    /// Shadows of registered blocks, by device address.
    shadows: Mutex<BTreeMap<u64, Vec<[u64; 8]>>>,
    blocks: Mutex<BTreeMap<u64, Layout>>,
    /// Allocations before one fails; below 0: none does.
    pub allocations_left: AtomicI64,
    pub allocations: AtomicU32,
    /// Copies from the device fail.
    pub broken: AtomicBool,
    /// Copies from the device of this size fail; 0: none.
    pub broken_size: AtomicU64,
    /// The next copy from the device of this size fails; 0: none.
    pub broken_once: AtomicU64,
    pub copied_in: AtomicU64,
    pub copied_out: AtomicU64,
}

impl Device {
    pub fn new(mode: Reach) -> Arc<Self> {
        Arc::new(Self { mode, allocations_left: AtomicI64::new(-1), ..Self::default() })
    }

    /// Blocks that were not given back.
    pub fn live(&self) -> usize {
        self.blocks.lock().unwrap().len()
    }

    fn require(&self, dev: u64, size: usize) {
        let blocks = self.blocks.lock().unwrap();
        let inside = blocks
            .range(..=dev)
            .next_back()
            .is_some_and(|(base, layout)| dev + size as u64 <= base + layout.size() as u64);
        assert!(inside, "{size} bytes at {dev:#x} are not device memory");
    }
}

impl MemoryOps for Device {
    fn alloc(&self, size: usize) -> u64 {
        let left = self.allocations_left.load(Ordering::Relaxed);
        if left == 0 {
            return 0;
        }
        self.allocations_left.store((left - 1).max(-1), Ordering::Relaxed);
        self.allocations.fetch_add(1, Ordering::Relaxed);
        let layout = Layout::from_size_align(size, 64).unwrap();
        // SAFETY: the size is not 0.
        let block = unsafe { alloc(layout) };
        // Nothing may count on fresh memory.
        // SAFETY: the block has this size.
        unsafe { block.write_bytes(0xA5, size.min(1 << 16)) };
        let dev = block.expose_provenance() as u64;
        self.blocks.lock().unwrap().insert(dev, layout);
        dev
    }
    fn registers(&self) -> bool {
        self.mode == Reach::Registered
    }
    fn register(&self, dev: u64, size: usize, _: i32) -> u64 {
        let lines = size.div_ceil(64) + 1;
        let mut shadow = vec![[0x5A5A_5A5A_5A5A_5A5A; 8]; lines];
        let host = shadow.as_mut_ptr().expose_provenance() as u64;
        self.shadows.lock().unwrap().insert(dev, shadow);
        host.next_multiple_of(64)
    }
    fn free(&self, dev: u64) {
        self.shadows.lock().unwrap().remove(&dev);
        let layout = self.blocks.lock().unwrap().remove(&dev).expect("freed what was not allocated");
        // SAFETY: allocated with this layout.
        unsafe { dealloc(std::ptr::with_exposed_provenance_mut(dev as usize), layout) };
    }
    fn copies(&self) -> bool {
        self.mode != Reach::Shared
    }
    unsafe fn copy_to_device(&self, dev: u64, source: *const u8, size: usize) -> bool {
        self.require(dev, size);
        self.copied_out.fetch_add(size as u64, Ordering::Relaxed);
        // SAFETY: device memory of that size; the source by the caller's contract.
        unsafe { transfer(source, std::ptr::with_exposed_provenance_mut(dev as usize), size) };
        true
    }
    unsafe fn copy_from_device(&self, destination: *mut u8, dev: u64, size: usize) -> bool {
        self.require(dev, size);
        if self.broken.load(Ordering::Relaxed) || self.broken_size.load(Ordering::Relaxed) == size as u64 {
            return false;
        }
        if self.broken_once.compare_exchange(size as u64, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            return false;
        }
        self.copied_in.fetch_add(size as u64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { transfer(std::ptr::with_exposed_provenance_mut(dev as usize), destination, size) };
        true
    }
}

/// A copy as a device makes it: words stay whole.
unsafe fn transfer(source: *const u8, destination: *mut u8, size: usize) {
    let mut at = 0;
    while at < size {
        let (from, to) = (source.wrapping_add(at), destination.wrapping_add(at));
        let step =
            [8, 4].into_iter().find(|step| size - at >= *step && from.addr() % step == 0 && to.addr() % step == 0);
        // SAFETY: aligned, and inside by the caller's contract.
        unsafe {
            match step {
                Some(8) => {
                    let value = AtomicU64::from_ptr(from.cast_mut().cast()).load(Ordering::Acquire);
                    AtomicU64::from_ptr(to.cast()).store(value, Ordering::Release);
                }
                Some(_) => {
                    let value = AtomicU32::from_ptr(from.cast_mut().cast()).load(Ordering::Acquire);
                    AtomicU32::from_ptr(to.cast()).store(value, Ordering::Release);
                }
                None => to.write(from.read()),
            }
        }
        at += step.unwrap_or(1);
    }
}

/// Threads that are counted.
#[derive(Default)]
pub struct Factory {
    threads: Mutex<Vec<Option<JoinHandle<()>>>>,
    pub alive: AtomicI64,
    /// Threads before one cannot be made; below 0: all can.
    pub left: AtomicI64,
}

/// As a collector takes it.
pub struct SharedFactory(pub Arc<Factory>);

impl Threads for SharedFactory {
    fn spawn(&self, _: Role, _: u32, body: ThreadBody) -> Option<usize> {
        let left = self.0.left.load(Ordering::Relaxed);
        if left == 0 {
            return None;
        }
        self.0.left.store((left - 1).max(-1), Ordering::Relaxed);
        self.0.alive.fetch_add(1, Ordering::Relaxed);
        let thread = std::thread::spawn(move || body.run());
        let mut threads = self.0.threads.lock().unwrap();
        threads.push(Some(thread));
        Some(threads.len() - 1)
    }
    fn join(&self, thread: usize) {
        let thread = self.0.threads.lock().unwrap()[thread].take().unwrap();
        thread.join().unwrap();
        self.0.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Messages, with their levels.
#[derive(Clone, Default)]
pub struct Lines(pub Arc<Mutex<Vec<(u32, String)>>>);

impl Sink for Lines {
    fn write(&self, level: u32, message: &CStr) {
        self.0.lock().unwrap().push((level, message.to_str().unwrap().to_owned()));
    }
}

impl Lines {
    pub fn has(&self, level: u32, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|(at, line)| *at == level && line.contains(part))
    }
}

/// A collector and what it lives on.
pub struct Rig {
    // First: it uses the others.
    collector: Option<Collector>,
    pub device: Arc<Device>,
    pub factory: Arc<Factory>,
    pub lines: Lines,
}

impl Rig {
    /// A configuration of six cores and three threads, the last of which orchestrates.
    pub fn config<A: TestArch>(device: &Arc<Device>, subsystem: Subsystem) -> (Config, Arc<Factory>, Lines) {
        let factory = Arc::new(Factory { left: AtomicI64::new(-1), ..Factory::default() });
        let lines = Lines::default();
        let config = Config {
            subsystem,
            chip: A::CHIP,
            cores: 6,
            threads: 3,
            scheduler_threads: 2,
            orchestrator: 2,
            level: match subsystem {
                Subsystem::Swimlane => 4,
                Subsystem::ArgsDump => 2,
                _ => 0,
            },
            event_type: 0,
            shards: 0,
            buffers: 0,
            max_buffers: 0,
            merged_sentinel: false,
            core_to_thread: Box::default(),
            arena_size: 4096,
            max_stored_bytes: 0,
            memory: device.clone(),
            device_id: 0,
            output: None,
            factory: Box::new(SharedFactory(factory.clone())),
            logger: Logger::new(Box::new(lines.clone()), crate::log::DEBUG),
        };
        (config, factory, lines)
    }

    pub fn new<A: TestArch>(mode: Reach, subsystem: Subsystem) -> Self {
        Self::with::<A>(mode, subsystem, |_| ())
    }

    pub fn with<A: TestArch>(mode: Reach, subsystem: Subsystem, change: impl FnOnce(&mut Config)) -> Self {
        let device = Device::new(mode);
        let (mut config, factory, lines) = Self::config::<A>(&device, subsystem);
        change(&mut config);
        let collector = Collector::new(config).unwrap_or_else(|problem| panic!("{problem:?}"));
        Self { collector: Some(collector), device, factory, lines }
    }

    pub fn collector(&self) -> &Collector {
        self.collector.as_ref().unwrap()
    }

    pub fn base(&self) -> u64 {
        self.collector().site().base
    }

    pub fn start(&self) {
        assert_eq!(self.collector().start(), Ok(()));
    }

    pub fn stop(&self) {
        assert_eq!(self.collector().stop(Deadline::after(PATIENCE)), Ok(()));
        assert_eq!(self.collector().state(), State::Stopped);
        assert_eq!(self.factory.alive.load(Ordering::Relaxed), 0, "a thread outlives stop");
    }

    pub fn books(&self, of: Of) -> Books {
        assert_eq!(self.collector().reconcile(), Ok(()));
        self.collector().books(of).unwrap()
    }

    /// All stored records of an instance, with the flags of their runs.
    pub fn records<T: Copy>(&self, kind: u32, instance: u32) -> Vec<(T, u32)> {
        let mut found = Vec::new();
        for position in 0.. {
            // SAFETY: nothing is started meanwhile.
            let Some(run) = unsafe { self.collector().read(kind, instance, position) }.unwrap() else { break };
            assert_eq!((run.kind, run.instance, run.record_size as usize), (kind, instance, size_of::<T>()));
            for index in 0..run.count as usize {
                // SAFETY: a record of the run, which is aligned to 64.
                found.push((unsafe { run.data.cast::<T>().add(index).read() }, run.flags));
            }
        }
        found
    }

    /// The same without the flags, none of which may be set.
    pub fn plain<T: Copy>(&self, kind: u32, instance: u32) -> Vec<T> {
        let records = self.records::<T>(kind, instance);
        assert!(records.iter().all(|(_, flags)| flags & RECOVERED == 0));
        records.into_iter().map(|(record, _)| record).collect()
    }

    /// All books balance, and nothing was lost.
    pub fn assert_whole(&self) {
        let books = self.books(Of::All);
        assert_eq!(books.verdict, Verdict::Balanced, "{books:?}");
        let trouble = [books.dropped, books.mismatch, books.lost, books.rejected, books.not_stored, books.clamped];
        assert_eq!(trouble, [0; 6], "{books:?}");
    }

    /// Everything is given back.
    pub fn finish(mut self) {
        drop(self.collector.take());
        assert_eq!(self.device.live(), 0, "an allocation was forgotten");
    }

    /// A 32-bit word of the region on the device.
    pub fn word32(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: an aligned word of the region, which lives as long as the rig.
        unsafe { AtomicU32::from_ptr(std::ptr::with_exposed_provenance_mut(self.base() as usize + offset)) }
    }

    /// A 64-bit word.
    pub fn word64(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: as above.
        unsafe { AtomicU64::from_ptr(std::ptr::with_exposed_provenance_mut(self.base() as usize + offset)) }
    }
}

/// Waits for `condition`.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < PATIENCE, "{what} does not happen");
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Both architectures, shared memory and shadows.
macro_rules! everywhere {
    ($($name:ident = $body:ident;)*) => {$(
        mod $name {
            use super::super::rig::Reach;
            use crate::layout::runtime::{A2a3, A5};
            #[test]
            fn a2a3_shared() {
                super::$body::<A2a3>(Reach::Shared);
            }
            #[test]
            fn a2a3_shadow() {
                super::$body::<A2a3>(Reach::Shadow);
            }
            #[test]
            fn a5_shared() {
                super::$body::<A5>(Reach::Shared);
            }
            #[test]
            fn a5_shadow() {
                super::$body::<A5>(Reach::Shadow);
            }
            #[test]
            fn a5_registered() {
                super::$body::<A5>(Reach::Registered);
            }
        }
    )*};
}
pub(super) use everywhere;

/// Publishes a core's counters in its staging ring, as the core does.
pub fn publish_counters(rig: &Rig, core: u32, token: u32, cycles: u64) {
    use crate::device::staging::{CoreSide, IdWidth, RawSlots, SlotForm};
    let table = rig.collector().site().table;
    // SAFETY: the table has an entry for each core.
    let ring = unsafe { std::ptr::with_exposed_provenance::<u64>(table as usize).add(core as usize).read() };
    let form = SlotForm {
        size: size_of::<a5::PmuRecord>() as u32,
        id_offset: std::mem::offset_of!(a5::PmuRecord, task_id) as u32,
        id_width: IdWidth::W64,
    };
    // SAFETY: the core's ring, of which this test is the core.
    let ring = unsafe { RawSlots::new(std::ptr::with_exposed_provenance_mut(ring as usize), 2, form) }.unwrap();
    let mut record = [0u64; 8];
    record[2] = cycles;
    record[3..].fill(cycles << 32 | cycles);
    CoreSide(ring).publish(token, &record);
}
