//! TCP connections: accepting them, their bytes with and without TLS, and each of the protocols that one may carry: HTTP,
//! a WebSocket, ICE-TCP or TURN. What a request or a message means is decided elsewhere.

pub mod connection;
pub mod connections;
pub mod frame_queue;
mod http_connection;
mod ice_tcp;
mod pipe;
mod stream;
mod turn_tcp;
pub mod web_socket;
