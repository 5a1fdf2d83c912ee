//! A list in memory of any contents, a ring, and a world of counters and slots.

use crate::mailbox::wait_list::*;
use std::collections::VecDeque;
use std::ffi::c_void;

/// Memory as a side area needs it.
#[derive(Clone, Copy)]
#[repr(align(64))]
#[expect(dead_code, reason = "only its address is used")]
struct SideLine([u64; 8]);

/// A list image, and a side area if it is native.
pub(super) struct Lists {
    words: Vec<u64>,
    side: Option<Vec<SideLine>>,
    pub(super) mode: Mode,
    /// Passes are made by code that knows the public fields only.
    pub(super) foreign: bool,
}

impl Lists {
    /// A list in memory that holds `fill`, reset; native with room for `overflow` messages.
    pub(super) fn new(overflow: Option<u32>, fill: u64) -> Self {
        let mode = Mode { variant: Variant::A2T, budget: 0, copy_keeps_rest: true };
        let side = overflow.map(|overflow| {
            let bytes = SideArea::required_size(overflow).unwrap();
            let mut memory = vec![SideLine([fill; 8]); bytes.div_ceil(64)];
            // SAFETY: memory of the required size.
            unsafe { SideArea::init(memory.as_mut_ptr().cast(), memory.len() * 64, overflow, true) }.unwrap();
            memory
        });
        let mut lists = Self { words: vec![fill; SIZE / 8], side, mode, foreign: overflow.is_none() };
        let (list, side) = lists.parts();
        reset(list, side);
        lists
    }

    pub(super) fn native() -> Self {
        Self::new(Some(4096), 0xa5a5_a5a5_a5a5_a5a5)
    }

    pub(super) fn compat() -> Self {
        Self::new(None, 0xa5a5_a5a5_a5a5_a5a5)
    }

    pub(super) fn both() -> [Self; 2] {
        [Self::native(), Self::compat()]
    }

    pub(super) fn list(&mut self) -> ListRef {
        // SAFETY: the image lives as long as the tests use the view.
        unsafe { ListRef::new(self.words.as_mut_ptr().cast()) }
    }

    pub(super) fn parts(&mut self) -> (ListRef, Option<SideUse<'_>>) {
        let list = self.list();
        // SAFETY: made by `new`; one thread.
        let side = self.area().map(|area| unsafe { SideArea::enter(area) }.unwrap());
        (list, side)
    }

    /// Where the side area is.
    pub(super) fn area(&mut self) -> Option<*mut SideArea> {
        self.side.as_mut().map(|memory| memory.as_mut_ptr().cast())
    }

    pub(super) fn drain(&mut self, ring: &mut Ring, world: &mut World) -> Outcome {
        let before = ring.tail;
        let mode = self.mode;
        let (list, side) = self.parts();
        let outcome = drain(list, side, mode, ring, world);
        assert_eq!(u64::from(outcome.drained), ring.tail - before);
        self.check();
        outcome
    }

    /// A pass as this kind of list gets it: natively by the library, in compat by code that knows the public fields only.
    pub(super) fn poll(&mut self, ring: &mut Ring, world: &mut World) -> Outcome {
        if !self.foreign {
            let mode = self.mode;
            let (list, side) = self.parts();
            let outcome = poll(list, side, mode, ring, world);
            self.check();
            return outcome;
        }
        let outcome = self.drain(ring, world);
        if outcome.failure.is_none() {
            self.foreign_pass(world);
        }
        outcome
    }

