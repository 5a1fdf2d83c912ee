//! Single-producer/single-consumer rings of elements of any size.

use crate::ring::{self, ByteRing};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;
use core::ptr::NonNull;

/// Alignment of memory for a ring, in bytes.
pub const LANEPIPE_RING_ALIGN: usize = 64;
/// Largest element in bytes.
pub const LANEPIPE_RING_MAX_ELEMENT_SIZE: u32 = 4096;
/// Most elements of a ring.
pub const LANEPIPE_RING_MAX_CAPACITY: u32 = 1 << 24;

const _: () = {
    assert!(LANEPIPE_RING_ALIGN == ring::BYTE_RING_ALIGN);
    assert!(LANEPIPE_RING_MAX_ELEMENT_SIZE as usize == ring::MAX_ELEMENT_SIZE);
    assert!(LANEPIPE_RING_MAX_CAPACITY as usize == ring::MAX_CAPACITY);
};

/// The producer end of a ring: one thread at a time, the same until it is handed over with synchronisation. Opaque.
pub struct lanepipe_ring_producer_t {
    _opaque: u8,
}

/// The consumer end of a ring: one thread at a time, the same until it is handed over with synchronisation. Opaque.
pub struct lanepipe_ring_consumer_t {
    _opaque: u8,
}

/// Bytes of memory for a ring of `capacity` elements of `element_size` bytes. Any thread.
///
/// # Safety
///
/// `size` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_ring_required_size(
    capacity: u32,
    element_size: u32,
    size: *mut usize,
) -> lanepipe_status_t {
    if size.is_null() {
        return Status::LANEPIPE_E_NULL;
    }
    match ByteRing::required_size(capacity, element_size) {
        Some(required) => {
            // SAFETY: not null; the caller's contract.
            unsafe { *size = required };
            Status::LANEPIPE_OK
        }
        None if capacity == 0 || element_size == 0 => Status::LANEPIPE_E_INVALID,
        None => Status::LANEPIPE_E_TOO_LARGE,
    }
}

/// Makes an empty ring of `capacity` (exact limit, 1 to `LANEPIPE_RING_MAX_CAPACITY`) elements of `element_size` (1 to
/// `LANEPIPE_RING_MAX_ELEMENT_SIZE`) bytes in `length` bytes of memory at `memory`, which is aligned to
/// `LANEPIPE_RING_ALIGN` and stays the caller's. The ends lie in that memory and end with it. Any thread; nobody else uses
/// the memory.
///
/// # Safety
///
/// `memory` is null or writable for `length` bytes; the other pointers are null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_ring_init(
    memory: *mut c_void,
    length: usize,
    capacity: u32,
    element_size: u32,
    producer: *mut *mut lanepipe_ring_producer_t,
    consumer: *mut *mut lanepipe_ring_consumer_t,
) -> lanepipe_status_t {
    if producer.is_null() || consumer.is_null() {
        return Status::LANEPIPE_E_NULL;
    }
    // SAFETY: the caller's contract.
    match unsafe { ByteRing::init(memory.cast(), length, capacity, element_size) } {
        Ok(ring) => {
            // SAFETY: not null; the caller's contract.
            unsafe { write_ends(ring, producer, consumer) };
            Status::LANEPIPE_OK
        }
        Err(status) => status,
    }
}

/// Finds a ring that `lanepipe_ring_init` made in memory at `memory`, for instance from the other side of a boundary.
/// Checks that the memory holds a sound ring, not who uses it. Any thread.
///
/// # Safety
///
/// `memory` is null or readable for `length` bytes; the other pointers are null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_ring_attach(
    memory: *mut c_void,
    length: usize,
    producer: *mut *mut lanepipe_ring_producer_t,
    consumer: *mut *mut lanepipe_ring_consumer_t,
) -> lanepipe_status_t {
    if producer.is_null() || consumer.is_null() {
        return Status::LANEPIPE_E_NULL;
    }
    // SAFETY: the caller's contract.
    match unsafe { ByteRing::attach_within(memory.cast(), length) } {
        Ok(ring) => {
            // SAFETY: not null; the caller's contract.
            unsafe { write_ends(ring, producer, consumer) };
            Status::LANEPIPE_OK
        }
        Err(status) => status,
    }
}

/// # Safety
///
/// Both pointers are writable.
unsafe fn write_ends(
    ring: ByteRing,
    producer: *mut *mut lanepipe_ring_producer_t,
    consumer: *mut *mut lanepipe_ring_consumer_t,
) {
    // SAFETY: forwarded.
    unsafe {
        *producer = ring.as_ptr().cast();
        *consumer = ring.as_ptr().cast();
    }
}

/// As `lanepipe_ring_init`, in memory of its own, where the check for overlap costs a call next to nothing while one and
/// the same thread uses an end. The caller owns both ends and gives them back with `lanepipe_ring_destroy`.
///
/// # Safety
///
/// Pointers are null or writable.
#[cfg(feature = "std")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_ring_create(
    capacity: u32,
    element_size: u32,
    producer: *mut *mut lanepipe_ring_producer_t,
    consumer: *mut *mut lanepipe_ring_consumer_t,
) -> lanepipe_status_t {
    if producer.is_null() || consumer.is_null() {
        return Status::LANEPIPE_E_NULL;
    }
    let mut size = 0;
    // SAFETY: `size` is writable.
    let status = unsafe { lanepipe_ring_required_size(capacity, element_size, &raw mut size) };
    if status != Status::LANEPIPE_OK {
        return status;
    }
    let Ok(layout) = std::alloc::Layout::from_size_align(size, OWN_ALIGN) else {
        return Status::LANEPIPE_E_TOO_LARGE;
    };
    // SAFETY: a ring's size is not 0.
    let memory = unsafe { std::alloc::alloc(layout) };
    if memory.is_null() {
        return Status::LANEPIPE_E_NO_MEMORY;
    }
    // SAFETY: fresh memory of the required size, private to the process.
    match unsafe { ByteRing::init_private(memory, size, capacity, element_size) } {
        Ok(ring) => {
            // SAFETY: not null; the caller's contract.
            unsafe { write_ends(ring, producer, consumer) };
            Status::LANEPIPE_OK
        }
        Err(status) => {
            // SAFETY: allocated above with this layout.
            unsafe { std::alloc::dealloc(memory, layout) };
            status
        }
    }
}

