//! The caller's callbacks, as the profiler calls them.

use super::config::{
    lanepipe_entry_t, lanepipe_idle_fn_t, lanepipe_kind_of_fn_t, lanepipe_refresh_fn_t, lanepipe_release_ready_fn_t,
    lanepipe_site_t, lanepipe_thread_create_fn_t, lanepipe_thread_entry_fn_t, lanepipe_thread_join_fn_t,
};
use crate::capi::pool::lanepipe_buffer_t;
use crate::capi::queues::refusal;
use crate::pool::{Buffer, Problem};
use crate::profiler::{Entry, Hooks, Role, Site, ThreadBody};
use crate::status::Status;
use core::ffi::c_void;

/// Callbacks with their contexts.
pub(super) struct Callbacks {
    pub(super) context: *mut c_void,
    pub(super) resolve: unsafe extern "C" fn(*mut c_void, u32, *const lanepipe_entry_t, usize, *mut lanepipe_site_t),
    pub(super) collect: unsafe extern "C" fn(*mut c_void, u32, *const lanepipe_buffer_t, *const c_void, usize),
    pub(super) kind_of: lanepipe_kind_of_fn_t,
    pub(super) release_ready: lanepipe_release_ready_fn_t,
    pub(super) refresh: lanepipe_refresh_fn_t,
    pub(super) idle: lanepipe_idle_fn_t,
    pub(super) factory: Factory,
}

// SAFETY: whoever passes callbacks vouches that they may run on the threads they are documented for.
unsafe impl Send for Callbacks {}
// SAFETY: as for `Send`.
unsafe impl Sync for Callbacks {}

/// The caller's thread factory.
pub(in crate::capi) struct Factory {
    context: *mut c_void,
    create:
        unsafe extern "C" fn(*mut c_void, u32, u32, lanepipe_thread_entry_fn_t, *mut c_void, *mut *mut c_void) -> i32,
    join: unsafe extern "C" fn(*mut c_void, *mut c_void),
}

// SAFETY: whoever passes the factory vouches that it may be called on the threads that start and stop.
unsafe impl Send for Factory {}
// SAFETY: as for `Send`.
unsafe impl Sync for Factory {}

impl Factory {
    /// The factory of a configuration, whose callbacks are not null.
    pub(in crate::capi) fn new(
        context: *mut c_void,
        create: lanepipe_thread_create_fn_t,
        join: lanepipe_thread_join_fn_t,
    ) -> Result<Self, Problem> {
        let null = |what| move || refusal(Status::LANEPIPE_E_NULL, what);
        Ok(Self {
            context,
            create: create.ok_or_else(null("thread_create is null"))?,
            join: join.ok_or_else(null("thread_join is null"))?,
        })
    }

    /// Creates a thread that runs `body`; a handle for [`Factory::join`].
    pub(in crate::capi) fn spawn(&self, role: Role, index: u32, body: ThreadBody) -> Option<usize> {
        let argument = Box::into_raw(Box::new(body));
        let mut thread = core::ptr::null_mut();
        // SAFETY: whoever passed the factory vouches for callbacks and context; so below.
        let outcome = unsafe {
            (self.create)(self.context, role as u32, index, Some(thread_entry), argument.cast(), &raw mut thread)
        };
        if outcome != 0 {
            // SAFETY: a factory that fails has not called the entry and never will.
            drop(unsafe { Box::from_raw(argument) });
            return None;
        }
        Some(thread as usize)
    }

    /// Waits for the end of a thread.
    pub(in crate::capi) fn join(&self, thread: usize) {
        // SAFETY: as above.
        unsafe { (self.join)(self.context, thread as *mut c_void) };
    }
}

/// Body of every thread.
///
/// # Safety
///
/// `argument` is what `Factory::spawn` passed with this function, used once.
unsafe extern "C" fn thread_entry(argument: *mut c_void) {
    // SAFETY: the factory's contract.
    let body = unsafe { Box::from_raw(argument.cast::<ThreadBody>()) };
    body.run();
}

impl Hooks for Callbacks {
    fn resolve(&self, queue: u32, entries: &[Entry], sites: &mut [Site]) {
        // SAFETY: the layouts agree; the creator of the profiler vouches for the callback; so below.
        unsafe {
            (self.resolve)(self.context, queue, entries.as_ptr().cast(), entries.len(), sites.as_mut_ptr().cast());
        }
    }

    fn collect(&self, shard: u32, buffers: &[Buffer], payloads: *const u8) {
        // SAFETY: as above.
        unsafe { (self.collect)(self.context, shard, buffers.as_ptr().cast(), payloads.cast(), buffers.len()) };
    }

    fn kind_of(&self, shard: u32, buffer: &Buffer, payload: *const u8) -> u32 {
        let Some(kind_of) = self.kind_of else { return buffer.kind };
        // SAFETY: as above.
        unsafe { kind_of(self.context, shard, core::ptr::from_ref(buffer).cast(), payload.cast()) }
    }

    fn release_ready(&self) -> bool {
        // SAFETY: as above.
        self.release_ready.is_none_or(|ready| unsafe { ready(self.context) } != 0)
    }

    fn refresh(&self) {
        if let Some(refresh) = self.refresh {
            // SAFETY: as above.
            unsafe { refresh(self.context) };
        }
    }

    fn idle(&self, shard: u32) {
        if let Some(idle) = self.idle {
            // SAFETY: as above.
            unsafe { idle(self.context, shard) };
        }
    }

    fn spawn(&self, role: Role, index: u32, body: ThreadBody) -> Option<usize> {
        self.factory.spawn(role, index, body)
    }

    fn join(&self, thread: usize) {
        self.factory.join(thread);
    }
}
