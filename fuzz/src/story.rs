//! Story: a tape told in a world, step by step.

use strait::core::command::{Command, Join, Layout, Lifeline, Source};
use strait::core::grants::Grants;
use strait::core::ids::{ConnectionId, DtlsSession, ParticipantId, RecordingId};
use strait::core::input::{AdminCommand, DtlsEnd, DtlsEvent, Input, Shedding, SrtpProfile};
use strait::core::media::srtp::{RTCP_OVERHEAD_MAX, RTP_OVERHEAD_MAX};
use strait::core::path::Carrier;
use strait::core::profile::Profile;
use strait::signal::native::{ClientMessage, encode_refusal, parse};
use strait::sim::client::{Endpoint, Signal};
use strait::sim::codec::VIDEO_CODECS;
use strait::wire::rtp::RtpHeader;

use super::step::{Origin, Step};
use super::tape::Tape;
use super::world::{PEOPLE, ROUND, World, room};

/// Most steps of a story.
const STEPS_MAX: usize = 80;
/// Most rounds of ordinary life in a story.
const ROUNDS_MAX: u32 = 150;
const SOURCES: [Source; 4] = [Source::Microphone, Source::Camera, Source::Screen, Source::ScreenAudio];

/// `core`: joins, offers, datagrams, time, faults and the operator, in any order.
pub fn core(data: &[u8]) {
    let _ = tell_core(data);
}

/// The same, and the traces of rooms that were recorded.
pub fn tell_core(data: &[u8]) -> Vec<Vec<u8>> {
    let mut tape = Tape::new(data);
    let (Some(seed), Some(options)) = (tape.byte(), tape.byte()) else { return Vec::new() };
    let mut story = Story { world: World::new(seed), rounds: 0 };
    if options & 1 != 0 {
        story.world.record();
    }
    for _ in 0..STEPS_MAX {
        let Some(step) = Step::read(&mut tape) else { break };
        story.tell(step);
    }
    story.world.end();
    story.world.traced
}

/// `datagrams`: two people in a call, and then any datagrams from them, from strangers, and from whoever has their keys.
pub fn datagrams(data: &[u8]) {
    let mut tape = Tape::new(data);
    let Some(seed) = tape.byte() else { return };
    let mut story = Story { world: World::new(seed), rounds: 0 };
    for who in 0..2 {
        story.tell(Step::Arrive { who, other_room: false, by_media: false });
    }
    story.tell(Step::Live { rounds: 12 });
    for _ in 0..STEPS_MAX {
        let Some(kind) = tape.byte() else { break };
        let (who, Some(bytes)) = (kind >> 4, tape.bytes()) else { break };
        let bytes = bytes.to_vec();
        let step = match kind & 0x0f {
            0..=5 => Step::Datagram { from: Origin { who, tcp: kind & 1 != 0 }, bytes },
            6..=9 => Step::Rtp { who, stream: kind & 3, bytes },
            10..=13 => Step::Rtcp { who, stream: kind & 3, bytes },
            _ => Step::Wait { tens_of_ms: bytes.len() as u16 },
        };
        story.tell(step);
    }
    story.world.end();
}

struct Story {
    world: World,
    rounds: u32,
}

