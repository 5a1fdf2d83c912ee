//! Harness of the loom models: the positive run, and negative runs with one edge weakened.

use std::cell::Cell;

thread_local! {
    // Loom runs all model threads as coroutines on the calling thread, so a thread-local reaches every one of them.
    static WEAKENED: Cell<&'static str> = const { Cell::new("") };
}

/// Whether the running model weakens `label`.
pub(crate) fn is_weakened(label: &str) -> bool {
    WEAKENED.with(|weakened| weakened.get() == label)
}

/// Explores `model` with all edges as declared, and with at most `preemptions` preemptions (`LOOM_MAX_PREEMPTIONS`
/// overrides).
pub(crate) fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 20_000;
    builder.check(model);
}

/// Explores `model` with the edge `label` weakened and panics unless that is seen to fail.
pub(crate) fn must_fail(label: &'static str, preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    // A thread of its own: a failed exploration leaves loom's state on its thread unusable.
    let outcome = std::thread::spawn(move || {
        WEAKENED.with(|weakened| weakened.set(label));
        check(preemptions, model);
    })
    .join();
    let Err(reason) = outcome else { panic!("weakening {label} went unnoticed") };
    let text = reason.downcast_ref::<String>().map(String::as_str).or(reason.downcast_ref::<&str>().copied());
    // A model that grew over its bounds has shown nothing.
    assert!(!text.unwrap_or_default().contains("exceeded"), "weakening {label}: {text:?}");
    println!("weakened {label}: seen to fail");
}
