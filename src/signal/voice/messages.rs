//! The messages of voice channels: `{type, payload}`, in which the payload is an object or a text with its JSON. What members
//! say to each other is passed on as it came.

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::ids::{ChannelId, UserId};
use crate::core::topology::Mode;
use crate::limits::MESH_DESCRIPTION_BYTES_MAX;

/// The fields by which a payload names its sender: clients read one or the other, so that each must be right.
const SENDER_FIELDS: [&str; 7] =
    ["user_id", "from_user_id", "from", "sender_id", "sender", "userId", "fromUserId"];

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Its sender comes into a channel.
    Join,
    /// They leave it.
    Leave,
    /// They have moved.
    Acknowledge {
        /// The way by which they go now, if they say it.
        mode: Option<Mode>,
    },
    /// They are muted or not, or show a picture or not.
    State {
        /// Whether they are muted.
        muted: Option<bool>,
        /// Whether they show a picture.
        video: Option<bool>,
    },
    /// It is for one other member.
    Signal {
        /// Who it is for.
        to: Option<UserId>,
    },
}

/// A message of a member's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceMessage {
    /// Its type, as it came.
    pub kind: String,
    /// Its payload, as it came.
    pub payload: String,
    /// The channel that it names.
    pub channel: Option<ChannelId>,
    /// The user that it names as its sender, in whichever fields; `None` if it names none.
    pub user: Option<UserId>,
    /// What it is.
    pub said: Said,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow, default)]
    payload: Option<&'a RawValue>,
}

/// How many fields of an object name its sender, those that are there twice as well: which one of two counts depends on who
/// reads.
struct SenderFields(usize);

impl<'de> Deserialize<'de> for SenderFields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counts;
        impl<'de> Visitor<'de> for Counts {
            type Value = SenderFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SenderFields, A::Error> {
                let mut found = 0;
                while let Some((name, IgnoredAny)) = map.next_entry::<String, IgnoredAny>()? {
                    found += usize::from(SENDER_FIELDS.contains(&name.as_str()));
                }
                Ok(SenderFields(found))
            }
        }
        deserializer.deserialize_map(Counts)
    }
}

/// Reads who a payload says that it is from: `None` if it says nothing of it.
fn sender(object: &str, fields: &Map<String, Value>) -> Result<Option<UserId>, String> {
    let named = || SENDER_FIELDS.iter().filter_map(|name| fields.get(*name));
    let first = named().next().map(UserId::of);
    let is_one = named().all(|value| Some(UserId::of(value)) == first);
    let is_once = serde_json::from_str(object).is_ok_and(|SenderFields(found)| found == named().count());
    match first {
        None => Ok(None),
        Some(Some(user)) if is_one && is_once => Ok(Some(user)),
        Some(_) => Err(error(
            "not-permitted",
            "its fields do not name one sender",
            "send your own user_id in each of user_id, from_user_id and from, or leave them out",
        )),
    }
}

/// Reads a message of a voice channel's member.
///
/// # Errors
/// It is none, or does not say what it must; the text is the answer to its sender.
pub fn parse(text: &str) -> Result<VoiceMessage, String> {
    let wrong = |what: &str| error("bad-message", what, "send {\"type\":\"voice:…\",\"payload\":{…}}");
    let Envelope { kind, payload } =
        serde_json::from_str(text).map_err(|_| wrong("the message is no JSON object with a type"))?;
    let raw = payload.map_or("{}", RawValue::get);
    if raw.len() > MESH_DESCRIPTION_BYTES_MAX {
        return Err(error(
            "payload-too-large",
            "the payload has more than 64 KiB",
            "send fewer tracks and codecs",
        ));
    }
    // Either an object, or a text with one in it.
    let value: Value = serde_json::from_str(raw).map_err(|_| wrong("the payload is no JSON"))?;
    let (value, object) = match value {
        Value::String(text) => {
            (serde_json::from_str(&text).map_err(|_| wrong("the payload is a text that is no JSON"))?, text)
        }
        value => (value, raw.to_owned()),
    };
    let Value::Object(fields) = value else { return Err(wrong("the payload is no object")) };
    let id = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).and_then(UserId::of);
    let flag = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).and_then(Value::as_bool);
    let said = match kind.as_str() {
        "voice:join" => Said::Join,
        "voice:leave" => Said::Leave,
        "voice:mode-change-ack" => {
            let mode = ["mode", "new_mode"].iter().find_map(|name| fields.get(*name)).and_then(Value::as_str);
            Said::Acknowledge { mode: mode.and_then(Mode::named) }
        }
        "voice:mute" => Said::State { muted: flag(&["muted", "is_muted"]), video: None },
        "voice:video-toggle" => Said::State {
            muted: None,
            video: flag(&["enabled", "video_enabled", "is_video_enabled", "video"]),
        },
        "voice:offer" | "voice:answer" | "voice:ice-candidate" => {
            Said::Signal { to: id(&["to_user_id", "target_user_id", "to", "target_id", "target"]) }
        }
        _ => {
            let shown: String = kind.chars().take(40).collect();
            let what = format!("there is no message of the type {shown}");
            let action = "send voice:join, voice:leave, voice:offer, voice:answer, voice:ice-candidate, voice:mute, \
                          voice:video-toggle or voice:mode-change-ack";
            return Err(error("unknown-type", &what, action));
        }
    };
    let channel = fields.get("channel_id").and_then(ChannelId::of);
    let user = sender(&object, &fields)?;
    Ok(VoiceMessage { kind, payload: raw.to_owned(), channel, user, said })
}

/// Writes a message.
pub fn message(kind: &str, payload: &Value) -> String {
    json!({"type": kind, "payload": payload}).to_string()
}

/// Writes a message of that sender's that is passed on. Nothing is changed on its payload, but that it names its sender if it
/// has not.
pub(super) fn passed_on(said: &VoiceMessage, from: &UserId) -> String {
    let kind = Value::from(said.kind.as_str());
    let payload = &said.payload;
    if said.user.is_some() {
        return format!("{{\"type\":{kind},\"payload\":{payload}}}");
    }
    let own = from.json();
    let signed = |object: &str| {
        let rest = object.trim_start().strip_prefix('{').unwrap_or("}").trim_start();
        let comma = if rest.starts_with('}') { "" } else { "," };
        format!("{{\"user_id\":{own},\"from_user_id\":{own}{comma}{rest}")
    };
    // A text stays a text.
    let payload = match serde_json::from_str::<String>(payload) {
        Ok(object) => Value::from(signed(&object)).to_string(),
        Err(_) => signed(payload),
    };
    format!("{{\"type\":{kind},\"payload\":{payload}}}")
}

/// Writes what is wrong.
pub fn error(code: &str, what: &str, action: &str) -> String {
    message("voice:error", &json!({"code": code, "message": what, "action": action}))
}
