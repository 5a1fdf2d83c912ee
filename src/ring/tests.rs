//! Unit tests of the rings.

use super::mark::Mark;
use super::{BYTE_RING_ALIGN, ByteRing, MAX_CAPACITY, MAX_ELEMENT_SIZE, OwnedByteRing, Ring, channel};
use crate::status::Status;
use crate::sync::CachePadded;
use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

const CAPACITIES: [usize; 8] = [1, 2, 3, 5, 8, 992, 1024, 1456];

fn taken(values: &[MaybeUninit<u64>], count: usize) -> Vec<u64> {
    // SAFETY: the ring initialised the front of the slice.
    values[..count].iter().map(|value| unsafe { value.assume_init() }).collect()
}

#[test]
fn capacity_is_exact() {
    for capacity in CAPACITIES {
        let (mut producer, mut consumer) = channel::<u64>(capacity).unwrap();
        assert_eq!(producer.capacity(), capacity);
        for lap in 0..3 {
            for value in 0..capacity as u64 {
                assert_eq!(producer.len() as u64, value);
                assert!(producer.push(lap + value));
            }
            assert!(producer.is_full());
            assert!(!producer.push(0));
            assert_eq!(producer.push_slice(&[0; 4]), 0);
            for value in 0..capacity as u64 {
                assert_eq!(consumer.peek(), Some(lap + value));
                assert_eq!(consumer.pop(), Some(lap + value));
            }
            assert!(consumer.is_empty());
            assert_eq!(consumer.pop(), None);
        }
    }
}

#[test]
fn batches_store_what_fits() {
    for capacity in CAPACITIES {
        let ring = Ring::with_start(capacity, u32::MAX - 1).unwrap();
        let values: Vec<u64> = (0..2 * capacity as u64 + 7).collect();
        // SAFETY: one thread plays both roles.
        assert_eq!(unsafe { ring.push_slice(&values) }, capacity);
        let mut out = vec![MaybeUninit::uninit(); values.len()];
        // SAFETY: as above.
        let count = unsafe { ring.pop_slice(&mut out) };
        assert_eq!(taken(&out, count), values[..capacity]);
        assert!(ring.is_empty());
    }
}

#[test]
fn runs_are_limited_to_what_was_offered() {
    let (mut producer, mut consumer) = channel::<u64>(3).unwrap();
    assert_eq!(producer.push_from(2, 10..), 2);
    assert_eq!(consumer.read_run(8, |first, second| first.len() + second.len() + 5), 2);
    assert_eq!(producer.push_from(8, 20..), 3);
    let seen = consumer.read_run(usize::MAX, |first, second| {
        assert_eq!([first, second].concat(), [20, 21, 22]);
        1
    });
    assert_eq!(seen, 1);
    assert_eq!(consumer.pop(), Some(21));
    assert_eq!(consumer.read_run(8, |_, _| 0), 0);
    assert_eq!(consumer.pop(), Some(22));
    assert_eq!(consumer.read_run(8, |_, _| unreachable!()), 0);
    assert_eq!(producer.push_from(0, 0..), 0);
}

#[test]
fn panic_in_a_closure_moves_nothing() {
    let (mut producer, mut consumer) = channel::<u64>(4).unwrap();
    producer.push_slice(&[1, 2]);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        consumer.read_run(2, |_, _| panic!("in the closure"));
    }));
    assert!(outcome.is_err());
    assert_eq!((consumer.pop(), consumer.pop(), consumer.pop()), (Some(1), Some(2), None));
}

