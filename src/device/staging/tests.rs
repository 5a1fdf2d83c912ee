//! Staging ring over real bytes: forms, mismatch, books.

use super::{Booked, Books, ControlSide, CoreSide, IdWidth, RawSlots, Refusal, SlotForm, Slots, Take, clear};
use crate::layout::runtime::a5::{PLATFORM_PMU_AICORE_RING_SIZE, PmuAicoreRing, PmuRecord};
use std::mem::offset_of;

const PMU: SlotForm = SlotForm {
    size: size_of::<PmuRecord>() as u32,
    id_offset: offset_of!(PmuRecord, task_id) as u32,
    id_width: IdWidth::W64,
};
/// The id is a 32-bit word behind two times, as the swimlane's records have it.
const SWIMLANE: SlotForm = SlotForm { size: 32, id_offset: 16, id_width: IdWidth::W32 };
const ODD_HALF: SlotForm = SlotForm { size: 64, id_offset: 28, id_width: IdWidth::W32 };

/// Memory of a ring, 8-aligned, and its slots. The memory is kept by the vector.
fn ring(count: u32, form: SlotForm) -> (Vec<u64>, RawSlots) {
    let mut memory = vec![0xA5A5_A5A5_A5A5_A5A5; (count * form.size / 8) as usize];
    // SAFETY: the vector has that many bytes and outlives the view in every test.
    let slots = unsafe { RawSlots::new(memory.as_mut_ptr().cast(), count, form) }.unwrap();
    (memory, slots)
}

#[test]
fn ring_of_the_counters_has_the_form() {
    assert_eq!(size_of::<PmuAicoreRing>() as u32, PMU.size * PLATFORM_PMU_AICORE_RING_SIZE);
    assert_eq!(offset_of!(PmuAicoreRing, dual_issue_slots), 0);
}

/// The slot is the id modulo the size, for any size; a record comes back word for word.
#[test]
fn any_size_and_form() {
    for form in [PMU, SWIMLANE, ODD_HALF] {
        for count in [1, 2, 3, 4, 7, 64] {
            let (memory, slots) = ring(count, form);
            clear(&slots);
            let words = form.size as usize / 8;
            let id_word = form.id_offset as usize / 8;
            for id in (1..3 * count + 2).chain([0x7FFF_FFEF, u32::MAX - 2]) {
                let record: Vec<u64> = (0..words as u64).map(|word| u64::from(id) << 32 | (word + 1)).collect();
                CoreSide(slots).publish(id, &record);
                let mut out = vec![0; words];
                assert_eq!(ControlSide(slots).take(id, &mut out), Take::Record);
                let at = ((id % count) as usize) * words;
                assert_eq!(memory[at..at + words], out, "slot of {id} of {count}");
                for (index, (out, record)) in out.iter().zip(&record).enumerate() {
                    if index != id_word {
                        assert_eq!(out, record);
                    }
                }
                let shift = (form.id_offset % 8) * 8;
                assert_eq!((out[id_word] >> shift) as u32, id);
                if form.id_width == IdWidth::W64 {
                    assert_eq!(out[id_word] >> 32, 0);
                } else {
                    let other = 32 - shift;
                    assert_eq!((out[id_word] >> other) as u32, (record[id_word] >> other) as u32, "payload");
                }
            }
        }
    }
}

/// DE 4.1 (3): only the low half of the id counts, and a mismatch copies nothing.
#[test]
fn mismatch_leaves_the_record_alone() {
    let (mut memory, slots) = ring(2, PMU);
    clear(&slots);
    CoreSide(slots).publish(5, &[0, 77]);
    let mut out = [1, 2];
    assert_eq!(ControlSide(slots).take(7, &mut out), Take::Mismatch);
    assert_eq!(ControlSide(slots).take(4, &mut out), Take::Mismatch);
    assert_eq!(out, [1, 2]);
    memory[8] |= 9 << 32;
    assert_eq!(ControlSide(slots).take(5, &mut out), Take::Record);
    assert_eq!(out, [9 << 32 | 5, 77]);
}

/// Nothing that an earlier run left matches (W26), whatever the size.
#[test]
fn cleared_slots_match_no_task() {
    for count in [1, 2, 3, 8] {
        let (_memory, slots) = ring(count, SWIMLANE);
        for id in 0..count {
            CoreSide(slots).publish(id, &[1]);
        }
        clear(&slots);
        for id in 0..4 * count {
            assert!(!ControlSide(slots).holds(id), "{id} of {count}");
        }
        for slot in 0..count {
            assert_ne!(slots.load_id(slot, std::sync::atomic::Ordering::Relaxed) % count.max(2), slot);
        }
    }
}

/// A long run with drops and mismatches at random places.
#[test]
fn books_balance() {
    let (_memory, slots) = ring(3, SWIMLANE);
    clear(&slots);
    let mut books = Books::default();
    let (mut seed, mut wanted) = (1u32, [0; 3]);
    for id in 1..5000 {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (silent, no_place, no_ring) = (seed >> 28 == 0, seed >> 24 & 15 == 0, seed >> 20 & 15 == 0);
        if !silent {
            CoreSide(slots).publish(id, &[u64::from(id)]);
        }
        let mut out = [0];
        let ring = (!no_ring).then_some(ControlSide(slots));
        let booked = books.take(ring, id, (!no_place).then_some(&mut out[..]));
        let expected = match (no_ring, silent, no_place) {
            (true, ..) => Booked::Dropped,
            (_, true, _) => Booked::Mismatch,
            (.., true) => Booked::Dropped,
            _ => Booked::Collected,
        };
        assert_eq!(booked, expected);
        assert_eq!(out[0] != 0, booked == Booked::Collected);
        wanted[booked as usize] += 1;
        assert!(books.is_balanced());
    }
    assert_eq!([books.collected, books.dropped, books.mismatch], wanted);
    assert!(wanted.iter().all(|count| *count > 100), "{wanted:?}");
    assert_eq!(books.total, 4999);
}

#[test]
fn refusals() {
    let mut memory = [0u64; 16];
    let first: *mut u8 = memory.as_mut_ptr().cast();
    // SAFETY: refused, or unused.
    let new = |address, count, form| unsafe { RawSlots::new(address, count, form) }.err();
    assert_eq!(new(core::ptr::null_mut(), 2, PMU), Some(Refusal::Null));
    assert_eq!(new(first.wrapping_add(4), 1, PMU), Some(Refusal::Misaligned));
    assert_eq!(new(first, 0, PMU), Some(Refusal::Empty));
    for (size, id_offset, id_width) in [
        (0, 0, IdWidth::W32),
        (12, 0, IdWidth::W32),
        (16, 2, IdWidth::W32),
        (16, 4, IdWidth::W64),
        (16, 16, IdWidth::W32),
    ] {
        assert_eq!(new(first, 1, SlotForm { size, id_offset, id_width }), Some(Refusal::Form), "{size} {id_offset}");
    }
    assert_eq!(new(first, 2, PMU), None);
}
