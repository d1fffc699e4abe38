//! Questions that may never be answered: a driver whose GPU hangs does not come back from a call.
//!
//! Such a call is given up, not ended. If it is stuck in the kernel where nothing can interrupt it, the document is written in
//! time all the same, but the process stays until the kernel lets go of it.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// A question that has been asked.
pub(super) struct Pending<T>(Receiver<T>);

/// Asks a question in a thread of its own. One that never ends is left behind, with all that it holds: nothing that it
/// uses is taken away from under it.
pub(super) fn ask<T: Send + 'static>(question: impl FnOnce() -> T + Send + 'static) -> Pending<T> {
    let (answer, answers) = sync_channel(1);
    // Without a thread there is no answer, and `answer` is dropped at once.
    let asked = thread::Builder::new().spawn(move || _ = answer.send(question()));
    drop(asked);
    Pending(answers)
}

impl<T> Pending<T> {
    /// The answer, if there is one until then.
    pub(super) fn until(self, deadline: Instant) -> Option<T> {
        self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }
}

/// The end of a wait that begins now.
pub(super) fn deadline(patience: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(patience).unwrap_or(now)
}

/// Why something is unknown that was waited for.
pub(super) fn silence(patience: Duration) -> String {
    format!("no answer within {} s", patience.as_secs_f32())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_answers_is_heard_and_who_does_not_is_left_behind() {
        let quick = ask(|| 7);
        let slow = ask(|| thread::sleep(Duration::from_secs(60)));
        let broken = ask(|| -> u32 { panic!("on purpose") });
        let end = deadline(Duration::from_millis(200));
        assert_eq!(slow.until(end), None);
        assert!(Instant::now() >= end);
        assert_eq!(quick.until(end), Some(7), "what has been answered in time counts when it is read later");
        assert_eq!(broken.until(end), None);
        assert_eq!(silence(Duration::from_secs(10)), "no answer within 10 s");
    }
}
