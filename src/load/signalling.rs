//! One person's WebSocket, which never blocks: connecting, upgrading, requests out, messages in.

use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use serde_json::Value;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tungstenite::client::IntoClientRequest;
use tungstenite::handshake::MidHandshake;
use tungstenite::handshake::client::{ClientHandshake, Request};
use tungstenite::http::HeaderValue;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{HandshakeError, Message, WebSocket};

use super::options::{LoadOptions, ServerKind};

/// The size of a WebSocket's read buffer in bytes. It is small because thousands are open at a time.
const READ_BUFFER_BYTES: usize = 4096;

enum State {
    Connecting(TcpStream),
    Upgrading(MidHandshake<ClientHandshake<TcpStream>>),
    Open(Box<WebSocket<TcpStream>>),
    Closed,
}

/// One WebSocket to the server.
pub(super) struct Signalling {
    state: State,
    url: String,
    /// The subprotocol that is asked for, if the server wants one.
    protocol: Option<&'static str>,
}

impl Signalling {
    /// Begins to connect, from a given address if there is one.
    pub(super) fn connect(
        options: &LoadOptions,
        from: Option<SocketAddr>,
        registry: &Registry,
        token: Token,
    ) -> io::Result<Self> {
        let server = options.address;
        let socket = Socket::new(Domain::for_address(server), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let Some(from) = from {
            socket.bind(&SockAddr::from(from))?;
        }
        if let Err(error) = socket.connect(&SockAddr::from(server))
            && error.kind() != io::ErrorKind::WouldBlock
            && error.raw_os_error() != Some(EINPROGRESS)
        {
            return Err(error);
        }
        let mut stream = TcpStream::from_std(socket.into());
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let (path, protocol) = match options.server_kind {
            ServerKind::Strait => ("/ws", None),
            ServerKind::Janus => ("/", Some("janus-protocol")),
        };
        let url = format!("ws://{}{path}", options.host);
        Ok(Self { state: State::Connecting(stream), url, protocol })
    }

    /// Continues a connection that is ready, and appends received messages. Returns whether the WebSocket has just been
    /// opened.
    pub(super) fn ready(&mut self, messages: &mut Vec<Value>) -> Result<bool, String> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Connecting(stream) => self.connected(stream),
            State::Upgrading(half) => self.upgraded(half.handshake()),
            State::Open(mut socket) => {
                let result = read(&mut socket, messages);
                self.state = State::Open(socket);
                result.map(|()| false)
            }
            State::Closed => Ok(false),
        }
    }

    fn connected(&mut self, stream: TcpStream) -> Result<bool, String> {
        if let Ok(Some(error)) | Err(error) = stream.take_error() {
            return Err(format!("cannot connect: {error}"));
        }
        // A socket that is neither connected nor broken was ready for something else.
        if let Err(error) = stream.peer_addr() {
            if error.kind() == io::ErrorKind::NotConnected {
                self.state = State::Connecting(stream);
                return Ok(false);
            }
            return Err(format!("cannot connect: {error}"));
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(4 << 20));
        let request = self.request().map_err(|error| format!("cannot ask for a WebSocket: {error}"))?;
        self.upgraded(tungstenite::client::client_with_config(request, stream, Some(config)))
    }

    fn request(&self) -> Result<Request, tungstenite::Error> {
        let mut request = self.url.as_str().into_client_request()?;
        if let Some(protocol) = self.protocol {
            request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static(protocol));
        }
        Ok(request)
    }

    fn upgraded<R>(
        &mut self,
        result: Result<(WebSocket<TcpStream>, R), HandshakeError<ClientHandshake<TcpStream>>>,
    ) -> Result<bool, String> {
        match result {
            Ok((socket, _)) => {
                self.state = State::Open(Box::new(socket));
                Ok(true)
            }
            Err(HandshakeError::Interrupted(half)) => {
                self.state = State::Upgrading(half);
                Ok(false)
            }
            Err(HandshakeError::Failure(error)) => Err(format!("the WebSocket was refused: {error}")),
        }
    }

    /// Sends a message, or queues it until the socket takes it.
    pub(super) fn send(&mut self, message: &Value) -> Result<(), String> {
        let text = message.to_string();
        let State::Open(socket) = &mut self.state else { return Err("signalling is not open".into()) };
        match socket.send(Message::text(text)) {
            Ok(()) => Ok(()),
            // The library keeps what did not fit, and sends it with the next flush.
            Err(error) if would_block(&error) => Ok(()),
            Err(error) => Err(format!("signalling broke: {error}")),
        }
    }
}

fn would_block(error: &tungstenite::Error) -> bool {
    matches!(error, tungstenite::Error::Io(error) if error.kind() == io::ErrorKind::WouldBlock)
}

fn read(socket: &mut WebSocket<TcpStream>, messages: &mut Vec<Value>) -> Result<(), String> {
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => match serde_json::from_str(text.as_str()) {
                Ok(message) => messages.push(message),
                Err(error) => return Err(format!("the server sent what is not JSON: {error}")),
            },
            Ok(Message::Close(frame)) => {
                let reason = frame.map_or_else(String::new, |frame| format!(" ({})", frame.code));
                return Err(format!("the server closed signalling{reason}"));
            }
            Ok(_) => {}
            Err(error) if would_block(&error) => break,
            Err(error) => return Err(format!("signalling broke: {error}")),
        }
    }
    // Reading queues answers to pings; requests that did not fit before may wait, too.
    match socket.flush() {
        Ok(()) => Ok(()),
        Err(error) if would_block(&error) => Ok(()),
        Err(error) => Err(format!("signalling broke: {error}")),
    }
}

/// The error of a connection that is still being made, on Linux; elsewhere it is "would block".
const EINPROGRESS: i32 = 115;
