//! Webhooks: a back end is told of what happens in rooms by HTTP requests to it, in LiveKit's format, so that libraries for
//! that format can read them. `docs/webhooks.md` describes them.
//!
//! Each receiver has a queue and a thread of its own, so that a slow or dead one keeps neither a call nor another receiver
//! waiting. Queues are bounded; what does not fit is dropped, counted and told.

mod delivery;
pub mod event;
mod post;
mod url;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use base64ct::{Base64, Encoding};

use self::delivery::Receiver;
pub use self::event::{EventFacts, RoomFacts, body};
use self::post::Poster;
pub use self::url::WebhookUrl;
use crate::access::Key;
use crate::net::clock;

/// How long a stopping server waits for the receivers.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who is told of what happens in rooms, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// The receivers.
    pub urls: Vec<WebhookUrl>,
    /// The key that signs the events.
    pub key: Key,
    /// The file of the certificates that receivers' certificates must lead to, in PEM. `None` takes the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a receiver may take to answer.
    pub timeout: Duration,
    /// For how long an event is tried again before it is given up.
    pub retry_for: Duration,
    /// How many events may wait for one receiver.
    pub queue_max: usize,
}

/// One event, as it is sent to every receiver.
#[derive(Debug)]
struct Notice {
    body: Vec<u8>,
    /// The SHA-256 of the body, in base 64.
    digest: String,
    /// When it was queued, since 1970.
    queued: Duration,
}

/// Figures about webhooks, for an operator: of all receivers together, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WebhookFigures {
    /// Events that wait.
    pub queued: usize,
    /// Events that a receiver has taken.
    pub delivered: u64,
    /// Events that a receiver has refused for good.
    pub refused: u64,
    /// Events that were given up after many attempts.
    pub given_up: u64,
    /// Events that did not fit into the queue.
    pub dropped: u64,
    /// Attempts after the first one.
    pub retries: u64,
}

/// The receivers of events; none if there is no configuration.
#[derive(Default)]
pub struct Webhooks {
    receivers: Vec<Receiver>,
}

impl Webhooks {
    /// Starts a thread for each receiver.
    pub fn start(config: Option<&WebhookConfig>) -> io::Result<Self> {
        let Some(config) = config else { return Ok(Self::default()) };
        let tls = post::tls(config)?;
        let receivers = config.urls.iter().map(|url| {
            let poster = Poster { url: url.clone(), tls: tls.clone(), timeout: config.timeout };
            Receiver::start(poster, config)
        });
        Ok(Self { receivers: receivers.collect::<io::Result<_>>()? })
    }

    /// Whether there is anybody to tell.
    pub fn is_empty(&self) -> bool {
        self.receivers.is_empty()
    }

    /// Queues an event for every receiver.
    pub fn tell(&self, body: Vec<u8>) {
        let digest = Base64::encode_string(digest::digest(&digest::SHA256, &body).as_ref());
        let notice = Arc::new(Notice { body, digest, queued: clock::unix() });
        for receiver in &self.receivers {
            receiver.queue(Arc::clone(&notice));
        }
    }

    /// Returns the figures of all receivers together.
    pub fn figures(&self) -> WebhookFigures {
        self.receivers.iter().map(Receiver::figures).fold(WebhookFigures::default(), |all, one| {
            WebhookFigures {
                queued: all.queued + one.queued,
                delivered: all.delivered + one.delivered,
                refused: all.refused + one.refused,
                given_up: all.given_up + one.given_up,
                dropped: all.dropped + one.dropped,
                retries: all.retries + one.retries,
            }
        })
    }

    /// Has what waits sent, once more each, because the server stops. Returns after a few seconds whatever the receivers do.
    pub fn finish(&mut self) {
        for receiver in &self.receivers {
            receiver.close();
        }
        let until = clock::now() + PATIENCE;
        for receiver in self.receivers.drain(..) {
            receiver.finish(until);
        }
    }
}
