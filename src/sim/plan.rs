//! Plan: a whole world as data, drawn from a seed: who comes when, what they send, how their networks are, what they
//! do, and what goes wrong. A [`Cut`](super::Cut) leaves parts of it out.

use super::codec::{CodecName, VIDEO_CODECS};
use super::deed::{Deed, Step};
use super::dice::Dice;
use super::layering::{self, LayerPlan};
use super::line::LinePlan;
use super::network::{LinkPlan, Micros, SECOND, name, seconds};
use super::sdp::Numbering;
use crate::core::command::{MediaKind, Source};
use crate::core::event::SlotCounts;
use crate::core::input::SrtpProfile;

/// How long the world goes on after the network has healed and nobody does anything any more. People who have vanished
/// are given up after six seconds, and the tracks that then get their slots must flow for two.
pub const CALM: Micros = 9 * SECOND;

/// The same with whole endpoints, whose handshakes take seconds to be repeated.
pub const CALM_OF_ENGINES: Micros = 20 * SECOND;

/// Out of 100 worlds, so many have bottlenecks, and in so many pictures are sent in several sizes.
const LINED_PERCENT: u32 = 20;
const LAYERED_PERCENT: u32 = 20;
/// And in so many a back end moderates.
const MODERATED_PERCENT: u32 = 20;
/// And in so many it locks the room and stops tracks, and in so many people say much to each other.
const LOCKED_PERCENT: u32 = 12;
const TALKATIVE_PERCENT: u32 = 15;

/// The kind of people's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Endpoints {
    /// Small ones of our own, which are deterministic.
    #[default]
    Own,
    /// Whole str0m endpoints, which know nothing of our media code.
    Engine,
}

/// A track that somebody publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePlan {
    /// What the track shows.
    pub source: Source,
    /// The codec that it is sent in.
    pub codec: CodecName,
    /// The time between frames, µs.
    pub interval: Micros,
    /// Most packets of a frame.
    pub parts: u8,
    /// Bytes of a payload.
    pub bytes: usize,
    /// Whether it is published with the first offer.
    pub at_once: bool,
    /// Whether it starts muted.
    pub muted: bool,
    /// The encodings of a simulcast, largest first; none for a track in one encoding.
    pub layers: Vec<LayerPlan>,
}

/// A person in the world, and their network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonPlan {
    /// When they first join, µs.
    pub arrives: Micros,
    /// The tracks that they can publish.
    pub sources: Vec<SourcePlan>,
    /// Whether they receive everything without asking.
    pub auto_subscribe: bool,
    /// The video codecs that they can receive.
    pub receives: Vec<CodecName>,
    /// Whether some of their sections take fewer codecs than others.
    pub uneven_sections: bool,
    /// Whether their offers declare SSRCs; otherwise MIDs in packets identify streams.
    pub declares: bool,
    /// The SRTP profile of their handshake.
    pub profile: SrtpProfile,
    /// The link from them to the server.
    pub up: LinkPlan,
    /// The link from the server to them.
    pub down: LinkPlan,
    /// The one-way delay of signalling, µs.
    pub signalling: Micros,
    /// The payload types and extension ids of their offers; `None` if they are drawn.
    pub numbering: Option<Numbering>,
    /// The bottleneck that they are behind, up and down, by its place in the plan.
    pub lines: [Option<usize>; 2],
}

/// A whole world: who is in it, and what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The seed of the world.
    pub seed: u64,
    /// The people; `None` for those that a cut left out.
    pub people: Vec<Option<PersonPlan>>,
    /// The bottlenecks that people are behind.
    pub lines: Vec<LinePlan>,
    /// What they do, in order of time, each with its number in the uncut plan.
    pub steps: Vec<(usize, Step)>,
    /// The slots of a first offer, and the most slots.
    pub slots: (SlotCounts, SlotCounts),
    /// The time between the server's passes, µs.
    pub turn: Micros,
    /// How late deadlines are served at most, µs.
    pub lateness: Micros,
    /// Whether it is also called when nothing is due.
    pub early_calls: bool,
    /// When all networks become perfect and people stop doing things, µs.
    pub heals_at: Micros,
    /// How long a room outlives its last participant, µs.
    pub empty_timeout: Micros,
    /// The kind of everybody's endpoint.
    pub endpoints: Endpoints,
    /// Whether nothing is checked but what people get. The oracle would take too long for very large rooms.
    pub unchecked: bool,
}