/// Line pairs of the two ends do not share a line pair with foreign data.
#[cfg(feature = "std")]
const OWN_ALIGN: usize = 128;

/// Frees a ring made by `lanepipe_ring_create`, with what it still holds. Both ends null: nothing to do. No thread is
/// inside a call.
///
/// # Safety
///
/// The ends are null or those of one ring made by `lanepipe_ring_create`, and are not used again.
#[cfg(feature = "std")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_ring_destroy(
    producer: *mut lanepipe_ring_producer_t,
    consumer: *mut lanepipe_ring_consumer_t,
) -> lanepipe_status_t {
    if producer.is_null() && consumer.is_null() {
        return Status::LANEPIPE_OK;
    }
    let (Some(memory), false) = (NonNull::new(producer.cast::<u8>()), consumer.is_null()) else {
        return Status::LANEPIPE_E_NULL;
    };
    if memory.as_ptr() != consumer.cast() {
        return Status::LANEPIPE_E_INVALID;
    }
    // SAFETY: the caller's contract.
    let ring = unsafe { ByteRing::at(memory) };
    let size = ByteRing::required_size(ring.capacity() as u32, ring.element_size() as u32);
    if let Some(Ok(layout)) = size.map(|size| std::alloc::Layout::from_size_align(size, OWN_ALIGN)) {
        // SAFETY: allocated by `lanepipe_ring_create` with this layout.
        unsafe { std::alloc::dealloc(memory.as_ptr(), layout) };
    }
    Status::LANEPIPE_OK
}

/// Stores up to `count` elements, back to back at `elements`, with one index change. `*pushed` is written on
/// `LANEPIPE_OK` and `LANEPIPE_FULL` (fewer than `count` fitted). `LANEPIPE_E_OVERLAP` if another thread is inside a call
/// of this end. Owner of the end; never blocks.
///
/// # Safety
///
/// The end is null or live; `elements` is null or readable for `count` elements, `pushed` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_ring_push(
    producer: *mut lanepipe_ring_producer_t,
    elements: *const c_void,
    count: usize,
    pushed: *mut usize,
) -> lanepipe_status_t {
    let Some(memory) = NonNull::new(producer.cast::<u8>()) else {
        return Status::LANEPIPE_E_NULL;
    };
    if pushed.is_null() || (elements.is_null() && count != 0) {
        return Status::LANEPIPE_E_NULL;
    }
    // SAFETY: the caller's contract.
    let ring = unsafe { ByteRing::at(memory) };
    let Some(_inside) = ring.enter_producer() else {
        return Status::LANEPIPE_E_OVERLAP;
    };
    // SAFETY: the mark makes this the only call on the end; the rest is the caller's contract.
    let stored = unsafe { ring.push_n(elements.cast(), count) };
    // SAFETY: not null; the caller's contract.
    unsafe { *pushed = stored };
    if stored < count { Status::LANEPIPE_FULL } else { Status::LANEPIPE_OK }
}

/// Takes up to `max` elements, oldest first, into the memory at `elements`, with one index change. `*popped` is written
/// on `LANEPIPE_OK` and `LANEPIPE_EMPTY` (none). `LANEPIPE_E_OVERLAP` if another thread is inside a call of this end. Owner
/// of the end; never blocks.
///
/// # Safety
///
/// The end is null or live; `elements` is null or writable for `max` elements, `popped` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_ring_pop(
    consumer: *mut lanepipe_ring_consumer_t,
    elements: *mut c_void,
    max: usize,
    popped: *mut usize,
) -> lanepipe_status_t {
    let Some(memory) = NonNull::new(consumer.cast::<u8>()) else {
        return Status::LANEPIPE_E_NULL;
    };
    if popped.is_null() || (elements.is_null() && max != 0) {
        return Status::LANEPIPE_E_NULL;
    }
    // SAFETY: the caller's contract.
    let ring = unsafe { ByteRing::at(memory) };
    let Some(_inside) = ring.enter_consumer() else {
        return Status::LANEPIPE_E_OVERLAP;
    };
    // SAFETY: the mark makes this the only call on the end; the rest is the caller's contract.
    let taken = unsafe { ring.pop_n(elements.cast(), max) };
    // SAFETY: not null; the caller's contract.
    unsafe { *popped = taken };
    if taken == 0 { Status::LANEPIPE_EMPTY } else { Status::LANEPIPE_OK }
}

/// Elements stored: exact at rest, never above the capacity. Either owner.
///
/// # Safety
///
/// The end is null or live; `count` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_ring_get_count(
    consumer: *const lanepipe_ring_consumer_t,
    count: *mut usize,
) -> lanepipe_status_t {
    let Some(memory) = NonNull::new(consumer.cast_mut().cast::<u8>()) else {
        return Status::LANEPIPE_E_NULL;
    };
    if count.is_null() {
        return Status::LANEPIPE_E_NULL;
    }
    // SAFETY: the caller's contract.
    unsafe { *count = ByteRing::at(memory).len() };
    Status::LANEPIPE_OK
}
