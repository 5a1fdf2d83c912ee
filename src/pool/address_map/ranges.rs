//! Ranges by size class and granule.

use super::records::{Store, StoreWriter};
use super::table::{Table, TableWriter};
use super::{Block, Range};
use crate::status::Status;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, UnsafeCell};
use core::{hint, ptr};

/// Smallest class: tiny blocks share granules of 64 bytes.
const MIN_CLASS: u32 = 6;
/// Most granules that a range of 2^c to 2^(c+1) - 1 bytes touches.
const MAX_GRANULES: usize = 3;
/// A link to nothing; above every index.
const NONE: u32 = u32::MAX;

/// What a lookup needs of a range; written once.
pub(super) struct Body {
    pub(super) base: u64,
    size: u64,
    host: u64,
    /// Inverse, modulo 2^64, of the odd factor of the stride.
    inverse: u64,
    /// Log2 of the even factor of the stride.
    shift: u32,
    first_id: u32,
    count: u32,
    /// Index of the record: a newer range has a higher one.
    index: u32,
}

impl Body {
    fn new(range: &Range, index: u32) -> Self {
        // A single buffer may come without a stride: any will do, because its offset is 0.
        let stride = range.stride.max(1);
        let shift = stride.trailing_zeros();
        let odd = stride >> shift;
        // Newton: an odd number is its own inverse modulo 8, and each step doubles the bits that are right.
        let mut inverse = odd;
        for _ in 0..5 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        let Range { base, size, host, first_id, count, .. } = *range;
        Self { base, size, host, inverse, shift, first_id, count, index }
    }

    #[inline(always)]
    fn contains(&self, dev: u64) -> bool {
        dev.wrapping_sub(self.base) < self.size
    }

    #[inline(always)]
    pub(super) fn host_at(&self, dev: u64) -> u64 {
        self.host.wrapping_add(dev.wrapping_sub(self.base))
    }

    /// Id of the buffer that starts at `dev`; 0 if none does.
    #[inline(always)]
    pub(super) fn id_at(&self, dev: u64) -> u32 {
        // Division by multiplication: for a multiple of the stride the product is the quotient times 2^shift, which
        // rotates to the quotient. The map is a bijection and `count * stride` fits into 2^64 (`check`), so nothing
        // else gives a number below `count`.
        let buffer = dev.wrapping_sub(self.base).wrapping_mul(self.inverse).rotate_right(self.shift);
        if buffer < u64::from(self.count) { self.first_id.wrapping_add(buffer as u32) } else { 0 }
    }

    /// Bytes from `dev` to the end.
    pub(super) fn rest_at(&self, dev: u64) -> u64 {
        self.size - dev.wrapping_sub(self.base)
    }

    pub(super) fn block(&self) -> Block {
        Block { base: self.base, host: self.host, first_id: self.first_id, count: self.count }
    }

    fn class(&self) -> u32 {
        class_of(self.size)
    }

    /// The granules that the range touches.
    fn granules(&self) -> core::ops::RangeInclusive<u64> {
        granules_of(self.base, self.size)
    }
}

/// A range on a cache line of its own: lookups in one never miss twice.
#[repr(C, align(64))]
pub(super) struct Record {
    body: UnsafeCell<Body>,
    /// Index of the next older range of the chain of each granule that this range touches, or `NONE`.
    older: [AtomicU32; MAX_GRANULES],
}

impl Record {
    #[inline(always)]
    fn body(&self) -> &Body {
        // SAFETY: the body is written before the record is published by [M3] and never again.
        self.body.with(|body| unsafe { &*body })
    }

    /// Link of the chain of `granule`.
    #[inline(always)]
    fn link(&self, granule: u64, class: u32) -> Option<&AtomicU32> {
        self.older.get(granule.wrapping_sub(self.body().base >> class) as usize)
    }
}

fn class_of(size: u64) -> u32 {
    size.max(1).ilog2().max(MIN_CLASS)
}

fn granules_of(base: u64, size: u64) -> core::ops::RangeInclusive<u64> {
    let class = class_of(size);
    base >> class..=(base + (size - 1)) >> class
}

/// Table key of a granule; never `EMPTY`, because a class is at least 6 and at most 63.
#[inline(always)]
fn key_of(granule: u64, class: u32) -> u64 {
    granule << 6 | u64::from(class)
}

