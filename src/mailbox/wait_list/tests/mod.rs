//! Tests of the wait list over a ring that is a plain queue.

mod backends;
mod by_hand;
mod drain;
mod full;
mod hostile;
mod overwritten;
mod pass;
mod reenter;
mod stream;
mod support;
