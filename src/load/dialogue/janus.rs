//! The dialogue with Janus and its VideoRoom, over its WebSocket API: a session, a handle in it, a room, and then
//! either an offer that publishes, or a subscription, for which Janus makes the offer. Each has its own PeerConnection,
//! so a person who does both has two dialogues.
//!
//! Publishers choose the number of their feed (their place in the room, from one), so that subscribers know it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Step;
use crate::load::options::{LoadOptions, PersonPlan};

/// The room exists already.
const ROOM_EXISTS: u64 = 427;
/// There is no such room yet, or no such feed, because Janus lists a publisher only once its own side is ready.
const NO_SUCH_ROOM: u64 = 426;
/// The plugin's error when a publisher is not there; see [`NO_SUCH_ROOM`].
const NO_SUCH_FEED: u64 = 428;
/// After this many silent seconds a keep-alive is sent. Janus ends a session after 60.
const KEEP_ALIVE_SECONDS: u32 = 25;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    Session,
    Handle,
    Room,
    Description,
    Nothing,
}

/// The conversation of one PeerConnection with Janus.
pub(in crate::load) struct Janus {
    waits: Waits,
    room: u64,
    plan: PersonPlan,
    /// The numbers of the feeds that it receives.
    feeds: Vec<u64>,
    publishers: usize,
    session: u64,
    handle: u64,
    transactions: u64,
    silent_seconds: u32,
}

/// Returns the number of somebody's feed. Janus has none of number zero.
fn feed(member: usize) -> u64 {
    member as u64 + 1
}

impl Janus {
    /// Returns a conversation in which nothing has been said yet.
    pub(super) fn new(room: u64, plan: PersonPlan, options: &LoadOptions) -> Self {
        let publishers = options.publishers_in_room();
        let feeds = (0..publishers).filter(|member| plan.publishes_as != Some(*member)).map(feed).collect();
        Self {
            waits: Waits::Nothing,
            room,
            plan,
            feeds,
            publishers,
            session: 0,
            handle: 0,
            transactions: 0,
            silent_seconds: 0,
        }
    }

    /// Returns a message of the API. It names the session and the handle as far as there are any.
    fn say(&mut self, kind: &str) -> Value {
        self.transactions += 1;
        let mut message = json!({"janus": kind, "transaction": self.transactions.to_string()});
        for (name, number) in [("session_id", self.session), ("handle_id", self.handle)] {
            if number > 0 {
                message[name] = number.into();
            }
        }
        message
    }

    fn ask_room(&mut self, body: Value) -> Value {
        let mut message = self.say("message");
        message["body"] = body;
        message
    }

    /// Returns the request for a session, with which everything begins.
    pub(super) fn open(&mut self) -> Value {
        self.waits = Waits::Session;
        self.say("create")
    }

    /// Takes a message, and returns what it leads to.
    pub(super) fn hear(&mut self, message: &Value) -> Result<Step, String> {
        let data = &message["plugindata"]["data"];
        match message["janus"].as_str().unwrap_or_default() {
            "error" => {
                let error = &message["error"];
                let reason = error["reason"].as_str().unwrap_or_default();
                Err(format!("Janus said {}: {reason}", error["code"]))
            }
            "timeout" => Err("Janus ended the session: it had not heard of it for too long".into()),
            "hangup" => {
                Err(format!("Janus hung up: {}", message["reason"].as_str().unwrap_or("no reason given")))
            }
            "success" if data.is_null() => Ok(self.on_number(message["data"]["id"].as_u64())),
            "success" | "event" => self.on_room(message, data),
            _ => Ok(Step::Nothing),
        }
    }

    /// Takes the number of a session or a handle that was made.
    fn on_number(&mut self, number: Option<u64>) -> Step {
        let Some(number) = number else { return Step::Nothing };
        match self.waits {
            Waits::Session => {
                self.session = number;
                self.waits = Waits::Handle;
                let mut attach = self.say("attach");
                attach["plugin"] = "janus.plugin.videoroom".into();
                Step::Send(attach)
            }
            Waits::Handle => {
                self.handle = number;
                Step::Send(if self.plan.publishes { self.make_room() } else { self.subscribe() })
            }
            _ => Step::Nothing,
        }
    }

    fn make_room(&mut self) -> Value {
        self.waits = Waits::Room;
        // The room forwards as packets come: it limits no bit rate, and asks for no key frames by the clock.
        let room = json!({
            "request": "create",
            "room": self.room,
            "publishers": self.publishers,
            "audiocodec": "opus",
            "videocodec": "vp8",
            "bitrate": 0,
            "fir_freq": 0,
            "notify_joining": false,
        });
        self.ask_room(room)
    }

