//! The books of a run (DE 1.5): what the device counted, what the host received, and what is missing.
//!
//! `collected + lost + dropped + mismatch == total + overflow`, per instance, where a kind has a total. The device's counters
//! wrap at 2^32, so the difference is taken modulo that. In the cores' stream `total` is the number of dispatches: what a
//! device that does not count its losses there has lost is what is unaccounted for.

use super::Collector;
use super::describe::{Special, Stream};
use super::snapshot::Snapshot;
use crate::log;
use crate::status::Status;

/// What the comparison says.
#[repr(u32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// The layout has no total to compare with.
    #[default]
    None = 0,
    /// Nothing is unaccounted for.
    Balanced = 1,
    /// Something is.
    Unbalanced = 2,
}

/// The books of one instance, or of several together. Records unless it says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Books {
    /// Whether the equation holds; of several instances: for each.
    pub verdict: Verdict,
    /// Device: attempts. Cores' stream: dispatches.
    pub total: u64,
    /// Device: not recorded.
    pub dropped: u64,
    /// Device: not left by the core in time.
    pub mismatch: u64,
    /// Device: slots beyond the first of a chain, which `total` does not count.
    pub overflow: u64,
    /// Brought to the host.
    pub collected: u64,
    /// Of these, brought by recovery.
    pub recovered: u64,
    /// Of those collected, refused by the store.
    pub not_stored: u64,
    /// Handed over by the device, but not to be copied.
    pub lost: u64,
    /// Buffers of these, and those whose count could not be read.
    pub lost_buffers: u64,
    /// Buffers whose count was above what they hold.
    pub clamped: u64,
    /// Slots of a core's buffers without a record, those of recovered buffers aside. Not collected.
    pub empty: u64,
    /// Entries refused. In the sum over everything also those of an instance that publishes elsewhere, or whose queue was
    /// not known yet, and those of none.
    pub rejected: u64,
    /// In active buffers: neither handed over nor recovered.
    pub unflushed: u64,
    /// Payloads brought to the host.
    pub payloads: u64,
    /// Payloads that were not.
    pub payloads_lost: u64,
    /// The difference of the equation's sides.
    pub unaccounted: i64,
}

impl Books {
    fn add(&mut self, other: &Self) {
        self.verdict = match (self.verdict, other.verdict) {
            (Verdict::Unbalanced, _) | (_, Verdict::Unbalanced) => Verdict::Unbalanced,
            (Verdict::Balanced, _) | (_, Verdict::Balanced) => Verdict::Balanced,
            _ => Verdict::None,
        };
        self.total += other.total;
        self.dropped += other.dropped;
        self.mismatch += other.mismatch;
        self.overflow += other.overflow;
        self.collected += other.collected;
        self.recovered += other.recovered;
        self.not_stored += other.not_stored;
        self.lost += other.lost;
        self.lost_buffers += other.lost_buffers;
        self.clamped += other.clamped;
        self.empty += other.empty;
        self.rejected += other.rejected;
        self.unflushed += other.unflushed;
        self.payloads += other.payloads;
        self.payloads_lost += other.payloads_lost;
        self.unaccounted += other.unaccounted;
    }

    /// Takes the difference of the sides, for a kind with a total.
    fn close(&mut self) {
        let left = self.collected.wrapping_add(self.lost).wrapping_add(self.dropped).wrapping_add(self.mismatch);
        let right = self.total.wrapping_add(self.overflow);
        // Modulo 2^32, as the device's counters; a difference is much smaller than half of that.
        self.unaccounted = i64::from((right as u32).wrapping_sub(left as u32) as i32);
        self.verdict = if self.unaccounted == 0 { Verdict::Balanced } else { Verdict::Unbalanced };
    }
}

/// The books of a run.
pub(super) struct Ledgers {
    /// By number of the instance.
    instances: Box<[Books]>,
    /// Entries refused that count for no instance.
    nameless: u64,
}

/// Which instances are summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// One.
    Instance(u32, u32),
    /// All of one kind.
    Kind(u32),
    /// All, and refused entries that count for none.
    All,
}

impl Collector {
    /// Reads the device's counters and makes the books. At rest, the device quiet; any number of times.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_STATE` while threads run; `LANEPIPE_E_CALLBACK` if the region or an active buffer cannot be copied:
    /// earlier books stay.
    pub fn reconcile(&self) -> Result<(), Status> {
        self.at_rest(|| {
            let snapshot = Snapshot::take(&self.intake)?;
            let numbers = 0..self.intake.module.places.len() as u32;
            let instances = numbers.map(|number| self.book(&snapshot, number)).collect::<Result<_, _>>()?;
            let nameless = self.intake.nameless.iter().map(|counter| counter.get()).sum();
            *self.books.lock() = Some(Ledgers { instances, nameless });
            self.report();
            Ok(())
        })
    }

