//! Several participants of one server, driven in turns on the test's thread.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::PATIENCE;
use super::client::Client;
use super::server::Server;

/// Everybody whom a test has brought along, by index.
pub struct Call {
    pub clients: Vec<Client>,
    server: SocketAddr,
}

impl Call {
    /// Nobody yet.
    pub fn new(server: SocketAddr) -> Self {
        Self { clients: Vec::new(), server }
    }

    /// One server, and nobody yet.
    pub fn at(settings: &[(&str, &str)]) -> (Server, Self) {
        let server = Server::start(settings);
        let call = Self::new(server.address);
        (server, call)
    }

    /// Anna and Ben are in one room, publish these sources, and are connected.
    pub fn of_two(server: SocketAddr, sources: &[&'static str]) -> Self {
        let mut call = Self::new(server);
        for name in ["Anna", "Ben"] {
            let who = call.join("standup", name);
            call.publish(who, 1, sources);
        }
        call.until_connected();
        call
    }

    /// Somebody connects, and joins nothing.
    pub fn visit(&mut self) -> usize {
        self.clients.push(Client::new(self.server));
        self.clients.len() - 1
    }

    /// Somebody connects and joins a room.
    pub fn join(&mut self, room: &str, name: &str) -> usize {
        let who = self.visit();
        let reply = self.ask(who, "join", json!({"version": 1, "room": room, "name": name}));
        assert_eq!(reply["type"], "joined", "{reply}");
        who
    }

    /// Somebody offers slots of each kind and sources to send, and gets an answer.
    pub fn publish(&mut self, who: usize, slots: usize, sources: &[&'static str]) {
        let offer = self.clients[who].offer(slots, sources);
        let reply = self.ask(who, "offer", offer);
        assert_eq!(reply["type"], "answer", "{reply}");
    }

    /// Sends a request and waits for its one reply, whole.
    #[expect(clippy::needless_pass_by_value, reason = "the data are written where they are sent")]
    pub fn ask(&mut self, who: usize, kind: &str, data: Value) -> Value {
        let request = self.clients[who].request(kind, &data);
        let mut reply = None;
        self.until(&format!("a reply to {kind}"), |call| {
            reply = call.clients[who].reply(request);
            reply.is_some()
        });
        reply.expect("it came")
    }

    /// Sends a request that must be refused; the error's data.
    pub fn refused(&mut self, who: usize, kind: &str, data: Value) -> Value {
        let mut reply = self.ask(who, kind, data);
        assert_eq!(reply["type"], "error", "{reply}");
        check_error(&reply["data"]);
        reply["data"].take()
    }

    /// Sends text that must be refused; the error's data, whether it names a request or not.
    pub fn refused_text(&mut self, who: usize, text: &str) -> Value {
        self.clients[who].news.clear();
        self.clients[who].say(text);
        self.until("an error", |call| !call.clients[who].told("error").is_empty());
        let error = self.clients[who].told("error")[0].clone();
        check_error(&error);
        error
    }

    /// Whether somebody's connection is still served.
    pub fn is_served(&mut self, who: usize) -> bool {
        self.ask(who, "ping", json!({}))["type"] == "pong"
    }

    /// Comes back on a new connection; the reply.
    pub fn resume(&mut self, who: usize) -> Value {
        let joined = self.clients[who].joined.clone();
        self.clients[who].connect();
        self.ask(who, "resume", resume_data(&joined))
    }

    /// Waits until the media path of each is there.
    pub fn until_connected(&mut self) {
        self.until("all are connected", |call| call.clients.iter().all(|client| client.rtc.is_connected()));
    }

    /// Waits until somebody was told news of a type; the newest of them.
    pub fn until_told(&mut self, who: usize, kind: &str) -> Value {
        self.until(kind, |call| !call.clients[who].told(kind).is_empty());
        (*self.clients[who].told(kind).last().expect("just seen")).clone()
    }

    /// Sends a source until a packet of it has come to somebody, from now on.
    pub fn until_heard(&mut self, from: usize, source: &str, to: usize) {
        let track = self.clients[from].track(source);
        self.clients[to].take_received(&track);
        let mut next = Instant::now();
        self.until(&format!("{source} of {from} comes to {to}"), |call| {
            if next <= Instant::now() {
                call.clients[from].send(source);
                next = Instant::now() + Duration::from_millis(20);
            }
            !call.clients[to].take_received(&track).is_empty()
        });
    }

    /// Lets everybody act until the condition holds; panics with `what` if it never does.
    pub fn until(&mut self, what: &str, mut condition: impl FnMut(&mut Self) -> bool) {
        let started = Instant::now();
        loop {
            let busy = self.turn();
            if condition(self) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "it never happened: {what}");
            if !busy {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Everybody does what there is to do. Whether anybody had anything.
    pub fn turn(&mut self) -> bool {
        self.clients.iter_mut().fold(false, |busy, client| client.turn() | busy)
    }
}

/// What `resume` needs to come back as somebody.
pub fn resume_data(joined: &Value) -> Value {
    json!({
        "version": 1,
        "room": joined["room"],
        "participantId": joined["participantId"],
        "secret": joined["secret"],
    })
}

/// Every error says what happened and what to do.
fn check_error(error: &Value) {
    for field in ["code", "message", "action"] {
        assert!(error[field].as_str().is_some_and(|text| !text.is_empty()), "no {field} in {error}");
    }
    assert!(error["fatal"].is_boolean(), "{error}");
}