impl Story {
    fn tell(&mut self, step: Step) {
        let world = &mut self.world;
        let somebody = |who: u8| usize::from(who) % PEOPLE;
        match step {
            Step::Arrive { who, other_room, by_media } => self.arrive(somebody(who), other_room, by_media),
            Step::Live { rounds } => {
                for _ in 0..rounds {
                    self.live();
                }
            }
            Step::Wait { tens_of_ms } => world.wait(world.now + u64::from(tens_of_ms) * 10_000),
            Step::Sleep { tens_of_ms } => world.now += u64::from(tens_of_ms) * 10_000,
            Step::CallEarly => world.call(),
            Step::Batch => {
                world.batch = !world.batch;
                if !world.batch {
                    world.drain();
                }
            }
            Step::Do { who, what, of } => {
                let of = (somebody(of >> 4), SOURCES[usize::from(of) % 4], of);
                world.with(somebody(who), |one, now, post| act(one, now.micros, post, what, of));
            }
            Step::Lose { who, up, down } => world.people[somebody(who)].loss = (up, down),
            Step::Deliver { which, again, at, xor } => {
                self.deliver(usize::from(which), again, usize::from(at), xor);
            }
            Step::Say { at, cut, insert } => self.say(usize::from(at), usize::from(cut), &insert),
            Step::Datagram { from, bytes } => {
                let remote = match world.people.get(usize::from(from.who)) {
                    Some(person) => person.address,
                    None => ([10, 66, 6, from.who], 666).into(),
                };
                let carrier = if from.tcp { Carrier::Tcp } else { Carrier::Udp };
                world.feed_datagram(remote, carrier, bytes);
            }
            Step::Rtp { who, stream, bytes } => self.forge_rtp(somebody(who), stream, bytes),
            Step::Rtcp { who, stream, bytes } => self.forge_rtcp(somebody(who), stream, bytes),
            Step::Text { who, text } => self.text(somebody(who), &text),
            Step::Handshake { session, what, bytes } => self.handshake(session, what, &bytes),
            Step::Break { who } => self.break_or_return(somebody(who)),
            Step::Move { who } => world.relocate(somebody(who)),
            Step::Operate { what, who } => self.operate(what, who),
        }
    }

    fn arrive(&mut self, who: usize, other_room: bool, by_media: bool) {
        let world = &mut self.world;
        if world.people[who].endpoint.is_some() {
            return;
        }
        world.connect(who);
        world.relocate(who);
        let seed = world.seed();
        let person = &mut world.people[who];
        person.lives += 1;
        person.forger = None;
        person.endpoint = Some(Endpoint::new(seed, who, person.lives, &person.plan));
        world.with(who, |endpoint, _, post| endpoint.join(&room(other_room), post));
        if by_media && let Some((_, _, Signal::Join(Join { lifeline, .. }))) = world.signals.back_mut() {
            *lifeline = Lifeline::Media;
        }
    }

    /// Plays a round in which nothing goes wrong: everything under way arrives, and everybody does what is due.
    fn live(&mut self) {
        self.rounds += 1;
        let world = &mut self.world;
        // A long story must not take longer than the fuzzer waits for one input.
        if self.rounds > ROUNDS_MAX {
            return;
        }
        while let Some((connection, number, signal)) = world.signals.pop_front() {
            world.ask(connection, Some(number), signal);
        }
        while let Some((from, bytes)) = world.up.pop_front() {
            world.feed_datagram(from, Carrier::Udp, bytes);
        }
        world.drain();
        world.now += ROUND;
        world.serve();
        for who in 0..PEOPLE {
            let now = world.now;
            world.with(who, |endpoint, moment, post| {
                if endpoint.deadline().is_some_and(|at| at <= now) {
                    endpoint.wake(moment, post);
                }
            });
        }
    }

    /// Brings one datagram to the server, out of order, perhaps twice, perhaps with a byte that was changed.
    fn deliver(&mut self, which: usize, again: bool, at: usize, xor: u8) {
        let world = &mut self.world;
        if world.up.is_empty() {
            return;
        }
        let which = which % world.up.len();
        let Some((from, mut bytes)) = world.up.remove(which) else { return };
        if again {
            world.up.push_back((from, bytes.clone()));
        }
        if !bytes.is_empty() {
            let at = at % bytes.len();
            bytes[at] ^= xor;
        }
        world.feed_datagram(from, Carrier::Udp, bytes);
    }

