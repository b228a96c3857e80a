//! HTTP: messages as bytes, the identity of clients, the origins and schemes that are let in, and the files of the
//! browser client. Nothing in here touches a socket or the server's state; the connections are in `tcp`.

pub mod assets;
pub mod body;
pub mod client;
pub mod cors;
pub mod message;
pub mod origin;
pub mod plain_http;
pub mod routes;
