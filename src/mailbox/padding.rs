//! Private values in padding: notes and self-checking values. Padding may hold anything (contract L6, M18): zero, a former
//! run's bytes, or what a user left there. Nothing that it says changes a result of the ring.

const GAP_KEY: u64 = 0xd1b5_4a32_d192_ed03;
const COUNT_KEY: u32 = 0x2c1b_3c6d;
const STAMP_KEY: u64 = 0x6c70_4d62_7853_7431;
/// Upper half of a stamp: "lpMb".
const SIGNATURE: u64 = 0x6c70_4d62;

/// Note of a gap at `ticket`.
#[inline(always)]
pub(super) const fn gap(ticket: u64) -> u64 {
    ticket ^ GAP_KEY
}

const fn count_check(count: u32) -> u32 {
    (count ^ COUNT_KEY).wrapping_mul(0x9e37_79b1)
}

/// A counter of events with its checksum.
pub(super) const fn count(value: u32) -> u64 {
    (count_check(value) as u64) << 32 | value as u64
}

/// What a counter says; 0 if it is none.
pub(super) const fn count_of(word: u64) -> u32 {
    let value = word as u32;
    if (word >> 32) as u32 == count_check(value) { value } else { 0 }
}

/// What a start leaves: the number of its run, and the first ticket of the memory's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    pub(super) run: u32,
    pub(super) first: u64,
}

/// The stamp of a start: run number under a signature, first ticket, checksum.
pub(super) const fn stamp(start: Start) -> [u64; 3] {
    let stamp = SIGNATURE << 32 | start.run as u64;
    [stamp, start.first, mix(mix(stamp ^ STAMP_KEY) ^ start.first)]
}

/// What a stamp says, if it is one.
pub(super) const fn start_of([stamp, first, check]: [u64; 3]) -> Option<Start> {
    if stamp >> 32 == SIGNATURE && check == mix(mix(stamp ^ STAMP_KEY) ^ first) {
        Some(Start { run: stamp as u32, first })
    } else {
        None
    }
}

/// Spreads every bit over the word.
pub(super) const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
