//! Completes timelines once everything is known: adds key frame requests with their answers, pictures that stood still,
//! and seconds with loss.

use super::model::{Blame, Entry, KeyframeRequest, Person, Second, Weight};
use super::time::Time;
use super::words;
use crate::core::command::MediaKind;

/// The fewest lost packets in a second that get a line.
const LOSS_PACKETS_MIN: u32 = 3;
/// The smallest part of a second's packets whose loss gets a line: 20 is a twentieth.
const LOSS_PART: u32 = 20;

/// Adds the entries that only the whole call shows, and sorts the timeline.
pub fn complete(person: &mut Person) {
    let mut entries = Vec::new();
    for published in &person.publishes {
        let source = words::source(published.source);
        keyframes(source, &published.keyframe_requests, &mut entries);
        for (at, lasted, lost, percent) in episodes(published.published.from, &published.seconds, true) {
            let text = format!(
                "{} of the {source} lost on the way to the server within {lasted} ({percent:.0} %)",
                words::packets(lost)
            );
            entries.push(Entry { at, kind: "loss-up", weight: Weight::Notable, text });
        }
    }
    for watched in &person.watches {
        let what = format!("{}'s {}", watched.of, words::source(watched.source));
        if let Some(after) = watched.first_after {
            let at = Time(watched.shown.from.0 + after.0);
            let first = if watched.source.kind() == MediaKind::Video { "sees" } else { "hears" };
            let text = format!("{first} {what}, {after} after subscribing");
            entries.push(Entry { at, kind: "first", weight: Weight::Plain, text });
        }
        for (at, lasted, lost, percent) in episodes(watched.shown.from, &watched.seconds, false) {
            let text = format!(
                "{} of {what} lost on the way from the server within {lasted} ({percent:.0} %)",
                words::packets(lost)
            );
            entries.push(Entry { at, kind: "loss-down", weight: Weight::Notable, text });
        }
        for freeze in &watched.freezes {
            let lasted = freeze.span.length();
            let ended = if freeze.ended { "" } else { " and did not move again" };
            let text = format!(
                "{what} stood still for {lasted}{ended}: {}. To blame: {}",
                freeze.why,
                blamed(freeze.blame, &watched.of, &person.name)
            );
            entries.push(Entry { at: freeze.span.from, kind: "freeze", weight: Weight::Trouble, text });
        }
    }
    person.timeline.append(&mut entries);
    person.timeline.sort_by_key(|entry| entry.at);
}

/// Returns what is to blame, in words.
pub fn blamed(blame: Blame, publisher: &str, receiver: &str) -> String {
    match blame {
        Blame::Publisher => format!("{publisher}'s sender"),
        Blame::PublisherUplink => format!("{publisher}'s uplink"),
        Blame::Server => "the server".to_owned(),
        Blame::SubscriberDownlink => format!("{receiver}'s downlink"),
    }
}

/// Adds requests for key frames. A request that was repeated because none came shares a line with the first.
fn keyframes(source: &str, requests: &[KeyframeRequest], entries: &mut Vec<Entry>) {
    let mut rest = requests;
    while let Some((first, behind)) = rest.split_first() {
        let again = behind.iter().take_while(|request| request.why.starts_with("again")).count();
        let times = match again {
            0 => String::new(),
            again => format!(" (asked {} times)", again + 1),
        };
        let answer = match first.answered {
            Some(after) => format!("it came after {after}"),
            None => "none came".to_owned(),
        };
        let text =
            format!("was asked for a key frame of the {source}, because {}{times}; {answer}", first.why);
        let is_trouble =
            first.why.contains("decode") || first.why.contains("lost") || first.answered.is_none();
        let weight = if is_trouble { Weight::Notable } else { Weight::Plain };
        entries.push(Entry { at: first.at, kind: "keyframe-request", weight, text });
        rest = behind.get(again..).unwrap_or_default();
    }
}

/// Returns the stretches of seconds with loss: when, how long, how many packets, and the percentage. With
/// `counts_arrivals`, the seconds count packets that arrived, so the lost ones have to be added for the total.
fn episodes(from: Time, seconds: &[Second], counts_arrivals: bool) -> Vec<(Time, Time, u64, f64)> {
    let first = from.0.as_secs();
    let all = |second: &Second| second.packets + if counts_arrivals { second.lost } else { 0 };
    let is_bad = |second: &Second| second.lost >= LOSS_PACKETS_MIN && second.lost * LOSS_PART >= all(second);
    let mut episodes = Vec::new();
    let mut index = 0;
    while index < seconds.len() {
        let length = seconds[index..].iter().take_while(|second| is_bad(second)).count();
        if length > 0 {
            let (mut lost, mut sent) = (0, 0);
            for second in &seconds[index..index + length] {
                lost += u64::from(second.lost);
                sent += u64::from(all(second));
            }
            let second = |count: u64| Time(std::time::Duration::from_secs(count));
            let at = second(first + index as u64).max(from);
            let percent = lost as f64 * 100.0 / sent.max(1) as f64;
            episodes.push((at, second(length as u64), lost, percent));
        }
        index += length.max(1);
    }
    episodes
}
