//! Arguments of tasks and their contents.

use super::{
    Caller, Kept, Kind, NoClock, Object, Of, caller, done, flushed, lanepipe_device_region_t, lanepipe_device_thread_t,
};
use super::{make_of, on_arch, status};
use crate::capi::args::{check, object};
use crate::device::args_dump::{ArgsDump, Outcome};
use crate::layout::runtime::common::ArgsDumpInfo;
use crate::layout::runtime::constants::*;
use crate::layout::runtime::{A2a3, A5};
use crate::status::{Status, lanepipe_status_t};
use core::mem::offset_of;

/// The arguments of one launch. Memory of the caller, 8-aligned; all zero: off. Shared by the control threads.
#[repr(C)]
pub struct lanepipe_args_dump_t {
    /// Not for the caller.
    pub words: [u64; 16],
}

/// An argument, with the layout of the C++ runtime's `ArgsDumpInfo`. Read during the call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_args_dump_info_t {
    /// Identity of the task.
    pub task_id: u64,
    /// `LANEPIPE_ARGS_DUMP_ROLE_*`.
    pub role: u8,
    /// `LANEPIPE_ARGS_DUMP_STAGE_*`.
    pub stage: u8,
    /// Type of the elements.
    pub dtype: u8,
    /// Dimensions; the first five are looked at.
    pub ndims: u8,
    /// Number of the argument.
    pub arg_index: u32,
    /// Address of a tensor's elements.
    pub buffer_addr: u64,
    /// Bits of a scalar.
    pub scalar_value: u64,
    /// Functions of the task.
    pub func_ids: [i32; 3],
    /// How many of them there are.
    pub func_count: i32,
    /// 0 tensor, 1 scalar.
    pub kind: u8,
    /// Stored as they are.
    pub flags: u8,
    /// Whether level 3 stores the contents.
    pub capture_payload: u8,
    /// Not looked at.
    pub pad: [u8; 5],
    /// First element, in elements from `buffer_addr`.
    pub start_offset: u64,
    /// Elements per dimension.
    pub shapes: [u32; 5],
    /// Elements from one to the next, per dimension.
    pub strides: [u32; 5],
}

type DumpObject = Object<ArgsDump<A2a3>, ArgsDump<A5>>;

impl Kept for ArgsDump<A2a3> {
    const KIND: Kind = Kind::ArgsDump;
}

macro_rules! same_fields {
    ($($field:ident)*) => {
        const _: () = {
            assert!(size_of::<lanepipe_args_dump_info_t>() == size_of::<ArgsDumpInfo>());
            assert!(align_of::<lanepipe_args_dump_info_t>() == align_of::<ArgsDumpInfo>());
            $(assert!(offset_of!(lanepipe_args_dump_info_t, $field) == offset_of!(ArgsDumpInfo, $field));)*
        };
    };
}
same_fields!(task_id role stage dtype ndims arg_index buffer_addr scalar_value func_ids func_count kind flags
             capture_payload start_offset shapes strides);

const _: () = assert!(DumpObject::SIZE <= size_of::<lanepipe_args_dump_t>());

/// Begins a launch: takes the first buffer of each of `thread_count` control threads (1 to the most that the architecture has),
/// and the level. Whatever the object held is forgotten. After a failure the object is off: `LANEPIPE_E_NULL` without a region,
/// `LANEPIPE_E_MISALIGNED`, `LANEPIPE_E_INVALID` for another architecture or count. The leader, before any thread uses the
/// object; never blocks.
///
/// # Safety
///
/// `dump` is null or writable, `region` null or readable. As long as the object is used, the region and all it names, the arenas
/// included, are memory of the subsystem's layout, which everybody else accesses as the C++ runtime does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_init(
    dump: *mut lanepipe_args_dump_t,
    region: *const lanepipe_device_region_t,
    thread_count: u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe {
        DumpObject::open(dump.cast(), region, |arch, base| {
            make_of!(arch, ArgsDump::init(base, thread_count, &mut NoClock))
        })
    })
}

