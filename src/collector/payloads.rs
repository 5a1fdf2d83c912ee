//! Payloads of dumped arguments: where they lie in a thread's arena, and how they come to the host.

use super::intake::{Intake, TRIES};
use super::output::{Payload, Records};
use crate::layout::runtime::common::ArgsDumpRecord;
use crate::layout::runtime::constants::ARGS_DUMP_KIND_TENSOR;
use crate::log;
use core::mem::offset_of;
use core::ptr;

impl Intake {
    /// As [`Intake::hand_on`] for records with payloads, and tells how many of them have one: what the device counted.
    ///
    /// # Safety
    ///
    /// The records are readable.
    pub(super) unsafe fn hand_on_with_payloads(&self, number: u32, records: &Records<'_>) -> u64 {
        let collected = &self.accounts[number as usize].collected;
        let mut payloads = Vec::new();
        let mut bytes = Vec::new();
        // SAFETY: forwarded. Once only: what the device changes afterwards must not matter.
        let spans: Vec<_> = (0..records.count).map(|index| unsafe { span(records, index) }).collect();
        let counted = spans.iter().flatten().count() as u64;
        let brought = self.gather(records.instance, &spans, &mut payloads, &mut bytes);
        if brought != counted {
            collected.payloads_lost.add(counted - brought);
            let count = collected.torn.add(1);
            let what = format_args!("payloads of arguments are not where records say, or could not be copied");
            self.pool.logger().log_occurrence(log::WARN, count, what);
        }
        collected.payloads.add(brought);
        self.hand_on(number, &Records { payloads: &payloads, ..*records });
        counted
    }

    /// Finds the payloads, one per span, those that were copied in `bytes`; how many are there.
    fn gather(&self, instance: u32, spans: &[Option<Span>], payloads: &mut Vec<Payload>, bytes: &mut Vec<u8>) -> u64 {
        payloads.extend(spans.iter().map(|span| Payload { data: ptr::null(), size: span.map_or(0, |span| span.size) }));
        let Some(arena) = self.arenas.get(instance as usize) else { return 0 };
        let arena_size = arena.size() as u64;
        // The records of one buffer are of one lap of the arena: what exceeds it is not true.
        let mut room = arena_size;
        let mut brought = 0;
        let place = |span: &Span| {
            let start = span.offset.checked_rem(arena_size).unwrap_or(0);
            (span.size <= arena_size - start).then_some(start as usize)
        };
        let mut landing = ptr::null_mut();
        if self.memory.copies_in() {
            let wanted = spans.iter().flatten().fold(0, |sum: u64, span| sum.saturating_add(span.size));
            let wanted = wanted.min(arena_size) as usize;
            if bytes.try_reserve_exact(wanted).is_err() {
                return 0;
            }
            bytes.resize(wanted, 0);
            landing = bytes.as_mut_ptr();
        }
        for (payload, span) in payloads.iter_mut().zip(spans) {
            let Some((start, span)) = span.as_ref().and_then(|span| Some((place(span)?, span))) else { continue };
            if span.size > room {
                continue;
            }
            let size = span.size as usize;
            if landing.is_null() {
                payload.data = arena.host_at(start, size).unwrap_or(ptr::null());
            } else {
                let at = landing.wrapping_add((arena_size - room) as usize);
                // SAFETY: what fits into the arena fits into the landing place: both end where the sum of the sizes does.
                if (0..TRIES).any(|_| unsafe { arena.read(start, at, size) }) {
                    payload.data = at;
                }
            }
            room -= span.size;
            brought += u64::from(!payload.data.is_null());
        }
        brought
    }
}

/// Where a payload lies: offset of the arena's cursor, and size, both as a record has them.
#[derive(Debug, Clone, Copy)]
struct Span {
    offset: u64,
    size: u64,
}

/// Offset and size of the payload of record `index`, if it has one.
///
/// # Safety
///
/// The records are readable.
unsafe fn span(records: &Records<'_>, index: u32) -> Option<Span> {
    let record = records.data.wrapping_add(index as usize * records.record_size as usize);
    // SAFETY: fields of a record of the run, aligned as it is, which a device may write against the contract.
    let (kind, offset, size) = unsafe {
        let at = |field: usize| record.wrapping_add(field);
        (
            at(offset_of!(ArgsDumpRecord, kind)).read_volatile(),
            at(offset_of!(ArgsDumpRecord, payload_offset)).cast::<u64>().read_volatile(),
            at(offset_of!(ArgsDumpRecord, payload_size)).cast::<u64>().read_volatile(),
        )
    };
    (u32::from(kind) == ARGS_DUMP_KIND_TENSOR && size != 0).then_some(Span { offset, size })
}
