//! Arguments: DE 1.9, 3.6, D38, W36, the rows of 5.1 and 5.2.

use super::{ArgsDump, DumpForm, Outcome, payload};
use crate::device::engine::Flushed;
use crate::device::lane::{At, Thread};
use crate::device::rig::{Entry, Host, Memory, TestClock, active, books, count, record};
use crate::device::wait::GateOutcome;
use crate::layout::runtime::common::{ArgsDumpInfo, ArgsDumpRecord, DumpBufferState, DumpMetaBuffer};
use crate::layout::runtime::constants::{ARGS_DUMP_KIND_SCALAR, ARGS_DUMP_KIND_TENSOR};
use crate::layout::runtime::{A5, Arch, a5};
use std::mem::offset_of;

type Form = DumpForm<A5>;
const ARENA: u64 = 1024;
/// `DataType` numbers.
const FLOAT32: u8 = 0;
const UINT8: u8 = 5;

struct Rig {
    _memory: Memory,
    arenas: Vec<Memory>,
    buffers: Vec<Memory>,
    host: Host,
}

impl Rig {
    /// Two threads, each with an arena of 1 KiB and `buffers` buffers.
    fn new(buffers: usize, level: u32) -> Self {
        let mut memory = Memory::new(A5::ARGS_DUMP.size + 2 * size_of::<DumpBufferState>());
        let host = Host { base: memory.address() };
        host.at(offset_of!(a5::DumpDataHeader, dump_args_level)).store32(level);
        let mut rig = Self { _memory: memory, arenas: Vec::new(), buffers: Vec::new(), host };
        for thread in 0..2 {
            let mut arena = Memory::new(ARENA as usize);
            let state = rig.state(thread);
            state.at(offset_of!(DumpBufferState, arena_base)).store64(arena.address());
            state.at(offset_of!(DumpBufferState, arena_size)).store64(ARENA);
            rig.arenas.push(arena);
            for _ in 0..buffers {
                rig.give(thread);
            }
        }
        rig
    }

    fn give(&mut self, thread: usize) {
        let mut buffer = Memory::new(size_of::<DumpMetaBuffer>());
        self.host.give::<Form>(self.state(thread), buffer.address());
        self.buffers.push(buffer);
    }

    fn state(&self, thread: usize) -> At {
        self.host.state::<Form>(0, thread)
    }

    fn word(&self, thread: usize, offset: usize) -> u64 {
        self.state(thread).at(offset).load64()
    }

    fn arena(&self, thread: usize) -> Vec<u8> {
        let base = At(self.word(thread, offset_of!(DumpBufferState, arena_base)) as usize);
        (0..ARENA as usize).map(|byte| base.at(byte).read()).collect()
    }

    fn init(&self, clock: &mut TestClock) -> ArgsDump<A5> {
        // SAFETY: the rig's memory is a region of two threads.
        unsafe { ArgsDump::init(self.host.base, 2, clock) }
    }
}

/// The host's side of 3.6 for one thread: takes all entries, copies their payloads, acknowledges them.
fn serve(host: Host, thread: usize, kept: &mut Vec<Vec<u8>>) {
    let state = host.state::<Form>(0, thread);
    let arena = At(state.at(offset_of!(DumpBufferState, arena_base)).load64() as usize);
    let completed = state.at(offset_of!(DumpBufferState, completed_payload_count));
    for entry in host.take::<Form>(thread) {
        for index in 0..count::<Form>(entry.address) {
            let record: ArgsDumpRecord = record::<Form, _>(entry.address, index);
            if u32::from(record.kind) == ARGS_DUMP_KIND_TENSOR && record.payload_size > 0 {
                let at = arena.at((record.payload_offset % ARENA) as usize);
                kept.push((0..record.payload_size as usize).map(|byte| at.at(byte).read()).collect());
                completed.store64(completed.load64() + 1);
            }
        }
        host.give::<Form>(state, entry.address);
    }
    host.serve_signals::<Form>();
}

fn info(bytes: &[u8]) -> ArgsDumpInfo {
    ArgsDumpInfo {
        task_id: 42,
        role: 1,
        stage: 1,
        dtype: UINT8,
        ndims: 1,
        arg_index: 3,
        buffer_addr: bytes.as_ptr().expose_provenance() as u64,
        scalar_value: 99,
        func_ids: [5, -1, 70_000],
        func_count: 3,
        kind: ARGS_DUMP_KIND_TENSOR as u8,
        flags: 1,
        capture_payload: 0,
        pad: [0; 5],
        start_offset: 0,
        shapes: [bytes.len() as u32, 0, 0, 0, 0],
        strides: [1, 0, 0, 0, 0],
    }
}

