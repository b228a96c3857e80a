//! HTTP: messages as bytes, who a client is, which pages and schemes are let in, and the files of the browser client. No
//! socket and no state of the server is touched in here; the connections that requests come by are in `tcp`.

pub mod assets;
pub mod client;
pub mod message;
pub mod origin;
pub mod plain_http;
