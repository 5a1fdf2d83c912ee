//! Messages that the list could not store yet, in the order of their arrival.
//!
//! Two kinds of messages come here: a condition of an entry that is full (*counted*: the entry's waiting count includes
//! it, so that the task cannot complete without it), and every message of a task that has no entry because the list is
//! full. Each drain first tries to store what lies here.

use super::source::Message;

/// One message held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Parked {
    pub(super) message: Message,
    /// Whether the entry's waiting count includes it.
    pub(super) counted: bool,
}

/// Where messages are held.
pub(super) trait Log {
    /// Messages held.
    fn len(&self) -> usize;
    /// Those among them that no waiting count includes.
    fn uncounted(&self) -> usize;
    /// Message `index`, counted from the oldest; `None` if what lies there is not what was put there.
    fn get(&self, index: usize) -> Option<Parked>;
    /// Appends a message; false if there is no room.
    fn push(&mut self, parked: Parked) -> bool;
    /// Writes message `index`, which is held.
    fn set(&mut self, index: usize, parked: Parked);
    /// Keeps the first `len` messages, of which `uncounted` are in no waiting count.
    fn truncate(&mut self, len: usize, uncounted: usize);

    /// Whether one of the first `len` messages is of the task `token`.
    fn holds(&self, token: u64, len: usize) -> bool {
        (0..len).any(|index| self.get(index).is_some_and(|parked| parked.message.task_token == token))
    }
}
