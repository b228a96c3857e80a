//! Facts: what happened in a call, without its contents: who came and went, what the server decided, the headers of
//! packets, and reports about them. Facts have no payload, keys, passwords or session descriptions.
//!
//! [Witness](super::witness) makes them from a replay; a stripped trace contains them; [explain](super::explain) makes
//! an explanation of them. Code in the core that decides something gets a fact of its own, at the end of [`Fact`].

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::bandwidth::estimator::Reason;
use crate::core::channels::ChannelEnd;
use crate::core::command::Source;
use crate::core::event::{LayerReason, LeaveReason, WaitingReason};
use crate::core::ids::{ParticipantId, TrackId};
use crate::core::input::Shedding;
use crate::core::path::Carrier;
use crate::core::stats::RedundancyDecision;
use crate::core::steering::Verdict;
use crate::core::timers::Timer;
use crate::core::topology::{Mode, Reason as Why};

/// The version of the facts' encoding. It goes up with every change of a type that stands in a fact.
pub const FACTS_VERSION: u16 = 11;

/// The number of a participant, in the order of joining, from 0.
pub type PersonNumber = u32;
/// The number of a track, in the order of publishing, from 0.
pub type TrackNumber = u32;
/// The number of a stream, in the order of first packets, from 0.
pub type StreamNumber = u32;

/// The path of packets to a participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The transport that carries packets.
    pub carrier: Carrier,
    /// The participant's address; behind TURN it is one that the server made up.
    pub remote: SocketAddr,
}

/// The header of an RTP packet, and what the server concluded from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketFacts {
    /// Its stream; for a retransmission, the stream that it repairs.
    pub stream: StreamNumber,
    /// Its sequence number; for a retransmission, that of the original.
    pub sequence: u16,
    /// Its RTP timestamp.
    pub timestamp: u32,
    /// Bytes of payload, without header and authentication tag.
    pub length: u16,
    /// The marker bit: the last packet of a picture.
    pub marker: bool,
    /// Whether a decoder can begin here.
    pub starts_keyframe: bool,
    /// Whether it is a retransmission (RFC 4588).
    pub is_retransmission: bool,
}

/// What became of data channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelNews {
    /// One was opened, which delivers every message or may lose some.
    Opened {
        /// Whether it delivers every message.
        is_reliable: bool,
    },
    /// One was closed.
    Closed(ChannelEnd),
    /// The association ended, and all of them with it.
    Ended,
}

/// What became of a transport of somebody who has one for each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportNews {
    /// Whether they receive on it, or send.
    pub receives: bool,
    /// What it was.
    pub change: TransportChange,
}

/// What can become of a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransportChange {
    /// They have opened it.
    Opened,
    /// Its handshake is done: media can flow.
    Connected,
    /// It was closed, or has failed, and they are still there.
    Ended,
}

