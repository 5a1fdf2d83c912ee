//! How long the sentinel waits from poll to poll.
//!
//! The shortest interval is for entries that come singly: it bounds their latency. In steady traffic each poll would wake
//! several threads for an entry or two, so that the interval grows as long as what comes meanwhile is little against the
//! buffers that the device has left. In silence it grows up to the longest.

/// What a poll that found little counts for more traffic, and one that found nothing for less: traffic is steady if more
/// than one poll in so many finds entries.
const WEIGHT: u32 = 4;
/// The count at which the interval grows. It goes on from half of it, in either direction.
const STEADY: u32 = 8 * WEIGHT;
/// The longest interval in traffic, in shortest ones and in nanoseconds.
const MOST: u64 = 4;
const MOST_NS: u64 = 250_000;

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

/// Buffers that the producers of a queue can have in their free queues.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stock {
    /// All together.
    pub(super) all: u32,
    /// The one with the smallest free queue.
    pub(super) least: u32,
}

impl Stock {
    /// Adds a producer with a free queue of `slots`.
    pub(super) fn add(&mut self, slots: u32) {
        self.least = if self.all == 0 { slots } else { self.least.min(slots) };
        self.all = self.all.saturating_add(slots);
    }
}

impl Found {
    /// `entries` of a queue whose drain thread is awake: it finds them by itself, however many they are.
    pub(super) fn awake(entries: u32) -> Self {
        if entries == 0 { Self::Nothing } else { Self::Little }
    }

    /// `entries` of a queue whose producers have `stock`. All may be of one producer, but of many they seldom are.
    pub(super) fn of(entries: u32, stock: Stock) -> Self {
        let ample = (stock.all / 8).max(stock.least / 2);
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
    /// The longest in traffic.
    most: u64,
    longest: u64,
    quiet: u64,
    interval: u64,
    last_traffic: u64,
    steady: u32,
}

impl Pace {
    /// Starts with the shortest interval, at `time`.
    pub(super) fn new(shortest: u64, longest: u64, quiet: u64, time: u64) -> Self {
        let most = shortest.saturating_mul(MOST).min(MOST_NS).min(longest).max(shortest);
        Self { shortest, most, longest, quiet, interval: shortest, last_traffic: time, steady: 0 }
    }

    /// The interval after a poll at `time`; `found` is the most that it found in one queue.
    pub(super) fn next(&mut self, time: u64, found: Found) -> u64 {
        if found == Found::Nothing && time.saturating_sub(self.last_traffic) > self.quiet {
            self.interval = self.interval.saturating_mul(2).min(self.longest);
            return self.interval;
        }
        if found == Found::Much || self.interval > self.most {
            self.interval = self.shortest;
            self.steady = 0;
        }
        match found {
            Found::Nothing if self.steady != 0 => self.steady -= 1,
            Found::Nothing if self.interval > self.shortest => self.change(self.interval / 2),
            Found::Little => self.steady += WEIGHT - 1,
            _ => {}
        }
        if self.steady >= STEADY {
            self.change(self.interval.saturating_mul(2));
        }
        if found != Found::Nothing {
            self.last_traffic = time;
        }
        self.interval
    }

    fn change(&mut self, interval: u64) {
        self.interval = interval.clamp(self.shortest, self.most);
        self.steady = STEADY / 2;
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Found, Pace, Stock};

    /// The interval after each of `found`, a poll per microsecond.
    fn intervals(pace: &mut Pace, found: &[Found]) -> Vec<u64> {
        (0..).zip(found).map(|(time, found)| pace.next(time * 1000, *found)).collect()
    }

    #[test]
    fn steady_traffic_is_polled_less_often() {
        let mut pace = Pace::new(50, 1000, 1_000_000, 0);
        let steady = intervals(&mut pace, &[Found::Little; 32]);
        assert_eq!(steady[..10], [50; 10]);
        assert_eq!(steady[10..16], [100; 6]);
        assert_eq!(steady[16..], [200; 16]);
        // As long as it is not too much.
        assert_eq!(intervals(&mut pace, &[Found::Enough; 20]), [200; 20]);
        assert_eq!(pace.next(0, Found::Much), 50);
        assert_eq!(intervals(&mut pace, &[Found::Enough; 20]), [50; 20]);
    }

    #[test]
    fn traffic_need_not_be_found_by_each_poll() {
        let every = |distance: usize| {
            let mut found = [Found::Nothing; 400];
            (0..400).step_by(distance).for_each(|at| found[at] = Found::Little);
            *intervals(&mut Pace::new(50, 1000, 1_000_000, 0), &found).last().unwrap()
        };
        assert_eq!([1, 2, 3].map(every), [200; 3]);
        assert_eq!([4, 5, 20].map(every), [50; 3]);
    }

    #[test]
    fn the_interval_shrinks_when_steady_traffic_ends() {
        let mut pace = Pace::new(50, 1000, 1_000_000, 0);
        intervals(&mut pace, &[Found::Little; 32]);
        let end = intervals(&mut pace, &[Found::Nothing; 60]);
        assert_eq!(end[0], 200);
        assert_eq!(end[59], 50);
        assert!(end.is_sorted_by(|earlier, later| earlier >= later));
    }

    #[test]
    fn long_intervals_are_kept() {
        let grown = |shortest| {
            let mut pace = Pace::new(shortest, 2_000_000, 1_000_000, 0);
            *intervals(&mut pace, &[Found::Little; 64]).last().unwrap()
        };
        assert_eq!([50_000, 100_000, 250_000, 1_000_000].map(grown), [200_000, 250_000, 250_000, 1_000_000]);
    }

    #[test]
    fn silence_ends_at_the_first_entry() {
        let mut pace = Pace::new(50, 1000, 3000, 0);
        assert_eq!(intervals(&mut pace, &[Found::Nothing; 10]), [50, 50, 50, 50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(pace.next(10_000, Found::Little), 50);
        // However near the shortest is to the longest.
        let mut pace = Pace::new(600, 1000, 3000, 0);
        assert_eq!(*intervals(&mut pace, &[Found::Nothing; 10]).last().unwrap(), 1000);
        assert_eq!(*intervals(&mut pace, &[Found::Little; 40]).last().unwrap(), 1000);
    }

    #[test]
    fn what_is_little_depends_on_the_buffers() {
        use Found::{Enough, Little, Much, Nothing};
        let found = |slots: u32, producers: u32| {
            let mut stock = Stock::default();
            (0..producers).for_each(|_| stock.add(slots));
            [0, 1, 2, 4, 5, 9, 10].map(|entries| Found::of(entries, stock))
        };
        assert_eq!(found(1, 1), [Nothing, Much, Much, Much, Much, Much, Much]);
        assert_eq!(found(4, 1), [Nothing, Little, Enough, Much, Much, Much, Much]);
        assert_eq!(found(4, 18), [Nothing, Little, Little, Little, Enough, Enough, Much]);
        assert_eq!([0, 1, 100].map(Found::awake), [Nothing, Little, Little]);
    }
}
