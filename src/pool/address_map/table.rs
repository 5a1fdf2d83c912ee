//! Hash table from 64-bit keys to record pointers: lock-free readers, one writer at a time.

use super::{M1, M2, M3, M4};
use crate::status::Status;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crate::sync::prefetch_to_read;
use core::marker::PhantomData;
use core::ptr;
use std::alloc::Layout;

/// Key of an empty slot; never the key of an entry.
pub(super) const EMPTY: u64 = 0;

/// Slots of a bucket: keys and values of one cache line.
const WIDTH: usize = 4;

/// Log2 of the buckets of the largest table: 2^27 slots hold three granules of each of `MAX_MAPPINGS` ranges.
const MAX_BITS: u32 = 25;

/// The low six bits of a table pointer, which this leaves zero, hold `View::shift`, so that a reader gets
/// both in one load.
const ALIGN: usize = align_of::<Bucket<()>>();

/// Filled from the first slot on.
#[repr(C, align(64))]
struct Bucket<V> {
    keys: [AtomicU64; WIDTH],
    values: [AtomicPtr<V>; WIDTH],
}

/// Where a probe ends.
enum Place<'a, V> {
    /// The value of the key.
    Known(&'a AtomicPtr<V>),
    /// The slot where the key would go.
    Free(&'a Bucket<V>),
}

/// The buckets of one table: half of the slots at least are empty, and it is never freed while a reader can reach it.
struct View<V> {
    buckets: *mut Bucket<V>,
    /// 64 less log2 of the number of buckets: between 64 - `MAX_BITS` and 63.
    shift: u32,
}

impl<V> Clone for View<V> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<V> Copy for View<V> {}

impl<V> View<V> {
    fn layout(bits: u32) -> Option<Layout> {
        Layout::array::<Bucket<V>>(1_usize << bits).ok()
    }

    fn allocate(bits: u32) -> Result<Self, Status> {
        // One bucket would shift by 64.
        let bits = bits.max(1);
        if bits > MAX_BITS {
            return Err(Status::LANEPIPE_E_TOO_LARGE);
        }
        let layout = Self::layout(bits).ok_or(Status::LANEPIPE_E_TOO_LARGE)?;
        // SAFETY: a table has at least one bucket, so the layout's size is not zero.
        let buckets = unsafe { std::alloc::alloc(layout) }.cast::<Bucket<V>>();
        if buckets.is_null() {
            return Err(Status::LANEPIPE_E_NO_MEMORY);
        }
        for index in 0..1_usize << bits {
            let keys = core::array::from_fn(|_| AtomicU64::new(EMPTY));
            let values = core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
            // SAFETY: `index` is below the number that was allocated, and nobody else has the memory yet.
            unsafe { buckets.add(index).write(Bucket { keys, values }) };
        }
        Ok(Self { buckets, shift: 64 - bits })
    }

    /// # Safety
    ///
    /// The table came from `allocate`, is not used any more, and is freed once.
    unsafe fn free(self) {
        for index in 0..self.len() {
            // SAFETY: `allocate` initialised all buckets; the caller gives them up.
            unsafe { ptr::drop_in_place(self.buckets.add(index)) };
        }
        if let Some(layout) = Self::layout(self.bits()) {
            // SAFETY: the memory came from `allocate` with this layout.
            unsafe { std::alloc::dealloc(self.buckets.cast(), layout) };
        }
    }

    #[inline(always)]
    fn from_tagged(tagged: *mut Bucket<V>) -> Self {
        Self { buckets: tagged.map_addr(|address| address & !(ALIGN - 1)), shift: (tagged.addr() & (ALIGN - 1)) as u32 }
    }

    fn tagged(self) -> *mut Bucket<V> {
        self.buckets.map_addr(|address| address | self.shift as usize)
    }

    #[inline(always)]
    fn bits(self) -> u32 {
        64 - self.shift
    }

    /// Number of buckets.
    #[inline(always)]
    fn len(self) -> usize {
        1 << self.bits()
    }

    fn bytes(self) -> usize {
        self.len() * size_of::<Bucket<V>>()
    }

    /// Index of the bucket where the search for `key` starts. Fibonacci hashing: the upper bits of the product depend on
    /// all bits of the key, so aligned keys spread too.
    #[inline(always)]
    fn home(self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }

    /// # Safety
    ///
    /// `index` is below the number of buckets.
    #[inline(always)]
    unsafe fn bucket<'a>(self, index: usize) -> &'a Bucket<V> {
        // SAFETY: the caller vouches for the index. Tables live until the map is cleared or dropped, which takes
        // exclusive access to the map, and no caller keeps the reference beyond its borrow of the map.
        unsafe { &*self.buckets.add(index) }
    }

    fn buckets<'a>(self) -> impl Iterator<Item = &'a Bucket<V>>
    where
        V: 'a,
    {
        // SAFETY: the range ends below the number of buckets.
        (0..self.len()).map(move |index| unsafe { self.bucket(index) })
    }

    /// Ends because at least half of the slots of every table stay empty.
    #[inline(always)]
    fn probe<'a>(self, key: u64) -> Place<'a, V> {
        let mut index = self.home(key);
        loop {
            // SAFETY: a hash shifted down to log2 of the number of buckets is below it, and so is a masked index.
            let bucket = unsafe { self.bucket(index) };
            // All keys in any case, without a branch that depends on which is the one.
            let mut equal = 0_u32;
            let mut last = EMPTY;
            for (place, slot) in bucket.keys.iter().enumerate() {
                // Relaxed: a key carries nothing; what stands behind it is read through the value.
                last = slot.load(Ordering::Relaxed);
                equal |= u32::from(last == key) << place;
            }
            if let Some(value) = bucket.values.get(equal.trailing_zeros() as usize) {
                return Place::Known(value);
            }
            if last == EMPTY {
                return Place::Free(bucket);
            }
            index = (index + 1) & (self.len() - 1);
        }
    }

    /// Value of `key`, a new entry if need be; `true` for that.
    fn entry<'a>(self, key: u64) -> (&'a AtomicPtr<V>, bool) {
        match self.probe(key) {
            Place::Known(value) => (value, false),
            Place::Free(bucket) => {
                // Relaxed, both: there is one writer; a reader that sees the key and no value yet finds nothing, as
                // before.
                let used = bucket.keys.iter().take_while(|key| key.load(Ordering::Relaxed) != EMPTY).count();
                bucket.keys[used].store(key, Ordering::Relaxed);
                (&bucket.values[used], true)
            }
        }
    }
}

