//! Programming of a core's counters.

use crate::layout::runtime::{A2a3, A5, Arch, a2a3, a5, constants};

/// Access to a core's registers.
pub trait Registers {
    /// Reads the register `offset` bytes behind `base`.
    fn read(&mut self, base: u64, offset: u32) -> u32;
    /// Writes it.
    fn write(&mut self, base: u64, offset: u32, value: u32);
}

/// A core, and what its control registers held before they were programmed. The thread that owns it.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Core {
    /// Number of the core.
    pub index: i32,
    /// Its register base; 0: it has none.
    pub base: u64,
    saved: [u32; 2],
    /// 1 between [`Core::program`] and [`Core::restore`].
    programmed: u32,
}

/// Which registers an architecture has.
pub trait Programs: Arch {
    /// Selector registers.
    const SELECTORS: &'static [u32];
    /// Counters, as many.
    const COUNTERS: &'static [u32];
    /// Low and high word of the total.
    const TOTAL: [u32; 2];
    /// First and last cycle: start low and high, stop low and high.
    const RANGE: [u32; 4];
    /// Control registers and the values that switch them on.
    const CONTROLS: &'static [(u32, u32)];
    /// Events of a type: `None` for an unknown one.
    fn events(event_type: u32) -> Option<&'static [u32]>;
}

macro_rules! programs {
    ($arch:ident, $module:ident, [$($index:ident $counter:ident)*], [$($control:ident $value:ident)*]) => {
        impl Programs for $arch {
            const SELECTORS: &'static [u32] = &[$($module::$index),*];
            const COUNTERS: &'static [u32] = &[$($module::$counter),*];
            const TOTAL: [u32; 2] =
                [$module::REG_MMIO_PMU_CNT_TOTAL0_OFFSET, $module::REG_MMIO_PMU_CNT_TOTAL1_OFFSET];
            const RANGE: [u32; 4] = [
                $module::REG_MMIO_PMU_START_CYC0_OFFSET,
                $module::REG_MMIO_PMU_START_CYC1_OFFSET,
                $module::REG_MMIO_PMU_STOP_CYC0_OFFSET,
                $module::REG_MMIO_PMU_STOP_CYC1_OFFSET,
            ];
            const CONTROLS: &'static [(u32, u32)] = &[$(($module::$control, $module::$value)),*];
            fn events(event_type: u32) -> Option<&'static [u32]> {
                let (_, events) = $module::PMU_EVENTS.iter().find(|(kind, _)| *kind == event_type)?;
                Some(events)
            }
        }
    };
}

programs!(
    A2a3, a2a3,
    [REG_MMIO_PMU_CNT0_IDX_OFFSET REG_MMIO_PMU_CNT0_OFFSET REG_MMIO_PMU_CNT1_IDX_OFFSET REG_MMIO_PMU_CNT1_OFFSET
     REG_MMIO_PMU_CNT2_IDX_OFFSET REG_MMIO_PMU_CNT2_OFFSET REG_MMIO_PMU_CNT3_IDX_OFFSET REG_MMIO_PMU_CNT3_OFFSET
     REG_MMIO_PMU_CNT4_IDX_OFFSET REG_MMIO_PMU_CNT4_OFFSET REG_MMIO_PMU_CNT5_IDX_OFFSET REG_MMIO_PMU_CNT5_OFFSET
     REG_MMIO_PMU_CNT6_IDX_OFFSET REG_MMIO_PMU_CNT6_OFFSET REG_MMIO_PMU_CNT7_IDX_OFFSET REG_MMIO_PMU_CNT7_OFFSET],
    [REG_MMIO_PMU_CTRL_0_OFFSET REG_MMIO_PMU_CTRL_0_ENABLE_VAL]
);
programs!(
    A5, a5,
    [REG_MMIO_PMU_CNT0_IDX_OFFSET REG_MMIO_PMU_CNT0_OFFSET REG_MMIO_PMU_CNT1_IDX_OFFSET REG_MMIO_PMU_CNT1_OFFSET
     REG_MMIO_PMU_CNT2_IDX_OFFSET REG_MMIO_PMU_CNT2_OFFSET REG_MMIO_PMU_CNT3_IDX_OFFSET REG_MMIO_PMU_CNT3_OFFSET
     REG_MMIO_PMU_CNT4_IDX_OFFSET REG_MMIO_PMU_CNT4_OFFSET REG_MMIO_PMU_CNT5_IDX_OFFSET REG_MMIO_PMU_CNT5_OFFSET
     REG_MMIO_PMU_CNT6_IDX_OFFSET REG_MMIO_PMU_CNT6_OFFSET REG_MMIO_PMU_CNT7_IDX_OFFSET REG_MMIO_PMU_CNT7_OFFSET
     REG_MMIO_PMU_CNT8_IDX_OFFSET REG_MMIO_PMU_CNT8_OFFSET REG_MMIO_PMU_CNT9_IDX_OFFSET REG_MMIO_PMU_CNT9_OFFSET],
    [REG_MMIO_PMU_CTRL_0_OFFSET REG_MMIO_PMU_CTRL_0_ENABLE_VAL REG_MMIO_PMU_CTRL_1_OFFSET REG_MMIO_PMU_CTRL_1_ENABLE_VAL]
);

