//! Speech: who is heard to speak, told from the audio levels that clients send with their packets (RFC 6464). Nothing is
//! decoded.
//!
//! A level says how loud 20 ms are, and a cough, a key or a door are as loud as a word. What tells speech from noise is how
//! long it lasts, so three **windows** count how much of the past was loud: the last 200 ms, of steps of 20 ms; the last
//! second, of units of 200 ms that were loud for half of their time; the last ten seconds, of seconds most of whose units
//! were. A key fills no unit, a cough fills two, and only speech fills seconds.
//!
//! All of it is integers that depend on the packets and their times alone, so that a replay comes to the same decisions.

use std::time::{Duration, Instant};

/// The level of digital silence, in -dBov: the quietest that RFC 6464 can say.
pub const SILENT: u8 = 127;
/// The time that one packet usually holds, which is what a step lasts.
const STEP: Duration = Duration::from_millis(20);
/// How many steps make a second.
const STEPS_PER_SECOND: u32 = 50;
/// A microphone of which nothing has come for longer is silent: Opus without anything to say (DTX) still sends a packet
/// each 400 ms.
const UNHEARD: Duration = Duration::from_millis(500);
/// A packet may stand for as many steps: Opus has packets of up to 120 ms. Beyond that the steps between were not sent.
const STEPS_PER_PACKET_MAX: u32 = 6;
/// More silence than this changes nothing any more: all windows are empty.
const STEPS_MAX: u64 = 600;

/// Steps in the short window, and in a unit of the medium one.
const UNIT: u32 = 10;
/// Units in the medium window, and in a second.
const SECOND: u32 = 5;
/// Seconds in the long window.
const LONG: u32 = 10;
/// How many loud steps make a loud unit. Typing makes two or three.
const UNIT_LOUD: u32 = 5;
/// How many loud units make a loud second.
const SECOND_LOUD: u32 = 3;

/// What is quieter than this is never loud, in -dBov.
const QUIETEST: i32 = 60;
/// Loud is what is louder than the background by this many dB.
const ABOVE_BACKGROUND: i32 = 10;
/// The background of a microphone that has just begun, in -dBov, in 64ths of a dB.
const BACKGROUND_AT_FIRST: i32 = 60 * 64;
/// No background counts for louder than this: what is loud all the time is music, or somebody who talks without a pause.
const BACKGROUND_LOUDEST: i32 = 40 * 64;

/// Whoever is loud in this many of the last [`ONSET_OF`] steps has begun to say something. It is few, because those who
/// listen miss the beginning until then; a key is over sooner.
const ONSET: u32 = 3;
const ONSET_OF: u32 = 4;
/// Whoever is loud in less of the last [`ENDING_OF`] steps, which are 800 ms, has ended. Pauses between words are shorter.
const ENDING: u32 = 3;
const ENDING_OF: u32 = 40;

/// How many units of the last second somebody must fill to become the dominant speaker. A cough fills two.
const TAKES_FLOOR: u32 = 3;
/// By how many units they must be ahead of a dominant speaker who still talks.
const TAKES_AHEAD: u32 = 2;

/// How much of each window was loud.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Activity {
    /// Loud units of the last second, 0 to 5.
    pub medium: u32,
    /// Loud steps of the last 200 ms, 0 to 10.
    pub short: u32,
    /// Loud seconds of the last ten, 0 to 10.
    pub long: u32,
}

impl Activity {
    /// Returns whether somebody becomes the dominant speaker in the place of the present one.
    ///
    /// Where that one has been silent for a second, or there is none, it takes more than a cough. Where they still talk, the
    /// other must have talked for a second and be well ahead of them: of two who talk at once the first stays, and "mhm" takes
    /// the floor from nobody.
    pub fn takes_over_from(self, present: Option<Self>) -> bool {
        let floor_is_free = present.is_none_or(|present| present.medium == 0);
        let ahead = |present: Self| {
            self.medium >= present.medium + TAKES_AHEAD && self.short > present.short && self.long > 0
        };
        self.medium >= TAKES_FLOOR && (floor_is_free || present.is_some_and(ahead))
    }
}

/// One microphone, as far as levels tell.
#[derive(Debug, Clone)]
pub struct Speech {
    /// When its last packet came.
    heard_at: Option<Instant>,
    /// The moment up to which there are steps, while nothing is heard.
    settled_to: Option<Instant>,
    /// The media time of the newest step, on the stream's RTP clock.
    timestamp: u32,
    /// Loud steps, the newest in the lowest bit.
    steps: u64,
    /// Loud units, likewise.
    units: u32,
    /// Loud seconds, likewise.
    seconds: u32,
    /// How many steps of the present second there are.
    place: u32,
    /// How loud it is when nobody speaks, in -dBov, in 64ths of a dB.
    background: i32,
    /// How loud the voice is, in -dBov, in 16ths of a dB.
    voice: i32,
    /// Whether somebody speaks, from the first word on.
    is_speaking: bool,
    /// Whether packets come without levels, although they were agreed on.
    is_untold: bool,
}

impl Default for Speech {
    fn default() -> Self {
        Self {
            heard_at: None,
            settled_to: None,
            timestamp: 0,
            steps: 0,
            units: 0,
            seconds: 0,
            place: 0,
            background: BACKGROUND_AT_FIRST,
            voice: i32::from(SILENT) * 16,
            is_speaking: false,
            is_untold: false,
        }
    }
}

