//! Rings against `rtrb`, and the event count against a bare futex. The ring of the C interface is that of the shared library
//! that `LANEPIPE_BENCH_LIBRARY` names; without one its comparisons are left out.
//!
//! Prints `bench <name> <ours> <theirs> <ratio>`: medians of interleaved repetitions, in millions of elements per second
//! (rings) or nanoseconds (wake latency); a ratio above 1 is in lanepipe's favour. `LANEPIPE_BENCH_REPS` and
//! `LANEPIPE_BENCH_MILLIONS` change the number of repetitions (21) and the elements of each, in millions (1).

use core::hint::black_box;
use core::mem::MaybeUninit;
use lanepipe::ring::{Ring, channel};
use std::sync::Arc;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

const CAPACITY: usize = 1024;
const CHUNK: usize = 64;
/// Elements that stay in the ring during the single-thread runs.
const BACKLOG: u64 = 16;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default).max(1)
}

fn pin(core: usize) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: a zeroed set is a valid, empty one.
        let mut set: libc::cpu_set_t = unsafe { core::mem::zeroed() };
        // SAFETY: the set is a local, and two cores fit it.
        unsafe { libc::CPU_SET(core, &mut set) };
        // SAFETY: the set outlives the call; a refusal only leaves the thread unpinned.
        unsafe { libc::sched_setaffinity(0, size_of_val(&set), &set) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = core;
}

/// Runs both bodies at once, pinned to cores 0 and 1, and returns millions of elements per second.
fn two_threads(count: u64, produce: impl FnOnce() + Send, consume: impl FnOnce() -> u64) -> f64 {
    let barrier = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin(0);
            barrier.wait();
            produce();
        });
        pin(1);
        barrier.wait();
        let start = Instant::now();
        let sum = consume();
        let elapsed = start.elapsed();
        assert_eq!(sum, expected_sum(count));
        count as f64 / elapsed.as_secs_f64() / 1e6
    })
}

fn expected_sum(count: u64) -> u64 {
    count * (count - 1) / 2
}

fn ours_items(count: u64) -> f64 {
    let (mut producer, mut consumer) = channel::<u64>(CAPACITY).unwrap();
    two_threads(
        count,
        move || {
            for value in 0..count {
                while !producer.push(value) {
                    core::hint::spin_loop();
                }
            }
        },
        move || {
            let (mut seen, mut sum) = (0, 0u64);
            while seen < count {
                match consumer.pop() {
                    Some(value) => {
                        sum += value;
                        seen += 1;
                    }
                    None => core::hint::spin_loop(),
                }
            }
            sum
        },
    )
}

fn shared_items(count: u64) -> f64 {
    let ring = Arc::new(Ring::<u64>::new(CAPACITY).unwrap());
    let producer = Arc::clone(&ring);
    two_threads(
        count,
        move || {
            for value in 0..count {
                // SAFETY: the only producer.
                while !unsafe { producer.push(&value) } {
                    core::hint::spin_loop();
                }
            }
        },
        move || {
            let (mut seen, mut sum) = (0, 0u64);
            while seen < count {
                // SAFETY: the only consumer.
                match unsafe { ring.pop() } {
                    Some(value) => {
                        sum += value;
                        seen += 1;
                    }
                    None => core::hint::spin_loop(),
                }
            }
            sum
        },
    )
}

fn theirs_items(count: u64) -> f64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    two_threads(
        count,
        move || {
            for value in 0..count {
                while producer.push(value).is_err() {
                    core::hint::spin_loop();
                }
            }
        },
        move || {
            let (mut seen, mut sum) = (0, 0u64);
            while seen < count {
                match consumer.pop() {
                    Ok(value) => {
                        sum += value;
                        seen += 1;
                    }
                    Err(_) => core::hint::spin_loop(),
                }
            }
            sum
        },
    )
}

fn batch<const LENGTH: usize>(next: u64, count: u64) -> ([u64; LENGTH], usize) {
    let mut values = [0; LENGTH];
    let length = (count - next).min(LENGTH as u64) as usize;
    for (i, value) in values.iter_mut().enumerate() {
        *value = next + i as u64;
    }
    (values, length)
}

