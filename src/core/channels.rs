//! Data channels as the core sees them: what the SCTP association of a transport reports, and what is asked of it. The
//! association itself runs in the shell, with DTLS, so a replay needs neither.

use serde::{Deserialize, Serialize};

/// A channel on a transport: the number of its SCTP stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelId(pub u16);

/// What happens on the data channels of a transport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelEvent {
    /// The peer has opened a channel.
    Opened {
        /// The channel.
        channel: ChannelId,
        /// What it is for, in the application's words.
        label: String,
        /// The name of the protocol that is spoken on it; empty if none is named.
        protocol: String,
        /// Whether every message is delivered, however often it has to be sent again.
        is_reliable: bool,
    },
    /// A whole message has come.
    Message {
        /// The channel on which it came.
        channel: ChannelId,
        /// Whether it is text, which is UTF-8, or bytes.
        is_text: bool,
        /// What it says.
        bytes: Vec<u8>,
    },
    /// A channel is closed.
    Closed {
        /// The channel, whose number may be used for another one.
        channel: ChannelId,
        /// Why it is closed.
        end: ChannelEnd,
    },
    /// The association has ended, and all channels with it. No other can be begun.
    Ended,
}

/// Why a channel is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelEnd {
    /// The peer closed it.
    ByPeer,
    /// The peer does not receive as fast as it is sent to, and nothing of a reliable channel may be left out.
    TooSlow,
    /// We were asked to close it.
    Asked,
}

/// What is asked of the data channels of a transport.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelRequest {
    /// Data channels were negotiated: what comes by them is taken from now on.
    Enable {
        /// The largest message that the peer takes, in bytes (RFC 8841 §6).
        message_bytes_max: u32,
    },
    /// Send a message. If too much waits already, it is left out on an unreliable channel, and a reliable one is closed.
    Send {
        /// The channel by which it goes.
        channel: ChannelId,
        /// Whether it is text, which is UTF-8, or bytes.
        is_text: bool,
        /// What it says.
        bytes: Vec<u8>,
    },
    /// Close a channel.
    Close(ChannelId),
    /// Send no more than that many bits a second in the long run, because media shares the network; messages wait for that.
    Pace(u64),
    /// Take nothing from reliable channels for that many milliseconds: the peer sends too much. It is held back by the
    /// association's flow control.
    Hold(u32),
}
