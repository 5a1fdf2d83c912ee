use super::support::*;
use crate::mailbox::wait_list::*;

fn condition(memory: &mut [u64; 6], kind: i32, addr: u64, cookie: u64, expected: u32) -> ConditionRef {
    *memory = [u64::MAX; 6];
    let condition = lone(memory);
    condition.set_satisfied_byte(0);
    condition.set_retired_byte(0);
    condition.set_completion_type(kind);
    condition.set_addr(addr);
    condition.set_backend_cookie(cookie);
    condition.set_counter_addr(if kind == COUNTER { addr } else { 0 });
    condition.set_expected_value(expected);
    condition
}

#[test]
fn counters_compare_unsigned() {
    let mut world = World::new(1);
    let mut memory = [0; 6];
    let addr = world.counters.as_ptr() as u64;
    for (value, expected, outcome) in [
        (0, 0, Poll::Ready),
        (0, 1, Poll::Pending),
        (1, 1, Poll::Ready),
        (2, 1, Poll::Ready),
        (u32::MAX, 1, Poll::Ready),
        (1, u32::MAX, Poll::Pending),
        (0x8000_0000, 0x7fff_ffff, Poll::Ready),
    ] {
        world.set(0, value);
        for variant in Variant::ALL {
            let condition = condition(&mut memory, COUNTER, addr, 0, expected);
            assert_eq!(test(variant, condition, &mut world), outcome, "{value} against {expected}");
        }
    }
    let null = condition(&mut memory, COUNTER, 0, 0, 0);
    assert_eq!(test(Variant::A5H, null, &mut world), Poll::Failed(ERROR_INVALID));
    let satisfied = condition(&mut memory, 99, 0, 0, 0);
    satisfied.set_satisfied_byte(1);
    assert_eq!(test(Variant::A5H, satisfied, &mut world), Poll::Ready);
}

#[test]
fn records_compare_all_64_bits_and_are_never_changed() {
    let mut world = World::new(1);
    let mut memory = [0; 6];
    let addr = world.records.as_ptr() as u64;
    world.set_record(0, 1 << 40);
    for (post, outcome) in
        [(1, Poll::Ready), (1 << 40, Poll::Ready), ((1 << 40) + 1, Poll::Pending), (u64::MAX, Poll::Pending)]
    {
        let condition = condition(&mut memory, SDMA_EVENT_RECORD, addr, post, 0);
        assert_eq!(test(Variant::A2T, condition, &mut world), outcome);
    }
    for (addr, post) in [(0, 1), (addr, 0)] {
        let condition = condition(&mut memory, SDMA_EVENT_RECORD, addr, post, 0);
        assert_eq!(test(Variant::A2T, condition, &mut world), Poll::Failed(ERROR_INVALID));
    }
    assert_eq!(world.records[0], 1 << 40);
}

#[test]
fn a_record_is_invalidated_on_a2a3_only() {
    for variant in Variant::ALL {
        let mut world = World::new(1);
        let mut memory = [0; 6];
        let addr = world.records.as_ptr() as u64;
        let record = condition(&mut memory, SDMA_EVENT_RECORD, addr, 1, 0);
        let _ = test(variant, record, &mut world);
        let expected: &[u64] = if variant.is_a5() { &[] } else { &[addr & !63] };
        assert_eq!(world.invalidated, expected);
    }
}

#[test]
fn other_types_fail() {
    let mut world = World::new(1);
    let mut memory = [0; 6];
    let addr = world.counters.as_ptr() as u64;
    for kind in [-1, 2, 3, i32::MIN, i32::MAX] {
        for variant in Variant::ALL {
            if kind == 2 && variant == Variant::A5T {
                continue;
            }
            let condition = condition(&mut memory, kind, addr, 1, 0);
            assert_eq!(test(variant, condition, &mut world), Poll::Failed(ERROR_INVALID), "{kind} {variant:?}");
        }
    }
}

/// A workspace of one queue pair per rank.
struct Workspace {
    words: Vec<u64>,
}

const CQ: usize = 8;
const WQ: usize = 40;
const BUF: usize = 80;
const TAILS: usize = 72;
const DEPTH: u32 = 4;
const RANK: u64 = 1;

impl Workspace {
    fn new() -> Self {
        let mut workspace = Self { words: vec![0; 128] };
        let at = |word: usize| workspace.words.as_ptr().wrapping_add(word) as u64;
        let (sq, scq, buf, cq_tail, db, wq_tail) = (at(WQ), at(CQ), at(BUF), at(TAILS), at(TAILS + 1), at(TAILS + 2));
        workspace.words[0] = 1;
        workspace.words[1] = 2;
        workspace.words[2] = sq;
        workspace.words[4] = scq;
        let cq = CQ + RANK as usize * 7;
        workspace.words[cq + 1] = buf;
        workspace.words[cq + 2] = 6 | u64::from(DEPTH) << 32;
        workspace.words[cq + 4] = cq_tail;
        workspace.words[cq + 6] = db;
        workspace.words[WQ + RANK as usize * 8 + 4] = wq_tail;
        // Nothing is completed: entries carry the owner bit that their lap does not expect.
        (0..DEPTH).for_each(|number| workspace.words[BUF + number as usize * 8] = 0);
        workspace
    }

    fn address(&self) -> u64 {
        self.words.as_ptr() as u64
    }

    /// The device completes entry `number` with a status and substatus.
    fn complete(&mut self, number: u32, status: u32) {
        let parity = (number / DEPTH) & 1;
        self.words[BUF + (number % DEPTH) as usize * 8] = u64::from((1 - parity) << 2 | status << 16);
    }

