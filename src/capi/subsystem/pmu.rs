//! Counters of tasks.

use super::{
    Caller, Kept, Kind, NoClock, Object, Of, caller, done, flushed, lanepipe_device_region_t, lanepipe_device_thread_t,
};
use super::{make_of, on_arch, status};
use crate::capi::args::{Sized32, check, sized};
use crate::device::pmu::registers::{Core, Registers};
use crate::device::pmu::{Outcome, Pmu, PmuArch, Task};
use crate::layout::runtime::constants::{CORE_TYPE_AIC, CORE_TYPE_AIV};
use crate::layout::runtime::{A2a3, A5};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;
use core::mem::offset_of;

/// A task of a matrix core.
pub const LANEPIPE_CORE_TYPE_AIC: u32 = 0;
/// A task of a vector core.
pub const LANEPIPE_CORE_TYPE_AIV: u32 = 1;

/// Reads the register `offset` bytes behind `base`.
pub type lanepipe_pmu_read_fn_t = Option<unsafe extern "C" fn(context: *mut c_void, base: u64, offset: u32) -> u32>;
/// Writes it.
pub type lanepipe_pmu_write_fn_t =
    Option<unsafe extern "C" fn(context: *mut c_void, base: u64, offset: u32, value: u32)>;

/// The counters of one launch. Memory of the caller, 8-aligned; all zero: off. Shared by the control threads.
#[repr(C)]
pub struct lanepipe_pmu_t {
    /// Not for the caller.
    pub words: [u64; 16],
}

/// A core whose counters are programmed. Made by `lanepipe_pmu_core_init`; used by the control thread that owns the core.
#[repr(C)]
pub struct lanepipe_pmu_core_t {
    /// Number of the core.
    pub index: i32,
    /// Not for the caller.
    pub reserved: u32,
    /// Its register base; 0: it has none.
    pub base: u64,
    /// Not for the caller.
    pub words: [u64; 2],
}

/// Access to registers. Both functions are given.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_pmu_registers_t {
    /// `sizeof(lanepipe_pmu_registers_t)`.
    pub struct_size: u32,
    /// Must be 0.
    pub reserved: u32,
    /// Passed to the functions.
    pub context: *mut c_void,
    /// Reads.
    pub read: lanepipe_pmu_read_fn_t,
    /// Writes.
    pub write: lanepipe_pmu_write_fn_t,
}

impl Sized32 for lanepipe_pmu_registers_t {}

type PmuObject = Object<Pmu<A2a3>, Pmu<A5>>;

impl Kept for Pmu<A2a3> {
    const KIND: Kind = Kind::Pmu;
}

const _: () = {
    assert!(PmuObject::SIZE <= size_of::<lanepipe_pmu_t>());
    assert!(size_of::<Core>() == size_of::<lanepipe_pmu_core_t>());
    assert!(offset_of!(Core, index) == 0 && offset_of!(Core, base) == offset_of!(lanepipe_pmu_core_t, base));
    assert!(LANEPIPE_CORE_TYPE_AIC == CORE_TYPE_AIC && LANEPIPE_CORE_TYPE_AIV == CORE_TYPE_AIV);
};

/// The caller's registers.
struct Access {
    context: *mut c_void,
    read: unsafe extern "C" fn(*mut c_void, u64, u32) -> u32,
    write: unsafe extern "C" fn(*mut c_void, u64, u32, u32),
}

impl Registers for Access {
    fn read(&mut self, base: u64, offset: u32) -> u32 {
        // SAFETY: the caller vouches for its functions.
        unsafe { (self.read)(self.context, base, offset) }
    }
    fn write(&mut self, base: u64, offset: u32, value: u32) {
        // SAFETY: the caller vouches for its functions.
        unsafe { (self.write)(self.context, base, offset, value) }
    }
}

/// # Safety
///
/// `registers` is null or readable.
unsafe fn access(registers: *const lanepipe_pmu_registers_t) -> Result<Access, Status> {
    // SAFETY: the caller's contract.
    let registers = unsafe { sized(registers)? };
    let (Some(read), Some(write)) = (registers.read, registers.write) else { return Err(Status::LANEPIPE_E_NULL) };
    if registers.reserved != 0 {
        return Err(Status::LANEPIPE_E_INVALID);
    }
    Ok(Access { context: registers.context, read, write })
}

fn task(task_id: u64, func_id: u32, core_type: u32) -> Result<Task, Status> {
    if !matches!(core_type, CORE_TYPE_AIC | CORE_TYPE_AIV) {
        return Err(Status::LANEPIPE_E_INVALID);
    }
    Ok(Task { task_id, func_id, core_type })
}

