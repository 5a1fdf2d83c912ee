//! Scopes of the orchestrator.

use super::{
    Caller, Kept, Kind, Object, Of, caller, done, flushed, lanepipe_device_region_t, lanepipe_device_thread_t,
};
use super::{make_of, on_arch, status};
use crate::capi::args::{Sized32, check, sized};
use crate::device::scope_stats::{Outcome, Sample, ScopeStats, Side, Site};
use crate::device::{Flushed, lane::Thread};
use crate::layout::runtime::constants::PTO2_SCOPE_STATS_MAX_RING_DEPTH;
use crate::layout::runtime::{A2a3, A5};
use crate::status::{Status, lanepipe_status_t};
use core::ffi::c_char;

/// The end of a heap that allocates.
pub const LANEPIPE_HEAP_SIDE_ALLOC: u32 = 0;
/// The end of a heap that reclaims.
pub const LANEPIPE_HEAP_SIDE_RECLAIM: u32 = 1;

/// Longest path of a scope's file that is looked at, in bytes.
const MAX_PATH: usize = 4096;

/// The scopes of one launch. Memory of the caller, 8-aligned; all zero: off. The orchestrator's.
#[repr(C)]
pub struct lanepipe_scope_stats_t {
    /// Not for the caller.
    pub words: [u64; 272],
}

/// What a scope's begin or end reports. Read during the call only.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct lanepipe_scope_sample_t {
    /// `sizeof(lanepipe_scope_sample_t)`.
    pub struct_size: u32,
    /// Ring of the scope; heap positions of another than 0 to 3 are stored as they are.
    pub ring_id: i32,
    /// First task.
    pub task_start: i32,
    /// End of the tasks.
    pub task_end: i32,
    /// Offset in the heap up to which memory is reclaimed, in bytes.
    pub heap_start: u64,
    /// Offset in the heap up to which memory is allocated, in bytes.
    pub heap_end: u64,
    /// First entry of the dependency pool.
    pub dep_pool_start: i32,
    /// End of its entries.
    pub dep_pool_end: i32,
    /// Entries of the tensor map in use.
    pub tensormap_used: i32,
    /// Not looked at.
    pub reserved: u32,
}

impl Sized32 for lanepipe_scope_sample_t {}

/// The caller vouches for the names of the files.
type Scopes<A> = ScopeStats<'static, A>;
type ScopeObject = Object<Scopes<A2a3>, Scopes<A5>>;

impl Kept for Scopes<A2a3> {
    const KIND: Kind = Kind::ScopeStats;
}

const _: () = assert!(ScopeObject::SIZE <= size_of::<lanepipe_scope_stats_t>());

impl From<&lanepipe_scope_sample_t> for Sample {
    fn from(sample: &lanepipe_scope_sample_t) -> Self {
        Self {
            ring_id: sample.ring_id,
            task_start: sample.task_start,
            task_end: sample.task_end,
            heap_start: sample.heap_start,
            heap_end: sample.heap_end,
            dep_pool_start: sample.dep_pool_start,
            dep_pool_end: sample.dep_pool_end,
            tensormap_used: sample.tensormap_used,
        }
    }
}

/// Begins a launch, enabled. The first buffer is taken by the first record; the region is left alone. Whatever the object held
/// is forgotten. After a failure the object is off: `LANEPIPE_E_NULL` without a region, `LANEPIPE_E_MISALIGNED`,
/// `LANEPIPE_E_INVALID` for another architecture. The orchestrator; never blocks.
///
/// # Safety
///
/// `scopes` is null or writable, `region` null or readable. As long as the object is used, the region and all it names are
/// memory of the subsystem's layout, which everybody else accesses as the C++ runtime does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_init(
    scopes: *mut lanepipe_scope_stats_t,
    region: *const lanepipe_device_region_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { ScopeObject::open(scopes.cast(), region, |arch, base| make_of!(arch, ScopeStats::init(base))) })
}

/// The end of a launch: off. The orchestrator; never blocks.
///
/// # Safety
///
/// `scopes` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_finalize(scopes: *mut lanepipe_scope_stats_t) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    done(unsafe { ScopeObject::close(scopes.cast()) })
}

type Live<'a> = Of<&'a mut Scopes<A2a3>, &'a mut Scopes<A5>>;

/// # Safety
///
/// `scopes` is null or made by its init call, and nobody else uses it during the call.
unsafe fn live<'a>(scopes: *mut lanepipe_scope_stats_t) -> Result<Live<'a>, Status> {
    // SAFETY: the caller's contract.
    unsafe { ScopeObject::live_mut(scopes.cast()) }
}