    /// Brings one request to the server; of an offer some bytes are replaced.
    fn say(&mut self, at: usize, cut: usize, insert: &[u8]) {
        let Some((connection, number, mut signal)) = self.world.signals.pop_front() else { return };
        if let Signal::Command(Command::Offer { sdp, .. }) = &mut signal {
            let mut bytes = sdp.clone().into_bytes();
            let at = at % (bytes.len() + 1);
            let end = (at + cut).min(bytes.len());
            bytes.splice(at..end, insert.iter().copied());
            *sdp = String::from_utf8_lossy(&bytes).into_owned();
        }
        self.world.ask(connection, Some(number), signal);
    }

    /// Returns an SSRC that the server knows or will know; `None` leaves the one in the packet.
    fn stream(&self, who: usize, stream: u8) -> Option<u32> {
        let streams: Vec<u32> = self
            .world
            .post
            .streams
            .iter()
            .rev()
            .filter(|info| info.person == who)
            .flat_map(|info| [info.ssrc, info.rtx_ssrc])
            .collect();
        streams.get(usize::from(stream)).copied()
    }

    fn forge_rtp(&mut self, who: usize, stream: u8, mut bytes: Vec<u8>) {
        let Ok(mut header) = RtpHeader::parse(&bytes) else { return };
        if let Some(ssrc) = self.stream(who, stream) {
            bytes[8..12].copy_from_slice(&ssrc.to_be_bytes());
            header.ssrc = ssrc;
        }
        // Sealed with the right keys: what cannot be opened would never reach the code behind.
        let plain = bytes.len();
        bytes.resize(plain + RTP_OVERHEAD_MAX, 0);
        let Some(sender) = self.world.forge(who) else { return };
        let sealed = sender.seal_rtp(&mut bytes, header.header_len, plain, u64::from(header.sequence));
        self.send_forged(who, sealed, bytes);
    }

    fn forge_rtcp(&mut self, who: usize, stream: u8, mut bytes: Vec<u8>) {
        if bytes.len() < 8 {
            return;
        }
        // Requests are about the server's streams, which the client knows.
        let slots = self.world.people[who].endpoint.as_ref().map(|endpoint| endpoint.slots.keys().copied());
        let slot = slots.and_then(|mut slots| slots.nth(usize::from(stream)));
        if let (Some(ssrc), Some(place)) = (slot, bytes.get_mut(8..12)) {
            place.copy_from_slice(&ssrc.to_be_bytes());
        }
        let plain = bytes.len();
        bytes.resize(plain + RTCP_OVERHEAD_MAX, 0);
        let Some(sender) = self.world.forge(who) else { return };
        let sealed = sender.seal_rtcp(&mut bytes, plain);
        self.send_forged(who, sealed, bytes);
    }

    fn send_forged(&mut self, who: usize, sealed: Option<usize>, mut bytes: Vec<u8>) {
        if let Some(length) = sealed {
            bytes.truncate(length);
            self.world.feed_datagram(self.world.people[who].address, Carrier::Udp, bytes);
        }
    }

    /// Brings a text message, which is read as the shell reads it.
    fn text(&mut self, who: usize, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let world = &mut self.world;
        let connection = world.people[who].connection.unwrap_or_else(|| world.connect(who));
        let signal = match parse(&text) {
            Ok(ClientMessage::Join { room, name, auto_subscribe, .. }) => {
                let room = room.unwrap_or_else(|| super::world::room(true));
                Signal::Join(Join {
                    room,
                    profile: Profile::named(name),
                    auto_subscribe,
                    lifeline: Lifeline::Signalling,
                    layout: Layout::Slots,
                    grants: Grants::OPEN,
                    is_invited: false,
                    is_vouched_for: true,
                    can_mesh: false,
                    host: None,
                })
            }
            Ok(ClientMessage::Resume { resume, .. }) => Signal::Resume(resume),
            Ok(ClientMessage::Command { command, .. }) => Signal::Command(command),
            Ok(ClientMessage::Ping { .. }) => return,
            Err((request, refusal)) => {
                let _ = encode_refusal(request.as_ref(), &refusal, false);
                return;
            }
        };
        world.ask(connection, None, signal);
    }

