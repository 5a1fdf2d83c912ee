//! The pool on one thread, which may play every role.
