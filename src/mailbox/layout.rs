//! Layouts of the completion mailbox and of the wait list, as the C++ runtime has them in all four variants.
//!
//! These types give sizes and offsets, and element types for raw pointers. The mailbox and its slots are reached through
//! words at addresses that are 8-byte aligned, never through a reference: the memory is shared, and 64-byte alignment,
//! which the C++ type declares, is not given (contract L7).

use core::mem::offset_of;

/// Messages that a mailbox holds; a power of two, all of them usable.
pub const CAPACITY: usize = 4096;
/// Conditions of one slab, and of one wait entry.
pub const MAX_CONDITIONS: usize = 64;
/// Entries of the wait list.
pub const MAX_WAITS: usize = 64;
/// Alignment that everything here needs, in bytes.
pub const ALIGN: usize = 8;
/// Alignment that the C++ runtime declares for the mailbox and reserves memory by.
pub const DECLARED_ALIGN: usize = 64;
/// Bytes of a mailbox.
pub const MAILBOX_SIZE: usize = 128 + CAPACITY * 64;

/// `kind` of a message that carries a condition.
pub const KIND_CONDITION: u32 = 0;
/// `kind` of the sentinel: all conditions of the task came before.
pub const KIND_NORMAL_DONE: u32 = 1;

/// `completion_type`: a 32-bit counter reaches a threshold.
pub const TYPE_COUNTER: i32 = 0;
/// `completion_type`: a 64-bit record of posted events reaches an id.
pub const TYPE_SDMA_EVENT_RECORD: i32 = 1;
/// `completion_type`: an RDMA handle completes (A5T only).
pub const TYPE_URMA_EVENT_HANDLE: i32 = 2;

/// Token that stands for no task. The transport and the wait list treat it like any other.
pub const INVALID_TOKEN: u64 = u64::MAX;

/// The four variants of the C++ runtime. The layouts of this module are the same in all of them; what differs follows from
/// the variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Variant {
    /// a2a3, tensormap_and_ringbuffer.
    A2T = 0,
    /// a2a3, host_build_graph.
    A2H = 1,
    /// a5, tensormap_and_ringbuffer.
    A5T = 2,
    /// a5, host_build_graph.
    A5H = 3,
}

impl Variant {
    /// All of them.
    ///
    /// cbindgen:ignore
    pub const ALL: [Self; 4] = [Self::A2T, Self::A2H, Self::A5T, Self::A5H];

    /// The variant with this number.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::A2T),
            1 => Some(Self::A2H),
            2 => Some(Self::A5T),
            3 => Some(Self::A5H),
            _ => None,
        }
    }

    /// Family T: tensormap_and_ringbuffer.
    pub const fn is_ringbuffer(self) -> bool {
        matches!(self, Self::A2T | Self::A5T)
    }

    /// Architecture a5.
    pub const fn is_a5(self) -> bool {
        matches!(self, Self::A5T | Self::A5H)
    }

    /// Number of completion types that have a backend.
    pub const fn backends(self) -> i32 {
        if matches!(self, Self::A5T) { 3 } else { 2 }
    }

    /// Most cores of a chip. Each has two slabs.
    pub const fn max_cores(self) -> usize {
        if self.is_a5() { 108 } else { 72 }
    }

    /// Most control threads.
    pub const fn max_threads(self) -> usize {
        if self.is_a5() { 5 } else { 4 }
    }

    /// Bytes of all slabs of a chip.
    pub const fn slabs_size(self) -> usize {
        2 * self.max_cores() * size_of::<Slab>()
    }
}

/// One slot of the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct MailboxMessage {
    /// Ticket + 1 once published.
    pub seq: u64,
    /// Task id.
    pub task_token: u64,
    /// Counter, record or handle; in a sentinel the address of the slot state.
    pub addr: u64,
    /// Value of the backend.
    pub backend_cookie: u64,
    /// Threshold.
    pub expected_value: u32,
    /// Engine, carried along.
    pub engine: u32,
    /// Selects the backend.
    pub completion_type: i32,
    /// `KIND_CONDITION` or `KIND_NORMAL_DONE`.
    pub kind: u32,
    /// Never written by the C++ runtime, never trusted.
    pub pad: [u32; 4],
}

