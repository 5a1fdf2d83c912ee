//! Messages that the list could not store yet, in the order of their arrival.
//!
//! Two kinds of messages come here: a condition of an entry that is full (*counted*: the entry's waiting count includes
//! it, so that the task cannot complete without it), and every message of a task that has no entry because the list is
//! full. Each drain first tries to store what lies here.

use super::source::Message;

/// One message held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parked {
    pub(super) message: Message,
    /// Whether the entry's waiting count includes it.
    pub(super) counted: bool,
}

/// 64-bit words of a slot.
pub(super) const WORDS: usize = 6;
const SIGNATURE: u64 = 0x6c61_6e65_7769_7431;

/// What a message is held in: five words of its own, and a check sum.
pub(super) type Slot = [u64; WORDS];

fn mix(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
}

/// The check sum of `words` at `place`; zero, stale or random words do not have it.
pub(super) fn check_of(words: &[u64], place: u64) -> u64 {
    words.iter().fold(mix(SIGNATURE, place), |hash, word| mix(hash, *word)) | 1
}

/// The top bit of the last word tells whether the message is counted; below it lies half a check sum.
const COUNTED: u64 = 1 << 63;

/// A message as it is held in slot `index`.
pub(super) fn pack(index: usize, parked: &Parked) -> Slot {
    let message = &parked.message;
    let mut slot = [
        message.task_token,
        message.addr,
        message.backend_cookie,
        u64::from(message.expected_value) | u64::from(message.engine) << 32,
        u64::from(message.completion_type as u32) | u64::from(message.kind) << 32,
        0,
    ];
    slot[5] = check_of(&slot[..5], index as u64 + 1) & !COUNTED | if parked.counted { COUNTED } else { 0 };
    slot
}

/// What [`pack`] made; `None` if that is not what lies there.
pub(super) fn unpack(index: usize, slot: &Slot) -> Option<Parked> {
    if slot[5] & !COUNTED != check_of(&slot[..5], index as u64 + 1) & !COUNTED {
        return None;
    }
    let message = Message {
        task_token: slot[0],
        addr: slot[1],
        backend_cookie: slot[2],
        expected_value: slot[3] as u32,
        engine: (slot[3] >> 32) as u32,
        completion_type: slot[4] as u32 as i32,
        kind: (slot[4] >> 32) as u32,
    };
    Some(Parked { message, counted: slot[5] & COUNTED != 0 })
}

/// Where messages are held.
pub(super) trait Log {
    /// Messages held.
    fn len(&self) -> usize;
    /// Those among them that no waiting count includes.
    fn uncounted(&self) -> usize;
    /// Message `index`, counted from the oldest; `None` if what lies there is not what was put there.
    fn get(&self, index: usize) -> Option<Parked>;
    /// Appends a message; false if there is no room.
    fn push(&mut self, parked: Parked) -> bool;
    /// Writes message `index`, which is held.
    fn set(&mut self, index: usize, parked: Parked);
    /// Keeps the first `len` messages, of which `uncounted` are in no waiting count.
    fn truncate(&mut self, len: usize, uncounted: usize);

    /// Whether one of the first `len` messages is of the task `token`. The latest first: messages of a task come close together.
    fn holds(&self, token: u64, len: usize) -> bool {
        (0..len).rev().any(|index| self.get(index).is_some_and(|parked| parked.message.task_token == token))
    }
}