/// Whether scopes are recorded (0 or 1); capacities and flushes do not depend on it. `LANEPIPE_CLOSED` while off. The
/// orchestrator; never blocks.
///
/// # Safety
///
/// `scopes` is null or made by its init call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_set_enabled(
    scopes: *mut lanepipe_scope_stats_t,
    enabled: u32,
) -> lanepipe_status_t {
    let run = || {
        if enabled > 1 {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        // SAFETY: the caller's contract.
        on_arch!(unsafe { live(scopes)? }, |scopes| scopes.set_enabled(enabled == 1));
        Ok(())
    };
    done(run())
}

/// Where in the source the next recorded scope stands: path of the file (what follows its last `/` or `\` is stored, at most 31
/// bytes; null: stored as `(unknown)`) and line. `LANEPIPE_CLOSED` while off. The orchestrator; never blocks.
///
/// # Safety
///
/// `scopes` is null or made by its init call; `file` is null or a terminated text that stays as it is until the scope has ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_set_pending_site(
    scopes: *mut lanepipe_scope_stats_t,
    file: *const c_char,
    line: i32,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let of = unsafe { live(scopes)? };
        // SAFETY: the caller's contract.
        let site = Site { file: unsafe { text(file) }, line };
        on_arch!(of, |scopes| scopes.set_pending_site(site));
        Ok(())
    };
    done(run())
}

/// A terminated text without its end; `None` for null.
///
/// # Safety
///
/// `text` is null or terminated, and stays as it is during `'a`.
unsafe fn text<'a>(text: *const c_char) -> Option<&'a [u8]> {
    if text.is_null() {
        return None;
    }
    let bytes = text.cast::<u8>();
    let mut length = 0;
    // SAFETY: up to its end, the text is readable.
    while length < MAX_PATH && unsafe { bytes.wrapping_add(length).read() } != 0 {
        length += 1;
    }
    // SAFETY: as above.
    Some(unsafe { core::slice::from_raw_parts(bytes, length) })
}

/// A scope begins. `LANEPIPE_DROPPED`: counted as lost, because there is no buffer or the thread has no index yet (losses `refused`).
/// `LANEPIPE_FULL`: 64 scopes are open; nothing is recorded or counted, and its end will not be either. `LANEPIPE_CLOSED`: off
/// or disabled, nothing was counted. The orchestrator; blocks for up to the budget per wait, and only when a buffer is full or
/// missing.
///
/// # Safety
///
/// `scopes` is null or made by its init call, `thread` null or the calling thread's, `sample` null or readable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_begin(
    scopes: *mut lanepipe_scope_stats_t,
    thread: *mut lanepipe_device_thread_t,
    sample: *const lanepipe_scope_sample_t,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let (of, sample) = unsafe { (live(scopes)?, sized(sample)?) };
        // SAFETY: the caller's contract.
        let Caller { thread, mut clock } = unsafe { caller(thread)? };
        on_arch!(of, |scopes| {
            if !scopes.is_enabled() {
                return Err(Status::LANEPIPE_CLOSED);
            }
            let outcome = lend(thread, scopes, |scopes| scopes.begin(&mut clock, &sample.into()));
            Ok(recorded(outcome))
        })
    };
    status(run())
}

/// The innermost scope ends; as `lanepipe_scope_stats_begin`. `LANEPIPE_FULL`: the end of a scope beyond the 64th. `LANEPIPE_EMPTY`: no
/// scope is open. Nothing is counted then.
///
/// # Safety
///
/// As for `lanepipe_scope_stats_begin`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_end(
    scopes: *mut lanepipe_scope_stats_t,
    thread: *mut lanepipe_device_thread_t,
    sample: *const lanepipe_scope_sample_t,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let (of, sample) = unsafe { (live(scopes)?, sized(sample)?) };
        // SAFETY: the caller's contract.
        let Caller { thread, mut clock } = unsafe { caller(thread)? };
        on_arch!(of, |scopes| {
            if !scopes.is_enabled() {
                return Err(Status::LANEPIPE_CLOSED);
            }
            if scopes.depth() < 0 {
                return Err(Status::LANEPIPE_EMPTY);
            }
            let outcome = lend(thread, scopes, |scopes| scopes.end(&mut clock, &sample.into()));
            Ok(recorded(outcome))
        })
    };
    status(run())
}

/// The status of what has an enabled object and, for an end, an open scope.
fn recorded(outcome: Outcome) -> lanepipe_status_t {
    match outcome {
        Outcome::Written => Status::LANEPIPE_OK,
        Outcome::Dropped | Outcome::NoIndex => Status::LANEPIPE_DROPPED,
        Outcome::Ignored => Status::LANEPIPE_FULL,
    }
}

/// Whoever has the orchestrator's index and losses.
trait Orchestrated {
    fn thread(&mut self) -> &mut Thread;
}

impl<A> Orchestrated for Scopes<A> {
    fn thread(&mut self) -> &mut Thread {
        &mut self.thread
    }
}

/// Runs `work` with the caller's index, and counts its losses there.
fn lend<S: Orchestrated, R>(thread: &mut Thread, scopes: &mut S, work: impl FnOnce(&mut S) -> R) -> R {
    *scopes.thread() = *thread;
    let result = work(scopes);
    *thread = *scopes.thread();
    result
}

