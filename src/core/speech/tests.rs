//! Level traces of what microphones hear, and who is found to speak.

use std::time::{Duration, Instant};

use super::{Activity, SILENT, Speech};

const RATE: u32 = 48_000;

/// A room's microphones, each with the level that it has now.
struct Table {
    start: Instant,
    millis: u64,
    microphones: Vec<Speech>,
    dominant: Option<usize>,
    /// When somebody else became dominant, and who, in ms.
    changes: Vec<(u64, usize)>,
}

impl Table {
    fn new(microphones: usize) -> Self {
        let microphones = vec![Speech::default(); microphones];
        Self { start: Instant::now(), millis: 0, microphones, dominant: None, changes: Vec::new() }
    }

    /// Lets a time pass in which each microphone hears what its function says for that millisecond.
    fn pass(&mut self, millis: u64, heard: &[&dyn Fn(u64) -> u8]) {
        let end = self.millis + millis;
        while self.millis < end {
            let now = self.start + Duration::from_millis(self.millis);
            for (microphone, heard) in self.microphones.iter_mut().zip(heard) {
                microphone.hear(now, (self.millis * 48) as u32, RATE, heard(self.millis));
            }
            if self.millis.is_multiple_of(200) {
                self.look();
            }
            self.millis += 20;
        }
    }

    fn look(&mut self) {
        let activity = |who: usize| self.microphones[who].activity();
        let others = (0..self.microphones.len()).filter(|who| Some(*who) != self.dominant);
        if let Some(best) = others.max_by_key(|who| activity(*who))
            && activity(best).takes_over_from(self.dominant.map(activity))
        {
            self.dominant = Some(best);
            self.changes.push((self.millis, best));
        }
    }
}

/// Words of 300 ms with 100 ms between, each of which begins and ends softly.
fn talk(millis: u64) -> u8 {
    match millis % 400 {
        0..40 | 260..300 => 48,
        40..260 => 28,
        _ => 65,
    }
}

fn quiet(_: u64) -> u8 {
    72
}

/// Six keys a second, each as loud as a word.
fn typing(millis: u64) -> u8 {
    if millis % 166 < 40 { 30 } else { 70 }
}

#[test]
fn the_first_word_shows_within_a_tenth_of_a_second() {
    let start = Instant::now();
    let mut speech = Speech::default();
    let mut begun = None;
    for step in 0..100_u64 {
        let level = if step < 50 { 70 } else { 30 };
        if speech.hear(start + Duration::from_millis(step * 20), step as u32 * 960, RATE, level) {
            begun = Some(step);
        }
    }
    assert_eq!(begun, Some(52), "with the third loud packet");
}

#[test]
fn who_talks_becomes_dominant_once_and_stays_through_pauses() {
    let mut table = Table::new(3);
    table.pass(2000, &[&quiet, &talk, &quiet]);
    assert_eq!(table.dominant, Some(1));
    // They think for a moment, and go on; the others only listen.
    for _ in 0..5 {
        table.pass(1500, &[&quiet, &quiet, &quiet]);
        table.pass(3000, &[&quiet, &talk, &quiet]);
    }
    assert_eq!(table.changes.len(), 1, "{:?}", table.changes);
}

#[test]
fn a_cough_takes_the_floor_from_nobody() {
    let mut table = Table::new(2);
    table.pass(4000, &[&talk, &quiet]);
    let cough = |millis: u64| if millis % 3000 < 400 { 12 } else { 70 };
    table.pass(12_000, &[&talk, &cough]);
    // Not even in a long silence.
    table.pass(9000, &[&quiet, &cough]);
    assert_eq!(table.changes.len(), 1, "{:?}", table.changes);
    assert_eq!(table.dominant, Some(0));
}

#[test]
fn a_keyboard_is_nobody_who_speaks() {
    let mut table = Table::new(2);
    table.pass(20_000, &[&quiet, &typing]);
    assert_eq!(table.dominant, None);
    assert!(!table.microphones[1].is_sustained());
    table.pass(3000, &[&talk, &typing]);
    assert_eq!(table.dominant, Some(0));
}