    fn subscribe(&mut self) -> Value {
        self.waits = Waits::Description;
        let streams: Vec<Value> = self.feeds.iter().map(|feed| json!({"feed": feed})).collect();
        self.ask_room(
            json!({"request": "join", "ptype": "subscriber", "room": self.room, "streams": streams}),
        )
    }

    /// Takes a message from the VideoRoom.
    fn on_room(&mut self, message: &Value, data: &Value) -> Result<Step, String> {
        match data["error_code"].as_u64() {
            // Every publisher tries to make the room, because nobody knows who is first.
            Some(ROOM_EXISTS) => {}
            Some(NO_SUCH_FEED | NO_SUCH_ROOM) if self.waits == Waits::Description && !self.plan.publishes => {
                return Ok(Step::Later(self.subscribe()));
            }
            Some(code) => {
                let error = data["error"].as_str().unwrap_or_default();
                return Err(format!("Janus' room said {code}: {error}"));
            }
            None => {}
        }
        let description = message["jsep"]["sdp"].as_str().map(str::to_owned);
        match (self.waits, description) {
            (Waits::Room, _) => {
                self.waits = Waits::Description;
                Ok(Step::MayOffer(0, 0))
            }
            (Waits::Description, Some(sdp)) => {
                self.waits = Waits::Nothing;
                Ok(if self.plan.publishes { Step::Answered(sdp) } else { Step::Offered(sdp) })
            }
            _ => Ok(Step::Nothing),
        }
    }

    /// Returns the request to join as a publisher, with its offer.
    pub(super) fn offer(&mut self, sdp: &str) -> Value {
        let member = self.plan.publishes_as.unwrap_or_default();
        let body = json!({
            "request": "joinandconfigure",
            "ptype": "publisher",
            "room": self.room,
            "id": feed(member),
            "display": format!("load {member}"),
        });
        let mut message = self.ask_room(body);
        message["jsep"] = json!({"type": "offer", "sdp": sdp});
        message
    }

    /// Returns the request that begins receiving, with the answer to Janus' offer.
    pub(super) fn answer(&mut self, sdp: &str) -> Value {
        let mut message = self.ask_room(json!({"request": "start"}));
        message["jsep"] = json!({"type": "answer", "sdp": sdp});
        message
    }

    /// Returns our one candidate. Without any Janus does not begin.
    pub(super) fn candidate(&mut self, ours: SocketAddr) -> Value {
        let text = format!("candidate:1 1 udp 2130706431 {} {} typ host", ours.ip(), ours.port());
        let mut message = self.say("trickle");
        message["candidates"] =
            json!([{"candidate": text, "sdpMid": "0", "sdpMLineIndex": 0}, {"completed": true}]);
        message
    }

    /// Returns a message that keeps the session alive, if it is time. It is asked once a second.
    pub(super) fn keep_alive(&mut self) -> Option<Value> {
        self.silent_seconds += 1;
        if self.silent_seconds < KEEP_ALIVE_SECONDS {
            return None;
        }
        self.silent_seconds = 0;
        Some(self.say("keepalive"))
    }