/// The heap of the innermost scope's ring wrapped on `side` (`LANEPIPE_HEAP_SIDE_*`). `LANEPIPE_CLOSED` while off; ignored while
/// disabled, outside of any scope, and for a ring that is none. The orchestrator; never blocks.
///
/// # Safety
///
/// `scopes` is null or made by its init call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_note_heap_wrap(
    scopes: *mut lanepipe_scope_stats_t,
    side: u32,
) -> lanepipe_status_t {
    let run = || {
        let side = match side {
            LANEPIPE_HEAP_SIDE_ALLOC => Side::Alloc,
            LANEPIPE_HEAP_SIDE_RECLAIM => Side::Reclaim,
            _ => return Err(Status::LANEPIPE_E_INVALID),
        };
        // SAFETY: the caller's contract.
        on_arch!(unsafe { live(scopes)? }, |scopes| scopes.note_heap_wrap(side));
        Ok(())
    };
    done(run())
}

/// Capacities of a ring (0 to 3), in tasks, bytes of heap and dependencies: for the host, and to unroll heap positions.
/// `LANEPIPE_CLOSED` while off. The orchestrator; never blocks.
///
/// # Safety
///
/// `scopes` is null or made by its init call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_set_ring_capacity(
    scopes: *mut lanepipe_scope_stats_t,
    ring: i32,
    tasks: i32,
    heap: u64,
    deps: i32,
) -> lanepipe_status_t {
    let run = || {
        if !(0..PTO2_SCOPE_STATS_MAX_RING_DEPTH as i32).contains(&ring) {
            return Err(Status::LANEPIPE_E_INVALID);
        }
        // SAFETY: the caller's contract.
        on_arch!(unsafe { live(scopes)? }, |scopes| scopes.set_ring_capacity(ring, tasks, heap, deps));
        Ok(())
    };
    done(run())
}

/// Entries of the tensor map, for the host. `LANEPIPE_CLOSED` while off. The orchestrator; never blocks.
///
/// # Safety
///
/// `scopes` is null or made by its init call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_set_tensormap_capacity(
    scopes: *mut lanepipe_scope_stats_t,
    entries: i32,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        on_arch!(unsafe { live(scopes)? }, |scopes| scopes.set_tensormap_capacity(entries));
        Ok(())
    };
    done(run())
}

/// Depth of the innermost recorded scope, from 0; -1 outside of any, and while off. The orchestrator; never blocks.
///
/// # Safety
///
/// `scopes` is null or made by its init call, `depth` null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_depth(
    scopes: *const lanepipe_scope_stats_t,
    depth: *mut i32,
) -> lanepipe_status_t {
    let run = || {
        check(depth)?;
        // SAFETY: the caller's contract.
        let found = match unsafe { ScopeObject::live(scopes.cast()) } {
            Ok(of) => on_arch!(of, |scopes| scopes.depth()),
            Err(Status::LANEPIPE_CLOSED) => -1,
            Err(status) => return Err(status),
        };
        // SAFETY: checked; the caller's contract.
        unsafe { depth.write(found) };
        Ok(())
    };
    done(run())
}

/// A fatal error: tells the host through the region's header, and flushes. As `lanepipe_scope_stats_flush`; `LANEPIPE_CLOSED` while
/// disabled, too.
///
/// # Safety
///
/// `scopes` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_on_fatal(
    scopes: *mut lanepipe_scope_stats_t,
    thread: *mut lanepipe_device_thread_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe { hand_over(scopes, thread, true) }
}

/// Hands what is recorded to the host; may be called again. `LANEPIPE_EMPTY`: nothing; an empty buffer stays active.
/// `LANEPIPE_DROPPED`: counted as lost. `LANEPIPE_CLOSED` while off. The orchestrator, at the end; blocks for up to the budget.
///
/// # Safety
///
/// `scopes` is null or made by its init call, `thread` null or the calling thread's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_scope_stats_flush(
    scopes: *mut lanepipe_scope_stats_t,
    thread: *mut lanepipe_device_thread_t,
) -> lanepipe_status_t {
    // SAFETY: the caller's contract.
    unsafe { hand_over(scopes, thread, false) }
}

/// # Safety
///
/// As for [`lanepipe_scope_stats_flush`].
unsafe fn hand_over(
    scopes: *mut lanepipe_scope_stats_t,
    thread: *mut lanepipe_device_thread_t,
    is_fatal: bool,
) -> lanepipe_status_t {
    let run = || {
        // SAFETY: the caller's contract.
        let of = unsafe { live(scopes)? };
        // SAFETY: the caller's contract.
        let Caller { thread, mut clock } = unsafe { caller(thread)? };
        let outcome: Option<Flushed> = on_arch!(of, |scopes| lend(thread, scopes, |scopes| {
            if is_fatal { scopes.on_fatal(&mut clock) } else { scopes.flush(&mut clock) }
        }));
        // Disabled.
        outcome.map(|outcome| flushed(Some(outcome))).ok_or(Status::LANEPIPE_CLOSED)
    };
    status(run())
}