#[test]
fn sizes_are_checked() {
    assert_eq!(Ring::<u64>::new(0).unwrap_err(), Status::LANEPIPE_E_INVALID);
    assert_eq!(Ring::<u64>::new(MAX_CAPACITY + 1).unwrap_err(), Status::LANEPIPE_E_TOO_LARGE);
    assert_eq!(Ring::<u64>::new(usize::MAX).unwrap_err(), Status::LANEPIPE_E_TOO_LARGE);
    assert_eq!(Ring::<[u8; 1 << 40]>::new(MAX_CAPACITY).unwrap_err(), Status::LANEPIPE_E_TOO_LARGE);
    assert_eq!(Ring::<[u8; 1 << 34]>::new(MAX_CAPACITY).unwrap_err(), Status::LANEPIPE_E_NO_MEMORY);
    assert!(Ring::<u8>::new(MAX_CAPACITY).is_ok());
    assert!(Ring::<()>::new(3).is_ok());
}

#[test]
fn elements_can_be_over_aligned_or_empty() {
    #[derive(Clone, Copy)]
    #[repr(align(256))]
    struct Wide(u64);
    let ring = Ring::new(2).unwrap();
    // SAFETY: one thread plays both roles.
    assert!(unsafe { ring.push(&Wide(7)) });
    // SAFETY: nothing moves.
    unsafe { ring.for_each(|value| assert!(core::ptr::from_ref(value).is_aligned() && value.0 == 7)) };
    let empty = Ring::new(1).unwrap();
    // SAFETY: one thread plays both roles.
    assert!(unsafe { empty.push(&()) && !empty.push(&()) });
}

#[test]
fn walk_at_rest_sees_everything_in_order() {
    let ring = Ring::with_start(5, u32::MAX - 2).unwrap();
    // SAFETY: one thread plays both roles.
    assert_eq!(unsafe { ring.push_slice(&[0u64, 1, 2, 3, 4]) }, 5);
    // SAFETY: as above.
    assert_eq!(unsafe { ring.pop() }, Some(0));
    let mut seen = Vec::new();
    // SAFETY: nothing moves.
    unsafe { ring.for_each(|value| seen.push(*value)) };
    assert_eq!(seen, [1, 2, 3, 4]);
    assert_eq!(ring.len(), 4);
}

#[test]
fn overlap_is_detected() {
    let ring = Ring::<u64>::new(1).unwrap();
    let guard = ring.enter_producer().unwrap();
    assert!(ring.enter_producer().is_none());
    let other_end = ring.enter_consumer().unwrap();
    drop(guard);
    assert!(ring.enter_producer().is_some());
    assert!(ring.enter_consumer().is_none());
    drop(other_end);
    let bytes = OwnedByteRing::new(1, 8).unwrap();
    let guard = bytes.enter_consumer().unwrap();
    assert!(bytes.enter_consumer().is_none() && bytes.enter_producer().is_some());
    drop(guard);
    assert!(bytes.enter_consumer().is_some());
}

/// Marks that lean to a thread, where there are such, and marks that never do.
fn marks() -> [Mark; 2] {
    [Mark::private(), Mark::new()]
}

#[test]
fn overlap_of_two_threads_is_detected_whoever_came_first() {
    for mark in marks() {
        // More changes of the thread than a mark leans to.
        for _ in 0..3 {
            for _ in 0..2 {
                drop(mark.enter().unwrap());
            }
            let inside = mark.enter().unwrap();
            thread::scope(|scope| scope.spawn(|| assert!(mark.enter().is_none())).join().unwrap());
            drop(inside);
            let (entered, leave) = (Barrier::new(2), Barrier::new(2));
            thread::scope(|scope| {
                scope.spawn(|| {
                    drop(mark.enter().unwrap());
                    let _inside = mark.enter().unwrap();
                    entered.wait();
                    leave.wait();
                });
                entered.wait();
                assert!(mark.enter().is_none());
                leave.wait();
            });
        }
    }
}

#[test]
fn threads_that_collide_on_a_mark_lose_no_count() {
    const CALLS: u64 = 20_000;
    const THREADS: usize = 3;
    struct Shared(Mark, UnsafeCell<u64>);
    // SAFETY: the cell is only used by who is inside the mark.
    unsafe impl Sync for Shared {}
    for mark in marks() {
        let shared = Shared(mark, UnsafeCell::new(0));
        let work = || {
            let shared = &shared;
            let inside = |_: &u64| match shared.0.enter() {
                None => false,
                Some(_guard) => {
                    // SAFETY: the guard keeps the other threads out.
                    unsafe { *shared.1.get() += 1 };
                    true
                }
            };
            (0..CALLS).filter(inside).count() as u64
        };
        let entered: u64 = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(entered, shared.1.into_inner());
        assert!(entered > 0);
    }
}

