//! What the drain reads: the ring's end, and the messages in it.

pub use crate::mailbox::layout::{KIND_CONDITION as CONDITION, KIND_NORMAL_DONE as NORMAL_DONE, MsgView as Message};

use crate::mailbox::layout::Words;

/// The consumer's end of a ring. Messages are looked at before they are consumed.
pub trait Source {
    /// Position of the oldest message that is not consumed.
    fn tail(&self) -> u64;
    /// The message `offset` behind the oldest; `None` if it is not published, or at a gap.
    fn peek(&mut self, offset: u32) -> Option<Message>;
    /// Token of the message `offset` behind the oldest, if it is published and a condition.
    #[inline(always)]
    fn condition_at(&mut self, offset: u32) -> Option<u64> {
        self.peek(offset).filter(|message| message.kind == CONDITION).map(|message| message.task_token)
    }
    /// Shows the conditions of the task `token` from `offset` on to `store`, up to the first message that is something else,
    /// and `most` at most. How many there were.
    #[inline(always)]
    fn conditions(&mut self, offset: u32, most: u32, token: u64, mut store: impl FnMut(u32, &Words)) -> u32 {
        let mut count = 0;
        while count < most && self.condition_at(offset + count) == Some(token) {
            let Some(message) = self.peek(offset + count) else { break };
            store(count, &message.words());
            count += 1;
        }
        count
    }
    /// Consumes the oldest `count` messages, which have been looked at; false if somebody else has consumed them.
    fn consume(&mut self, count: u32) -> bool;
    /// The last look found nothing.
    fn note_end(&mut self) {}
    /// Number of the run that the ring was initialised for, if it carries one.
    fn run(&self) -> Option<u32>;
    /// What tells this ring from others: its address.
    fn identity(&self) -> u64;
}

/// No ring: nothing is ever there.
#[derive(Debug, Clone, Copy)]
pub struct NoSource;

impl Source for NoSource {
    fn tail(&self) -> u64 {
        0
    }
    fn peek(&mut self, _: u32) -> Option<Message> {
        None
    }
    fn consume(&mut self, _: u32) -> bool {
        true
    }
    fn run(&self) -> Option<u32> {
        None
    }
    fn identity(&self) -> u64 {
        0
    }
}
