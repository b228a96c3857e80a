//! Explains why a publisher was asked for a key frame, from what happened to the viewers.

use super::model::KeyframeRequest;
use super::time::Time;
use super::words;

/// Something for which a key frame is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Somebody began to watch.
    Begins(String),
    /// A viewer asked, because they could not decode what they got.
    Asked(String),
    /// A viewer can be reached again.
    Back(String),
    /// A viewer's signalling is back, perhaps in a page that was loaded anew.
    SignallingBack(String),
    /// Somebody resumed what they had paused.
    Resumed(String),
    /// This many packets are missing on the way from the publisher.
    Gap(u64),
    /// The publisher unmuted the track.
    Unmuted,
    /// Another encoding is forwarded from now on.
    Encoding,
}

impl Reason {
    fn words(&self) -> String {
        match self {
            Self::Begins(name) => format!("{name} began to watch"),
            Self::Asked(name) => format!("{name} could not decode the picture and asked"),
            Self::Back(name) => format!("{name} could be reached again"),
            Self::SignallingBack(name) => format!("{name}'s signalling came back"),
            Self::Resumed(name) => format!("{name} resumed watching"),
            Self::Gap(1) => "a packet was lost on the way from the publisher".to_owned(),
            Self::Gap(lost) => format!("{} were lost on the way from the publisher", words::packets(*lost)),
            Self::Unmuted => "the publisher unmuted".to_owned(),
            Self::Encoding => "another encoding of the picture is forwarded".to_owned(),
        }
    }
}

/// Requests for key frames of one track.
#[derive(Debug, Default)]
pub struct KeyframeRequests {
    /// The reasons since the last request.
    reasons: Vec<Reason>,
    /// The index in `requests` of the first one that no key frame has answered yet.
    unanswered: usize,
    /// All requests that were made, in order.
    pub requests: Vec<KeyframeRequest>,
    /// Key frames that came.
    pub keyframes: u64,
    last_keyframe: Option<(Time, u32)>,
}

impl KeyframeRequests {
    /// Notes that something happened for which a key frame is needed.
    pub fn needed(&mut self, reason: Reason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Notes that the publisher was asked, at a time when `missing` of their packets had not come.
    pub fn asked(&mut self, at: Time, missing: u64) {
        // A gap counts as the reason only if there is no other: packets are often missing, and most of them come again.
        if missing > 0 && self.reasons.is_empty() && self.unanswered == self.requests.len() {
            self.reasons.push(Reason::Gap(missing));
        }
        let why = if !self.reasons.is_empty() {
            let reasons: Vec<String> = self.reasons.drain(..).map(|reason| reason.words()).collect();
            reasons.join("; ")
        } else if self.unanswered < self.requests.len() {
            "again, because none has come".to_owned()
        } else {
            "packets were lost for good, or the stream changed".to_owned()
        };
        self.requests.push(KeyframeRequest { at, why, answered: None });
    }

    /// Notes a packet in which a key frame begins. Several packets of one picture count as one key frame.
    pub fn came(&mut self, at: Time, timestamp: u32) {
        if self.last_keyframe.is_some_and(|(_, last)| last == timestamp) {
            return;
        }
        self.last_keyframe = Some((at, timestamp));
        self.keyframes += 1;
        self.reasons.clear();
        // One key frame answers everybody who has asked, however often.
        let unanswered = self.requests.get_mut(self.unanswered..).unwrap_or_default();
        for request in unanswered {
            request.answered = Some(at.since(request.at));
        }
        self.unanswered = self.requests.len();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_request_has_its_reason_and_how_long_the_answer_took() {
        let at = |millis| Time(Duration::from_millis(millis));
        let mut keyframes = KeyframeRequests::default();
        keyframes.needed(Reason::Begins("Ben".to_owned()));
        keyframes.needed(Reason::Begins("Ben".to_owned()));
        keyframes.needed(Reason::Unmuted);
        keyframes.asked(at(100), 0);
        keyframes.asked(at(300), 0);
        keyframes.came(at(350), 7);
        keyframes.came(at(351), 7);
        keyframes.asked(at(900), 2);
        let told: Vec<_> =
            keyframes.requests.iter().map(|request| (request.why.as_str(), request.answered)).collect();
        assert_eq!(
            told,
            [
                ("Ben began to watch; the publisher unmuted", Some(at(250))),
                ("again, because none has come", Some(at(50))),
                ("2 packets were lost on the way from the publisher", None),
            ]
        );
        assert_eq!(keyframes.keyframes, 1);
    }
}
