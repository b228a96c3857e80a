//! What is known of SSRCs that belong to no section that publishes now.
//!
//! A sender says MID and RID of a stream in its first packets only, until it knows that they have come (RFC 8852 §2.2
//! and RFC 9143 §15.1), and keeps its SSRCs when it stops and begins again. So what was said once is remembered, also
//! while the stream is silent: without it, the encodings of a simulcast could not be told from each other afterwards.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::core::ids::{Mid, Ssrc};

/// How long after its last packet it counts that an SSRC belongs to no section, or to one that does not send any more.
/// This is longer than packets are on their way, and short enough that a client can use the SSRC again for something
/// else without announcing it.
pub(super) const STRAY_FOR: Duration = Duration::from_secs(5);

/// How many SSRCs are remembered: all of a participant with many tracks. The one that was silent for longest makes way.
const STRAYS_MAX: usize = 128;

/// What is known of where the packets of an SSRC belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BelongsTo {
    /// To this section, which does not publish now: its packets said so, or it published them before.
    Section(Mid),
    /// Nothing is known of it, and a section has stopped sending since it came: it may be that section's.
    MaybeEnded,
    /// Nothing is known of it. A section that begins to publish may be the one that it belongs to.
    Unknown,
}

/// An SSRC that belongs to no section that publishes.
#[derive(Debug)]
struct Stray {
    ssrc: Ssrc,
    /// When its last packet came, or its publication ended.
    last: Instant,
    belongs_to: BelongsTo,
    /// The encoding that it said it carries or repairs.
    rid: Option<Box<str>>,
}

/// The SSRCs that belong to no section that publishes, the one that was silent for longest first.
#[derive(Debug, Default)]
pub(super) struct Strays(VecDeque<Stray>);

impl Strays {
    /// Takes out what is known of an SSRC: its section, and its encoding if it has said one. `sends` tells whether a
    /// section sends.
    pub(super) fn take(
        &mut self,
        now: Instant,
        ssrc: Ssrc,
        sends: impl Fn(Mid) -> bool,
    ) -> (BelongsTo, Option<Box<str>>) {
        let place = self.0.iter().position(|stray| stray.ssrc == ssrc);
        let Some(stray) = place.and_then(|place| self.0.remove(place)) else {
            return (BelongsTo::Unknown, None);
        };
        let lasts = matches!(stray.belongs_to, BelongsTo::Section(mid) if sends(mid));
        if lasts || now.saturating_duration_since(stray.last) < STRAY_FOR {
            (stray.belongs_to, stray.rid)
        } else {
            (BelongsTo::Unknown, None)
        }
    }

    /// Notes what is known of an SSRC, because a packet of it has come, or its publication has ended.
    pub(super) fn note(&mut self, now: Instant, ssrc: Ssrc, belongs_to: BelongsTo, rid: Option<Box<str>>) {
        self.0.retain(|stray| stray.ssrc != ssrc);
        if self.0.len() == STRAYS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Stray { ssrc, last: now, belongs_to, rid });
    }

    /// Notes that a section does not send any more. An SSRC of which nothing is known may have been that section's, so it is
    /// not taken for another's from now on.
    pub(super) fn on_section_ended(&mut self) {
        for stray in &mut self.0 {
            if stray.belongs_to == BelongsTo::Unknown {
                stray.belongs_to = BelongsTo::MaybeEnded;
            }
        }
    }
}
