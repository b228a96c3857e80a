//! What a LiveKit client is told when it comes in: of the room, and of the server.

use super::messages::{
    ClientConfiguration, Codec, IceServer, JoinResponse, ReconnectResponse, Room, ServerInfo, numbers,
};
use crate::core::ids::RoomId;
use crate::core::room_options::RoomState;
use crate::signal::native;

/// The version of LiveKit's signalling protocol that is spoken (`ServerInfo.protocol`).
const PROTOCOL: i32 = 17;
/// The version of LiveKit's own server for which clients take this one. Some look at it to tell what they may use: calls
/// (RPC) from 1.8 on, and simulcast of codecs that have layers, which is not served, behind 1.13.6.
const SERVER_VERSION: &str = "1.13.5";
/// How often a client is to send a sign of life, in seconds.
const PING_SECONDS: i32 = 5;
/// After so many seconds without a sign of life of the server's a client connects anew.
const PING_TIMEOUT_SECONDS: i32 = 15;
/// What may be published: the codecs that are forwarded.
const CODECS: [&str; 6] = ["audio/opus", "audio/red", "video/VP8", "video/H264", "video/VP9", "video/AV1"];

/// Returns what is told of a room with so many people in it, by its id and its name.
pub fn room((sid, name): (&str, &RoomId), state: &RoomState, people: usize) -> Room {
    Room {
        sid: sid.to_owned(),
        name: name.to_string(),
        metadata: state.metadata.clone(),
        num_participants: u32::try_from(people).unwrap_or(u32::MAX),
        ..Room::default()
    }
}

/// Returns the part of the first message that is the same for everybody, or for everybody who wants to try TURN over TLS.
pub fn join_response(ice_servers: &[native::IceServer], forces_tls: bool) -> JoinResponse {
    let mut ice_servers: Vec<IceServer> = ice_servers.iter().map(ice_server).collect();
    let mut client_configuration = None;
    if forces_tls && ice_servers.iter().any(|server| server.urls.iter().any(|url| is_turn_over_tls(url))) {
        for server in &mut ice_servers {
            server.urls.retain(|url| is_turn_over_tls(url));
        }
        ice_servers.retain(|server| !server.urls.is_empty());
        client_configuration = Some(ClientConfiguration { force_relay: numbers::ENABLED });
    }
    JoinResponse {
        server_version: SERVER_VERSION.to_owned(),
        ice_servers,
        client_configuration,
        ping_timeout: PING_TIMEOUT_SECONDS,
        ping_interval: PING_SECONDS,
        server_info: Some(server_info()),
        enabled_publish_codecs: CODECS.iter().map(|mime| Codec { mime: (*mime).to_owned() }).collect(),
        fast_publish: true,
        ..JoinResponse::default()
    }
}

/// Returns the first message to a client that has come back.
pub fn reconnect_response(ice_servers: &[native::IceServer]) -> ReconnectResponse {
    ReconnectResponse {
        ice_servers: ice_servers.iter().map(ice_server).collect(),
        server_info: Some(server_info()),
    }
}

fn is_turn_over_tls(url: &str) -> bool {
    url.starts_with("turns:")
}

fn server_info() -> ServerInfo {
    ServerInfo { version: SERVER_VERSION.to_owned(), protocol: PROTOCOL }
}

fn ice_server(server: &native::IceServer) -> IceServer {
    IceServer {
        urls: server.urls.clone(),
        username: server.username.clone().unwrap_or_default(),
        credential: server.credential.clone().unwrap_or_default(),
    }
}
