//! The cores' own stream: DE 1.6 (dispatch, rotation, acknowledgement), 4.2, 5.2; D32 to D36; W10 to W15, W39.

use super::super::TaskPool;
use super::super::aicore::{Acknowledged, Core, CoreFlushed, Dispatched, head_of};
use super::super::head::CoreLocal;
use super::rig::Rig;
use crate::device::lane::{At, Form, Losses, Thread};
use crate::device::rig::{Entry, TestClock, active, books, count};
use crate::layout::runtime::{A5, Arch};

type Aicore = TaskPool<A5, 3>;

/// A core with its control thread: dispatches and runs tasks one after the other.
struct Lane<'a> {
    rig: &'a Rig,
    swimlane: super::super::Swimlane<A5>,
    clock: TestClock<'a>,
    thread: Thread,
    core: Core,
    local: CoreLocal,
    /// Id, buffer and index of every record that the core made.
    made: Vec<(u32, u64, u32)>,
    next: u32,
}

impl<'a> Lane<'a> {
    fn new(rig: &'a Rig, buffers: usize) -> Self {
        for _ in 0..buffers {
            rig.give::<Aicore>(0);
        }
        Self::with(rig, TestClock::new(A5::BUDGET))
    }

    fn with(rig: &'a Rig, mut clock: TestClock<'a>) -> Self {
        let swimlane = rig.init(&mut clock);
        let (thread, core) = (Thread::new(1), Core::new(0));
        Self { rig, swimlane, clock, thread, core, local: CoreLocal::default(), made: Vec::new(), next: 1 }
    }

    fn state(&self) -> At {
        self.rig.state::<Aicore>(0)
    }

    fn dispatch(&mut self) -> Dispatched {
        let id = self.next;
        self.next += 1;
        self.swimlane.on_aicore_dispatch(&mut self.thread, &mut self.clock, &mut self.core, id)
    }

    /// The core's side of the task that was dispatched last, up to its acknowledgement.
    fn reserve(&mut self) -> Option<(u64, u32)> {
        let slot = self.local.reserve(Some(&head_of(self.state())));
        self.made.extend(slot.map(|(buffer, index)| (self.next - 1, buffer, index)));
        slot
    }

    fn ack(&mut self) -> Acknowledged {
        self.swimlane.on_aicore_ack(&mut self.thread, &mut self.clock, &mut self.core, self.next - 1)
    }

    /// A whole task.
    fn run(&mut self) -> Dispatched {
        let dispatched = self.dispatch();
        self.reserve();
        self.ack();
        dispatched
    }

    fn run_many(&mut self, tasks: u32) {
        for _ in 0..tasks {
            self.run();
        }
    }

    fn take(&self) -> Vec<Entry> {
        self.rig.host.take::<Aicore>(1)
    }

    fn flush(&mut self) -> CoreFlushed {
        self.swimlane.flush_core(&mut self.thread, &mut self.clock, &mut self.core).unwrap()
    }
}

fn entry(address: u64, seq: u32) -> Entry {
    Entry { instance: 0, kind: 3, address, seq }
}

/// D32, D35: rotations at dispatch 1025, 2049, 3073; each old buffer is published by the acknowledgement of that task, not before.
#[test]
fn rotation_and_gate() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 4);
    let mut rotations = Vec::new();
    for dispatch in 1..=3100u32 {
        let before = active::<Aicore>(lane.state());
        match lane.dispatch() {
            Dispatched::Rotated => rotations.push(dispatch),
            outcome => assert_eq!(outcome, Dispatched::Counted),
        }
        let rotated = rotations.last() == Some(&dispatch);
        assert!(lane.take().is_empty(), "published before the gate");
        assert!(lane.reserve().is_some());
        // Another task's event is not the gate.
        lane.swimlane.on_aicore_ack(&mut lane.thread, &mut lane.clock, &mut lane.core, dispatch + 7);
        assert!(lane.take().is_empty());
        lane.ack();
        let published = if rotated { vec![entry(before.0, before.1)] } else { Vec::new() };
        assert_eq!(lane.take(), published);
        if rotated {
            assert_eq!(count::<Aicore>(before.0), 1024);
        }
        assert_eq!(books::<Aicore>(lane.state()), (dispatch, 0));
    }
    assert_eq!(rotations, [1025, 2049, 3073]);
    assert_eq!((active::<Aicore>(lane.state()).1, lane.clock.relaxed), (3, 0));
}

