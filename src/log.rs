//! Messages to the sink of a handle. Formatting uses a buffer on the stack, so a full heap cannot silence a report.

use core::ffi::CStr;
use core::fmt::{self, Write};

/// Failures and misuse.
pub const ERROR: u32 = 1;
/// Conditions that the library handles and a maintainer may want to know of.
pub const WARN: u32 = 2;
/// Normal, rare events.
pub const INFO: u32 = 3;
/// Details.
pub const DEBUG: u32 = 4;

/// Longest message in bytes, terminator included; longer ones are cut.
const MESSAGE_SIZE: usize = 400;

/// Takes messages. Called from any thread, several at once, never with a lock held.
pub trait Sink: Send + Sync {
    /// Takes one message without line end.
    fn write(&self, level: u32, message: &CStr);
}

/// A sink and its level, held by a handle.
#[derive(Default)]
pub struct Logger {
    sink: Option<Box<dyn Sink>>,
    max_level: u32,
}

impl Logger {
    /// A logger that passes messages up to `max_level` to `sink`.
    pub fn new(sink: Box<dyn Sink>, max_level: u32) -> Self {
        Self { sink: Some(sink), max_level }
    }

    /// Sends a message.
    #[cold]
    pub fn log(&self, level: u32, message: fmt::Arguments<'_>) {
        if let Some(sink) = self.sink.as_deref().filter(|_| level <= self.max_level) {
            with_text(message, |text| sink.write(level, text));
        }
    }

    /// Sends a message about the `count`th occurrence of a condition if `count` is a power of two: a persistent
    /// condition is reported at once and then ever more rarely.
    #[cold]
    pub fn log_occurrence(&self, level: u32, count: u64, message: fmt::Arguments<'_>) {
        if count.is_power_of_two() {
            self.log(level, format_args!("{message} (occurrence {count})"));
        }
    }
}

impl fmt::Debug for Logger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logger").field("max_level", &self.max_level).finish_non_exhaustive()
    }
}

/// Formats `message` into terminated text, cut where it is too long or holds a NUL, and passes it to `f`.
pub fn with_text<R>(message: fmt::Arguments<'_>, f: impl FnOnce(&CStr) -> R) -> R {
    let mut text = Text { bytes: [0; MESSAGE_SIZE], used: 0 };
    // `Text` stops taking bytes when it is full; there is nothing to do about the rest.
    let _ = text.write_fmt(message);
    f(CStr::from_bytes_until_nul(&text.bytes).unwrap_or_default())
}

struct Text {
    bytes: [u8; MESSAGE_SIZE],
    used: usize,
}

impl Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for character in part.chars() {
            let end = self.used + character.len_utf8();
            if end >= MESSAGE_SIZE {
                return Err(fmt::Error);
            }
            character.encode_utf8(&mut self.bytes[self.used..end]);
            self.used = end;
        }
        Ok(())
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Collected(Arc<Mutex<Vec<(u32, String)>>>);

    impl Sink for Collected {
        fn write(&self, level: u32, message: &CStr) {
            self.0.lock().unwrap().push((level, message.to_str().unwrap().to_owned()));
        }
    }

    #[test]
    fn levels_above_the_limit_are_not_made() {
        let sink = Collected::default();
        let logger = Logger::new(Box::new(sink.clone()), WARN);
        logger.log(INFO, format_args!("unseen"));
        logger.log(WARN, format_args!("seen {}", 1));
        assert_eq!(*sink.0.lock().unwrap(), [(WARN, "seen 1".to_owned())]);
    }

    #[test]
    fn long_messages_are_cut_at_a_character() {
        with_text(format_args!("{}", "ä".repeat(MESSAGE_SIZE)), |text| {
            let text = text.to_str().expect("cut between characters");
            assert!(text.len() < MESSAGE_SIZE && text.chars().all(|c| c == 'ä'));
        });
    }

    #[test]
    fn a_persistent_condition_is_reported_ever_more_rarely() {
        let sink = Collected::default();
        let logger = Logger::new(Box::new(sink.clone()), DEBUG);
        for count in 1..=1000 {
            logger.log_occurrence(ERROR, count, format_args!("bad"));
        }
        assert_eq!(sink.0.lock().unwrap().len(), 10);
    }
}
