//! A world of moves as data, drawn from a seed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::deed::{Deed, Step};
use crate::core::topology::{MeshPolicy, MeshSettings, Sizing, Strategy};
use crate::sim::dice::Dice;
use crate::sim::network::{Micros, SECOND, name, seconds};

/// Out of 100 worlds, so many have the thresholds that are the default, and as many people as that takes.
const LARGE_PERCENT: u32 = 15;
/// And in so many nothing goes wrong: people come and leave.
const KIND_PERCENT: u32 = 20;

/// How somebody's client answers when it is asked to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As soon as it has moved.
    Prompt,
    /// It moves, and its word that it has is lost. It says so again when it is asked again.
    Forgetful,
    /// It acts only when it is asked again.
    Deaf,
    /// As long as others do things, not at all.
    Silent,
    /// As long as others do things, by saying that it cannot.
    Unable,
}

/// A person, and their client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonPlan {
    /// When they first come, µs.
    pub arrives: Micros,
    /// Whether their client can send straight to the others.
    pub can_mesh: bool,
    /// How it answers.
    pub manner: Manner,
    /// The one-way delay of signalling, µs.
    pub signalling: Micros,
    /// How long it takes to have a way to the server, µs.
    pub opens: Micros,
}

/// A whole world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovesPlan {
    /// The seed of the world.
    pub seed: u64,
    /// What is set for the room.
    pub mesh: MeshSettings,
    /// The people.
    pub people: Vec<PersonPlan>,
    /// Pairs of people between whom there is no path.
    pub no_path: BTreeSet<(usize, usize)>,
    /// What they do, in order of time.
    pub steps: Vec<Step>,
    /// Whether nothing goes wrong, so that nobody may stop hearing whom they hear.
    pub is_kind: bool,
    /// When people stop doing things, µs.
    pub calm_at: Micros,
    /// When the world ends, µs.
    pub ends_at: Micros,
    /// Whether an operator resets the call when all is calm. Otherwise it has to come to rest by itself.
    pub is_reset: bool,
}

impl MovesPlan {
    /// Draws the world of that seed.
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, "moves", 0);
        let (is_large, is_kind) = (dice.percent(LARGE_PERCENT), dice.percent(KIND_PERCENT));
        let mesh = draw_settings(&mut dice, is_large, is_kind);
        let count = if is_large { dice.among(9..12) } else { dice.among(2..mesh.up as u64 + 4) };
        let people: Vec<PersonPlan> = (0..count).map(|_| draw_person(&mut dice, is_kind)).collect();
        let mut no_path = BTreeSet::new();
        if !is_kind && dice.percent(30) {
            let (one, other) = (dice.among(0..count) as usize, dice.among(0..count) as usize);
            if one != other {
                no_path.insert((one.min(other), one.max(other)));
            }
        }
        let calm_at = dice.among(20 * SECOND..45 * SECOND);
        let steps = Deed::draw_all(&mut dice, count, is_kind, calm_at);
        let is_reset = dice.percent(60);
        // Whoever has failed again and again waits longer and longer.
        let calm = if is_reset { 40 * SECOND } else { 150 * SECOND };
        let ends_at = calm_at + calm;
        Self { seed, mesh, people, no_path, steps, is_kind, calm_at, ends_at, is_reset }
    }

    /// A world of so many people who all come at once, and to whom nothing happens.
    pub fn quiet(mesh: MeshSettings, people: usize) -> Self {
        let person = PersonPlan {
            arrives: 0,
            can_mesh: true,
            manner: Manner::Prompt,
            signalling: 20_000,
            opens: 300_000,
        };
        Self {
            seed: 0,
            mesh: MeshSettings { policy: MeshPolicy::Auto, ..mesh },
            people: vec![person; people],
            no_path: BTreeSet::new(),
            steps: Vec::new(),
            is_kind: true,
            calm_at: SECOND,
            ends_at: 41 * SECOND,
            is_reset: false,
        }
    }

    /// Returns whether there is a path between two people.
    pub fn has_path(&self, one: usize, other: usize) -> bool {
        !self.no_path.contains(&(one.min(other), one.max(other)))
    }

    /// Returns the world in words, line by line.
    pub fn describe(&self) -> String {
        let MeshSettings { up, down, strategy, cooldown, sizing, .. } = self.mesh;
        let mut text = format!(
            "  {strategy:?}, up {up}, down {down}, cooldown {cooldown:?}, by {sizing:?}; calm at {}{}{}\n",
            seconds(self.calm_at),
            if self.is_reset { ", then reset" } else { "" },
            if self.is_kind { ", nothing goes wrong" } else { "" },
        );
        for (who, PersonPlan { arrives, can_mesh, manner, signalling, opens }) in
            self.people.iter().enumerate()
        {
            text += &format!(
                "  {}: from {}, {}{manner:?}, {} ms to the server, which takes {} ms\n",
                name(who),
                seconds(*arrives),
                if *can_mesh { "" } else { "cannot mesh, " },
                signalling / 1000,
                opens / 1000,
            );
        }
        for (one, other) in &self.no_path {
            text += &format!("  no path between {} and {}\n", name(*one), name(*other));
        }
        for Step { at, who, deed } in &self.steps {
            text += &format!("  {} {} {}\n", seconds(*at), name(*who), deed.describe());
        }
        text
    }
}

fn draw_settings(dice: &mut Dice, is_large: bool, is_kind: bool) -> MeshSettings {
    let usual = MeshSettings { policy: MeshPolicy::Auto, ..MeshSettings::default() };
    let gentle = [Strategy::Gradual, Strategy::Gradual, Strategy::Opportunistic];
    let any = [Strategy::Hard, Strategy::Gradual, Strategy::Gradual, Strategy::Opportunistic];
    let strategy = if is_kind { dice.pick(&gentle) } else { dice.pick(&any) };
    let up = dice.among(3..6) as usize;
    let down = dice.among(1..up as u64) as usize;
    let cooldown = Duration::from_secs(dice.among(0..5));
    let by_load = !is_kind && dice.percent(15);
    if is_large {
        return MeshSettings { strategy, ..usual };
    }
    let sizing = if by_load { Sizing::Load } else { Sizing::Count };
    MeshSettings { up, down, warm: up - 1, strategy, cooldown, sizing, load_max: up + 1, ..usual }
}

fn draw_person(dice: &mut Dice, is_kind: bool) -> PersonPlan {
    use Manner::{Deaf, Forgetful, Prompt, Silent, Unable};
    let manner =
        dice.pick(&[Prompt, Prompt, Prompt, Prompt, Prompt, Forgetful, Forgetful, Deaf, Silent, Unable]);
    let can_mesh = dice.percent(90);
    PersonPlan {
        arrives: dice.among(0..12 * SECOND),
        can_mesh: can_mesh || is_kind,
        manner: if is_kind { Prompt } else { manner },
        signalling: dice.among(5_000..250_000),
        opens: dice.among(100_000..1_200_000),
    }
}
