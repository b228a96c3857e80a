//! The front end of the native protocol: what one WebSocket remembers, from its opening to its end. Its connection holds
//! it, moves the bytes, and carries out what it returns.

use std::collections::BTreeSet;
use std::time::Instant;

use super::head::{Head, Kind};
use super::{
    ClientMessage, Close, ServerFacts, encode_event, encode_pong, encode_refusal, is_fatal, parse, refusals,
};
use crate::core::command::{Command, Layout, Lifeline, MeshCommand, PublicationRequest, Source};
use crate::core::event::{ClosingReason, Event, LeaveReason, Refusal, RefusalCode};
use crate::core::ids::{Mid, ParticipantId, RequestId};
use crate::limits::{
    DATA_BYTES_PER_RECIPIENT, FAULTS_MAX, FAULTS_PER_SECOND, MESH_SIGNALS_AT_ONCE, MESH_SIGNALS_PER_SECOND,
    PREFERENCES_PER_MESSAGE, RECIPIENTS_PER_MESSAGE,
};
use crate::signal::allowance::Allowance;
use crate::signal::{Demand, Ticket};

/// What one client may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message, in bytes. The connection enforces it.
    pub message_bytes_max: usize,
    /// Messages a second in the long run.
    pub messages_per_second: u32,
    /// Messages at once.
    pub messages_burst: u32,
    /// Offers a second in the long run: each is work for milliseconds, and news for the whole room.
    pub offers_per_second: u32,
    /// Offers at once.
    pub offers_burst: u32,
}

/// What all connections of one identity may send together.
#[derive(Debug)]
pub struct SharedAllowance {
    /// Their messages.
    pub messages: Allowance,
    /// Their offers.
    pub offers: Allowance,
}

impl SharedAllowance {
    /// Returns whether nothing was sent lately.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.messages.is_full(now) && self.offers.is_full(now)
    }
}

/// What to do after a client's message or one of the core's events.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reaction {
    /// Hand this to the core.
    pub demand: Option<Demand>,
    /// Send this text to the client.
    pub say: Option<String>,
    /// Close the connection for this reason, after the text.
    pub close: Option<Close>,
    /// Why the client's message was refused, for the log; the client reads it in `say`.
    pub refused: Option<Refusal>,
    /// Whether the message broke the rules.
    pub is_fault: bool,
}

/// One client of the native protocol.
#[derive(Debug)]
pub struct FrontEnd {
    limits: Limits,
    messages: Allowance,
    offers: Allowance,
    /// What the client may say to others so that they find direct paths: much at once, when many come together.
    signals: Allowance,
    /// How often the client may still break the rules before it is cut.
    faults: Allowance,
    /// How many others are in the room, to whom a message to all is sent.
    others: usize,
    /// What the client's last offer published, by section.
    published: BTreeSet<(Mid, Source)>,
    /// Whether the core has heard of this connection, and must hear of its end.
    is_known_to_core: bool,
    has_joined: bool,
    /// Who the client is by their token, since they have joined.
    identity: Option<String>,
}

