//! Receiver: the queue of one receiver's events, and the thread that delivers them one after the other, so that they come
//! in the order in which they happened.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;
use tracing::{debug, info, warn};

use super::post::Poster;
use super::{Notice, WebhookConfig, WebhookFigures};
use crate::access::{Key, sign};
use crate::net::clock;

/// How long a token is valid that goes with an event.
const TOKEN_SECONDS: u64 = 300;
/// After this time an event is tried for the second time, about.
const BACK_OFF_FIRST: Duration = Duration::from_millis(500);
/// The longest time between two attempts, about.
const BACK_OFF_MOST: Duration = Duration::from_secs(60);
/// How often the log may say that events of one receiver are dropped.
const DROPS_TOLD_EVERY: Duration = Duration::from_secs(60);

/// What waits for one receiver.
#[derive(Default)]
struct Queue {
    notices: VecDeque<Arc<Notice>>,
    /// Whether nothing more comes, because the server stops.
    is_closed: bool,
    dropped_told: Option<Instant>,
}

/// What the event loop and the thread share.
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    delivered: AtomicU64,
    refused: AtomicU64,
    given_up: AtomicU64,
    dropped: AtomicU64,
    retries: AtomicU64,
}

impl Shared {
    /// A thread that panicked in between leaves a queue that is whole: nothing is half done under the lock.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next event. Returns `None` once the queue is closed and empty.
    fn next(&self) -> Option<Arc<Notice>> {
        let mut queue = self.queue();
        loop {
            if let Some(notice) = queue.notices.front() {
                return Some(Arc::clone(notice));
            }
            if queue.is_closed {
                return None;
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for that long, or until the queue is closed. Returns whether it is.
    fn pause(&self, time: Duration) -> bool {
        let queue = self.queue();
        let waited = self.changed.wait_timeout_while(queue, time, |queue| !queue.is_closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_closed
    }
}

/// One receiver, as the event loop sees it.
pub struct Receiver {
    shared: Arc<Shared>,
    name: String,
    queue_max: usize,
    over: mpsc::Receiver<()>,
    thread: JoinHandle<()>,
}

impl Receiver {
    /// Starts the thread.
    pub fn start(poster: Poster, config: &WebhookConfig) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            changed: Condvar::new(),
            delivered: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            retries: AtomicU64::new(0),
        });
        let name = poster.url.loggable();
        let (is_over, over) = mpsc::channel();
        let courier = Courier {
            shared: Arc::clone(&shared),
            name: name.clone(),
            poster,
            key: config.key.clone(),
            retry_for: config.retry_for,
        };
        let thread = thread::Builder::new().name("webhooks".to_owned()).spawn(move || {
            courier.run();
            drop(is_over);
        })?;
        Ok(Self { shared, name, queue_max: config.queue_max, over, thread })
    }

    /// Queues an event, or drops it if too many wait. Never waits for the receiver.
    pub fn queue(&self, notice: Arc<Notice>) {
        let mut queue = self.shared.queue();
        if queue.notices.len() < self.queue_max {
            queue.notices.push_back(notice);
            self.shared.changed.notify_all();
            return;
        }
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        let now = clock::now();
        if queue.dropped_told.is_none_or(|at| now >= at + DROPS_TOLD_EVERY) {
            queue.dropped_told = Some(now);
            let waiting = queue.notices.len();
            warn!(
                receiver = self.name,
                waiting, "a receiver of webhooks is too slow: events for it are dropped"
            );
        }
    }

    /// Returns what was counted for this receiver.
    pub fn figures(&self) -> WebhookFigures {
        let shared = &self.shared;
        WebhookFigures {
            queued: shared.queue().notices.len(),
            delivered: shared.delivered.load(Ordering::Relaxed),
            refused: shared.refused.load(Ordering::Relaxed),
            given_up: shared.given_up.load(Ordering::Relaxed),
            dropped: shared.dropped.load(Ordering::Relaxed),
            retries: shared.retries.load(Ordering::Relaxed),
        }
    }

    /// Takes nothing more. What waits is tried once more each.
    pub fn close(&self) {
        self.shared.queue().is_closed = true;
        self.shared.changed.notify_all();
    }

    /// Waits until everything is sent that waited, but not beyond `until`.
    pub fn finish(self, until: Instant) {
        let patience = until.saturating_duration_since(clock::now());
        match self.over.recv_timeout(patience) {
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let waiting = self.shared.queue().notices.len();
                warn!(
                    receiver = self.name,
                    waiting, "a receiver of webhooks is too slow: the last events are lost"
                );
            }
            _ => {
                let _ = self.thread.join();
            }
        }
    }
}

