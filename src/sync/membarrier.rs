//! The Linux `membarrier` system call: a fence that one thread makes all threads of its process execute.
//!
//! It is one side of an asymmetric pair, [`Edge::light_fence`](super::Edge::light_fence) is the other: between them there is
//! the order that two SeqCst fences have, and all the cost is on this side.

use super::atomic::{AtomicU32, Ordering};

// Of the kernel's interface <linux/membarrier.h>.
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

const UNKNOWN: u32 = 0;
const REGISTERED: u32 = 1;
const REFUSED: u32 = 2;

/// What the kernel said to this process. Asking twice at once does no harm: registering is idempotent.
static STATE: AtomicU32 = AtomicU32::new(UNKNOWN);

fn call(command: libc::c_int) -> bool {
    // SAFETY: the call takes numbers only and touches no memory of the process.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

fn ask() -> bool {
    let granted = call(REGISTER_PRIVATE_EXPEDITED);
    // Relaxed, here and below: the word says what the kernel does, and carries nothing.
    STATE.store(if granted { REGISTERED } else { REFUSED }, Ordering::Relaxed);
    granted
}

/// Whether the process may call [`barrier`]. The first call of a process with several threads takes some milliseconds.
pub fn register() -> bool {
    match STATE.load(Ordering::Relaxed) {
        UNKNOWN => ask(),
        state => state == REGISTERED,
    }
}

/// Makes every running thread of the process execute a full fence, the caller included; who is not running executes one
/// before it runs again. False if the kernel refuses, in which case nothing has happened.
#[cold]
pub fn barrier() -> bool {
    // A process made by fork may have to register anew; a sandbox entered since registration refuses both.
    call(PRIVATE_EXPEDITED) || (ask() && call(PRIVATE_EXPEDITED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_offers_is_used() {
        const QUERY: libc::c_int = 0;
        // SAFETY: as in `call`.
        let offered = unsafe { libc::syscall(libc::SYS_membarrier, QUERY, 0, 0) };
        let commands = libc::c_long::from(PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED);
        let both = offered > 0 && offered & commands == commands;
        assert_eq!(register(), both);
        assert_eq!(barrier(), both);
    }
}
