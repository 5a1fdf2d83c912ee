//! Transfers that fail at chosen places, and device memory that lies.

use super::harness::Harness;
use super::world::{BUFFER_SIZE, Plan, wait_for};
use crate::event::Deadline;
use crate::pool::ledger::Place;
use crate::profiler::Role;
use crate::status::Status;
use crate::sync::Word32;
use std::sync::atomic::Ordering;

fn copied() -> Plan {
    Plan { copies: true, ..Plan::default() }
}

/// H13 over a restart: entries whose head was never pushed are not delivered again.
#[test]
fn a_head_that_could_not_be_pushed_is_remembered_over_a_restart() {
    for lands in [false, true] {
        let mut harness = Harness::new(Plan { device_ready: 4, ..copied() });
        harness.start();
        harness.publish(3);
        let taken = |harness: &Harness| harness.totals().taken;
        wait_for("the first entries", || taken(&harness) == 3);
        harness.world.land_all.store(lands, Ordering::Relaxed);
        harness.world.break_writes.store(true, Ordering::Relaxed);
        harness.publish(1);
        wait_for("one more entry", || taken(&harness) == 4);
        harness.stop();
        harness.world.heal();
        harness.start();
        // More than fit into the ready queue: the device needs the head that it never saw.
        harness.publish(10);
        harness.stop();
        harness.verify();
    }
}

/// A push that reported failure has landed, and the index comes round to what was acknowledged before it: the device
/// still has to be told.
#[test]
fn an_index_that_comes_round_is_pushed_all_the_same() {
    let mut harness = Harness::new(Plan { device_ready: 2, ..copied() });
    harness.start();
    wait_for("the head of the start", || harness.world.copies_by(Role::Drain) > 8);
    harness.world.break_writes.store(true, Ordering::Relaxed);
    for (taken, lands) in [(1, true), (2, false)] {
        harness.world.land_all.store(lands, Ordering::Relaxed);
        harness.publish(1);
        wait_for("the entry", || harness.totals().taken == taken);
        wait_for("a failure", || harness.totals().transfer_failed >= taken);
    }
    harness.world.heal();
    harness.publish(10);
    harness.stop();
    harness.verify();
}

/// W34: a tail push that reports failure but lands. The device takes the buffers, and they count as its own.
#[test]
fn a_tail_that_landed_is_found_out() {
    for stops_between in [false, true] {
        let mut harness = Harness::new(copied());
        harness.seed(0, 0, 12);
        harness.start();
        harness.publish(4);
        harness.world.land_all.store(true, Ordering::Relaxed);
        harness.world.break_tails.store(true, Ordering::Relaxed);
        harness.publish(30);
        if stops_between {
            harness.stop();
            harness.world.heal();
            harness.start();
        }
        harness.world.heal();
        harness.publish(60);
        harness.stop();
        harness.verify();
        assert_eq!(harness.totals().rejected, 0);
    }
}

/// Two buffers are at the device; the refill for the first entry is in doubt when this returns.
fn with_doubtful_tail(lands: bool) -> Harness {
    let mut harness = Harness::new(Plan { slots: 2, max_buffers: 8, ..copied() });
    harness.seed(0, 0, 8);
    harness.start();
    harness.world.land_all.store(lands, Ordering::Relaxed);
    harness.world.break_tails.store(true, Ordering::Relaxed);
    harness.world.hide_tails.store(true, Ordering::Relaxed);
    harness.publish(2);
    wait_for("the failure", || harness.totals().transfer_failed != 0);
    harness
}

/// The tail cannot even be read back. The buffers stay out of every lane until it can; then they are where it says.
#[test]
fn a_doubtful_tail_is_settled_when_the_link_works_again() {
    for lands in [false, true] {
        let mut harness = with_doubtful_tail(lands);
        if lands {
            // The device takes them while the host is in doubt.
            harness.publish(1);
        }
        harness.world.heal();
        harness.publish(40);
        harness.stop();
        harness.verify();
        assert_eq!((harness.totals().rejected, harness.pool.tracked(0)), (0, 8));
        // SAFETY: no thread runs.
        let audit = unsafe { harness.pool.audit() };
        assert_eq!(audit.at(Place::Quarantined), 0, "lands: {lands}");
    }
}

/// In doubt to the end of the run, the buffers are set aside; the next run finds out where they are.
#[test]
fn a_tail_in_doubt_at_the_end_of_a_run_is_settled_by_the_next() {
    for lands in [false, true] {
        let mut harness = with_doubtful_tail(lands);
        harness.stop();
        // SAFETY: no thread runs.
        let audit = unsafe { harness.pool.audit() };
        // One or two, by how far the device was when its free queue was topped up.
        let set_aside = audit.at(Place::Quarantined) as usize;
        assert!(audit.errors == 0 && (1..=2).contains(&set_aside), "{audit:?}");
        harness.world.heal();
        harness.start();
        let (_, free, _) = &harness.device[0].producers[0];
        assert_eq!(super::device::queued(free).len(), 2);
        assert_eq!(harness.pool.tracked(0), 8);
        harness.publish(40);
        harness.stop();
        harness.verify();
        // SAFETY: no thread runs.
        assert_eq!(unsafe { harness.pool.audit() }.at(Place::Quarantined), 0);
    }
}

