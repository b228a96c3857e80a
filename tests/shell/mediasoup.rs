//! What apps on mediasoup ask by REST and by WebSockets, through the whole shell: who may call for whom, what is told to others,
//! and every refusal. Media is for the browsers' tests, where the unmodified client speaks.

use std::net::TcpStream;

use serde_json::{Value, json};
use strait::access::AuthMode;
use strait::net::ShellConfig;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use crate::support::back_end::{gate, key, now};
use crate::support::people::Person;
use crate::support::{Answer, Server, config};

/// The sound of somebody's microphone, as mediasoup-client describes it.
fn microphone() -> Value {
    json!({
        "mid": "0",
        "codecs": [{
            "mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2,
            "parameters": {"minptime": 10, "useinbandfec": 1}, "rtcpFeedback": [{"type": "transport-cc"}],
        }],
        "headerExtensions": [{"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": 4, "encrypt": false, "parameters": {}}],
        "encodings": [{"ssrc": 11_111_111, "dtx": false}],
        "rtcp": {"cname": "somebody", "reducedSize": true},
        "msid": "a b",
    })
}

/// What a client says that receives nothing but one video codec.
fn only(codec: &str) -> Value {
    json!({"codecs": [{"kind": "video", "mimeType": codec, "preferredPayloadType": 101, "clockRate": 90000}]})
}

fn dtls() -> Value {
    let fingerprint = ["AB"; 32].join(":");
    json!({"role": "client", "fingerprints": [{"algorithm": "sha-256", "value": fingerprint}]})
}

/// Somebody's program, which keeps its cookie.
struct App<'s> {
    server: &'s Server,
    user: &'static str,
    cookie: Option<String>,
    token: Option<String>,
}

impl<'s> App<'s> {
    fn new(server: &'s Server, user: &'static str) -> Self {
        Self { server, user, cookie: None, token: None }
    }

    fn fields(&self) -> String {
        let cookie = self.cookie.iter().map(|cookie| format!("Cookie: {cookie}\r\n"));
        let token = self.token.iter().map(|token| format!("Authorization: Bearer {token}\r\n"));
        cookie.chain(token).collect()
    }

    fn request(&mut self, text: &str) -> Answer {
        let answer = self.server.request(text);
        if let Some(cookie) = answer.find("set-cookie") {
            self.cookie = cookie.split(';').next().map(str::to_owned);
        }
        answer
    }

    fn get(&mut self, path: &str) -> Answer {
        let fields = self.fields();
        self.request(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n"))
    }

    /// POSTs to an address, with more fields of the body than who and where.
    fn post_to(&mut self, path: &str, more: &Value) -> Answer {
        let mut body = json!({"channelId": "standup", "userId": self.user});
        let object = body.as_object_mut().expect("an object");
        object.extend(more.as_object().expect("an object").clone());
        let (body, fields) = (body.to_string(), self.fields());
        let length = body.len();
        self.request(&format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\n{fields}Content-Type: application/json\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ))
    }

    fn post(&mut self, call: &str, more: Value) -> Answer {
        self.post_to(&format!("/api/voice/{call}"), &more)
    }

