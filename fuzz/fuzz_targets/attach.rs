//! Attaching to hostile memory: an answer, and operations that stay inside the memory.
#![no_main]

use lanepipe::ring::{BYTE_RING_ALIGN, ByteRing};
use libfuzzer_sys::fuzz_target;
use std::alloc::{Layout, alloc_zeroed, dealloc};

/// Where the input lands: over a sound ring, so that it need not guess the magic number.
const CAPACITY: u32 = 5;
const ELEMENT_SIZE: u32 = 24;

fuzz_target!(|input: (u16, Vec<u8>)| {
    let (offset, bytes) = input;
    let size = ByteRing::required_size(CAPACITY, ELEMENT_SIZE).unwrap();
    let layout = Layout::from_size_align(size, BYTE_RING_ALIGN).unwrap();
    // SAFETY: the layout is not empty; the memory is freed below, after the last use.
    unsafe {
        let memory = alloc_zeroed(layout);
        ByteRing::init(memory, size, CAPACITY, ELEMENT_SIZE).unwrap();
        let offset = usize::from(offset) % size;
        let length = bytes.len().min(size - offset);
        memory.add(offset).copy_from_nonoverlapping(bytes.as_ptr(), length);
        if let Ok(ring) = ByteRing::attach_within(memory, size) {
            let mut element = vec![0u8; ring.element_size() * 8];
            ring.push_n(element.as_ptr(), 8);
            ring.pop_n(element.as_mut_ptr(), 8);
            assert!(ring.len() <= ring.capacity());
        }
        dealloc(memory, layout);
    }
});