fn check(range: &Range) -> Result<(), Status> {
    // The last byte counts: a range may end where the address space does.
    let ends = [range.base, range.host].map(|start| start.checked_add(range.size.wrapping_sub(1)));
    let last = u64::from(range.count.saturating_sub(1)).checked_mul(range.stride);
    let ids = range.first_id.checked_add(range.count.saturating_sub(1));
    let carved = match last {
        Some(last) => last < range.size && (range.count <= 1 || range.stride > 0),
        None => false,
    };
    // The last condition makes sure of `count * stride < 2^64`, which the division needs.
    let fits = u64::from(range.count).checked_mul(range.stride).is_some();
    if range.size == 0 || ends.contains(&None) || ids.is_none() || !carved || !fits {
        return Err(Status::LANEPIPE_E_INVALID);
    }
    Ok(())
}

pub(super) struct RangeIndex {
    pub(super) table: Table<Record>,
    /// Bit c: there was a range of class c since the last clear.
    classes: AtomicU64,
    records: Store<Record>,
}

pub(super) struct RangeWriter {
    table: TableWriter<Record>,
    records: StoreWriter,
}

impl RangeIndex {
    pub(super) fn new(table_bits: u32, chunk_bits: u32) -> Result<(Self, RangeWriter), Status> {
        let (table, table_writer) = Table::new(table_bits)?;
        let (records, record_writer) = Store::new(chunk_bits);
        let writer = RangeWriter { table: table_writer, records: record_writer };
        Ok((Self { table, classes: AtomicU64::new(0), records }, writer))
    }

    /// # Safety
    ///
    /// `record` is null or was read from a slot or a link.
    #[inline(always)]
    unsafe fn deref(&self, record: *mut Record) -> Option<&Record> {
        // SAFETY: slots and links lead to initialised records, which live until the map is cleared with exclusive
        // access.
        unsafe { record.as_ref() }
    }

    /// The next older record of the chain of `granule`.
    #[inline(always)]
    fn older(&self, record: &Record, granule: u64, class: u32) -> *mut Record {
        // Relaxed: the record behind the link was published before `record`, whose own edge covers it.
        match record.link(granule, class).map(|link| link.load(Ordering::Relaxed)) {
            Some(index) if index != NONE => self.records.get(index),
            _ => ptr::null_mut(),
        }
    }

    /// Says that the caller is about to look for `dev`: the class of the smallest ranges stands for all, since most maps
    /// have one.
    #[inline(always)]
    pub(super) fn prefetch(&self, dev: u64) {
        // Relaxed: a hint. Without any class the shift is masked, and the bucket is as good as any.
        let class = self.classes.load(Ordering::Relaxed).trailing_zeros() & 63;
        self.table.read().prefetch(key_of(dev >> class, class));
    }

    /// The newest live range that contains `dev`.
    #[inline(always)]
    pub(super) fn find(&self, dev: u64) -> Option<&Body> {
        let mut newest: Option<&Body> = None;
        let table = self.table.read();
        // Relaxed: the bit of a class carries nothing; without it the range was not registered yet.
        let mut classes = self.classes.load(Ordering::Relaxed);
        while classes != 0 {
            let class = classes.trailing_zeros();
            classes &= classes - 1;
            let granule = dev >> class;
            let mut next = table.find(key_of(granule, class));
            // SAFETY: `next` comes from a slot first, then from links.
            while let Some(record) = unsafe { self.deref(next) } {
                // Which of two blocks that share a granule has the address is as good as random: no branch depends on it.
                let older = self.older(record, granule, class);
                let one_of_both = hint::select_unpredictable(record.body().contains(dev), next, older);
                // SAFETY: as above.
                let Some(record) = (unsafe { self.deref(one_of_both) }) else { break };
                let body = record.body();
                if newest.is_some_and(|newest| newest.index > body.index) {
                    break;
                }
                if body.contains(dev) {
                    newest = Some(body);
                    break;
                }
                next = self.older(record, granule, class);
            }
        }
        newest
    }

