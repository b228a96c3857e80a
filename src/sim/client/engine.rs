//! Engine: a client whose media is not our code but a whole str0m endpoint, which does its own DTLS, SRTP, RTP, RTCP,
//! NACK and RTX, packetizes frames and puts them together again. It shows misunderstandings that our own code would
//! share at both ends. Signalling and publishing are the same as for everybody else.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::{Codec, PayloadParams};
use str0m::media::{
    Direction, Frequency, KeyframeRequestKind, MediaData, MediaKind as EngineKind, MediaTime, Mid,
};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};

use super::watching::{Place, Watching};
use super::{Endpoint, Now, Out, Post, Seen, Viewing, What};
use crate::core::command::MediaKind;
use crate::sim::codec::CodecName;
use crate::sim::mark::Mark;
use crate::sim::network::{Micros, name, server_address};
use crate::sim::plan::PersonPlan;
use crate::sim::sdp::Role;
use crate::wire::stun;

/// The engine sometimes names a deadline that has passed already, which means "soon". This is how soon, µs.
const SOON: Micros = 1_000;

/// A whole str0m endpoint with its DTLS, SRTP, RTP, RTCP, NACK and RTX.
pub struct Engine {
    rtc: Rtc,
    /// When it wants to go on.
    deadline: Micros,
    /// The offer that waits for its answer, and what the engine needs for that.
    pending: Option<(String, SdpPendingOffer)>,
    /// The mids of the sections, and the directions offered.
    sections: Vec<Option<(Mid, Direction)>>,
    restarts_ice: bool,
    watching: BTreeMap<Mid, Watching>,
    ended: bool,
}

fn codec_of(codec: CodecName) -> Codec {
    match codec {
        CodecName::Opus => Codec::Opus,
        CodecName::Vp8 => Codec::Vp8,
        CodecName::Vp9 => Codec::Vp9,
        CodecName::H264 => Codec::H264,
        CodecName::Av1 => Codec::Av1,
    }
}

fn direction_of(role: &Role) -> Direction {
    match role {
        Role::Slot => Direction::RecvOnly,
        Role::Publish { .. } => Direction::SendOnly,
        Role::Inactive => Direction::Inactive,
    }
}

impl Engine {
    /// Makes an endpoint at that moment, behind a NAT.
    pub fn new(now: Now, plan: &PersonPlan) -> Self {
        let takes = |codec| plan.receives.contains(&codec);
        let mut rtc = Rtc::builder()
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(takes(CodecName::Vp8))
            .enable_vp9(takes(CodecName::Vp9))
            .enable_h264(takes(CodecName::H264))
            .build(now.instant);
        if let Ok(candidate) = Candidate::host(own_address(), "udp") {
            rtc.add_local_candidate(candidate);
        }
        Self {
            rtc,
            deadline: now.micros,
            pending: None,
            sections: Vec::new(),
            restarts_ice: false,
            watching: BTreeMap::new(),
            ended: false,
        }
    }

    /// When it wants to go on.
    pub fn deadline(&self) -> Micros {
        let asks = self.watching.values().filter_map(Watching::deadline).min();
        self.deadline.min(asks.unwrap_or(Micros::MAX))
    }

    /// Whether an offer waits for its answer.
    pub fn is_waiting(&self) -> bool {
        self.pending.is_some()
    }

    /// Returns the mid of a section.
    pub fn mid(&self, section: usize) -> Option<Mid> {
        self.sections.get(section).copied().flatten().map(|(mid, _)| mid)
    }
}

/// Returns the address that it believes it has. Nobody else ever sees it.
fn own_address() -> SocketAddr {
    SocketAddr::from(([192, 168, 1, 2], 5000))
}

impl Endpoint {
    /// Returns the engine's next offer; `None` if there is nothing to negotiate.
    pub(super) fn engine_offer(&mut self) -> Option<String> {
        let Self { engine, sections, .. } = self;
        let engine = engine.as_mut()?;
        // An offer whose answer was not heard is made again.
        if let Some((offer, _)) = &engine.pending {
            return Some(offer.clone());
        }
        engine.sections.resize(sections.len(), None);
        let mut changes = engine.rtc.sdp_api();
        for (section, known) in sections.iter().zip(&mut engine.sections) {
            let direction = direction_of(&section.role);
            match known {
                // A section in which nothing was ever sent need not exist.
                None if direction == Direction::Inactive => {}
                None => {
                    let kind =
                        if section.kind == MediaKind::Audio { EngineKind::Audio } else { EngineKind::Video };
                    *known = Some((changes.add_media(kind, direction, None, None, None), direction));
                }
                Some((_, offered)) if *offered == direction => {}
                Some((mid, offered)) => {
                    changes.set_direction(*mid, direction);
                    *offered = direction;
                }
            }
        }
        if std::mem::take(&mut engine.restarts_ice) {
            changes.ice_restart(true);
        }
        let (offer, pending) = changes.apply()?;
        let offer = offer.to_sdp_string();
        engine.pending = Some((offer.clone(), pending));
        Some(offer)
    }