    /// Returns the messages that end the session and, for the first publisher, the room.
    pub(super) fn leave(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        if self.session == 0 {
            return messages;
        }
        if self.handle > 0 && self.plan.publishes && self.plan.publishes_as == Some(0) {
            messages.push(self.ask_room(json!({"request": "destroy", "room": self.room})));
        }
        self.handle = 0;
        messages.push(self.say("destroy"));
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::options::Profile;
    use crate::load::options::tests::options;

    fn janus(profile: Profile, publishes: bool, publishes_as: Option<usize>) -> Janus {
        let plan = PersonPlan { room: 0, publishes, receives: !publishes, publishes_as };
        Janus::new(77, plan, &options(profile))
    }

    fn numbered(id: u64) -> Value {
        json!({"janus": "success", "transaction": "1", "data": {"id": id}})
    }

    fn sent(step: Result<Step, String>) -> Value {
        match step {
            Ok(Step::Send(message) | Step::Later(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    /// Goes through the dialogue up to the first request to the room.
    fn attached(janus: &mut Janus) -> Value {
        assert_eq!(janus.open()["janus"], "create");
        let attach = sent(janus.hear(&numbered(5)));
        assert_eq!((&attach["janus"], &attach["session_id"]), (&json!("attach"), &json!(5)));
        assert_eq!(attach["plugin"], "janus.plugin.videoroom");
        let request = sent(janus.hear(&numbered(6)));
        assert_eq!((&request["session_id"], &request["handle_id"]), (&json!(5), &json!(6)));
        request
    }

    fn said(data: &Value, jsep: Option<&str>) -> Value {
        let mut message = json!({"janus": "event", "sender": 6, "plugindata": {"data": data}});
        if let Some(sdp) = jsep {
            message["jsep"] = json!({"type": "any", "sdp": sdp});
        }
        message
    }

    #[test]
    fn a_publisher_makes_the_room_and_offers() {
        for made in
            [json!({"videoroom": "created"}), json!({"videoroom": "event", "error_code": 427, "error": "x"})]
        {
            let mut janus = janus(Profile::Audio, true, Some(1));
            let create = attached(&mut janus);
            assert_eq!((&create["body"]["request"], &create["body"]["room"]), (&json!("create"), &json!(77)));
            assert_eq!(create["body"]["publishers"], 2);
            assert_eq!(janus.hear(&said(&made, None)), Ok(Step::MayOffer(0, 0)));
            let offer = janus.offer("ours");
            assert_eq!(offer["body"]["request"], "joinandconfigure");
            assert_eq!((&offer["body"]["id"], &offer["jsep"]["sdp"]), (&json!(2), &json!("ours")));
            assert_eq!(janus.hear(&json!({"janus": "ack"})), Ok(Step::Nothing));
            let joined = json!({"videoroom": "joined", "id": 2, "publishers": []});
            assert_eq!(janus.hear(&said(&joined, Some("theirs"))), Ok(Step::Answered("theirs".into())));
            let candidate = janus.candidate(([127, 0, 0, 1], 5000).into());
            assert_eq!(
                candidate["candidates"][0]["candidate"],
                "candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host"
            );
            // Events about others are not an answer.
            assert_eq!(janus.hear(&said(&json!({"videoroom": "event"}), None)), Ok(Step::Nothing));
        }
    }

    #[test]
    fn a_subscriber_answers_and_asks_again_if_the_publisher_is_not_there_yet() {
        let mut janus = janus(Profile::Video, false, None);
        let join = attached(&mut janus);
        assert_eq!(join["body"]["streams"], json!([{"feed": 1}, {"feed": 2}]));
        let early = json!({"videoroom": "event", "error_code": 428, "error": "No such feed"});
        let again = sent(janus.hear(&said(&early, None)));
        assert_eq!(again["body"], join["body"]);
        let attached = json!({"videoroom": "attached"});
        assert_eq!(janus.hear(&said(&attached, Some("theirs"))), Ok(Step::Offered("theirs".into())));
        let start = janus.answer("ours");
        assert_eq!((&start["body"]["request"], &start["jsep"]["type"]), (&json!("start"), &json!("answer")));
    }

    #[test]
    fn in_a_conference_nobody_receives_themselves() {
        let mut janus = janus(Profile::ConferenceAudio, false, Some(2));
        let feeds = attached(&mut janus)["body"]["streams"].clone();
        assert_eq!(feeds, json!([{"feed": 1}, {"feed": 2}, {"feed": 4}, {"feed": 5}, {"feed": 6}]));
    }

    #[test]
    fn errors_say_whose_they_are() {
        let mut janus = janus(Profile::Audio, true, Some(0));
        attached(&mut janus);
        let full = json!({"videoroom": "event", "error_code": 432, "error": "Maximum number of publishers"});
        for (message, words) in [
            (said(&full, None), "432: Maximum"),
            (
                json!({"janus": "error", "error": {"code": 403, "reason": "Unauthorized"}}),
                "403: Unauthorized",
            ),
            (json!({"janus": "hangup", "reason": "ICE failed"}), "ICE failed"),
            (json!({"janus": "timeout"}), "ended the session"),
        ] {
            let error = janus.hear(&message).expect_err("an error");
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn sessions_are_kept_alive_and_rooms_go_with_their_first_publisher() {
        let mut first = janus(Profile::Audio, true, Some(0));
        assert!(first.leave().is_empty(), "nothing has begun");
        attached(&mut first);
        let alive: Vec<_> = (0..50).filter_map(|_| first.keep_alive()).collect();
        assert_eq!(alive.len(), 2);
        assert_eq!(alive[0]["janus"], "keepalive");
        let goodbye = first.leave();
        assert_eq!(
            (&goodbye[0]["body"]["request"], &goodbye[1]["janus"]),
            (&json!("destroy"), &json!("destroy"))
        );
        assert_eq!(goodbye[1].get("handle_id"), None);
        let mut other = janus(Profile::Audio, true, Some(1));
        attached(&mut other);
        assert_eq!(other.leave().len(), 1);
    }
}