/// The flag of the thread that a mark leans to waits in its store buffer, behind stores to lines that the other thread has,
/// when that thread comes for the mark.
#[test]
fn a_light_call_on_its_way_is_not_missed() {
    const ROUNDS: u32 = 10_000;
    const LINES: usize = 48;
    struct Shared(Vec<(Mark, UnsafeCell<u32>)>);
    // SAFETY: each cell is only used by who is inside the mark beside it.
    unsafe impl Sync for Shared {}
    let shared = Shared((0..ROUNDS).map(|_| (Mark::private(), UnsafeCell::new(0))).collect());
    let far: Vec<CachePadded<AtomicU32>> = (0..LINES).map(|_| Default::default()).collect();
    let write = |value, lines| far[..lines].iter().for_each(|word| word.store(value, Ordering::Relaxed));
    let met = AtomicU32::new(0);
    let meet = |round: u32| {
        met.fetch_add(1, Ordering::AcqRel);
        for spins in 0.. {
            if met.load(Ordering::Acquire) >= 2 * round {
                break;
            }
            // The other side may be waiting for this processor.
            if spins < 1000 { std::hint::spin_loop() } else { thread::yield_now() }
        }
    };
    let call = |round: u32| {
        let shared = &shared;
        let (mark, count) = &shared.0[round as usize - 1];
        let Some(_guard) = mark.enter() else {
            return 0;
        };
        // SAFETY: the guard keeps the other thread out.
        unsafe { *count.get() += 1 };
        1
    };
    let calls: u32 = thread::scope(|scope| {
        let light = scope.spawn(|| {
            let mut calls = 0;
            for round in 1..=ROUNDS {
                calls += call(round);
                meet(round);
                write(round, round as usize % LINES);
                calls += call(round);
            }
            calls
        });
        let mut calls = 0;
        for round in 1..=ROUNDS {
            write(round, LINES);
            meet(round);
            calls += call(round);
        }
        calls + light.join().unwrap()
    });
    assert_eq!(calls, shared.0.into_iter().map(|(_, count)| count.into_inner()).sum());
}

#[test]
fn two_threads_keep_order_and_content() {
    // Fewer where each element may cost a change of threads, which takes long on a busy machine.
    for (capacity, count) in [(1, 5_000), (3, 20_000), (992, 200_000)] {
        let (mut producer, mut consumer) = channel::<[u64; 3]>(capacity).unwrap();
        let element = |value: u64| [value, !value, value.wrapping_mul(0x9e37_79b9)];
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut next = 0;
                while next < count {
                    // Single and batch calls in turns.
                    let stored = if next % 7 == 0 {
                        u64::from(producer.push(element(next)))
                    } else {
                        producer.push_from((next % 13 + 1).min(count - next) as usize, (next..).map(element)) as u64
                    };
                    next += stored;
                    if stored == 0 {
                        thread::yield_now();
                    }
                }
            });
            let mut expected = 0;
            while expected < count {
                assert!(consumer.len() <= capacity);
                let before = expected;
                if expected % 5 == 0 {
                    if let Some(value) = consumer.pop() {
                        assert_eq!(value, element(expected));
                        expected += 1;
                    }
                } else {
                    consumer.read_run(17, |first, second| {
                        for value in first.iter().chain(second) {
                            assert_eq!(*value, element(expected));
                            expected += 1;
                        }
                        first.len() + second.len()
                    });
                }
                if expected == before {
                    thread::yield_now();
                }
            }
            assert_eq!(consumer.pop(), None);
        });
    }
}