/// A mailbox. Only for sizes and offsets.
#[derive(Debug)]
#[repr(C)]
pub struct Mailbox {
    /// Tickets claimed.
    pub head: u64,
    /// Private words of producers and of the boot thread, see the transport.
    pub head_pad: [u64; 7],
    /// Messages consumed.
    pub tail: u64,
    /// Private words of the consumer, see the transport.
    pub tail_pad: [u64; 7],
    /// The ring.
    pub entries: [MailboxMessage; CAPACITY],
}

/// The payload of a message as it stands in a slot behind `seq`.
pub type Words = [u64; 5];

/// A popped or peeked message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct MsgView {
    /// Task id.
    pub task_token: u64,
    /// As in [`MailboxMessage`], like the fields that follow.
    pub addr: u64,
    /// Value of the backend.
    pub backend_cookie: u64,
    /// Threshold.
    pub expected_value: u32,
    /// Engine.
    pub engine: u32,
    /// Type.
    pub completion_type: i32,
    /// Kind; whatever stands in the slot.
    pub kind: u32,
}

impl MsgView {
    /// A condition.
    pub const fn condition(task_token: u64, entry: SlabEntry) -> Self {
        Self {
            task_token,
            addr: entry.addr,
            backend_cookie: entry.backend_cookie,
            expected_value: entry.expected_value,
            engine: entry.engine,
            completion_type: entry.completion_type,
            kind: KIND_CONDITION,
        }
    }

    /// The sentinel of a task.
    pub const fn normal_done(task_token: u64, slot_state: u64) -> Self {
        Self {
            task_token,
            addr: slot_state,
            backend_cookie: 0,
            expected_value: 0,
            engine: 0,
            completion_type: 0,
            kind: KIND_NORMAL_DONE,
        }
    }

    /// The message as words of a slot.
    #[inline(always)]
    pub const fn words(&self) -> Words {
        [
            self.task_token,
            self.addr,
            self.backend_cookie,
            pair(self.expected_value, self.engine),
            pair(self.completion_type as u32, self.kind),
        ]
    }

    /// The message that words of a slot say.
    #[inline(always)]
    pub const fn from_words([task_token, addr, backend_cookie, threshold, kind]: Words) -> Self {
        Self {
            task_token,
            addr,
            backend_cookie,
            expected_value: threshold as u32,
            engine: (threshold >> 32) as u32,
            completion_type: kind as u32 as i32,
            kind: (kind >> 32) as u32,
        }
    }
}

#[inline(always)]
const fn pair(low: u32, high: u32) -> u64 {
    low as u64 | (high as u64) << 32
}

impl Default for MsgView {
    fn default() -> Self {
        Self {
            task_token: INVALID_TOKEN,
            addr: 0,
            backend_cookie: 0,
            expected_value: 0,
            engine: 0,
            completion_type: 0,
            kind: 0,
        }
    }
}

/// One condition as a kernel lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C)]
pub struct SlabEntry {
    /// As in [`MailboxMessage`], like the fields that follow.
    pub addr: u64,
    /// Value of the backend.
    pub backend_cookie: u64,
    /// Threshold.
    pub expected_value: u32,
    /// Engine.
    pub engine: u32,
    /// Type.
    pub completion_type: i32,
    /// 0.
    pub pad: u32,
}

/// Where a kernel lists the conditions of one subtask. `count` and `error_code` are volatile.
#[derive(Debug)]
#[repr(C)]
pub struct Slab {
    /// Entries listed.
    pub count: u32,
    /// Sticky error of the kernel.
    pub error_code: i32,
    /// The entries.
    pub entries: [SlabEntry; MAX_CONDITIONS],
    /// Up to whole lines.
    pub pad: [u64; 7],
}

