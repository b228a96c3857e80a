//! What the claims of a token mean. Two forms are read: that of LiveKit, with the permissions in `video`, and a plain one
//! with `userId`, `roomId` and a list of `permissions`.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::jwt::Denied;
use crate::core::command::{Join, Source};
use crate::core::event::Joined;
use crate::core::grants::{Grants, Sources};
use crate::core::ids::RoomId;
use crate::core::profile::Profile;
use crate::limits::IDENTITY_CHARS_MAX;

/// With so much of its time left, a token is replaced by a new one.
const RENEW_BEFORE_SECONDS: u64 = 5 * 60;
/// For so long the new one is valid.
const RENEWED_FOR_SECONDS: u64 = 10 * 60;

/// What a token lets its bearer do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    /// The only room that it opens; `None` if it opens all.
    pub room: Option<RoomId>,
    /// Who the bearer is, as their own back end names them.
    pub identity: String,
    /// The name that others see, if the back end decides it.
    pub name: Option<String>,
    /// What the back end has to say about them.
    pub metadata: String,
    /// The same, by keys.
    pub attributes: BTreeMap<String, String>,
    /// What they may do.
    pub grants: Grants,
    /// From when on it is valid, in seconds since 1970; 0 for always.
    pub not_before: u64,
    /// Until when it is valid, in seconds since 1970.
    pub expires: u64,
}

impl Pass {
    /// Reads claims as JSON text, as they stand in a token, whoever has signed it.
    ///
    /// # Errors
    /// It is no JSON, or see [`Gate::read`](super::Gate::read).
    pub fn of_text(claims: &str) -> Result<Self, Denied> {
        let claims: Value =
            serde_json::from_str(claims).map_err(|_| Denied::because("the claims are no JSON"))?;
        Self::of(&claims)
    }

    /// Reads claims.
    ///
    /// # Errors
    /// A claim is missing or has another type, or the token is not for joining a room.
    pub(super) fn of(claims: &Value) -> Result<Self, Denied> {
        let pass = match claims.get("video") {
            Some(video) => Self::of_video(claims, video)?,
            None => Self::of_permissions(claims)?,
        };
        if !Profile::is_identity(&pass.identity) {
            return Err(Denied::because(format!(
                "the token does not say who its bearer is: an identity has 1–{IDENTITY_CHARS_MAX} characters"
            )));
        }
        if let Some(rule) = pass.profile("").excess() {
            return Err(Denied::because(format!("the token says too much of its bearer: {rule}")));
        }
        Ok(pass)
    }

    /// Returns what a token would have said by which somebody came in who has resumed; `None` if they came in without one. It
    /// has expired, so that they are sent a new one.
    pub fn of_resumed(joined: &Joined) -> Option<Self> {
        let Profile { identity, name, metadata, attributes } = joined.profile.clone();
        Some(Self {
            room: Some(joined.room.clone()),
            identity: identity?,
            name: Some(name),
            metadata,
            attributes,
            // Whether they may make rooms is no longer known, because that is also the operator's choice.
            grants: Grants { create: false, ..joined.grants },
            not_before: 0,
            expires: 0,
        })
    }

    /// Returns what replaces it for somebody who is in a call, at that time in seconds since 1970; `None` while it is valid for
    /// long enough.
    pub fn renewed(&self, unix: u64) -> Option<Self> {
        let runs_out = self.expires < unix + RENEW_BEFORE_SECONDS;
        runs_out.then(|| Self { expires: unix + RENEWED_FOR_SECONDS, ..self.clone() })
    }

    /// Returns who its bearer is. They are called `name` if it does not say how.
    pub fn profile(&self, name: &str) -> Profile {
        Profile {
            identity: Some(self.identity.clone()),
            name: self.name.as_deref().unwrap_or(name).to_owned(),
            metadata: self.metadata.clone(),
            attributes: self.attributes.clone(),
        }
    }

