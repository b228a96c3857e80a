//! Bans: who stays out of a room, and until when. A room has its own while it is there; those with an end outlive it, in a
//! table of bounded size from which the next room of that name takes them over.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ids::RoomId;
use super::stats::BanSnapshot;

/// Most bans of a room. When there are more, the oldest is lifted.
const BANS_MAX: usize = 1000;
/// Most bans that are remembered of rooms that are not there. When there are more, those of the room are forgotten whose last
/// one ends first.
const REMEMBERED_MAX: usize = 10_000;

/// What somebody who is banned is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// The identity that their token says.
    Identity(String),
    /// Their IPv4 address, or the /64 network of their IPv6 address.
    Host(IpAddr),
}

impl Mark {
    /// Returns whether it is named by this text: the identity, or the address as it is written.
    fn is_named(&self, text: &str) -> bool {
        match self {
            Self::Identity(identity) => identity == text,
            Self::Host(host) => text.parse() == Ok(*host),
        }
    }
}

/// A ban that a room takes over from the room of its name before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastingBan {
    /// The person or network that stays out.
    pub mark: Mark,
    /// For how long yet.
    pub left: Duration,
}

/// Somebody who stays out.
#[derive(Debug, Clone)]
struct Banned {
    mark: Mark,
    /// Until when; `None` for as long as the room is there.
    until: Option<Instant>,
}

impl Banned {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Those who stay out of one room, the oldest ban first.
#[derive(Debug, Clone, Default)]
pub struct Bans(VecDeque<Banned>);

impl Bans {
    /// Lets somebody in no more until then; with `None`, for as long as the room is there.
    pub fn add(&mut self, mark: Mark, until: Option<Instant>) {
        self.0.retain(|other| other.mark != mark);
        self.0.push_back(Banned { mark, until });
        while self.0.len() > BANS_MAX {
            self.0.pop_front();
        }
    }

    /// Returns until when somebody with this identity and address stays out; `None` if they do not, and `Some(None)` if it is
    /// for as long as the room is there.
    pub fn find(
        &self,
        now: Instant,
        identity: Option<&str>,
        host: Option<IpAddr>,
    ) -> Option<Option<Instant>> {
        let is_meant = |ban: &&Banned| match &ban.mark {
            _ if ban.is_over(now) => false,
            Mark::Identity(banned) => identity == Some(banned.as_str()),
            Mark::Host(banned) => host == Some(*banned),
        };
        self.0.iter().find(is_meant).map(|ban| ban.until)
    }

    /// Lets an identity or an address in again; with `None`, everybody.
    pub fn lift(&mut self, named: Option<&str>) {
        self.0.retain(|ban| named.is_some_and(|text| !ban.mark.is_named(text)));
    }

    /// Returns those that are not over, for whoever administers the room.
    pub fn snapshot(&self, now: Instant) -> Vec<BanSnapshot> {
        let told = |ban: &Banned| {
            let (identity, address) = match &ban.mark {
                Mark::Identity(identity) => (Some(identity.clone()), None),
                Mark::Host(host) => (None, Some(*host)),
            };
            BanSnapshot {
                identity,
                address,
                left: ban.until.map(|until| until.saturating_duration_since(now)),
            }
        };
        self.0.iter().filter(|ban| !ban.is_over(now)).map(told).collect()
    }

    /// Takes over the bans of the room of this name before.
    pub fn take_over(&mut self, now: Instant, bans: Vec<LastingBan>) {
        for LastingBan { mark, left } in bans {
            // A time that is further off than the clock goes is as good as none.
            self.add(mark, now.checked_add(left));
        }
    }

    /// Returns those that outlive the room.
    fn lasting(&self, now: Instant) -> Vec<LastingBan> {
        let left =
            |ban: &Banned| Some(ban.until?.saturating_duration_since(now)).filter(|left| !left.is_zero());
        self.0
            .iter()
            .filter_map(|ban| Some(LastingBan { mark: ban.mark.clone(), left: left(ban)? }))
            .collect()
    }

    /// Forgets those that do not outlive the room.
    fn keep_lasting(&mut self, now: Instant) {
        self.0.retain(|ban| ban.until.is_some_and(|until| until > now));
    }

    fn last_end(&self) -> Option<Instant> {
        self.0.iter().filter_map(|ban| ban.until).max()
    }
}

/// The bans of rooms that are not there.
#[derive(Debug, Default)]
pub struct RememberedBans {
    rooms: BTreeMap<RoomId, Bans>,
    /// How many bans there are in all rooms together.
    count: usize,
}

impl RememberedBans {
    /// Remembers those bans of a room that outlive it. The room is over.
    pub fn keep(&mut self, now: Instant, room: &RoomId, bans: &Bans) {
        for LastingBan { mark, left } in bans.lasting(now) {
            self.ban(now, room, mark, left);
        }
    }