    fn handshake(&mut self, session: u8, what: u8, bytes: &[u8]) {
        let world = &mut self.world;
        let session = DtlsSession(u64::from(session) % (world.sessions.len() as u64 + 1) + 1);
        let bytes = bytes.to_vec();
        let profile = match what >> 4 & 3 {
            0 => SrtpProfile::Aes128CmSha1_80,
            1 => SrtpProfile::AeadAes128Gcm,
            _ => SrtpProfile::AeadAes256Gcm,
        };
        world.keys_made_up = true;
        let event = match what % 5 {
            0 => DtlsEvent::Packet(bytes),
            1 => DtlsEvent::PeerCertificate(bytes),
            2 => DtlsEvent::KeyingMaterial { profile, material: bytes },
            3 => DtlsEvent::Connected,
            _ => DtlsEvent::Closed(DtlsEnd::Goodbye),
        };
        world.feed(Input::Dtls { session, event });
    }

    fn break_or_return(&mut self, who: usize) {
        let world = &mut self.world;
        if world.people[who].connection.is_some() {
            world.disconnect(who);
            return;
        }
        if world.people[who].endpoint.is_none() {
            return;
        }
        world.connect(who);
        let mut resumes = false;
        world.with(who, |endpoint, _, post| resumes = endpoint.resume(post));
        if !resumes {
            world.people[who].endpoint = None;
        }
    }

    fn operate(&mut self, what: u8, who: u8) {
        if what % 8 == 1 {
            return self.world.feed(Input::Shed(Shedding::parts(who % 52)));
        }
        let other = who & 1 != 0;
        let id = self.world.people[usize::from(who) % PEOPLE].endpoint.as_ref();
        let id = id.and_then(|endpoint| Some(endpoint.joined.as_ref()?.participant));
        let command = match what % 8 {
            0 => AdminCommand::Remove(room(other), id.unwrap_or(ParticipantId(u64::from(who)))),
            2 => AdminCommand::CloseRoom(room(other)),
            3 => AdminCommand::RecordNext(room(other)),
            4 => AdminCommand::RecordNextNot(room(other)),
            5 => AdminCommand::StopRecording(RecordingId(u64::from(who))),
            6 => AdminCommand::Drain(true),
            _ => AdminCommand::Shutdown,
        };
        self.world.feed(Input::Admin(command));
        if what % 8 == 3 {
            self.world.feed(Input::ConnectionLost(ConnectionId(u64::MAX)));
        }
    }
}

/// Something that a client does of its own accord.
fn act(
    one: &mut Endpoint,
    now: u64,
    post: &mut strait::sim::client::Post,
    what: u8,
    (of, source, raw): (usize, Source, u8),
) {
    let sender = |one: &mut Endpoint, change: &dyn Fn(&mut strait::sim::client::Sender)| {
        if let Some(sender) = one.senders.iter_mut().find(|sender| sender.plan.source == source) {
            change(sender);
        }
    };
    match what % 18 {
        0 => one.mute(source, true, post),
        1 => one.mute(source, false, post),
        2 => one.pause(of, source, true, post),
        3 => one.pause(of, source, false, post),
        4 => one.subscribe(of, source, false, post),
        5 => one.subscribe(of, source, true, post),
        6 => one.publish(source, false, post),
        7 => one.publish(source, true, post),
        8 => one.leave(post),
        9 => one.restart_ice(post),
        10 => one.offer(post),
        11 => one.check_now(now),
        12 => one.hello_again(now),
        13 => sender(one, &|sender| sender.leap(u16::from(raw) << 7)),
        14 => sender(one, &|sender| sender.renew()),
        15 => sender(one, &|sender| sender.switch_codec(VIDEO_CODECS[usize::from(raw >> 4) % 4])),
        16 => sender(one, &|sender| sender.pauses_until = now + u64::from(raw) * 20_000),
        _ if one.joined.is_some() => one.tell_all(post),
        _ => {}
    }
}