impl FrontEnd {
    /// Begins with a client that has said nothing yet.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            messages: Allowance::new(limits.messages_per_second, limits.messages_burst, now),
            offers: Allowance::new(limits.offers_per_second, limits.offers_burst, now),
            signals: Allowance::new(MESH_SIGNALS_PER_SECOND, MESH_SIGNALS_AT_ONCE, now),
            faults: Allowance::new(FAULTS_PER_SECOND, FAULTS_MAX, now),
            others: 0,
            published: BTreeSet::new(),
            is_known_to_core: false,
            has_joined: false,
            identity: None,
        }
    }

    /// Returns who the client is by their token; `None` if they have none, or have not joined.
    pub fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Returns whether the core has heard of this connection.
    pub fn has_spoken(&self) -> bool {
        self.is_known_to_core
    }

    /// Returns whether somebody has joined by this connection.
    pub fn has_joined(&self) -> bool {
        self.has_joined
    }

    /// Takes one of the client's text messages.
    pub fn receive(&mut self, now: Instant, text: &str) -> Reaction {
        self.receive_of(now, text, None)
    }

    /// Takes one of the client's text messages, which also counts for all connections of their identity, if they have one.
    pub fn receive_of(
        &mut self,
        now: Instant,
        text: &str,
        mut all: Option<&mut SharedAllowance>,
    ) -> Reaction {
        let head = Head::read(text);
        // Taken before anything else is read. A message that cannot be read costs as much as another.
        let is_taken = match head.kind {
            Kind::Signal => self.signals.take(now, 1.0),
            Kind::Offer | Kind::Other => self.take_messages(now, 1.0, all.as_deref_mut()),
        };
        if !is_taken {
            return self.fault(now, head.request.as_ref(), self.too_many_messages());
        }
        if head.kind == Kind::Offer && !self.take_offer(now, all.as_deref_mut()) {
            return self.fault(now, head.request.as_ref(), self.too_many_offers());
        }
        let message = match parse(text) {
            Ok(message) => message,
            Err((request, refusal)) => return self.fault(now, request.as_ref(), refusal),
        };
        if let ClientMessage::Command { request, command } = &message
            && let Err(refusal) = self.take_cost(now, command, head.kind, all)
        {
            return self.fault(now, request.as_ref(), refusal);
        }
        let demand = match message {
            ClientMessage::Ping { request } => {
                return Reaction { say: Some(encode_pong(request.as_ref())), ..Reaction::default() };
            }
            ClientMessage::Join { request, room, name, auto_subscribe, token, can_mesh } => Demand::Join {
                request,
                room,
                name,
                auto_subscribe,
                lifeline: Lifeline::Signalling,
                layout: Layout::Slots,
                ticket: Ticket::Token(token),
                can_mesh,
            },
            ClientMessage::Resume { request, resume } => Demand::Resume { request, resume },
            ClientMessage::Command { request, command } => Demand::Command { request, command },
        };
        self.is_known_to_core = true;
        Reaction { demand: Some(demand), ..Reaction::default() }
    }

    /// Takes from the allowances what a command costs beyond one message: offers have an allowance of their own, and
    /// messages to many cost more. `charged` is what it was taken for before.
    fn take_cost(
        &mut self,
        now: Instant,
        command: &Command,
        charged: Kind,
        mut all: Option<&mut SharedAllowance>,
    ) -> Result<(), Refusal> {
        // An offer can be written in such a way that only parsing tells what it is, with escapes or two types.
        let is_offer = matches!(command, Command::Offer { .. });
        if is_offer && charged != Kind::Offer && !self.take_offer(now, all.as_deref_mut()) {
            return Err(self.too_many_offers());
        }
        // The same the other way round: what was taken for a signal and is none.
        let is_signal = matches!(command, Command::Mesh(MeshCommand::Signal { .. }));
        if charged == Kind::Signal && !is_signal && !self.take_messages(now, 1.0, all.as_deref_mut()) {
            return Err(self.too_many_messages());
        }
        let publishes = match command {
            Command::Offer { publications, .. } => Some(sections_of(publications)),
            _ => None,
        };
        // Each track that comes or goes is news for all others.
        let changed =
            publishes.iter().map(|published| published.symmetric_difference(&self.published).count()).sum();
        let told = match command {
            Command::Offer { .. } => self.others.saturating_mul(changed),
            Command::Mute { .. } | Command::Moderate(_) | Command::Mesh(MeshCommand::Tracks(_)) => {
                self.others
            }
            Command::UpdateProfile(change) => {
                self.others * change.bytes().div_ceil(DATA_BYTES_PER_RECIPIENT).max(1)
            }
            Command::Data { to, payload, .. } => {
                let recipients = to.as_ref().map_or(self.others, |to| to.len().min(self.others));
                recipients * payload.bytes().div_ceil(DATA_BYTES_PER_RECIPIENT).max(1)
            }
            _ => 0,
        };
        let stated = if let Command::Prefer(preferences) = command { preferences.len() } else { 0 };
        let more = told / RECIPIENTS_PER_MESSAGE + stated / PREFERENCES_PER_MESSAGE;
        if more > 0 && !self.take_messages(now, more as f64, all) {
            return Err(self.too_many_messages());
        }
        if let Some(published) = publishes {
            self.published = published;
        }
        Ok(())
    }

    fn take_messages(&mut self, now: Instant, cost: f64, all: Option<&mut SharedAllowance>) -> bool {
        self.messages.take(now, cost) && all.is_none_or(|all| all.messages.take(now, cost))
    }

    fn take_offer(&mut self, now: Instant, all: Option<&mut SharedAllowance>) -> bool {
        self.offers.take(now, 1.0) && all.is_none_or(|all| all.offers.take(now, 1.0))
    }

    fn too_many_messages(&self) -> Refusal {
        refusals::rate_limited(self.limits.messages_per_second as usize)
    }

    fn too_many_offers(&self) -> Refusal {
        refusals::offers_too_fast(self.limits.offers_per_second)
    }

    /// Refuses a message that breaks the rules. A client that goes on breaking them is disconnected, because an answer
    /// costs more than its message.
    fn fault(&mut self, now: Instant, request: Option<&RequestId>, refusal: Refusal) -> Reaction {
        if self.faults.take(now, 1.0) {
            return Reaction { is_fault: true, ..refuse(request, refusal) };
        }
        let say = Some(encode_refusal(request, &refusal, true));
        Reaction { say, close: Some(Close::Refused), refused: Some(refusal), demand: None, is_fault: true }
    }

    /// Refuses a long message without parsing it, because clients of its address have sent too many bytes.
    pub fn refuse_long(&mut self, now: Instant, text: &str) -> Reaction {
        self.fault(now, Head::read(text).request.as_ref(), refusals::messages_too_long())
    }

    /// Refuses a join or a resume that was taken, because there were too many of its address, or because nothing lets its
    /// sender in.
    pub fn refuse_join(&mut self, now: Instant, request: Option<&RequestId>, refusal: Refusal) -> Reaction {
        self.fault(now, request, refusal)
    }

    /// Refuses a binary message, which the protocol does not have.
    pub fn refuse_binary(&mut self, now: Instant) -> Reaction {
        self.fault(now, None, refusals::binary_message())
    }

    /// Takes a ping or a pong of the WebSocket itself, which counts as a message. It is answered already.
    pub fn receive_control(&mut self, now: Instant) -> Reaction {
        if self.messages.take(now, 1.0) || self.faults.take(now, 1.0) {
            return Reaction::default();
        }
        self.fault(now, None, self.too_many_messages())
    }

    /// Refuses a message over the limit, and ends the connection, because the next message cannot be found.
    pub fn refuse_too_large(&self) -> Reaction {
        refuse(None, refusals::message_too_large(self.limits.message_bytes_max))
    }

    /// Takes one of the core's events. `server` goes into the reply to a join or resume.
    pub fn event(&mut self, event: &Event, server: ServerFacts<'_>) -> Reaction {
        self.told(event, encode_event(event, server))
    }

    /// Takes an event of the core's that has been put into words.
    pub fn told(&mut self, event: &Event, say: String) -> Reaction {
        match event {
            // Whoever waits to be let in has nothing to say, as whoever has joined.
            Event::Joined(..) | Event::Resumed(..) | Event::Waiting(_) => self.has_joined = true,
            Event::Refused(_, refusal)
                if matches!(refusal.code, RefusalCode::TurnedAway | RefusalCode::NobodyAnswered) =>
            {
                self.has_joined = false;
            }
            _ => {}
        }
        if let Event::Joined(_, joined) = event {
            self.identity.clone_from(&joined.profile.identity);
        } else if let Event::Resumed(_, resumed) = event {
            self.identity.clone_from(&resumed.joined.profile.identity);
        }
        match event {
            Event::Joined(_, joined) => self.others = joined.participants.len(),
            Event::Resumed(_, resumed) => self.others = resumed.joined.participants.len(),
            Event::ParticipantJoined(_) => self.others += 1,
            Event::ParticipantLeft(..) => self.others = self.others.saturating_sub(1),
            _ => {}
        }
        let close = match event {
            Event::Refused(_, refusal) => is_fatal(refusal.code).then(|| close_of(refusal.code)),
            Event::Closing(ClosingReason::Gone(LeaveReason::Shutdown)) => Some(Close::GoingAway),
            Event::Closing(ClosingReason::Gone(LeaveReason::Error)) => Some(Close::Refused),
            Event::Closing(_) | Event::Left(_) => Some(Close::Normal),
            _ => None,
        };
        // After `Closing` and `Left` the core has forgotten the connection; after a refusal it has not.
        if close.is_some() && !matches!(event, Event::Refused(..)) {
            self.is_known_to_core = false;
        }
        Reaction { say: Some(say), close, ..Reaction::default() }
    }

    /// Takes the client's goodbye with its close code: 1000 and 1001 mean that the person left.
    pub fn goodbye(&mut self, code: Option<u16>) -> Option<Demand> {
        let lost = self.lost()?;
        let has_left = matches!(code, Some(1000 | 1001));
        Some(if has_left { Demand::Command { request: None, command: Command::Leave } } else { lost })
    }

    /// Notes that the connection has ended. Returns what the core must hear, if it knows the connection.
    pub fn lost(&mut self) -> Option<Demand> {
        std::mem::take(&mut self.is_known_to_core).then_some(Demand::ConnectionLost)
    }
}