    /// The C++ runtime's pass: from the last entry down, removal by assignment of the last one.
    pub(super) fn foreign_pass(&mut self, world: &mut World) {
        let list = self.list();
        for number in (0..list.count()).rev() {
            let entry = list.entry(number);
            for index in 0..entry.conditions() {
                let condition = entry.condition(index);
                if condition.is_satisfied() {
                    continue;
                }
                if test(self.mode.variant, condition, world) == Poll::Ready {
                    condition.set_satisfied_byte(1);
                    world.retire(condition);
                    condition.set_retired_byte(1);
                    entry.set_waiting(entry.waiting() - 1);
                }
            }
            if entry.is_normal_done() && entry.waiting() <= 0 && world.complete(entry.slot_state()).is_ok() {
                let last = list.count() - 1;
                if number != last {
                    if self.mode.copy_keeps_rest {
                        entry.copy_from(list.entry(last));
                    } else {
                        let size = size_of::<crate::mailbox::layout::WaitEntry>();
                        let (from, to) = (list.entry(last).address(), entry.address());
                        // SAFETY: two entries of the image.
                        unsafe { from.cast::<u8>().copy_to(to.cast(), size) };
                    }
                }
                list.set_count(last);
            }
        }
        self.check();
    }

    /// Whether the runtime would poll again.
    pub(super) fn gate(&mut self, ring: &Ring) -> bool {
        let (list, side) = self.parts();
        let parked = side.map_or(0, |side| side.parked());
        list.count() > 0 || parked > 0 || !ring.messages.is_empty()
    }

    /// What always holds of the public fields.
    pub(super) fn check(&mut self) {
        let list = self.list();
        assert!(list.count() <= 64);
        let mut tokens = Vec::new();
        for number in 0..list.count() {
            let entry = list.entry(number);
            assert!((0..=64).contains(&entry.condition_count()));
            let unsatisfied = (0..entry.conditions()).filter(|index| !entry.condition(*index).is_satisfied()).count();
            assert!(entry.waiting() >= unsatisfied as i32, "{} waiting, {unsatisfied} unsatisfied", entry.waiting());
            tokens.push(entry.task_token());
        }
        tokens.sort_unstable();
        assert!(tokens.windows(2).all(|pair| pair[0] != pair[1]));
    }

    pub(super) fn waiting(&mut self) -> Waiting {
        let (list, side) = self.parts();
        waiting(list, side)
    }
}

/// A ring of any length.
#[derive(Default)]
pub(super) struct Ring {
    pub(super) messages: VecDeque<Message>,
    pub(super) tail: u64,
    /// Messages from here on are claimed, not published.
    pub(super) gap: Option<u64>,
    pub(super) run: Option<u32>,
    pub(super) consumes: usize,
    /// Most messages given back at once.
    pub(super) longest: u32,
}

impl Ring {
    pub(super) fn of(messages: impl IntoIterator<Item = Message>) -> Self {
        Self { messages: messages.into_iter().collect(), ..Self::default() }
    }

    pub(super) fn push(&mut self, message: Message) {
        self.messages.push_back(message);
    }
}

impl Source for Ring {
    fn tail(&self) -> u64 {
        self.tail
    }
    fn peek(&mut self, offset: u32) -> Option<Message> {
        if self.gap.is_some_and(|gap| self.tail + u64::from(offset) >= gap) {
            return None;
        }
        self.messages.get(offset as usize).copied()
    }
    fn consume(&mut self, count: u32) -> bool {
        assert!(count > 0 && count as usize <= self.messages.len());
        self.messages.drain(..count as usize);
        self.tail += u64::from(count);
        self.consumes += 1;
        self.longest = self.longest.max(count);
        true
    }
    fn run(&self) -> Option<u32> {
        self.run
    }
    fn identity(&self) -> u64 {
        64
    }
}

/// Counters, and what became of tasks.
pub(super) struct World {
    pub(super) counters: Vec<u32>,
    pub(super) records: Vec<u64>,
    pub(super) completes: bool,
    /// Slots whose completion fails.
    pub(super) failing: Vec<u64>,
    pub(super) completed: Vec<u64>,
    /// Counter and threshold of each retired condition.
    pub(super) retired: Vec<(u64, u32)>,
    pub(super) invalidated: Vec<u64>,
    pub(super) reports: Vec<Failure>,
    /// A poll of the caller's; counts its calls.
    pub(super) own_poll: Option<fn(ConditionRef) -> Poll>,
    pub(super) polls: usize,
}

