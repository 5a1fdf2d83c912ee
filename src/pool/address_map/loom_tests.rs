//! Models of the address map: readers against insertion, growth, removal and re-registration, and every edge weakened.
//!
//! Readers run on spawned threads and writers on the model's own: loom remembers one last access per object, so a
//! writer's load of a word before its store to it hides an earlier reader from the exploration. Later readers are
//! still offered every value that their happens-before allows. `Seen` makes sure of that.

use super::{AddressMap, Range, Resolved};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::model::{check, must_fail};
use core::sync::atomic::AtomicU32 as Tally;
use loom::sync::Arc;
use loom::thread;

/// A map of two buckets per table with that many entries in each, which grow with the fifth, and far from what the
/// models look up. Each second record takes a new chunk.
fn filled(entries: u64) -> Arc<AddressMap> {
    let map = AddressMap::with_bits(1, 0).unwrap();
    for dev in (1..=entries).map(|entry| entry << 32) {
        map.insert_exact(dev, 0, 0).unwrap();
        map.insert_range(range(dev, 64, 0, 0)).unwrap();
    }
    Arc::new(map)
}

/// A map with room for what a model adds.
fn roomy() -> Arc<AddressMap> {
    Arc::new(AddressMap::with_bits(1, 1).unwrap())
}

fn range(base: u64, size: u64, host: u64, first_id: u32) -> Range {
    Range { base, size, host, first_id, stride: size, count: 1 }
}

fn found(host: u64, id: u32) -> Option<Resolved> {
    Some(Resolved { host, id })
}

/// Runs `read` beside `write`.
fn beside(
    map: &Arc<AddressMap>,
    read: impl FnOnce(&AddressMap) + Send + Sync + 'static,
    write: impl FnOnce(&AddressMap),
) {
    let reader = {
        let map = map.clone();
        thread::spawn(move || read(&map))
    };
    write(map);
    reader.join().unwrap();
}

/// Which of the allowed outcomes the executions of a model had.
struct Seen(Tally);

impl Seen {
    const fn new() -> Self {
        Self(Tally::new(0))
    }

    /// Notes the outcome and fails for one that is not allowed.
    fn note<T: PartialEq + core::fmt::Debug>(&self, outcome: T, allowed: &[T]) {
        let place = allowed.iter().position(|allowed| *allowed == outcome);
        let place = place.unwrap_or_else(|| panic!("{outcome:?} is none of {allowed:?}"));
        self.0.fetch_or(1 << place, Ordering::Relaxed);
    }

    /// Fails unless each of the `count` allowed outcomes was there.
    fn all(&self, count: u32) {
        assert_eq!(self.0.load(Ordering::Relaxed), (1 << count) - 1, "outcomes");
    }
}

/// A reader beside the insertion of `dev`, which needs no growth.
fn exact_insertion(dev: u64, seen: &'static Seen) {
    let map = roomy();
    let read = move |map: &AddressMap| seen.note(map.resolve(dev), &[None, found(0x1000, 7)]);
    beside(&map, read, |map| map.insert_exact(dev, 0x1000, 7).unwrap());
    assert_eq!(map.resolve(dev), found(0x1000, 7));
}

#[test]
fn loom_map_exact() {
    static SEEN: Seen = Seen::new();
    check(3, || exact_insertion(64, &SEEN));
    SEEN.all(2);
}

#[test]
fn loom_map_exact_edges() {
    static SEEN: Seen = Seen::new();
    must_fail("map.M3", 3, || exact_insertion(64, &SEEN));
    must_fail("map.M4", 3, || exact_insertion(64, &SEEN));
}

#[test]
fn loom_map_null() {
    static SEEN: Seen = Seen::new();
    check(3, || exact_insertion(0, &SEEN));
    SEEN.all(2);
}

#[test]
fn loom_map_null_edges() {
    static SEEN: Seen = Seen::new();
    must_fail("map.M3", 3, || exact_insertion(0, &SEEN));
    must_fail("map.M4", 3, || exact_insertion(0, &SEEN));
}

/// A reader beside the insertion of two blocks that meet in one granule: it may find the older one through the link of
/// the newer, with no edge of its own.
fn range_insertion(seen: &'static Seen) {
    let map = roomy();
    let read = |map: &AddressMap| {
        let newer = map.resolve(96).map(|found| found.host);
        let older = map.resolve(65).map(|found| found.host);
        let allowed = [(None, None), (None, Some(0x1001)), (Some(0x2000), Some(0x1001))];
        seen.note((newer, older), &allowed);
    };
    beside(&map, read, |map| {
        map.insert_range(range(64, 32, 0x1000, 1)).unwrap();
        map.insert_range(range(96, 32, 0x2000, 2)).unwrap();
    });
}

