//! Completion mailbox: a bounded ring of messages from many producers to one consumer, in memory of the caller whose layout
//! the C++ runtime gives.
//!
//! | module | holds |
//! | --- | --- |
//! | [`layout`] | layouts of mailbox, slab and wait list |
//! | [`memory`] | views of a mailbox's memory |
//! | `padding` | notes and self-checking values in padding |
//! | [`transport`] | the transport: pushing, popping, starting |
//! | [`wait_list`] | tasks that wait for conditions: drain, poll, complete |
//! | [`fin`] | the producers' half: what happens when a subtask has ended |
//! | [`ends`] | the mailbox as wait list and producers see it |
//!
//! # Code on the other side
//!
//! Pushing, popping and the look for pending messages may stand in another language on the same bytes, at the same time. It
//! keeps to the tables of [`transport`]: `head` by exchange, `seq` released in ticket order, `tail` acquired before a slot
//! is written. The padding of the cursor lines is not its own.

pub mod ends;
pub mod fin;
pub mod layout;
pub mod memory;
mod padding;
pub mod transport;
pub mod wait_list;
