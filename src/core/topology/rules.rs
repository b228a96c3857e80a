//! The rules of a topology as plain values: what can be set, when the size of a call asks for a move, and the words for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::mutation::mutated;

/// Where the media of a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mode {
    /// Straight from each member to each other one.
    P2p,
    /// Through the server.
    Sfu,
}

impl Mode {
    /// Both, in the order in which metrics list them.
    pub const ALL: [Self; 2] = [Self::P2p, Self::Sfu];

    /// Returns the mode of a call in which nobody is yet.
    pub(super) fn of_fresh(policy: MeshPolicy) -> Self {
        if policy == MeshPolicy::Off { Self::Sfu } else { Self::P2p }
    }

    /// Returns its name in messages and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P2p => "p2p",
            Self::Sfu => "sfu",
        }
    }

    /// Returns the one that it is not.
    pub fn other(self) -> Self {
        match self {
            Self::P2p => Self::Sfu,
            Self::Sfu => Self::P2p,
        }
    }

    /// Returns the mode of that name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == name)
    }
}

/// Where one client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientMode {
    /// Its media goes straight.
    P2p,
    /// Its media goes through the server.
    Sfu,
    /// It was asked to move, and has not said that it has.
    Migrating,
}

impl ClientMode {
    /// Returns its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P2p => "p2p",
            Self::Sfu => "sfu",
            Self::Migrating => "migrating",
        }
    }
}

impl From<Mode> for ClientMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::P2p => Self::P2p,
            Mode::Sfu => Self::Sfu,
        }
    }
}

/// Whether the media of a room may go straight.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MeshPolicy {
    /// Never: people are not shown each other's addresses.
    #[default]
    Off,
    /// While the call is small.
    Auto,
    /// Always, if everybody's client can; the room takes no more people than that allows.
    Always,
}

impl MeshPolicy {
    /// All of them, with their names in messages and in the configuration.
    pub const NAMES: [(Self, &str); 3] = [(Self::Off, "off"), (Self::Auto, "auto"), (Self::Always, "always")];

    /// Returns its name in messages and in the configuration.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.into_iter().find(|(policy, _)| *policy == self).map_or("off", |(_, name)| name)
    }

    /// Returns the policy of that name; `None` if there is none.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(_, known)| *known == name).map(|(policy, _)| policy)
    }
}

/// How clients move from one path to the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// The old path is closed, then the new one made: for seconds nothing is heard.
    Hard,
    /// The new path is made beside the old one, and all change over when all hear each other on it.
    #[default]
    Gradual,
    /// A connection to the server is always kept, without media while it is not needed.
    Opportunistic,
}

impl Strategy {
    /// Returns its name in messages and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Gradual => "gradual",
            Self::Opportunistic => "opportunistic",
        }
    }
}

/// What a call's move to the server is decided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sizing {
    /// How many are there.
    #[default]
    Count,
    /// Between two sizes, how much the clients have to do; beyond them, how many are there.
    Load,
}

/// What the operator has set about calls that go straight. It is the same for every room, but for whether one may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshSettings {
    /// Whether rooms may of which nothing else is said.
    pub policy: MeshPolicy,
    /// With so many people, or more, a call goes through the server.
    pub up: usize,
    /// With so many, or fewer, it goes straight again; with [`Strategy::Opportunistic`], with fewer.
    pub down: usize,
    /// With so many in a call that goes straight, clients may get the server ready.
    pub warm: usize,
    /// How clients move.
    pub strategy: Strategy,
    /// What a move to the server is decided by.
    pub sizing: Sizing,
    /// By [`Sizing::Load`]: how much a client may have to do, in percent.
    pub load_percent: u8,
    /// By [`Sizing::Load`]: with more people than that a call goes through the server whatever clients have to do.
    pub load_max: usize,
    /// How long a move may take.
    pub timeout: Duration,
    /// After how long somebody is asked again who has not said that they have moved.
    pub resend: Duration,
    /// How long a move may take at most, with whatever strategy.
    pub reset: Duration,
    /// How long it is after a move until the next one for the size of the call.
    pub cooldown: Duration,
    /// Most people in a room that always goes straight.
    pub max: usize,
    /// How long two members may take to find a direct path.
    pub connect: Duration,
}