/// A fact: one thing that happened in the call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fact {
    /// Somebody joined. The first is person 0.
    Joined {
        /// Their id in the protocol.
        id: ParticipantId,
        /// The name that others see.
        name: String,
    },
    /// Somebody's signalling connection broke.
    SignallingLost(PersonNumber),
    /// Somebody's signalling is back: they resumed on a new connection.
    SignallingBack(PersonNumber),
    /// The handshake is done: media can flow.
    Connected(PersonNumber),
    /// Somebody restarted ICE: their client looks for a new path.
    IceRestarted(PersonNumber),
    /// Where somebody's media goes from now on; `None` if nowhere, because no connectivity check came for too long.
    Routed(PersonNumber, Option<Route>),
    /// Somebody is gone, for this reason.
    Gone(PersonNumber, LeaveReason),
    /// Somebody publishes a track. The first is track 0.
    Published {
        /// The participant who publishes it.
        person: PersonNumber,
        /// Its id in the protocol.
        id: TrackId,
        /// What the track shows.
        source: Source,
        /// Whether it starts muted.
        muted: bool,
    },
    /// A track is gone.
    Unpublished(TrackNumber),
    /// A track was muted, or unmuted.
    Muted(TrackNumber, bool),
    /// A slot shows a track from now on.
    Shown {
        /// The participant whose slot it is.
        person: PersonNumber,
        /// The MID of the slot.
        mid: String,
        /// The track that it shows.
        track: TrackNumber,
    },
    /// A slot shows nothing any more.
    Hidden {
        /// The participant whose slot it is.
        person: PersonNumber,
        /// The MID of the slot.
        mid: String,
    },
    /// A track that somebody is subscribed to has no slot.
    Waits(PersonNumber, TrackNumber, WaitingReason),
    /// Somebody cannot decode a track.
    CannotReceive(PersonNumber, TrackNumber),
    /// A subscription was paused, or resumed.
    Paused(PersonNumber, TrackNumber, bool),
    /// A stream of packets from somebody began. The first stream of all is number 0.
    Incoming {
        /// The participant who sends it.
        person: PersonNumber,
        /// The track that it is an encoding of.
        track: TrackNumber,
        /// The codec's name as in SDP.
        codec: String,
    },
    /// A stream of packets to somebody began. The first stream of all is number 0.
    Outgoing {
        /// The participant to whom it goes.
        person: PersonNumber,
        /// The slot that it fills.
        mid: String,
        /// Whether it is video.
        is_video: bool,
    },
    /// A stream is now the encoding of its track that is forwarded.
    Followed(StreamNumber),
    /// A packet came from a publisher.
    PacketIn(PacketFacts),
    /// A packet went to a receiver.
    PacketOut(PacketFacts),
    /// The server asked a publisher for packets again.
    AskedAgain(StreamNumber, Vec<u16>),
    /// The server asked a publisher for a key frame.
    AskedKeyframe(StreamNumber),
    /// A receiver asked for packets again.
    WantedAgain(StreamNumber, Vec<u16>),
    /// A receiver asked for a key frame.
    WantedKeyframe(StreamNumber),
    /// A receiver reported on a stream (RFC 3550 §6.4.1).
    Reported {
        /// The stream that it reports on.
        stream: StreamNumber,
        /// How many packets were lost since the beginning.
        lost: i32,
        /// The highest sequence number that came.
        highest: u16,
        /// The round trip, as far as known.
        round_trip: Option<Duration>,
    },
    /// Packets of a track were forwarded, this long after the first of them had come.
    Held(TrackNumber, Duration),
    /// A deadline was served too late, by this long: the server, or its machine, was busy.
    Late(Duration),
    /// The server sheds this much of the work of video from now on: see [`Shedding`].
    Shedding(Shedding),
    /// The room was woken for a deadline. Nothing was due if the deadline had moved to a later time.
    Woken {
        /// Why.
        timer: Timer,
        /// Whether anything was due.
        was_due: bool,
    },
    /// Everybody was told that nothing comes from somebody any more, neither media nor checks.
    MediaLost(PersonNumber),
    /// Everybody was told that something comes from them again.
    MediaBack(PersonNumber),
    /// Something became of somebody's data channels.
    Channels(PersonNumber, ChannelNews),
    /// Others speak from now on, or somebody else speaks most.
    Speaks {
        /// Whoever speaks most, or did so last.
        dominant: Option<PersonNumber>,
        /// Those who speak, the dominant speaker first.
        speaking: Vec<PersonNumber>,
    },
    /// What somebody's network carries is estimated to be another rate than before, by a quarter or more.
    Estimated {
        /// The participant whose network it is.
        person: PersonNumber,
        /// Bits per second.
        estimate: u64,
        /// What gets through, bits per second; `None` while too little was reported.
        acknowledged: Option<u64>,
        /// What holds the estimate where it is.
        reason: Reason,
    },
    /// Somebody said how large they want to see a track. Whether they want it at all is a [`Fact::Paused`].
    Wants {
        /// Who watches.
        person: PersonNumber,
        /// What they watch.
        track: TrackNumber,
        /// The width at which it is shown, in pixels.
        width: Option<u16>,
        /// The height at which it is shown, in pixels.
        height: Option<u16>,
    },
    /// Somebody is shown another encoding of a simulcast from now on, or other layers of a stream, or nothing.
    Layer {
        /// Who watches.
        person: PersonNumber,
        /// What they watch.
        track: TrackNumber,
        /// The encoding's name; `None` if nothing is shown, or the track is not a simulcast.
        layer: Option<String>,
        /// Whether nothing is shown, because their network carries no more, or the server has no time.
        is_paused: bool,
        /// The highest spatial layer inside the encoding that is sent; `None` if all are.
        spatial: Option<u8>,
        /// The highest temporal layer inside the encoding that is sent; `None` if all are.
        temporal: Option<u8>,
        /// The height of its pictures in pixels, if it was declared.
        height: Option<u16>,
        /// Why it is this one.
        reason: LayerReason,
    },
    /// It was decided what somebody's network lets them be shown.
    Steered {
        /// Whose network it is.
        person: PersonNumber,
        /// What it carries, by the estimate, bits per second.
        estimate: u64,
        /// What was decided.
        verdict: Verdict<TrackNumber>,
    },
    /// A publisher is to send these encodings of a simulcast, and no others.
    Encodings(TrackNumber, Vec<String>),
    /// Somebody is sent more or fewer copies of their audio than before (RFC 2198).
    Redundancy(PersonNumber, RedundancyDecision),
    /// Something became of one of several transports of somebody.
    Transport(PersonNumber, TransportNews),
    /// The call's media goes another way, or is about to, or a move is over.
    Topology {
        /// Where it goes.
        mode: Mode,
        /// Where a running move leads.
        moving_to: Option<Mode>,
        /// Why.
        reason: Why,
        /// Those who had not moved when a move ended.
        missing: Vec<PersonNumber>,
    },
    /// Somebody's client has said that it has moved.
    Moved(PersonNumber),
    /// A track's owner lets somebody receive it from now on, or does not.
    Let(PersonNumber, TrackNumber, bool),
    /// Until then the server could hear nobody for this long.
    StoodStill(Duration),
}

/// A fact with its time, as traces contain it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Nanoseconds since the previous line, or since the room was made if it is the first.
    pub after: u64,
    /// The fact that is told.
    pub fact: Fact,
}

/// Takes facts, in their order.
pub trait FactSink {
    /// Takes something that happened this long after the room was made.
    fn fact(&mut self, at: Duration, fact: &Fact);
}
