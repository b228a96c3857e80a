//! With Strait (docs/protocol.md): join, offer, answer.

use serde_json::{Value, json};

use super::Step;
use crate::core::command::{MediaKind, Source};

/// The conversation of one person with Strait.
pub(in crate::load) struct Strait {
    room: String,
    name: String,
    receives: bool,
    requests: u64,
    /// The number of the offer.
    offered: Option<u64>,
}

impl Strait {
    /// Nothing has been said.
    pub(super) fn new(room: String, index: usize, receives: bool) -> Self {
        Self { room, name: format!("load {index}"), receives, requests: 0, offered: None }
    }

    fn request(&mut self, kind: &str, data: &Value) -> Value {
        self.requests += 1;
        json!({"type": kind, "id": self.requests, "data": data})
    }

    /// Returns the request to join.
    pub(super) fn open(&mut self) -> Value {
        let data =
            json!({"version": 1, "room": self.room, "name": self.name, "autoSubscribe": self.receives});
        self.request("join", &data)
    }

    /// Takes a message, and returns what it leads to.
    pub(super) fn hear(&mut self, message: &Value) -> Result<Step, String> {
        let data = &message["data"];
        let text = |field: &str| data[field].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str().unwrap_or_default() {
            "error" => Err(format!("the server said {}: {}", text("code"), text("message"))),
            "closing" => Err(format!("the server sent them away: {}", text("reason"))),
            "joined" if self.offered.is_none() => {
                let most = |kind: &str| data["maxSlots"][kind].as_u64().unwrap_or(1) as usize;
                Ok(Step::MayOffer(most("audio"), most("video")))
            }
            "answer" if self.offered.is_some() && message["id"].as_u64() == self.offered => {
                Ok(Step::Answered(text("sdp")))
            }
            _ => Ok(Step::Nothing),
        }
    }

    /// The offer, and what its sections publish.
    pub(super) fn offer(&mut self, sdp: &str, published: &[(String, MediaKind)]) -> Value {
        let publication = |(mid, kind): &(String, MediaKind)| {
            let source = if *kind == MediaKind::Audio { Source::Microphone } else { Source::Camera };
            json!({"mid": mid, "source": source.as_str()})
        };
        let publications: Vec<Value> = published.iter().map(publication).collect();
        let offer = self.request("offer", &json!({"sdp": sdp, "publications": publications}));
        self.offered = Some(self.requests);
        offer
    }

    /// Returns the request to leave.
    pub(super) fn leave(&mut self) -> Value {
        self.request("leave", &json!({}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joining_leads_to_an_offer_and_only_its_answer_counts() {
        let mut strait = Strait::new("a room".into(), 3, true);
        let join = strait.open();
        assert_eq!((&join["type"], &join["data"]["name"]), (&json!("join"), &json!("load 3")));
        let joined = json!({"type": "joined", "id": 1, "data": {"maxSlots": {"audio": 8, "video": 4}}});
        assert_eq!(strait.hear(&joined), Ok(Step::MayOffer(8, 4)));
        let offer = strait.offer("v=0", &[("1".into(), MediaKind::Video)]);
        assert_eq!(offer["data"]["publications"], json!([{"mid": "1", "source": "camera"}]));
        let answer = |id: u64| json!({"type": "answer", "id": id, "data": {"sdp": "theirs"}});
        assert_eq!(strait.hear(&answer(1)), Ok(Step::Nothing));
        assert_eq!(strait.hear(&answer(2)), Ok(Step::Answered("theirs".into())));
        let error = json!({"type": "error", "data": {"code": "room_full", "message": "no more"}});
        assert!(strait.hear(&error).expect_err("an error").contains("room_full: no more"));
    }
}
