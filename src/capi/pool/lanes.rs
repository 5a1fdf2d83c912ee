//! Done rings, recycled lanes, parked buffers.

use super::super::args::check;
use super::{
    LANEPIPE_ALL_SHARDS, cold, hot, incoming_buffers, lanepipe_buffer_t, lanepipe_pool_t, outgoing_buffers, single,
    write,
};
use crate::pool::Buffer;
use crate::status::{Status, lanepipe_status_t};
use core::ptr::NonNull;

/// Stores up to `count` buffers in the done ring of `shard`. Collect thread of the shard; never blocks.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_push_done(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    count: usize,
    pushed: *mut usize,
) -> lanepipe_status_t {
    if count == 1
        && let Some(pool) = single(pool, buffers, pushed)
        // SAFETY: checked, and the caller's contract; it is the collect thread of the shard.
        && unsafe { pool.push_done_one(shard, &*buffers.cast()) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe { *pushed = 1 };
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { push_done_any(pool, shard, buffers, count, pushed) }
}

/// `lanepipe_pool_push_done` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn push_done_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    count: usize,
    pushed: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_push_done", pool, |pool| {
        // SAFETY: the caller's contract; it is the collect thread of the shard.
        unsafe {
            let buffers = incoming_buffers(pool, buffers, count, pushed)?;
            let _inside = pool.enter(|| pool.done_ring(shard).enter_producer())?;
            *pushed = pool.push_done(shard, buffers);
            if *pushed < count { Err(Status::LANEPIPE_FULL) } else { Ok(()) }
        }
    })
}

/// Takes up to `max` buffers, oldest first, from the done ring of `shard`. Replenish thread; never blocks.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_pop_done(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *mut lanepipe_buffer_t,
    max: usize,
    count: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_pop_done", pool, |pool| {
        // SAFETY: the caller's contract; it is the replenish thread.
        unsafe {
            let out = outgoing_buffers(buffers, max, count)?;
            let _inside = pool.enter(|| pool.done_ring(shard).enter_consumer())?;
            *count = pool.pop_done(shard, out);
            if *count == 0 { Err(Status::LANEPIPE_EMPTY) } else { Ok(()) }
        }
    })
}

/// Moves all done buffers into recycled lanes. With `LANEPIPE_ALL_SHARDS` each goes where the deficit is largest, with a
/// shard only that ring is emptied into the shard's own lanes. What fits nowhere is retired, with a line of level error.
/// `*moved` counts both. Replenish thread; never blocks on a hot-path thread.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_recycle_done(
    pool: *const lanepipe_pool_t,
    shard: u32,
    moved: *mut usize,
) -> lanepipe_status_t {
    if let Some(pool) = single(pool, NonNull::dangling().as_ptr(), moved)
        // SAFETY: the caller's contract; it is the replenish thread.
        && let Some(one) = unsafe { pool.recycle_done_one(shard) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe { *moved = one };
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { recycle_done_any(pool, shard, moved) }
}

/// `lanepipe_pool_recycle_done` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn recycle_done_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    moved: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_recycle_done", pool, |pool| {
        check(moved)?;
        pool.require_own_ends()?;
        // SAFETY: the caller's contract; it is the replenish thread.
        let routed = unsafe {
            match shard {
                LANEPIPE_ALL_SHARDS => pool.recycle_all_done(|_, _| ()),
                shard => pool.recycle_done(shard),
            }
        };
        if routed.parked != 0 {
            pool.report_parked(routed.parked);
        }
        // SAFETY: checked, and the caller's contract.
        unsafe { *moved = routed.placed };
        Ok(())
    })
}

/// Stores up to `count` buffers in the recycled lanes of `shard`, each in the lane of its kind; stops at the first whose
/// lane is full. Replenish thread, or the owner before start.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_push_recycled(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffers: *const lanepipe_buffer_t,
    count: usize,
    pushed: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_push_recycled", pool, |pool| {
        // SAFETY: the caller's contract; it is the replenish thread, or the owner while no thread runs.
        unsafe {
            let buffers = incoming_buffers(pool, buffers, count, pushed)?;
            let mut stored = 0;
            for buffer in buffers {
                let inside = pool.enter(|| pool.lane_ring(shard, buffer.kind).enter_producer());
                // What was stored before the overlap showed stays stored, so it is counted.
                if stored != 0 || inside.is_ok() {
                    *pushed = stored;
                }
                let _inside = inside?;
                if !pool.push_recycled(shard, buffer) {
                    return Err(Status::LANEPIPE_FULL);
                }
                stored += 1;
            }
            *pushed = stored;
        }
        Ok(())
    })
}

