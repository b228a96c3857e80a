//! The sources of readiness that mio tokens stand for.
//!
//! A connection's token is its place in the slab. A late event for a place that has been given to another connection is
//! harmless: every read and write is non-blocking, and everywhere else ids, not places, name connections.

use mio::Token;

/// Readiness of the one UDP socket.
pub const UDP: Token = Token(0);
/// Connections that wait at the TCP listener.
pub const LISTENER: Token = Token(1);
/// The pipe by which signals arrive.
pub const SIGNALS: Token = Token(2);
/// A [`StopHandle`](super::shutdown::StopHandle) was used.
pub const STOP: Token = Token(3);

/// Connections that wait at the listener for management.
pub const MANAGEMENT: Token = Token(4);

const CONNECTIONS_FROM: usize = 8;

/// Returns the token of the connection at a place in the slab.
pub fn of_connection(place: usize) -> Token {
    Token(place + CONNECTIONS_FROM)
}

/// Returns the place in the slab, or `None` if the token is not a connection's.
pub fn connection(token: Token) -> Option<usize> {
    token.0.checked_sub(CONNECTIONS_FROM)
}