    fn of_video(claims: &Value, video: &Value) -> Result<Self, Denied> {
        let video = video.as_object().ok_or_else(|| wrong("video", "an object"))?;
        if !flag(video, "roomJoin", false)? {
            return Err(Denied::because("the token does not allow joining a room (video.roomJoin)"));
        }
        let may_publish = flag(video, "canPublish", true)?;
        let publish = match video.get("canPublishSources").filter(|sources| !sources.is_null()) {
            Some(sources) if sources.as_array().is_some_and(|list| !list.is_empty()) => sources_of(sources)?,
            Some(sources) if !sources.is_array() => {
                return Err(wrong("video.canPublishSources", "a list of sources"));
            }
            _ if may_publish => Sources::ALL,
            _ => Sources::NONE,
        };
        let grants = Grants {
            publish,
            subscribe: flag(video, "canSubscribe", true)?,
            send_data: flag(video, "canPublishData", may_publish)?,
            moderate: flag(video, "roomAdmin", false)?,
            create: flag(video, "roomCreate", false)?,
            list: flag(video, "roomList", false)?,
            update_own_profile: flag(
                video,
                "canUpdateOwnMetadata",
                flag(video, "canUpdateMetadata", false)?,
            )?,
            hidden: flag(video, "hidden", false)?,
        };
        let identity = text(claims, "sub")?.or(text(claims, "jti")?).unwrap_or_default();
        let room = match video.get("room") {
            None | Some(Value::Null) => None,
            Some(Value::String(room)) if room.is_empty() => None,
            Some(room) => Some(room_of(room, "video.room")?),
        };
        Self::with(claims, room, identity, grants)
    }

    fn of_permissions(claims: &Value) -> Result<Self, Denied> {
        let listed = claims.get("permissions").and_then(Value::as_array);
        let listed = listed.ok_or_else(|| {
            Denied::because("the token grants nothing: it has neither `video` nor a list of `permissions`")
        })?;
        let has = |permission: &str| listed.iter().any(|entry| entry == permission);
        let (produce, consume) = (has("produce"), has("consume"));
        let grants = Grants {
            publish: if produce { Sources::ALL } else { Sources::NONE },
            subscribe: consume,
            send_data: produce,
            moderate: has("moderate"),
            create: false,
            list: false,
            update_own_profile: false,
            hidden: false,
        };
        let room = claims.get("roomId").ok_or_else(|| wrong("roomId", "the room's id"))?;
        let identity = match claims.get("userId") {
            Some(Value::Number(id)) => id.to_string(),
            _ => text(claims, "userId")?.unwrap_or_default(),
        };
        Self::with(claims, Some(room_of(room, "roomId")?), identity, grants)
    }

    fn with(claims: &Value, room: Option<RoomId>, identity: String, grants: Grants) -> Result<Self, Denied> {
        let given = text(claims, "name")?.filter(|name| !name.trim().is_empty());
        let name = |given: String| {
            let name = Join::display_name(&given).map(str::to_owned);
            name.ok_or_else(|| wrong("name", "a name of 1–64 characters"))
        };
        let name = given.map(name).transpose()?;
        let expires = time(claims, "exp")?
            .ok_or_else(|| Denied::because("the token never expires: it needs the claim `exp`"))?;
        Ok(Self {
            room,
            identity,
            name,
            metadata: text(claims, "metadata")?.unwrap_or_default(),
            attributes: texts(claims, "attributes")?,
            grants,
            not_before: time(claims, "nbf")?.unwrap_or(0),
            expires,
        })
    }

    /// Returns the claims of a token that allows the same, in LiveKit's form, issued by that key.
    pub(super) fn claims(&self, issuer: &str) -> Value {
        let Grants { publish, subscribe, send_data, moderate, create, list, update_own_profile, hidden } =
            self.grants;
        let mut video = Map::new();
        let mut put = |name: &str, value: Value| video.insert(name.to_owned(), value);
        put("roomJoin", json!(true));
        if let Some(room) = &self.room {
            put("room", json!(room.as_str()));
        }
        put("canPublish", json!(!publish.is_empty()));
        if publish != Sources::ALL && !publish.is_empty() {
            put("canPublishSources", publish.iter().map(livekit_name).collect());
        }
        put("canSubscribe", json!(subscribe));
        put("canPublishData", json!(send_data));
        let flags = [
            ("roomAdmin", moderate),
            ("roomCreate", create),
            ("roomList", list),
            ("canUpdateOwnMetadata", update_own_profile),
            ("hidden", hidden),
        ];
        for (name, granted) in flags {
            if granted {
                put(name, json!(true));
            }
        }
        let mut claims = json!({ "iss": issuer, "sub": self.identity, "exp": self.expires, "video": video });
        if self.not_before > 0 {
            claims["nbf"] = json!(self.not_before);
        }
        if let Some(name) = &self.name {
            claims["name"] = json!(name);
        }
        if !self.metadata.is_empty() {
            claims["metadata"] = json!(self.metadata);
        }
        if !self.attributes.is_empty() {
            claims["attributes"] = json!(self.attributes);
        }
        claims
    }
}