/// The same reader, interested in the older block alone.
fn range_behind_link(seen: &'static Seen) {
    let map = roomy();
    let read = |map: &AddressMap| seen.note(map.resolve(64), &[None, found(0x1000, 1)]);
    beside(&map, read, |map| {
        map.insert_range(range(64, 32, 0x1000, 1)).unwrap();
        map.insert_range(range(96, 32, 0x2000, 2)).unwrap();
    });
}

#[test]
fn loom_map_range() {
    static SEEN: [Seen; 2] = [const { Seen::new() }; 2];
    check(3, || range_insertion(&SEEN[0]));
    SEEN[0].all(3);
    check(3, || range_behind_link(&SEEN[1]));
    SEEN[1].all(2);
}

#[test]
fn loom_map_range_edges() {
    static SEEN: Seen = Seen::new();
    must_fail("map.M3", 3, || range_insertion(&SEEN));
    must_fail("map.M4", 3, || range_insertion(&SEEN));
    must_fail("map.M3", 3, || range_behind_link(&SEEN));
    must_fail("map.M4", 3, || range_behind_link(&SEEN));
}

/// A reader beside the growth of the table of exact mappings: what was there stays findable throughout.
fn exact_growth(seen: &'static Seen) {
    let map = filled(3);
    map.insert_exact(64, 0x1000, 1).unwrap();
    let read = |map: &AddressMap| {
        assert_eq!(map.resolve(64), found(0x1000, 1));
        seen.note(map.resolve(640), &[None, found(0x3000, 3)]);
    };
    beside(&map, read, |map| map.insert_exact(640, 0x3000, 3).unwrap());
}

/// The same for ranges.
fn range_growth(seen: &'static Seen) {
    let map = filled(3);
    map.insert_range(range(128, 64, 0x2000, 2)).unwrap();
    let read = |map: &AddressMap| {
        assert_eq!(map.resolve(130), found(0x2002, 0));
        seen.note(map.resolve(704), &[None, found(0x4000, 4)]);
    };
    beside(&map, read, |map| map.insert_range(range(704, 64, 0x4000, 4)).unwrap());
}

#[test]
fn loom_map_growth() {
    static SEEN: [Seen; 2] = [const { Seen::new() }; 2];
    check(3, || exact_growth(&SEEN[0]));
    SEEN[0].all(2);
    check(3, || range_growth(&SEEN[1]));
    SEEN[1].all(2);
}

#[test]
fn loom_map_growth_edges() {
    static SEEN: Seen = Seen::new();
    must_fail("map.M1", 3, || exact_growth(&SEEN));
    must_fail("map.M2", 3, || exact_growth(&SEEN));
    must_fail("map.M1", 3, || range_growth(&SEEN));
    must_fail("map.M2", 3, || range_growth(&SEEN));
}

/// A pointer registered by one thread and handed over by a release/acquire pair of its own is found, while a third
/// thread makes the table grow (and, for ranges, adds a class).
fn handed_over(
    seen: &'static Seen,
    register: fn(&AddressMap),
    grow: fn(&AddressMap),
    look: fn(&AddressMap) -> Option<Resolved>,
    expected: Option<Resolved>,
) {
    let map = filled(3);
    let ready = Arc::new(AtomicU64::new(0));
    let grower = {
        let map = map.clone();
        thread::spawn(move || grow(&map))
    };
    let reader = {
        let (map, ready) = (map.clone(), ready.clone());
        thread::spawn(move || {
            let handed_over = ready.load(Ordering::Acquire) == 1;
            if handed_over {
                assert_eq!(look(&map), expected);
            }
            seen.note(handed_over, &[false, true]);
        })
    };
    register(&map);
    ready.store(1, Ordering::Release);
    reader.join().unwrap();
    grower.join().unwrap();
    assert_eq!(look(&map), expected);
}

#[test]
fn loom_map_handed_over_exact() {
    static SEEN: Seen = Seen::new();
    check(3, || {
        handed_over(
            &SEEN,
            |map| map.insert_exact(64, 0x1000, 1).unwrap(),
            |map| map.insert_exact(640, 0x3000, 3).unwrap(),
            |map| map.resolve(64),
            found(0x1000, 1),
        )
    });
    SEEN.all(2);
}

#[test]
fn loom_map_handed_over_range() {
    static SEEN: Seen = Seen::new();
    check(3, || {
        handed_over(
            &SEEN,
            |map| map.insert_range(range(64, 64, 0x1000, 1)).unwrap(),
            |map| map.insert_range(range(1024, 256, 0x3000, 3)).unwrap(),
            |map| map.resolve(65),
            found(0x1001, 0),
        )
    });
    SEEN.all(2);
}