/// The readers' side.
pub(super) struct Table<V> {
    current: AtomicPtr<Bucket<V>>,
}

/// The table in one lookup.
pub(super) struct Reader<'a, V> {
    view: View<V>,
    _table: PhantomData<&'a Table<V>>,
}

impl<V> Reader<'_, V> {
    /// Says that the caller is about to look for `key`.
    #[inline(always)]
    pub(super) fn prefetch(&self, key: u64) {
        // SAFETY: a hash shifted down to log2 of the number of buckets is below it.
        prefetch_to_read(ptr::from_ref(unsafe { self.view.bucket(self.view.home(key)) }));
    }

    /// Value of `key`; null if there is none.
    #[inline(always)]
    pub(super) fn find(&self, key: u64) -> *mut V {
        match self.view.probe(key) {
            // [M4] Acquire: pairs with [M3]; the record was written before.
            Place::Known(value) => value.load(M4.order()),
            Place::Free(_) => ptr::null_mut(),
        }
    }
}

/// The writer's side: guarded by the map's mutex.
pub(super) struct TableWriter<V> {
    /// Slots with a key, those without a value included.
    used: usize,
    superseded: [*mut Bucket<V>; MAX_BITS as usize + 1],
    superseded_len: usize,
}

// SAFETY: the pointers stand for tables that the map owns; which thread uses them is a matter of the map's mutex.
unsafe impl<V> Send for TableWriter<V> {}

impl<V> Table<V> {
    pub(super) fn new(bits: u32) -> Result<(Self, TableWriter<V>), Status> {
        let view = View::allocate(bits)?;
        let superseded = [ptr::null_mut(); MAX_BITS as usize + 1];
        Ok((Self { current: AtomicPtr::new(view.tagged()) }, TableWriter { used: 0, superseded, superseded_len: 0 }))
    }

