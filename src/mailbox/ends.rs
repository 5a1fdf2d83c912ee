//! Both ends of a mailbox as wait list and producers see them.

use super::fin::{Producer, SlabEntries};
use super::layout::MsgView;
use super::memory::{Memory, RawMemory};
use super::transport::{Reader, Target, Transport};
use super::wait_list::Source;

/// The consumer's end.
#[derive(Debug)]
pub struct Consumer<'a, M> {
    transport: &'a Transport<M>,
    reader: Reader<'a, M>,
    identity: u64,
}

impl<'a, M: Memory> Consumer<'a, M> {
    /// The consumer's end of `transport`; `identity` tells it from others and is not 0.
    #[inline]
    pub fn new(transport: &'a Transport<M>, identity: u64) -> Self {
        Self { transport, reader: transport.reader(), identity }
    }
}

impl<M: Memory> Source for Consumer<'_, M> {
    #[inline(always)]
    fn tail(&self) -> u64 {
        self.transport.tail()
    }

    #[inline(always)]
    fn peek(&mut self, offset: u32) -> Option<MsgView> {
        self.reader.seek(offset.into());
        self.reader.peek()
    }

    #[inline(always)]
    fn walk(&mut self, offset: u32, most: u32, target: &mut impl Target) -> u32 {
        self.reader.walk(offset.into(), most.into(), target) as u32
    }

    #[inline(always)]
    fn consume(&mut self, count: u32) -> bool {
        self.reader.seek(count.into());
        let reader = core::mem::replace(&mut self.reader, self.transport.reader());
        let released = reader.release().is_ok();
        self.reader = self.transport.reader();
        released
    }

    fn run(&self) -> Option<u32> {
        self.transport.run()
    }

    fn identity(&self) -> u64 {
        self.identity
    }

    #[inline]
    fn note_end(&mut self) {
        // A gap is counted here: that nothing is published may also mean that there is nothing.
        let _ = self.reader.why();
    }
}

/// A producer's end.
#[derive(Debug, Clone, Copy)]
pub struct Pusher<'a, M>(pub &'a Transport<M>);

impl Producer for Pusher<'_, RawMemory> {
    fn push_conditions(&mut self, token: u64, entries: SlabEntries, sentinel: Option<u64>) -> u32 {
        // SAFETY: `SlabEntries` are made of a slab whose kernel has ended, and of at most 64 of its entries.
        unsafe { self.0.push_slab(token, entries.first(), entries.count() as usize, sentinel) as u32 }
    }

    fn push_normal_done(&mut self, token: u64, slot: u64) -> bool {
        self.0.push(&MsgView::normal_done(token, slot))
    }
}