fn dump(dump: &ArgsDump<A5>, thread: &mut Thread, clock: &mut TestClock, info: &ArgsDumpInfo) -> Outcome {
    // SAFETY: the tests' tensors are whole.
    unsafe { dump.arg_record(thread, clock, info) }
}

/// Steps 6 and 7: contents in the arena, every field, cursor.
#[test]
fn tensor_and_scalar() {
    let rig = Rig::new(1, 2);
    let mut clock = TestClock::new(A5::BUDGET);
    let args = rig.init(&mut clock);
    assert_eq!(args.level(), 2);
    let mut thread = Thread::new(1);
    let bytes: Vec<u8> = (1..=100).collect();
    assert_eq!(dump(&args, &mut thread, &mut clock, &info(&bytes)), Outcome::Written);
    let scalar = ArgsDumpInfo { kind: ARGS_DUMP_KIND_SCALAR as u8, ndims: 0, func_count: 1, ..info(&bytes) };
    assert_eq!(dump(&args, &mut thread, &mut clock, &scalar), Outcome::Written);
    assert_eq!(dump(&args, &mut thread, &mut clock, &info(&bytes[10..12])), Outcome::Written);
    let (buffer, _) = active::<Form>(rig.state(1));
    assert_eq!(count::<Form>(buffer), 3);
    let first: ArgsDumpRecord = record::<Form, _>(buffer, 0);
    assert_eq!((first.task_id, first.role, first.stage, first.ndims, first.arg_index), (42, 1, 1, 1, 3));
    assert_eq!((first.dtype, first.truncated, first.is_contiguous), (UINT8, 0, 1));
    assert_eq!((first.payload_offset, first.payload_size, first.scalar_value), (0, 100, 0));
    assert_eq!((first.func_ids, first.func_count, first.kind, first.flags), ([5, 0xFFFF, 70_000u32 as u16], 3, 0, 1));
    assert_eq!((first.shapes[0], first.strides[0], first.shapes[1]), (100, 1, 0));
    let second: ArgsDumpRecord = record::<Form, _>(buffer, 1);
    assert_eq!((second.payload_offset, second.payload_size, second.scalar_value), (100, 0, 99));
    assert_eq!((second.func_ids, second.kind), ([5, 0, 0], 1));
    let third: ArgsDumpRecord = record::<Form, _>(buffer, 2);
    assert_eq!((third.payload_offset, third.payload_size), (100, 2));
    assert_eq!(rig.arena(1)[..102], [&bytes[..], &[11, 12]].concat());
    assert_eq!(rig.word(1, offset_of!(DumpBufferState, arena_write_offset)), 102);
    // 2.2 and 1.5: the published watermark counts records with contents only, and flush publishes the buffer.
    assert_eq!(args.flush(&mut thread, &mut clock), Some(Flushed::Published(GateOutcome::Passed)));
    assert_eq!(rig.host.take::<Form>(1), [Entry { instance: 1, kind: 0, address: buffer, seq: 0 }]);
    assert_eq!(rig.word(1, offset_of!(DumpBufferState, published_payload_count)), 2);
    assert_eq!((active::<Form>(rig.state(1)), clock.relaxed), ((0, 1), 0));
    // Watermarks are per thread.
    assert_eq!(rig.word(0, offset_of!(DumpBufferState, published_payload_count)), 0);
}

/// Step 6: logical contents of a strided tensor, in row-major order, from its start offset, cut off at the payload.
#[test]
fn strided_contents() {
    let rig = Rig::new(1, 2);
    let mut clock = TestClock::new(A5::BUDGET);
    let args = rig.init(&mut clock);
    let words: Vec<u32> = (0..64).collect();
    // SAFETY: any byte of an integer may be looked at.
    let bytes = unsafe { std::slice::from_raw_parts(words.as_ptr().cast::<u8>(), 256) };
    let strided = ArgsDumpInfo {
        dtype: FLOAT32,
        ndims: 2,
        start_offset: 3,
        shapes: [3, 2, 9, 9, 9],
        strides: [8, 2, 9, 9, 9],
        ..info(bytes)
    };
    assert_eq!((payload::size(&strided), payload::is_contiguous(&strided)), (24, false));
    let mut thread = Thread::new(0);
    assert_eq!(dump(&args, &mut thread, &mut clock, &strided), Outcome::Written);
    let found: Vec<u8> = [3u32, 5, 11, 13, 19, 21].iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(rig.arena(0)[..24], found);
    let (buffer, _) = active::<Form>(rig.state(0));
    let stored: ArgsDumpRecord = record::<Form, _>(buffer, 0);
    assert_eq!((stored.is_contiguous, stored.start_offset), (0, 3));
    assert_eq!((stored.shapes, stored.strides), ([3, 2, 0, 0, 0], [8, 2, 0, 0, 0]));
    // An extent of 1 may have any stride.
    assert!(payload::is_contiguous(&ArgsDumpInfo {
        ndims: 2,
        shapes: [4, 1, 0, 0, 0],
        strides: [1, 7, 0, 0, 0],
        ..strided
    }));
}

