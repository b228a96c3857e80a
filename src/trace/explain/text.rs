//! The explanation as text, for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::model::{Entry, Explanation, Hop, Person, Published, Server, Watched, Weight};
use super::time::{Time, date};
use super::timeline::blamed;
use super::words;

/// How much time around a moment is shown with it.
const AROUND: Duration = Duration::from_secs(5);

/// How many tracks that stood still the summary lists.
const STOOD_MAX: usize = 12;
/// How many of the viewers who saw it are named.
const VIEWERS_NAMED: usize = 4;

/// Returns a moment of the call as minutes, seconds and milliseconds.
pub fn clock(at: Time) -> String {
    let millis = at.0.as_millis();
    format!("{}:{:02}.{:03}", millis / 60_000, millis / 1000 % 60, millis % 1000)
}

/// Returns what became of packets on a hop, in words.
fn losses(hop: &Hop) -> String {
    if hop.lost == 0 {
        return format!("{}, none lost", words::packets(hop.packets));
    }
    let restored = words::restored(hop.lost, hop.restored);
    format!("{}, {} lost ({:.1} %), {restored}", words::packets(hop.packets), hop.lost, hop.percent())
}

/// Returns the whole explanation as text, or the part about one moment.
pub fn render(explanation: &Explanation, moment: Option<Time>) -> String {
    let mut out = String::new();
    // Writing into a string cannot fail.
    let _ = head(explanation, &mut out);
    let _ = match moment {
        Some(moment) => explanation.participants.iter().try_for_each(|person| at(person, moment, &mut out)),
        None => summary(explanation, &mut out)
            .and_then(|()| explanation.participants.iter().try_for_each(|person| whole(person, &mut out))),
    };
    out
}

fn head(explanation: &Explanation, out: &mut String) -> std::fmt::Result {
    let Explanation { room, build, call_time, .. } = explanation;
    let began = date(explanation.began);
    writeln!(out, "Room {room}, from {began}, for {}; recorded by Strait {build}", clock(*call_time))?;
    if explanation.stripped {
        writeln!(out, "The trace is stripped of media and keys.")?;
    }
    writeln!(out, "The trace's end: {}", explanation.ending)
}

/// A track that stood still in the same way for several viewers, who share a line.
#[derive(Default)]
struct Stood<'a> {
    viewers: Vec<&'a str>,
    /// How often it stood still for the viewer for whom it did so for longest.
    times: usize,
    /// For how long in all, for that viewer.
    lasted: Time,
    /// What was to blame and for how long, for that viewer.
    blames: BTreeMap<String, Duration>,
}

impl Stood<'_> {
    fn line(&self, of: &str, source: &str) -> String {
        let times = words::count(self.times as u64, "time", "times");
        // Only for a single viewer are the times by blame shown.
        if let [viewer] = self.viewers[..] {
            let by = self.blames.iter().map(|(who, lasted)| format!("{who} {}", Time(*lasted)));
            let by = by.collect::<Vec<_>>().join(", ");
            return format!(
                "{viewer} saw {of}'s {source} stand still {times}, {} in all; to blame: {by}",
                self.lasted
            );
        }
        let (named, more) = self.viewers.split_at(self.viewers.len().min(VIEWERS_NAMED));
        let more = match more.len() as u64 {
            0 => String::new(),
            more => format!(" and {}", words::count(more, "other", "others")),
        };
        let by = self.blames.keys().cloned().collect::<Vec<_>>().join(", ");
        let named = named.join(", ");
        format!(
            "{named}{more} saw {of}'s {source} stand still, {times} and {} at most; to blame: {by}",
            self.lasted
        )
    }
}