/// The end of a launch: off. The leader, after the last call; never blocks.
///
/// # Safety
///
/// `dump` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_finalize(dump: *mut lanepipe_args_dump_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { DumpObject::close(dump.cast()) })
}

/// The level, off while off.
///
/// # Safety
///
/// `dump` is null or made by its init call.
pub(super) unsafe fn level_of(dump: *const lanepipe_args_dump_t) -> Result<u32, Status> {
    // SAFETY: the caller's contract.
    match unsafe { DumpObject::live(dump.cast()) } {
        Ok(of) => Ok(on_arch!(of, |dump| dump.level())),
        Err(Status::LANEPIPE_CLOSED) => Ok(DUMP_ARGS_LEVEL_OFF),
        Err(status) => Err(status),
    }
}

/// The level that the region's header had at the start: 0 off, 1 marked arguments, 2 all, 3 all but the contents of tensors
/// that are not marked. 0 while off. Any thread; never blocks.
///
/// # Safety
///
/// `dump` is null or made by its init call, `level` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_level(
    dump: *const lanepipe_args_dump_t,
    level: *mut u32,
) -> lanepipe_status_t {
    let run = || {
        check(level)?;
        // SAFETY: the caller's contract.
        let found = unsafe { level_of(dump)? };
        // SAFETY: checked; the caller's contract.
        unsafe { level.write(found) };
        Ok(())
    };
    done(run())
}

/// Records an argument of a task, with its contents if it is a tensor whose contents are wanted; contents beyond the arena are
/// shortened (losses `truncated`). `LANEPIPE_DROPPED`: counted as lost, for want of a buffer, or because the arena was not
/// released in time (losses `refused`). `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: the launch has no such
/// thread, or a role, stage or kind that does not exist. Does not look at the level's selection of arguments. The control thread;
/// blocks for up to the budget per wait, and only when a buffer is full or missing or the arena starts anew.
///
/// # Safety
///
/// `dump` is null or made by its init call, `thread` null or the calling thread's, `info` null or readable. All elements that a
/// tensor's shape and strides reach are readable and lie outside of the arena.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_record(
    dump: *mut lanepipe_args_dump_t,
    thread: *mut lanepipe_device_thread_t,
    info: *const lanepipe_args_dump_info_t,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let of = unsafe { DumpObject::live(dump.cast())? };
        // SAFETY: the caller's contract.
        let Caller { thread, mut clock } = unsafe { caller(thread)? };
        // SAFETY: of the same layout; the caller's contract.
        let info = unsafe { object(info.cast::<ArgsDumpInfo>())? };
        let is_known = u32::from(info.role) <= ARGS_DUMP_ROLE_INOUT
            && u32::from(info.stage) <= ARGS_DUMP_STAGE_AFTER_COMPLETION
            && u32::from(info.kind) <= ARGS_DUMP_KIND_SCALAR;
        if !is_known {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        // SAFETY: the caller's contract.
        Ok(match on_arch!(of, |dump| unsafe { dump.arg_record(thread, &mut clock, info) }) {
            Outcome::Written => Status::LANEPIPE_OK,
            Outcome::Dropped | Outcome::NoArena => Status::LANEPIPE_DROPPED,
            Outcome::Ignored => Status::LANEPIPE_E_INVALID,
        })
    };
    status(run())
}

/// Hands what the thread has recorded to the host. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active.
/// `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a thread. The control
/// thread, at the end of its loop; blocks for up to the budget.
///
/// # Safety
///
/// `dump` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_args_dump_flush(
    dump: *mut lanepipe_args_dump_t,
    thread: *mut lanepipe_device_thread_t,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let of = unsafe { DumpObject::live(dump.cast())? };
        // SAFETY: the caller's contract.
        let Caller { thread, mut clock } = unsafe { caller(thread)? };
        Ok(flushed(on_arch!(of, |dump| dump.flush(thread, &mut clock))))
    };
    status(run())
}