    /// Returns the bans that a room takes over that is made now, and remembers them no longer.
    pub fn take(&mut self, now: Instant, room: &RoomId) -> Vec<LastingBan> {
        let Some(bans) = self.rooms.remove(room) else { return Vec::new() };
        self.count -= bans.0.len();
        bans.lasting(now)
    }

    /// Lets somebody in no more to a room that is not there.
    pub fn ban(&mut self, now: Instant, room: &RoomId, mark: Mark, lasts: Duration) {
        let Some(until) = now.checked_add(lasts) else { return };
        let bans = self.rooms.entry(room.clone()).or_default();
        let before = bans.0.len();
        bans.add(mark, Some(until));
        self.count = self.count + bans.0.len() - before;
        if self.count > REMEMBERED_MAX {
            self.forget_some(now);
        }
    }

    /// Lets an identity or an address in again; with `None`, everybody. Returns `false` if nobody is banned from such a room.
    pub fn lift(&mut self, room: &RoomId, named: Option<&str>) -> bool {
        let Some(bans) = self.rooms.get_mut(room) else { return false };
        let before = bans.0.len();
        bans.lift(named);
        self.count = self.count + bans.0.len() - before;
        if bans.0.is_empty() {
            self.rooms.remove(room);
        }
        true
    }

    /// Returns who stays out of a room that is not there; `None` if nothing is remembered of it.
    pub fn snapshot(&self, now: Instant, room: &RoomId) -> Option<Vec<BanSnapshot>> {
        self.rooms.get(room).map(|bans| bans.snapshot(now)).filter(|bans| !bans.is_empty())
    }

    /// Forgets what is over and, if that is not enough, the room whose last ban ends first.
    fn forget_some(&mut self, now: Instant) {
        self.rooms.retain(|_, bans| {
            bans.keep_lasting(now);
            !bans.0.is_empty()
        });
        self.count = self.rooms.values().map(|bans| bans.0.len()).sum();
        while self.count > REMEMBERED_MAX {
            let ends = self.rooms.iter().map(|(room, bans)| (bans.last_end(), room));
            let Some(room) = ends.min().map(|(_, room)| room.clone()) else { break };
            self.count -= self.rooms.remove(&room).map_or(0, |bans| bans.0.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn room(number: usize) -> RoomId {
        format!("room-{number}").parse().expect("a room id")
    }

    fn named(number: usize) -> Mark {
        Mark::Identity(format!("person-{number}"))
    }

    #[test]
    fn only_bans_with_an_end_are_remembered_and_only_until_then() {
        let now = Instant::now();
        let (mut bans, mut remembered) = (Bans::default(), RememberedBans::default());
        bans.add(named(1), None);
        bans.add(named(2), Some(now + MINUTE));
        bans.add(named(3), Some(now + 3 * MINUTE));
        remembered.keep(now, &room(1), &bans);
        let later = now + 2 * MINUTE;
        assert_eq!(remembered.snapshot(later, &room(1)).map(|bans| bans.len()), Some(1));
        assert_eq!(remembered.take(later, &room(1)), [LastingBan { mark: named(3), left: MINUTE }]);
        assert_eq!((remembered.snapshot(later, &room(1)), remembered.count), (None, 0));
    }

    #[test]
    fn an_identity_or_an_address_is_let_in_again_by_its_name() {
        let now = Instant::now();
        let mut remembered = RememberedBans::default();
        let host = IpAddr::from([192, 0, 2, 1]);
        remembered.ban(now, &room(1), named(1), MINUTE);
        remembered.ban(now, &room(1), Mark::Host(host), MINUTE);
        assert!(remembered.lift(&room(1), Some("192.0.2.1")) && !remembered.lift(&room(2), None));
        let left = remembered.snapshot(now, &room(1)).expect("one is left");
        assert_eq!((left.len(), left[0].address), (1, None));
        assert!(remembered.lift(&room(1), Some("person-1")));
        assert_eq!((remembered.snapshot(now, &room(1)), remembered.count), (None, 0));
    }

    #[test]
    fn what_is_remembered_is_bounded_and_what_ends_first_is_forgotten() {
        let now = Instant::now();
        let mut remembered = RememberedBans::default();
        for number in 0..=REMEMBERED_MAX {
            let lasts = MINUTE * u32::try_from(number + 1).expect("a small number");
            remembered.ban(now, &room(number), named(1), lasts);
        }
        assert_eq!(remembered.count, REMEMBERED_MAX);
        assert!(remembered.snapshot(now, &room(0)).is_none() && remembered.snapshot(now, &room(1)).is_some());
        for number in 0..BANS_MAX + 10 {
            remembered.ban(now, &room(1), named(number), 2 * MINUTE);
        }
        assert!(remembered.count <= REMEMBERED_MAX);
    }
}
