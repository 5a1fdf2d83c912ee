//! Tests of the producers' half over a real mailbox.

use super::*;
use crate::mailbox::ends::{Consumer, Pusher};
use crate::mailbox::layout::{CAPACITY, KIND_NORMAL_DONE, MAILBOX_SIZE, MsgView, Variant};
use crate::mailbox::memory::RawMemory;
use crate::mailbox::transport::{RawTransport, Transport};
use crate::mailbox::wait_list::Source;

/// A task that writes down in which order it is asked.
struct Seen<'a> {
    log: Vec<&'static str>,
    payload: bool,
    deferred: bool,
    sole: bool,
    left: u32,
    aborts_after: u32,
    helps: Option<&'a RawTransport>,
}

impl Seen<'_> {
    fn new(subtasks: u32) -> Self {
        let log = Vec::new();
        Self { log, payload: true, deferred: false, sole: false, left: subtasks, aborts_after: u32::MAX, helps: None }
    }
}

impl Task for Seen<'_> {
    fn has_payload(&mut self) -> bool {
        self.payload
    }
    fn token(&mut self) -> u64 {
        self.log.push("token");
        77
    }
    fn slot(&self) -> u64 {
        0x4000
    }
    fn mark_deferred(&mut self) {
        self.log.push("mark");
        self.deferred = true;
    }
    fn is_deferred(&mut self) -> bool {
        self.deferred
    }
    fn is_sole(&mut self) -> bool {
        self.sole
    }
    fn subtask_done(&mut self) -> bool {
        self.log.push("count");
        self.left -= 1;
        self.left == 0
    }
    fn should_abort(&mut self) -> bool {
        self.log.push("full");
        self.aborts_after = self.aborts_after.saturating_sub(1);
        self.aborts_after == 0
    }
    fn help(&mut self) -> bool {
        let Some(transport) = self.helps else { return false };
        transport.try_pop().is_ok()
    }
    fn spin(&mut self) {
        self.log.push("spin");
    }
}

struct Bench {
    mailbox: Vec<u64>,
    slab: Box<Slab>,
}

impl Bench {
    fn new(count: u32) -> Self {
        // SAFETY: a slab is numbers only.
        let mut slab: Box<Slab> = Box::new(unsafe { std::mem::zeroed() });
        for (number, entry) in slab.entries.iter_mut().enumerate() {
            entry.addr = 0x100 + number as u64 * 4;
            entry.expected_value = number as u32;
        }
        slab.count = count;
        Self { mailbox: vec![0; MAILBOX_SIZE / 8], slab }
    }

    fn transport(&mut self) -> RawTransport {
        // SAFETY: memory of a mailbox.
        Transport::new(unsafe { RawMemory::new(self.mailbox.as_mut_ptr().cast()) })
    }

    fn slab(&mut self) -> SlabRef {
        // SAFETY: a slab nobody writes to.
        unsafe { SlabRef::new(&raw mut *self.slab) }
    }
}

fn pop_all(transport: &RawTransport) -> Vec<MsgView> {
    let mut consumer = Consumer::new(transport, 1);
    let mut messages = Vec::new();
    while let Some(message) = consumer.peek(messages.len() as u32) {
        messages.push(message);
    }
    if !messages.is_empty() {
        assert!(consumer.consume(messages.len() as u32));
    }
    messages
}

#[test]
fn conditions_go_out_before_the_count_and_the_sentinel_after_the_last() {
    let mut bench = Bench::new(3);
    let transport = bench.transport();
    let mut task = Seen::new(2);
    let mut counts = FinCounts::default();
    let first = subtask(Some(&mut Pusher(&transport)), &mut task, bench.slab(), &mut counts);
    assert_eq!((first, counts.pushed, bench.slab.count), (Ok(Fin::NotLast), 3, 0));
    assert_eq!(task.log, ["token", "mark", "count"]);
    // The last subtask has no conditions of its own.
    let last = subtask(Some(&mut Pusher(&transport)), &mut task, bench.slab(), &mut counts);
    assert_eq!((last, counts), (Ok(Fin::HandedOver), FinCounts { pushed: 4, skipped: 0 }));
    let messages = pop_all(&transport);
    assert_eq!(messages.len(), 4);
    for (number, message) in messages[..3].iter().enumerate() {
        assert_eq!((message.task_token, message.addr, message.kind), (77, 0x100 + number as u64 * 4, 0));
        assert_eq!(message.expected_value, number as u32);
    }
    assert_eq!((messages[3].kind, messages[3].addr, messages[3].task_token), (KIND_NORMAL_DONE, 0x4000, 77));
    assert_eq!(task.log.last(), Some(&"count"), "nothing of the task is read behind the sentinel");
}