/// Returns LiveKit's name of a source.
fn livekit_name(source: Source) -> &'static str {
    match source {
        Source::Microphone => "microphone",
        Source::Camera => "camera",
        Source::Screen => "screen_share",
        Source::ScreenAudio => "screen_share_audio",
    }
}

/// Reads a list of sources, by LiveKit's names or by ours.
fn sources_of(list: &Value) -> Result<Sources, Denied> {
    let named = |name: &Value| {
        Source::ALL
            .into_iter()
            .find(|source| name == livekit_name(*source) || name == source.as_str())
            .ok_or_else(|| {
                wrong(
                    "video.canPublishSources",
                    "a list of camera, microphone, screen_share, screen_share_audio",
                )
            })
    };
    list.as_array().map(Vec::as_slice).unwrap_or_default().iter().map(named).collect()
}

fn wrong(claim: &str, expected: &str) -> Denied {
    Denied::because(format!("the token's claim `{claim}` must be {expected}"))
}

fn room_of(value: &Value, claim: &str) -> Result<RoomId, Denied> {
    let room = value.as_str().and_then(|room| room.parse().ok());
    room.ok_or_else(|| wrong(claim, "a room id: 1–64 characters of A–Z a–z 0–9 _ - ."))
}

/// Reads a flag; one that is absent or `null` has its default.
fn flag(claims: &Map<String, Value>, name: &str, default: bool) -> Result<bool, Denied> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(wrong(name, "true or false")),
    }
}

fn text(claims: &Value, name: &str) -> Result<Option<String>, Denied> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(wrong(name, "text")),
    }
}

