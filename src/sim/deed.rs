//! Deed: what somebody does in a world, or what happens to them.

use super::codec::{CodecName, VIDEO_CODECS};
use super::dice::Dice;
use super::network::{Micros, SECOND, name};
use crate::core::command::{Source, Wish};

/// A deed and its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it is done, µs.
    pub at: Micros,
    /// The number of the person who does it.
    pub who: usize,
    /// What is done.
    pub deed: Deed,
}

/// What somebody does, or what happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// They mute or unmute one of their tracks.
    Mute(Source, bool),
    /// They stop or resume receiving somebody's track.
    Pause(usize, Source, bool),
    /// They say how large they show somebody's track, or that it cannot be seen.
    Prefer(usize, Source, Wish),
    /// They subscribe to somebody's track, or unsubscribe.
    Subscribe(usize, Source, bool),
    /// They publish a track, or stop.
    Publish(Source, bool),
    /// They leave by saying so.
    Leave,
    /// Their computer is switched off.
    Vanish,
    /// They join, or join again, unless they are there.
    Join,
    /// Their signalling breaks after some more messages.
    Break {
        /// How many messages still pass, in both directions together.
        after: u8,
        /// After how long the server notices, µs.
        noticed: Micros,
        /// After how long they come back, µs.
        back: Micros,
    },
    /// Their address changes without their knowledge, because a NAT forgets.
    Rebind,
    /// Their address changes, and they know.
    Move,
    /// They restart ICE on the same network.
    RestartIce,
    /// They offer again what they offered.
    Renegotiate,
    /// Their sequence numbers jump, as after a long outage of a fast stream.
    Leap(Source, u16),
    /// They continue a track with a new SSRC.
    NewStream(Source),
    /// They continue a track in another codec.
    SwitchCodec(Source, CodecName),
    /// Their network is cut: upwards, downwards, and for how long, µs.
    Cut(bool, bool, Micros),
    /// They send nothing of a track for a while: a hidden page, a frozen camera.
    Pausing(Source, Micros),
    /// Datagrams that mean nothing come from their address.
    Garbage(u8),
    /// An attacker sends their packets again, from another address.
    Replay,
    /// Their handshake's first flight comes again.
    HelloAgain,
    /// They send everyone a message.
    Data,
    /// They are banned for that long, µs.
    Ban(Micros),
    /// They may publish a source no longer, or again.
    MayPublish(Source, bool),
    /// Whoever comes to the room has to wait until somebody lets them in, or not any longer.
    GuardDoor(bool),
    /// Nobody may come to the room, or people may again.
    Lock(bool),
    /// One of their tracks is stopped: they may publish its source no longer.
    Stop(Source),
    /// They may send messages to others, or no longer. They go on all the same.
    MaySay(bool),
    /// They open a data channel, if they are connected, and send what they say on it from then on.
    OpenChannel,
}

const SOURCES: [Source; 4] = [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio];

/// To whom a back end does something, and for how long.
struct Moderated {
    at: Micros,
    long: Micros,
    who: usize,
    source: Source,
}

impl Moderated {
    /// All of it is over a second before `until`.
    fn draw(dice: &mut Dice, people: usize, until: Micros) -> Self {
        let at = dice.among(SECOND / 2..until - 3 * SECOND);
        let long = dice.among(SECOND / 5..until - SECOND - at);
        let who = dice.among(0..people as u64) as usize;
        Self { at, long, who, source: dice.pick(&SOURCES[..2]) }
    }
}

impl Deed {
    /// Returns the other person concerned, if there is one.
    pub fn of(&self) -> Option<usize> {
        match self {
            Self::Pause(of, ..) | Self::Subscribe(of, ..) | Self::Prefer(of, ..) => Some(*of),
            _ => None,
        }
    }

    /// Draws all deeds in a world of that many people before `until`, in order of time.
    pub fn draw_all(dice: &mut Dice, people: usize, until: Micros) -> Vec<Step> {
        let mut steps = Vec::new();
        let count = dice.among(0..4 + 3 * people as u64);
        for _ in 0..count {
            let at = dice.among(200_000..until);
            let who = dice.among(0..people as u64) as usize;
            let other = dice.among(0..people as u64) as usize;
            Self::draw(dice, at, who, other, &mut steps);
        }
        steps.sort_by_key(|step| step.at);
        steps.retain(|step| step.at < until);
        steps
    }