    /// The id of a new transport.
    fn transport(&mut self, direction: &str) -> String {
        let answer = self.post("create-transport", json!({"direction": direction}));
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// The id of a producer of a microphone's sound.
    fn producer(&mut self) -> String {
        let transport = self.transport("send");
        let connect =
            self.post("connect-transport", json!({"transportId": transport, "dtlsParameters": dtls()}));
        assert_eq!(connect.status, 200, "{}", connect.text());
        let what = json!({"transportId": transport, "kind": "audio", "rtpParameters": microphone()});
        let answer = self.post("produce", what);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["id"].as_str().expect("an id").to_owned()
    }

    /// A WebSocket; `None` if it is refused.
    fn socket(&mut self, path: &str) -> Option<Listener> {
        let mut request =
            format!("ws://{}{path}", self.server.address).into_client_request().expect("a request");
        if let Some(cookie) = &self.cookie {
            request.headers_mut().insert("Cookie", cookie.parse().expect("a field"));
        }
        if let Some(token) = &self.token {
            request
                .headers_mut()
                .insert("Authorization", format!("Bearer {token}").parse().expect("a field"));
        }
        let (socket, answer) = tungstenite::client(request, self.server.connect()).ok()?;
        if let Some(cookie) = answer.headers().get("set-cookie") {
            self.cookie = cookie.to_str().ok().and_then(|text| text.split(';').next()).map(str::to_owned);
        }
        Some(Listener { socket, told: Vec::new() })
    }

    fn listens(&mut self) -> Listener {
        let path = format!("/api/voice/events?channelId=standup&userId={}", self.user);
        self.socket(&path).expect("it is opened")
    }
}

/// A WebSocket, and what has come on it that nobody has waited for.
struct Listener {
    socket: WebSocket<TcpStream>,
    told: Vec<Value>,
}

impl Listener {
    fn read(&mut self) -> Value {
        loop {
            match self.socket.read().expect("a message in time") {
                Message::Text(text) => return serde_json::from_str(text.as_str()).expect("JSON"),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Waits for a message of a kind.
    fn until(&mut self, kind: &str) -> Value {
        loop {
            if let Some(place) = self.told.iter().position(|told| told["type"] == kind) {
                return self.told.remove(place)["data"].clone();
            }
            let message = self.read();
            self.told.push(message);
        }
    }

    /// Sends a message and waits for its answer.
    #[allow(clippy::needless_pass_by_value, reason = "what is asked is made for the question")]
    fn ask(&mut self, kind: &str, data: Value) -> Value {
        let id = format!("{kind} {}", self.told.len());
        let message = json!({"type": kind, "messageId": id, "data": data});
        self.socket.send(Message::text(message.to_string())).expect("it is open");
        loop {
            let message = self.read();
            if message["messageId"] == id {
                return message;
            }
            self.told.push(message);
        }
    }

    fn joins(&mut self, user: &str) -> Value {
        self.ask("join-room", json!({"roomId": "standup", "participantId": user}))
    }
}

fn participants(server: &Server) -> u64 {
    server.get("/api/voice/health").json()["totalParticipants"].as_u64().expect("a number")
}

/// Waits until so many people are there.
fn until_participants(server: &Server, wanted: u64) {
    let started = std::time::Instant::now();
    while participants(server) != wanted {
        assert!(started.elapsed() < crate::support::PATIENCE, "{} are there", participants(server));
    }
}

#[test]
fn the_server_says_how_it_is_and_what_it_can() {
    let server = Server::start(config());
    let health = server.get("/api/voice/health");
    assert_eq!(health.status, 200);
    let expected = json!({
        "nodeId": "sfu-1", "region": "local", "workers": 1, "rooms": 0, "totalParticipants": 0, "status": "healthy",
    });
    assert_eq!(health.json(), expected);
    let capabilities = server.get("/api/voice/rtp-capabilities/standup").json();
    let names: Vec<_> = capabilities["codecs"]
        .as_array()
        .expect("codecs")
        .iter()
        .map(|codec| codec["mimeType"].as_str())
        .collect();
    assert!(names.contains(&Some("audio/opus")) && names.contains(&Some("video/VP8")), "{names:?}");
    assert_eq!(server.get("/api/voice/health").json()["rooms"], 0, "asking makes no room");
    assert_eq!(server.get("/api/router-capabilities/standup").json(), capabilities);
    assert_eq!(server.get("/api/voice/health").json()["rooms"], 1, "asking like that does");
    assert_eq!(server.get("/api/router-capabilities/standup").json(), capabilities, "and only once");
    for (path, status) in [
        ("/api/router-capabilities/a%20b", 400),
        ("/api/voice/rtp-capabilities/a/b", 404),
        ("/api/voice/produce", 405),
        ("/api/create-transport", 405),
    ] {
        let answer = server.get(path);
        assert!(answer.status == status && answer.json()["error"].is_string(), "{path}: {}", answer.text());
    }
}

#[test]
fn a_user_produces_and_another_consumes_and_both_hear_of_it() {
    let server = Server::start(config());
    let mut native = Person::join(&server, Some("standup"), "Native");
    let mut ben = App::new(&server, "ben");
    let mut news = ben.listens();
    ben.transport("recv");
    assert_eq!(native.news("participant-joined")["identity"], "ben");
    assert_eq!(news.until("user_joined_voice")["userId"], native.id());
    let mut anna = App::new(&server, "anna");
    let producer = anna.producer();
    assert_eq!(news.until("user_joined_voice"), json!({"userId": "anna", "name": "anna"}));
    let told = news.until("new_producer");
    assert_eq!((&told["producerId"], &told["userId"]), (&json!(producer), &json!("anna")));
    assert_eq!((&told["kind"], &told["source"]), (&json!("audio"), &json!("microphone")));
    assert_eq!(
        native.news("track-added")["trackId"],
        producer,
        "one track by one id, however it is published"
    );
    let listed = ben.get("/api/voice/producers/standup/anna").json();
    assert_eq!(listed["producers"][0]["producerId"], producer);
    assert_eq!(ben.get("/api/voice/producers/standup/nobody").json()["producers"], json!([]));

    let capabilities = server.get("/api/voice/rtp-capabilities/standup").json();
    let consumer = ben.post("consume", json!({"producerId": producer, "rtpCapabilities": capabilities}));
    assert_eq!(consumer.status, 200, "{}", consumer.text());
    let consumer = consumer.json();
    assert_eq!((&consumer["producerId"], &consumer["kind"]), (&json!(producer), &json!("audio")));
    assert!(consumer["rtpParameters"]["encodings"][0]["ssrc"].is_u64(), "{consumer}");
    for call in ["pause-consumer", "resume-consumer"] {
        assert_eq!(ben.post(call, json!({"consumerId": consumer["id"]})).status, 200, "{call}");
    }
    assert_eq!(anna.post("pause-producer", json!({"producerId": producer})).status, 200);
    assert_eq!(news.until("producer_paused")["producerId"], producer);
    assert_eq!(news.until("consumer_paused")["consumerId"], consumer["id"]);
    let left = anna.post("leave", json!({}));
    assert_eq!((left.status, left.json()), (200, json!({"success": true})));
    assert_eq!(news.until("consumer_closed")["consumerId"], consumer["id"]);
    assert_eq!(news.until("user_left_voice"), json!({"userId": "anna"}));
    assert_eq!(participants(&server), 2);
    let after = anna.post("leave", json!({}));
    assert_eq!(after.status, 404, "{}", after.text());
}

#[test]
fn nobody_acts_for_somebody_else() {
    let server = Server::start(config());
    let mut anna = App::new(&server, "anna");
    let producer = anna.producer();
    // Somebody who knows her id, and that of what she publishes, as everybody in the room does.
    let mut eve = App::new(&server, "anna");
    for (call, more) in [
        ("create-transport", json!({"direction": "recv"})),
        ("pause-producer", json!({"producerId": producer})),
        ("close-producer", json!({"producerId": producer})),
        ("leave", json!({})),
        ("leave", json!({"sessionId": "0123456789012345678901"})),
    ] {
        let refused = eve.post(call, more);
        assert_eq!(refused.status, 403, "{call}: {}", refused.text());
    }
    assert!(eve.socket("/api/voice/events?channelId=standup&userId=anna").is_none(), "nor listens for her");
    let mut socket = eve.socket("/mediasoup").expect("it is opened");
    let refused = socket.joins("anna");
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("another client")), "{refused}");
    // As herself, with what is Anna's.
    let mut eve = App::new(&server, "eve");
    let own = eve.transport("send");
    for call in ["pause-producer", "close-producer"] {
        let refused = eve.post(call, json!({"producerId": producer}));
        assert_eq!(refused.status, 404, "{call}: {}", refused.text());
    }
    let transport = anna.transport("recv");
    let refused = eve.post("connect-transport", json!({"transportId": transport, "dtlsParameters": dtls()}));
    assert_eq!((refused.status, refused.json()["error"].clone()), (404, json!("Transport not found")));
    let mut socket = eve.socket("/mediasoup").expect("it is opened");
    assert!(socket.joins("eve")["error"].is_null(), "it is her own session, by her cookie");
    for call in ["close-transport", "restart-ice"] {
        let refused = socket.ask(call, json!({"transportId": transport}));
        assert_eq!(refused["error"], "Transport not found", "{call}");
    }
    assert_eq!(socket.ask("restart-ice", json!({"transportId": own}))["id"], own);
    // Anna's own second program, which knows the session's id.
    let mut other = App::new(&server, "anna");
    let session = anna.post("create-transport", json!({"direction": "recv"})).json()["sessionId"].clone();
    assert_eq!(other.post("leave", json!({"sessionId": session})).status, 200);
    assert_eq!(participants(&server), 1);
}

#[test]
fn each_error_has_its_text() {
    let server = Server::start(config());
    let mut anna = App::new(&server, "anna");
    let producer = anna.producer();
    let mut ben = App::new(&server, "ben");
    let send = ben.transport("send");
    let capabilities = server.get("/api/voice/rtp-capabilities/standup").json();
    let consume = json!({"producerId": producer, "rtpCapabilities": capabilities});
    let unknown = "x-0000000000007";
    let produce =
        |transport: &str| json!({"transportId": transport, "kind": "audio", "rtpParameters": microphone()});
    let mut is_refused = |call: &str, more: Value, status: u16, error: &str| {
        let refused = ben.post(call, more);
        let text = refused.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(
            refused.status == status && text.contains(error),
            "{call}: {} {}",
            refused.status,
            refused.text()
        );
        assert!(refused.json()["action"].is_string());
    };
    is_refused("produce", produce(unknown), 404, "Transport not found");
    is_refused("produce", produce("nonsense"), 404, "Transport not found");
    is_refused("consume", consume.clone(), 404, "Consumer transport not found");
    let mut on_send = consume.clone();
    on_send["transportId"] = json!(send);
    is_refused("consume", on_send, 404, "Consumer transport not found");
    is_refused("create-transport", json!({}), 400, "`direction`");
    is_refused("create-transport", json!({"direction": "recv", "userId": ""}), 400, "`userId`");
    is_refused("create-transport", json!({"direction": "recv", "channelId": "a b"}), 400, "`channelId`");
    is_refused("produce", json!({"transportId": send, "rtpParameters": {}}), 400, "`kind`");
    is_refused(
        "connect-transport",
        json!({"transportId": send, "dtlsParameters": 7}),
        400,
        "`dtlsParameters`",
    );
    is_refused("close-consumer", json!({"consumerId": format!("c-{producer}")}), 404, "no such consumer");
    assert_eq!(
        ben.post("create-transport", json!({"direction": "recv"})).status,
        200,
        "nothing is broken by it"
    );
}

#[test]
fn whoever_cannot_receive_a_codec_is_told_so() {
    let server = Server::start(config());
    let mut anna = App::new(&server, "anna");
    let producer = anna.producer();
    let mut ben = App::new(&server, "ben");
    ben.transport("recv");
    let refused = ben.post("consume", json!({"producerId": producer, "rtpCapabilities": only("video/VP8")}));
    assert_eq!(
        (refused.status, &refused.json()["error"]),
        (422, &json!("Cannot consume")),
        "{}",
        refused.text()
    );
}

#[test]
fn bodies_that_no_app_sends_are_refused() {
    let server = Server::start(config());
    let post = |kind: &str, body: &str| {
        let length = body.len();
        server.request(&format!(
            "POST /api/voice/create-transport HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        ))
    };
    assert_eq!(post("text/plain", "{}").status, 415, "a page of another site could send it");
    for body in ["", "{", "[]", "7", "\"a\""] {
        let refused = post("application/json", body);
        assert!(refused.status == 400 && refused.json()["error"].is_string(), "{body}");
    }
    let foreign = "OPTIONS /api/voice/produce HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nConnection: close\r\n\r\n";
    let refused = server.request(foreign);
    assert_eq!((refused.status, refused.find("access-control-allow-origin")), (403, None));
    let open = Server::start(ShellConfig { cors_origins: vec!["https://app.example".into()], ..config() });
    let asked = foreign.replace("evil", "app");
    let allowed = open.request(&asked);
    assert_eq!((allowed.status, allowed.field("access-control-allow-origin")), (204, "https://app.example"));
}

#[test]
fn where_tokens_are_needed_each_call_needs_one_and_its_bearer_is_the_user() {
    let server = Server::start(ShellConfig { gate: gate(AuthMode::Token), ..config() });
    let token = |user: &str| {
        let claims = json!({
            "iss": "team", "userId": user, "roomId": "standup", "exp": now() + 60, "permissions": ["produce", "consume"],
        });
        Some(strait::access::sign(&claims, &key()))
    };
    let mut anna = App::new(&server, "anna");
    assert_eq!(anna.post("create-transport", json!({"direction": "send"})).status, 401);
    assert_eq!(anna.get("/api/router-capabilities/standup").status, 401);
    anna.token = token("ben");
    let refused = anna.post("create-transport", json!({"direction": "send"}));
    assert_eq!(refused.status, 403, "{}", refused.text());
    anna.token = token("anna");
    let transport = anna.transport("send");
    // Another program of hers, which has her token.
    let mut again = App { token: token("anna"), ..App::new(&server, "anna") };
    again.transport("recv");
    assert_eq!(participants(&server), 1);
    let mut eve = App { token: token("eve"), ..App::new(&server, "eve") };
    let connect = json!({"transportId": transport, "dtlsParameters": dtls()});
    let mut connect_as_eve = connect.clone();
    connect_as_eve["userId"] = json!("anna");
    assert_eq!(eve.post("connect-transport", connect_as_eve).status, 403, "not even with the transport's id");
    anna.token = None;
    assert_eq!(anna.post("connect-transport", connect).status, 401);
    let mut listener = eve.socket("/mediasoup").expect("it is opened");
    let refused = listener.joins("anna");
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("somebody else")), "{refused}");
    assert!(listener.joins("eve")["error"].is_null());
    let mut nobody = App::new(&server, "nobody").socket("/mediasoup").expect("it is opened");
    assert_eq!(nobody.joins("nobody")["code"], "unauthorized");
    let by_message = json!({"roomId": "standup", "participantId": "nobody", "token": token("nobody")});
    assert!(nobody.ask("join-room", by_message)["error"].is_null());
}

#[test]
fn a_room_is_joined_and_left_by_a_web_socket_and_transports_come_by_it_or_by_rest() {
    let server = Server::start(config());
    let mut anna = App::new(&server, "anna");
    let mut socket = anna.socket("/mediasoup").expect("it is opened");
    assert_eq!(socket.ask("produce", json!({}))["error"], "`transportId` must be the id of a transport");
    let nowhere = socket.ask("create-transport", json!({"direction": "send"}));
    assert_eq!(nowhere["code"], "not-joined", "{nowhere}");
    let joined = socket.joins("anna");
    assert_eq!((&joined["participantId"], &joined["participants"]), (&json!("anna"), &json!([])));
    let mut ben = App::new(&server, "ben");
    let mut other = ben.socket("/mediasoup").expect("it is opened");
    assert_eq!(other.joins("ben")["participants"], json!(["anna"]));
    assert_eq!(socket.until("participant-joined"), json!({"participantId": "ben", "name": "ben"}));
    // As an app does that opens its transports by REST.
    let body = json!({"roomId": "standup", "participantId": "anna", "direction": "send"});
    let opened = anna.post_to("/api/create-transport", &body);
    assert_eq!(opened.status, 200, "{}", opened.text());
    let transport = opened.json()["id"].clone();
    let produced = socket
        .ask("produce", json!({"transportId": transport, "kind": "audio", "rtpParameters": microphone()}));
    let producer = produced["id"].clone();
    assert!(producer.is_string(), "{produced}");
    assert_eq!(other.until("new-producer")["producerId"], producer);
    let receiver = other.ask("create-transport", json!({"direction": "recv"}));
    assert!(receiver["iceParameters"]["usernameFragment"].is_string(), "{receiver}");
    let capabilities = other.ask("get-router-capabilities", json!({}))["rtpCapabilities"].clone();
    let consumer = other.ask(
        "consume",
        json!({"transportId": receiver["id"], "producerId": producer, "rtpCapabilities": capabilities}),
    );
    assert_eq!((&consumer["paused"], &consumer["producerId"]), (&json!(true), &producer), "{consumer}");
    assert_eq!(other.ask("resume-consumer", json!({"consumerId": consumer["id"]}))["id"], consumer["id"]);
    socket.socket.close(None).expect("it is open");
    assert_eq!(other.until("consumer-closed"), json!({"consumerId": consumer["id"]}));
    assert_eq!(other.until("participant-left"), json!({"participantId": "anna"}));
    assert!(other.ask("leave", json!({}))["error"].is_null());
    until_participants(&server, 0);
    assert!(other.joins("ben")["error"].is_null(), "the WebSocket is as good as before");
}

#[test]
fn a_web_socket_that_breaks_leaves_the_session_for_whoever_owns_it() {
    let server = Server::start(config());
    let mut anna = App::new(&server, "anna");
    let mut socket = anna.socket("/mediasoup").expect("it is opened");
    let session = socket.joins("anna")["sessionId"].clone();
    let transport = socket.ask("create-transport", json!({"direction": "send"}))["id"].clone();
    let mut native = Person::join(&server, Some("standup"), "Native");
    drop(socket);
    let left = native.news("participant-reconnecting");
    let mut socket = anna.socket("/mediasoup").expect("it is opened");
    let goes_on = json!({"roomId": "standup", "participantId": "anna", "sessionId": session});
    assert_eq!(socket.ask("join-room", goes_on)["sessionId"], session);
    assert_eq!(native.news("participant-resumed")["participantId"], left["participantId"]);
    assert_eq!(socket.ask("restart-ice", json!({"transportId": transport}))["id"], transport);
    // A page that was loaded again knows nothing of it, and begins anew.
    let mut again = anna.socket("/mediasoup").expect("it is opened");
    let begun = again.joins("anna");
    assert!(begun["error"].is_null() && begun["sessionId"] != session, "{begun}");
    assert_eq!(native.news("participant-left")["participantId"], left["participantId"]);
    assert_eq!(participants(&server), 2);
}

#[test]
fn messages_of_other_protocols_are_told_to_be_unsupported() {
    let server = Server::start(config());
    let mut anna = App::new(&server, "anna");
    let mut news = anna.listens();
    for kind in ["rtc_offer", "rtc_answer", "rtc_ice_candidate"] {
        let refused = news.ask(kind, json!({}));
        assert!(
            refused["error"].as_str().is_some_and(|error| error.starts_with("unsupported message")),
            "{refused}"
        );
    }
    anna.transport("send");
    let mut ben = App::new(&server, "ben");
    ben.transport("send");
    assert_eq!(news.until("user_joined_voice"), json!({"userId": "ben", "name": "ben"}));
    // Its goodbye is the user's.
    news.socket.close(None).expect("it is open");
    until_participants(&server, 1);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("strait_mediasoup_sessions 1"), "{metrics}");
}
