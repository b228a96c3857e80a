//! Sender: one stream that somebody publishes: frames on a schedule, retransmissions, sender reports.

use std::collections::VecDeque;

use super::{Out, Post, Sent, What};
use crate::core::command::{MediaKind, Source};
use crate::core::ids::Ssrc;
use crate::core::media::rtcp::RtcpWriter;
use crate::core::media::srtp::{RTP_OVERHEAD_MAX, SrtpSender};
use crate::sim::codec::{self, CodecName, Counters, PictureIds, Stamp};
use crate::sim::dice::Dice;
use crate::sim::layering::{Encoder, LayerPlan, Place};
use crate::sim::mark::Mark;
use crate::sim::network::Micros;
use crate::sim::plan::SourcePlan;
use crate::sim::sdp::Numbering;
use crate::wire::rtp::{RTP_HEADER_WRITE_MAX, RtpFields, write_header};
use crate::wire::rtp_extensions::ExtensionBlock;

/// How many packets are kept for retransmission.
const KEPT: usize = 400;
/// The shortest time between two key frames of an encoder, µs.
const KEY_INTERVAL: Micros = 300_000;
/// How many packets have a MID at least. Like browsers, a sender adds it until the first receiver report.
const NAMED_PACKETS: u32 = 60;

/// What the oracle and the clients know about a stream in a world.
#[derive(Debug, Clone)]
pub struct StreamInfo {
    /// The number of the person who sends.
    pub person: usize,
    /// The number of their life.
    pub life: u32,
    /// What the track shows.
    pub source: Source,
    /// Its name on the wire.
    pub ssrc: u32,
    /// The name of its retransmissions.
    pub rtx_ssrc: u32,
    /// Ticks of the RTP clock in a second.
    pub clock_rate: u32,
    /// Its timestamp at `began`.
    pub timestamp_base: u32,
    /// When it began, µs.
    pub began: Micros,
    /// The index of its first packet.
    pub first_index: u32,
    /// Which encoding of a simulcast it is; `None` for a track in one encoding.
    pub encoding: Option<LayerPlan>,
}

/// What a sender needs from its endpoint.
#[derive(Debug)]
pub struct Wire<'a> {
    /// The ids of their header extensions.
    pub numbering: Numbering,
    /// The keys that seal packets.
    pub srtp: &'a SrtpSender,
    /// The next transport-wide sequence number.
    pub transport_sequence: &'a mut u16,
}

#[derive(Debug)]
struct SentPacket {
    stamp: Stamp,
    payload: Vec<u8>,
}

/// One stream that somebody sends.
#[derive(Debug)]
pub struct Sender {
    /// What the stream carries, and how often.
    pub plan: SourcePlan,
    /// The number of its section.
    pub mid: usize,
    /// The SSRCs of its media and of its retransmissions.
    pub ssrcs: (u32, u32),
    /// Whether its track is muted, so nothing is sent.
    pub muted: bool,
    /// Whether the newest offer publishes it.
    pub published: bool,
    /// Whether its next frame has to be a key frame.
    pub wants_key: bool,
    /// When the present pause ends.
    pub pauses_until: Micros,
    /// Whether the server has reported on the stream, and so knows whose it is.
    pub reported: bool,
    /// The encoder, if it is one of several that send the same track in different sizes.
    pub encoder: Option<Encoder>,
    stream: Option<u32>,
    next_at: Micros,
    began: Micros,
    index: u32,
    first_index: u32,
    /// Whether numbers have jumped since the last frame.
    leapt: bool,
    frame: u32,
    key_at: Option<Micros>,
    counters: Counters,
    ids: PictureIds,
    /// Whether it may send the dependency descriptor.
    describes_frames: bool,
    timestamp_base: u32,
    rtx_index: u32,
    octets: u32,
    kept: VecDeque<SentPacket>,
    dice: Dice,
}

