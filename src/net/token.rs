//! Which source of readiness a mio token stands for.
//!
//! A connection's token is its place in the slab. A late event for a place that has been given to someone else is
//! harmless: every read and write is non-blocking, and ids, not places, name connections everywhere else.

use mio::Token;

/// The UDP socket.
pub const UDP: Token = Token(0);
/// The TCP listener.
pub const LISTENER: Token = Token(1);
/// The pipe that signals arrive by.
pub const SIGNALS: Token = Token(2);
/// A [`StopHandle`](super::shutdown::StopHandle) was used.
pub const STOP: Token = Token(3);

const CONNECTIONS_FROM: usize = 8;

/// The token of the connection at a place in the slab.
pub fn of_connection(place: usize) -> Token {
    Token(place + CONNECTIONS_FROM)
}

/// The place in the slab, if the token is a connection's.
pub fn connection(token: Token) -> Option<usize> {
    token.0.checked_sub(CONNECTIONS_FROM)
}
