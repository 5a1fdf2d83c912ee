//! How long the sentinel waits from poll to poll.
//!
//! The shortest interval is for entries that come singly: it bounds their latency. In steady traffic each poll would wake
//! several threads for an entry or two, so that the interval grows as long as what comes meanwhile is little against the
//! buffers that the device has left. In silence it grows up to the longest.

/// Polls in a row that found little, before the interval grows.
const STEADY: u32 = 8;
/// The longest interval in traffic, in shortest ones.
const MOST: u64 = 4;

/// What a poll found, against the buffers that the producers of a queue can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Found {
    /// No entry.
    Nothing,
    /// So few that it can be twice as many.
    Little,
    /// More than that.
    Enough,
    /// So many that the producers may soon be without buffers.
    Much,
}

impl Found {
    /// `entries` of a queue whose producers can have `buffers` in their free queues.
    pub(super) fn of(entries: u32, buffers: u32) -> Self {
        let ample = buffers / 8;
        match entries {
            0 => Self::Nothing,
            _ if entries > ample => Self::Much,
            _ if entries > ample / 2 => Self::Enough,
            _ => Self::Little,
        }
    }
}

/// The interval and what it follows from. Times in nanoseconds.
#[derive(Debug)]
pub(super) struct Pace {
    shortest: u64,
    longest: u64,
    quiet: u64,
    interval: u64,
    last_traffic: u64,
    /// The last poll found nothing.
    idle: bool,
    steady: u32,
}

impl Pace {
    /// Starts with the shortest interval, at `time`.
    pub(super) fn new(shortest: u64, longest: u64, quiet: u64, time: u64) -> Self {
        Self { shortest, longest, quiet, interval: shortest, last_traffic: time, idle: true, steady: 0 }
    }

    /// The interval after a poll at `time`; `found` is the most that it found in one queue.
    pub(super) fn next(&mut self, time: u64, found: Found) -> u64 {
        if found == Found::Nothing {
            self.steady = 0;
            self.idle = true;
            if time.saturating_sub(self.last_traffic) > self.quiet {
                self.interval = self.interval.saturating_mul(2).min(self.longest);
            } else {
                self.interval = self.shortest;
            }
            return self.interval;
        }
        // The first entry after a poll without one is a single one.
        if self.idle || found == Found::Much {
            self.interval = self.shortest;
        }
        self.idle = false;
        self.last_traffic = time;
        self.steady = if found == Found::Little { self.steady + 1 } else { 0 };
        if self.steady == STEADY {
            self.steady = 0;
            let most = self.shortest.saturating_mul(MOST).min(self.longest);
            self.interval = self.interval.saturating_mul(2).min(most);
        }
        self.interval
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Found, Pace};

    /// The interval after each of `found`, a poll per microsecond.
    fn intervals(pace: &mut Pace, found: &[Found]) -> Vec<u64> {
        (0..).zip(found).map(|(time, found)| pace.next(time * 1000, *found)).collect()
    }

    #[test]
    fn steady_traffic_is_polled_less_often() {
        let mut pace = Pace::new(50, 1000, 1_000_000, 0);
        let steady = intervals(&mut pace, &[Found::Little; 32]);
        assert_eq!(steady[..7], [50; 7]);
        assert_eq!(steady[7..15], [100; 8]);
        assert_eq!(steady[15..], [200; 17]);
        // As long as it is not too much.
        assert_eq!(intervals(&mut pace, &[Found::Enough; 20]), [200; 20]);
        assert_eq!(pace.next(0, Found::Much), 50);
        assert_eq!(intervals(&mut pace, &[Found::Enough; 20]), [50; 20]);
    }

    #[test]
    fn single_entries_keep_the_shortest_interval() {
        let mut pace = Pace::new(50, 1000, 1_000_000, 0);
        let mut found = [Found::Little; 70];
        (0..70).step_by(7).for_each(|at| found[at] = Found::Nothing);
        assert_eq!(intervals(&mut pace, &found), [50; 70]);
        // And so it is again when steady traffic ends.
        intervals(&mut pace, &[Found::Little; 32]);
        assert_eq!(pace.next(40_000, Found::Nothing), 50);
    }

    #[test]
    fn silence_ends_at_the_first_entry() {
        let mut pace = Pace::new(50, 1000, 3000, 0);
        assert_eq!(intervals(&mut pace, &[Found::Nothing; 10]), [50, 50, 50, 50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(pace.next(10_000, Found::Little), 50);
        // However near the shortest is to the longest.
        let mut pace = Pace::new(600, 1000, 3000, 0);
        assert_eq!(*intervals(&mut pace, &[Found::Nothing; 10]).last().unwrap(), 1000);
        assert_eq!(pace.next(10_000, Found::Little), 600);
        let mut pace = Pace::new(600, 1000, 3000, 0);
        assert_eq!(*intervals(&mut pace, &[Found::Little; 40]).last().unwrap(), 1000);
    }

    #[test]
    fn what_is_little_depends_on_the_buffers() {
        let found = |buffers| [0, 1, 2, 4, 5, 9, 10].map(|entries| Found::of(entries, buffers));
        use Found::{Enough, Little, Much, Nothing};
        assert_eq!(found(4), [Nothing, Much, Much, Much, Much, Much, Much]);
        assert_eq!(found(72), [Nothing, Little, Little, Little, Enough, Enough, Much]);
    }
}