impl Sender {
    /// Returns a stream that has not begun. Its sequence numbers often wrap before long, but never so soon that a receiver
    /// who misses the first packets could not know the roll-over counter.
    /// `first_codec` is the one that its section names first: only with AV1 is the dependency descriptor agreed on.
    pub fn new(plan: SourcePlan, mid: usize, first_codec: CodecName, mut dice: Dice) -> Self {
        let first_index =
            if dice.percent(60) { dice.among(64_700..65_300) } else { dice.among(0..0x8000) } as u32;
        let mut sender = Self {
            mid,
            ssrcs: (dice.u32(), dice.u32()),
            muted: plan.muted,
            published: false,
            wants_key: true,
            pauses_until: 0,
            reported: false,
            encoder: None,
            stream: None,
            next_at: 0,
            began: 0,
            index: first_index,
            first_index,
            leapt: false,
            frame: 0,
            key_at: None,
            counters: Counters::default(),
            ids: PictureIds::None,
            describes_frames: first_codec == CodecName::Av1,
            timestamp_base: dice.near_wrap(32),
            rtx_index: dice.among(0..0x8000) as u32,
            octets: 0,
            kept: VecDeque::new(),
            plan,
            dice,
        };
        sender.choose_counters();
        sender
    }

    /// Returns the stream as one encoding of a simulcast.
    #[must_use]
    pub fn with_encoder(mut self, encoder: Encoder) -> Self {
        // Browsers number the frames of all encodings of a simulcast in VP8.
        if self.plan.codec == CodecName::Vp8 {
            self.ids = PictureIds::Long;
            self.counters.picture_id = Some(self.dice.near_wrap(15) as u16);
            self.counters.tl0 = Some(self.dice.near_wrap(8) as u8);
        }
        self.encoder = Some(encoder);
        self
    }

    /// Whether it stands for its track: it is its only stream, or the first of its encodings.
    pub fn is_first(&self) -> bool {
        self.encoder.as_ref().is_none_or(|encoder| encoder.place == 0)
    }

    /// Whether it is to be sent at all: an encoding that nobody needs is not.
    pub fn is_on(&self) -> bool {
        self.encoder.as_ref().is_none_or(|encoder| encoder.is_on)
    }

    fn choose_counters(&mut self) {
        let dice = &mut self.dice;
        // All numbers are drawn whatever the codec is, so that the same seed goes on in the same way.
        let numbered = matches!(self.plan.codec, CodecName::Vp8 | CodecName::Vp9);
        self.ids = dice.pick(&[PictureIds::Long, PictureIds::Long, PictureIds::Short, PictureIds::None]);
        let bits = if self.ids == PictureIds::Short { 7 } else { 15 };
        let id = dice.near_wrap(bits) as u16;
        let (tl0, frame_number) = (dice.near_wrap(8) as u8, dice.near_wrap(16) as u16);
        let layered = dice.percent(50);
        self.counters = Counters {
            picture_id: (numbered && self.ids != PictureIds::None).then_some(id),
            tl0: (numbered && layered).then_some(tl0),
            frame_number: (self.describes_frames && self.plan.codec == CodecName::Av1)
                .then_some(frame_number),
        };
    }

    /// Returns whether anything was ever sent.
    pub fn has_begun(&self) -> bool {
        self.stream.is_some()
    }

    /// Returns when the next frame is due; `None` while nothing is sent.
    pub fn due(&self) -> Option<Micros> {
        let sends = self.published && !self.muted && self.is_on();
        sends.then_some(self.next_at.max(self.pauses_until))
    }

    /// Makes sequence numbers jump, but only once between two frames. If jumps without packets added up to 2^15,
    /// receivers would lose the roll-over counter and could decrypt nothing any more.
    pub fn leap(&mut self, by: u16) {
        if self.stream.is_some() && !self.leapt {
            self.index += u32::from(by);
            self.leapt = true;
        }
    }

    /// Begins a new stream, with other SSRCs and numbers.
    pub fn renew(&mut self) {
        self.ssrcs = (self.dice.u32(), self.dice.u32());
        self.index = self.dice.among(0..0x8000) as u32;
        self.stream = None;
        self.reported = false;
        self.kept.clear();
        self.choose_counters();
        self.wants_key = true;
    }

    /// Switches to another codec, if that is for the same kind of media.
    pub fn switch_codec(&mut self, codec: CodecName) {
        if codec.kind() == self.plan.codec.kind() && codec != self.plan.codec {
            self.plan.codec = codec;
            self.choose_counters();
            self.wants_key = true;
        }
    }

