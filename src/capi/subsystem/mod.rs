//! The five profiling subsystems of a device, over regions in the C++ runtime's layout. What an object keeps lies in memory
//! of the caller and holds for one launch; threads and cores bring what is theirs.

mod aicore;
mod args_dump;
mod dep_gen;
mod dump_selection;
mod dump_tables;
mod pmu;
mod scope_stats;
mod swimlane;

use super::arch::{LANEPIPE_ARCH_A2A3, LANEPIPE_ARCH_A5};
use super::args::{Sized32, check, check_sized, sized};
use super::device::{Callbacks, lanepipe_device_now_fn_t, lanepipe_device_relax_fn_t};
use super::status::{done, status};
use crate::device::lane::{Launch, Losses, Thread};
use crate::device::{Clock, Flushed};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_void;
use core::mem::{ManuallyDrop, offset_of};

/// `lanepipe_device_region_t::budget`: 30 s of the architecture's counter.
pub const LANEPIPE_DEVICE_BUDGET_OF_ARCH: u64 = u64::MAX;

/// A subsystem's region for one launch. Read by the init calls only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_device_region_t {
    /// `sizeof(lanepipe_device_region_t)`.
    pub struct_size: u32,
    /// `LANEPIPE_ARCH_*`.
    pub arch: u32,
    /// Address of the region's header, 64-aligned; 0: the subsystem is off.
    pub base: u64,
    /// Most ticks of the threads' clocks that one wait takes; 0: one look; `LANEPIPE_DEVICE_BUDGET_OF_ARCH`.
    pub budget: u64,
}

/// Why a thread lost records, and what else went wrong. Counters wrap at 2^32.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_device_losses_t {
    /// Records of buffers that found no room in the ready queue in time.
    pub no_room: u32,
    /// Records of buffers that were not offered because the host is taken for dead.
    pub host_gone: u32,
    /// Records of buffers for which there is no ready queue: the thread's index is out of range.
    pub no_queue: u32,
    /// Records for which there was no buffer.
    pub no_buffer: u32,
    /// Records refused before they had a buffer: no index of the orchestrator, no room in the arena, no staging ring.
    pub refused: u32,
    /// Records that were shortened. They are not lost.
    pub truncated: u32,
    /// Publications that the push gate did not let go on in time. Nothing is lost.
    pub gate_timeouts: u32,
    /// Slots of free queues that held no buffer. Nothing is lost.
    pub null_slots: u32,
}

/// A control thread in one subsystem. Filled by the caller for each launch; used by that thread only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_device_thread_t {
    /// `sizeof(lanepipe_device_thread_t)`.
    pub struct_size: u32,
    /// Index of its ready queue; below 0: it has none yet.
    pub index: i32,
    /// Zero at first; counted by the calls.
    pub losses: lanepipe_device_losses_t,
    /// Passed to the functions.
    pub context: *mut c_void,
    /// The clock; read only while something is waited for. Not null. Called while the thread object is lent to the call: it
    /// neither reads nor writes the object, and makes no call with it.
    pub now: lanepipe_device_now_fn_t,
    /// Called once between two looks; null: a hint to the processor. As for `now`, the thread object is not for it.
    pub relax: lanepipe_device_relax_fn_t,
}

impl Sized32 for lanepipe_device_region_t {}
impl Sized32 for lanepipe_device_thread_t {}

const _: () = {
    assert!(size_of::<lanepipe_device_losses_t>() == size_of::<Losses>());
    assert!(offset_of!(lanepipe_device_losses_t, null_slots) == offset_of!(Losses, null_slots));
    assert!(
        offset_of!(lanepipe_device_thread_t, losses)
            == offset_of!(lanepipe_device_thread_t, index) + offset_of!(Thread, losses)
    );
};

/// A thread of the caller at work.
struct Caller<'a> {
    thread: &'a mut Thread,
    clock: Callbacks,
}

/// # Safety
///
/// `thread` is null, or readable and writable, and nobody else uses it during `'a`.
#[inline(always)]
unsafe fn caller<'a>(thread: *mut lanepipe_device_thread_t) -> Result<Caller<'a>, Status> {
    // SAFETY: the caller's contract.
    unsafe { check_sized(thread)? };
    // SAFETY: checked.
    let (context, now, relax) = unsafe { ((*thread).context, (*thread).now, (*thread).relax) };
    let now = now.ok_or(Status::LANEPIPE_E_NULL)?;
    let place = thread.wrapping_byte_add(offset_of!(lanepipe_device_thread_t, index)).cast::<Thread>();
    // SAFETY: index and losses lie as a `Thread` has them; the caller lends them for the call.
    Ok(Caller { thread: unsafe { &mut *place }, clock: Callbacks { context, now, relax } })
}

/// The clock of those who never wait.
struct NoClock;

impl Clock for NoClock {
    fn now(&mut self) -> u64 {
        0
    }
    fn relax(&mut self) {}
}

/// An architecture's value, or a reference to it.
enum Of<X, Y> {
    A2a3(X),
    A5(Y),
}

/// The same for either architecture.
macro_rules! on_arch {
    ($of:expr, |$value:ident| $do:expr) => {
        match $of {
            Of::A2a3($value) => $do,
            Of::A5($value) => $do,
        }
    };
}
use on_arch;

/// Kinds of objects, one per subsystem.
#[derive(Clone, Copy)]
enum Kind {
    Swimlane,
    Pmu,
    DepGen,
    ArgsDump,
    ScopeStats,
}

/// What an architecture's value tells of the object that holds it.
trait Kept {
    /// The subsystem's.
    const KIND: Kind;
}