impl Default for MeshSettings {
    fn default() -> Self {
        Self {
            policy: MeshPolicy::Off,
            up: 8,
            down: 5,
            warm: 6,
            strategy: Strategy::Gradual,
            sizing: Sizing::Count,
            load_percent: 70,
            load_max: 10,
            timeout: Duration::from_secs(5),
            resend: Duration::from_secs(3),
            reset: Duration::from_secs(30),
            cooldown: Duration::from_secs(5),
            max: 25,
            connect: Duration::from_secs(5),
        }
    }
}

impl MeshSettings {
    /// Returns how long a move may take before it is undone. Two who find no path to each other must have the time to say so,
    /// or the call would try again and again what cannot be.
    pub(super) fn time_for(&self, to: Mode) -> Duration {
        match to {
            Mode::P2p => self.timeout.max(self.connect + super::WORDS_TAKE),
            Mode::Sfu => self.timeout,
        }
    }

    /// Returns where a call of that size should go that goes, or is about to go, by `base`.
    pub(super) fn by_size(&self, base: Mode, count: usize, is_loaded: bool) -> (Mode, Reason) {
        // By load, the upper threshold is where the clients begin to be asked, and not where all must move.
        let most = match self.sizing {
            Sizing::Count => self.up,
            Sizing::Load => self.load_max.saturating_add(1).max(self.up),
        };
        let is_small = match self.strategy {
            Strategy::Opportunistic => count < self.down,
            Strategy::Hard | Strategy::Gradual => count <= self.down,
        };
        // Between the two thresholds a call stays where it is, or it would go to and fro with each one who comes.
        match base {
            Mode::P2p if count >= most => (Mode::Sfu, Reason::Size),
            Mode::P2p if self.sizing == Sizing::Load && count >= self.up && is_loaded => {
                (Mode::Sfu, Reason::Load)
            }
            Mode::Sfu if is_small || (mutated!(HysteresisForgotten) && count < most) => {
                (Mode::P2p, Reason::Size)
            }
            _ => (base, Reason::Size),
        }
    }

    /// Returns whether clients may get the server ready.
    pub(super) fn is_warm(&self, mode: Mode, count: usize) -> bool {
        // On the server there is nothing to get ready.
        mode == Mode::P2p && (count >= self.warm || self.strategy == Strategy::Opportunistic)
    }
}

/// Why a call moves, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// How many people are there.
    Size,
    /// Somebody is there whose client cannot send straight to the others.
    Capability,
    /// Somebody's processor or uplink has too much to do.
    Load,
    /// An operator, or the configuration, has it so.
    Forced,
    /// Two members find no direct path to each other.
    MeshFailed,
    /// Not everybody has moved in time.
    Timeout,
    /// Somebody's client could not move.
    ClientFailed,
    /// The server did not work for somebody.
    ServerFailed,
    /// A move took far too long, or an operator has ended it.
    Reset,
    /// It is only said whether the server is to be got ready.
    Warm,
}

impl Reason {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 10] = [
        Self::Size,
        Self::Capability,
        Self::Load,
        Self::Forced,
        Self::MeshFailed,
        Self::Timeout,
        Self::ClientFailed,
        Self::ServerFailed,
        Self::Reset,
        Self::Warm,
    ];

    /// Returns its name in messages, metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Capability => "capability",
            Self::Load => "load",
            Self::Forced => "forced",
            Self::MeshFailed => "mesh-failed",
            Self::Timeout => "timeout",
            Self::ClientFailed => "client-failed",
            Self::ServerFailed => "server-failed",
            Self::Reset => "reset",
            Self::Warm => "warm",
        }
    }

    /// Whether a move for it cannot wait for a cooldown: somebody hears nothing until it is done.
    pub(super) fn is_urgent(self) -> bool {
        matches!(self, Self::Capability | Self::Forced | Self::MeshFailed)
    }
}

/// How a move ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Everybody has moved.
    Succeeded,
    /// Somebody could not.
    Failed,
    /// There was no need for it any more.
    Cancelled,
}

impl Outcome {
    /// All of them, in the order in which they are declared.
    pub const ALL: [Self; 3] = [Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Returns its name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a client is told of where its call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Where media goes.
    pub mode: Mode,
    /// The number of the last move, which may still run; 0 before the first.
    pub migration: u32,
    /// Where a running move leads; `None` if none runs.
    pub moving_to: Option<Mode>,
    /// How clients move.
    pub strategy: Strategy,
    /// How much time a running move has left.
    pub left: Option<Duration>,
    /// Whether clients may get the server ready.
    pub warm: bool,
    /// Why it is so.
    pub reason: Reason,
    /// How long two members may take to find a direct path.
    pub connect: Duration,
}