#[test]
fn of_two_who_talk_at_once_the_first_keeps_the_floor_and_a_dialogue_passes_it() {
    let mut table = Table::new(2);
    table.pass(3000, &[&talk, &quiet]);
    table.pass(10_000, &[&talk, &|millis| talk(millis + 130).saturating_sub(4)]);
    assert_eq!(table.changes, [(table.changes[0].0, 0)], "the second is as loud, and does not take it");
    // Somebody says "mhm" now and then.
    let mhm = |millis: u64| if millis % 2500 < 300 { 25 } else { 70 };
    table.pass(10_000, &[&talk, &mhm]);
    assert_eq!(table.changes.len(), 1);
    // The first stops, and the second goes on: heard within a second and a half.
    let stopped = table.millis;
    table.pass(3000, &[&quiet, &talk]);
    let (at, who) = table.changes[1];
    assert_eq!(who, 1);
    assert!(at - stopped <= 1600, "{} ms", at - stopped);
    for _ in 0..4 {
        table.pass(4000, &[&talk, &quiet]);
        table.pass(4000, &[&quiet, &talk]);
    }
    assert_eq!(table.changes.len(), 2 + 8, "each turn changes it once: {:?}", table.changes);
}

#[test]
fn a_fan_is_background_after_a_while_and_speech_above_it_is_heard() {
    let mut table = Table::new(1);
    table.pass(15_000, &[&|_| 46]);
    assert!(!table.microphones[0].is_speaking(), "what is always there is no speech");
    table.pass(2000, &[&|millis| talk(millis).min(46)]);
    assert!(table.microphones[0].is_speaking());
}

#[test]
fn who_sends_nothing_is_silent() {
    let mut table = Table::new(1);
    table.pass(4000, &[&talk]);
    let speech = &mut table.microphones[0];
    let last = table.start + Duration::from_millis(table.millis - 20);
    speech.settle(last + Duration::from_millis(450));
    assert!(speech.is_speaking(), "the next packet of DTX may still come");
    speech.settle(last + Duration::from_millis(1300));
    assert!(!speech.is_speaking());
    assert_eq!(speech.activity(), Activity { short: 0, medium: 0, long: speech.activity().long });
    speech.settle(last + Duration::from_secs(20));
    assert_eq!(speech.activity(), Activity::default());
    // They say something again, and the clock of their stream has gone on meanwhile.
    let mut at = last + Duration::from_secs(21);
    let mut begun = 0;
    for step in 0..10 {
        begun += u32::from(speech.hear(at, 7_000_000 + step * 960, RATE, 25));
        at += Duration::from_millis(20);
    }
    assert_eq!(begun, 1);
}

#[test]
fn loss_reordering_and_long_packets_do_not_matter_much() {
    let start = Instant::now();
    let mut speech = Speech::default();
    // Every third packet is lost, and every fifth comes behind the next one.
    for step in 0..200_u64 {
        let step = if step % 5 == 0 {
            step + 1
        } else if step % 5 == 1 {
            step - 1
        } else {
            step
        };
        if step % 3 != 0 {
            speech.hear(start + Duration::from_millis(step * 20), step as u32 * 960, RATE, talk(step * 20));
        }
    }
    assert!(speech.is_speaking());
    assert!(speech.activity().long >= 2, "{:?}", speech.activity());
    // 60 ms in each packet.
    let mut speech = Speech::default();
    for step in 0..70_u64 {
        speech.hear(start + Duration::from_millis(step * 60), step as u32 * 2880, RATE, talk(step * 60));
    }
    assert!(speech.activity().long >= 2, "{:?}", speech.activity());
}

#[test]
fn nonsense_is_survived() {
    let start = Instant::now();
    let mut speech = Speech::default();
    let mut noise = 7_u32;
    for step in 0..5000_u64 {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let now = start + Duration::from_millis(step * u64::from(noise % 700));
        speech.hear(now, noise, noise % 96_000, (noise >> 24) as u8);
        assert!(speech.level() <= SILENT);
    }
}
