//! Gate: decides whether a token opens a room now.

use super::claims::Pass;
use super::jwt::{self, Denied};
use super::keys::Key;
use crate::core::grants::Grants;
use crate::core::ids::RoomId;

/// For so many seconds clocks of other machines may be wrong.
const LEEWAY_SECONDS: u64 = 60;

/// Who may come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuthMode {
    /// Everybody who reaches the port, and they may do everything but moderate.
    #[default]
    Open,
    /// Whoever has a token, and they may do what it says.
    Token,
}

/// Decides who may come in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    /// Whether a token is needed.
    pub mode: AuthMode,
    /// The keys by which tokens are signed. The first signs those that the server makes.
    pub keys: Vec<Key>,
    /// Whether joining makes a room that is not there, whatever the token says.
    pub auto_create: bool,
}

impl Gate {
    /// Reads a token. `unix` is the time in seconds since 1970.
    ///
    /// # Errors
    /// The token is not one of ours, or not valid at that time.
    pub fn read(&self, token: &str, unix: u64) -> Result<Pass, Denied> {
        let pass = Pass::of(&jwt::verify(token, &self.keys)?)?;
        self.check_times(unix, pass.not_before, pass.expires)?;
        Ok(pass)
    }

    /// Reads a token whoever has signed it, for servers where no token is needed: who its bearer is and which room they come
    /// into. It allows no more than everybody may do there.
    ///
    /// # Errors
    /// It is no token, or not valid at that time.
    pub fn read_unsigned(&self, token: &str, unix: u64) -> Result<Pass, Denied> {
        let pass = Pass::of(&jwt::claims_of(token)?)?;
        self.check_times(unix, pass.not_before, pass.expires)?;
        let open = self.open();
        let grants = Grants {
            publish: pass.grants.publish,
            subscribe: pass.grants.subscribe,
            send_data: pass.grants.send_data,
            ..open
        };
        Ok(Pass { grants, ..pass })
    }

    /// Checks that a token is valid at a time, give or take what clocks may be wrong.
    pub(super) fn check_times(&self, unix: u64, not_before: u64, expires: u64) -> Result<(), Denied> {
        if unix >= expires.saturating_add(LEEWAY_SECONDS) {
            return Err(Denied::because("the token has expired"));
        }
        if unix.saturating_add(LEEWAY_SECONDS) < not_before {
            return Err(Denied::because("the token is not valid yet (nbf)"));
        }
        Ok(())
    }

    /// Makes a token for what a pass allows; `None` if the server has no key.
    pub fn sign(&self, pass: &Pass) -> Option<String> {
        let key = self.keys.first()?;
        Some(jwt::sign(&pass.claims(&key.id), key))
    }

    /// Makes a token for what a pass allows, for a client that needs one to say which room it comes into. Where everybody may
    /// come in and the server has no key, nobody checks who has signed it.
    pub fn sign_for_all(&self, pass: &Pass) -> String {
        let nobody =
            || jwt::sign(&pass.claims("open"), &Key { id: "open".into(), secret: "no key is set".into() });
        self.sign(pass).unwrap_or_else(nobody)
    }

    /// Returns what somebody may do who needs no token, or has one that says nothing of it.
    pub fn open(&self) -> Grants {
        Grants { create: self.auto_create, ..Grants::OPEN }
    }

    /// Returns the room that somebody comes into who asks for `room`, and what they may do there. `None` for the room asks
    /// for a new one.
    ///
    /// # Errors
    /// A token is needed and there is none, or it is for another room.
    pub fn enter(
        &self,
        pass: Option<&Pass>,
        room: Option<RoomId>,
    ) -> Result<(Option<RoomId>, Grants), Denied> {
        let Some(pass) = pass else {
            return match self.mode {
                AuthMode::Open => Ok((room, self.open())),
                AuthMode::Token => Err(Denied::because("a token is needed to come in here")),
            };
        };
        // Not when it is read: a token that is made of it again would allow to make rooms by the API.
        let grants = Grants { create: pass.grants.create || self.auto_create, ..pass.grants };
        match (&pass.room, room) {
            (Some(only), Some(room)) if *only != room => {
                Err(Denied::because(format!("the token is for another room: {only}")))
            }
            (Some(only), _) => Ok((Some(only.clone()), grants)),
            (None, room) => Ok((room, grants)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn gate() -> Gate {
        let key = Key { id: "team".into(), secret: "a secret that only the back end has".into() };
        Gate { mode: AuthMode::Token, keys: vec![key], auto_create: true }
    }

    fn pass(room: Option<&str>) -> Pass {
        Pass {
            room: room.and_then(|room| room.parse().ok()),
            identity: "anna".into(),
            name: None,
            metadata: String::new(),
            attributes: BTreeMap::new(),
            grants: Grants::OPEN,
            not_before: 1_000,
            expires: 1_300,
        }
    }

    #[test]
    fn a_token_is_valid_between_its_times_give_or_take_a_minute() {
        let token = gate().sign(&pass(None)).expect("there is a key");
        for (unix, why) in [(939, "yet"), (1_360, "expired"), (u64::MAX, "expired")] {
            assert!(gate().read(&token, unix).expect_err(why).0.contains(why), "{unix}");
        }
        for unix in [940, 1_000, 1_359] {
            assert_eq!(gate().read(&token, unix), Ok(pass(None)), "{unix}");
        }
    }

    #[test]
    fn a_token_opens_its_own_room_alone() {
        let room = |name: &str| Some(name.parse::<RoomId>().expect("a room id"));
        let gate = gate();
        let anna = pass(Some("standup"));
        assert_eq!(gate.enter(Some(&anna), room("standup")), Ok((room("standup"), Grants::OPEN)));
        assert_eq!(gate.enter(Some(&anna), None), Ok((room("standup"), Grants::OPEN)));
        assert!(gate.enter(Some(&anna), room("retro")).expect_err("another room").0.contains("standup"));
        assert_eq!(gate.enter(Some(&pass(None)), room("retro")), Ok((room("retro"), Grants::OPEN)));
        assert!(gate.enter(None, room("standup")).expect_err("no token").0.contains("needed"));
        let open = Gate { mode: AuthMode::Open, ..gate };
        assert_eq!(open.enter(None, None), Ok((None, Grants::OPEN)));
    }
}
