//! A swimlane region of a few cores.

use super::super::{POOL, Swimlane};
use crate::device::lane::{At, Form};
use crate::device::rig::{Host, Memory, TestClock};
use crate::layout::runtime::common::{ChipSwimlaneAicoreTaskBuffer, ChipSwimlaneAicpuSchedPhaseBuffer};
use crate::layout::runtime::constants::CHIP_SWIMLANE_KIND_AICORE_TASK;
use crate::layout::runtime::{A5, Arch, a5};
use std::cell::RefCell;
use std::mem::offset_of;

pub(super) struct Rig {
    _memory: Memory,
    buffers: RefCell<Vec<Memory>>,
    pub(super) host: Host,
    cores: usize,
}

impl Rig {
    pub(super) fn new(cores: usize) -> Self {
        let mut memory = Memory::new(A5::SWIMLANE.size + POOL * 2 * (cores + A5::MAX_THREADS as usize));
        let host = Host { base: memory.address() };
        host.at(offset_of!(a5::ChipSwimlaneDataHeader, chip_swimlane_level)).store32(4);
        Self { _memory: memory, buffers: RefCell::default(), host, cores }
    }

    pub(super) fn state<F: Form>(&self, instance: usize) -> At {
        let pools = match F::KIND {
            Some(0) => 0,
            Some(CHIP_SWIMLANE_KIND_AICORE_TASK) => self.cores,
            Some(1) => 2 * self.cores,
            _ => 2 * self.cores + A5::MAX_THREADS as usize,
        };
        self.host.state::<F>(pools * POOL, instance)
    }

    /// Makes a buffer and puts it into the free queue.
    pub(super) fn give<F: Form>(&self, instance: usize) -> u64 {
        let size = match F::KIND {
            Some(0 | CHIP_SWIMLANE_KIND_AICORE_TASK) => size_of::<ChipSwimlaneAicoreTaskBuffer>(),
            _ => size_of::<ChipSwimlaneAicpuSchedPhaseBuffer>(),
        };
        let mut buffer = Memory::new(size);
        let address = buffer.address();
        self.host.give::<F>(self.state::<F>(instance), address);
        self.buffers.borrow_mut().push(buffer);
        address
    }

    pub(super) fn init(&self, clock: &mut TestClock) -> Swimlane<A5> {
        // SAFETY: the rig's memory is a region of these cores.
        unsafe { Swimlane::init(self.host.base, self.cores as u32, None, clock) }
    }
}
