//! Which tasks and arguments are dumped, by the level and the masks of marked arguments.

use crate::layout::runtime::constants::*;

/// Argument by argument, bit 0 is argument 0.
pub type ArgMask = u64;

/// Whether anything of a task is dumped at `level`: all but a task without marked arguments, where marks decide.
pub const fn wants_task(level: u32, mask: ArgMask) -> bool {
    level != DUMP_ARGS_LEVEL_PARTIAL || mask != 0
}

/// Whether argument `index` of a task is dumped at `level`.
pub const fn wants_arg(level: u32, mask: ArgMask, index: i32) -> bool {
    level != DUMP_ARGS_LEVEL_PARTIAL || has_flag(mask, index)
}

/// Whether argument `index` is marked; one that has no bit is not.
pub const fn has_flag(mask: ArgMask, index: i32) -> bool {
    0 <= index && index < ArgMask::BITS as i32 && mask >> index & 1 != 0
}

/// Whether an argument of `role` is dumped at `stage`. `None`: there is no such role or stage.
pub const fn wants_stage(role: u32, stage: u32) -> Option<bool> {
    let is_before = match stage {
        ARGS_DUMP_STAGE_BEFORE_DISPATCH => true,
        ARGS_DUMP_STAGE_AFTER_COMPLETION => false,
        _ => return None,
    };
    match role {
        ARGS_DUMP_ROLE_INPUT => Some(is_before),
        ARGS_DUMP_ROLE_OUTPUT => Some(!is_before),
        ARGS_DUMP_ROLE_INOUT => Some(true),
        _ => None,
    }
}

/// What an argument is, by its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// One of `ARGS_DUMP_ROLE_*`.
    Tensor(u32),
    /// It has none.
    Scalar,
}

/// The role of an argument with that direction. `None`: there is no such direction.
pub const fn role_of(direction: u32) -> Option<Role> {
    match direction {
        ARG_DIRECTION_SCALAR => Some(Role::Scalar),
        ARG_DIRECTION_IN => Some(Role::Tensor(ARGS_DUMP_ROLE_INPUT)),
        ARG_DIRECTION_OUT => Some(Role::Tensor(ARGS_DUMP_ROLE_OUTPUT)),
        ARG_DIRECTION_INOUT => Some(Role::Tensor(ARGS_DUMP_ROLE_INOUT)),
        _ => None,
    }
}