/// Returns a line for each track that stood still: its publisher, its viewers, and what was to blame.
fn stood(explanation: &Explanation) -> Vec<String> {
    let mut groups: BTreeMap<(&str, &str, Vec<String>), Stood<'_>> = BTreeMap::new();
    for person in &explanation.participants {
        for watched in person.watches.iter().filter(|watched| !watched.freezes.is_empty()) {
            let mut blames: BTreeMap<String, Duration> = BTreeMap::new();
            for freeze in &watched.freezes {
                *blames.entry(blamed(freeze.blame, &watched.of, &person.name)).or_default() +=
                    freeze.span.length().0;
            }
            let names = blames.keys().cloned().collect();
            let group = groups.entry((&watched.of, words::source(watched.source), names)).or_default();
            group.viewers.push(&person.name);
            if still(watched) > group.lasted {
                (group.times, group.lasted, group.blames) = (watched.freezes.len(), still(watched), blames);
            }
        }
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.lasted));
    let more = groups.len().saturating_sub(STOOD_MAX);
    let mut lines: Vec<String> =
        groups.iter().take(STOOD_MAX).map(|((of, source, _), group)| group.line(of, source)).collect();
    if more > 0 {
        lines.push(format!("{} stood still too, for shorter.", words::count(more as u64, "other", "others")));
    }
    lines
}

/// Returns a summary of what went wrong. It begins with the pictures that stood still, longest first.
pub fn short(explanation: &Explanation) -> Vec<String> {
    let mut lines = stood(explanation);
    if lines.is_empty() {
        lines.push("No picture stood still.".to_owned());
    }
    for person in &explanation.participants {
        lines.extend(unreached(person));
        for (hop, way) in [(&person.uplink, "to the server"), (&person.downlink, "from the server")] {
            if hop.lost > 0 {
                lines.push(format!("{}, on the way {way}: {}", person.name, losses(hop)));
            }
        }
    }
    lines.extend(server(explanation));
    lines
}

/// Returns a line that says when nothing could be sent to somebody; `None` if they could always be reached.
fn unreached(person: &Person) -> Option<String> {
    let gaps = person.routes.iter().filter(|route| route.by.is_none());
    let gaps: Vec<String> =
        gaps.map(|gap| format!("{} to {}", clock(gap.span.from), clock(gap.span.to))).collect();
    (!gaps.is_empty()).then(|| format!("{} could not be reached: {}", person.name, gaps.join(", ")))
}

fn server(explanation: &Explanation) -> Vec<String> {
    let server = &explanation.server;
    let mut lines = Vec::new();
    match server.held.first() {
        None => lines
            .push("The server forwarded every packet in the pass of its loop in which it came.".to_owned()),
        Some(_) => lines.extend(
            server
                .held
                .iter()
                .map(|gap| format!("The server: {} for {}, until {}", gap.what, gap.lasted, clock(gap.at))),
        ),
    }
    match server.late.first() {
        None => lines.push("The server was never late for a deadline.".to_owned()),
        Some(_) => {
            let late = server.late.iter().map(|gap| format!("{} at {}", gap.lasted, clock(gap.at)));
            lines.push(format!(
                "The server, or its machine, was busy: most late for a deadline by {}",
                late.collect::<Vec<_>>().join(", ")
            ));
        }
    }
    if !server.woken.is_empty() {
        lines.push(woken(server));
    }
    if server.not_repeated > 0 {
        let packets = words::packets(server.not_repeated);
        lines.push(format!(
            "The server did not send {packets} again that were asked for, because it no longer had them."
        ));
    }
    lines
}

/// Returns how often the server was woken for this room, and for what.
fn woken(server: &Server) -> String {
    let times: u64 = server.woken.iter().map(|woken| woken.times).sum();
    let in_vain: u64 = server.woken.iter().map(|woken| woken.in_vain).sum();
    let reasons = server.woken.iter().map(|woken| format!("{} for {}", woken.times, woken.what));
    let mut line = format!(
        "The server was woken {} for this room: {}",
        words::count(times, "time", "times"),
        reasons.collect::<Vec<_>>().join(", ")
    );
    if in_vain > 0 {
        let _ = write!(line, "; {in_vain} of these in vain, because what was to happen had been put off");
    }
    line
}

fn summary(explanation: &Explanation, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nIn short")?;
    short(explanation).iter().try_for_each(|line| writeln!(out, "  {line}"))
}