impl World {
    pub(super) fn new(counters: usize) -> Self {
        Self {
            counters: vec![0; counters],
            records: vec![0; counters],
            completes: true,
            failing: Vec::new(),
            completed: Vec::new(),
            retired: Vec::new(),
            invalidated: Vec::new(),
            reports: Vec::new(),
            own_poll: None,
            polls: 0,
        }
    }

    pub(super) fn passive() -> Self {
        Self { completes: false, ..Self::new(4) }
    }

    /// A condition on counter `index`.
    pub(super) fn counter(&self, token: u64, index: usize, expected: u32) -> Message {
        Message {
            task_token: token,
            addr: self.counters.as_ptr().wrapping_add(index) as u64,
            expected_value: expected,
            engine: 7,
            completion_type: COUNTER,
            kind: CONDITION,
            backend_cookie: 0,
        }
    }

    /// A condition on record `index`.
    pub(super) fn record(&self, token: u64, index: usize, post: u64) -> Message {
        Message {
            addr: self.records.as_ptr().wrapping_add(index) as u64,
            backend_cookie: post,
            expected_value: 0,
            completion_type: SDMA_EVENT_RECORD,
            ..self.counter(token, 0, 0)
        }
    }

    pub(super) fn set(&mut self, index: usize, value: u32) {
        // SAFETY: a counter; volatile, since the list reads it by its address.
        unsafe { self.counters.as_mut_ptr().wrapping_add(index).write_volatile(value) };
    }

    pub(super) fn set_record(&mut self, index: usize, value: u64) {
        // SAFETY: a record, as above.
        unsafe { self.records.as_mut_ptr().wrapping_add(index).write_volatile(value) };
    }
}

/// The sentinel of `token`.
pub(super) fn done(token: u64, slot: u64) -> Message {
    Message { task_token: token, addr: slot, kind: NORMAL_DONE, ..Message::default() }
}

impl Sink for World {
    fn completes(&self) -> bool {
        self.completes
    }
    fn complete(&mut self, slot: u64) -> Result<(), i32> {
        assert!(self.completes);
        if self.failing.contains(&slot) {
            return Err(5);
        }
        self.completed.push(slot);
        Ok(())
    }
    fn poll(&mut self, condition: ConditionRef) -> Option<Poll> {
        self.polls += 1;
        self.own_poll.map(|poll| poll(condition))
    }
    fn polls(&self) -> bool {
        self.own_poll.is_some()
    }
    fn retire(&mut self, condition: ConditionRef) {
        assert!(condition.is_satisfied() && condition.retired_byte() == 0);
        self.retired.push((condition.addr(), condition.expected_value()));
    }
    fn invalidate(&mut self, line: u64, _: usize) {
        self.invalidated.push(line);
    }
    fn report(&mut self, failure: &Failure) {
        self.reports.push(*failure);
    }
}

/// Numbers without a pattern.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % limit
    }
}

/// The address of a condition kept apart from any list.
pub(super) fn lone(memory: &mut [u64; 6]) -> ConditionRef {
    // SAFETY: memory of a condition.
    unsafe { ConditionRef::new(memory.as_mut_ptr().cast::<c_void>()) }
}

/// Runs `edit` at the completion of the task whose slot is 0x1009; counters are polled by the list itself.
pub(super) struct Editor<F> {
    edit: F,
    pub(super) completed: Vec<u64>,
}

impl<F: FnMut()> Editor<F> {
    pub(super) fn new(edit: F) -> Self {
        Self { edit, completed: Vec::new() }
    }
}

impl<F: FnMut()> Sink for Editor<F> {
    fn completes(&self) -> bool {
        true
    }
    fn complete(&mut self, slot: u64) -> Result<(), i32> {
        self.completed.push(slot);
        if slot == 0x1009 {
            (self.edit)();
        }
        Ok(())
    }
    fn retire(&mut self, _: ConditionRef) {}
    fn invalidate(&mut self, _: u64, _: usize) {}
    fn report(&mut self, _: &Failure) {}
}
