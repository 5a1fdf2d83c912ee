//! Which tasks and arguments are to be dumped.

use super::args_dump::{lanepipe_args_dump_t, level_of};
use super::done;
use crate::capi::args::check;
use crate::device::args_dump::selection::{self, Role};
use crate::layout::runtime::constants::*;
use crate::status::{Status, lanepipe_status_t};

/// `lanepipe_args_dump_info_t::role`: read by the task.
pub const LANEPIPE_ARGS_DUMP_ROLE_INPUT: u32 = 0;
/// `lanepipe_args_dump_info_t::role`: written by the task.
pub const LANEPIPE_ARGS_DUMP_ROLE_OUTPUT: u32 = 1;
/// `lanepipe_args_dump_info_t::role`: both.
pub const LANEPIPE_ARGS_DUMP_ROLE_INOUT: u32 = 2;
/// `lanepipe_args_dump_info_t::stage`: the task is not dispatched yet.
pub const LANEPIPE_ARGS_DUMP_STAGE_BEFORE_DISPATCH: u32 = 0;
/// `lanepipe_args_dump_info_t::stage`: the task has completed.
pub const LANEPIPE_ARGS_DUMP_STAGE_AFTER_COMPLETION: u32 = 1;
/// `ArgDirection` of the C++ runtime: a scalar.
pub const LANEPIPE_ARG_DIRECTION_SCALAR: u32 = 0;
/// `ArgDirection` of the C++ runtime: a tensor that the task reads.
pub const LANEPIPE_ARG_DIRECTION_IN: u32 = 1;
/// `ArgDirection` of the C++ runtime: a tensor that the task writes.
pub const LANEPIPE_ARG_DIRECTION_OUT: u32 = 2;
/// `ArgDirection` of the C++ runtime: a tensor that the task reads and writes.
pub const LANEPIPE_ARG_DIRECTION_INOUT: u32 = 3;

const _: () = {
    assert!(LANEPIPE_ARGS_DUMP_ROLE_INPUT == ARGS_DUMP_ROLE_INPUT);
    assert!(LANEPIPE_ARGS_DUMP_ROLE_OUTPUT == ARGS_DUMP_ROLE_OUTPUT);
    assert!(LANEPIPE_ARGS_DUMP_ROLE_INOUT == ARGS_DUMP_ROLE_INOUT);
    assert!(LANEPIPE_ARGS_DUMP_STAGE_BEFORE_DISPATCH == ARGS_DUMP_STAGE_BEFORE_DISPATCH);
    assert!(LANEPIPE_ARGS_DUMP_STAGE_AFTER_COMPLETION == ARGS_DUMP_STAGE_AFTER_COMPLETION);
    assert!(LANEPIPE_ARG_DIRECTION_SCALAR == ARG_DIRECTION_SCALAR);
    assert!(LANEPIPE_ARG_DIRECTION_IN == ARG_DIRECTION_IN);
    assert!(LANEPIPE_ARG_DIRECTION_OUT == ARG_DIRECTION_OUT);
    assert!(LANEPIPE_ARG_DIRECTION_INOUT == ARG_DIRECTION_INOUT);
};

/// Writes an answer, 0 or 1, unless there is none.
///
/// # Safety
///
/// `place` is null or writable.
unsafe fn answer(place: *mut u32, found: impl FnOnce() -> Result<bool, Status>) -> lanepipe_status_t {
    let run = || {
        check(place)?;
        let found = found()?;
        // SAFETY: checked; the caller's contract.
        unsafe { place.write(u32::from(found)) };
        Ok(())
    };
    done(run())
}

/// Whether anything of a task with that mask of marked arguments is dumped: `*wanted` is 0 at level 1 without a mark, else 1, also
/// while off. Any thread; never blocks.
///
/// # Safety
///
/// `dump` is null or made by its init call, `wanted` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_wants_task(
    dump: *const lanepipe_args_dump_t,
    mask: u64,
    wanted: *mut u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe { answer(wanted, || Ok(selection::wants_task(level_of(dump)?, mask))) }
}

/// Whether argument `arg_index` of a task with that mask of marked arguments is dumped: `*wanted` is 1 if it is marked, and outside
/// of level 1 always, also while off; else 0. Any thread; never blocks.
///
/// # Safety
///
/// `dump` is null or made by its init call, `wanted` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_wants_arg(
    dump: *const lanepipe_args_dump_t,
    mask: u64,
    arg_index: i32,
    wanted: *mut u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe { answer(wanted, || Ok(selection::wants_arg(level_of(dump)?, mask, arg_index))) }
}

/// Whether argument `arg_index` has its bit in a mask: `*marked` is 0 or 1; 0 for an index outside of 0 to 63. Any thread; never
/// blocks.
///
/// # Safety
///
/// `marked` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_has_arg_flag(
    mask: u64,
    arg_index: i32,
    marked: *mut u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe { answer(marked, || Ok(selection::has_flag(mask, arg_index))) }
}

/// Whether an argument of `role` (`LANEPIPE_ARGS_DUMP_ROLE_*`) is dumped at `stage` (`LANEPIPE_ARGS_DUMP_STAGE_*`): `*wanted` is 1
/// for an input before the dispatch, an output after the completion, what is both at both; else 0. `LANEPIPE_E_INVALID`: no such
/// role or stage. Any thread; never blocks.
///
/// # Safety
///
/// `wanted` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_wants_stage(role: u32, stage: u32, wanted: *mut u32) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe { answer(wanted, || selection::wants_stage(role, stage).ok_or(Status::LANEPIPE_E_INVALID)) }
}

/// The role (`LANEPIPE_ARGS_DUMP_ROLE_*`) of an argument with that `direction` (`LANEPIPE_ARG_DIRECTION_*`). `LANEPIPE_EMPTY`: a
/// scalar has none, and `*role` is as it was. `LANEPIPE_E_INVALID`: no such direction. Any thread; never blocks.
///
/// # Safety
///
/// `role` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_role_of_direction(direction: u32, role: *mut u32) -> lanepipe_status_t {
    let run = || {
        check(role)?;
        match selection::role_of(direction) {
            Some(Role::Tensor(found)) => {
                // SAFETY: checked; the caller's contract.
                unsafe { role.write(found) };
                Ok(())
            }
            Some(Role::Scalar) => Err(Status::LANEPIPE_EMPTY),
            None => Err(Status::LANEPIPE_E_INVALID),
        }
    };
    done(run())
}