/// The counters now.
pub(super) fn counters<A: Programs, const N: usize>(registers: &mut impl Registers, core: &Core) -> [u32; N] {
    let mut values = [0; N];
    for (value, offset) in values.iter_mut().zip(A::COUNTERS) {
        *value = registers.read(core.base, *offset);
    }
    values
}

/// The total now: low word first, then high.
pub(super) fn cycles<A: Programs>(registers: &mut impl Registers, core: &Core) -> u64 {
    let low = registers.read(core.base, A::TOTAL[0]);
    let high = registers.read(core.base, A::TOTAL[1]);
    u64::from(high) << 32 | u64::from(low)
}

impl Core {
    /// Core `index` with its registers at `base`; 0: it has none.
    pub const fn new(index: i32, base: u64) -> Self {
        Self { index, base, saved: [0; 2], programmed: 0 }
    }

    /// Selects the events of `event_type` (of the default type if it is unknown), clears the counters by reading them, opens
    /// the whole range of cycles and switches the counters on. False, and nothing happens, without registers, and before
    /// [`Core::restore`] if it is programmed: its control registers do not hold what is to be put back.
    pub fn program<A: Programs>(&mut self, registers: &mut impl Registers, event_type: u32) -> bool {
        if self.base == 0 || self.programmed != 0 {
            return false;
        }
        let events = A::events(event_type).or(A::events(constants::PMU_EVENT_TYPE_DEFAULT)).unwrap_or(&[]);
        for (offset, event) in A::SELECTORS.iter().zip(events) {
            registers.write(self.base, *offset, *event);
        }
        for offset in A::COUNTERS.iter().chain(&A::TOTAL) {
            registers.read(self.base, *offset);
        }
        for (offset, value) in A::RANGE.iter().zip([0, 0, u32::MAX, u32::MAX]) {
            registers.write(self.base, *offset, value);
        }
        for ((offset, _), saved) in A::CONTROLS.iter().zip(&mut self.saved) {
            *saved = registers.read(self.base, *offset);
        }
        for (offset, value) in A::CONTROLS {
            registers.write(self.base, *offset, *value);
        }
        self.programmed = 1;
        true
    }

    /// Puts the control registers back. Nothing before [`Core::program`], and once after it. Before the core is told to exit.
    pub fn restore<A: Programs>(&mut self, registers: &mut impl Registers) {
        if core::mem::take(&mut self.programmed) != 0 {
            for ((offset, _), saved) in A::CONTROLS.iter().zip(self.saved) {
                registers.write(self.base, *offset, saved);
            }
        }
    }
}
