//! What people do in a world of moves, and what happens to them.

use crate::core::topology::{MeshPolicy, Mode};
use crate::sim::dice::Dice;
use crate::sim::network::{Micros, SECOND, name};

/// A deed and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When it is done, µs.
    pub at: Micros,
    /// Who does it, or to whom it happens.
    pub who: usize,
    /// What is done.
    pub deed: Deed,
}

/// What somebody does, or what happens to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// They come, unless they are there.
    Come,
    /// They leave by saying so.
    Leave,
    /// Their computer is switched off, which the server notices after a while, µs.
    Crash(Micros),
    /// Their signalling breaks: when the server notices, and when they are back, µs.
    Break(Micros, Micros),
    /// Their way to the server is lost, and cannot be had again for a while, µs.
    LoseServer(Micros),
    /// They say that they find no path to somebody, though there is one.
    ClaimNoPath(usize),
    /// They say how much of their processor or uplink is in use, in percent.
    Load(u8),
    /// An operator resets the call, and may say which way it goes.
    Force(Option<Mode>),
    /// Something else is set for the room.
    Set(MeshPolicy),
    /// A moderator says whether they may receive the tracks of others.
    MayReceive(bool),
}

impl Deed {
    /// Draws all deeds in a world of that many people before `until`, in order of time. In a kind world nothing goes wrong:
    /// people only come and leave.
    pub fn draw_all(dice: &mut Dice, count: u64, is_kind: bool, until: Micros) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut at = SECOND;
        while at < until {
            let who = dice.among(0..count) as usize;
            let deed = if is_kind { Self::draw_kind(dice) } else { Self::draw(dice, count) };
            steps.push(Step { at, who, deed });
            // Bursts, so that things happen within moves, and pauses, so that some moves end.
            at += if dice.percent(60) { dice.among(1_000..SECOND) } else { dice.among(SECOND..9 * SECOND) };
        }
        steps
    }

    fn draw_kind(dice: &mut Dice) -> Self {
        if dice.percent(55) { Self::Come } else { Self::Leave }
    }

    fn draw(dice: &mut Dice, count: u64) -> Self {
        let noticed = dice.among(0..3 * SECOND);
        match dice.among(0..100) {
            0..36 => Self::Come,
            36..52 => Self::Leave,
            52..60 => Self::Crash(noticed),
            60..74 => Self::Break(noticed, dice.among(200_000..9 * SECOND)),
            74..82 => Self::LoseServer(dice.among(200_000..8 * SECOND)),
            82..85 => Self::ClaimNoPath(dice.among(0..count) as usize),
            85..89 => Self::Load(dice.among(0..101) as u8),
            89..93 => Self::Force(dice.pick(&[None, None, Some(Mode::P2p), Some(Mode::Sfu)])),
            93..97 => Self::Set(dice.pick(&[MeshPolicy::Off, MeshPolicy::Auto, MeshPolicy::Always])),
            _ => Self::MayReceive(dice.percent(40)),
        }
    }

    /// Returns the deed in words that follow the person's name.
    pub fn describe(&self) -> String {
        let ms = |at: &Micros| format!("{} ms", at / 1000);
        match self {
            Self::Come => "comes, unless there".to_owned(),
            Self::Leave => "leaves".to_owned(),
            Self::Crash(noticed) => format!("crashes, noticed after {}", ms(noticed)),
            Self::Break(noticed, back) => {
                format!("loses signalling, noticed after {}, back after {}", ms(noticed), ms(back))
            }
            Self::LoseServer(long) => format!("loses the way to the server for {}", ms(long)),
            Self::ClaimNoPath(other) => format!("says that there is no path to {}", name(*other)),
            Self::Load(percent) => format!("has {percent} % to do"),
            Self::Force(mode) => format!("sees the call reset, and forced to {mode:?}"),
            Self::Set(policy) => format!("sees the room set to {policy:?}"),
            Self::MayReceive(may) => {
                format!("may receive {}", if *may { "again" } else { "no longer" })
            }
        }
    }
}