    /// Sends one frame, in as many packets as it has parts.
    pub fn send_frame(
        &mut self,
        now: Micros,
        life: u32,
        person: usize,
        wire: &mut Wire<'_>,
        post: &mut Post,
    ) {
        let (stream, key) = self.begin_frame(now, life, person, post);
        let (place, parts, bytes) = self.form_of(key);
        let timestamp = self.timestamp_at(now);
        for part in 0..parts {
            let stamp = Stamp {
                stream,
                index: self.index,
                timestamp,
                frame: self.frame,
                part,
                parts,
                key,
                counters: self.counters,
                codec: self.plan.codec,
                short_ids: self.ids == PictureIds::Short,
                place,
            };
            self.index += 1;
            let payload = codec::write_payload(self.ids, &stamp, bytes);
            self.octets = self.octets.wrapping_add(payload.len() as u32);
            self.write(&stamp, &payload, None, wire, post);
            self.kept.push_back(SentPacket { stamp, payload });
        }
        while self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        self.frame += 1;
        let next = &mut self.counters;
        let mask = if self.ids == PictureIds::Short { 0x7f } else { 0x7fff };
        next.picture_id = next.picture_id.map(|id| id.wrapping_add(1) & mask);
        if self.encoder.is_none() {
            next.tl0 = next.tl0.map(|tl0| tl0.wrapping_add(1));
        }
        next.frame_number = next.frame_number.map(|number| number.wrapping_add(1));
    }

    /// Returns the place of the frame that begins, how many packets it has, and how many bytes each has.
    fn form_of(&mut self, key: bool) -> (Place, u8, usize) {
        let Some(encoder) = &mut self.encoder else {
            let video = self.plan.codec.kind() == MediaKind::Video;
            let parts = if video { self.dice.among(1..u64::from(self.plan.parts) + 1) as u8 } else { 1 };
            let place = Place { temporal: 0, refers: u8::from(!key), syncs: false };
            return (place, parts, self.plan.bytes);
        };
        let place = encoder.begin(self.frame, key);
        if place.temporal == 0 {
            self.counters.tl0 = self.counters.tl0.map(|tl0| tl0.wrapping_add(1));
        }
        let (parts, bytes) = encoder.packets(key, self.plan.interval, &mut self.dice);
        (place, parts, bytes)
    }

    /// Returns the next frame for a whole endpoint to packetize: its mark, timestamp and length.
    pub fn next_mark(
        &mut self,
        now: Micros,
        life: u32,
        person: usize,
        post: &mut Post,
    ) -> (Mark, u32, usize) {
        let (stream, key) = self.begin_frame(now, life, person, post);
        let video = self.plan.codec.kind() == MediaKind::Video;
        let parts = if video { self.dice.among(1..u64::from(self.plan.parts) + 1) as usize } else { 1 };
        let mark = Mark { stream, frame: self.frame, key, sent_at: now };
        self.frame += 1;
        (mark, self.timestamp_at(now), parts * self.plan.bytes)
    }

    /// Begins a frame. Returns the number of its stream, and whether it is a key frame.
    fn begin_frame(&mut self, now: Micros, life: u32, person: usize, post: &mut Post) -> (u32, bool) {
        self.next_at = now + self.plan.interval;
        self.leapt = false;
        let stream = *self.stream.get_or_insert_with(|| {
            (self.began, self.first_index) = (now, self.index);
            post.streams.push(StreamInfo {
                person,
                life,
                source: self.plan.source,
                ssrc: self.ssrcs.0,
                rtx_ssrc: self.ssrcs.1,
                clock_rate: self.plan.codec.clock_rate(),
                timestamp_base: self.timestamp_base,
                began: now,
                first_index: self.index,
                encoding: self.encoder.as_ref().map(|encoder| encoder.plan),
            });
            post.streams.len() as u32 - 1
        });
        let video = self.plan.codec.kind() == MediaKind::Video;
        let may_key = self.key_at.is_none_or(|at| now >= at + KEY_INTERVAL);
        let key = !video || (self.wants_key && may_key);
        if key {
            self.wants_key = false;
            self.key_at = Some(now);
        }
        (stream, key)
    }

    fn timestamp_at(&self, now: Micros) -> u32 {
        let ticks = (now - self.began) * u64::from(self.plan.codec.clock_rate()) / 1_000_000;
        self.timestamp_base.wrapping_add(ticks as u32)
    }