    fn draw(dice: &mut Dice, at: Micros, who: usize, other: usize, steps: &mut Vec<Step>) {
        let source = if dice.percent(70) { dice.pick(&SOURCES[..2]) } else { dice.pick(&SOURCES) };
        let soon = at + dice.among(50_000..3 * SECOND);
        let mut add = |at, deed| steps.push(Step { at, who, deed });
        match dice.among(0..23) {
            0..3 => {
                add(at, Self::Mute(source, true));
                add(soon, Self::Mute(source, false));
            }
            3 | 4 => {
                add(at, Self::Pause(other, source, true));
                add(soon, Self::Pause(other, source, false));
            }
            5 | 6 => {
                add(at, Self::Subscribe(other, source, false));
                add(soon, Self::Subscribe(other, source, true));
            }
            7 => {
                add(at, Self::Publish(source, false));
                add(soon, Self::Publish(source, true));
            }
            8 | 9 => {
                add(at, if dice.percent(60) { Self::Leave } else { Self::Vanish });
                add(soon, Self::Join);
            }
            10..13 => {
                let after = dice.among(0..6) as u8;
                let (noticed, back) = (dice.among(0..3 * SECOND), dice.among(50_000..4 * SECOND));
                add(at, Self::Break { after, noticed, back });
                if dice.percent(60) {
                    add(at + back / 2, Self::Renegotiate);
                }
            }
            13 => add(at, Self::Rebind),
            14 => add(at, Self::Move),
            15 => add(at, if dice.percent(70) { Self::RestartIce } else { Self::Renegotiate }),
            16 => {
                // Enough to take the slots that show it round their wrap.
                for n in 0..9 {
                    add(at + n * 300_000, Self::Leap(source, 7_900));
                }
            }
            17 => add(at, Self::NewStream(source)),
            18 => {
                let codec = dice.pick(&VIDEO_CODECS);
                add(at, Self::SwitchCodec(source, codec));
            }
            19 => {
                let (up, down) = dice.pick(&[(true, true), (true, false), (false, true)]);
                let long = dice.among(100_000..7 * SECOND);
                add(at, Self::Cut(up, down, long));
            }
            20 => {
                let long = dice.among(300_000..5 * SECOND);
                add(at, Self::Pausing(source, long));
            }
            21 => {
                let count = dice.among(1..40) as u8;
                add(at, Self::Garbage(count));
                add(soon, Self::HelloAgain);
            }
            _ => {
                add(at, Self::Replay);
                add(soon, Self::Data);
            }
        }
    }