fn texts(claims: &Value, name: &str) -> Result<BTreeMap<String, String>, Denied> {
    let wrong = || wrong(name, "an object of texts");
    match claims.get(name) {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(values)) => {
            let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
            values.iter().map(|entry| text(entry).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

/// Reads a time in seconds since 1970, which may have a fraction (RFC 7519 §2).
fn time(claims: &Value, name: &str) -> Result<Option<u64>, Denied> {
    match claims.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let seconds = number
                .as_u64()
                .or_else(|| number.as_f64().filter(|s| (0.0..1e15).contains(s)).map(|s| s as u64));
            seconds.map(Some).ok_or_else(|| wrong(name, "a time in seconds since 1970"))
        }
        Some(_) => Err(wrong(name, "a time in seconds since 1970")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(claims: Value) -> Result<Pass, Denied> {
        Pass::of(&claims)
    }

    #[test]
    fn a_token_in_the_form_of_livekit_grants_what_it_says() {
        let all = pass(
            json!({"sub": "anna", "name": " Anna ", "exp": 9, "video": {"roomJoin": true, "room": "standup"}}),
        );
        let all = all.expect("a good token");
        assert_eq!((all.identity.as_str(), all.name.as_deref()), ("anna", Some("Anna")));
        assert_eq!(all.room.as_ref().map(RoomId::as_str), Some("standup"));
        assert_eq!(all.grants, Grants { create: false, update_own_profile: false, ..Grants::OPEN });
        let video = json!({"roomJoin": true, "canPublish": false, "canSubscribe": null, "roomAdmin": true});
        let viewer = pass(json!({"sub": "ben", "exp": 9.5, "video": video})).expect("a good token");
        assert!(viewer.grants.publish.is_empty() && viewer.grants.subscribe && viewer.grants.moderate);
        assert!(!viewer.grants.send_data && viewer.room.is_none() && viewer.expires == 9);
        let video = json!({"roomJoin": true, "canPublish": true, "canPublishSources": ["microphone", "screen_share"]});
        let speaker = pass(json!({"jti": "cleo", "exp": 9, "video": video})).expect("a good token");
        assert_eq!(speaker.grants.publish, Sources::of(&[Source::Microphone, Source::Screen]));
        for own in ["canUpdateOwnMetadata", "canUpdateMetadata"] {
            let video = json!({"roomJoin": true, own: true, "roomList": true, "hidden": true});
            let grants = pass(json!({"sub": "d", "exp": 9, "video": video})).expect("a good token").grants;
            assert!(grants.update_own_profile && grants.list && grants.hidden, "{own}");
        }
    }

    #[test]
    fn a_token_in_the_plain_form_grants_what_it_lists() {
        let claims = |permissions: Value| json!({"userId": 7, "roomId": "standup", "exp": 9, "permissions": permissions});
        let anna = pass(claims(json!(["produce", "consume"]))).expect("a good token");
        assert_eq!(
            (anna.identity.as_str(), anna.grants),
            ("7", Grants { create: false, update_own_profile: false, ..Grants::OPEN })
        );
        let moderator = pass(claims(json!(["moderate"]))).expect("a good token").grants;
        assert!(moderator.moderate && !moderator.subscribe && moderator.publish.is_empty());
    }

    #[test]
    fn a_token_that_says_too_little_or_something_else_is_refused_with_the_reason() {
        for (claims, reason) in [
            (json!({"sub": "anna", "exp": 9}), "permissions"),
            (json!({"sub": "anna", "exp": 9, "video": {"room": "a"}}), "roomJoin"),
            (json!({"sub": "anna", "exp": 9, "video": {"roomJoin": 1}}), "roomJoin"),
            (json!({"sub": "anna", "video": {"roomJoin": true}}), "exp"),
            (json!({"sub": "anna", "exp": "9", "video": {"roomJoin": true}}), "exp"),
            (json!({"sub": "", "exp": 9, "video": {"roomJoin": true}}), "identity"),
            (json!({"sub": "a\u{7}", "exp": 9, "video": {"roomJoin": true}}), "identity"),
            (json!({"exp": 9, "video": {"roomJoin": true}}), "identity"),
            (json!({"sub": "a", "exp": 9, "video": {"roomJoin": true, "room": "a b"}}), "room"),
            (
                json!({"sub": "a", "exp": 9, "video": {"roomJoin": true, "canPublishSources": ["nose"]}}),
                "Sources",
            ),
            (
                json!({"sub": "a", "exp": 9, "video": {"roomJoin": true, "canPublishSources": "camera"}}),
                "Sources",
            ),
            (json!({"userId": "a", "exp": 9, "permissions": []}), "roomId"),
            (
                json!({"sub": "a", "exp": 9, "attributes": {"a": 1}, "video": {"roomJoin": true}}),
                "attributes",
            ),
            (
                json!({"sub": "a", "exp": 9, "metadata": "x".repeat(4097), "video": {"roomJoin": true}}),
                "metadata",
            ),
        ] {
            let denied = pass(claims.clone()).expect_err(&claims.to_string());
            assert!(denied.0.contains(reason), "{claims}: {denied:?}");
        }
    }

    #[test]
    fn the_claims_of_a_pass_give_the_same_pass() {
        let grants = Grants {
            publish: Sources::of(&[Source::Camera]),
            subscribe: false,
            send_data: true,
            moderate: true,
            create: true,
            list: true,
            update_own_profile: true,
            hidden: true,
        };
        let pass = Pass {
            room: "standup".parse().ok(),
            identity: "anna".into(),
            name: Some("Anna".into()),
            metadata: "{\"team\":7}".into(),
            attributes: BTreeMap::from([("seat".into(), "3".into())]),
            grants,
            not_before: 5,
            expires: 9,
        };
        assert_eq!(Pass::of(&pass.claims("key")), Ok(pass.clone()));
        let silent = Pass {
            grants: Grants { publish: Sources::NONE, ..grants },
            room: None,
            name: None,
            ..pass.clone()
        };
        assert_eq!(Pass::of(&silent.claims("key")), Ok(silent));
        let unknown = Pass { metadata: String::new(), attributes: BTreeMap::new(), ..pass };
        assert_eq!(Pass::of(&unknown.claims("key")), Ok(unknown));
    }
}