    fn book(&self, snapshot: &Snapshot, number: u32) -> Result<Books, Status> {
        let Some((place, stream)) = self.intake.module.stream(number) else { return Ok(Books::default()) };
        let account = &self.intake.accounts[number as usize];
        let (taken, collected) = (&account.taken, &account.collected);
        let state = stream.state_at(place.index);
        let word = |offset: Option<usize>| offset.map_or(0, |offset| u64::from(snapshot.word32(state + offset)));
        let mut books = Books {
            total: word(stream.state.total),
            dropped: word(Some(stream.state.dropped)),
            mismatch: word(stream.mismatch),
            overflow: word(stream.overflow),
            collected: collected.records.get(),
            recovered: collected.recovered.get(),
            not_stored: collected.not_stored.get(),
            lost: taken.lost.get(),
            lost_buffers: taken.lost_buffers.get(),
            clamped: taken.clamped.get(),
            empty: collected.empty.get(),
            rejected: taken.rejected.get(),
            unflushed: u64::from(self.unflushed(snapshot, number)?),
            payloads: collected.payloads.get(),
            payloads_lost: collected.payloads_lost.get(),
            ..Books::default()
        };
        if stream.state.total.is_some() {
            books.close();
        }
        Ok(books)
    }

    /// What the last [`Collector::reconcile`] found. Any thread; takes a lock.
    ///
    /// # Errors
    ///
    /// `LANEPIPE_E_STATE` before the first; `LANEPIPE_E_INVALID` for an instance that there is not.
    pub fn books(&self, of: Of) -> Result<Books, Status> {
        let module = &self.intake.module;
        let books = self.books.lock();
        let books = books.as_ref().ok_or(Status::LANEPIPE_E_STATE)?;
        let mut sum = Books::default();
        let numbers = match of {
            Of::Instance(kind, index) => {
                let number = module.instance(kind, index).ok_or(Status::LANEPIPE_E_INVALID)?;
                number..number + 1
            }
            Of::Kind(kind) => {
                let stream = module.streams.get(kind as usize).ok_or(Status::LANEPIPE_E_INVALID)?;
                stream.first..stream.first + stream.instances
            }
            Of::All => {
                sum.rejected = books.nameless;
                0..books.instances.len() as u32
            }
        };
        for number in numbers {
            sum.add(&books.instances[number as usize]);
        }
        Ok(sum)
    }

    /// Leaves a line per kind about what the run lost, with the contract's levels.
    fn report(&self) {
        for (kind, stream) in (0u32..).zip(&self.intake.module.streams) {
            if let Ok(books) = self.books(Of::Kind(kind)) {
                self.report_kind(stream, &books);
            }
        }
        let nameless = self.books.lock().as_ref().map_or(0, |books| books.nameless);
        if nameless != 0 {
            let what =
                format_args!("{nameless} refused ready entries named no instance that is known to publish there");
            self.log(log::WARN, what);
        }
    }

    fn report_kind(&self, stream: &Stream, books: &Books) {
        let name = stream.name;
        if books.mismatch != 0 {
            let what = format_args!("{name}: {} records were not left by their core in time", books.mismatch);
            self.log(log::ERROR, what);
        }
        if books.unflushed != 0 {
            self.log(log::ERROR, format_args!("{name}: {} records were never handed over", books.unflushed));
        }
        if books.dropped != 0 {
            self.log(log::WARN, format_args!("{name}: {} records were dropped by the device", books.dropped));
        }
        if books.lost_buffers != 0 || books.rejected != 0 {
            let Books { lost, lost_buffers, rejected, .. } = books;
            let what = format_args!(
                "{name}: {lost} records in {lost_buffers} buffers could not be copied, {rejected} entries were refused"
            );
            self.log(log::WARN, what);
        }
        if books.not_stored != 0 {
            self.log(log::WARN, format_args!("{name}: {} records were not stored", books.not_stored));
        }
        if books.payloads_lost != 0 {
            self.log(log::WARN, format_args!("{name}: {} payloads were lost", books.payloads_lost));
        }
        if books.verdict == Verdict::Unbalanced {
            let Books { total, overflow, collected, unaccounted, .. } = books;
            let of = if stream.special == Special::Holes { "dispatches" } else { "records" };
            let what = format_args!(
                "{name}: of {total} {of} (and {overflow}), {collected} were collected, {unaccounted} are unaccounted for"
            );
            self.log(log::WARN, what);
        }
    }
}