    fn tails(&self) -> (u32, u32, u32) {
        // SAFETY: words of the workspace, which the backend writes by their address.
        let read = |word: usize| unsafe { self.words.as_ptr().wrapping_add(word).cast::<u32>().read_volatile() };
        (read(TAILS), read(TAILS + 1), read(TAILS + 2))
    }
}

fn handle(target: u32) -> u64 {
    RANK << 32 | u64::from(target)
}

fn poll_handle(workspace: &Workspace, handle: u64) -> Poll {
    let mut memory = [0; 6];
    let condition = condition(&mut memory, URMA_EVENT_HANDLE, handle, workspace.address(), 0);
    test(Variant::A5T, condition, &mut World::new(1))
}

#[test]
fn a_urma_handle_is_reached_by_consuming_the_queue() {
    let mut workspace = Workspace::new();
    assert_eq!(poll_handle(&workspace, handle(3)), Poll::Pending);
    assert_eq!(workspace.tails(), (0, 0, 0), "nothing advanced, nothing written");
    workspace.complete(0, 0);
    workspace.complete(1, 0);
    assert_eq!(poll_handle(&workspace, handle(3)), Poll::Pending);
    assert_eq!(workspace.tails(), (2, 2, 2));
    workspace.complete(2, 0);
    workspace.complete(3, 0);
    assert_eq!(poll_handle(&workspace, handle(3)), Poll::Ready);
    assert_eq!(workspace.tails(), (3, 3, 3), "no further than the target");
    assert_eq!(poll_handle(&workspace, handle(2)), Poll::Ready, "passed long ago");
    // The next lap expects the other owner bit.
    assert_eq!(poll_handle(&workspace, handle(5)), Poll::Pending);
    assert_eq!(workspace.tails(), (4, 4, 4));
    workspace.complete(4, 0);
    assert_eq!(poll_handle(&workspace, handle(5)), Poll::Ready);
}

#[test]
fn a_failed_transfer_is_consumed_and_the_failure_stays() {
    for status in [1, 0x100] {
        let mut workspace = Workspace::new();
        workspace.complete(0, 0);
        workspace.complete(1, status);
        workspace.complete(2, 0);
        let mut memory = [0; 6];
        let failed = condition(&mut memory, URMA_EVENT_HANDLE, handle(3), workspace.address(), 0);
        let mut world = World::new(1);
        assert_eq!(test(Variant::A5T, failed, &mut world), Poll::Failed(ERROR_INVALID));
        assert_eq!(workspace.tails(), (2, 2, 2));
        assert_eq!(test(Variant::A5T, failed, &mut world), Poll::Failed(ERROR_INVALID), "not forgotten");
        assert_eq!(poll_handle(&workspace, handle(3)), Poll::Ready, "others go on");
    }
}

#[test]
fn urma_handles_at_the_edges() {
    let workspace = Workspace::new();
    assert_eq!(poll_handle(&workspace, 0), Poll::Ready);
    assert_eq!(poll_handle(&workspace, handle(0)), Poll::Ready);
    assert_eq!(poll_handle(&workspace, 2 << 32 | 1), Poll::Failed(ERROR_INVALID), "a rank too many");
    let mut memory = [0; 6];
    let without = condition(&mut memory, URMA_EVENT_HANDLE, handle(1), 0, 0);
    assert_eq!(test(Variant::A5T, without, &mut World::new(1)), Poll::Failed(ERROR_INVALID));
    let cq = CQ + RANK as usize * 7;
    let damages: [(usize, u64); 8] = [
        (0, 0),
        (2, 0),
        (4, 0),
        (cq + 1, 0),
        (cq + 4, 0),
        (cq + 2, 13 | u64::from(DEPTH) << 32),
        (cq + 2, 6 | 3 << 32),
        (cq + 2, 6),
    ];
    for (word, value) in damages {
        let mut damaged = Workspace::new();
        damaged.words[word] = value;
        assert_eq!(poll_handle(&damaged, handle(1)), Poll::Failed(ERROR_INVALID), "word {word}");
    }
    // Both are optional.
    let mut silent = Workspace::new();
    silent.words[cq + 6] = 0;
    silent.words[WQ + RANK as usize * 8 + 4] = 0;
    silent.complete(0, 0);
    assert_eq!(poll_handle(&silent, handle(1)), Poll::Ready);
    assert_eq!(silent.tails(), (1, 0, 0));
}

#[test]
fn urma_lines_are_invalidated_before_they_are_read() {
    let mut workspace = Workspace::new();
    workspace.complete(0, 0);
    let mut memory = [0; 6];
    let mut world = World::new(1);
    let one = condition(&mut memory, URMA_EVENT_HANDLE, handle(1), workspace.address(), 0);
    assert_eq!(test(Variant::A5T, one, &mut world), Poll::Ready);
    let at = |word: usize| workspace.words.as_ptr().wrapping_add(word) as u64;
    let contexts = [workspace.address(), at(CQ + RANK as usize * 7), at(WQ + RANK as usize * 8), at(BUF) & !63];
    assert_eq!(world.invalidated, contexts);
}

#[test]
fn a_record_that_a_merge_makes_invalid_fails_at_once() {
    for mut lists in Lists::both() {
        lists.foreign = false;
        let mut world = World::new(80);
        let counters = (0..63).map(|index| world.counter(1, index, 1));
        let mut ring = Ring::of(counters.chain([world.record(1, 3, 5), world.record(1, 3, 0)]));
        for _ in 0..2 {
            let failure = lists.poll(&mut ring, &mut world).failure.unwrap();
            assert_eq!((failure.error, failure.token), (ERROR_INVALID, 1));
        }
        assert_eq!(lists.list().entry(0).condition(63).backend_cookie(), 0);
    }
}
