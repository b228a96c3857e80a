//! The end of the server: what asks for it (SIGINT, SIGTERM, SIGHUP or a [`StopHandle`]), and how long it may take.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Interest, Registry, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use super::token;

/// How long clients have to hear that the server stops. Together with the pass that it takes to notice the signal, this
/// is less than the promised two seconds.
const GRACE: Duration = Duration::from_millis(1500);

/// Why the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// A signal of this number came.
    Signal(i32),
    /// A [`StopHandle`] was used.
    Stopped,
}

/// Stops a running server from another thread.
#[derive(Debug, Clone)]
pub struct StopHandle {
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
}

impl StopHandle {
    /// Asks the server to stop, as a signal does.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if let Err(error) = self.waker.wake() {
            tracing::warn!(%error, "the event loop cannot be woken");
        }
    }
}

/// Everything that can ask the server to stop, and what has been asked so far.
pub struct ShutdownWatch {
    signals: Option<Signals>,
    handle: StopHandle,
    /// How long calls go on after the server was asked to stop.
    drain: Duration,
    draining: Option<(ExitReason, Instant)>,
    under_way: Option<(ExitReason, Instant)>,
}

/// What to do now that the server was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Let nobody in any more, while calls go on.
    Draining(ExitReason),
    /// Tell everyone that the server stops.
    Closing(ExitReason),
}

/// Returns whether whoever started the process wants SIGHUP to be ignored, as `nohup` does. Where the system does not tell,
/// the signal keeps its usual meaning.
fn is_hangup_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_none_or(|mask| mask & (1 << (SIGHUP - 1)) != 0)
}

impl ShutdownWatch {
    /// Starts to watch for signals if `handle_signals` says so, and makes the handle.
    pub fn new(registry: &Registry, handle_signals: bool, drain: Duration) -> io::Result<Self> {
        let waker = Arc::new(Waker::new(registry, token::STOP)?);
        let signals = if handle_signals {
            // The terminal that is closed takes the server with it, which says goodbye.
            let hangup = (!is_hangup_ignored()).then_some(SIGHUP);
            let mut signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hangup))?;
            registry.register(&mut signals, token::SIGNALS, Interest::READABLE)?;
            Some(signals)
        } else {
            None
        };
        let handle = StopHandle { waker, stop: Arc::new(AtomicBool::new(false)) };
        Ok(Self { signals, handle, drain, draining: None, under_way: None })
    }

    /// Returns a handle that can stop the server.
    pub fn handle(&self) -> StopHandle {
        self.handle.clone()
    }

    /// Returns what to do if the server was just asked to stop. Each further request skips what is under way: first the
    /// draining, then the time that clients have.
    pub fn begin(&mut self, now: Instant) -> Option<Begin> {
        let by_signal = self.signals.as_mut().and_then(|signals| signals.pending().last());
        // Reset even if a signal came as well, or it would count as a second request.
        let stopped = self.handle.stop.swap(false, Ordering::AcqRel);
        let reason = by_signal.map(ExitReason::Signal).or(stopped.then_some(ExitReason::Stopped))?;
        match &mut self.under_way {
            Some((_, until)) => {
                *until = now;
                None
            }
            None if self.draining.is_none() && !self.drain.is_zero() => {
                self.draining = Some((reason, now + self.drain));
                Some(Begin::Draining(reason))
            }
            None => Some(Begin::Closing(self.close(now, reason))),
        }
    }

    fn close(&mut self, now: Instant, reason: ExitReason) -> ExitReason {
        self.draining = None;
        self.under_way = Some((reason, now + GRACE));
        reason
    }

    /// Returns why to close, if draining is over just now because everyone has left or its time is up.
    pub fn drained(&mut self, now: Instant, participants: usize) -> Option<ExitReason> {
        let (reason, until) = self.draining?;
        (participants == 0 || now >= until).then(|| self.close(now, reason))
    }

    /// Returns whether the server was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.draining.is_some() || self.under_way.is_some()
    }

    /// Returns when the next step of stopping begins by itself.
    pub fn until(&self) -> Option<Instant> {
        self.draining.or(self.under_way).map(|(_, until)| until)
    }

    /// Returns why to exit, if now is the time.
    pub fn exit(&self, now: Instant, clients: usize) -> Option<ExitReason> {
        let (reason, until) = self.under_way?;
        (clients == 0 || now >= until).then_some(reason)
    }
}
