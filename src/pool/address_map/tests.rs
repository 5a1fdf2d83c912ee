//! Tests of the address map on one thread and on several.

mod model;

use super::*;
use crate::status::lanepipe_status_t::{LANEPIPE_E_INVALID, LANEPIPE_E_TOO_LARGE};
use std::sync::atomic::{AtomicU64, Ordering as StdOrdering};

fn map() -> AddressMap {
    AddressMap::new().unwrap()
}

fn block(base: u64, size: u64, host: u64) -> Range {
    Range { base, size, host, first_id: 0, stride: 0, count: 0 }
}

fn found(host: u64, id: u32) -> Option<Resolved> {
    Some(Resolved { host, id })
}

#[test]
fn exact_mappings_come_first_and_may_be_null() {
    let map = map();
    map.insert_range(Range { base: 0x1000, size: 0x300, host: 0x9000, first_id: 5, stride: 0x100, count: 3 }).unwrap();
    map.insert_exact(0x1100, 0, 0).unwrap();
    map.insert_exact(0x1101, 0x77, 9).unwrap();
    assert_eq!(map.resolve(0x1000), found(0x9000, 5));
    assert_eq!(map.resolve(0x1100), found(0, 6));
    assert_eq!(map.resolve(0x1101), found(0x77, 9));
    assert_eq!(map.resolve(0x1102), found(0x9102, 0));
    assert_eq!(map.resolve(0x1300), None);
    assert_eq!(map.resolve(0), None);
    map.insert_exact(0, 0x55, 1).unwrap();
    assert_eq!(map.resolve(0), found(0x55, 1));
    assert!(map.contains_exact(0) && map.remove_exact(0) && !map.remove_exact(0) && !map.contains_exact(0));
    assert_eq!(map.range_base(0x1102), Some(0x1000));
    assert_eq!(map.remove_ranges_at(0x1000), 1);
    assert_eq!(map.resolve(0x1102), None);
    assert_eq!(map.resolve(0x1100), found(0, 0));
}

#[test]
fn a_range_at_the_same_base_replaces_the_earlier_one() {
    let map = map();
    map.insert_range(block(0x1000, 0x1000, 0x10_0000)).unwrap();
    map.insert_range(block(0x1800, 0x1000, 0x20_0000)).unwrap();
    assert_eq!(map.resolve(0x1900), found(0x20_0100, 0));
    map.insert_range(block(0x1000, 0x40, 0x30_0000)).unwrap();
    assert_eq!(map.resolve(0x1000), found(0x30_0000, 0));
    assert_eq!(map.resolve(0x1040), None);
    assert_eq!(map.remove_ranges_at(0x1800), 1);
    assert_eq!(map.resolve(0x1900), None);
}

#[test]
fn refuses_ranges_that_leave_the_address_space() {
    let map = map();
    let good = Range { base: 0x1000, size: 0x400, host: 0x9000, first_id: 1, stride: 0x100, count: 4 };
    let bad = [
        Range { size: 0, ..good },
        Range { base: u64::MAX - 0x3fe, ..good },
        Range { host: u64::MAX - 0x3fe, ..good },
        Range { base: u64::MAX, size: u64::MAX, ..good },
        Range { host: u64::MAX, ..good },
        Range { count: 5, ..good },
        Range { stride: 0, ..good },
        Range { stride: u64::MAX, ..good },
        Range { stride: 0x201, ..good },
        Range { first_id: u32::MAX - 2, ..good },
    ];
    for range in bad {
        assert_eq!(map.insert_range(range), Err(LANEPIPE_E_INVALID), "{range:?}");
    }
    assert_eq!(map.resolve(0x1000), None);
    map.insert_range(good).unwrap();
    assert_eq!(map.resolve(0x1300), found(0x9300, 4));
}