/// D34: a slot that was reserved stays valid over a rotation; the next one is slot 0 of the new buffer; K-1, K, K+1 with two
/// tasks in flight.
#[test]
fn two_in_flight_at_the_boundary() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 2);
    lane.run_many(1022);
    let (old, _) = active::<Aicore>(lane.state());
    lane.dispatch();
    assert_eq!(lane.reserve(), Some((old, 1022)));
    lane.dispatch();
    assert_eq!(lane.reserve(), Some((old, 1023)));
    // Task 1024 is acknowledged and still runs when 1025 is dispatched: its record is committed into the old buffer later.
    assert_eq!(lane.dispatch(), Dispatched::Rotated);
    assert_eq!((lane.take(), lane.core.deferred()), (vec![], 1));
    let (new, seq) = active::<Aicore>(lane.state());
    assert_eq!((count::<Aicore>(new), seq), (0, 1));
    assert_eq!(lane.reserve(), Some((new, 0)));
    lane.ack();
    assert_eq!(lane.take(), [entry(old, 0)]);
}

/// 5.2, W12, W13: the last buffer is published with as many records as tasks were dispatched into it, at an exact multiple,
/// too, and what is not acknowledged yet before it; D31, D36.
#[test]
fn flush_marks() {
    for tasks in [0, 1, 1023, 1024, 1025, 2048, 2050] {
        let rig = Rig::new(1);
        let mut lane = Lane::new(&rig, 4);
        lane.run_many(tasks);
        let flushed = lane.flush();
        let entries = lane.take();
        let counts: Vec<u32> = entries.iter().map(|entry| count::<Aicore>(entry.address)).collect();
        assert_eq!(counts.iter().sum::<u32>(), tasks);
        assert!(counts.iter().rev().skip(1).all(|count| *count == 1024), "{counts:?}");
        assert_eq!(
            entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(),
            (0..entries.len() as u32).collect::<Vec<_>>()
        );
        assert_eq!((flushed.lost, books::<Aicore>(lane.state())), (0, (tasks, 0)));
        assert_eq!(active::<Aicore>(lane.state()).0 == 0, tasks != 0, "an empty buffer stays");
        // Every record that the core made lies below its buffer's mark.
        for (id, buffer, index) in &lane.made {
            let published = entries.iter().find(|entry| entry.address == *buffer).unwrap();
            assert!(*index < count::<Aicore>(published.address), "task {id}");
        }
        assert_eq!(lane.flush(), CoreFlushed::default());
    }
}

/// A flush without acknowledgements (the other scheduler has none): the deferred buffer first, then the active one.
#[test]
fn without_acknowledgements() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 4);
    let mut published = 0;
    for _ in 0..2060 {
        lane.dispatch();
        lane.reserve();
        published += lane.take().len();
    }
    assert_eq!((published, lane.core.deferred()), (1, 1));
    assert_eq!(lane.flush(), CoreFlushed { published: 1024 + 12, lost: 0 });
    let seqs: Vec<_> = lane.take().iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [1, 2]);
}

/// W10: a slot that holds no buffer is used up, and the next dispatch looks again; W11: what was lost meanwhile is counted.
#[test]
fn zero_slot() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 1);
    rig.host.give::<Aicore>(lane.state(), 0);
    let (old, _) = active::<Aicore>(lane.state());
    lane.run_many(1024);
    assert_eq!(lane.run(), Dispatched::NoBuffer);
    assert_eq!((rig.host.free::<Aicore>(lane.state()), lane.thread.losses.null_slots), (0, 1));
    let new = rig.give::<Aicore>(0);
    assert_eq!(lane.run(), Dispatched::Rotated);
    assert_eq!(lane.made.last(), Some(&(1026, new, 0)));
    assert_eq!(lane.take(), [entry(old, 0)]);
    // The shift of the boundary follows the core's slots: 1024 tasks after the late rotation.
    lane.run_many(1023);
    rig.give::<Aicore>(0);
    assert_eq!(lane.run(), Dispatched::Rotated);
    lane.flush();
    let counts: Vec<_> = lane.take().iter().map(|entry| count::<Aicore>(entry.address)).collect();
    assert_eq!(counts, [1024, 1]);
    let (total, dropped) = books::<Aicore>(lane.state());
    assert_eq!((total, dropped, 1024 * 2 + 1 + dropped), (2050, 1, total));
    assert_eq!(lane.thread.losses.no_buffer, 1);
}