#[test]
fn the_fast_path_needs_no_mailbox() {
    for payload in [false, true] {
        let mut bench = Bench::new(if payload { 0 } else { 9 });
        let mut task = Seen { payload, ..Seen::new(1) };
        let outcome = subtask(None::<&mut Pusher<'_, RawMemory>>, &mut task, bench.slab(), &mut FinCounts::default());
        assert_eq!(outcome, Ok(Fin::LastInline));
        assert_eq!(bench.slab.count, if payload { 0 } else { 9 }, "a slab that is none of the task's stays");
    }
}

#[test]
fn a_bad_slab_ends_the_call_before_anything_happens() {
    for (error, count, expected) in [(101, 3, 101), (-7, 0, -7), (0, 65, 103), (0, u32::MAX, 103)] {
        let mut bench = Bench::new(count);
        bench.slab.error_code = error;
        let transport = bench.transport();
        let mut task = Seen::new(1);
        let outcome = subtask(Some(&mut Pusher(&transport)), &mut task, bench.slab(), &mut FinCounts::default());
        assert_eq!(outcome, Err(FinError::Slab(expected)));
        assert!(task.log.is_empty() && !transport.has_pending() && bench.slab.count == count);
    }
}

#[test]
fn a_deferring_task_without_mailbox_is_an_error() {
    let mut bench = Bench::new(1);
    let mut task = Seen::new(1);
    let none = None::<&mut Pusher<'_, RawMemory>>;
    assert_eq!(subtask(none, &mut task, bench.slab(), &mut FinCounts::default()), Err(FinError::NoMailbox));
    assert_eq!((task.left, bench.slab.count), (1, 1));
}

fn fill(transport: &RawTransport, room: usize) {
    for _ in 0..CAPACITY - room {
        assert!(transport.push(&MsgView::default()));
    }
}

#[test]
fn a_full_ring_is_left_when_the_run_is_over() {
    let mut bench = Bench::new(10);
    let transport = bench.transport();
    fill(&transport, 4);
    let mut task = Seen { aborts_after: 3, ..Seen::new(1) };
    let mut counts = FinCounts::default();
    let outcome = subtask(Some(&mut Pusher(&transport)), &mut task, bench.slab(), &mut counts);
    assert_eq!(outcome, Err(FinError::Aborted));
    assert_eq!((counts.pushed, counts.skipped), (4, 6), "messages are counted, not attempts");
    assert_eq!((task.left, bench.slab.count), (1, 10), "uncounted, and the slab as it was");
    assert_eq!(task.log.iter().filter(|what| **what == "spin").count(), 2);
}

#[test]
fn help_makes_room_in_a_full_ring() {
    let mut bench = Bench::new(10);
    let transport = bench.transport();
    fill(&transport, 0);
    let mut task = Seen { helps: Some(&transport), ..Seen::new(1) };
    let mut counts = FinCounts::default();
    let outcome = subtask(Some(&mut Pusher(&transport)), &mut task, bench.slab(), &mut counts);
    assert_eq!((outcome, counts.pushed, counts.skipped), (Ok(Fin::HandedOver), 11, 11));
    assert!(!task.log.contains(&"spin"));
    let messages = pop_all(&transport);
    let tail: Vec<u64> = messages[messages.len() - 11..].iter().map(|message| message.addr).collect();
    assert_eq!(tail[..10], (0..10).map(|number| 0x100 + number * 4).collect::<Vec<u64>>(), "in slab order");
    assert_eq!(tail[10], 0x4000);
}

#[test]
fn a_sole_subtask_sends_everything_at_once() {
    for room in [0, 1, 5, 6, 100] {
        let mut bench = Bench::new(5);
        let transport = bench.transport();
        fill(&transport, room);
        let mut task = Seen { sole: true, helps: Some(&transport), ..Seen::new(1) };
        let mut counts = FinCounts::default();
        let outcome = subtask(Some(&mut Pusher(&transport)), &mut task, bench.slab(), &mut counts);
        assert_eq!((outcome, counts.pushed, bench.slab.count), (Ok(Fin::HandedOver), 6, 0));
        let messages = pop_all(&transport);
        let kinds: Vec<u32> = messages[messages.len() - 6..].iter().map(|message| message.kind).collect();
        assert_eq!(kinds, [0, 0, 0, 0, 0, 1], "{room} free");
    }
}

#[test]
fn fields_of_a_slot_state_are_those_of_the_variant() {
    for variant in Variant::ALL {
        let mut memory = [0u64; 16];
        let base = memory.as_mut_ptr().cast::<u8>();
        // SAFETY: memory of a slot state, and behind it payload and descriptor.
        let slot = unsafe { SlotRef::new(base.cast(), variant) };
        assert!(!slot.has_payload());
        assert_eq!(slot.token(), 0);
        let write = |offset: usize, bytes: &[u8]| {
            // SAFETY: inside the memory.
            unsafe { bytes.as_ptr().copy_to(base.wrapping_add(offset), bytes.len()) };
        };
        write(72, &0x1_0000_0005u64.to_ne_bytes());
        let (flag, counter) = if variant.is_ringbuffer() {
            write(32, &(base as u64 + 64).to_ne_bytes());
            write(40, &(base as u64 + 72).to_ne_bytes());
            write(58, &2i16.to_ne_bytes());
            write(51, &[0x0b]);
            (51, 56)
        } else {
            write(8, &56i32.to_ne_bytes());
            write(12, &60i32.to_ne_bytes());
            write(38, &2i16.to_ne_bytes());
            (34, 36)
        };
        assert!(slot.has_payload() && !slot.is_deferred());
        assert_eq!(slot.token(), 0x1_0000_0005);
        slot.mark_deferred();
        assert!(slot.is_deferred());
        // SAFETY: inside the memory.
        let byte = unsafe { base.wrapping_add(flag).read() };
        assert_eq!(byte, if variant.is_ringbuffer() { 0x0f } else { 1 }, "other bits are others'");
        assert!(!slot.subtask_done());
        assert!(slot.subtask_done());
        // SAFETY: inside the memory, 2-aligned.
        assert_eq!(unsafe { base.wrapping_add(counter).cast::<i16>().read() }, 2);
    }
}