    /// Writes one packet or, with `repeats`, its retransmission.
    fn write(
        &self,
        stamp: &Stamp,
        payload: &[u8],
        repeats: Option<u32>,
        wire: &mut Wire<'_>,
        post: &mut Post,
    ) {
        let numbering = wire.numbering;
        let mut block = ExtensionBlock::new();
        let transport = *wire.transport_sequence;
        block.push(numbering.transport_cc(), &wire.transport_sequence.to_be_bytes());
        *wire.transport_sequence = wire.transport_sequence.wrapping_add(1);
        if repeats.is_some() || stamp.index.wrapping_sub(self.first_index) < NAMED_PACKETS || !self.reported {
            block.push(numbering.mid(), self.mid.to_string().as_bytes());
            if let Some(encoder) = &self.encoder {
                let id = if repeats.is_some() { numbering.repaired_rid() } else { numbering.rid() };
                block.push(id, encoder.plan.rid.as_bytes());
            }
        }
        let is_audio = self.plan.codec.kind() == MediaKind::Audio;
        let level = is_audio.then(|| self.level(stamp.timestamp));
        if let Some(level) = level {
            block.push(numbering.audio_level(), &[level]);
        }
        if let Some(descriptor) = codec::dependency_descriptor(stamp) {
            block.push(numbering.dependency_descriptor(), &descriptor);
        }
        let pt = numbering.payload_type(stamp.codec);
        let index = repeats.unwrap_or(stamp.index);
        let fields = RtpFields {
            marker: stamp.ends_frame() && self.plan.codec.kind() == MediaKind::Video,
            payload_type: if repeats.is_some() { pt + 1 } else { pt },
            sequence: index as u16,
            timestamp: stamp.timestamp,
            ssrc: if repeats.is_some() { self.ssrcs.1 } else { self.ssrcs.0 },
            has_padding: false,
        };
        let mut buffer = vec![0; RTP_HEADER_WRITE_MAX + 2 + payload.len() + RTP_OVERHEAD_MAX];
        let Some(header) = write_header(&mut buffer, &fields, &block) else { return };
        let mut end = header;
        if repeats.is_some() {
            buffer[end..end + 2].copy_from_slice(&(stamp.index as u16).to_be_bytes());
            end += 2;
        }
        buffer[end..end + payload.len()].copy_from_slice(payload);
        end += payload.len();
        let Some(length) = wire.srtp.seal_rtp(&mut buffer, header, end, u64::from(index)) else { return };
        buffer.truncate(length);
        let sent = Sent { stamp: *stamp, recovered: repeats.is_some(), ssrc: fields.ssrc, transport, level };
        post.out.push(Out::Datagram { bytes: buffer, what: What::Rtp(sent) });
    }

    /// How loud it is there, in -dBov: people speak for a second and a half now and then, each at their own times.
    fn level(&self, timestamp: u32) -> u8 {
        let turn = u64::from(timestamp / (self.plan.codec.clock_rate() * 3 / 2));
        let speaks = (u64::from(self.ssrcs.0) ^ turn).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0;
        if speaks { 30 } else { 80 }
    }

    /// Retransmits the packets that are asked for.
    pub fn repeat(&mut self, lost: &[u16], wire: &mut Wire<'_>, post: &mut Post) {
        if self.plan.codec == CodecName::Opus || !self.published {
            return;
        }
        for sequence in lost {
            let Some(kept) = self.kept.iter().rev().find(|kept| kept.stamp.index as u16 == *sequence) else {
                continue;
            };
            self.write(&kept.stamp, &kept.payload, Some(self.rtx_index), wire, post);
            self.rtx_index += 1;
        }
    }

    /// Writes a sender report. `wall` is the sender's own clock, NTP format.
    pub fn report(&self, now: Micros, wall: u64, writer: &mut RtcpWriter<'_>) {
        if self.stream.is_none() || !self.published {
            return;
        }
        let packets = self.index.wrapping_sub(self.first_index);
        writer.sender_report(Ssrc(self.ssrcs.0), wall, self.timestamp_at(now), packets, self.octets, &[]);
        writer.sdes_cname(Ssrc(self.ssrcs.0), "sim");
    }
}