fn ours_chunks(count: u64) -> f64 {
    let (mut producer, mut consumer) = channel::<u64>(CAPACITY).unwrap();
    two_threads(
        count,
        move || {
            let mut next = 0;
            while next < count {
                let (values, length) = batch::<CHUNK>(next, count);
                let stored = producer.push_slice(&values[..length]);
                next += stored as u64;
                if stored == 0 {
                    core::hint::spin_loop();
                }
            }
        },
        move || {
            let (mut seen, mut sum) = (0, 0u64);
            while seen < count {
                let taken = consumer.read_run(CHUNK, |first, second| {
                    sum += first.iter().sum::<u64>() + second.iter().sum::<u64>();
                    first.len() + second.len()
                });
                seen += taken as u64;
                if taken == 0 {
                    core::hint::spin_loop();
                }
            }
            sum
        },
    )
}

fn theirs_chunks<const LENGTH: usize>(count: u64) -> f64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    two_threads(
        count,
        move || {
            let mut next = 0;
            while next < count {
                let (values, length) = batch::<LENGTH>(next, count);
                let (stored, _) = producer.push_partial_slice(&values[..length]);
                next += stored.len() as u64;
                if stored.is_empty() {
                    core::hint::spin_loop();
                }
            }
        },
        move || {
            let (mut seen, mut sum) = (0, 0u64);
            while seen < count {
                // As our side does: the far index is read only when the cached copy does not cover a chunk.
                let cached = consumer.cached_slots();
                let available = if cached < LENGTH { consumer.slots() } else { cached }.min(LENGTH);
                if available == 0 {
                    core::hint::spin_loop();
                    continue;
                }
                let chunk = consumer.read_chunk(available).unwrap();
                let (first, second) = chunk.as_slices();
                sum += first.iter().sum::<u64>() + second.iter().sum::<u64>();
                seen += available as u64;
                chunk.commit_all();
            }
            sum
        },
    )
}

/// Millions of push and pop pairs per second on one thread.
fn one_thread(count: u64, mut step: impl FnMut(u64) -> u64) -> f64 {
    pin(1);
    let start = Instant::now();
    let mut sum = 0u64;
    for value in 0..count {
        sum = sum.wrapping_add(step(black_box(value)));
    }
    black_box(sum);
    count as f64 / start.elapsed().as_secs_f64() / 1e6
}

fn ours_alone(count: u64) -> f64 {
    let (mut producer, mut consumer) = channel::<u64>(CAPACITY).unwrap();
    (0..BACKLOG).for_each(|value| assert!(producer.push(value)));
    one_thread(count, move |value| {
        producer.push(value);
        consumer.pop().unwrap_or(0)
    })
}

fn theirs_alone(count: u64) -> f64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    (0..BACKLOG).for_each(|value| producer.push(value).unwrap());
    one_thread(count, move |value| {
        let _ = producer.push(value);
        consumer.pop().unwrap_or(0)
    })
}

fn ours_alone_chunks(count: u64) -> f64 {
    let (mut producer, mut consumer) = channel::<u64>(CAPACITY).unwrap();
    let values = [7; CHUNK];
    let mut out = [MaybeUninit::uninit(); CHUNK];
    CHUNK as f64
        * one_thread(count / CHUNK as u64, move |_| {
            producer.push_slice(black_box(&values));
            consumer.pop_slice(black_box(&mut out)) as u64
        })
}

