//! Checks of what comes in: null, alignment, size.

use crate::status::Status;
use core::slice;

/// Longest array that a call takes.
const MAX_COUNT: usize = 1 << 32;

/// The object behind a pointer of the caller.
///
/// # Safety
///
/// `pointer` is null or points at a live `T` that nobody mutates during `'a` but through interior mutability.
pub(super) unsafe fn object<'a, T>(pointer: *const T) -> Result<&'a T, Status> {
    check(pointer)?;
    // SAFETY: not null, aligned; the caller vouches for the rest.
    Ok(unsafe { &*pointer })
}

/// The array behind a pointer of the caller; empty if `count` is 0, whatever the pointer.
///
/// # Safety
///
/// `pointer` is null or readable for `count` elements that nobody mutates during `'a`.
pub(super) unsafe fn array<'a, T>(pointer: *const T, count: usize) -> Result<&'a [T], Status> {
    if count == 0 {
        return Ok(&[]);
    }
    check_array(pointer, count)?;
    // SAFETY: not null, aligned; the caller vouches for the rest.
    Ok(unsafe { slice::from_raw_parts(pointer, count) })
}

/// Checks a pointer to one element.
pub(super) fn check<T>(pointer: *const T) -> Result<(), Status> {
    if pointer.is_null() {
        Err(Status::LANEPIPE_E_NULL)
    } else if !pointer.is_aligned() {
        Err(Status::LANEPIPE_E_MISALIGNED)
    } else {
        Ok(())
    }
}

/// Checks the address of something that is described by its bytes, words of 64 bits: a mailbox, a list, an entry.
#[inline(always)]
pub(super) fn check_place<T>(place: *const T) -> Result<(), Status> {
    check(place.cast::<u64>())
}

/// Checks a pointer to `count` elements.
pub(super) fn check_array<T>(pointer: *const T, count: usize) -> Result<(), Status> {
    if count > MAX_COUNT {
        return Err(Status::LANEPIPE_E_TOO_LARGE);
    }
    if count == 0 { Ok(()) } else { check(pointer) }
}

/// Structures that start with their size.
pub(super) trait Sized32 {}

/// Checks a structure that starts with its size.
///
/// # Safety
///
/// `pointer` is null or readable for its `struct_size`.
pub(super) unsafe fn check_sized<T: Sized32>(pointer: *const T) -> Result<(), Status> {
    check(pointer)?;
    // SAFETY: every such structure starts with its size.
    let size = unsafe { pointer.cast::<u32>().read() };
    if size as usize == size_of::<T>() { Ok(()) } else { Err(Status::LANEPIPE_E_STRUCT_SIZE) }
}

/// A structure that starts with its size.
///
/// # Safety
///
/// As for [`check_sized`], and nobody mutates it during `'a`.
pub(super) unsafe fn sized<'a, T: Sized32>(pointer: *const T) -> Result<&'a T, Status> {
    // SAFETY: forwarded.
    unsafe { check_sized(pointer)? };
    // SAFETY: checked; the caller vouches for the rest.
    Ok(unsafe { &*pointer })
}

/// Writes a structure that starts with its size: checks it first, then asks `value`.
///
/// # Safety
///
/// `pointer` is null or writable for its `struct_size`.
pub(super) unsafe fn write_sized<T: Sized32>(
    pointer: *mut T,
    value: impl FnOnce() -> Result<T, Status>,
) -> Result<(), Status> {
    // SAFETY: forwarded.
    unsafe { check_sized(pointer)? };
    let value = value()?;
    // SAFETY: checked; the caller vouches for the rest.
    unsafe { pointer.write(value) };
    Ok(())
}