impl Plan {
    /// Draws the world of that seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, "plan", 0);
        let count = dice.pick(&[1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 6]);
        let heals_at = dice.among(4 * SECOND..13 * SECOND);
        let slots = dice.among(1..4) as usize;
        let most = slots.max(dice.pick(&[1, 3, 4, 6, 8]));
        let both = |count| SlotCounts { audio: count, video: count };
        let people: Vec<_> = (0..count).map(|n| Some(person(seed, n, heals_at))).collect();
        let mut plan = Self {
            seed,
            people,
            lines: Vec::new(),
            steps: Vec::new(),
            slots: (both(slots), both(most)),
            turn: dice.pick(&[0, 0, 200, 1_000, 5_000]),
            lateness: dice.pick(&[0, 0, 0, 2_000, 20_000]),
            early_calls: dice.percent(20),
            heals_at,
            empty_timeout: dice.pick(&[0, 0, 2 * SECOND]),
            endpoints: Endpoints::Own,
            unchecked: false,
        };
        plan.draw_lines();
        plan.draw_layers();
        let mut steps = Deed::draw_all(&mut dice, count as usize, heals_at);
        let mut wishes = Dice::of(seed, "wishes", 0);
        steps.extend(Deed::draw_wishes(&mut wishes, count as usize, heals_at));
        let mut moderation = Dice::of(seed, "moderation", 0);
        if moderation.percent(MODERATED_PERCENT) {
            steps.extend(Deed::draw_moderation(&mut moderation, count as usize, heals_at));
        }
        let mut doors = Dice::of(seed, "doors", 0);
        if doors.percent(LOCKED_PERCENT) {
            steps.extend(Deed::draw_doors(&mut doors, count as usize, heals_at));
        }
        let mut words = Dice::of(seed, "words", 0);
        if words.percent(TALKATIVE_PERCENT) {
            steps.extend(Deed::draw_words(&mut words, count as usize, heals_at));
        }
        steps.sort_by_key(|step| step.at);
        plan.steps = steps.into_iter().enumerate().collect();
        plan
    }

    /// Puts people behind bottlenecks, in some worlds. Two can be behind one.
    fn draw_lines(&mut self) {
        let mut dice = Dice::of(self.seed, "lines", 0);
        if !dice.percent(LINED_PERCENT) {
            return;
        }
        for _ in 0..dice.among(1..3) {
            self.lines.push(LinePlan::draw(&mut dice, self.heals_at));
        }
        let count = self.lines.len() as u64;
        for person in self.people.iter_mut().flatten() {
            for (line, percent) in person.lines.iter_mut().zip([20, 60]) {
                let drawn = dice.among(0..count) as usize;
                *line = dice.percent(percent).then_some(drawn);
            }
        }
    }

    /// Lets people send cameras and screens in several sizes, in some worlds.
    fn draw_layers(&mut self) {
        let mut dice = Dice::of(self.seed, "layers", 0);
        if !dice.percent(LAYERED_PERCENT) {
            return;
        }
        for source in self.people.iter_mut().flatten().flat_map(|person| &mut person.sources) {
            let drawn = layering::draw(&mut dice, source.codec == CodecName::Vp8);
            let is_video = source.codec.kind() == MediaKind::Video;
            if dice.percent(70) && is_video && source.codec != CodecName::Av1 {
                source.layers = drawn;
            }
        }
    }

    /// Returns the same world with whole endpoints, without the deeds that these cannot do.
    pub fn with_engines(mut self) -> Self {
        self.endpoints = Endpoints::Engine;
        // A frame of AV1 would need more structure than a mark has.
        let known = |codec: &mut CodecName| {
            if *codec == CodecName::Av1 {
                *codec = CodecName::Vp8;
            }
        };
        for person in self.people.iter_mut().flatten() {
            person.uneven_sections = false;
            person.receives.retain(|codec| *codec != CodecName::Av1);
            for source in &mut person.sources {
                source.layers.clear();
                known(&mut source.codec);
                // Clients that can send a codec can receive it.
                if source.codec != CodecName::Opus && !person.receives.contains(&source.codec) {
                    person.receives.push(source.codec);
                }
            }
        }
        let is_done = |deed: &Deed| {
            !matches!(
                deed,
                Deed::Leap(..)
                    | Deed::NewStream(_)
                    | Deed::SwitchCodec(..)
                    | Deed::HelloAgain
                    | Deed::MayPublish(..)
                    | Deed::Stop(_)
                    | Deed::OpenChannel
            )
        };
        self.steps.retain(|(_, step)| is_done(&step.deed));
        self
    }

    /// Returns a room of that many people who send audio and video over good networks, and do nothing else.
    pub fn quiet(seed: u64, people: usize, seconds: u64) -> Self {
        let mut plan = Self::of(seed);
        plan.people = (0..people as u64).map(|n| Some(person(seed, n, SECOND))).collect();
        for (number, person) in plan.people.iter_mut().flatten().enumerate() {
            person.arrives = number as u64 * 20_000;
            person.receives = VIDEO_CODECS.to_vec();
            person.uneven_sections = false;
            person.auto_subscribe = true;
            person.calm();
            person.sources = [Source::Microphone, Source::Camera].map(typical_source).to_vec();
        }
        plan.steps.clear();
        let all = SlotCounts { audio: people, video: people };
        plan.slots = (all, all);
        plan.lateness = 0;
        plan.heals_at = (seconds * SECOND).saturating_sub(CALM);
        plan
    }

    /// Returns when everybody leaves, µs.
    pub fn ends_at(&self) -> Micros {
        let calm = if self.endpoints == Endpoints::Engine { CALM_OF_ENGINES } else { CALM };
        self.heals_at + calm
    }

    /// Returns the world in words.
    pub fn describe(&self) -> String {
        let mut text = format!(
            "{} people, {} s; the network heals at {}; {} to {} slots of each kind; turns of {} µs, deadlines up to {} \
             ms late{}\n",
            self.people.iter().flatten().count(),
            self.ends_at() / SECOND,
            seconds(self.heals_at),
            self.slots.0.audio,
            self.slots.1.audio,
            self.turn,
            self.lateness / 1000,
            if self.early_calls { ", calls when nothing is due" } else { "" },
        );
        for (index, person) in self.people.iter().enumerate() {
            if let Some(person) = person {
                text += &format!("  {} {}\n", name(index), person.describe());
            }
        }
        for (number, line) in self.lines.iter().enumerate() {
            text += &format!("  line {number}: {}\n", line.describe());
        }
        for (number, step) in &self.steps {
            text += &format!(
                "  {:>8} {} {} [{number}]\n",
                seconds(step.at),
                name(step.who),
                step.deed.describe()
            );
        }
        text
    }
}

