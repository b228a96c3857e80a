//! Finds out what made a picture stand still, from what is known about both hops and the server.

use super::model::Blame;
use super::outgoing::Stood;
use super::someone::Someone;
use super::words::{packets, restored};

/// Everything that is known about a picture that stood still.
#[derive(Debug)]
pub struct Case<'a> {
    /// What the receiver got.
    pub stood: &'a Stood,
    /// The person who watched.
    pub receiver: &'a Someone,
    /// The person who was watched.
    pub publisher: &'a Someone,
    /// What the track shows, in words.
    pub source: &'a str,
    /// How many packets of the track came to the server meanwhile.
    pub came: u64,
    /// How many packets of all of the publisher's tracks came meanwhile.
    pub came_of_any: u64,
}

/// Returns what is to blame, the reason in words, and whether the publisher just sent nothing, as for a screen on which
/// nothing moves.
pub fn judge(case: &Case<'_>) -> (Blame, String, bool) {
    let Case { stood, receiver, publisher, source, came, came_of_any } = case;
    let between = stood.between;
    let upstream = between.missing + between.overtaken;
    let unrestored = between.lost > between.restored || between.missing > 0;
    let end = if stood.ended && between.keyframe && unrestored { "; a key frame ended it" } else { "" };
    // Loss is the best explanation. If both hops lost packets, the one that lost more is to blame.
    if between.lost > 0 && between.lost >= upstream {
        let restored = restored(between.lost, between.restored);
        let lost = packets(between.lost);
        let why = format!("{lost} lost on the way from the server to {}, {restored}{end}", receiver.name);
        return (Blame::SubscriberDownlink, why, false);
    }
    if upstream > 0 {
        let (lost, restored) = (packets(upstream), restored(upstream, between.overtaken));
        let why = format!("{lost} lost on the way from {} to the server, {restored}{end}", publisher.name);
        return (Blame::PublisherUplink, why, false);
    }
    if receiver.was_cut_off(stood.from, stood.until) {
        let why = format!("there was no way to {}: no connectivity check had come", receiver.name);
        return (Blame::SubscriberDownlink, why, false);
    }
    // Nothing was lost and packets came, so the server did not forward them.
    if *came > 0 {
        let came = packets(*came);
        let what = if between.keyframe { "waited there for a key frame" } else { "were held there" };
        let why = format!("{came} of it came to the server meanwhile and {what}{end}");
        return (Blame::Server, why, false);
    }
    // A client whose page is closed stops sending before it leaves.
    if !stood.ended && publisher.had_left(stood.until) {
        let why = format!("{} sent nothing more before leaving", publisher.name);
        return (Blame::Publisher, why, true);
    }
    // Reports show that the path was open although no media came.
    let was_heard = publisher.was_heard(stood.from, stood.until);
    let publisher = &publisher.name;
    if !stood.ended && *came_of_any == 0 && !was_heard {
        return (Blame::PublisherUplink, format!("nothing came from {publisher} any more"), true);
    }
    // Pictures that were captured in quick succession but came late were delayed on their way.
    if stood.ended && stood.media < stood.until.since(stood.from).0 / 2 {
        let why = format!("what {publisher} sent meanwhile came to the server late, all at once");
        return (Blame::PublisherUplink, why, false);
    }
    let why = if *came_of_any == 0 {
        format!("{publisher} sent no media meanwhile")
    } else {
        format!("{publisher}'s {source} sent nothing meanwhile, while other media of theirs came")
    };
    (Blame::Publisher, why, true)
}