impl Speech {
    /// Takes the level of a packet in -dBov, 0 (loudest) to 127, with its RTP timestamp and the rate of that clock. Returns
    /// whether somebody has begun to speak with it.
    pub fn hear(&mut self, now: Instant, timestamp: u32, clock_rate: u32, level: u8) -> bool {
        let level = level.min(SILENT);
        let is_continued = self.heard_at.is_some_and(|at| now.saturating_duration_since(at) <= UNHEARD);
        let ticks = (clock_rate / STEPS_PER_SECOND).max(1);
        let steps = if is_continued {
            let elapsed = timestamp.wrapping_sub(self.timestamp);
            if elapsed > u32::MAX / 2 {
                // It was overtaken by a packet that has been counted.
                return false;
            }
            elapsed / ticks
        } else {
            self.settle(now);
            self.timestamp = timestamp.wrapping_sub(ticks);
            1
        };
        self.heard_at = Some(now);
        self.settled_to = Some(now);
        self.is_untold = false;
        self.timestamp = self.timestamp.wrapping_add(steps.wrapping_mul(ticks));
        // A packet of 60 ms says how loud all of it is, and one that was lost was probably like those beside it.
        let own = steps.min(STEPS_PER_PACKET_MAX);
        self.be_silent(u64::from(steps - own));
        let is_loud = self.weigh(level);
        for _ in 0..own {
            self.push(is_loud);
        }
        self.review()
    }

    /// Takes note that time has passed: a microphone that sends nothing is silent.
    pub fn settle(&mut self, now: Instant) {
        let is_silent = self.heard_at.is_some_and(|at| now.saturating_duration_since(at) > UNHEARD);
        let Some(settled_to) = self.settled_to.filter(|_| is_silent) else { return };
        let steps = now.saturating_duration_since(settled_to).as_millis() / STEP.as_millis();
        // Fits: there are not so many milliseconds in the life of a server.
        let steps = steps as u64;
        self.settled_to = Some(settled_to + STEP * steps.min(u64::from(u32::MAX)) as u32);
        self.be_silent(steps);
        self.review();
    }

    /// Takes note of a packet without a level.
    pub fn miss(&mut self) {
        self.is_untold = self.heard_at.is_none();
    }

    /// Returns whether the levels tell when somebody speaks. It is taken for granted until packets come without them.
    pub fn is_told(&self) -> bool {
        !self.is_untold
    }

    /// Forgets what was heard: the microphone was muted.
    pub fn reset(&mut self) {
        *self = Self { background: self.background, is_untold: self.is_untold, ..Self::default() };
    }

    /// Returns whether somebody speaks: from their first word to a pause of 800 ms.
    pub fn is_speaking(&self) -> bool {
        self.is_speaking
    }

    /// Returns whether it was loud for half of the last 200 ms and more: whoever speaks now, and no key or click.
    pub fn is_sustained(&self) -> bool {
        self.activity().short >= UNIT_LOUD
    }

    /// Returns how much of the windows was loud.
    pub fn activity(&self) -> Activity {
        Activity {
            medium: loud(self.units.into(), SECOND),
            short: loud(self.steps, UNIT),
            long: loud(self.seconds.into(), LONG),
        }
    }

    /// Returns how loud the voice is, in -dBov: 0 is loudest. [`SILENT`] before anything was said.
    pub fn level(&self) -> u8 {
        // Fits: it is an average of levels.
        (self.voice / 16) as u8
    }

    /// Returns whether a level is loud, and learns from it how loud the background is. That sinks at once when it becomes
    /// quiet, and rises by less than a decibel a second, so that nobody talks themselves into the background.
    fn weigh(&mut self, level: u8) -> bool {
        let level = i32::from(level);
        let quieter = level * 64 - self.background;
        self.background += if quieter > 0 { (quieter / 8).max(1) } else { -1 };
        self.background = self.background.max(BACKGROUND_LOUDEST);
        let is_loud = level <= QUIETEST.min(self.background / 64 - ABOVE_BACKGROUND);
        if is_loud {
            let is_first = self.voice == i32::from(SILENT) * 16;
            self.voice = if is_first { level * 16 } else { self.voice + (level * 16 - self.voice) / 4 };
        }
        is_loud
    }

    fn be_silent(&mut self, steps: u64) {
        for _ in 0..steps.min(STEPS_MAX) {
            self.push(false);
        }
    }

    fn push(&mut self, is_loud: bool) {
        self.steps = self.steps << 1 | u64::from(is_loud);
        self.place += 1;
        if self.place.is_multiple_of(UNIT) {
            self.units = self.units << 1 | u32::from(loud(self.steps, UNIT) >= UNIT_LOUD);
        }
        if self.place == UNIT * SECOND {
            self.place = 0;
            self.seconds = self.seconds << 1 | u32::from(loud(self.units.into(), SECOND) >= SECOND_LOUD);
        }
    }

    /// Returns whether somebody has begun to speak with the newest step.
    fn review(&mut self) -> bool {
        let was_speaking = self.is_speaking;
        self.is_speaking = if was_speaking {
            loud(self.steps, ENDING_OF) >= ENDING
        } else {
            loud(self.steps, ONSET_OF) >= ONSET
        };
        self.is_speaking && !was_speaking
    }
}

/// Counts the newest `places` of a window.
fn loud(window: u64, places: u32) -> u32 {
    (window & ((1 << places) - 1)).count_ones()
}

#[cfg(test)]
mod tests;