/// How an attempt has ended.
enum Attempt {
    Delivered,
    /// The receiver will not take it however often it is sent.
    Refused(u16),
    Failed(String),
}

/// What the thread runs.
struct Courier {
    shared: Arc<Shared>,
    name: String,
    poster: Poster,
    key: Key,
    retry_for: Duration,
}

impl Courier {
    fn run(self) {
        let mut is_failing = false;
        while let Some(notice) = self.shared.next() {
            is_failing = self.deliver(&notice, is_failing);
            self.shared.queue().notices.pop_front();
        }
    }

    /// Delivers one event, or gives it up. `is_failing` says whether the one before was not delivered; returns the same of
    /// this one, so that the log tells the beginning and the end of a receiver's trouble and not each event in between.
    fn deliver(&self, notice: &Notice, mut is_failing: bool) -> bool {
        let receiver = &self.name;
        for attempt in 0.. {
            match self.attempt(notice) {
                Attempt::Delivered => {
                    self.shared.delivered.fetch_add(1, Ordering::Relaxed);
                    if is_failing {
                        info!(receiver, "a receiver of webhooks takes events again");
                    }
                    return false;
                }
                Attempt::Refused(status) => {
                    self.shared.refused.fetch_add(1, Ordering::Relaxed);
                    if !is_failing {
                        warn!(
                            receiver,
                            status, "a receiver of webhooks refuses an event; it is not sent again"
                        );
                    }
                    return true;
                }
                Attempt::Failed(why) => {
                    if std::mem::replace(&mut is_failing, true) {
                        debug!(receiver, why, attempt, "an event was not delivered");
                    } else {
                        warn!(
                            receiver,
                            why, "a receiver of webhooks does not take an event; it is tried again"
                        );
                    }
                }
            }
            let age = clock::unix().saturating_sub(notice.queued);
            let pause = back_off(attempt, fastrand::f64());
            // Without `age + pause` the last attempt would come long after the time is up.
            if age + pause > self.retry_for || self.shared.pause(pause) {
                break;
            }
            self.shared.retries.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.given_up.fetch_add(1, Ordering::Relaxed);
        debug!(receiver, "an event is given up");
        true
    }

    fn attempt(&self, notice: &Notice) -> Attempt {
        // For each attempt anew, because an old one expires.
        let now = clock::unix().as_secs();
        let claims =
            json!({ "iss": self.key.id, "nbf": now, "exp": now + TOKEN_SECONDS, "sha256": notice.digest });
        match self.poster.post(&notice.body, &sign(&claims, &self.key)) {
            Ok(200..=299) => Attempt::Delivered,
            Ok(status @ (408 | 425 | 429 | 500..=599)) => Attempt::Failed(format!("it answers {status}")),
            // Redirects among them: a signed event goes to the configured address and nowhere else.
            Ok(status) => Attempt::Refused(status),
            Err(why) => Attempt::Failed(why),
        }
    }
}

/// Returns how long to wait after an attempt: twice as long as before each time, at most a minute, of which a half is drawn by
/// chance (`dice`, 0 to 1), so that servers whose receiver was away do not all come back at once.
fn back_off(attempt: u32, dice: f64) -> Duration {
    let whole = BACK_OFF_FIRST.saturating_mul(1 << attempt.min(16)).min(BACK_OFF_MOST);
    whole.mul_f64(0.5 + 0.5 * dice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_come_less_and_less_often_and_never_at_the_same_time() {
        assert_eq!(back_off(0, 1.0), BACK_OFF_FIRST);
        assert_eq!(back_off(3, 0.0), 4 * BACK_OFF_FIRST);
        assert_eq!(back_off(3, 1.0), 8 * BACK_OFF_FIRST);
        assert_eq!(back_off(u32::MAX, 1.0), BACK_OFF_MOST);
    }
}
