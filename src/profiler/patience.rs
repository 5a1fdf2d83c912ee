//! Whether a thread that runs out of work looks out for more before it sleeps.
//!
//! A sleep with its wake-up costs some microseconds. Looking for that long pays where work comes in quick succession, and
//! is wasted where each wake-up finds an element or two: what a thread found between its last waits says which it is.

/// Elements per wait from which on it pays.
const PAYS: usize = 4;

/// Of one thread.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Elements per wait, a moving average, and those since the last wait.
    found: usize,
}

impl Patience {
    /// So many elements were worked on.
    pub(super) fn worked(&mut self, count: usize) {
        self.found = self.found.saturating_add(count);
    }

    /// A wait begins. Whether to look for more work before a sleep.
    pub(super) fn wait(&mut self) -> bool {
        let pays = self.found >= PAYS;
        self.found /= 2;
        pays
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Patience;

    /// Whether the last of many waits was patient, with `found` elements between them.
    fn is_patient(found: usize) -> bool {
        let mut patience = Patience::default();
        let wait = |_| {
            patience.worked(found);
            patience.wait()
        };
        (0..100).map(wait).last() == Some(true)
    }

    #[test]
    fn dense_traffic_is_waited_for() {
        assert_eq!([0, 1, 2, 3, 4, 16].map(is_patient), [false, false, false, true, true, true]);
    }

    #[test]
    fn a_burst_is_forgotten() {
        let mut patience = Patience::default();
        patience.worked(100);
        let waits = (0..10).filter(|_| patience.wait()).count();
        assert_eq!(waits, 5, "as long as half of what was left came between two waits");
    }
}
