//! Checks of the arguments.

use super::types::*;
use crate::capi::args::check_place;
use crate::mailbox::wait_list::{ALIGN, ListRef, SideArea, SideUse};
use crate::status::Status;

const _: () = assert!(align_of::<u64>() == ALIGN);

/// # Safety
///
/// `list` is null or a wait list.
pub(super) unsafe fn list_at(list: *mut lanepipe_wait_list_t) -> Result<ListRef, Status> {
    check_place(list)?;
    // SAFETY: aligned; the caller's contract.
    Ok(unsafe { ListRef::new(list.cast()) })
}

/// # Safety
///
/// `side` is null or memory of a side area whose list the caller has locked, whatever it holds by now.
pub(super) unsafe fn side_at<'a>(side: *mut lanepipe_wait_side_t) -> Result<Option<SideUse<'a>>, Status> {
    if side.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's contract.
    unsafe { SideArea::enter(side.cast()) }.map(Some)
}

/// A list with its side area.
///
/// # Safety
///
/// As for [`list_at`] and [`side_at`].
pub(super) unsafe fn list_with_side<'a>(
    list: *mut lanepipe_wait_list_t,
    side: *mut lanepipe_wait_side_t,
) -> Result<(ListRef, Option<SideUse<'a>>), Status> {
    // SAFETY: forwarded.
    unsafe { Ok((list_at(list)?, side_at(side)?)) }
}
