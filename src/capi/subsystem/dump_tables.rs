//! What is to be dumped of a task.

use super::status;
use crate::capi::args::{array, check};
use crate::device::args_dump::tables::{SCALARS, Stored, TASKS, Tables, words_of};
use crate::layout::RawWords64;
use crate::status::{Status, lanepipe_status_t};

/// Words of `lanepipe_args_dump_tables_t`.
pub const LANEPIPE_ARGS_DUMP_TABLES_WORDS: usize = 294_920;
/// Tasks of each of its tables.
pub const LANEPIPE_ARGS_DUMP_TABLES_TASKS: u32 = 32768;
/// Most scalars of a task.
pub const LANEPIPE_ARGS_DUMP_MAX_SCALARS: u32 = 32;

/// Masks of arguments and types of scalars of as many tasks as `LANEPIPE_ARGS_DUMP_TABLES_TASKS`. Memory of the caller (2.3 MB, for
/// instance a static object), all zero at first, and zeroed again after a launch that died inside of
/// `lanepipe_args_dump_tables_begin`; shared by all threads.
#[repr(C)]
pub struct lanepipe_args_dump_tables_t {
    /// Not for the caller.
    pub words: [u64; LANEPIPE_ARGS_DUMP_TABLES_WORDS],
}

const _: () = {
    assert!(LANEPIPE_ARGS_DUMP_TABLES_WORDS == words_of(TASKS));
    assert!(LANEPIPE_ARGS_DUMP_TABLES_TASKS as usize == TASKS);
    assert!(LANEPIPE_ARGS_DUMP_MAX_SCALARS as usize == SCALARS);
};

/// # Safety
///
/// `tables` is null or memory of tables.
unsafe fn tables_in(tables: *mut lanepipe_args_dump_tables_t) -> Result<Tables<RawWords64>, Status> {
    check(tables)?;
    // SAFETY: aligned; the caller's contract, and only such words are used of it.
    let words = unsafe { RawWords64::new(tables.cast(), LANEPIPE_ARGS_DUMP_TABLES_WORDS) };
    Ok(Tables::new(words, TASKS))
}

fn stored(stored: Stored) -> lanepipe_status_t {
    match stored {
        Stored::Stored => Status::LANEPIPE_OK,
        Stored::Ignored => Status::LANEPIPE_EMPTY,
        Stored::Full => Status::LANEPIPE_FULL,
        Stored::Refused => Status::LANEPIPE_E_INVALID,
    }
}

/// Empties the tables for a run, once for each number that differs from the last one. The number is the same for all threads of a
/// launch and new for each launch, from a counter of the host for instance: one that may come again, as an address does, leaves the
/// tables of the last run; 0 is none. `LANEPIPE_BUSY`: another thread is at it; nobody stores or looks before it has seen
/// `LANEPIPE_OK`, or has met at a barrier a thread that has. After a launch that died inside of this call it stays so for every
/// number, until the memory is zeroed again while no thread uses it. `LANEPIPE_E_INVALID`: 0. Any thread, at the launch, when
/// nobody stores or looks; never blocks.
///
/// # Safety
///
/// `tables` is null or memory of tables.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_tables_begin(
    tables: *mut lanepipe_args_dump_tables_t,
    run: u32,
) -> lanepipe_status_t {
    let work = || {
        // SAFETY: the caller's contract.
        let tables = unsafe { tables_in(tables)? };
        if run == 0 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        Ok(if tables.begin(run) { Status::LANEPIPE_OK } else { Status::LANEPIPE_BUSY })
    };
    status(work())
}

/// Stores which arguments of a task are dumped, one bit each, and their flags. `LANEPIPE_EMPTY`: a mask of 0 is not stored; one that the
/// task has stays. `LANEPIPE_FULL`: there is no place for another task. `LANEPIPE_E_INVALID`: `UINT64_MAX` is no id. Any thread,
/// before others hear of the task; never blocks.
///
/// # Safety
///
/// `tables` is null or memory of tables.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_set_task_mask(
    tables: *mut lanepipe_args_dump_tables_t,
    task_id: u64,
    mask: u64,
    flags: u64,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    status(unsafe { tables_in(tables) }.map(|tables| stored(tables.set_mask(task_id, mask, flags))))
}

/// Mask and flags of a task; each output may be null. `LANEPIPE_EMPTY`: none are stored, and both are 0. Any thread that has heard of the
/// task; never blocks.
///
/// # Safety
///
/// `tables` is null or memory of tables, `mask` and `flags` are null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_get_task_mask(
    tables: *mut lanepipe_args_dump_tables_t,
    task_id: u64,
    mask: *mut u64,
    flags: *mut u64,
) -> lanepipe_status_t {
    let work = || {
        // SAFETY: the caller's contract.
        let found = unsafe { tables_in(tables)? }.mask(task_id);
        for (place, value) in [mask, flags].into_iter().zip(found.unwrap_or_default()) {
            if !place.is_null() {
                // SAFETY: the caller's contract.
                unsafe { place.write_unaligned(value) };
            }
        }
        Ok(if found.is_some() { Status::LANEPIPE_OK } else { Status::LANEPIPE_EMPTY })
    };
    status(work())
}

/// Stores the types of a task's `count` scalars, one byte each. `LANEPIPE_EMPTY`: none are not stored; those that the task has
/// stay. `LANEPIPE_FULL`: there is no place for another task. `LANEPIPE_E_INVALID`: more than `LANEPIPE_ARGS_DUMP_MAX_SCALARS`,
/// of which nothing is read, or `UINT64_MAX`, which is no id. `LANEPIPE_E_NULL`: `dtypes` is null and `count` is not 0. Any
/// thread, before others hear of the task; never blocks.
///
/// # Safety
///
/// `tables` is null or memory of tables, `dtypes` null or readable for `count` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_set_task_scalar_dtypes(
    tables: *mut lanepipe_args_dump_tables_t,
    task_id: u64,
    count: u32,
    dtypes: *const u8,
) -> lanepipe_status_t {
    let work = || {
        // SAFETY: the caller's contract.
        let tables = unsafe { tables_in(tables)? };
        if count > LANEPIPE_ARGS_DUMP_MAX_SCALARS {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        // SAFETY: the caller's contract.
        let dtypes = unsafe { array(dtypes, count as usize)? };
        Ok(stored(tables.set_scalars(task_id, dtypes)))
    };
    status(work())
}

/// Number and types of a task's scalars. `LANEPIPE_EMPTY`: none are stored, and the outputs are as they were. Any thread that has heard
/// of the task; never blocks.
///
/// # Safety
///
/// `tables` is null or memory of tables, `count` null or writable, `dtypes` null or writable for
/// `LANEPIPE_ARGS_DUMP_MAX_SCALARS` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_get_task_scalar_dtypes(
    tables: *mut lanepipe_args_dump_tables_t,
    task_id: u64,
    count: *mut u32,
    dtypes: *mut u8,
) -> lanepipe_status_t {
    let work = || {
        check(count)?;
        check(dtypes)?;
        // SAFETY: the caller's contract.
        let Some((found, types)) = unsafe { tables_in(tables)? }.scalars_of(task_id) else {
            return Ok(Status::LANEPIPE_EMPTY);
        };
        // SAFETY: checked; the caller's contract.
        unsafe { count.write(found) };
        for (index, dtype) in types.iter().enumerate().take(found as usize) {
            // SAFETY: below the most that there are; the caller's contract.
            unsafe { dtypes.wrapping_add(index).write(*dtype) };
        }
        Ok(Status::LANEPIPE_OK)
    };
    status(work())
}