    /// Draws how people show each other's tracks.
    pub fn draw_wishes(dice: &mut Dice, people: usize, until: Micros) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..dice.among(0..2 * people as u64) {
            let at = dice.among(200_000..until);
            let who = dice.among(0..people as u64) as usize;
            let other = dice.among(0..people as u64) as usize;
            let source = dice.pick(&SOURCES[..2]);
            let height = dice.percent(70).then(|| dice.among(1..1200) as u16);
            let mut add = |at, paused| {
                let wish = Wish { height, paused, ..Wish::default() };
                steps.push(Step { at, who, deed: Self::Prefer(other, source, wish) });
            };
            let is_hidden = dice.percent(50);
            add(at, is_hidden);
            if is_hidden {
                add(at + dice.among(50_000..3 * SECOND), false);
            }
        }
        steps.retain(|step| step.at < until);
        steps
    }

    /// Draws what a back end does to people and to the room. All of it is over a second before `until`.
    pub fn draw_moderation(dice: &mut Dice, people: usize, until: Micros) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..dice.among(1..4) {
            let Moderated { at, long, who, source } = Moderated::draw(dice, people, until);
            let mut add = |at, deed| steps.push(Step { at, who, deed });
            match dice.among(0..3) {
                0 => add(at, Self::Ban(long)),
                1 => {
                    add(at, Self::MayPublish(source, false));
                    add(at + long, Self::MayPublish(source, true));
                }
                _ => {
                    add(at, Self::GuardDoor(true));
                    add(at + long, Self::GuardDoor(false));
                }
            }
        }
        steps
    }

    /// Draws how a back end locks the room and stops tracks. All of it is over a second before `until`.
    pub fn draw_doors(dice: &mut Dice, people: usize, until: Micros) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..dice.among(1..4) {
            let Moderated { at, long, who, source } = Moderated::draw(dice, people, until);
            let mut add = |at, deed| steps.push(Step { at, who, deed });
            if dice.percent(50) {
                add(at, Self::Lock(true));
                // Somebody has to come for the lock to matter.
                add(at + long / 4, Self::Leave);
                add(at + long / 2, Self::Join);
                add(at + long, Self::Lock(false));
            } else {
                add(at, Self::Stop(source));
                add(at + long, Self::MayPublish(source, true));
            }
        }
        steps
    }

    /// Draws what people say to each other, in bursts, and who may not for a while.
    pub fn draw_words(dice: &mut Dice, people: usize, until: Micros) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..dice.among(2..3 + 2 * people as u64) {
            let at = dice.among(SECOND / 2..until - 3 * SECOND);
            let who = dice.among(0..people as u64) as usize;
            let mut add = |at, deed| steps.push(Step { at, who, deed });
            if dice.percent(40) {
                add(at, Self::OpenChannel);
            }
            let is_silenced = dice.percent(25);
            if is_silenced {
                add(at + 100_000, Self::MaySay(false));
            }
            for word in 0..dice.among(1..8) {
                add(at + 150_000 + word * dice.among(0..60_000), Self::Data);
            }
            if is_silenced {
                add(at + dice.among(SECOND..2 * SECOND), Self::MaySay(true));
            }
        }
        steps.retain(|step| step.at < until);
        steps
    }

    /// Returns the deed in words that follow the person's name.
    pub fn describe(&self) -> String {
        let ms = |at: &Micros| format!("{} ms", at / 1000);
        match self {
            Self::Mute(source, muted) => format!("{} {source:?}", if *muted { "mutes" } else { "unmutes" }),
            Self::Pause(of, source, paused) => {
                format!("{} {}'s {source:?}", if *paused { "pauses" } else { "resumes" }, name(*of))
            }
            Self::Prefer(of, source, Wish { height, paused, .. }) => {
                let whose = format!("{}'s {source:?}", name(*of));
                match height {
                    _ if *paused => format!("does not see {whose}"),
                    Some(height) => format!("shows {whose} {height} pixels tall"),
                    None => format!("shows {whose} in any size"),
                }
            }
            Self::Subscribe(of, source, wanted) => {
                let does = if *wanted { "subscribes to" } else { "unsubscribes from" };
                format!("{does} {}'s {source:?}", name(*of))
            }
            Self::Publish(source, yes) => {
                format!("{} {source:?}", if *yes { "publishes" } else { "stops publishing" })
            }
            Self::Leave => "leaves".into(),
            Self::Vanish => "vanishes".into(),
            Self::Join => "comes, unless there".into(),
            Self::Break { after, noticed, back } => format!(
                "loses signalling after {after} more messages, noticed after {}, back after {}",
                ms(noticed),
                ms(back)
            ),
            Self::Rebind => "is given another port by a NAT".into(),
            Self::Move => "moves to another network".into(),
            Self::RestartIce => "restarts ICE".into(),
            Self::Renegotiate => "offers again".into(),
            Self::Leap(source, by) => format!("leaps {by} sequence numbers of {source:?}"),
            Self::NewStream(source) => format!("goes on with {source:?} in a new stream"),
            Self::SwitchCodec(source, codec) => format!("goes on with {source:?} as {codec:?}"),
            Self::Cut(up, down, long) => {
                let which = match (up, down) {
                    (true, true) => "in both directions",
                    (true, false) => "upwards",
                    _ => "downwards",
                };
                format!("is cut off {which} for {}", ms(long))
            }
            Self::Pausing(source, long) => format!("sends nothing of {source:?} for {}", ms(long)),
            Self::Garbage(count) => format!("seems to send {count} datagrams of garbage"),
            Self::Replay => "has packets replayed from elsewhere".into(),
            Self::HelloAgain => "begins the handshake again".into(),
            Self::Data => "sends a message to all".into(),
            Self::Ban(long) => format!("is banned for {}", ms(long)),
            Self::MayPublish(source, may) => {
                format!("may publish {source:?} {}", if *may { "again" } else { "no longer" })
            }
            Self::Lock(true) => "sees the room locked".into(),
            Self::Lock(false) => "sees the room unlocked".into(),
            Self::Stop(source) => format!("has {source:?} stopped"),
            Self::MaySay(may) => format!("may send messages {}", if *may { "again" } else { "no longer" }),
            Self::OpenChannel => "opens a data channel".into(),
            Self::GuardDoor(true) => "sees that people have to wait at the door".into(),
            Self::GuardDoor(false) => "sees that people need not wait at the door any more".into(),
        }
    }
}
