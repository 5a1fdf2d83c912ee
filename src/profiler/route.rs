//! Which ready queue an instance publishes on. What a run learns holds for its own entries: those that an earlier run left
//! behind are taken first, and then the queue is a guess again.

use crate::sync::atomic::{AtomicU32, Ordering};

/// In the word while the queue is a guess.
const GUESS: u32 = 1 << 31;

/// The ready queue of one instance: known from the start, or guessed until its first entry of a run.
#[derive(Debug)]
pub struct Route {
    word: AtomicU32,
    guessed: bool,
}

impl Route {
    /// Queue `queue`, which counts as a guess if it is `guessed`.
    pub fn new(queue: u32, guessed: bool) -> Self {
        Self { word: AtomicU32::new(if guessed { queue | GUESS } else { queue }), guessed }
    }

    fn word(&self) -> u32 {
        // Relaxed, everywhere here: a number by which nothing is read. Free queue and lanes have turns.
        self.word.load(Ordering::Relaxed)
    }

    /// The queue, or the guess.
    #[inline]
    pub fn queue(&self) -> u32 {
        self.word() & !GUESS
    }

    /// Whether the queue is known to be `queue`.
    #[inline]
    pub fn is(&self, queue: u32) -> bool {
        self.word() == queue
    }

    /// Whether an entry of `queue` may be the instance's.
    #[inline]
    pub fn may_be(&self, queue: u32) -> bool {
        let word = self.word();
        word == queue || word & GUESS != 0
    }

    /// The same of an entry that is the instance's if the queue is: where that was a guess, it is known from now on.
    #[inline]
    pub fn settle(&self, queue: u32) -> bool {
        let word = self.word();
        if word & GUESS == 0 {
            return word == queue;
        }
        match self.word.compare_exchange(word, queue, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => true,
            Err(settled) => settled == queue,
        }
    }

    /// Makes a guess of what was one. Before a run.
    pub fn reopen(&self) {
        if self.guessed {
            self.word.store(self.queue() | GUESS, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::Route;

    #[test]
    fn a_guess_gives_way_to_the_first_entry() {
        let route = Route::new(2, true);
        assert!(route.queue() == 2 && !route.is(2) && route.may_be(2) && route.may_be(3));
        assert!(route.settle(3) && route.settle(3));
        assert!(route.queue() == 3 && route.is(3) && !route.may_be(2) && !route.settle(2));
        route.reopen();
        assert!(route.queue() == 3 && !route.is(3) && route.settle(1) && route.is(1));
    }

    #[test]
    fn what_is_known_stays() {
        let route = Route::new(2, false);
        assert!(!route.settle(3) && route.settle(2));
        route.reopen();
        assert!(route.is(2) && !route.may_be(3));
    }
}