    /// Makes the next offer restart ICE.
    pub(super) fn engine_restarts(&mut self) {
        if let Some(engine) = &mut self.engine {
            engine.restarts_ice = true;
        }
    }

    /// Takes the server's answer to the endpoint's offer.
    pub(super) fn engine_answered(&mut self, now: Micros, sdp: &str, post: &mut Post) {
        let who = name(self.person);
        let Some(engine) = &mut self.engine else { return };
        let Some((_, pending)) = engine.pending.take() else { return };
        let accepted =
            SdpAnswer::from_sdp_string(sdp).map_err(|error| error.to_string()).and_then(|answer| {
                engine.rtc.sdp_api().accept_answer(pending, answer).map_err(|error| error.to_string())
            });
        if let Err(error) = accepted {
            return post.complain(format!("{who}'s engine does not take the answer: {error}"));
        }
        for (number, section) in self.sections.iter().enumerate() {
            if let Some(mid) = engine.mid(number).filter(|_| section.role == Role::Slot) {
                // SSRCs do not matter here: slots are keyed by their numbers.
                let slot = self.slots.entry(number as u32);
                slot.or_insert_with(|| Viewing::new(mid.to_string(), section.kind));
                engine.watching.entry(mid).or_insert_with(|| Watching::new(number as u32, section.kind));
            }
        }
        for sender in &mut self.senders {
            let role = self.sections.get(sender.mid).map(|section| &section.role);
            let offered = engine.sections.get(sender.mid).copied().flatten().map(|(_, direction)| direction);
            sender.published =
                matches!(role, Some(Role::Publish { .. })) && offered == Some(Direction::SendOnly);
        }
        // It has something to do at once.
        engine.deadline = now;
    }

    /// Takes a datagram that came for the endpoint.
    pub(super) fn engine_receives(&mut self, now: Now, bytes: &[u8], post: &mut Post) {
        match Receive::new(Protocol::Udp, server_address(), own_address(), bytes) {
            Ok(receive) => self.engine_steps(now, Input::Receive(now.instant, receive), post),
            Err(error) => post.complain(format!(
                "the server sent what {}'s engine cannot read: {error}",
                name(self.person)
            )),
        }
    }

    /// Does what is due.
    pub(super) fn engine_wakes(&mut self, now: Now, post: &mut Post) {
        self.engine_steps(now, Input::Timeout(now.instant), post);
        if self.connected {
            self.engine_sends(now, post);
            self.engine_asks(now, post);
        }
    }

    fn engine_sends(&mut self, now: Now, post: &mut Post) {
        for number in 0..self.senders.len() {
            let Self { engine: Some(engine), senders, life, person, .. } = self else { return };
            let Some(sender) = senders.get_mut(number) else { return };
            if sender.due().is_none_or(|at| at > now.micros) {
                continue;
            }
            let codec = sender.plan.codec;
            let (mark, timestamp, length) = sender.next_mark(now.micros, *life, *person, post);
            let frequency = Frequency::new(codec.clock_rate());
            let writer = engine.sections.get(sender.mid).copied().flatten();
            let writer = writer.and_then(|(mid, _)| engine.rtc.writer(mid));
            let (Some(writer), Some(frequency)) = (writer, frequency) else { continue };
            let wanted = codec_of(codec);
            let pt =
                writer.payload_params().find(|params| params.spec().codec == wanted).map(PayloadParams::pt);
            let Some(pt) = pt else { continue };
            let time = MediaTime::new(u64::from(timestamp), frequency);
            if let Err(error) = writer.write(pt, now.instant, time, mark.write(codec, length)) {
                post.complain(format!("{}'s engine does not send: {error}", name(self.person)));
            }
            self.engine_steps(now, Input::Timeout(now.instant), post);
        }
    }

