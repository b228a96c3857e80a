//! Judge: turns scores that move all the time into a level that does not: it falls soon, rises slowly, and needs a clear
//! difference for both.

use std::time::{Duration, Instant};

use super::voice::Mos;
use super::{Level, Quality};

/// From this score on a call is good, and from that one on medium.
const GOOD: u8 = 80;
const MEDIUM: u8 = 55;
/// A level is left only for scores that are so far beyond its limit.
const CLEARLY: u8 = 4;
/// For so long a score must be worse before the level falls.
const FALLS_AFTER: Duration = Duration::from_secs(2);
/// For so long a score must be better before the level rises.
const RISES_AFTER: Duration = Duration::from_secs(10);
/// Of a score that has changed by less somebody need not be told.
const NEWS: u8 = 5;

/// What somebody's call is taken for.
#[derive(Debug, Default)]
pub struct Judge {
    quality: Option<Quality>,
    told_score: u8,
    /// The level that the scores of late speak for, if it is not the present one, and since when.
    other: Option<(Level, Instant)>,
}

/// What is new of somebody's quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The level is another one than everybody expects: everybody is told.
    Level(Quality),
    /// The score is: they are told themselves.
    Score(Quality),
}

impl Judge {
    /// Returns what the call is taken for; `None` before the first score.
    pub fn quality(&self) -> Option<Quality> {
        self.quality
    }

    /// Takes a score. Returns what is worth telling.
    pub fn take(&mut self, now: Instant, score: u8, mos: Option<Mos>) -> Option<News> {
        let Some(quality) = &mut self.quality else {
            let quality = Quality { level: level_of(score), score, mos };
            (self.quality, self.told_score) = (Some(quality), score);
            // Others take a call for good of which they were told nothing.
            let is_good = quality.level == Level::Good;
            return Some(if is_good { News::Score(quality) } else { News::Level(quality) });
        };
        (quality.score, quality.mos) = (score, mos);
        let speaks_for = match quality.level {
            Level::Good => level_of(score.saturating_add(CLEARLY)),
            Level::Medium if score < MEDIUM => level_of(score.saturating_add(CLEARLY)),
            Level::Medium if score < GOOD => Level::Medium,
            Level::Medium | Level::Poor => level_of(score.saturating_sub(CLEARLY)),
        };
        if speaks_for == quality.level {
            self.other = None;
        } else {
            let same =
                self.other.filter(|(level, _)| (*level > quality.level) == (speaks_for > quality.level));
            let since = same.map_or(now, |(_, since)| since);
            self.other = Some((speaks_for, since));
            let wait = if speaks_for > quality.level { FALLS_AFTER } else { RISES_AFTER };
            if now.saturating_duration_since(since) >= wait {
                quality.level = speaks_for;
                self.other = None;
                self.told_score = score;
                return Some(News::Level(*quality));
            }
        }
        if score.abs_diff(self.told_score) < NEWS {
            return None;
        }
        self.told_score = score;
        Some(News::Score(*quality))
    }
}

fn level_of(score: u8) -> Level {
    match score {
        GOOD.. => Level::Good,
        MEDIUM.. => Level::Medium,
        _ => Level::Poor,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One score a second. Returns the seconds in which the level changed, and to what.
    fn levels(judge: &mut Judge, start: Instant, from: u64, scores: &[u8]) -> Vec<(u64, Level)> {
        let mut changes = Vec::new();
        for (second, score) in (from..).zip(scores) {
            if let Some(News::Level(quality)) = judge.take(start + Duration::from_secs(second), *score, None)
            {
                changes.push((second, quality.level));
            }
        }
        changes
    }

    #[test]
    fn it_falls_soon_and_rises_slowly() {
        let (mut judge, start) = (Judge::default(), Instant::now());
        assert_eq!(levels(&mut judge, start, 0, &[95; 10]), [], "that is what everybody expects");
        assert_eq!(levels(&mut judge, start, 10, &[30; 10]), [(12, Level::Poor)]);
        assert_eq!(levels(&mut judge, start, 20, &[95; 30]), [(30, Level::Good)]);
    }

    #[test]
    fn scores_about_a_limit_change_nothing() {
        let (mut judge, start) = (Judge::default(), Instant::now());
        levels(&mut judge, start, 0, &[85; 5]);
        let mut second = 5;
        for _ in 0..50 {
            assert_eq!(levels(&mut judge, start, second, &[77, 83]), []);
            second += 2;
        }
        assert_eq!(levels(&mut judge, start, second, &[60, 90, 60, 90, 60, 90, 60]), [], "nor moments");
    }

    #[test]
    fn each_level_is_left_only_for_scores_clearly_beyond_its_limits() {
        for (level, scores) in [(Level::Good, 76..=100), (Level::Medium, 51..=83), (Level::Poor, 0..=58)] {
            for score in scores {
                let (mut judge, start) = (Judge::default(), Instant::now());
                let begin = match level {
                    Level::Good => 100,
                    Level::Medium => 70,
                    Level::Poor => 0,
                };
                levels(&mut judge, start, 0, &[begin; 2]);
                assert_eq!(levels(&mut judge, start, 2, &[score; 60]), [], "{level:?} {score}");
            }
        }
    }

    #[test]
    fn they_are_told_of_scores_that_differ() {
        let (mut judge, now) = (Judge::default(), Instant::now());
        assert!(judge.take(now, 90, None).is_some());
        assert_eq!(judge.take(now, 87, None), None);
        assert!(matches!(judge.take(now, 85, Some(Mos(400))), Some(News::Score(_))));
        assert_eq!(judge.quality().map(|quality| quality.mos), Some(Some(Mos(400))));
    }
}
