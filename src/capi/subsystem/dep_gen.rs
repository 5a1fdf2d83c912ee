//! Submits and what they depend on.

use super::{
    Caller, Kept, Kind, NoClock, Object, Of, caller, done, flushed, lanepipe_device_region_t, lanepipe_device_thread_t,
};
use super::{make_of, on_arch, status};
use crate::capi::args::{Sized32, array, sized};
use crate::device::dep_gen::{DepGen, Outcome, Submit};
use crate::layout::runtime::constants::{CORE_MAX_TENSOR_ARGS, DEP_GEN_TENSOR_SIZE};
use crate::layout::runtime::{A2a3, A5};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;

const TENSORS: usize = CORE_MAX_TENSOR_ARGS as usize;
type Tensor<'a> = Option<&'a [u8; DEP_GEN_TENSOR_SIZE as usize]>;

/// `lanepipe_dep_gen_submit_t::flags`: submitted in a manual scope.
pub const LANEPIPE_DEP_GEN_MANUAL_SCOPE: u32 = 1;
/// `lanepipe_dep_gen_submit_t::flags`: dispatched early.
pub const LANEPIPE_DEP_GEN_EARLY_DISPATCH: u32 = 2;

/// The submits of one launch. Memory of the caller, 8-aligned; all zero: off. The orchestrator's.
#[repr(C)]
pub struct lanepipe_dep_gen_t {
    /// Not for the caller.
    pub words: [u64; 24],
}

/// A submit. Read during the call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_dep_gen_submit_t {
    /// `sizeof(lanepipe_dep_gen_submit_t)`.
    pub struct_size: u32,
    /// `LANEPIPE_DEP_GEN_*`.
    pub flags: u32,
    /// Identity of the task.
    pub task_id: u64,
    /// `tensor_count` pointers to 128 bytes each; a null one, and all of a null array, are stored as zeros.
    pub tensors: *const *const c_void,
    /// `tensor_count` bytes; null: the record's bytes stay as they are.
    pub arg_types: *const u8,
    /// `dep_count` ids of tasks; null: none.
    pub deps: *const u64,
    /// Three kernels; null: stored as -1 each.
    pub kernel_ids: *const i32,
    /// Tensors; below 0: none, at most 32 are stored.
    pub tensor_count: i32,
    /// Dependencies; below 0: none.
    pub dep_count: i32,
    /// Blocks; below 1 is stored as 1.
    pub block_num: i32,
    /// Must be 0.
    pub reserved: u32,
}

impl Sized32 for lanepipe_dep_gen_submit_t {}

type DepGenObject = Object<DepGen<A2a3>, DepGen<A5>>;

impl Kept for DepGen<A2a3> {
    const KIND: Kind = Kind::DepGen;
}

const _: () = {
    assert!(DepGenObject::SIZE <= size_of::<lanepipe_dep_gen_t>());
    assert!(size_of::<Tensor<'static>>() == size_of::<*const c_void>());
};

/// # Safety
///
/// What `submit` names is as described.
unsafe fn described<'a>(submit: &'a lanepipe_dep_gen_submit_t) -> Result<Submit<'a>, Status> {
    // One more than a record holds tells that there are too many.
    const MOST: usize = TENSORS + 1;
    const NO_TENSORS: &[Tensor<'static>; MOST] = &[None; MOST];
    let known = LANEPIPE_DEP_GEN_MANUAL_SCOPE | LANEPIPE_DEP_GEN_EARLY_DISPATCH;
    if submit.flags & !known != 0 || submit.reserved != 0 {
        return Err(Status::LANEPIPE_E_INVALID);
    }
    let count = usize::try_from(submit.tensor_count).unwrap_or(0).min(MOST);
    let tensors = if submit.tensors.is_null() {
        NO_TENSORS.get(..count).unwrap_or(&[])
    } else {
        // SAFETY: a pointer that may be null looks like an `Option` of a reference to bytes; the caller's contract.
        unsafe { array(submit.tensors.cast::<Tensor<'a>>(), count)? }
    };
    let arg_types = if submit.arg_types.is_null() {
        None
    } else {
        // SAFETY: the caller's contract.
        Some(unsafe { array(submit.arg_types, count)? })
    };
    let deps = if submit.deps.is_null() {
        &[]
    } else {
        // SAFETY: the caller's contract.
        unsafe { array(submit.deps, usize::try_from(submit.dep_count).unwrap_or(0))? }
    };
    let kernel_ids = if submit.kernel_ids.is_null() {
        None
    } else {
        // SAFETY: the caller's contract.
        unsafe { array(submit.kernel_ids, 3)? }.first_chunk().copied()
    };
    Ok(Submit {
        task_id: submit.task_id,
        in_manual_scope: submit.flags & LANEPIPE_DEP_GEN_MANUAL_SCOPE != 0,
        early_dispatch: submit.flags & LANEPIPE_DEP_GEN_EARLY_DISPATCH != 0,
        tensors,
        arg_types,
        deps,
        block_num: submit.block_num,
        kernel_ids,
    })
}

/// Begins a launch: takes the first buffer if one is there. Whatever the object held is forgotten. After a failure the object
/// is off: `LANEPIPE_E_NULL` without a region, `LANEPIPE_E_MISALIGNED`, `LANEPIPE_E_INVALID` for another architecture. The
/// orchestrator; never blocks.
///
/// # Safety
///
/// `dep_gen` is null or writable, `region` null or readable. As long as the object is used, the region and all it names are
/// memory of the subsystem's layout, which everybody else accesses as the C++ runtime does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_dep_gen_init(
    dep_gen: *mut lanepipe_dep_gen_t,
    region: *const lanepipe_device_region_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe {
        DepGenObject::open(dep_gen.cast(), region, |arch, base| make_of!(arch, DepGen::init(base, &mut NoClock)))
    })
}

