//! Private values in padding: hints and self-checking values. Padding may hold anything (contract L6, M18): zero, a former
//! run's bytes, or what a user left there. Nothing that it says changes a result of the ring.

/// Bits of a hint that say how many tickets are taken.
const USED_BITS: u32 = 13;
/// Makes a hint out of zero bytes impossible: the low bits of its negative are above any capacity.
const HINT_KEY: u64 = 0x9e6c_63d0_876a_8b95;
/// Odd. The change of any bit of a hint changes the head that it is about.
const HINT_SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
const HINT_GATHER: u64 = inverse(HINT_SPREAD);
const GAP_KEY: u64 = 0xd1b5_4a32_d192_ed03;
const COUNT_KEY: u32 = 0x2c1b_3c6d;
const STAMP_KEY: u64 = 0x6c70_4d62_7853_7431;
/// Upper half of a stamp: "lpMb".
const SIGNATURE: u64 = 0x6c70_4d62;

const _: () = assert!(HINT_KEY.wrapping_neg() & ((1 << USED_BITS) - 1) > super::layout::CAPACITY as u64);

/// The inverse of an odd number modulo 2^64.
const fn inverse(odd: u64) -> u64 {
    // Each step doubles the bits that are right; an odd number is its own inverse modulo 8.
    let mut inverse = odd;
    let mut bits = 3;
    while bits < u64::BITS {
        inverse = inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse)));
        bits *= 2;
    }
    inverse
}

/// "When the head became `head`, at most `used` tickets were taken": the difference to a tail that its writer had acquired.
///
/// Linear, so that taking tickets adds to a hint ([`hint_after`]) without a look at what it says.
#[inline(always)]
pub(super) const fn hint(head: u64, used: u64) -> u64 {
    (head << USED_BITS).wrapping_add(used).wrapping_add(HINT_KEY).wrapping_mul(HINT_SPREAD)
}

/// What a hint says at `head`: tickets taken, or more than any capacity if it is none or not one about this very head.
#[inline(always)]
pub(super) const fn hint_used(hint: u64, head: u64) -> u64 {
    hint.wrapping_mul(HINT_GATHER).wrapping_sub(HINT_KEY).wrapping_sub(head << USED_BITS)
}

/// The hint after `count` more tickets.
#[inline(always)]
pub(super) const fn hint_after(hint: u64, count: u64) -> u64 {
    hint.wrapping_add(count.wrapping_mul(((1 << USED_BITS) + 1u64).wrapping_mul(HINT_SPREAD)))
}

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

/// The stamp of run `run` and its checksum.
pub(super) const fn stamp(run: u32) -> (u64, u64) {
    let stamp = SIGNATURE << 32 | run as u64;
    (stamp, mix(stamp ^ STAMP_KEY))
}

/// The run number of a stamp, if it is one.
pub(super) const fn stamp_run(stamp: u64, check: u64) -> Option<u32> {
    if stamp >> 32 == SIGNATURE && check == mix(stamp ^ STAMP_KEY) { Some(stamp as u32) } else { None }
}

/// Spreads every bit over the word.
pub(super) const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
