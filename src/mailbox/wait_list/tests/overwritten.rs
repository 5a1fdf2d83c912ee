//! Side areas that somebody wrote over: a status, an error or a longer way, and no access outside of list and area.

use super::support::*;
use crate::mailbox::wait_list::*;
use crate::status::Status;
use std::ops::Range;

/// Room for messages in the areas.
const OVERFLOW: u32 = 8;

/// A sink that looks at what it is given.
struct Watch {
    counters: Range<u64>,
    slots: Range<u64>,
}

impl Sink for Watch {
    fn completes(&self) -> bool {
        true
    }
    fn complete(&mut self, slot: u64) -> Result<(), i32> {
        assert!(self.slots.contains(&slot), "slot {slot:#x}");
        Ok(())
    }
    fn poll(&mut self, condition: ConditionRef) -> Option<Poll> {
        assert!(self.counters.contains(&condition.counter_addr()), "{:#x}", condition.counter_addr());
        Some(Poll::Pending)
    }
    fn polls(&self) -> bool {
        true
    }
    fn retire(&mut self, _: ConditionRef) {}
    fn invalidate(&mut self, _: u64, _: usize) {}
    fn report(&mut self, _: &Failure) {}
}

/// Three tasks that wait, the first with a full array and two more conditions that are held.
fn waiting_lists(world: &World, ring: &mut Ring) -> Lists {
    let mut lists = Lists::new(Some(OVERFLOW), 0xa5a5_a5a5_a5a5_a5a5);
    ring.messages.extend((0..66).map(|at| world.counter(1, at, 1)));
    ring.messages.extend([world.counter(2, 0, 1), world.counter(3, 1, 1), done(2, 0x1002)]);
    let mut watch = watch(world);
    let mode = lists.mode;
    let (list, side) = lists.parts();
    // Behind the live conditions lie some that would be polled.
    for entry in (0..3).map(|number| list.entry(number)) {
        (0..64).for_each(|at| entry.condition(at).set_satisfied_byte(0));
    }
    assert_eq!(poll(list, side, mode, ring, &mut watch).parked, 2);
    lists
}

fn watch(world: &World) -> Watch {
    let counters = world.counters.as_ptr_range();
    Watch { counters: counters.start as u64..counters.end as u64, slots: 0x1000..0x1010 }
}

fn word(lists: &mut Lists, at: usize) -> *mut u64 {
    lists.area().unwrap().cast::<u64>().wrapping_add(at)
}

#[test]
fn no_word_of_an_area_leads_out_of_it() {
    let world = World::new(80);
    let mut random = Random(7);
    let words = SideArea::required_size(OVERFLOW).unwrap() / 8;
    let mut corrupt = 0;
    for at in 0..words {
        let any = random.below(u64::MAX);
        for value in [0, 1, u64::MAX, 0x4040_4040_4040_4040, any] {
            let mut ring = Ring::default();
            let mut lists = waiting_lists(&world, &mut ring);
            // SAFETY: inside the area, which nobody else uses.
            unsafe { word(&mut lists, at).write(value) };
            ring.messages.extend([1, 2, 4].map(|token| world.counter(token, 5, 1)));
            ring.messages.extend([done(3, 0x1003), done(1, 0x1001)]);
            let (area, list, mode) = (lists.area().unwrap(), lists.list(), lists.mode);
            let beyond = list.entry(63);
            let fields = || (beyond.condition_count(), beyond.waiting(), beyond.slot_state(), beyond.task_token());
            let before = fields();
            for _ in 0..2 {
                // SAFETY: the list's area; this thread has the lock.
                match unsafe { SideArea::enter(area) } {
                    Ok(side) => {
                        poll(list, Some(side), mode, &mut ring, &mut watch(&world));
                    }
                    Err(status) => {
                        assert_eq!(status, Status::LANEPIPE_E_CORRUPT);
                        corrupt += 1;
                    }
                }
            }
            assert_eq!(fields(), before, "not a live entry");
        }
    }
    assert!(corrupt > 0);
}

#[test]
fn counts_of_messages_that_somebody_wrote_over_are_corrupt() {
    let world = World::new(80);
    let mut ring = Ring::default();
    let mut lists = waiting_lists(&world, &mut ring);
    // Those that stand in one word: how many are held and how many can be.
    let counts = u64::from(OVERFLOW) | 2 << 32;
    let words = SideArea::required_size(0).unwrap() / 8;
    // SAFETY: inside the area, which nobody else uses.
    let at = (0..words).find(|at| unsafe { word(&mut lists, *at).read() } == counts).unwrap();
    let place = word(&mut lists, at);
    let area = lists.area().unwrap();
    for (capacity, held) in [(OVERFLOW + 1, 2), (OVERFLOW, 3), (OVERFLOW, 1), (0, 0)] {
        let other = u64::from(capacity) | held << 32;
        // SAFETY: as above.
        unsafe { place.write(other) };
        // SAFETY: the list's area; this thread has the lock.
        assert_eq!(unsafe { SideArea::enter(area) }.unwrap_err(), Status::LANEPIPE_E_CORRUPT);
    }
    // SAFETY: as above.
    unsafe { place.write(counts) };
    assert_eq!(lists.waiting().parked, 2);
}

#[test]
fn an_area_that_was_copied_elsewhere_is_none() {
    let world = World::new(80);
    let mut lists = waiting_lists(&world, &mut Ring::default());
    let mut other = Lists::new(Some(OVERFLOW), 0);
    let (from, to) = (lists.area().unwrap().cast::<u8>(), other.area().unwrap());
    // SAFETY: two areas of one size.
    unsafe { from.copy_to(to.cast(), SideArea::required_size(OVERFLOW).unwrap()) };
    // SAFETY: memory of an area.
    assert_eq!(unsafe { SideArea::enter(to) }.unwrap_err(), Status::LANEPIPE_E_CORRUPT);
}

#[test]
fn a_held_message_of_a_side_area_that_is_lost_stops_everything() {
    let mut world = World::new(80);
    let mut ring = Ring::default();
    let mut lists = waiting_lists(&world, &mut ring);
    ring.push(done(1, 0x1001));
    let held = SideArea::required_size(0).unwrap() / 8;
    // SAFETY: inside the area: the address in its first message.
    unsafe { *word(&mut lists, held + 1) ^= 1 };
    (0..80).for_each(|at| world.set(at, 1));
    for _ in 0..3 {
        let outcome = lists.poll(&mut ring, &mut world);
        assert_eq!(outcome.failure.map(|failure| failure.error), Some(ERROR_REGISTRATION));
    }
    assert_eq!(world.completed, []);
}
