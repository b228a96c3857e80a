//! Checks what people say to each other, by signalling and on data channels: all others who are there are told it, once, in
//! order and of nobody who may not say anything.

use std::collections::BTreeMap;

use super::Oracle;
use crate::core::channels::ChannelRequest;
use crate::core::data::{DataPayload, write_frame};
use crate::core::ids::ParticipantId;
use crate::sim::network::Micros;

/// The topic of what is said on data channels. It overtakes what is said by signalling.
pub const ON_CHANNEL: &str = "on-channel";

/// A message that reached the server in this pass, and to whom it was passed on.
#[derive(Debug)]
struct Word {
    session: u64,
    topic: String,
    number: u64,
    told: Vec<u64>,
    /// Whether it is certain that it had to be passed on.
    is_due: bool,
}

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// In this pass.
    said: Vec<Word>,
    /// The last message that somebody was told of somebody about a topic.
    last: BTreeMap<(u64, ParticipantId, String), u64>,
    /// Since when somebody may say nothing.
    silent: BTreeMap<u64, Micros>,
    /// How much people have said on data channels.
    on_channels: BTreeMap<u64, u64>,
}

/// Returns the number that is in a message.
pub(super) fn number_of(payload: &DataPayload) -> u64 {
    match payload {
        DataPayload::Json(text) => number_in(text),
        _ => 0,
    }
}

fn number_in(text: &str) -> u64 {
    let digits = text.trim_matches('"').strip_prefix("hello ");
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

impl Oracle {
    /// Returns the number of the next message that somebody says on their data channel.
    pub fn next_word(&mut self, session: u64) -> u64 {
        let said = self.words.on_channels.entry(session).or_default();
        *said += 1;
        *said
    }

    /// Notes that somebody may send messages to others, or no longer.
    pub fn may_say(&mut self, now: Micros, session: u64, may: bool) {
        self.touch(session);
        if may {
            self.words.silent.remove(&session);
        } else {
            self.words.silent.entry(session).or_insert(now);
        }
    }

    /// Notes that a message of somebody's has reached the server.
    pub fn fed_words(&mut self, _now: Micros, session: u64, topic: &str, number: u64) {
        let Some(member) = self.members.get(&session) else { return };
        let is_due = !member.touched && !member.gone && !self.words.silent.contains_key(&session);
        let topic = topic.to_owned();
        self.words.said.push(Word { session, topic, number, told: Vec::new(), is_due });
    }

    /// Checks what somebody is told that somebody else has said.
    pub(super) fn told_words(
        &mut self,
        now: Micros,
        session: u64,
        (from, topic): (ParticipantId, &str),
        number: u64,
    ) {
        let (who, sender) =
            (self.who(session), self.members.iter().find(|(_, member)| member.id == Some(from)));
        let Some(sender) = sender.map(|(session, _)| *session) else { return };
        let whose = self.who(sender);
        if self.words.silent.get(&sender).is_some_and(|since| *since < now) {
            self.complain(now, format!("{who} is told what {whose} says, who may not"));
        }
        let last = self.words.last.insert((session, from, topic.to_owned()), number);
        if let Some(last) = last.filter(|last| *last >= number) {
            self.complain(now, format!("{who} is told message {number} of {whose} after message {last}"));
        }
        let is_it = |word: &&mut Word| word.session == sender && word.topic == topic && word.number == number;
        match self.words.said.iter_mut().find(is_it) {
            Some(word) => word.told.push(session),
            None => self.complain(now, format!("{who} is told what {whose} has not said just now")),
        }
    }

    /// Takes what is sent on somebody's data channel.
    pub fn on_channel(&mut self, now: Micros, session: u64, request: &ChannelRequest) {
        let ChannelRequest::Send { bytes, .. } = request else { return };
        let ids = self.members.values().filter_map(|member| member.id);
        let topics = ["greeting", ON_CHANNEL];
        let text = String::from_utf8_lossy(bytes);
        let number = text.rfind("\"hello ").map_or(0, |place| number_in(&text[place..]));
        let payload = DataPayload::from(format!("\"hello {number}\"").as_str());
        let is_of =
            |from, topic| write_frame(Some(from), topic, &payload).is_some_and(|frame| frame == *bytes);
        let found =
            ids.flat_map(|from| topics.map(|topic| (from, topic))).find(|(from, topic)| is_of(*from, topic));
        match found {
            Some(said) => self.told_words(now, session, said, number),
            None => {
                let who = self.who(session);
                self.complain(now, format!("{who} is sent on a data channel what nobody has said"));
            }
        }
    }

    /// Checks at the end of a pass that everybody was told what was said.
    pub(super) fn check_words(&mut self, now: Micros) {
        for word in std::mem::take(&mut self.words.said) {
            if !word.is_due || self.is_gone(word.session) {
                continue;
            }
            let is_owed = |(session, member): &(&u64, &super::Member)| {
                let is_there = member.is_online && !member.gone && !member.touched && !member.left;
                **session != word.session && is_there && !word.told.contains(session)
            };
            if let Some(session) = self.members.iter().find(is_owed).map(|(session, _)| *session) {
                let (who, whose) = (self.who(session), self.who(word.session));
                self.complain(now, format!("{who} is not told message {} of {whose}", word.number));
            }
        }
    }
}