impl PersonPlan {
    /// Makes their network perfect.
    pub fn calm(&mut self) {
        (self.up, self.down) = (LinkPlan::PERFECT, LinkPlan::PERFECT);
        self.lines = [None; 2];
    }

    fn describe(&self) -> String {
        let sources: Vec<String> = self.sources.iter().map(SourcePlan::describe).collect();
        let receives: Vec<String> = self.receives.iter().map(|codec| format!("{codec:?}")).collect();
        let behind =
            |which: Option<usize>| which.map(|which| format!(" behind line {which}")).unwrap_or_default();
        format!(
            "comes at {}, sends {}, receives {}{}{}{}; {:?}; up {}{}; down {}{}",
            seconds(self.arrives),
            if sources.is_empty() { "nothing".to_owned() } else { sources.join(" and ") },
            receives.join("/"),
            if self.auto_subscribe { "" } else { " on request" },
            if self.uneven_sections { ", not all in every section" } else { "" },
            if self.declares { "" } else { ", names no SSRCs" },
            self.profile,
            self.up.describe(),
            behind(self.lines[0]),
            self.down.describe(),
            behind(self.lines[1]),
        )
    }
}

impl SourcePlan {
    fn describe(&self) -> String {
        format!(
            "{:?} ({}{:?}, {} frames/s{}{})",
            self.source,
            if self.layers.is_empty() { String::new() } else { format!("{} sizes, ", self.layers.len()) },
            self.codec,
            SECOND / self.interval.max(1),
            if self.at_once { "" } else { ", later" },
            if self.muted { ", muted" } else { "" },
        )
    }
}

fn person(seed: u64, number: u64, heals_at: Micros) -> PersonPlan {
    let mut dice = Dice::of(seed, "person", number);
    let clean = dice.percent(35);
    let link = |dice: &mut Dice| if clean { LinkPlan::PERFECT } else { LinkPlan::draw(dice) };
    let (up, down) = (link(&mut dice), link(&mut dice));
    let mut sources = Vec::new();
    for (source, percent) in
        [(Source::Microphone, 70), (Source::Camera, 75), (Source::Screen, 15), (Source::ScreenAudio, 10)]
    {
        let drawn = draw_source(&mut dice, source);
        if dice.percent(percent) {
            sources.push(drawn);
        }
    }
    let mut receives = VIDEO_CODECS.to_vec();
    if dice.percent(15) {
        let without = dice.pick(&VIDEO_CODECS);
        receives.retain(|codec| *codec != without);
    }
    PersonPlan {
        arrives: if number < 2 && dice.percent(70) { 0 } else { dice.among(0..heals_at / 2) },
        sources,
        auto_subscribe: dice.percent(85),
        receives,
        uneven_sections: dice.percent(7),
        declares: dice.percent(65),
        profile: dice.pick(&[
            SrtpProfile::AeadAes128Gcm,
            SrtpProfile::AeadAes256Gcm,
            SrtpProfile::Aes128CmSha1_80,
        ]),
        up,
        down,
        signalling: dice.among(1_000..120_000),
        numbering: None,
        lines: [None; 2],
    }
}

fn draw_source(dice: &mut Dice, source: Source) -> SourcePlan {
    let mut plan = typical_source(source);
    if plan.codec != CodecName::Opus {
        plan.codec = dice.pick(&VIDEO_CODECS);
        plan.interval = SECOND / dice.among(8..26);
        plan.parts = dice.among(1..5) as u8;
        plan.bytes = dice.pick(&[120, 300, 1100]);
    }
    plan.at_once = dice.percent(90);
    plan.muted = dice.percent(10);
    plan
}

fn typical_source(source: Source) -> SourcePlan {
    let (codec, interval, parts, bytes) = match source {
        Source::Microphone | Source::ScreenAudio => (CodecName::Opus, 40_000, 1, 80),
        Source::Camera | Source::Screen => (CodecName::Vp8, 50_000, 3, 700),
    };
    SourcePlan { source, codec, interval, parts, bytes, at_once: true, muted: false, layers: Vec::new() }
}