/// The end of a launch, whether the subsystem was on or not: off. The orchestrator; never blocks.
///
/// # Safety
///
/// `dep_gen` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_dep_gen_finalize(dep_gen: *mut lanepipe_dep_gen_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { DepGenObject::close(dep_gen.cast()) })
}

/// Runs `work` with the orchestrator, whose losses it may count.
///
/// # Safety
///
/// `dep_gen` is null or made by its init call, `thread` null or the calling thread's.
unsafe fn with_orchestrator(
    dep_gen: *mut lanepipe_dep_gen_t,
    thread: *mut lanepipe_device_thread_t,
    work: impl FnOnce(Of<&mut DepGen<A2a3>, &mut DepGen<A5>>, &mut Caller<'_>) -> Result<lanepipe_status_t, Status>,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let (of, mut caller) = unsafe { (DepGenObject::live_mut(dep_gen.cast())?, caller(thread)?) };
        work(of, &mut caller)
    };
    status(run())
}

/// Records a submit. `LANEPIPE_DROPPED`: counted as lost, because there is no buffer or the thread has no index yet (losses
/// `refused`). One with more dependencies than a buffer holds, or more than 32 tensors, is shortened (losses `truncated`).
/// `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: unknown flags, or `reserved` is not 0. The orchestrator;
/// blocks for up to the budget per wait, and only when a buffer is full or missing.
///
/// # Safety
///
/// `dep_gen` is null or made by its init call, `thread` null or the calling thread's, `submit` null or as described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_dep_gen_record_submit(
    dep_gen: *mut lanepipe_dep_gen_t,
    thread: *mut lanepipe_device_thread_t,
    submit: *const lanepipe_dep_gen_submit_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_orchestrator(dep_gen, thread, |of, Caller { thread, clock }| {
            let submit = described(sized(submit)?)?;
            let outcome = on_arch!(of, |dep_gen| {
                dep_gen.thread = **thread;
                let outcome = dep_gen.record_submit(clock, &submit);
                **thread = dep_gen.thread;
                outcome
            });
            Ok(match outcome {
                Outcome::Written | Outcome::Truncated => Status::LANEPIPE_OK,
                Outcome::Dropped | Outcome::NoIndex => Status::LANEPIPE_DROPPED,
                Outcome::Ignored => Status::LANEPIPE_CLOSED,
            })
        })
    }
}

/// Hands what is recorded to the host. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active. `LANEPIPE_DROPPED`: counted as
/// lost. `LANEPIPE_CLOSED` while off. The orchestrator, at the end; blocks for up to the budget.
///
/// # Safety
///
/// `dep_gen` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_dep_gen_flush(
    dep_gen: *mut lanepipe_dep_gen_t,
    thread: *mut lanepipe_device_thread_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_orchestrator(dep_gen, thread, |of, Caller { thread, clock }| {
            Ok(flushed(on_arch!(of, |dep_gen| {
                dep_gen.thread = **thread;
                let outcome = dep_gen.flush(clock);
                **thread = dep_gen.thread;
                outcome
            })))
        })
    }
}