/// What an object of the caller holds: zero is off.
#[repr(C)]
struct Object<X, Y> {
    mark: u64,
    value: Value<X, Y>,
}

#[repr(C)]
union Value<X, Y> {
    a2a3: ManuallyDrop<X>,
    a5: ManuallyDrop<Y>,
}

/// Of a live object; the kind and the architecture are added.
const MARK: u64 = 0x6c61_6e65_7069_7000;

impl<X: Kept, Y> Object<X, Y> {
    /// Of an object on a2a3, and plus one on a5. No other kind has either.
    const MARK: u64 = MARK + 2 * X::KIND as u64;

    const SIZE: usize = {
        assert!(align_of::<Self>() == align_of::<u64>());
        size_of::<Self>()
    };

    /// Which value was written; `LANEPIPE_CLOSED` while the subsystem is off.
    ///
    /// # Safety
    ///
    /// `object` is null or memory of an object that nobody replaces during the call.
    #[inline(always)]
    unsafe fn arch(object: *const Self) -> Result<Of<(), ()>, Status> {
        check(object)?;
        // SAFETY: aligned; the caller's contract.
        let mark = unsafe { (*object).mark };
        match mark ^ Self::MARK {
            0 => Ok(Of::A2a3(())),
            1 => Ok(Of::A5(())),
            _ if mark == 0 => Err(Status::LANEPIPE_CLOSED),
            _ => Err(Status::LANEPIPE_E_STATE),
        }
    }

    /// The subsystem; `LANEPIPE_CLOSED` while it is off.
    ///
    /// # Safety
    ///
    /// `object` is null or memory of an object that nobody replaces during `'a`.
    #[inline(always)]
    unsafe fn live<'a>(object: *const Self) -> Result<Of<&'a X, &'a Y>, Status> {
        // SAFETY: checked; the caller's contract. The mark tells which value was written.
        unsafe {
            Ok(match Self::arch(object)? {
                Of::A2a3(()) => Of::A2a3(&(*object).value.a2a3),
                Of::A5(()) => Of::A5(&(*object).value.a5),
            })
        }
    }

    /// The same, for an object that one thread uses.
    ///
    /// # Safety
    ///
    /// As for [`Object::live`], and nobody else uses it during `'a`.
    #[inline(always)]
    unsafe fn live_mut<'a>(object: *mut Self) -> Result<Of<&'a mut X, &'a mut Y>, Status> {
        // SAFETY: as for `live`.
        unsafe {
            Ok(match Self::arch(object)? {
                Of::A2a3(()) => Of::A2a3(&mut (*object).value.a2a3),
                Of::A5(()) => Of::A5(&mut (*object).value.a5),
            })
        }
    }

    /// Off, whatever the memory holds.
    ///
    /// # Safety
    ///
    /// `object` is null or memory of an object that nobody uses.
    unsafe fn close(object: *mut Self) -> Result<(), Status> {
        check(object)?;
        // SAFETY: aligned; the caller's contract.
        unsafe { (&raw mut (*object).mark).write(0) };
        Ok(())
    }
}

impl<X: Kept + Launch, Y: Launch> Object<X, Y> {
    /// Makes the object anew with what `make` gives for architecture and base: off unless that is on.
    ///
    /// # Safety
    ///
    /// As for [`Object::close`]; `region` is null or readable.
    unsafe fn open(
        object: *mut Self,
        region: *const lanepipe_device_region_t,
        make: impl FnOnce(Of<(), ()>, u64) -> Of<X, Y>,
    ) -> Result<(), Status> {
        // SAFETY: the caller's contract.
        unsafe { Self::close(object)? };
        // SAFETY: the caller's contract.
        let region = unsafe { sized(region)? };
        let arch = match region.arch {
            LANEPIPE_ARCH_A2A3 => Of::A2a3(()),
            LANEPIPE_ARCH_A5 => Of::A5(()),
            _ => return Err(Status::LANEPIPE_E_INVALID),
        };
        if region.base == 0 {
            return Err(Status::LANEPIPE_E_NULL);
        }
        if !region.base.is_multiple_of(64) {
            return Err(Status::LANEPIPE_E_MISALIGNED);
        }
        let mut made = make(arch, region.base);
        if !on_arch!(&mut made, |value| value.is_on()) {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        if region.budget != LANEPIPE_DEVICE_BUDGET_OF_ARCH {
            on_arch!(&mut made, |value| value.set_budget(region.budget));
        }
        let (mark, value) = match made {
            Of::A2a3(value) => (Self::MARK, Value { a2a3: ManuallyDrop::new(value) }),
            Of::A5(value) => (Self::MARK + 1, Value { a5: ManuallyDrop::new(value) }),
        };
        // SAFETY: checked by `close`; the caller's contract.
        unsafe { object.write(Self { mark, value }) };
        Ok(())
    }
}

/// An architecture's value of the same expression.
macro_rules! make_of {
    ($arch:expr, $make:expr) => {
        match $arch {
            Of::A2a3(()) => Of::A2a3($make),
            Of::A5(()) => Of::A5($make),
        }
    };
}
use make_of;

/// The status of a flush; `LANEPIPE_E_INVALID` if there is no such instance.
fn flushed(flushed: Option<Flushed>) -> lanepipe_status_t {
    match flushed {
        Some(Flushed::Published(_)) => Status::LANEPIPE_OK,
        Some(Flushed::Nothing) => Status::LANEPIPE_EMPTY,
        Some(Flushed::Lost(_)) => Status::LANEPIPE_DROPPED,
        None => Status::LANEPIPE_E_INVALID,
    }
}