/// Takes up to `max` buffers, oldest first, from the recycled lane (`shard`, `kind`). Drain thread of the shard. Never
/// blocks.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_pop_recycled(
    pool: *const lanepipe_pool_t,
    shard: u32,
    kind: u32,
    buffers: *mut lanepipe_buffer_t,
    max: usize,
    count: *mut usize,
) -> lanepipe_status_t {
    if max == 1
        && let Some(pool) = single(pool, buffers, count)
        // SAFETY: the caller's contract; it is the drain thread of the shard.
        && let Some(buffer) = unsafe { pool.pop_recycled_one(shard, kind) }
    {
        // SAFETY: checked, and the caller's contract.
        unsafe {
            buffers.cast::<Buffer>().write(buffer);
            *count = 1;
        }
        return Status::LANEPIPE_OK;
    }
    // SAFETY: the caller's contract.
    unsafe { pop_recycled_any(pool, shard, kind, buffers, max, count) }
}

/// `lanepipe_pool_pop_recycled` of any number of buffers.
///
/// # Safety
///
/// As there.
#[cold]
#[inline(never)]
unsafe extern "C" fn pop_recycled_any(
    pool: *const lanepipe_pool_t,
    shard: u32,
    kind: u32,
    buffers: *mut lanepipe_buffer_t,
    max: usize,
    count: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_pop_recycled", pool, |pool| {
        // SAFETY: the caller's contract; it is the drain thread of the shard, or the owner while no thread runs.
        unsafe {
            let out = outgoing_buffers(buffers, max, count)?;
            pool.check_kind(kind)?;
            let _inside = pool.enter(|| pool.lane_ring(shard, kind).enter_consumer())?;
            *count = pool.pop_recycled(shard, kind, out);
            if *count == 0 { Err(Status::LANEPIPE_EMPTY) } else { Ok(()) }
        }
    })
}

/// Parks a buffer that could not be passed on; the replenish thread brings it back. Any thread; takes a lock.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_retire(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffer: *const lanepipe_buffer_t,
) -> lanepipe_status_t {
    cold("lanepipe_pool_retire", pool, |pool| {
        let mut unused = 0;
        // SAFETY: the caller's contract.
        let buffers = unsafe { incoming_buffers(pool, buffer, 1, &raw mut unused)? };
        pool.retire(shard, buffers[0])
    })
}

/// Parks a buffer whose address cannot be trusted. It waits for `lanepipe_pool_release_queued` or
/// `lanepipe_pool_release_all`, nothing brings it back before, and it does not count against `max_buffers`. Any thread;
/// takes a lock.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_quarantine(
    pool: *const lanepipe_pool_t,
    shard: u32,
    buffer: *const lanepipe_buffer_t,
) -> lanepipe_status_t {
    cold("lanepipe_pool_quarantine", pool, |pool| {
        let mut unused = 0;
        // SAFETY: the caller's contract.
        let buffers = unsafe { incoming_buffers(pool, buffer, 1, &raw mut unused)? };
        pool.quarantine(shard, buffers[0])
    })
}

/// Takes the buffer of `kind` out that `lanepipe_pool_retire` parked last for `shard`, or for any shard with
/// `LANEPIPE_ALL_SHARDS`. `LANEPIPE_EMPTY` if there is none. Replenish thread, or the owner while no thread runs; takes a
/// lock.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_take_retired(
    pool: *const lanepipe_pool_t,
    shard: u32,
    kind: u32,
    buffer: *mut lanepipe_buffer_t,
) -> lanepipe_status_t {
    cold("lanepipe_pool_take_retired", pool, |pool| {
        check(buffer)?;
        pool.check_kind(kind)?;
        let shard = (shard != LANEPIPE_ALL_SHARDS).then_some(shard);
        let taken = pool.take_retired(shard, kind).ok_or(Status::LANEPIPE_EMPTY)?;
        // SAFETY: the caller's contract; both structures have one layout.
        unsafe { write(buffer.cast(), taken) }
    })
}

/// Moves retired buffers into lanes that have room, each where `lanepipe_pool_recycle_done` would bring it. Replenish
/// thread, or the owner while no thread runs.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_recirculate(
    pool: *const lanepipe_pool_t,
    placed: *mut usize,
) -> lanepipe_status_t {
    cold("lanepipe_pool_recirculate", pool, |pool| {
        check(placed)?;
        pool.require_own_ends()?;
        // SAFETY: the caller's contract; it is the replenish thread.
        unsafe { write(placed, pool.recirculate(|_, _| ()).placed) }
    })
}

/// Buffers in the recycled lane (`shard`, `kind`); `LANEPIPE_ALL_SHARDS` sums the live shards. Any thread; exact at rest.
///
/// # Safety
///
/// Pointers are null or valid as described, and the calling thread has the role described.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn lanepipe_pool_get_recycled(
    pool: *const lanepipe_pool_t,
    shard: u32,
    kind: u32,
    count: *mut usize,
) -> lanepipe_status_t {
    hot("lanepipe_pool_get_recycled", pool, |pool| {
        pool.check_kind(kind)?;
        let present = match shard {
            LANEPIPE_ALL_SHARDS => pool.recycled_total(kind),
            shard => pool.recycled_len(shard, kind),
        };
        // SAFETY: the caller's contract.
        unsafe { write(count, present) }
    })
}