/// Step 4: levels, and a payload larger than the arena.
#[test]
fn payload_size() {
    let mut clock = TestClock::new(A5::BUDGET);
    let bytes = vec![7u8; 3000];
    let rig = Rig::new(1, 3);
    let args = rig.init(&mut clock);
    let mut thread = Thread::new(0);
    dump(&args, &mut thread, &mut clock, &info(&bytes));
    dump(&args, &mut thread, &mut clock, &ArgsDumpInfo { capture_payload: 1, ..info(&bytes[..8]) });
    dump(&args, &mut thread, &mut clock, &ArgsDumpInfo { capture_payload: 1, ..info(&bytes) });
    let (buffer, _) = active::<Form>(rig.state(0));
    let sizes: Vec<_> = (0..3)
        .map(|index| record::<Form, ArgsDumpRecord>(buffer, index))
        .map(|record| (record.payload_size, record.truncated))
        .collect();
    assert_eq!(sizes, [(0, 0), (8, 0), (ARENA / 2, 1)]);
    assert_eq!(thread.losses.truncated, 1);
    let huge = ArgsDumpInfo { ndims: 5, shapes: [u32::MAX; 5], ..info(&bytes) };
    assert_eq!(payload::size(&huge), u64::MAX);
    assert_eq!(payload::size(&ArgsDumpInfo { ndims: 0, dtype: FLOAT32, ..info(&bytes) }), 4);
}

/// 3.6 and D38: where the cursor enters the arena anew, the lane publishes, signals, and goes on only after the host
/// acknowledged everything: the host finds every payload whole, for many rounds.
#[test]
fn arena_is_reused_after_acknowledgement() {
    let rig = Rig::new(2, 2);
    let (host, mut kept, mut signals) = (rig.host, Vec::new(), 0);
    let mut wanted = Vec::new();
    {
        let mut clock = TestClock::with_host(A5::BUDGET, |_| {
            signals += host.gates::<Form>()[3].load32();
            serve(host, 0, &mut kept);
        });
        let args = rig.init(&mut clock);
        let mut thread = Thread::new(0);
        for round in 0..200u32 {
            let bytes = vec![round as u8; 1 + (round as usize * 37) % 500];
            assert_eq!(dump(&args, &mut thread, &mut clock, &info(&bytes)), Outcome::Written);
            wanted.push(bytes);
        }
        args.flush(&mut thread, &mut clock);
        assert_eq!(thread.losses, Default::default());
    }
    serve(rig.host, 0, &mut kept);
    assert!(signals > 30, "{signals}");
    assert_eq!(kept, wanted);
    assert_eq!(books::<Form>(rig.state(0)).1, 0);
}

/// 3.6 (2): payloads fill the arena to its last byte; the barrier comes at the multiple of its size, and not at the start.
#[test]
fn arena_end_to_the_byte() {
    let rig = Rig::new(2, 2);
    let (host, mut kept, mut polls) = (rig.host, Vec::new(), Vec::new());
    let bytes = [1u8; ARENA as usize];
    {
        let mut clock = TestClock::with_host(A5::BUDGET, |_| serve(host, 0, &mut kept));
        let args = rig.init(&mut clock);
        let mut thread = Thread::new(0);
        for size in [1000, 24, 512, 512, 1024] {
            assert_eq!(dump(&args, &mut thread, &mut clock, &info(&bytes[..size])), Outcome::Written);
            polls.push(clock.relaxed != 0);
            clock.relaxed = 0;
        }
    }
    assert_eq!(polls, [false, false, true, false, true]);
    assert_eq!(rig.word(0, offset_of!(DumpBufferState, arena_write_offset)), 3 * ARENA);
}