#[test]
fn byte_ring_two_threads() {
    for (capacity, size, total) in [(1, 16, 5_000), (3, 40, 20_000), (992, 33, 100_000)] {
        let ring = OwnedByteRing::new(capacity, size).unwrap();
        let fill = |value: u32| value.to_le_bytes().into_iter().cycle().take(size as usize);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut next = 0;
                while next < total {
                    let batch = (next % 6 + 1).min(total - next);
                    let bytes: Vec<u8> = (next..next + batch).flat_map(fill).collect();
                    // SAFETY: the only producer, with as many elements as it says.
                    let stored = unsafe { ring.push_n(bytes.as_ptr(), batch as usize) };
                    next += stored as u32;
                    if stored == 0 {
                        thread::yield_now();
                    }
                }
            });
            let mut out = vec![0u8; 5 * size as usize];
            let mut expected = 0;
            while expected < total {
                // SAFETY: the only consumer, with room for five elements.
                let count = unsafe { ring.pop_n(out.as_mut_ptr(), 5) };
                for element in out.chunks_exact(size as usize).take(count) {
                    assert!(element.iter().copied().eq(fill(expected)));
                    expected += 1;
                }
                if count == 0 {
                    thread::yield_now();
                }
            }
        });
    }
}

/// Memory for a ring, aligned to what it requires and no more.
#[repr(C, align(64))]
#[derive(Clone)]
struct Block([u8; 64]);

fn memory(bytes: usize) -> Vec<Block> {
    let mut blocks = vec![Block([0xaa; 64]); bytes.div_ceil(64) + 2];
    // The start is never aligned to more than 64 bytes.
    if blocks.as_ptr().addr().is_multiple_of(128) {
        blocks.rotate_left(1);
    }
    blocks
}

#[test]
fn byte_ring_checks_memory() {
    let mut blocks = memory(8192);
    let mem = blocks.as_mut_ptr().cast::<u8>();
    let size = ByteRing::required_size(5, 40).unwrap();
    // SAFETY: in all calls: the memory is this test's, and the length given is within it.
    unsafe {
        assert_eq!(ByteRing::init(core::ptr::null_mut(), size, 5, 40).unwrap_err(), Status::LANEPIPE_E_NULL);
        for offset in [1, 8, 32] {
            let off = mem.add(offset);
            assert_eq!(ByteRing::init(off, size, 5, 40).unwrap_err(), Status::LANEPIPE_E_MISALIGNED);
            assert_eq!(ByteRing::attach(off).unwrap_err(), Status::LANEPIPE_E_MISALIGNED);
        }
        assert_eq!(ByteRing::init(mem, size - 1, 5, 40).unwrap_err(), Status::LANEPIPE_E_INVALID);
        assert_eq!(ByteRing::init(mem, size, 0, 40).unwrap_err(), Status::LANEPIPE_E_INVALID);
        assert_eq!(ByteRing::init(mem, size, 5, 0).unwrap_err(), Status::LANEPIPE_E_INVALID);
        assert_eq!(ByteRing::init(mem, size, u32::MAX, 40).unwrap_err(), Status::LANEPIPE_E_TOO_LARGE);
        assert_eq!(ByteRing::init(mem, size, 5, 4097).unwrap_err(), Status::LANEPIPE_E_TOO_LARGE);
        assert_eq!(ByteRing::attach(core::ptr::null_mut()).unwrap_err(), Status::LANEPIPE_E_NULL);
        assert_eq!(ByteRing::attach(mem).unwrap_err(), Status::LANEPIPE_E_CORRUPT);

        let ring = ByteRing::init(mem, size, 5, 40).unwrap();
        assert_eq!((ring.capacity(), ring.element_size(), ring.len()), (5, 40, 0));
        assert_eq!(ring.push_n([7u8; 80].as_ptr(), 2), 2);
        let again = ByteRing::attach_within(mem, size).unwrap();
        assert_eq!(again.len(), 2);
        assert_eq!(ByteRing::attach_within(mem, size - 1).unwrap_err(), Status::LANEPIPE_E_INVALID);
        assert_eq!(ByteRing::attach_within(mem, 64).unwrap_err(), Status::LANEPIPE_E_INVALID);
    }
}

