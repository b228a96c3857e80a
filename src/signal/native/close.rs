//! Why the server closes a WebSocket: the close codes of RFC 6455 §7.4.1 that `docs/protocol.md` lists.

/// A reason to close a WebSocket, with the code that goes on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Close {
    /// 1000: the participant has left, or nobody ever joined.
    Normal,
    /// 1001: the server stops.
    GoingAway,
    /// 1002: the client broke the WebSocket protocol.
    Protocol,
    /// 1007: a text message was not UTF-8.
    NotText,
    /// 1008: an `error` with `fatal` was sent before.
    Refused,
    /// 1009: a message was over the limit.
    TooLarge,
    /// 1013: the client does not read fast enough.
    TooSlow,
}

impl Close {
    /// Returns the close code.
    pub fn code(self) -> u16 {
        match self {
            Close::Normal => 1000,
            Close::GoingAway => 1001,
            Close::Protocol => 1002,
            Close::NotText => 1007,
            Close::Refused => 1008,
            Close::TooLarge => 1009,
            Close::TooSlow => 1013,
        }
    }

    /// Returns the reason that is sent with the code, for people who debug a client.
    pub fn reason(self) -> &'static str {
        match self {
            Close::Normal => "",
            Close::GoingAway => "the server stops",
            Close::Protocol => "not the WebSocket protocol",
            Close::NotText => "not UTF-8",
            Close::Refused => "see the error before this",
            Close::TooLarge => "message too large",
            Close::TooSlow => "not reading fast enough",
        }
    }
}
