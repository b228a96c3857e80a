//! Whose fault it was that a picture stood still.

use super::model::Blame;
use super::outgoing::Stood;
use super::story::Someone;
use super::words::packets;

/// All that is known of a picture that stood still.
#[derive(Debug)]
pub struct Case<'a> {
    /// What the receiver got.
    pub stood: &'a Stood,
    /// Who watched.
    pub receiver: &'a Someone,
    /// Whom.
    pub publisher: &'a Someone,
    /// What, in words.
    pub source: &'a str,
    /// Packets of the track that came to the server meanwhile.
    pub came: u64,
    /// Packets of all of the publisher's tracks.
    pub came_of_any: u64,
}

/// Who is to blame, and why, in words; and whether the publisher just sent nothing.
pub fn judge(case: &Case<'_>) -> (Blame, String, bool) {
    let Case { stood, receiver, publisher, source, came, came_of_any } = case;
    let between = stood.between;
    let upstream = between.missing + between.overtaken;
    let end = if !stood.ended {
        ""
    } else if between.keyframe {
        "; a key frame ended it"
    } else {
        ""
    };
    if between.lost > 0 && between.lost >= upstream {
        let restored = match between.restored {
            0 => "and were not restored".to_owned(),
            all if all == between.lost => "and were restored by retransmission".to_owned(),
            some => format!("of which {some} were restored by retransmission"),
        };
        let lost = packets(between.lost);
        let why = format!("{lost} lost on the way from the server to {}, {restored}{end}", receiver.name);
        return (Blame::SubscriberDownlink, why, false);
    }
    if upstream > 0 {
        let restored = match between.overtaken {
            0 => "and were not restored".to_owned(),
            all if all == upstream => "and were restored by retransmission".to_owned(),
            some => format!("of which {some} were restored by retransmission"),
        };
        let why = format!(
            "{} lost on the way from {} to the server, {restored}{end}",
            packets(upstream),
            publisher.name
        );
        return (Blame::PublisherUplink, why, false);
    }
    if receiver.was_cut_off(stood.from, stood.until) {
        let why = format!("there was no way to {}: no connectivity check had come", receiver.name);
        return (Blame::SubscriberDownlink, why, false);
    }
    if *came > 0 {
        let why = format!(
            "{} of it came to the server meanwhile and could not be forwarded: it waited for a key frame{end}",
            packets(*came)
        );
        return (Blame::Server, why, false);
    }
    if *came_of_any == 0 || publisher.was_cut_off(stood.from, stood.until) {
        let why =
            format!("nothing at all came from {} meanwhile, and nothing was lost in between", publisher.name);
        return (Blame::PublisherUplink, why, true);
    }
    let why =
        format!("{}'s {source} sent nothing meanwhile, while other media of theirs came", publisher.name);
    (Blame::Publisher, why, true)
}