fn still(watched: &Watched) -> Time {
    Time(watched.freezes.iter().map(|freeze| freeze.span.length().0).sum())
}

/// Returns a published track in words, with what became of its packets on their way to the server.
pub fn sent(published: &Published) -> String {
    let codec = published.codec.as_deref().unwrap_or("nothing came");
    let mut text = format!("{} ({codec}): {}", words::source(published.source), losses(&published.hop));
    if published.keyframes > 0 {
        let keyframes = words::count(published.keyframes, "key frame", "key frames");
        let _ = write!(text, "; {keyframes}, {} asked for", published.keyframe_requests.len());
    }
    text
}

/// Returns a watched track in words, with what became of its packets on their way to the receiver.
pub fn received(watched: &Watched) -> String {
    let what = format!("{}'s {}", watched.of, words::source(watched.source));
    let mut text = format!("{what}: {}", losses(&watched.hop));
    if watched.missed_upstream > 0 {
        let missed = words::packets(watched.missed_upstream);
        let _ = write!(text, "; {missed} asked for that had not come to the server either");
    }
    if !watched.freezes.is_empty() {
        let times = words::count(watched.freezes.len() as u64, "time", "times");
        let _ = write!(text, "; stood still {times}, {} in all", still(watched));
    }
    text
}

fn title(person: &Person, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\n{} ({})", person.name, person.id)
}

fn entry(entry: &Entry, out: &mut String) -> std::fmt::Result {
    let mark = match entry.weight {
        Weight::Plain => ' ',
        Weight::Notable => '·',
        Weight::Trouble => '!',
    };
    writeln!(out, "  {mark} {:>9}  {}", clock(entry.at), entry.text)
}

fn whole(person: &Person, out: &mut String) -> std::fmt::Result {
    title(person, out)?;
    person.publishes.iter().try_for_each(|published| writeln!(out, "  sent      {}", sent(published)))?;
    person.watches.iter().try_for_each(|watched| writeln!(out, "  received  {}", received(watched)))?;
    person.timeline.iter().try_for_each(|line| entry(line, out))
}

/// Writes how somebody was at a moment, and what happened around it.
fn at(person: &Person, moment: Time, out: &mut String) -> std::fmt::Result {
    title(person, out)?;
    if !person.present.holds(moment) && person.present.to != moment {
        return writeln!(out, "  was not there at {}", clock(moment));
    }
    let route = person.routes.iter().rev().find(|route| route.span.from <= moment);
    let reached = match route.map(|route| (route.by, route.address.as_deref().unwrap_or_default())) {
        None => "was not connected yet".to_owned(),
        Some((None, _)) => "could not be reached".to_owned(),
        Some((Some(by), address)) => format!("was reached by {}, {address}", words::carrier(by)),
    };
    writeln!(out, "  at {}: {reached}", clock(moment))?;
    for published in person.publishes.iter().filter(|published| published.published.holds(moment)) {
        let how = if published.muted.iter().any(|span| span.holds(moment)) { "muted" } else { "on" };
        writeln!(out, "  sent      {}, {how}", words::source(published.source))?;
    }
    for watched in person.watches.iter().filter(|watched| watched.shown.holds(moment)) {
        let freeze = watched.freezes.iter().find(|freeze| freeze.span.holds(moment));
        let is_paused = watched.paused.iter().any(|span| span.holds(moment));
        let how = match freeze {
            Some(freeze) => format!("standing still for {} by then", moment.since(freeze.span.from)),
            None if is_paused => "paused".to_owned(),
            None => "flowing, as far as the trace tells".to_owned(),
        };
        writeln!(out, "  received  {}'s {}, {how}", watched.of, words::source(watched.source))?;
    }
    let (from, to) = (Time(moment.0.saturating_sub(AROUND)), Time(moment.0.saturating_add(AROUND)));
    let near = person.timeline.iter().filter(|entry| from <= entry.at && entry.at <= to);
    near.into_iter().try_for_each(|line| entry(line, out))
}