fn theirs_alone_chunks(count: u64) -> f64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    let values = [7; CHUNK];
    let mut out = [0; CHUNK];
    CHUNK as f64
        * one_thread(count / CHUNK as u64, move |_| {
            let _ = producer.push_partial_slice(black_box(&values));
            consumer.pop_partial_slice(black_box(&mut out)).0.len() as u64
        })
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Repetitions of both sides in turns, and the median of the ratios of neighbours: a slow spell of the machine hits both.
/// A ratio is ours over theirs for rates and the inverse for times.
fn compare(name: &str, reps: u64, rate: bool, mut ours: impl FnMut() -> f64, mut theirs: impl FnMut() -> f64) {
    let (mut our_values, mut their_values, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for rep in 0..reps {
        let (our, their) = if rep % 2 == 0 {
            let our = ours();
            (our, theirs())
        } else {
            let their = theirs();
            (ours(), their)
        };
        our_values.push(our);
        their_values.push(their);
        ratios.push(if rate { our / their } else { their / our });
    }
    let (ours, theirs) = (median(&mut our_values), median(&mut their_values));
    println!("bench {name} {ours:.1} {theirs:.1} {:.3}", median(&mut ratios));
}

/// The ring behind the C interface of a shared library, loaded as another program would.
#[cfg(unix)]
mod capi {
    use super::{CAPACITY, two_threads};
    use core::ffi::c_void;
    use core::ptr;
    use std::ffi::{CStr, CString};

    pub const BATCH: usize = 16;

    type Create = unsafe extern "C" fn(u32, u32, *mut *mut c_void, *mut *mut c_void) -> i32;
    type Destroy = unsafe extern "C" fn(*mut c_void, *mut c_void) -> i32;
    type Push = unsafe extern "C" fn(*mut c_void, *const c_void, usize, *mut usize) -> i32;
    type Pop = unsafe extern "C" fn(*mut c_void, *mut c_void, usize, *mut usize) -> i32;

    pub struct Library {
        create: Create,
        destroy: Destroy,
        push: Push,
        pop: Pop,
    }

    /// One end of a ring; its owner is one thread at a time.
    struct End(*mut c_void);

    // SAFETY: an end may move between threads; each here has one owner.
    unsafe impl Send for End {}

    impl End {
        fn get(&self) -> *mut c_void {
            self.0
        }
    }

    impl Library {
        pub fn load() -> Option<Self> {
            let path = std::env::var("LANEPIPE_BENCH_LIBRARY").ok().filter(|path| !path.is_empty())?;
            let path = CString::new(path).ok()?;
            // SAFETY: the path is a terminated string; the library has no initialisers that a caller must know of.
            let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
            assert!(!handle.is_null(), "{path:?} does not load");
            let symbol = |name: &CStr| {
                // SAFETY: the handle is live, and the name a terminated string.
                let symbol = unsafe { libc::dlsym(handle, name.as_ptr()) };
                assert!(!symbol.is_null(), "{name:?} is missing");
                symbol
            };
            // SAFETY: the header declares these functions so.
            unsafe {
                Some(Self {
                    create: core::mem::transmute::<*mut c_void, Create>(symbol(c"lanepipe_ring_create")),
                    destroy: core::mem::transmute::<*mut c_void, Destroy>(symbol(c"lanepipe_ring_destroy")),
                    push: core::mem::transmute::<*mut c_void, Push>(symbol(c"lanepipe_ring_push")),
                    pop: core::mem::transmute::<*mut c_void, Pop>(symbol(c"lanepipe_ring_pop")),
                })
            }
        }

        pub fn batches(&self, count: u64) -> f64 {
            let (mut producer, mut consumer) = (ptr::null_mut(), ptr::null_mut());
            // SAFETY: both pointers are writable.
            let status = unsafe {
                (self.create)(CAPACITY as u32, size_of::<u64>() as u32, &raw mut producer, &raw mut consumer)
            };
            assert_eq!(status, 0);
            let (push_end, pop_end) = (End(producer), End(consumer));
            let rate = two_threads(
                count,
                move || {
                    let mut next = 0;
                    while next < count {
                        let values: [u64; BATCH] = core::array::from_fn(|place| next + place as u64);
                        let length = (count - next).min(BATCH as u64) as usize;
                        let mut pushed = 0;
                        // SAFETY: the only producer; the pointers are those of locals.
                        unsafe { (self.push)(push_end.get(), values.as_ptr().cast(), length, &raw mut pushed) };
                        next += pushed as u64;
                        if pushed == 0 {
                            core::hint::spin_loop();
                        }
                    }
                },
                move || {
                    let (mut seen, mut sum) = (0, 0u64);
                    let mut values = [0u64; BATCH];
                    while seen < count {
                        let mut popped = 0;
                        // SAFETY: the only consumer; the pointers are those of locals.
                        unsafe { (self.pop)(pop_end.get(), values.as_mut_ptr().cast(), BATCH, &raw mut popped) };
                        sum += values[..popped].iter().sum::<u64>();
                        seen += popped as u64;
                        if popped == 0 {
                            core::hint::spin_loop();
                        }
                    }
                    sum
                },
            );
            // SAFETY: made above, and no thread is left in a call.
            assert_eq!(unsafe { (self.destroy)(producer, consumer) }, 0);
            rate
        }
    }
}

#[cfg(target_os = "linux")]
mod wake {
    use super::{median, pin};
    use lanepipe::event::{Deadline, EventCount, now};
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    use std::thread;
    use std::time::Duration;

    const ROUNDS: u32 = 500;
    /// Long enough for the sleeper to be inside the kernel.
    const SETTLE: Duration = Duration::from_micros(100);

    #[derive(Default)]
    struct Round {
        number: AtomicU32,
        sent: AtomicU64,
        done: AtomicU32,
    }

    /// Median time from the waker's call to the sleeper's return, in nanoseconds.
    fn latency(ready: impl Fn() -> bool, wake: impl Fn(), sleep: impl Fn(&AtomicU32, u32) + Send + Sync) -> f64 {
        let round = Round::default();
        thread::scope(|scope| {
            let sleeper = scope.spawn(|| {
                pin(1);
                let mut times = Vec::new();
                for number in 1..=ROUNDS {
                    sleep(&round.number, number);
                    times.push((now() - round.sent.load(Ordering::Acquire)) as f64);
                    round.done.store(number, Ordering::Release);
                }
                median(&mut times)
            });
            pin(0);
            for number in 1..=ROUNDS {
                while !ready() {
                    thread::yield_now();
                }
                thread::sleep(SETTLE);
                round.sent.store(now(), Ordering::Release);
                round.number.store(number, Ordering::Release);
                wake();
                while round.done.load(Ordering::Acquire) != number {
                    thread::yield_now();
                }
            }
            sleeper.join().unwrap()
        })
    }

    pub fn ours() -> f64 {
        let event = EventCount::new();
        latency(
            || event.has_waiters(),
            || event.notify(),
            |word, number| {
                let reached = || (word.load(Ordering::Acquire) == number).then_some(());
                event.wait_until(Deadline::NEVER, 0, reached).unwrap();
            },
        )
    }

    pub fn bare() -> f64 {
        let asleep = AtomicU32::new(0);
        let futex = AtomicU32::new(0);
        latency(
            || asleep.load(Ordering::Acquire) == 1,
            || {
                futex.fetch_add(1, Ordering::Release);
                // SAFETY: the word outlives the call.
                unsafe {
                    libc::syscall(libc::SYS_futex, futex.as_ptr(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1)
                };
            },
            |word, number| {
                let key = futex.load(Ordering::Acquire);
                asleep.store(1, Ordering::Release);
                while word.load(Ordering::Acquire) != number {
                    // SAFETY: the word outlives the call; there is no time-out.
                    unsafe {
                        libc::syscall(
                            libc::SYS_futex,
                            futex.as_ptr(),
                            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                            key,
                            core::ptr::null::<libc::timespec>(),
                        )
                    };
                }
                asleep.store(0, Ordering::Release);
            },
        )
    }
}

fn main() {
    let reps = setting("LANEPIPE_BENCH_REPS", 21);
    let count = setting("LANEPIPE_BENCH_MILLIONS", 1) * 1_000_000;
    compare("spsc_items", reps, true, || ours_items(count), || theirs_items(count));
    compare("spsc_items_shared", reps, true, || shared_items(count), || theirs_items(count));
    compare("spsc_chunks", reps, true, || ours_chunks(4 * count), || theirs_chunks::<CHUNK>(4 * count));
    #[cfg(unix)]
    if let Some(library) = capi::Library::load() {
        compare("capi_batch16_items", reps, true, || library.batches(4 * count), || theirs_items(count));
        let theirs = || theirs_chunks::<{ capi::BATCH }>(4 * count);
        compare("capi_batch16_chunks", reps, true, || library.batches(4 * count), theirs);
        let theirs = || theirs_chunks::<CHUNK>(4 * count);
        compare("capi_batch16_chunks64", reps, true, || library.batches(4 * count), theirs);
    }
    compare("alone_items", reps, true, || ours_alone(count), || theirs_alone(count));
    compare("alone_chunks", reps, true, || ours_alone_chunks(4 * count), || theirs_alone_chunks(4 * count));
    #[cfg(target_os = "linux")]
    compare("wake_latency_ns", reps, false, wake::ours, wake::bare);
}