/// 3.6 (5), (6): the release and the acknowledgement share one budget; when it is used up the record is lost, the arena is not
/// written, and the next attempt does not wait again for a silent host.
#[test]
fn arena_without_acknowledgement() {
    let rig = Rig::new(2, 2);
    let host = rig.host;
    // The host releases after half of the budget and never acknowledges.
    let mut clock = TestClock::with_host(A5::BUDGET, |poll| {
        if poll == 20 {
            host.serve_signals::<Form>();
        }
    });
    let args = rig.init(&mut clock);
    let mut thread = Thread::new(0);
    let bytes = [7u8; 600];
    assert_eq!(dump(&args, &mut thread, &mut clock, &info(&bytes)), Outcome::Written);
    let other = [8u8; 600];
    let start = clock.now;
    assert_eq!(dump(&args, &mut thread, &mut clock, &info(&other)), Outcome::NoArena);
    let waited = clock.now - start;
    assert!((A5::BUDGET..A5::BUDGET * 3 / 2).contains(&waited), "{waited}");
    assert_eq!(rig.arena(0)[..600], bytes);
    assert_eq!((books::<Form>(rig.state(0)).1, thread.losses.refused), (1, 1));
    assert_eq!(rig.word(0, offset_of!(DumpBufferState, arena_write_offset)), 600);
    let before = clock.now;
    assert_eq!(dump(&args, &mut thread, &mut clock, &info(&other)), Outcome::NoArena);
    assert!(clock.now < before + A5::BUDGET / 2);
    // What needs no room in the arena is recorded.
    let scalar = ArgsDumpInfo { kind: ARGS_DUMP_KIND_SCALAR as u8, ..info(&other) };
    assert_eq!(dump(&args, &mut thread, &mut clock, &scalar), Outcome::Written);
}

/// 3.6 (3), W36: a switch that publishes nothing ends the barrier, and raises no watermark.
#[test]
fn arena_behind_a_full_ready_queue() {
    let rig = Rig::new(2, 2);
    let mut clock = TestClock::new(A5::BUDGET);
    let args = rig.init(&mut clock);
    let mut thread = Thread::new(0);
    let bytes = [7u8; 600];
    dump(&args, &mut thread, &mut clock, &info(&bytes));
    rig.host.fill_ready::<Form>(0);
    assert_eq!(dump(&args, &mut thread, &mut clock, &info(&bytes)), Outcome::NoArena);
    assert_eq!(rig.word(0, offset_of!(DumpBufferState, published_payload_count)), 0);
    assert_eq!((thread.losses.no_room, thread.losses.refused), (1, 1));
    assert_eq!(books::<Form>(rig.state(0)).1, 2);
}

/// Steps 1 to 3: ranges; a full buffer is switched; the counter of losses stays at its end.
#[test]
fn buffers_and_ranges() {
    let mut rig = Rig::new(1, 2);
    let mut clock = TestClock::new(A5::BUDGET);
    let args = rig.init(&mut clock);
    for index in [-1, 2, 5, i32::MAX] {
        let mut thread = Thread::new(index);
        assert_eq!(dump(&args, &mut thread, &mut clock, &info(&[1])), Outcome::Ignored);
        assert_eq!(args.flush(&mut thread, &mut clock), None);
    }
    let mut thread = Thread::new(0);
    let scalar = ArgsDumpInfo { kind: ARGS_DUMP_KIND_SCALAR as u8, ..info(&[1]) };
    for _ in 0..256 {
        assert_eq!(dump(&args, &mut thread, &mut clock, &scalar), Outcome::Written);
    }
    assert!(rig.host.take::<Form>(0).is_empty());
    assert_eq!(dump(&args, &mut thread, &mut clock, &scalar), Outcome::Dropped);
    assert_eq!(rig.host.take::<Form>(0).len(), 1);
    assert_eq!((books::<Form>(rig.state(0)).1, thread.losses.no_buffer), (1, 1));
    let dropped = rig.state(0).at(offset_of!(DumpBufferState, dropped_record_count));
    dropped.store32(u32::MAX);
    assert_eq!(dump(&args, &mut thread, &mut clock, &scalar), Outcome::Dropped);
    assert_eq!(dropped.load32(), u32::MAX);
    rig.give(0);
    assert_eq!(dump(&args, &mut thread, &mut clock, &scalar), Outcome::Written);
    // 5.1: counts out of range, no region; W19: fewer threads than before.
    for threads in [0, 6] {
        // SAFETY: refused.
        let args = unsafe { ArgsDump::<A5>::init(rig.host.base, threads, &mut clock) };
        assert_eq!((args.level(), dump(&args, &mut thread, &mut clock, &scalar)), (0, Outcome::Ignored));
    }
    // SAFETY: the rig's memory has two.
    let args = unsafe { ArgsDump::<A5>::init(rig.host.base, 1, &mut clock) };
    assert_eq!(dump(&args, &mut Thread::new(1), &mut clock, &scalar), Outcome::Ignored);
}