/// W39, W7: one buffer per core and a host that has no other: after one wait in vain the old buffer goes back to the host by
/// its gate, and comes again. Every record is published or counted.
#[test]
fn pool_of_one_buffer() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 1);
    let (mut published, mut waits) = (0, 0);
    for _ in 0..5000 {
        let before = lane.clock.relaxed;
        lane.run();
        waits += u32::from(lane.clock.relaxed != before);
        for entry in lane.take() {
            published += count::<Aicore>(entry.address);
            rig.host.give::<Aicore>(lane.state(), entry.address);
            rig.host.serve_signals::<Aicore>();
        }
    }
    published += lane.flush().published;
    let (total, dropped) = books::<Aicore>(lane.state());
    assert_eq!((total, published + dropped), (5000, total));
    assert_eq!((dropped, waits), (4, 4), "one task and one wait per rotation");
    assert_eq!(lane.made.len() as u32, published);
}

/// W14: a deferred buffer whose publication fails is kept, in order; when the list is full the core goes without, and nothing is
/// overwritten.
#[test]
fn failed_publication_is_kept() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 4);
    rig.host.fill_ready::<Aicore>(1);
    lane.run_many(1024);
    assert_eq!((lane.dispatch(), lane.reserve().is_some()), (Dispatched::Rotated, true));
    assert_eq!((lane.ack(), lane.core.deferred()), (Acknowledged::Kept, 1));
    // No event of this task's is anybody's gate.
    assert_eq!((lane.run(), lane.ack()), (Dispatched::Counted, Acknowledged::Through));
    rig.give::<Aicore>(0);
    lane.run_many(1024 * 3 - 2);
    assert_eq!(lane.core.deferred(), 3);
    assert_eq!(lane.run(), Dispatched::NoBuffer);
    // The host takes again: everything comes, in order.
    rig.host.empty_ready::<Aicore>(1);
    assert_eq!(lane.run(), Dispatched::Rotated);
    let seqs: Vec<_> = lane.take().iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, [0, 1, 2, 3], "the gate of the last one is this task");
    lane.flush();
    assert_eq!(lane.take().len(), 1);
    let (total, dropped) = books::<Aicore>(lane.state());
    assert_eq!((total, dropped), (1024 * 4 + 2, 1));
}

/// A flush that cannot publish counts everything once, and leaves nothing active. W14: a later one hands over what the earlier
/// ones could not, in order, and takes it out of the count.
#[test]
fn failed_flush() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 4);
    rig.host.fill_ready::<Aicore>(1);
    lane.run_many(1030);
    for lost in [1030, 0] {
        assert_eq!(lane.flush(), CoreFlushed { published: 0, lost });
        assert_eq!((books::<Aicore>(lane.state()), active::<Aicore>(lane.state()).0), ((1030, 1030), 0));
        let losses = lane.thread.losses;
        assert_eq!((losses.no_room + losses.host_gone, losses.no_buffer, lane.core.deferred()), (1030, 0, 2));
    }
    assert_eq!(lane.reserve(), None, "the core is told");
    rig.host.empty_ready::<Aicore>(1);
    assert_eq!(lane.flush(), CoreFlushed { published: 1030, lost: 0 });
    let entries = lane.take();
    assert_eq!(entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(entries.iter().map(|entry| count::<Aicore>(entry.address)).collect::<Vec<_>>(), [1024, 6]);
    assert_eq!((books::<Aicore>(lane.state()), lane.thread.losses), ((1030, 0), Losses::default()));
    assert_eq!((lane.flush(), lane.core.deferred()), (CoreFlushed::default(), 0));
}