    pub(super) fn insert(&self, writer: &mut RangeWriter, range: Range) -> Result<(), Status> {
        check(&range)?;
        let class = class_of(range.size);
        let granules = granules_of(range.base, range.size);
        self.records.reserve(&writer.records)?;
        let known = |granule: &u64| self.table.peek(&writer.table, key_of(*granule, class)).is_some();
        let extra = granules.clone().filter(|granule| !known(granule)).count();
        self.table.reserve(&mut writer.table, extra, |record| !record.is_null())?;

        let head = |writer: &RangeWriter, granule| {
            let record = self.table.peek(&writer.table, key_of(granule, class)).unwrap_or(ptr::null_mut());
            // SAFETY: read from a slot.
            unsafe { self.deref(record) }
        };
        let older = core::array::from_fn(|place| {
            let granule = granules.start().wrapping_add(place as u64);
            let head = if granules.contains(&granule) { head(writer, granule) } else { None };
            AtomicU32::new(head.map_or(NONE, |record| record.body().index))
        });
        let index = self.records.next_index(&writer.records);
        let body = UnsafeCell::new(Body::new(&range, index));
        let record = self.records.push(&mut writer.records, Record { body, older });
        for granule in granules {
            self.table.set(&mut writer.table, key_of(granule, class), record);
        }
        // Relaxed, both: there is one writer; for readers see `find`.
        let classes = self.classes.load(Ordering::Relaxed);
        self.classes.store(classes | 1 << class, Ordering::Relaxed);
        // After the new range is in, so that no lookup in a chain of both misses. One that looked for the new range's
        // class too early can miss both; only the new registration itself makes a claim on such an address.
        self.end_older(writer, range.base, index);
        Ok(())
    }

    pub(super) fn remove_at(&self, writer: &mut RangeWriter, base: u64) -> usize {
        self.end_older(writer, base, NONE)
    }

    /// Ends all live ranges at `base` with an index below `bound` and returns their number.
    fn end_older(&self, writer: &mut RangeWriter, base: u64, bound: u32) -> usize {
        let mut ended = 0;
        // Relaxed: the writer follows the store through the mutex.
        let mut classes = self.classes.load(Ordering::Relaxed);
        while classes != 0 {
            let class = classes.trailing_zeros();
            classes &= classes - 1;
            let granule = base >> class;
            let mut next = self.table.peek(&writer.table, key_of(granule, class)).unwrap_or(ptr::null_mut());
            // SAFETY: `next` comes from a slot first, then from links.
            while let Some(record) = unsafe { self.deref(next) } {
                // An ended record keeps its links: readers may stand on it.
                next = self.older(record, granule, class);
                if record.body().base == base && record.body().index < bound {
                    self.unlink(writer, record);
                    ended += 1;
                }
            }
        }
        ended
    }

    /// Takes `record` out of all its chains.
    fn unlink(&self, writer: &mut RangeWriter, record: &Record) {
        let class = record.body().class();
        for granule in record.body().granules() {
            let older = self.older(record, granule, class);
            let key = key_of(granule, class);
            let mut before: Option<&Record> = None;
            let mut next = self.table.peek(&writer.table, key).unwrap_or(ptr::null_mut());
            // SAFETY: `next` comes from a slot first, then from links.
            while let Some(here) = unsafe { self.deref(next) } {
                if ptr::eq(here, record) {
                    match before.map(|before| before.link(granule, class)) {
                        None => self.table.set(&mut writer.table, key, older),
                        Some(Some(link)) => {
                            // SAFETY: read from a link.
                            let older = unsafe { self.deref(older) }.map_or(NONE, |older| older.body().index);
                            // Relaxed: see `older`; the link skips one record.
                            link.store(older, Ordering::Relaxed);
                        }
                        // A record is only in chains of its granules.
                        Some(None) => {}
                    }
                    break;
                }
                before = Some(here);
                next = self.older(here, granule, class);
            }
        }
    }

    /// Calls `visit` with each live range. For the writer.
    pub(super) fn for_each_live(&self, mut visit: impl FnMut(&Body)) {
        self.table.for_each(|key, mut next| {
            let (granule, class) = (key >> 6, (key & 63) as u32);
            // SAFETY: `next` comes from a slot first, then from links.
            while let Some(record) = unsafe { self.deref(next) } {
                // A range is in several chains; the first granule's is its own.
                if *record.body().granules().start() == granule {
                    visit(record.body());
                }
                next = self.older(record, granule, class);
            }
        });
    }

    pub(super) fn memory(&self, writer: &RangeWriter) -> usize {
        self.table.memory(&writer.table) + self.records.memory()
    }

    /// Forgets everything. The caller has exclusive access to the map.
    pub(super) fn clear(&self, writer: &mut RangeWriter) {
        // Relaxed: exclusive access.
        self.classes.store(0, Ordering::Relaxed);
        self.table.clear(&mut writer.table);
        // SAFETY: exclusive access, and the table has forgotten all records.
        unsafe { self.records.clear(&mut writer.records) };
    }

    /// Frees everything. The caller drops the map.
    pub(super) fn release(&self, writer: &mut RangeWriter) {
        self.clear(writer);
        // SAFETY: the map is being dropped.
        unsafe { self.table.release(&mut writer.table) };
    }
}