fn recorded(outcome: Outcome) -> lanepipe_status_t {
    match outcome {
        Outcome::Written => Status::LANEPIPE_OK,
        Outcome::Dropped => Status::LANEPIPE_DROPPED,
        Outcome::Mismatch => Status::LANEPIPE_MISMATCH,
        Outcome::Ignored => Status::LANEPIPE_E_INVALID,
    }
}

/// The counters of `cores` cores; off if no chip has so many.
///
/// # Safety
///
/// As for [`Pmu::init`].
unsafe fn begin<A: PmuArch>(base: u64, cores: u32) -> Pmu<A> {
    if cores > A::MAX_CORES {
        return Pmu::off();
    }
    // SAFETY: the caller's contract.
    unsafe { Pmu::init(base, cores, &mut NoClock) }
}

/// Begins a launch: takes the first buffer of each of `core_count` cores, at most as many as the architecture has, and on a5 clears
/// the cores' staging rings, whose addresses the host has put into their states. Whatever the object held is forgotten. After a
/// failure the object is off: `LANEPIPE_E_NULL` without a region, `LANEPIPE_E_MISALIGNED`, `LANEPIPE_E_INVALID` for another
/// architecture or too many cores. The leader, before any thread uses the object; never blocks.
///
/// # Safety
///
/// `pmu` is null or writable, `region` null or readable. As long as the object is used, the region and all it names are memory
/// of the subsystem's layout, which everybody else accesses as the C++ runtime does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pmu_init(
    pmu: *mut lanepipe_pmu_t,
    region: *const lanepipe_device_region_t,
    core_count: u32,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { PmuObject::open(pmu.cast(), region, |arch, base| make_of!(arch, begin(base, core_count))) })
}

/// The end of a launch: off. The leader, after the last call; never blocks.
///
/// # Safety
///
/// `pmu` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pmu_finalize(pmu: *mut lanepipe_pmu_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { PmuObject::close(pmu.cast()) })
}

/// A core at the beginning of a launch; `register_base` 0: it has no registers. What the memory held is forgotten, so that a core
/// that is programmed is restored first. Never blocks.
///
/// # Safety
///
/// `core` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pmu_core_init(
    core: *mut lanepipe_pmu_core_t,
    index: i32,
    register_base: u64,
) -> lanepipe_status_t {
    done(check(core).map(|()| {
        // SAFETY: checked; the caller's contract.
        unsafe { core.cast::<Core>().write(Core::new(index, register_base)) }
    }))
}

/// Selects the events that the region's header asks for (those of the pipe utilisation if it names none that exist), clears
/// the counters and switches them on. `LANEPIPE_EMPTY` for a core without registers, `LANEPIPE_CLOSED` while off.
/// `LANEPIPE_E_STATE`, and nothing touched: it is programmed and was not restored. `LANEPIPE_E_INVALID`: `reserved` is not 0. The
/// core's control thread; never blocks.
///
/// # Safety
///
/// `pmu` and `core` are null or made by their init calls; `registers` is null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pmu_core_program(
    pmu: *mut lanepipe_pmu_t,
    core: *mut lanepipe_pmu_core_t,
    registers: *const lanepipe_pmu_registers_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_registers(pmu, core, registers, |of, core, registers| {
            let is_done = match of {
                Of::A2a3(pmu) => core.program::<A2a3>(registers, pmu.event_type().unwrap_or(0)),
                Of::A5(pmu) => core.program::<A5>(registers, pmu.event_type().unwrap_or(0)),
            };
            if is_done { Ok(()) } else { Err(Status::LANEPIPE_E_STATE) }
        })
    }
}

/// Puts the control registers back, once after `lanepipe_pmu_core_program`. `LANEPIPE_EMPTY` for a core without registers,
/// `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID`: `reserved` is not 0. The core's control thread, before the core is told
/// to exit and before `lanepipe_pmu_finalize`; never blocks.
///
/// # Safety
///
/// As for `lanepipe_pmu_core_program`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pmu_core_restore(
    pmu: *mut lanepipe_pmu_t,
    core: *mut lanepipe_pmu_core_t,
    registers: *const lanepipe_pmu_registers_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe {
        with_registers(pmu, core, registers, |of, core, registers| {
            match of {
                Of::A2a3(_) => core.restore::<A2a3>(registers),
                Of::A5(_) => core.restore::<A5>(registers),
            }
            Ok(())
        })
    }
}

