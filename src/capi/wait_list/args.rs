//! Checks of the arguments.

use super::types::*;
use crate::mailbox::wait_list::{ALIGN, ListRef, Side};
use crate::status::Status;

pub(super) fn check<T>(pointer: *const T, align: usize) -> Result<(), Status> {
    if pointer.is_null() {
        Err(Status::LANEPIPE_E_NULL)
    } else if !(pointer as usize).is_multiple_of(align) {
        Err(Status::LANEPIPE_E_MISALIGNED)
    } else {
        Ok(())
    }
}

/// Checks a structure that starts with its size.
///
/// # Safety
///
/// `pointer` is null or readable for its `struct_size`.
pub(super) unsafe fn check_sized<T>(pointer: *const T) -> Result<(), Status> {
    check(pointer, align_of::<T>())?;
    // SAFETY: every such structure starts with its size.
    let size = unsafe { pointer.cast::<u32>().read() };
    if size as usize == size_of::<T>() { Ok(()) } else { Err(Status::LANEPIPE_E_STRUCT_SIZE) }
}

/// # Safety
///
/// `list` is null or a wait list.
pub(super) unsafe fn list_at(list: *mut lanepipe_wait_list_t) -> Result<ListRef, Status> {
    check(list, ALIGN)?;
    // SAFETY: aligned; the caller's contract.
    Ok(unsafe { ListRef::new(list.cast()) })
}

/// # Safety
///
/// `side` is null or a side area whose list the caller has locked.
pub(super) unsafe fn side_at<'a>(side: *mut lanepipe_wait_side_t) -> Result<Option<&'a mut Side>, Status> {
    if side.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's contract.
    unsafe { Side::at(side.cast()) }.map(Some)
}
