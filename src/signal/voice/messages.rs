//! The messages of voice channels: `{type, payload}`, in which the payload is an object or a text with its JSON. What members
//! say to each other is passed on as it came.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::ids::{ChannelId, UserId};
use crate::limits::MESH_DESCRIPTION_BYTES_MAX;

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Its sender comes into a channel.
    Join,
    /// They leave it.
    Leave,
    /// They have moved.
    Acknowledge,
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
    /// The user that it names as its sender.
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
    let value = match value {
        Value::String(text) => {
            serde_json::from_str(&text).map_err(|_| wrong("the payload is a text that is no JSON"))?
        }
        value => value,
    };
    let Value::Object(fields) = value else { return Err(wrong("the payload is no object")) };
    let id = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).and_then(UserId::of);
    let flag = |names: &[&str]| names.iter().find_map(|name| fields.get(*name)).and_then(Value::as_bool);
    let said = match kind.as_str() {
        "voice:join" => Said::Join,
        "voice:leave" => Said::Leave,
        "voice:mode-change-ack" => Said::Acknowledge,
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
    let user = id(&["user_id", "from_user_id", "from"]);
    Ok(VoiceMessage { kind, payload: raw.to_owned(), channel, user, said })
}

/// Writes a message.
pub fn message(kind: &str, payload: &Value) -> String {
    json!({"type": kind, "payload": payload}).to_string()
}

/// Writes a message on whose payload nothing is changed.
pub(super) fn passed_on(kind: &str, payload: &str) -> String {
    format!("{{\"type\":{},\"payload\":{payload}}}", Value::from(kind))
}

/// Writes what is wrong.
pub fn error(code: &str, what: &str, action: &str) -> String {
    message("voice:error", &json!({"code": code, "message": what, "action": action}))
}
