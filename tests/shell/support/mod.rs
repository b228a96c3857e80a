//! A server of the shell on a thread of the test's, and a client for it.

pub mod back_end;
pub mod hooks;
pub mod ice_tcp;
pub mod people;
pub mod relayed;
pub mod tls;
pub mod turn;
pub mod whip;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use strait::core::Settings;
use strait::core::event::SlotCounts;
use strait::net::{BoundAddresses, CoreSeed, ExitReason, ShellConfig, StopHandle, serve};
use tungstenite::{Message, WebSocket};

/// Longer than anything that a test waits for; a hang fails instead of lasting.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration for tests: loopback, a free port, no signals, no rate limit.
pub fn config() -> ShellConfig {
    ShellConfig {
        listen: "127.0.0.1:0".parse().expect("an address"),
        messages_per_second: 10_000_000,
        messages_burst: 10_000_000,
        offers_per_second: 10_000_000,
        offers_burst: 10_000_000,
        joins_per_second: 10_000_000,
        joins_burst: 10_000_000,
        requests_per_second: 1_000_000,
        requests_burst: 1_000_000,
        udp_receive_buffer: 256 * 1024,
        udp_send_buffer: 256 * 1024,
        handle_signals: false,
        ..ShellConfig::default()
    }
}

/// Settings of the core that allow everything a test does.
pub fn settings(seed: CoreSeed) -> Settings {
    Settings {
        slots: SlotCounts { audio: 4, video: 4 },
        slots_max: SlotCounts { audio: 16, video: 16 },
        media_timeout: Duration::from_secs(30),
        certificate: seed.certificate,
        epoch_unix: seed.epoch_unix,
        ..Settings::for_trying(seed.epoch)
    }
}

/// A running server.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// Where it is administered, if that is a port of its own.
    pub admin: Option<SocketAddr>,
    /// Where it says that others reach it.
    pub reachable: Vec<SocketAddr>,
    /// Ends it.
    pub stop: StopHandle,
    thread: Option<JoinHandle<std::io::Result<ExitReason>>>,
}

impl Server {
    /// Starts one and waits until it listens.
    pub fn start(config: ShellConfig) -> Self {
        Self::start_with(config, |_| ())
    }

    /// Starts one with other settings of the core.
    pub fn start_with(config: ShellConfig, change: impl FnOnce(&mut Settings) + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel::<BoundAddresses>();
        let thread = std::thread::spawn(move || {
            let set_log_level = Box::new(|level: &str| match level {
                "debug" => Ok(()),
                other => Err(format!("unknown level {other}")),
            });
            let settings = |seed| {
                let mut settings = settings(seed);
                change(&mut settings);
                settings
            };
            serve(config, settings, set_log_level, |bound| {
                sender.send(bound.clone()).expect("the test waits");
            })
        });
        let bound = receiver.recv_timeout(PATIENCE).expect("the server starts");
        Self {
            address: bound.listen,
            admin: bound.admin,
            reachable: bound.reachable,
            stop: bound.stop,
            thread: Some(thread),
        }
    }

    /// Waits for its end.
    pub fn join(&mut self) -> ExitReason {
        let thread = self.thread.take().expect("joined once");
        thread.join().expect("no panic").expect("no error")
    }

    /// A plain connection.
    pub fn connect(&self) -> TcpStream {
        connect(self.address)
    }

    /// A WebSocket on `/ws`, as a native client opens it.
    pub fn web_socket(&self) -> WebSocket<TcpStream> {
        let (socket, _) = tungstenite::client(format!("ws://{}/ws", self.address), self.connect())
            .expect("the upgrade is accepted");
        socket
    }

    /// GET of a path.
    pub fn get(&self, path: &str) -> Answer {
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address))
    }

    /// How many connections it has, without the one that asks.
    pub fn connections(&self) -> u64 {
        self.get("/admin/v1/stats").json()["shell"]["connections"].as_u64().expect("a number") - 1
    }

    /// Sends these bytes on a connection of their own and reads one answer.
    pub fn request(&self, text: &str) -> Answer {
        self.request_at(self.address, text)
    }

    /// The same at another address.
    pub fn request_at(&self, address: SocketAddr, text: &str) -> Answer {
        let mut stream = connect(address);
        // A server that refuses before it has read all may be gone before we have written all.
        let _ = stream.write_all(text.as_bytes());
        Answer::read(&mut stream, text.starts_with("HEAD"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.stop.stop();
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the server does not panic").expect("the server ends well");
            }
        }
    }
}

/// A plain connection that does not wait for ever.
pub fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// An HTTP answer.
pub struct Answer {
    /// The status code.
    pub status: u16,
    head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    fn read(stream: &mut TcpStream, without_body: bool) -> Self {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(answer) = Self::parse(&bytes, without_body) {
                return answer;
            }
            let count = stream.read(&mut buffer).expect("an answer in time");
            assert!(count > 0, "the stream ended early: {}", String::from_utf8_lossy(&bytes));
            bytes.extend_from_slice(&buffer[..count]);
        }
    }

    fn parse(bytes: &[u8], without_body: bool) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut answer = Self { status, head, body: Vec::new() };
        let length = answer.find("content-length").map_or(0, |text| text.parse().expect("a number"));
        if !without_body {
            answer.body = bytes.get(end..end + length)?.to_vec();
        }
        Some(answer)
    }

    /// A header field, if it is there.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Every header field of that name.
    pub fn find_all(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// A header field that must be there.
    pub fn field(&self, name: &str) -> &str {
        self.find(name).unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// Reads on until the server closes; with which code. Panics if it does not close properly.
pub fn close_code(socket: &mut WebSocket<TcpStream>) -> Option<u16> {
    let mut code = None;
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => code = frame.map(|frame| frame.code.into()),
            Ok(_) => {}
            Err(tungstenite::Error::ConnectionClosed) => return code,
            Err(error) => panic!("no proper close: {error}"),
        }
    }
}
