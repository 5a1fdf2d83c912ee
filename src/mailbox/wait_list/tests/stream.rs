//! Random streams against a map.

use super::support::*;
use std::collections::HashMap;

/// What is known of a task.
#[derive(Default)]
struct Known {
    /// Counters and thresholds.
    conditions: Vec<(usize, u32)>,
    sentinel: bool,
    completed: bool,
}

const COUNTERS: usize = 96;

struct Run {
    lists: Lists,
    world: World,
    ring: Ring,
    known: HashMap<u64, Known>,
    open: Vec<u64>,
    random: Random,
    next: u64,
    values: Vec<u32>,
    retired: usize,
}

impl Run {
    fn new(lists: Lists, seed: u64) -> Self {
        Self {
            lists,
            world: World::new(COUNTERS),
            ring: Ring::default(),
            known: HashMap::new(),
            open: Vec::new(),
            random: Random(seed),
            next: 1,
            values: vec![0; COUNTERS],
            retired: 0,
        }
    }

    /// Some messages of open tasks and new ones.
    fn produce(&mut self, wide: bool) {
        for _ in 0..self.random.below(40) {
            if self.open.len() < 80 && (self.open.is_empty() || self.random.below(4) == 0) {
                self.open.push(self.next);
                self.known.insert(self.next, Known::default());
                self.next += 1;
            }
            let place = self.random.below(self.open.len() as u64) as usize;
            let token = self.open[place];
            let known = self.known.get_mut(&token).unwrap();
            let most = if wide && token.is_multiple_of(7) { 90 } else { 5 };
            if known.conditions.len() < most && self.random.below(if most == 5 { 3 } else { 60 }) != 0 {
                let counter = self.random.below(COUNTERS as u64) as usize;
                let expected = self.values[counter] + self.random.below(3) as u32;
                known.conditions.push((counter, expected));
                let message = self.world.counter(token, counter, expected);
                self.ring.push(message);
            } else {
                known.sentinel = true;
                self.ring.push(done(token, token << 8));
                self.open.swap_remove(place);
            }
        }
    }

    fn advance(&mut self) {
        for _ in 0..self.random.below(60) {
            let counter = self.random.below(COUNTERS as u64) as usize;
            self.values[counter] += 1;
            self.world.set(counter, self.values[counter]);
        }
    }

    /// Each completion is the first, after the sentinel, after all conditions held.
    fn audit(&mut self) {
        for slot in std::mem::take(&mut self.world.completed) {
            let known = self.known.get_mut(&(slot >> 8)).unwrap();
            assert!(known.sentinel && !known.completed, "{slot:#x}");
            for (counter, expected) in &known.conditions {
                assert!(self.values[*counter] >= *expected, "{slot:#x}: {counter} below {expected}");
            }
            known.completed = true;
            self.retired += known.conditions.len();
        }
    }

    fn turn(&mut self, wide: bool) {
        self.produce(wide);
        match self.random.below(4) {
            0 => {
                let outcome = self.lists.drain(&mut self.ring, &mut self.world);
                assert_eq!(outcome.failure, None);
            }
            1 => self.advance(),
            _ => {
                if self.lists.gate(&self.ring) {
                    let outcome = self.lists.poll(&mut self.ring, &mut self.world);
                    assert_eq!(outcome.failure, None);
                }
            }
        }
        self.audit();
    }

    fn finish(&mut self) {
        for token in std::mem::take(&mut self.open) {
            self.known.get_mut(&token).unwrap().sentinel = true;
            self.ring.push(done(token, token << 8));
        }
        (0..COUNTERS).for_each(|counter| {
            self.values[counter] = u32::MAX;
            self.world.set(counter, u32::MAX);
        });
        let mut rounds = 0;
        while self.lists.gate(&self.ring) {
            let outcome = self.lists.poll(&mut self.ring, &mut self.world);
            assert_eq!(outcome.failure, None);
            rounds += 1;
            assert!(rounds < 5000, "{} entries, {:?}", self.lists.list().count(), self.lists.waiting());
        }
        self.audit();
        assert!(self.known.values().all(|known| known.completed));
        // Merged conditions retire once for all they stand for.
        assert!(self.world.retired.len() <= self.retired);
    }
}

fn run(lists: impl Fn() -> Lists, wide: bool) {
    for seed in 0..if cfg!(miri) { 1 } else { 4 } {
        let mut run = Run::new(lists(), 0x9e37 + seed * 7919);
        for _ in 0..if cfg!(miri) { 20 } else { 120 } {
            run.turn(wide);
        }
        run.finish();
        assert!(run.known.len() > 64);
    }
}

#[test]
fn native_lists_complete_every_task_once() {
    run(Lists::native, false);
    run(Lists::native, true);
}

#[test]
fn lists_without_a_side_area_complete_every_task_once() {
    run(Lists::compat, false);
    run(Lists::compat, true);
}

#[test]
fn lists_without_a_side_area_may_be_polled_by_the_library_too() {
    let make = || {
        let mut lists = Lists::compat();
        lists.foreign = false;
        lists
    };
    run(make, true);
}

#[test]
fn a_budget_loses_nothing() {
    let make = |native: bool| {
        move || {
            let mut lists = if native { Lists::native() } else { Lists::compat() };
            lists.mode.budget = 7;
            lists
        }
    };
    run(make(true), true);
    // Wide tasks would leave a full list no room to hold messages.
    run(make(false), false);
}