/// Returns the participant who joins or resumes by this event; `None` if nobody does. They are told the TURN servers.
pub fn entered(event: &Event) -> Option<ParticipantId> {
    match event {
        Event::Joined(_, joined) => Some(joined.participant),
        Event::Resumed(_, resumed) => Some(resumed.joined.participant),
        _ => None,
    }
}

/// Returns which sections an offer publishes, and as what.
fn sections_of(publications: &[PublicationRequest]) -> BTreeSet<(Mid, Source)> {
    publications.iter().map(|publication| (publication.mid, publication.source)).collect()
}

fn refuse(request: Option<&RequestId>, refusal: Refusal) -> Reaction {
    let is_fatal = is_fatal(refusal.code);
    let say = encode_refusal(request, &refusal, is_fatal);
    let close = is_fatal.then(|| close_of(refusal.code));
    Reaction { say: Some(say), close, refused: Some(refusal), demand: None, is_fault: false }
}

fn close_of(code: RefusalCode) -> Close {
    match code {
        RefusalCode::MessageTooLarge => Close::TooLarge,
        RefusalCode::ShuttingDown => Close::GoingAway,
        _ => Close::Refused,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_all_connections_of_an_identity_send_counts_together() {
        let now = Instant::now();
        let mut all =
            SharedAllowance { messages: Allowance::new(1, 4, now), offers: Allowance::new(1, 1, now) };
        let mut devices = [FrontEnd::new(LIMITS, now), FrontEnd::new(LIMITS, now)];
        let mut answered = 0;
        for _ in 0..3 {
            for device in &mut devices {
                let reaction = device.receive_of(now, r#"{"type":"ping"}"#, Some(&mut all));
                answered += usize::from(!reaction.is_fault);
            }
        }
        assert_eq!(answered, 4, "each alone might have sent three");
    }

    const LIMITS: Limits = Limits {
        message_bytes_max: 1000,
        messages_per_second: 10,
        messages_burst: 3,
        offers_per_second: 2,
        offers_burst: 2,
    };
    const JOIN: &str = r#"{"type":"join","id":1,"data":{"version":1,"name":"Anna","room":"standup"}}"#;

    fn start() -> (FrontEnd, Instant) {
        let now = Instant::now();
        (FrontEnd::new(LIMITS, now), now)
    }

    #[test]
    fn a_join_becomes_a_demand_and_too_many_messages_a_refusal() {
        let (mut anna, now) = start();
        let Some(Demand::Join { room: Some(room), name, .. }) = anna.receive(now, JOIN).demand else {
            panic!("she asks to be let in");
        };
        assert_eq!((room.as_str(), name.as_str()), ("standup", "Anna"));
        let ping = r#"{"type":"ping","data":{}}"#;
        assert!(anna.receive(now, ping).say.expect("an answer").contains("pong"));
        let unreadable = anna.receive(now, "{");
        assert_eq!(unreadable.refused.map(|refusal| refusal.code), Some(RefusalCode::BadMessage));
        let refused = anna.receive(now, ping).refused.expect("the burst is used up");
        assert_eq!(refused.code, RefusalCode::RateLimited);
    }

    #[test]
    fn offers_have_an_allowance_of_their_own() {
        let now = Instant::now();
        let mut anna = FrontEnd::new(Limits { messages_burst: 100, ..LIMITS }, now);
        let offer = r#"{"type":"offer","id":7,"data":{"sdp":"v=0","publications":[]}}"#;
        assert!((0..2).all(|_| anna.receive(now, offer).demand.is_some()));
        let refused = anna.receive(now, offer);
        assert_eq!(refused.refused.map(|refusal| refusal.code), Some(RefusalCode::RateLimited));
        assert!(refused.close.is_none() && refused.say.is_some_and(|say| say.contains(r#""id":7"#)));
        let disguised =
            r#"{"type":"ping","type":"\u006fffer","id":8,"data":{"sdp":"v=0","publications":[]}}"#;
        let refused = anna.receive(now, disguised);
        assert_eq!(
            refused.refused.map(|refusal| refusal.code),
            Some(RefusalCode::RateLimited),
            "also disguised"
        );
        assert!(anna.receive(now, JOIN).demand.is_some(), "other messages go on");
        assert!(anna.receive(now + Duration::from_millis(501), offer).demand.is_some(), "after a while");
    }

    #[test]
    fn what_makes_direct_paths_has_an_allowance_of_its_own() {
        let (mut anna, now) = start();
        let signal = r#"{"type":"mesh-signal","data":{"to":"p-0000000000009","candidate":null}}"#;
        let most = MESH_SIGNALS_AT_ONCE as usize;
        assert_eq!((0..most + 9).filter(|_| anna.receive(now, signal).demand.is_some()).count(), most);
        assert!(anna.receive(now, JOIN).demand.is_some(), "other messages go on");
        let disguised = r#"{"type":"mesh-signal","type":"\u006coin","id":8,"data":{}}"#;
        assert!(anna.receive(now, disguised).refused.is_some());
        let later = now + Duration::from_secs(1);
        let ping = r#"{"type":"mesh-signal","type":"leave","data":{}}"#;
        let taken = (0..50).filter(|_| anna.receive(later, ping).demand.is_some()).count();
        assert_eq!(taken, 3, "what is none counts as what it is");
    }

    #[test]
    fn what_many_are_told_counts_for_more() {
        let now = Instant::now();
        let mut anna = FrontEnd::new(Limits { messages_burst: 20, ..LIMITS }, now);
        anna.others = 99;
        let data = r#"{"type":"data","data":{"topic":"chat","payload":1}}"#;
        assert_eq!(
            (0..20).filter(|_| anna.receive(now, data).demand.is_some()).count(),
            5,
            "four messages each"
        );
    }

    #[test]
    fn each_track_that_comes_or_goes_and_each_kilobyte_counts() {
        let now = Instant::now();
        let mut anna = FrontEnd::new(Limits { messages_burst: 100, offers_burst: 100, ..LIMITS }, now);
        anna.others = 100;
        let offer = |count: usize| {
            let publications: Vec<String> =
                (0..count).map(|mid| format!(r#"{{"mid":"{mid}","source":"camera"}}"#)).collect();
            format!(
                r#"{{"type":"offer","data":{{"sdp":"v=0","publications":[{}]}}}}"#,
                publications.join(",")
            )
        };
        let mut is_taken = |text: &str| anna.receive(now, text).demand.is_some();
        assert!(is_taken(&offer(16)), "1 + 16 · 4 of 100 messages");
        assert!((0..3).all(|_| is_taken(&offer(16))), "nothing comes or goes: one each");
        assert!(!is_taken(&offer(0)) && !is_taken(&offer(0)), "all of them go, also when asked for twice");
        let data = |bytes: usize| {
            format!(r#"{{"type":"data","data":{{"topic":"t","payload":"{}"}}}}"#, "x".repeat(bytes))
        };
        assert!(!is_taken(&data(16_000)) && is_taken(&data(4_000)), "1 + 64, and 1 + 16");
    }

    #[test]
    fn who_goes_on_without_making_sense_is_cut() {
        let (mut anna, now) = start();
        assert!((0..FAULTS_MAX).all(|_| anna.receive(now, "{").close.is_none()));
        let cut = anna.receive(now, "{");
        assert_eq!(cut.close, Some(Close::Refused));
        assert!(cut.say.is_some_and(|say| say.contains(r#""fatal":true"#)), "and told why");
        assert_eq!(anna.refuse_binary(now).close, Some(Close::Refused));
        assert_eq!(anna.receive_control(now).close, Some(Close::Refused));
    }

    #[test]
    fn who_goes_on_beyond_an_allowance_is_cut_whatever_it_is_for() {
        let now = Instant::now();
        let limits = Limits { messages_burst: 1000, offers_burst: 1, ..LIMITS };
        let until_cut = |mut refuse: Box<dyn FnMut(&mut FrontEnd) -> Reaction>| {
            let mut anna = FrontEnd::new(limits, now);
            (0..1000).find(|_| refuse(&mut anna).close.is_some())
        };
        let offer = r#"{"type":"offer","id":7,"data":{"sdp":"v=0","publications":[]}}"#;
        let most = Some(FAULTS_MAX);
        assert_eq!(
            until_cut(Box::new(|anna| anna.receive(now, offer))),
            Some(FAULTS_MAX + 1),
            "one is taken"
        );
        assert_eq!(until_cut(Box::new(|anna| anna.refuse_join(now, None, refusals::joins_too_fast()))), most);
        assert_eq!(until_cut(Box::new(|anna| anna.refuse_long(now, offer))), most);
        let mut crowded = FrontEnd::new(Limits { messages_burst: 20, ..limits }, now);
        crowded.others = 1000;
        let data = r#"{"type":"data","data":{"topic":"chat","payload":1}}"#;
        assert!(
            (0..1000).any(|_| crowded.receive(now, data).close.is_some()),
            "news for many, again and again"
        );
    }

    #[test]
    fn nothing_is_parsed_of_what_is_beyond_the_allowance_but_its_id() {
        let (mut anna, now) = start();
        (0..3).for_each(|_| drop(anna.receive(now, JOIN)));
        let refused = anna.receive(now, r#"{"id":9,"type":"offer","data":this is not even JSON"#);
        assert_eq!(refused.refused.map(|refusal| refusal.code), Some(RefusalCode::RateLimited));
        assert!(refused.say.is_some_and(|say| say.contains(r#""id":9"#)));
    }

    #[test]
    fn the_core_hears_of_an_end_once_and_only_of_connections_that_it_knows() {
        let (mut stranger, now) = start();
        assert_eq!(stranger.lost(), None);
        let (mut anna, _) = start();
        anna.receive(now, JOIN);
        assert_eq!(anna.lost(), Some(Demand::ConnectionLost));
        assert_eq!(anna.lost(), None);
        let (mut ben, _) = start();
        ben.receive(now, JOIN);
        let leave = Some(Demand::Command { request: None, command: Command::Leave });
        assert_eq!((ben.goodbye(Some(1001)), ben.goodbye(Some(1000))), (leave, None));
        let (mut carl, _) = start();
        carl.receive(now, JOIN);
        assert_eq!(carl.goodbye(Some(1006)), Some(Demand::ConnectionLost));
    }

    #[test]
    fn what_the_core_ends_is_closed_and_not_reported_back_to_it() {
        let (mut anna, now) = start();
        anna.receive(now, JOIN);
        let news = Event::ParticipantLeft(ParticipantId(7), LeaveReason::Left);
        assert_eq!(anna.event(&news, ServerFacts::default()).close, None);
        let closing =
            anna.event(&Event::Closing(ClosingReason::Gone(LeaveReason::Shutdown)), ServerFacts::default());
        assert_eq!((closing.close, anna.lost()), (Some(Close::GoingAway), None));

        let (mut ben, _) = start();
        ben.receive(now, JOIN);
        let refusal = Refusal::new(RefusalCode::UnsupportedVersion, "no such version", "update the client");
        let refused = ben.event(&Event::Refused(None, refusal), ServerFacts::default());
        assert_eq!(refused.close.is_some(), is_fatal(RefusalCode::UnsupportedVersion));
        assert_eq!(ben.lost(), Some(Demand::ConnectionLost), "after a refusal the core still knows it");
    }
}