#[test]
fn byte_ring_attach_refuses_every_damaged_shape() {
    let size = ByteRing::required_size(6, 8).unwrap();
    let mut blocks = memory(size);
    let mem = blocks.as_mut_ptr().cast::<u8>();
    // Magic, size, capacity, element size; then limit, mask and element size of each end.
    let words = [0, 4, 8, 12, 16, 20, 396, 400, 404, 524, 528, 532];
    for offset in words {
        // SAFETY: the memory is this test's and large enough.
        unsafe {
            ByteRing::init(mem, size, 6, 8).unwrap();
            assert!(ByteRing::attach(mem).is_ok());
            let word = mem.add(offset).cast::<u32>();
            word.write(word.read() ^ 0x10);
            assert_eq!(ByteRing::attach(mem).unwrap_err(), Status::LANEPIPE_E_CORRUPT, "offset {offset}");
        }
    }
}

#[test]
fn byte_ring_stays_inside_its_memory() {
    for (capacity, element_size) in [(1u32, 1u32), (3, 3), (5, 16), (7, 56), (8, 100)] {
        let size = ByteRing::required_size(capacity, element_size).unwrap();
        let mut blocks = memory(size);
        let end = blocks.len() * 64;
        let mem = blocks.as_mut_ptr().cast::<u8>();
        let element = vec![0x55u8; (capacity * element_size) as usize];
        let mut out = vec![0u8; element.len()];
        // SAFETY: the memory is this test's and large enough; one thread plays both roles.
        unsafe {
            let ring = ByteRing::init(mem, size, capacity, element_size).unwrap();
            for _ in 0..5 {
                assert_eq!(ring.push_n(element.as_ptr(), capacity as usize), capacity as usize);
                assert_eq!(ring.pop_n(out.as_mut_ptr(), capacity as usize), capacity as usize);
                assert_eq!(out, element);
            }
            // The guard line behind the slots and everything after it is untouched.
            for offset in size - 128..end {
                assert_eq!(mem.add(offset).read(), 0xaa);
            }
        }
    }
}

#[test]
fn byte_ring_in_place() {
    let ring = OwnedByteRing::new(3, 8).unwrap();
    // SAFETY: one thread plays both roles and stays within the runs.
    unsafe {
        for lap in 0..5u64 {
            let runs = ring.claim(2);
            assert_eq!(runs.count(), 2);
            runs.first.cast::<u64>().write_unaligned(lap);
            ring.publish(1);
            assert_eq!(ring.len(), 1);
            let runs = ring.front(9);
            assert_eq!(runs.count(), 1);
            assert_eq!(runs.first.cast::<u64>().read_unaligned(), lap);
            ring.release(1);
        }
        assert_eq!(ring.front(1).count(), 0);
        assert_eq!(ring.push_n([0u64; 3].as_ptr().cast(), 3), 3);
        assert_eq!(ring.claim(1).count(), 0);
    }
}

#[test]
fn required_size_is_capped() {
    const HEADER: usize = 6 * 128;
    assert_eq!(ByteRing::required_size(0, 8), None);
    assert_eq!(ByteRing::required_size(8, 0), None);
    assert_eq!(ByteRing::required_size(MAX_CAPACITY as u32 + 1, 8), None);
    assert_eq!(ByteRing::required_size(8, MAX_ELEMENT_SIZE as u32 + 1), None);
    assert_eq!(ByteRing::required_size(1, 1), Some(HEADER + 64 + 128));
    assert_eq!(ByteRing::required_size(5, 40), Some(HEADER + 8 * 40 + 128));
    assert_eq!(ByteRing::required_size(MAX_CAPACITY as u32, 4096), Some(HEADER + (1 << 36) + 128));
    assert_eq!(BYTE_RING_ALIGN, 64);
}