#[test]
fn reaches_both_ends_of_the_address_space() {
    let map = map();
    let top = block(u64::MAX - 0x80, 0x80, 0x1000);
    map.insert_range(top).unwrap();
    map.insert_range(block(0, u64::MAX, 0)).unwrap();
    map.insert_exact(u64::MAX, 3, 3).unwrap();
    assert_eq!(map.resolve(0), found(0, 0));
    assert_eq!(map.resolve(u64::MAX - 1), found(u64::MAX - 1, 0));
    assert_eq!(map.resolve(u64::MAX), found(3, 3));
    assert_eq!(map.remove_ranges_at(0), 1);
    assert_eq!(map.resolve(u64::MAX - 1), found(0x107f, 0));
    assert_eq!(map.range_base(u64::MAX), None);
    assert_eq!(map.resolve(u64::MAX - 0x81), None);
}

#[test]
fn a_range_may_end_with_the_address_space() {
    let map = map();
    for size in [1, 0x40, 0x1000] {
        map.insert_range(block(u64::MAX - (size - 1), size, 0x10_0000)).unwrap();
        assert_eq!(map.resolve(u64::MAX), found(0x10_0000 + size - 1, 0));
        assert_eq!(map.range_base(u64::MAX), Some(u64::MAX - (size - 1)));
        assert_eq!((map.resolve(0), map.resolve(u64::MAX - size)), (None, None));
    }
}

#[test]
fn adjacent_tiny_blocks_keep_apart() {
    let map = map();
    for block_number in 0..4096_u64 {
        let base = 0x7f00_0000_0010 + block_number * 16;
        map.insert_range(Range { base, size: 16, host: block_number << 20, first_id: 1, stride: 16, count: 1 })
            .unwrap();
    }
    for offset in 0..4096 * 16 {
        let expected = Resolved { host: ((offset / 16) << 20) + offset % 16, id: u32::from(offset % 16 == 0) };
        assert_eq!(map.resolve(0x7f00_0000_0010 + offset), Some(expected));
    }
    assert_eq!(map.resolve(0x7f00_0000_000f), None);
    assert_eq!(map.resolve(0x7f00_0000_0010 + 4096 * 16), None);
}

/// Blocks as the collectors have them: registered as alloc_and_register_block does.
fn register_blocks(map: &AddressMap, blocks: u64) -> Vec<(u64, u64)> {
    let sizes = [64, 32064, 1_048_640, 524_352, 32832, 4_784_192, 41024, 134_217_728];
    let mut base = 0x7e00_0000_0040;
    let mut all = Vec::new();
    for number in 0..blocks {
        let size = sizes[(number % 8) as usize];
        map.insert_exact(base, base ^ (1 << 46), 0).unwrap();
        map.insert_range(block(base, size, base ^ (1 << 46))).unwrap();
        all.push((base, size));
        base += size.next_multiple_of(64) + 64 * (number % 3);
    }
    all
}

#[test]
fn grows_to_a_hundred_thousand_mappings_in_bounded_memory() {
    let mut map = map();
    let empty = map.memory();
    for blocks in [1_000, 10_000, 50_000] {
        map.clear();
        let all = register_blocks(&map, blocks);
        for (base, size) in &all {
            for dev in [*base, base + 1, base + size / 2, base + size - 1] {
                assert_eq!(map.resolve(dev).map(|found| found.host), Some(dev ^ (1 << 46)));
            }
        }
        // Records: all but the chunk begun last are full, and each is as large as all before together.
        let records = 2 * (blocks as usize + 64) * (16 + 64);
        let tables = map.memory() - records.min(map.memory());
        assert!(
            tables <= 2 * (map.exact.table.current_bytes() + map.ranges.table.current_bytes()),
            "{} bytes",
            map.memory()
        );
    }
    map.clear();
    assert_eq!(map.resolve(0x7e00_0000_0040), None);
    assert!(map.memory() <= empty);
}

#[test]
fn overwriting_and_registering_again_takes_no_memory() {
    let map = map();
    map.insert_exact(0x40, 1, 5).unwrap();
    let before = map.memory();
    for host in 0..100_000 {
        map.insert_exact(0x40, host, 5).unwrap();
        if host % 2 == 0 {
            assert!(map.remove_exact(0x40));
        }
    }
    assert_eq!(map.memory(), before);
    assert_eq!(map.resolve(0x40), found(99_999, 5));
}

