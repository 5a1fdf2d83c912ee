//! Any sequence of operations on a byte ring against a queue as model.
#![no_main]

use arbitrary::Arbitrary;
use lanepipe::ring::OwnedByteRing;
use libfuzzer_sys::fuzz_target;
use std::collections::VecDeque;

#[derive(Debug, Arbitrary)]
enum Step {
    Push(u8),
    Pop(u8),
    Fill(u8),
    Take(u8),
}

fuzz_target!(|input: (u16, u8, Vec<Step>)| {
    let (capacity, element_size, steps) = input;
    let size = usize::from(element_size % 64) + 1;
    let Ok(ring) = OwnedByteRing::new(u32::from(capacity), size as u32) else {
        assert_eq!(capacity, 0);
        return;
    };
    let mut model = VecDeque::new();
    let mut next = 0u8;
    for step in steps {
        match step {
            Step::Push(count) => {
                let values: Vec<u8> = (0..count).map(|at| next.wrapping_add(at)).collect();
                let bytes: Vec<u8> = values.iter().flat_map(|value| vec![*value; size]).collect();
                // SAFETY: one thread plays both roles; the source holds `count` elements.
                let pushed = unsafe { ring.push_n(bytes.as_ptr(), usize::from(count)) };
                assert_eq!(pushed, usize::from(count).min(usize::from(capacity) - model.len()));
                model.extend(&values[..pushed]);
                next = next.wrapping_add(pushed as u8);
            }
            Step::Pop(max) => {
                let mut bytes = vec![0; usize::from(max) * size];
                // SAFETY: as above; there is room for `max` elements.
                let popped = unsafe { ring.pop_n(bytes.as_mut_ptr(), usize::from(max)) };
                assert_eq!(popped, usize::from(max).min(model.len()));
                for element in bytes.chunks(size).take(popped) {
                    assert_eq!(element, vec![model.pop_front().unwrap(); size]);
                }
            }
            Step::Fill(max) => {
                // SAFETY: as above; the claimed slots are written before they are published.
                unsafe {
                    let runs = ring.claim(usize::from(max));
                    for (first, count) in [(runs.first, runs.first_count), (runs.second, runs.second_count)] {
                        for at in 0..count {
                            first.add(at * size).write_bytes(next, size);
                            model.push_back(next);
                            next = next.wrapping_add(1);
                        }
                    }
                    ring.publish(runs.count());
                }
            }
            Step::Take(max) => {
                // SAFETY: as above; nothing is read after the release.
                unsafe {
                    let runs = ring.front(usize::from(max));
                    for (first, count) in [(runs.first, runs.first_count), (runs.second, runs.second_count)] {
                        for at in 0..count {
                            assert_eq!(*first.add(at * size), model.pop_front().unwrap());
                        }
                    }
                    ring.release(runs.count());
                }
            }
        }
        assert_eq!(ring.len(), model.len());
    }
});