#[derive(Debug, Clone)]
enum Step {
    Push,
    Pop,
    PushBatch(usize),
    PopBatch(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        Just(Step::Push),
        Just(Step::Pop),
        (0usize..12).prop_map(Step::PushBatch),
        (0usize..12).prop_map(Step::PopBatch),
    ];
    proptest::collection::vec(step, 0..200)
}

fn near_wrap() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), (u32::MAX - 40)..=u32::MAX, (u32::MAX / 2 - 20)..(u32::MAX / 2 + 20)]
}

proptest! {
    #[test]
    fn ring_is_a_bounded_queue(capacity in 1usize..10, start in near_wrap(), steps in steps()) {
        let ring = Ring::with_start(capacity, start).unwrap();
        let mut model = VecDeque::new();
        let mut next = 0u64;
        for step in steps {
            match step {
                Step::Push => {
                    let room = model.len() < capacity;
                    // SAFETY: in all calls: one thread plays both roles.
                    prop_assert_eq!(unsafe { ring.push(&next) }, room);
                    if room {
                        model.push_back(next);
                    }
                    next += 1;
                }
                // SAFETY: as above.
                Step::Pop => prop_assert_eq!(unsafe { ring.pop() }, model.pop_front()),
                Step::PushBatch(count) => {
                    let values: Vec<u64> = (next..).take(count).collect();
                    // SAFETY: as above.
                    let stored = unsafe { ring.push_slice(&values) };
                    prop_assert_eq!(stored, count.min(capacity - model.len()));
                    model.extend(&values[..stored]);
                    next += count as u64;
                }
                Step::PopBatch(count) => {
                    let mut out = vec![MaybeUninit::uninit(); count];
                    // SAFETY: as above.
                    let popped = unsafe { ring.pop_slice(&mut out) };
                    prop_assert_eq!(popped, count.min(model.len()));
                    prop_assert_eq!(taken(&out, popped), model.drain(..popped).collect::<Vec<_>>());
                }
            }
            prop_assert_eq!(ring.len(), model.len());
        }
    }

    #[test]
    fn byte_ring_is_a_bounded_queue(
        capacity in 1u32..10,
        size in prop_oneof![1u32..70, Just(16), Just(32), Just(40), Just(48), Just(56)],
        start in near_wrap(),
        steps in steps(),
    ) {
        let bytes = ByteRing::required_size(capacity, size).unwrap();
        let mut blocks = memory(bytes);
        // SAFETY: the memory is this test's and large enough.
        let ring = unsafe { ByteRing::init_at(blocks.as_mut_ptr().cast(), bytes, capacity, size, start, Mark::new) }.unwrap();
        let mut model: VecDeque<Vec<u8>> = VecDeque::new();
        let mut next = 0u8;
        for step in steps {
            let push = matches!(step, Step::Push | Step::PushBatch(_));
            let count = match step { Step::Push | Step::Pop => 1, Step::PushBatch(n) | Step::PopBatch(n) => n };
            if push {
                let elements: Vec<Vec<u8>> = (0..count)
                    .map(|i| (0..size).map(|byte| next.wrapping_add(i as u8).wrapping_mul(31) ^ byte as u8).collect())
                    .collect();
                next = next.wrapping_add(count as u8);
                // SAFETY: one thread plays both roles; the source holds `count` elements.
                let stored = unsafe { ring.push_n(elements.concat().as_ptr(), count) };
                prop_assert_eq!(stored, count.min(capacity as usize - model.len()));
                model.extend(elements.into_iter().take(stored));
            } else {
                let mut out = vec![0u8; count * size as usize];
                // SAFETY: one thread plays both roles; the destination has room for `count` elements.
                let popped = unsafe { ring.pop_n(out.as_mut_ptr(), count) };
                prop_assert_eq!(popped, count.min(model.len()));
                let expected: Vec<u8> = model.drain(..popped).flatten().collect();
                prop_assert_eq!(&out[..expected.len()], &expected[..]);
            }
            prop_assert_eq!(ring.len(), model.len());
        }
    }
}
