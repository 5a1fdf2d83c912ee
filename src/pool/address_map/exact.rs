//! Exact mappings: one address, one host address, one id.

use super::records::{Store, StoreWriter};
use super::table::{EMPTY, Table, TableWriter};
use super::{M3, M4, Resolved};
use crate::status::Status;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use core::ptr;

/// Host and id of one address. Only the host changes, so every pair that a reader can see was stored.
pub(super) struct Record {
    host: AtomicU64,
    id: u32,
}

/// Low bit of a record pointer: the mapping is removed. The record stays at hand for the address's next registration.
const REMOVED: usize = 1;

fn is_live(record: *mut Record) -> bool {
    !record.is_null() && record.addr() & REMOVED == 0
}

pub(super) struct ExactIndex {
    pub(super) table: Table<Record>,
    /// Slot value of address 0, which the table cannot hold.
    null: AtomicPtr<Record>,
    records: Store<Record>,
}

pub(super) struct ExactWriter {
    table: TableWriter<Record>,
    records: StoreWriter,
}

impl ExactIndex {
    pub(super) fn new(table_bits: u32, chunk_bits: u32) -> Result<(Self, ExactWriter), Status> {
        let (table, table_writer) = Table::new(table_bits)?;
        let (records, record_writer) = Store::new(chunk_bits);
        let writer = ExactWriter { table: table_writer, records: record_writer };
        Ok((Self { table, null: AtomicPtr::new(ptr::null_mut()), records }, writer))
    }

    /// Says that the caller is about to look for `dev`.
    #[inline(always)]
    pub(super) fn prefetch(&self, dev: u64) {
        self.table.read().prefetch(dev);
    }

    #[inline(always)]
    pub(super) fn find(&self, dev: u64) -> Option<Resolved> {
        let record = if dev != EMPTY {
            self.table.read().find(dev)
        } else {
            // [M4] Acquire: pairs with [M3]; the record was written before.
            self.null.load(M4.order())
        };
        if !is_live(record) {
            return None;
        }
        // SAFETY: a live record pointer leads to an initialised record, which lives until the map is cleared with
        // exclusive access.
        let record = unsafe { &*record };
        // Relaxed: what the host address leads to is handed over with the device address.
        Some(Resolved { host: record.host.load(Ordering::Relaxed), id: record.id })
    }

    /// Record pointer of `dev` as stored; `None` if it never had one.
    fn peek(&self, writer: &ExactWriter, dev: u64) -> Option<*mut Record> {
        if dev != EMPTY {
            return self.table.peek(&writer.table, dev);
        }
        // Relaxed: the writer follows the store through the mutex.
        Some(self.null.load(Ordering::Relaxed)).filter(|record| !record.is_null())
    }

    fn publish(&self, writer: &mut ExactWriter, dev: u64, record: *mut Record) {
        if dev != EMPTY {
            self.table.set(&mut writer.table, dev, record);
        } else {
            // [M3] Release: pairs with [M4]; the record was written before.
            self.null.store(record, M3.order());
        }
    }

    pub(super) fn insert(&self, writer: &mut ExactWriter, dev: u64, host: u64, id: u32) -> Result<(), Status> {
        let known = self.peek(writer, dev);
        if let Some(known) = known.map(|record| record.map_addr(|address| address & !REMOVED)) {
            // SAFETY: a slot's pointer leads, without its mark, to an initialised record until the map is cleared.
            let record = unsafe { &*known };
            if record.id == id {
                // Relaxed: see `find`.
                record.host.store(host, Ordering::Relaxed);
                self.publish(writer, dev, known);
                return Ok(());
            }
        }
        self.records.reserve(&writer.records)?;
        if known.is_none() && dev != EMPTY {
            self.table.reserve(&mut writer.table, 1, is_live)?;
        }
        let record = self.records.push(&mut writer.records, Record { host: AtomicU64::new(host), id });
        self.publish(writer, dev, record);
        Ok(())
    }

    pub(super) fn remove(&self, writer: &mut ExactWriter, dev: u64) -> bool {
        match self.peek(writer, dev) {
            Some(record) if is_live(record) => {
                self.publish(writer, dev, record.map_addr(|address| address | REMOVED));
                true
            }
            _ => false,
        }
    }

    /// Calls `visit` with each mapped address. For the writer.
    pub(super) fn for_each_live(&self, mut visit: impl FnMut(u64)) {
        // Relaxed: the writer follows the store through the mutex.
        if is_live(self.null.load(Ordering::Relaxed)) {
            visit(EMPTY);
        }
        self.table.for_each(|dev, record| {
            if is_live(record) {
                visit(dev);
            }
        });
    }

    pub(super) fn memory(&self, writer: &ExactWriter) -> usize {
        self.table.memory(&writer.table) + self.records.memory()
    }

    /// Forgets everything. The caller has exclusive access to the map.
    pub(super) fn clear(&self, writer: &mut ExactWriter) {
        // Relaxed: exclusive access.
        self.null.store(ptr::null_mut(), Ordering::Relaxed);
        self.table.clear(&mut writer.table);
        // SAFETY: exclusive access, and the table has forgotten all records.
        unsafe { self.records.clear(&mut writer.records) };
    }

    /// Frees everything. The caller drops the map.
    pub(super) fn release(&self, writer: &mut ExactWriter) {
        self.clear(writer);
        // SAFETY: the map is being dropped.
        unsafe { self.table.release(&mut writer.table) };
    }
}
