//! Tests of the transport on memory of the caller.

mod dirty;
mod hostile;
mod model;
mod progress;
mod ring;
mod stress;

use super::super::layout::{CAPACITY, MAILBOX_SIZE, MsgView, SlabEntry};
use super::super::memory::{Memory, RawMemory, word};
use super::{RawTransport, Transport};
use crate::sync::Word64;
use crate::sync::atomic::Ordering;

/// Memory of a mailbox, all zero, with words around it that nobody may write.
struct Image {
    words: Vec<u64>,
    offset: usize,
}

const WORDS: usize = MAILBOX_SIZE / 8;
const GUARD: u64 = 0x6775_6172_6421_2121;

impl Image {
    fn new() -> Self {
        Self::at(0)
    }

    /// A mailbox `offset` words behind an address that is a multiple of 64.
    fn at(offset: usize) -> Self {
        let mut words = vec![0; WORDS + 32];
        let line = words.as_ptr().addr() % 64 / 8;
        let offset = 8 + (8 - line) % 8 + offset;
        words[..offset].fill(GUARD);
        words[offset + WORDS..].fill(GUARD);
        Self { words, offset }
    }

    fn transport(&mut self) -> RawTransport {
        let address: *mut u64 = self.words.as_mut_ptr().wrapping_add(self.offset);
        // SAFETY: aligned, and the image has that many bytes; tests keep it as long as the transport.
        Transport::new(unsafe { RawMemory::new(address.cast()) })
    }

    /// The mailbox's words, at rest.
    fn words(&mut self) -> &mut [u64] {
        &mut self.words[self.offset..self.offset + WORDS]
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let around = self.words[..self.offset].iter().chain(&self.words[self.offset + WORDS..]);
        assert!(std::thread::panicking() || around.copied().all(|word| word == GUARD), "written outside the mailbox");
    }
}

/// A message whose fields all depend on both numbers.
fn message(token: u64, number: u64) -> MsgView {
    let spread = super::padding::mix(token << 40 ^ number);
    let entry = SlabEntry {
        addr: number,
        backend_cookie: spread,
        expected_value: (spread >> 7) as u32,
        engine: (spread >> 11) as u32,
        completion_type: (spread >> 23) as i32,
        pad: 0,
    };
    MsgView::condition(token, entry)
}

fn get(ring: &RawTransport, index: usize) -> u64 {
    ring.memory.word(index).load(Ordering::Relaxed)
}

fn set(ring: &RawTransport, index: usize, value: u64) {
    ring.memory.word(index).store(value, Ordering::Relaxed);
}

/// Both cursors, and bytes 0 to 47 of each slot: what a failed call must leave alone.
fn snapshot(ring: &RawTransport) -> Vec<[u64; 6]> {
    let slots = (0..CAPACITY as u64).map(|ticket| {
        let [a, b, c, d, e] = ring.memory.read(ticket);
        [ring.memory.seq(ticket).load(Ordering::Relaxed), a, b, c, d, e]
    });
    let cursors = [get(ring, word::HEAD), get(ring, word::TAIL), 0, 0, 0, 0];
    slots.chain([cursors]).collect()
}

/// Random bits from a seed.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    super::padding::mix(*state)
}