    /// The table as a reader finds it.
    #[inline(always)]
    pub(super) fn read(&self) -> Reader<'_, V> {
        // [M2] Acquire: pairs with [M1]; the slots were written before.
        Reader { view: View::from_tagged(self.current.load(M2.order())), _table: PhantomData }
    }

    fn writer_view(&self) -> View<V> {
        // Relaxed: the writer follows the store through the mutex.
        View::from_tagged(self.current.load(Ordering::Relaxed))
    }

    /// The writer's `find`: tells "no such key" (`None`) from "no value".
    pub(super) fn peek(&self, _writer: &TableWriter<V>, key: u64) -> Option<*mut V> {
        match self.writer_view().probe(key) {
            // Relaxed: the writer follows the store through the mutex.
            Place::Known(value) => Some(value.load(Ordering::Relaxed)),
            Place::Free(_) => None,
        }
    }

    /// Sets the value of `key`. A new key takes a slot that `reserve` has made sure of.
    pub(super) fn set(&self, writer: &mut TableWriter<V>, key: u64, value: *mut V) {
        let (slot, is_new) = self.writer_view().entry(key);
        writer.used += usize::from(is_new);
        // [M3] Release: pairs with [M4]; the record was written before.
        slot.store(value, M3.order());
    }

    /// Makes room for `extra` new keys. Growth takes over the entries that `is_live`.
    pub(super) fn reserve(
        &self,
        writer: &mut TableWriter<V>,
        extra: usize,
        is_live: impl Fn(*mut V) -> bool,
    ) -> Result<(), Status> {
        let old = self.writer_view();
        if (writer.used + extra) * 2 <= WIDTH * old.len() {
            return Ok(());
        }
        let mut live = 0;
        self.for_each(|_, value| live += usize::from(is_live(value)));
        // Doubled even if few entries are live: superseded tables stay, and only doubling bounds them.
        let mut bits = old.bits() + 1;
        while (live + extra) * 2 > WIDTH << bits {
            bits += 1;
        }
        let new = View::allocate(bits)?;
        self.for_each(|key, value| {
            if is_live(value) {
                // Relaxed: [M1] publishes the table.
                new.entry(key).0.store(value, Ordering::Relaxed);
            }
        });
        writer.used = live;
        writer.superseded[writer.superseded_len] = old.tagged();
        writer.superseded_len += 1;
        // [M1] Release: pairs with [M2]; the slots were written before.
        self.current.store(new.tagged(), M1.order());
        Ok(())
    }

    /// Calls `visit` with each key and its value. For the writer.
    pub(super) fn for_each(&self, mut visit: impl FnMut(u64, *mut V)) {
        let view = self.writer_view();
        for bucket in view.buckets() {
            for (key, value) in bucket.keys.iter().zip(&bucket.values) {
                // Relaxed, both: the writer follows the stores through the mutex.
                let key = key.load(Ordering::Relaxed);
                if key != EMPTY {
                    visit(key, value.load(Ordering::Relaxed));
                }
            }
        }
    }

    /// Bytes of all tables.
    pub(super) fn memory(&self, writer: &TableWriter<V>) -> usize {
        let superseded = &writer.superseded[..writer.superseded_len];
        self.writer_view().bytes() + superseded.iter().map(|table| View::from_tagged(*table).bytes()).sum::<usize>()
    }

    /// Empties the table and keeps the first, smallest one. The caller has exclusive access to the map.
    pub(super) fn clear(&self, writer: &mut TableWriter<V>) {
        if writer.superseded_len > 0 {
            // SAFETY: exclusive access: no reader is left; the table is forgotten in the next statement but one.
            unsafe { self.writer_view().free() };
            // Relaxed, here and below: exclusive access.
            self.current.store(writer.superseded[0], Ordering::Relaxed);
            for table in &writer.superseded[1..writer.superseded_len] {
                // SAFETY: exclusive access, and the table is forgotten below.
                unsafe { View::from_tagged(*table).free() };
            }
            writer.superseded_len = 0;
        }
        let view = self.writer_view();
        for bucket in view.buckets() {
            bucket.keys.iter().for_each(|key| key.store(EMPTY, Ordering::Relaxed));
            bucket.values.iter().for_each(|value| value.store(ptr::null_mut(), Ordering::Relaxed));
        }
        writer.used = 0;
    }

    /// Frees everything.
    ///
    /// # Safety
    ///
    /// Exclusive access, and neither side is used again.
    pub(super) unsafe fn release(&self, writer: &mut TableWriter<V>) {
        self.clear(writer);
        // SAFETY: the caller gives up the table.
        unsafe { self.writer_view().free() };
    }
}

#[cfg(all(test, not(loom)))]
impl<V> Table<V> {
    pub(super) fn current_bytes(&self) -> usize {
        self.writer_view().bytes()
    }

    /// Most full buckets in a row.
    pub(super) fn longest_run(&self) -> usize {
        let view = self.writer_view();
        let (mut run, mut longest) = (0, 0);
        for bucket in view.buckets().chain(view.buckets()) {
            let full = bucket.keys[WIDTH - 1].load(Ordering::Relaxed) != EMPTY;
            run = if full { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        longest
    }
}