/// As many buffers as a core can have wait for a flush that finds room; the tasks without a buffer stay lost.
#[test]
fn failed_flush_of_all_buffers() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 4);
    rig.host.fill_ready::<Aicore>(1);
    lane.run_many(1024 * 4 + 3);
    assert_eq!(lane.flush(), CoreFlushed { published: 0, lost: 1024 * 4 + 3 });
    assert_eq!((lane.core.deferred(), lane.thread.losses.no_buffer), (4, 3));
    // A core that goes on has no buffer; another flush in vain counts what is new only.
    assert_eq!(lane.run(), Dispatched::NoBuffer);
    let unpublished = lane.thread.losses;
    assert_eq!(lane.flush(), CoreFlushed { published: 0, lost: 1 });
    assert_eq!(lane.thread.losses, Losses { no_buffer: 4, ..unpublished });
    // The next dispatch finds out whether there is room again.
    rig.host.empty_ready::<Aicore>(1);
    rig.give::<Aicore>(0);
    assert_eq!(lane.run(), Dispatched::Rotated);
    assert_eq!(lane.take().iter().map(|entry| entry.seq).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(lane.flush(), CoreFlushed { published: 1, lost: 0 });
    assert_eq!(books::<Aicore>(lane.state()), (1024 * 4 + 5, 4));
    assert_eq!(lane.thread.losses, Losses { no_buffer: 4, ..Losses::default() });
}

/// What a flush counted as lost for want of a ready queue is taken back from where it was counted.
#[test]
fn failed_flush_without_a_queue() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 1);
    lane.run_many(5);
    lane.thread.index = -1;
    assert_eq!(lane.flush(), CoreFlushed { published: 0, lost: 5 });
    assert_eq!((lane.thread.losses.no_queue, lane.core.deferred()), (5, 1));
    lane.thread.index = 1;
    assert_eq!(lane.flush(), CoreFlushed { published: 5, lost: 0 });
    assert_eq!((books::<Aicore>(lane.state()), lane.thread.losses), ((5, 0), Losses::default()));
}

/// 4.2: without a head, and before the first buffer; W29.
#[test]
fn core_without_a_head() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 0);
    assert_eq!(CoreLocal::default().reserve::<crate::sync::RawWord32, crate::sync::RawWord64>(None), None);
    assert_eq!((lane.reserve(), lane.run()), (None, Dispatched::NoBuffer));
    let buffer = rig.give::<Aicore>(0);
    assert_eq!(lane.run(), Dispatched::Rotated);
    assert_eq!(lane.made, [(2, buffer, 0)]);
    assert_eq!(lane.flush(), CoreFlushed { published: 1, lost: 1 });
    for core in [-1, 1, 108] {
        let mut core = Core::new(core);
        let outcome = lane.swimlane.on_aicore_dispatch(&mut lane.thread, &mut lane.clock, &mut core, 1);
        assert_eq!(outcome, Dispatched::Ignored);
        let outcome = lane.swimlane.on_aicore_ack(&mut lane.thread, &mut lane.clock, &mut core, 1);
        assert_eq!(outcome, Acknowledged::Ignored);
        assert_eq!(lane.swimlane.flush_core(&mut lane.thread, &mut lane.clock, &mut core), None);
    }
}

/// Although the host shows signs of life, by which each wait would have a whole budget.
#[test]
fn only_a_rotations_first_dispatch_waits() {
    let rig = Rig::new(1);
    let mut lane = Lane::new(&rig, 1);
    rig.host.fill_ready::<Aicore>(1);
    let heads = rig.host.at(<Aicore as Form>::HEADER.heads + 2 * 4);
    lane.run_many(1024);
    for dispatch in 0..8 {
        heads.store32((heads.load32() + 1) % 1000);
        let before = lane.clock.relaxed;
        assert_eq!(lane.dispatch(), Dispatched::NoBuffer);
        assert_eq!(lane.clock.relaxed != before, dispatch == 0, "dispatch {dispatch}");
        if dispatch == 0 {
            lane.reserve();
            lane.ack();
        }
    }
}