    /// Asks for key frames of pictures that stand still.
    fn engine_asks(&mut self, now: Now, post: &mut Post) {
        let Some(engine) = &mut self.engine else { return };
        let mut asked = false;
        for (mid, watching) in &mut engine.watching {
            if watching.asks(now.micros)
                && let Some(mut writer) = engine.rtc.writer(*mid)
            {
                // It refuses before anything has come, when there is nothing to ask for.
                asked |= writer.request_keyframe(None, KeyframeRequestKind::Pli).is_ok();
            }
        }
        if asked {
            self.engine_steps(now, Input::Timeout(now.instant), post);
        }
    }

    /// Makes one call into the engine, and carries out all its outputs.
    fn engine_steps(&mut self, now: Now, input: Input<'_>, post: &mut Post) {
        let Self { engine: Some(engine), senders, slots, person, .. } = self else { return };
        if engine.ended {
            return;
        }
        let mut result = engine.rtc.handle_input(input);
        let mut lost = false;
        while result.is_ok() {
            match engine.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    engine.deadline = micros_of(now, at);
                    break;
                }
                Ok(Output::Transmit(transmit)) => {
                    let bytes = transmit.contents.to_vec();
                    let what = what_is(&bytes);
                    post.out.push(Out::Datagram { bytes, what });
                }
                Ok(Output::Event(Event::Connected)) => self.connected = true,
                Ok(Output::Event(Event::IceConnectionStateChange(state))) => {
                    lost |= state == IceConnectionState::Disconnected;
                }
                Ok(Output::Event(Event::KeyframeRequest(request))) => {
                    let wanted = Some(request.mid);
                    let section = |(mid, _)| mid;
                    let asked = senders.iter_mut().find(|sender| {
                        engine.sections.get(sender.mid).copied().flatten().map(section) == wanted
                    });
                    asked.into_iter().for_each(|sender| sender.wants_key = true);
                }
                Ok(Output::Event(Event::MediaData(data))) => {
                    if let Err(fault) = engine.on_frame(now, &data, slots, post) {
                        post.complain(format!("{}, section {}: {fault}", name(*person), data.mid));
                    }
                }
                Ok(Output::Event(Event::Closed)) => engine.ended = true,
                Ok(Output::Event(_)) => {}
                Err(error) => result = Err(error),
            }
        }
        if let Err(error) = result {
            post.complain(format!("{}'s engine fails: {error}", name(*person)));
            engine.ended = true;
        }
        if engine.ended {
            engine.deadline = Micros::MAX;
        }
        if lost {
            // A browser's page does the same.
            self.restart_ice(post);
        }
    }
}

impl Engine {
    /// Takes a frame that the engine put together. The error says what is wrong with it.
    fn on_frame(
        &mut self,
        now: Now,
        data: &MediaData,
        slots: &mut BTreeMap<u32, Viewing>,
        post: &mut Post,
    ) -> Result<(), String> {
        let watching = self.watching.get_mut(&data.mid).ok_or("media comes, but it receives nothing")?;
        let mark = Mark::find(&data.data).ok_or("a frame comes without a mark")?;
        post.seen.push(Seen { mid: data.mid.to_string(), mark });
        let place = Place {
            numbers: **data.seq_range.start()..=**data.seq_range.end(),
            payload_type: *data.pt,
            contiguous: data.contiguous,
        };
        let shown = watching.on_frame(now.micros, &mark, &place)?;
        if let Some(slot) = slots.get_mut(&watching.slot).filter(|_| shown) {
            slot.note_shown(now.micros, mark.stream);
        }
        Ok(())
    }
}

fn micros_of(now: Now, at: Instant) -> Micros {
    let ahead = at.saturating_duration_since(now.instant).min(Duration::from_secs(3600));
    now.micros + (ahead.as_nanos().div_ceil(1000) as Micros).max(SOON)
}

fn what_is(bytes: &[u8]) -> What {
    let message = stun::peek(bytes);
    if let Some(answer) = message.filter(stun::StunPeek::is_binding_answer) {
        return What::Answer { transaction: answer.transaction };
    }
    let check = message.filter(stun::StunPeek::is_binding_request);
    let ufrag = check.and_then(|check| std::str::from_utf8(check.username?).ok().map(str::to_owned));
    ufrag.map_or(What::Sealed, |ufrag| What::Check { ufrag })
}
