//! The map against a plain reference, with random operations.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What the map is to do, in the plainest way.
#[derive(Default)]
struct Reference {
    exact: BTreeMap<u64, (u64, u32)>,
    /// Live ranges, oldest first.
    ranges: Vec<Range>,
}

impl Reference {
    fn range(&self, dev: u64) -> Option<&Range> {
        self.ranges.iter().rev().find(|range| range.base <= dev && dev - range.base < range.size)
    }

    fn range_id(&self, dev: u64) -> u32 {
        self.range(dev).map_or(0, |range| {
            let offset = dev - range.base;
            let stride = if range.stride == 0 { range.size } else { range.stride };
            let index = offset / stride;
            let is_buffer = offset.is_multiple_of(stride) && index < u64::from(range.count);
            if is_buffer { range.first_id + index as u32 } else { 0 }
        })
    }

    fn resolve(&self, dev: u64) -> Option<Resolved> {
        if let Some((host, id)) = self.exact.get(&dev) {
            return found(*host, if *id != 0 { *id } else { self.range_id(dev) });
        }
        let range = self.range(dev)?;
        found(range.host + (dev - range.base), self.range_id(dev))
    }

    fn insert_range(&mut self, range: Range) {
        self.ranges.retain(|old| old.base != range.base);
        self.ranges.push(range);
    }

    fn bases(&self) -> BTreeSet<u64> {
        let exact = self.exact.keys().map(|dev| self.range(*dev).map_or(*dev, |range| range.base));
        exact.chain(self.ranges.iter().map(|range| range.base)).filter(|base| *base != 0).collect()
    }

    /// Addresses where something begins or ends, and their neighbours.
    fn edges(&self) -> BTreeSet<u64> {
        let ranges = self.ranges.iter().flat_map(|range| [range.base, range.base + range.size]);
        let starts = ranges.chain(self.exact.keys().copied()).chain([0, u64::MAX]);
        starts.flat_map(|dev| [dev.wrapping_sub(1), dev, dev.wrapping_add(1), dev.wrapping_add(64)]).collect()
    }
}

#[derive(Debug, Clone)]
enum Op {
    InsertExact(u64, u64, u32),
    RemoveExact(u64),
    InsertRange(Range),
    RemoveRanges(u64),
    Lookup(u64),
}

/// Addresses close together, so that blocks meet, overlap and come again.
fn address() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => (0_u64..64).prop_map(|slot| 0x7000_0000_0000 + slot * 64),
        2 => (0_u64..512).prop_map(|offset| 0x7000_0000_0000 + offset),
        2 => (0_u64..16).prop_map(|page| 0x7000_0000_0000 + page * 0x8000),
        1 => 0_u64..200,
        1 => (1_u64..5000).prop_map(|distance| u64::MAX - distance),
        1 => Just(0_u64),
    ]
}

fn size() -> impl Strategy<Value = u64> {
    const SIZES: [u64; 14] =
        [1, 16, 63, 64, 65, 127, 128, 4096, 32064, 32832, 41024, 1_048_640, 4_784_192, 134_217_728];
    prop_oneof![3 => Just(64_u64), 3 => proptest::sample::select(&SIZES[..]), 2 => 1_u64..300]
}

fn any_range() -> impl Strategy<Value = Range> {
    (address(), size(), 1_u64..1 << 40, 1_u32..1000, 0_u32..6, 0_u64..3).prop_map(
        |(base, size, host, first_id, count, gap)| {
            let size = size.min(u64::MAX - base).max(1);
            let stride = (size / u64::from(count.max(1))).saturating_sub(gap).max(1);
            let count = if count > 1 && (size - 1) / stride < u64::from(count - 1) { 1 } else { count };
            Range { base, size, host, first_id, stride, count }
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (address(), 0_u64..1 << 40, 0_u32..3).prop_map(|(dev, host, id)| Op::InsertExact(dev, host, id)),
        1 => address().prop_map(Op::RemoveExact),
        4 => any_range().prop_map(Op::InsertRange),
        2 => address().prop_map(Op::RemoveRanges),
        4 => (address(), 0_u64..40_000).prop_map(|(dev, offset)| Op::Lookup(dev.saturating_add(offset))),
    ]
}

fn compare(map: &AddressMap, reference: &Reference, dev: u64) {
    assert_eq!(map.resolve(dev), reference.resolve(dev), "{dev:#x}");
    assert_eq!(map.range_base(dev), reference.range(dev).map(|range| range.base), "{dev:#x}");
    assert_eq!(map.contains_exact(dev), reference.exact.contains_key(&dev), "{dev:#x}");
}

fn run(map: &AddressMap, ops: &[Op]) {
    let mut reference = Reference::default();
    for op in ops {
        match *op {
            Op::InsertExact(dev, host, id) => {
                map.insert_exact(dev, host, id).unwrap();
                reference.exact.insert(dev, (host, id));
            }
            Op::RemoveExact(dev) => assert_eq!(map.remove_exact(dev), reference.exact.remove(&dev).is_some()),
            Op::InsertRange(range) => {
                map.insert_range(range).unwrap();
                reference.insert_range(range);
            }
            Op::RemoveRanges(base) => {
                let before = reference.ranges.len();
                reference.ranges.retain(|range| range.base != base);
                assert_eq!(map.remove_ranges_at(base), before - reference.ranges.len());
            }
            Op::Lookup(dev) => compare(map, &reference, dev),
        }
    }
    let edges: Vec<u64> = reference.edges().into_iter().collect();
    edges.iter().for_each(|dev| compare(map, &reference, *dev));
    let mut visited = 0;
    map.resolve_each(&edges, |index, found| {
        assert_eq!((index, found), (visited, reference.resolve(edges[index])));
        visited += 1;
    });
    assert_eq!(visited, edges.len());

    let expected: Vec<u64> = reference.bases().into_iter().collect();
    let mut bases = Vec::new();
    map.for_each_base(|base| bases.push(base));
    assert_eq!(bases, expected);
    assert_eq!(std::iter::successors(map.next_base(0), |last| map.next_base(*last)).collect::<Vec<_>>(), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 600 }))]

    #[test]
    fn behaves_like_the_reference(
        bits in 1_u32..5,
        first in proptest::collection::vec(op(), 1..150),
        second in proptest::collection::vec(op(), 1..60),
    ) {
        let mut map = AddressMap::with_bits(bits, bits - 1).unwrap();
        run(&map, &first);
        map.clear();
        run(&map, &second);
    }

    #[test]
    fn finds_ids_by_any_stride(stride in 1_u64..100_000, count in 1_u32..2000, probe in 0_u64..1 << 28) {
        let map = map();
        let size = stride * u64::from(count) + probe % 64;
        let range = Range { base: 0x10_0040, size, host: 0x5000, first_id: 77, stride, count };
        map.insert_range(range).unwrap();
        let mut reference = Reference::default();
        reference.insert_range(range);
        let offset = probe % size;
        for offset in [offset, offset / stride * stride, offset / stride * stride + 1, size - 1] {
            compare(&map, &reference, range.base + offset);
        }
    }
}