#[test]
fn a_stale_range_costs_a_live_one_nothing() {
    let map = map();
    // The allocator hands out the same address again and again; nobody tells the map about the frees.
    for round in 1..=20_000_u64 {
        map.insert_range(block(0x10_0000, 0x1000 + round, round << 24)).unwrap();
    }
    assert_eq!(map.resolve(0x10_0001), found((20_000 << 24) + 1, 0));
    assert_eq!(map.remove_ranges_at(0x10_0000), 1);
    assert_eq!(map.resolve(0x10_0001), None);
}

#[test]
fn probe_runs_stay_short() {
    for stride in [64, 4096, 32064, 32832, 65536, 1_048_640, 524_352, 4_784_192, 41024, 134_217_728, 2 << 20] {
        let map = map();
        for number in 0..32_768 {
            map.insert_exact(0x7f12_3456_7000 + number * stride, number, 0).unwrap();
        }
        let longest = map.exact.table.longest_run();
        assert!(longest <= 8, "stride {stride}: {longest} full buckets in a row");
    }
}

#[test]
fn too_many_mappings_are_refused() {
    let (records, mut writer) = super::records::Store::<u64>::new(0);
    writer.len = MAX_MAPPINGS;
    assert_eq!(records.reserve(&writer), Err(LANEPIPE_E_TOO_LARGE));
}

#[test]
fn visiting_bases_may_change_the_map() {
    let map = map();
    register_blocks(&map, 20);
    let mut bases = 0;
    map.for_each_base(|base| {
        bases += 1;
        assert!(map.remove_exact(base));
        assert_eq!(map.remove_ranges_at(base), 1);
        map.insert_exact(base + 1, 1, 1).unwrap();
    });
    assert_eq!(bases, 20);
}

/// Readers check every published mapping while a writer registers, overwrites, removes and registers again.
#[test]
fn readers_beside_a_writer() {
    let rounds: u64 = if cfg!(miri) { 40 } else { 20_000 };
    let map = AddressMap::with_bits(1, 0).unwrap();
    let published = AtomicU64::new(0);
    let base_of = |number: u64| 0x7000_0000_0000 + number * 0x180;
    std::thread::scope(|scope| {
        for seed in 1..=2_u64 {
            let (map, published) = (&map, &published);
            scope.spawn(move || {
                let mut random = seed;
                loop {
                    let count = published.load(StdOrdering::Acquire);
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    if count > 0 {
                        let number = (random >> 33) % count;
                        let dev = base_of(number) + (random >> 20) % 0x180;
                        // Every third block is removed and registered again.
                        match map.resolve(dev) {
                            Some(found) => assert_eq!(found.host & 0xffff_ffff, dev & 0xffff_ffff),
                            None => assert_eq!(number % 3, 0),
                        }
                        let newest = base_of(count - 1);
                        assert!((count - 1) % 3 == 0 || map.range_base(newest + 1) == Some(newest));
                    }
                    if count == rounds {
                        break;
                    }
                }
            });
        }
        for number in 0..rounds {
            let base = base_of(number);
            map.insert_range(block(base, 0x180, base)).unwrap();
            map.insert_exact(base, base, 0).unwrap();
            published.store(number + 1, StdOrdering::Release);
            if number % 3 == 0 {
                assert_eq!(map.remove_ranges_at(base), 1);
                assert!(map.remove_exact(base));
                let host = base + (1 << 40);
                map.insert_range(Range { base, size: 0x180, host, first_id: 1, stride: 0x180, count: 1 }).unwrap();
                map.insert_exact(base, host, 2).unwrap();
            }
        }
    });
}

#[test]
fn a_range_tells_how_much_is_left_of_it() {
    let map = map();
    map.insert_range(block(0x1000, 0x100, 0x10_0000)).unwrap();
    map.insert_exact(0x1080, 0x20_0000, 0).unwrap();
    let rest = |dev| map.rest_of_range(dev);
    assert_eq!((rest(0x1000), rest(0x10ff), rest(0x1080)), (Some(0x100), Some(1), None));
    assert_eq!((rest(0xfff), rest(0x1100)), (None, None));
}