/// The first ranges of two classes, registered by two threads: neither loses the other's class.
#[test]
fn loom_map_classes() {
    static SEEN: Seen = Seen::new();
    check(3, || {
        let map = Arc::new(AddressMap::with_bits(1, 1).unwrap());
        let other = {
            let map = map.clone();
            thread::spawn(move || map.insert_range(range(1024, 256, 0x2000, 2)).unwrap())
        };
        let reader = {
            let map = map.clone();
            thread::spawn(move || {
                let hosts = [64, 1024].map(|dev| map.resolve(dev).map(|found| found.host));
                let (small, large) = (Some(0x1000), Some(0x2000));
                SEEN.note(hosts, &[[None, None], [small, None], [None, large], [small, large]]);
            })
        };
        map.insert_range(range(64, 64, 0x1000, 1)).unwrap();
        other.join().unwrap();
        reader.join().unwrap();
        assert_eq!(map.resolve(64), found(0x1000, 1));
        assert_eq!(map.resolve(1024), found(0x2000, 2));
    });
    SEEN.all(4);
}

/// A reader of an exact mapping that is removed and registered again, with and without another id: every pair it sees
/// was registered.
#[test]
fn loom_map_exact_again() {
    static SEEN: Seen = Seen::new();
    check(3, || {
        let map = roomy();
        map.insert_exact(64, 0x1000, 1).unwrap();
        let read = |map: &AddressMap| {
            let pairs = [None, found(0x1000, 1), found(0x2000, 1), found(0x3000, 2)];
            SEEN.note(map.resolve(64), &pairs);
        };
        beside(&map, read, |map| {
            assert!(map.remove_exact(64));
            map.insert_exact(64, 0x2000, 1).unwrap();
            map.insert_exact(64, 0x3000, 2).unwrap();
        });
        assert_eq!(map.resolve(64), found(0x3000, 2));
    });
    SEEN.all(4);
}

/// A reader of a range that is removed and registered again somewhere else in host memory, beside a neighbour in the
/// same granule, which it must not lose although the chain changes under it.
#[test]
fn loom_map_range_again() {
    static SEEN: Seen = Seen::new();
    check(3, || {
        let map = roomy();
        map.insert_range(range(96, 32, 0x9000, 9)).unwrap();
        map.insert_range(range(64, 32, 0x1000, 1)).unwrap();
        let read = |map: &AddressMap| {
            SEEN.note(map.resolve(64), &[None, found(0x1000, 1), found(0x2000, 2)]);
            assert_eq!(map.resolve(96), found(0x9000, 9));
        };
        beside(&map, read, |map| {
            assert_eq!(map.remove_ranges_at(64), 1);
            map.insert_range(range(64, 16, 0x2000, 2)).unwrap();
        });
        assert_eq!(map.resolve(80), None);
    });
    SEEN.all(3);
}

/// Removal in the middle of a chain: a reader finds the oldest range whether it passes the removed one or not.
#[test]
fn loom_map_range_unlinked() {
    static SEEN: Seen = Seen::new();
    check(3, || {
        let map = roomy();
        map.insert_range(range(64, 16, 0x1000, 1)).unwrap();
        map.insert_range(range(80, 16, 0x2000, 2)).unwrap();
        map.insert_range(range(96, 16, 0x3000, 3)).unwrap();
        let read = |map: &AddressMap| {
            assert_eq!(map.resolve(64), found(0x1000, 1));
            SEEN.note(map.resolve(80), &[None, found(0x2000, 2)]);
        };
        beside(&map, read, |map| assert_eq!(map.remove_ranges_at(80), 1));
    });
    SEEN.all(2);
}

/// A reader of a range that is replaced by one of `size` at the same base.
fn replacement(size: u64, seen: &'static Seen) {
    let map = roomy();
    map.insert_range(range(64, 64, 0x1000, 1)).unwrap();
    let read = |map: &AddressMap| seen.note(map.resolve(64), &[found(0x1000, 1), found(0x2000, 2), None]);
    beside(&map, read, move |map| map.insert_range(range(64, size, 0x2000, 2)).unwrap());
    assert_eq!(map.resolve(64), found(0x2000, 2));
}

/// Replacement within a class leaves no moment without either range.
#[test]
fn loom_map_range_replaced() {
    static SEEN: Seen = Seen::new();
    check(3, || replacement(65, &SEEN));
    SEEN.all(2);
}

/// Across classes a reader that is not ordered after the registration can miss both.
#[test]
fn loom_map_range_replaced_across_classes() {
    static SEEN: Seen = Seen::new();
    check(3, || replacement(128, &SEEN));
    SEEN.all(3);
}