/// A stop while nothing works ends, and loses nothing that the next run cannot find.
#[test]
fn stop_ends_while_all_transfers_fail() {
    for lands in [false, true] {
        let mut harness = Harness::new(copied());
        harness.start();
        harness.publish(20);
        harness.world.land_all.store(lands, Ordering::Relaxed);
        harness.world.break_reads.store(true, Ordering::Relaxed);
        harness.world.break_writes.store(true, Ordering::Relaxed);
        harness.stop();
        // SAFETY: no thread runs.
        assert_eq!(unsafe { harness.pool.audit() }.errors, 0);
        harness.world.heal();
        harness.start();
        harness.publish(20);
        harness.stop();
        harness.verify();
    }
}

#[test]
fn an_impossible_tail_stops_its_queue_only() {
    for copies in [false, true] {
        let mut harness = Harness::new(Plan { copies, queues: 2, ..Plan::default() });
        harness.start();
        harness.publish(20);
        wait_for("all entries", || harness.totals().taken == 40);
        let tail = harness.world.device_ready(0).tail;
        let sound = tail.load(Ordering::Relaxed);
        for lie in [8, u32::MAX] {
            let corrupt = harness.totals().corrupt;
            tail.store(lie, Ordering::Relaxed);
            wait_for("the report", || harness.totals().corrupt > corrupt);
        }
        harness.device[1].publish(50);
        wait_for("the other queue", || harness.totals().taken == 90);
        assert_eq!(harness.profiler.fault().unwrap().status, Status::LANEPIPE_E_CORRUPT);
        tail.store(sound, Ordering::Relaxed);
        harness.publish(20);
        harness.stop();
        harness.verify();
    }
}

/// A free queue whose head is impossible asks for nothing: no demand stays behind and nothing is allocated for it.
#[test]
fn an_impossible_free_head_raises_no_demand() {
    let harness = Harness::new(Plan { queues: 2, shards: 2, ..Plan::default() });
    let head = harness.world.device_free(0).head;
    head.store(77, Ordering::Relaxed);
    harness.start();
    wait_for("the report", || harness.totals().corrupt != 0);
    let run = harness.profiler.current_run().unwrap();
    wait_for("the end of demand", || !run.circulation.any_starving());
    assert_eq!(harness.pool.recycled_len(0, 0), 0, "buffers for a queue that takes none");
    head.store(0, Ordering::Relaxed);
    harness.stop();
    harness.verify();
}

#[test]
fn an_impossible_ready_head_is_refused_at_start() {
    let mut harness = Harness::new(Plan::default());
    let head = harness.world.host_ready(0).head;
    for lie in [8, u32::MAX] {
        head.store(lie, Ordering::Relaxed);
        assert_eq!(harness.profiler.start(), Err(Status::LANEPIPE_E_CORRUPT));
        assert_eq!(harness.profiler.stop(Deadline::NEVER), Ok(()));
    }
    head.store(0, Ordering::Relaxed);
    harness.start();
    harness.publish(5);
    harness.stop();
    harness.verify();
}

/// A lane that gave up at the push gate publishes one buffer twice.
#[test]
fn a_buffer_published_twice_is_delivered_once() {
    let mut harness = Harness::new(Plan::default());
    let mut words = [0u64; BUFFER_SIZE / 8];
    let buffer = harness.foreign(&mut words);
    let (_, _, producer) = &mut harness.device[0].producers[0];
    producer.left = 1;
    producer.current = Some(buffer.dev);
    assert!(harness.device[0].step(0));
    // The same address again, with an instance word that no test expects: the host must not ask about it twice.
    let ready = harness.world.device_ready(0);
    let first: Vec<u64> = (0..4).map(|index| word(&ready, index)).collect();
    for (index, value) in first.into_iter().enumerate() {
        set_word(&ready, 4 + index, value);
    }
    ready.tail.store(2, Ordering::Release);
    harness.start();
    wait_for("both entries", || harness.totals().taken == 2);
    harness.stop();
    let totals = harness.totals();
    assert_eq!((totals.delivered, totals.rejected), (1, 1));
    assert_eq!(harness.world.delivered.lock().unwrap()[0], [0]);
    harness.verify_books();
}

/// An address that was registered without host memory: the entry is refused, the buffer kept.
#[test]
fn a_buffer_without_host_memory_is_set_aside() {
    let harness = Harness::new(Plan::default());
    let id = harness.pool.register(0x7777_0000, 0, 0).unwrap();
    let ready = harness.world.device_ready(0);
    for (index, value) in [0x7777_0000, 0, 0, super::world::mix(&[0, 0])].into_iter().enumerate() {
        set_word(&ready, index, value);
    }
    ready.tail.store(1, Ordering::Release);
    harness.start();
    wait_for("the entry", || harness.totals().taken == 1);
    harness.stop();
    assert_eq!(harness.totals().rejected, 1);
    assert_eq!(harness.pool.ledger().get(id).unwrap().place, Place::Quarantined);
    // SAFETY: no thread runs.
    assert_eq!(unsafe { harness.pool.audit() }.errors, 0);
}

fn word(ready: &crate::profiler::Ready, index: usize) -> u64 {
    use crate::layout::Words64;
    use crate::sync::Word64;
    ready.entries.with(index, |word| word.load(Ordering::Relaxed))
}

fn set_word(ready: &crate::profiler::Ready, index: usize, value: u64) {
    use crate::layout::Words64;
    use crate::sync::Word64;
    ready.entries.with(index, |word| word.store(value, Ordering::Relaxed));
}
