//! What the drain reads: the ring's end, and the messages in it.

pub use crate::mailbox::layout::{KIND_CONDITION as CONDITION, KIND_NORMAL_DONE as NORMAL_DONE, MsgView as Message};

pub(super) use crate::mailbox::transport::Target;

/// The consumer's end of a ring. Messages are looked at before they are consumed.
pub trait Source {
    /// Position of the oldest message that is not consumed.
    fn tail(&self) -> u64;
    /// The message `offset` behind the oldest; `None` if it is not published, or at a gap.
    fn peek(&mut self, offset: u32) -> Option<Message>;
    /// Shows the messages from `offset` on to `target`, up to the first that it does not take, and `most` at most. How many it
    /// took. May stop early: nothing is said of the message that comes next.
    #[inline(always)]
    fn walk(&mut self, offset: u32, most: u32, target: &mut impl Target) -> u32 {
        let mut count = 0;
        while count < most {
            let Some(first) = self.peek(offset + count) else { break };
            let token = first.task_token;
            let room = target.begin(token).min(u64::from(most - count)) as u32;
            let mut stored = 0;
            while stored < room {
                let next = self.peek(offset + count + stored);
                if !next.is_some_and(|next| next.task_token == token && target.store(|index| next.words()[index])) {
                    break;
                }
                stored += 1;
            }
            count += stored;
            if stored != 0 {
                target.end(stored.into());
            } else if room != 0 && target.other(|index| first.words()[index]) {
                count += 1;
            } else {
                break;
            }
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