/// # Safety
///
/// As for [`lanepipe_pmu_core_program`].
unsafe fn with_registers(
    pmu: *mut lanepipe_pmu_t,
    core: *mut lanepipe_pmu_core_t,
    registers: *const lanepipe_pmu_registers_t,
    work: impl FnOnce(Of<&Pmu<A2a3>, &Pmu<A5>>, &mut Core, &mut Access) -> Result<(), Status>,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let (of, mut registers) = unsafe { (PmuObject::live(pmu.cast())?, access(registers)?) };
        check(core)?;
        // SAFETY: checked; made by `lanepipe_pmu_core_init`, and its thread's alone.
        let core = unsafe { &mut *core.cast::<Core>() };
        if core.base == 0 {
            return Err(Status::LANEPIPE_EMPTY);
        }
        work(of, core, &mut registers)
    };
    done(run())
}

/// Records a finished task of `core` with what its counters show now; they are read only if there is a place for them. On a2a3;
/// elsewhere `LANEPIPE_E_UNSUPPORTED`. `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_EMPTY`: the core has no registers,
/// nothing was counted. `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: no such core or `core_type`
/// (`LANEPIPE_CORE_TYPE_*`), or `reserved` is not 0. The core's control thread, after it saw the task finished; blocks for up
/// to the budget per wait, and only when a buffer is full or missing.
///
/// # Safety
///
/// `pmu` and `core` are null or made by their init calls; `thread` is null or the calling thread's, `registers` null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pmu_record_task(
    pmu: *mut lanepipe_pmu_t,
    thread: *mut lanepipe_device_thread_t,
    core: *const lanepipe_pmu_core_t,
    registers: *const lanepipe_pmu_registers_t,
    task_id: u64,
    func_id: u32,
    core_type: u32,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let (of, mut registers) = unsafe { (PmuObject::live(pmu.cast())?, access(registers)?) };
        // SAFETY: the caller's contract.
        let Caller { thread, mut clock } = unsafe { caller(thread)? };
        check(core)?;
        let task = task(task_id, func_id, core_type)?;
        let Of::A2a3(pmu) = of else { return Err(Status::LANEPIPE_E_UNSUPPORTED) };
        // SAFETY: checked; made by `lanepipe_pmu_core_init`, and its thread's alone.
        let core = unsafe { &*core.cast::<Core>() };
        if core.base == 0 {
            return Err(Status::LANEPIPE_EMPTY);
        }
        Ok(recorded(pmu.record_task(thread, &mut clock, &mut registers, core, task)))
    };
    status(run())
}

/// Records a finished task of `core` with what the core left in its staging ring for `reg_task_id`. On a5; elsewhere
/// `LANEPIPE_E_UNSUPPORTED`. `LANEPIPE_MISMATCH`: counted as such, the core did not leave it. `LANEPIPE_DROPPED`: counted as lost,
/// for want of a buffer or of a ring. `LANEPIPE_CLOSED`: off, nothing was counted. `LANEPIPE_E_INVALID`: no such core or
/// `core_type` (`LANEPIPE_CORE_TYPE_*`). The core's control thread, after it saw the task finished and before it dispatches the next
/// one for the same slot; blocks for up to the budget per wait, and only when a buffer is full or missing.
///
/// # Safety
///
/// `pmu` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pmu_complete_record(
    pmu: *mut lanepipe_pmu_t,
    thread: *mut lanepipe_device_thread_t,
    core: i32,
    reg_task_id: u32,
    task_id: u64,
    func_id: u32,
    core_type: u32,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let of = unsafe { PmuObject::live(pmu.cast())? };
        // SAFETY: the caller's contract.
        let Caller { thread, mut clock } = unsafe { caller(thread)? };
        let task = task(task_id, func_id, core_type)?;
        let Of::A5(pmu) = of else { return Err(Status::LANEPIPE_E_UNSUPPORTED) };
        Ok(recorded(pmu.complete_record(thread, &mut clock, core, reg_task_id, task)))
    };
    status(run())
}

/// Hands what `core` has recorded to the host. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active.
/// `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED` while off, `LANEPIPE_E_INVALID` without such a core. The core's control
/// thread, at the end of its loop; blocks for up to the budget.
///
/// # Safety
///
/// `pmu` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pmu_flush(
    pmu: *mut lanepipe_pmu_t,
    thread: *mut lanepipe_device_thread_t,
    core: i32,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let of = unsafe { PmuObject::live(pmu.cast())? };
        // SAFETY: the caller's contract.
        let Caller { thread, mut clock } = unsafe { caller(thread)? };
        Ok(flushed(on_arch!(of, |pmu| pmu.flush(thread, &mut clock, core))))
    };
    status(run())
}
