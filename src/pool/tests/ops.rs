//! What the model test draws: operations and geometries.

use super::support::Mode;
use proptest::prelude::*;

/// One operation by hand.
#[derive(Debug, Clone)]
pub enum Op {
    PushReady { shard: u32, count: usize, wait: bool },
    PopReady { shard: u32, max: usize, wait: bool },
    PushDone { shard: u32, count: usize },
    PopDone { shard: u32, max: usize },
    PushRecycled { shard: u32 },
    PopRecycled { shard: u32, kind: u32, max: usize },
    Retire { shard: u32 },
    Quarantine { shard: u32 },
    TakeRetired { shard: Option<u32>, kind: u32 },
    RecycleAll,
    RecycleOne { shard: u32 },
    Recirculate,
    ReleaseQueued,
    Allocate { kind: u32, count: u32, shard: Option<u32>, failure: u8 },
    Register { kind: u32 },
    SetLive { shards: u32 },
    SetWarm { kind: u32, target: u32 },
    SetDemand { shard: u32, kind: u32, demand: u32 },
}

pub fn op() -> impl Strategy<Value = Op> {
    // Arguments run beyond the live shards: folding is part of the contract.
    let shard = || 0u32..9;
    let kind = || 0u32..3;
    prop_oneof![
        4 => (shard(), 0usize..6, any::<bool>()).prop_map(|(shard, count, wait)| Op::PushReady { shard, count, wait }),
        4 => (shard(), 0usize..6, any::<bool>()).prop_map(|(shard, max, wait)| Op::PopReady { shard, max, wait }),
        4 => (shard(), 0usize..6).prop_map(|(shard, count)| Op::PushDone { shard, count }),
        1 => (shard(), 0usize..6).prop_map(|(shard, max)| Op::PopDone { shard, max }),
        1 => shard().prop_map(|shard| Op::PushRecycled { shard }),
        3 => (shard(), kind(), 0usize..6).prop_map(|(shard, kind, max)| Op::PopRecycled { shard, kind, max }),
        1 => shard().prop_map(|shard| Op::Retire { shard }),
        1 => shard().prop_map(|shard| Op::Quarantine { shard }),
        1 => (prop::option::of(shard()), kind()).prop_map(|(shard, kind)| Op::TakeRetired { shard, kind }),
        3 => Just(Op::RecycleAll),
        1 => shard().prop_map(|shard| Op::RecycleOne { shard }),
        1 => Just(Op::Recirculate),
        1 => Just(Op::ReleaseQueued),
        2 => (kind(), 1u32..5, prop::option::of(shard()), 0u8..8)
            .prop_map(|(kind, count, shard, failure)| Op::Allocate { kind, count, shard, failure }),
        1 => kind().prop_map(|kind| Op::Register { kind }),
        1 => (0u32..6).prop_map(|shards| Op::SetLive { shards }),
        1 => (kind(), 0u32..8).prop_map(|(kind, target)| Op::SetWarm { kind, target }),
        1 => (shard(), kind(), 0u32..5).prop_map(|(shard, kind, demand)| Op::SetDemand { shard, kind, demand }),
    ]
}

/// Geometry of a pool.
#[derive(Debug, Clone)]
pub struct Shape {
    pub shards: u32,
    pub kinds: u32,
    pub payload_size: u32,
    pub ready: u32,
    pub done: u32,
    pub recycled: u32,
    pub mode: Mode,
}

pub fn shape() -> impl Strategy<Value = Shape> {
    let mode = prop::sample::select(vec![Mode::Identity, Mode::Register, Mode::Shadow]);
    let payload = prop::sample::select(vec![0u32, 8, 32, 40, 48]);
    (1u32..=4, 1u32..=3, payload, 1u32..=7, 1u32..=40, 1u32..=6, mode).prop_map(
        |(shards, kinds, payload_size, ready, done, recycled, mode)| Shape {
            shards,
            kinds,
            payload_size,
            ready,
            done,
            recycled,
            mode,
        },
    )
}