/// One condition of a waiting task.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Condition {
    /// Any 32-bit pattern; an enumeration in C++.
    pub engine: u32,
    /// Selects the backend.
    pub completion_type: i32,
    /// A C++ `bool`: was found to hold.
    pub satisfied: u8,
    /// A C++ `bool`: `retire` ran.
    pub retired: u8,
    /// Padding.
    pub pad: [u8; 6],
    /// The address of a counter, null for every other type.
    pub counter_addr: u64,
    /// As in the message.
    pub addr: u64,
    /// As in the message.
    pub backend_cookie: u64,
    /// As in the message.
    pub expected_value: u32,
    /// Padding.
    pub tail_pad: u32,
}

/// One waiting task.
#[derive(Debug)]
#[repr(C)]
pub struct WaitEntry {
    /// Address of the slot state; 0 until the sentinel came.
    pub slot_state: u64,
    /// Task id.
    pub task_token: u64,
    /// `[0, condition_count)` are live, in order of arrival.
    pub conditions: [Condition; MAX_CONDITIONS],
    /// Live conditions.
    pub condition_count: i32,
    /// Conditions that do not hold yet.
    pub waiting_completion_count: i32,
    /// A C++ `bool`: the sentinel came.
    pub normal_done: u8,
    /// Padding.
    pub pad: [u8; 7],
}

/// The wait list.
#[derive(Debug)]
#[repr(C)]
pub struct WaitList {
    /// The lock, atomic: 0 free, 1 held.
    pub busy: i32,
    /// Padding.
    pub busy_pad: u32,
    /// `[0, count)` are live, dense.
    pub entries: [WaitEntry; MAX_WAITS],
    /// Live entries; a plain word in C++.
    pub count: i32,
    /// Padding.
    pub count_pad: u32,
    /// Statistic, atomic.
    pub mpsc_skipped_count: u64,
}

macro_rules! layout {
    ($type:ty: size $size:literal; $($field:ident @ $offset:literal),* $(,)?) => {
        const _: () = {
            assert!(size_of::<$type>() == $size && align_of::<$type>() == ALIGN);
            $(assert!(offset_of!($type, $field) == $offset);)*
        };
    };
}

layout!(MailboxMessage: size 64; seq @ 0, task_token @ 8, addr @ 16, backend_cookie @ 24, expected_value @ 32, engine @ 36,
    completion_type @ 40, kind @ 44, pad @ 48);
layout!(Mailbox: size 262272; head @ 0, head_pad @ 8, tail @ 64, tail_pad @ 72, entries @ 128);
layout!(MsgView: size 40; task_token @ 0, addr @ 8, backend_cookie @ 16, expected_value @ 24, engine @ 28,
    completion_type @ 32, kind @ 36);
layout!(SlabEntry: size 32; addr @ 0, backend_cookie @ 8, expected_value @ 16, engine @ 20, completion_type @ 24, pad @ 28);
layout!(Slab: size 2112; count @ 0, error_code @ 4, entries @ 8, pad @ 2056);
layout!(Condition: size 48; engine @ 0, completion_type @ 4, satisfied @ 8, retired @ 9, counter_addr @ 16, addr @ 24,
    backend_cookie @ 32, expected_value @ 40);
layout!(WaitEntry: size 3104; slot_state @ 0, task_token @ 8, conditions @ 16, condition_count @ 3088,
    waiting_completion_count @ 3092, normal_done @ 3096);
layout!(WaitList: size 198680; busy @ 0, busy_pad @ 4, entries @ 8, count @ 198664, count_pad @ 198668,
    mpsc_skipped_count @ 198672);

const _: () = {
    assert!(CAPACITY.is_power_of_two() && MAILBOX_SIZE == size_of::<Mailbox>());
    assert!(MAILBOX_SIZE.is_multiple_of(DECLARED_ALIGN) && size_of::<Slab>().is_multiple_of(DECLARED_ALIGN));
    assert!(Variant::A2T.slabs_size() == 304_128 && Variant::A2H.slabs_size() == 304_128);
    assert!(Variant::A5T.slabs_size() == 456_192 && Variant::A5H.slabs_size() == 456_192);
    // Payload fields of 32 bits are written in pairs.
    assert!(cfg!(target_endian = "little"));
};
