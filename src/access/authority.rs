//! Authority: what an app's back end may ask of the server's API, by the token that it shows. The claims are those by which
//! people come in, but such a token need not let anybody into a call.

use serde_json::Value;

use super::claims::{flag, room_of, text, time, wrong};
use super::gate::Gate;
use super::jwt::{self, Denied};
use crate::core::ids::RoomId;

/// What the bearer of a token may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Who asks, for the log: the subject of the token or, if it has none, the key that signed it.
    pub by: String,
    /// The only room that the token is for; `None` if it is for all.
    room: Option<RoomId>,
    list: bool,
    create: bool,
    admin: bool,
}

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// To see all rooms (`roomList`).
    List,
    /// To make a room (`roomCreate`).
    Create(Option<RoomId>),
    /// To do as one likes in a room (`roomAdmin`).
    Admin(RoomId),
    /// To end a room: by whoever may make it, or may do as they like in it.
    End(RoomId),
}

impl Authority {
    fn of(claims: &Value) -> Result<Self, Denied> {
        let by = text(claims, "sub")?.filter(|subject| !subject.is_empty()).or(text(claims, "iss")?);
        let by = by.unwrap_or_else(|| "a token without a subject".to_owned());
        let Some(video) = claims.get("video") else {
            let listed = claims.get("permissions").and_then(Value::as_array);
            let admin = listed.is_some_and(|listed| listed.iter().any(|entry| entry == "moderate"));
            let room = room_of(claims.get("roomId").unwrap_or(&Value::Null), "roomId")?;
            return Ok(Self { by, room: Some(room), list: false, create: false, admin });
        };
        let video = video.as_object().ok_or_else(|| wrong("video", "an object"))?;
        let room = match video.get("room") {
            None | Some(Value::Null) => None,
            Some(Value::String(room)) if room.is_empty() => None,
            Some(room) => Some(room_of(room, "video.room")?),
        };
        let granted = |name| flag(video, name, false);
        Ok(Self {
            by,
            room,
            list: granted("roomList")?,
            create: granted("roomCreate")?,
            admin: granted("roomAdmin")?,
        })
    }

    /// Returns whether it allows what a request needs.
    ///
    /// # Errors
    /// It does not; the text names the claim that is missing.
    pub fn check(&self, need: &Need) -> Result<(), Denied> {
        let here = |room: &RoomId| self.room.as_ref().is_none_or(|only| only == room);
        let (allowed, claim) = match need {
            Need::List => (self.list, "roomList".to_owned()),
            Need::Create(room) => (self.create && room.as_ref().is_none_or(here), "roomCreate".to_owned()),
            Need::Admin(room) => (self.admin && here(room), format!("roomAdmin for the room {room}")),
            Need::End(room) => (
                (self.admin || self.create) && here(room),
                format!("roomCreate, or roomAdmin for the room {room}"),
            ),
        };
        if allowed { Ok(()) } else { Err(Denied(format!("the token does not grant {claim}"))) }
    }

    /// Whether it may make rooms, and so is a back end's own and not a participant's.
    pub fn may_create(&self) -> bool {
        self.create
    }
}

impl Gate {
    /// Reads what the bearer of a token may ask of the API. `unix` is the time in seconds since 1970.
    ///
    /// # Errors
    /// The token is not one of ours, or not valid at that time.
    pub fn authority(&self, token: &str, unix: u64) -> Result<Authority, Denied> {
        let claims = jwt::verify(token, &self.keys)?;
        let expires = time(&claims, "exp")?
            .ok_or_else(|| Denied::because("the token never expires: it needs the claim `exp`"))?;
        self.check_times(unix, time(&claims, "nbf")?.unwrap_or(0), expires)?;
        Authority::of(&claims)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::Key;

    fn authority(claims: &Value) -> Result<Authority, Denied> {
        let key = Key { id: "team".into(), secret: "a secret that only the back end has".into() };
        let token = jwt::sign(claims, &key);
        Gate { keys: vec![key], ..Gate::default() }.authority(&token, 1_000)
    }

    fn room(name: &str) -> RoomId {
        name.parse().expect("a room id")
    }

    #[test]
    fn each_grant_allows_its_own_requests_and_no_others() {
        let of = |video: Value| {
            authority(&json!({"iss": "team", "exp": 1_200, "video": video})).expect("a good token")
        };
        let (list, create) = (of(json!({"roomList": true})), of(json!({"roomCreate": true})));
        let admin = of(json!({"roomAdmin": true, "room": "standup"}));
        let all = of(json!({"roomAdmin": true}));
        let standup = Need::Admin(room("standup"));
        for (need, allowed) in [
            (Need::List, [true, false, false, false]),
            (Need::Create(None), [false, true, false, false]),
            (standup, [false, false, true, true]),
            (Need::Admin(room("retro")), [false, false, false, true]),
            (Need::End(room("standup")), [false, true, true, true]),
        ] {
            let found = [&list, &create, &admin, &all].map(|authority| authority.check(&need).is_ok());
            assert_eq!(found, allowed, "{need:?}");
        }
        assert_eq!(list.by, "team");
    }

    #[test]
    fn a_moderator_by_the_plain_form_may_do_as_they_like_in_their_room_alone() {
        let claims = json!({"userId": "ben", "sub": "ben", "roomId": "standup", "exp": 1_200, "permissions": ["moderate"]});
        let ben = authority(&claims).expect("a good token");
        assert!(ben.check(&Need::Admin(room("standup"))).is_ok() && ben.check(&Need::List).is_err());
        assert!(ben.check(&Need::Admin(room("retro"))).is_err_and(|denied| denied.0.contains("retro")));
        assert_eq!(ben.by, "ben");
    }

    #[test]
    fn tokens_that_are_over_or_never_end_open_nothing() {
        let video = json!({"roomList": true});
        assert!(authority(&json!({"video": video})).is_err_and(|denied| denied.0.contains("exp")));
        assert!(
            authority(&json!({"exp": 900, "video": video})).is_err_and(|denied| denied.0.contains("expired"))
        );
        assert!(authority(&json!({"exp": 2_000, "nbf": 1_500, "video": video})).is_err());
    }
}
