//! IngressHalf: the media received on one transport. It decrypts packets, knows which stream belongs to which
//! publication, keeps receive statistics, sends NACKs for lost packets, and reports.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use self::strays::{BelongsTo, Strays};
use super::nack::NackGenerator;
use super::receive::ReceiveStatistics;
use super::rtcp::{ReportBlock, RtcpWriter};
use super::srtp::{OpenError, SrtpReceiver};
use super::twcc::TransportFeedbackRecorder;
use crate::core::fixed_hash::FixedMap;
use crate::core::ids::{Mid, PublicationKey, Ssrc};
use crate::core::media::extensions::{IncomingExtensions, PassedExtensions};
use crate::core::negotiated::{CodecParams, Negotiated, Payload};
use crate::core::pace::Pace;
use crate::core::stats::StreamCounters;
use crate::core::timers::earliest;
use crate::limits::INGRESS_STREAMS_PER_PARTICIPANT_MAX;
use crate::wire::rtp::RtpHeader;

/// Bytes of a retransmission's original sequence number (RFC 4588 §4).
const ORIGINAL_SEQUENCE_BYTES: usize = 2;

/// How long the encoding of a simulcast that is preferred most has to be silent until another stream that does not say which
/// encoding it carries may take its place. Two at once would be a picture of which no frame follows from the one before.
const PLACE_KEPT_FOR: Duration = Duration::from_secs(1);

/// One transport brings a byte in this time in the long run: 40 Mbit/s, which is twice what a screen in the best quality
/// takes. All of it is multiplied by the viewers.
const BYTE_INTERVAL: Duration = Duration::from_nanos(200);
/// Bytes that may come at once, which is a second's: video that a full network has kept back.
const BYTES_AT_ONCE: u32 = 5_000_000;

/// An SDP section in which a client publishes a track.
#[derive(Debug, Clone)]
pub struct PublishedSection {
    /// The publication that the section feeds.
    pub publication: PublicationKey,
    /// The rids of a simulcast, in the client's order.
    pub rids: Vec<String>,
    /// The SSRCs that the offer declared, media and retransmission: a pair for each encoding of a simulcast, the
    /// smallest first, else at most one pair.
    pub declared: Vec<(Ssrc, Option<Ssrc>)>,
}

impl PublishedSection {
    /// Returns the rank of an encoding, which is known by its rid or by its declared SSRC. 0 is preferred most: first
    /// the middle encoding, then those below it, then those above.
    fn rank(&self, ssrc: Ssrc, rid: Option<&str>) -> usize {
        self.place(ssrc, rid).map_or(0, |(place, count)| rank_of(place, count))
    }

    /// Returns the place of an encoding in the client's order, and how many there are; `None` if it is not known.
    fn place(&self, ssrc: Ssrc, rid: Option<&str>) -> Option<(usize, usize)> {
        let by_rid = rid.and_then(|rid| self.rids.iter().position(|other| other == rid));
        let by_ssrc = || self.declared.iter().position(|pair| is_of(*pair, ssrc));
        by_rid
            .map(|place| (place, self.rids.len()))
            .or_else(|| by_ssrc().map(|place| (place, self.declared.len())))
    }

    /// Returns the encodings of a simulcast in the client's order, each with its rank: by their rids, or numbered from 1
    /// if the offer declares them by SSRCs.
    pub fn encodings(&self) -> impl Iterator<Item = (Box<str>, usize)> {
        let numbers = (1..=self.declared.len()).filter(|_| self.rids.is_empty());
        let names =
            self.rids.iter().map(|rid| rid.as_str().into()).chain(numbers.map(|n| n.to_string().into()));
        let count = self.rids.len().max(self.declared.len());
        names.enumerate().map(move |(place, name)| (name, rank_of(place, count)))
    }

    /// Whether the offer declared that SSRC for it.
    fn declares(&self, ssrc: Ssrc) -> bool {
        self.declared.iter().any(|pair| is_of(*pair, ssrc))
    }
}

/// Returns the rank of the encoding at a place among that many.
fn rank_of(place: usize, count: usize) -> usize {
    let middle = count.saturating_sub(1) / 2;
    if place <= middle { middle - place } else { place }
}

fn is_of((main, rtx): (Ssrc, Option<Ssrc>), ssrc: Ssrc) -> bool {
    main == ssrc || rtx == Some(ssrc)
}

/// The sections that publish, by mid.
pub type PublishedSections = BTreeMap<Mid, PublishedSection>;

/// One incoming stream of media. Each has an SSRC of its own.
#[derive(Debug)]
pub struct IncomingStream {
    /// The publication that it belongs to.
    pub publication: PublicationKey,
    /// How much its encoding is preferred among those of its track, 0 most.
    pub rank: usize,
    /// The rid that it said, or that an earlier stream under its SSRC said.
    rid: Option<Box<str>>,
    /// What receiver reports say about it: counts, jitter, loss.
    pub statistics: ReceiveStatistics,
    /// Which packets are missing and asked for; `None` if the codec was negotiated without NACK.
    pub nack: Option<NackGenerator>,
    /// Counts of its packets.
    pub counters: StreamCounters,
    highest: u64,
    /// When its last packet came.
    last: Instant,
}

/// What an SSRC carries.
#[derive(Debug)]
enum Stream {
    Media(Box<IncomingStream>),
    Retransmission { of: Ssrc },
}

/// A media packet from a client, decrypted.
#[derive(Debug)]
pub struct MediaPacket<'a> {
    /// The SSRC of its stream; for a retransmission, that of the original.
    pub ssrc: Ssrc,
    /// The publication that it belongs to.
    pub publication: PublicationKey,
    /// How much its encoding is preferred, 0 most.
    pub rank: usize,
    /// The extended sequence number: roll-over counter and 16 bits.
    pub index: u64,
    /// The sender's RTP timestamp.
    pub timestamp: u32,
    /// The marker bit: with video, the last packet of a frame.
    pub marker: bool,
    /// The codec, as the packet's payload type says.
    pub codec: CodecParams,
    /// Whether the payload is in RFC 2198's redundant form.
    pub redundant: bool,
    /// Whether it came as a retransmission.
    pub recovered: bool,
    /// The header extensions that are forwarded.
    pub extensions: PassedExtensions,
    /// The payload, without padding.
    pub payload: &'a [u8],
}

/// The packet is dropped: it is not authentic, it is a replay, or it belongs to nothing that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unusable;

/// The incoming half of a transport's media.
#[derive(Debug)]
pub struct IngressHalf {
    receiver: SrtpReceiver,
    /// How many bytes of media are taken.
    rate: Pace,
    streams: FixedMap<Ssrc, Stream>,
    /// Media streams in the order of their first packets. Iteration follows it.
    order: Vec<Ssrc>,
    feedback: TransportFeedbackRecorder,
    /// The SSRC that our RTCP is from.
    pub rtcp_ssrc: Ssrc,
    nack_at: Option<Instant>,
    lost: Vec<u16>,
    strays: Strays,
    /// Packets that could not be opened or placed.
    pub dropped: u64,
    /// `dropped` as last added to the room's totals.
    pub dropped_reported: u64,
}

impl IngressHalf {
    /// A half that has received nothing yet, under the keys of `receiver`.
    pub fn new(receiver: SrtpReceiver, rtcp_ssrc: Ssrc, epoch: Instant) -> Self {
        Self {
            receiver,
            rate: Pace::new(epoch, BYTE_INTERVAL, BYTES_AT_ONCE),
            streams: FixedMap::default(),
            order: Vec::new(),
            feedback: TransportFeedbackRecorder::new(epoch),
            rtcp_ssrc,
            nack_at: None,
            lost: Vec::new(),
            strays: Strays::default(),
            dropped: 0,
            dropped_reported: 0,
        }
    }

    /// Decrypts an RTP packet and finds out what it belongs to. Returns `Ok(None)` if it is authentic but has nothing
    /// to be forwarded. `round_trip` is the newest measured to the client. Walk: called by `Room::handle_rtp`.
    pub fn receive<'a>(
        &mut self,
        now: Instant,
        round_trip: Duration,
        bytes: &'a mut [u8],
        negotiated: &Negotiated,
        published: &PublishedSections,
    ) -> Result<Option<MediaPacket<'a>>, Unusable> {
        let Ok(header) = RtpHeader::parse(bytes) else { return Err(self.drop_one()) };
        if !self.rate.wait(now).is_zero() {
            return Err(self.drop_one());
        }
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let opened = match self.receiver.open_rtp(bytes, header.header_len, header.sequence, header.ssrc) {
            Ok(opened) => opened,
            Err(error) => {
                if let (OpenError::Replayed, Some(Stream::Media(stream))) =
                    (error, self.streams.get_mut(&Ssrc(header.ssrc)))
                {
                    stream.counters.dropped += 1;
                }
                return Err(self.drop_one());
            }
        };
        // Only now, because others could send as much in the publisher's name.
        self.rate.note_many(now, length);
        let Some(packet) = bytes.get(..opened.len) else { return Err(self.drop_one()) };
        let extensions = IncomingExtensions::read(&header, packet, |id| negotiated.extension(id));
        if let Some(sequence) = extensions.transport_cc {
            self.feedback.on_packet(now, sequence);
        }
        let Some(payload_kind) = negotiated.payload(header.payload_type) else { return Err(self.drop_one()) };
        let ssrc = Ssrc(header.ssrc);
        if !self.streams.contains_key(&ssrc)
            && !self.learn(now, ssrc, header.payload_type, &extensions, payload_kind, negotiated, published)
        {
            return Err(self.drop_one());
        }
        let Ok(payload) = header.payload(packet) else { return Err(self.drop_one()) };
        let passed = extensions.passed;
        Ok(self.place(now, round_trip, ssrc, &header, opened.index, payload_kind, passed, payload))
    }

    fn drop_one(&mut self) -> Unusable {
        self.dropped += 1;
        Unusable
    }

    #[expect(clippy::too_many_arguments, reason = "a packet's parts, taken apart once by the only caller")]
    fn place<'a>(
        &mut self,
        now: Instant,
        round_trip: Duration,
        ssrc: Ssrc,
        header: &RtpHeader,
        index: u64,
        payload_kind: Payload,
        extensions: PassedExtensions,
        payload: &'a [u8],
    ) -> Option<MediaPacket<'a>> {
        let (ssrc, recovered, payload) = match self.streams.get(&ssrc) {
            Some(Stream::Retransmission { of }) => {
                // A retransmission without an original inside only probes for bandwidth.
                if payload.len() <= ORIGINAL_SEQUENCE_BYTES {
                    return None;
                }
                let (original, payload) = payload.split_at(ORIGINAL_SEQUENCE_BYTES);
                (*of, Some(u16::from_be_bytes([original[0], original[1]])), payload)
            }
            _ => (ssrc, None, payload),
        };
        let Some(Stream::Media(stream)) = self.streams.get_mut(&ssrc) else { return None };
        let (codec, redundant) = match (payload_kind, recovered) {
            (Payload::Media(codec), None) => (codec, false),
            (Payload::Redundant(codec), None) => (codec, true),
            (Payload::Retransmission(codec), Some(_)) => (codec, false),
            // Media on a stream of retransmissions, or the other way round: the sender contradicts itself.
            _ => return None,
        };
        let index = match recovered {
            // Only what the network delivered by itself counts, so that loss stays visible where it is repaired.
            None => {
                stream.statistics.on_packet(now, index, header.timestamp);
                stream.highest = stream.highest.max(index);
                stream.last = now;
                stream.counters.packets += 1;
                stream.counters.bytes += payload.len() as u64;
                index
            }
            Some(sequence) => nearest_index(stream.highest, sequence)?,
        };
        if let Some(nack) = &mut stream.nack {
            if recovered.is_some() {
                nack.on_retransmission(index);
            } else {
                nack.on_packet(now, index, round_trip);
            }
            self.nack_at = earliest(self.nack_at, nack.deadline());
        }
        Some(MediaPacket {
            ssrc,
            publication: stream.publication,
            rank: stream.rank,
            index,
            timestamp: header.timestamp,
            marker: header.marker,
            codec,
            redundant,
            recovered: recovered.is_some(),
            extensions,
            payload,
        })
    }

    /// Finds the section that an SSRC belongs to, and remembers it (RFC 9143 §9.2). The packet's MID tells, or what the
    /// offer declared, or the payload type if the client sends it in one section only. This is needed at any time,
    /// because an encoder that begins anew may take another SSRC. Returns `false` if the SSRC belongs to no section.
    #[expect(clippy::too_many_arguments, reason = "what a packet says of itself, and what was agreed on")]
    fn learn(
        &mut self,
        now: Instant,
        ssrc: Ssrc,
        payload_type: u8,
        extensions: &IncomingExtensions<'_>,
        payload: Payload,
        negotiated: &Negotiated,
        published: &PublishedSections,
    ) -> bool {
        let said = extensions.mid.map(|mid| std::str::from_utf8(mid).map_or(Mid::NONE, Mid::from));
        let sends = |mid| negotiated.section(mid).is_some_and(|section| section.ingress.is_some());
        let (before, rid_before) = self.strays.take(now, ssrc, sends);
        let known = said.map_or(before, BelongsTo::Section);
        let said_rid = extensions.repaired_rid.or(extensions.rid);
        let rid = said_rid.and_then(|rid| std::str::from_utf8(rid).ok()).map(Box::from).or(rid_before);
        let declares = || published.values().find(|section| said.is_none() && section.declares(ssrc));
        let section = declares().or_else(|| match known {
            BelongsTo::Section(mid) => published.get(&mid),
            // The last packets of a track that has ended must not be taken for those of the one that is left.
            BelongsTo::MaybeEnded => None,
            BelongsTo::Unknown => {
                negotiated.only_section_of(payload_type).and_then(|mid| published.get(&mid))
            }
        });
        let Some(section) =
            section.filter(|section| self.has_place(now, section, ssrc, rid.as_deref(), payload))
        else {
            self.strays.note(now, ssrc, known, rid);
            return false;
        };
        // An encoder that begins anew many times leaves a stream behind each time.
        if self.streams.len() >= INGRESS_STREAMS_PER_PARTICIPANT_MAX {
            self.forget_most_silent(published);
        }
        let rank = section.rank(ssrc, rid.as_deref());
        let codec = match payload {
            Payload::Media(codec) | Payload::Redundant(codec) => codec,
            Payload::Retransmission(_) => {
                let Some(of) = self.main_of(section, rank) else {
                    self.strays.note(now, ssrc, known, rid);
                    return false;
                };
                self.streams.insert(ssrc, Stream::Retransmission { of });
                return true;
            }
        };
        let stream = IncomingStream {
            publication: section.publication,
            rank,
            rid,
            statistics: ReceiveStatistics::new(codec.codec.clock_rate()),
            nack: codec.nack.then(NackGenerator::new),
            counters: StreamCounters::default(),
            highest: 0,
            last: now,
        };
        self.streams.insert(ssrc, Stream::Media(Box::new(stream)));
        self.order.push(ssrc);
        true
    }

    /// Whether a stream can be told from the others of its section: it is the only encoding, or it is known which one it
    /// is, or nobody has the place that it would get.
    fn has_place(
        &self,
        now: Instant,
        section: &PublishedSection,
        ssrc: Ssrc,
        rid: Option<&str>,
        payload: Payload,
    ) -> bool {
        if section.rids.len() < 2
            || section.place(ssrc, rid).is_some()
            || matches!(payload, Payload::Retransmission(_))
        {
            return true;
        }
        let taken = self.main_of(section, 0).and_then(|main| self.stream(main));
        taken.is_none_or(|stream| now.saturating_duration_since(stream.last) >= PLACE_KEPT_FOR)
    }

    /// Returns the media stream that retransmissions of an encoding repair: the newest stream of that encoding.
    fn main_of(&self, section: &PublishedSection, rank: usize) -> Option<Ssrc> {
        self.order.iter().rev().copied().find(|ssrc| {
            self.stream(*ssrc)
                .is_some_and(|stream| stream.publication == section.publication && stream.rank == rank)
        })
    }

    /// Returns the media stream that an SSRC carries retransmissions of; `None` if it carries none.
    pub fn repaired_by(&self, ssrc: Ssrc) -> Option<Ssrc> {
        match self.streams.get(&ssrc)? {
            Stream::Media(_) => None,
            Stream::Retransmission { of } => Some(*of),
        }
    }

    /// Whether packets with that SSRC have come, media or retransmissions.
    pub fn has_stream(&self, ssrc: Ssrc) -> bool {
        self.streams.contains_key(&ssrc)
    }

    /// Returns the media stream with that SSRC.
    pub fn stream(&self, ssrc: Ssrc) -> Option<&IncomingStream> {
        match self.streams.get(&ssrc)? {
            Stream::Media(stream) => Some(stream),
            Stream::Retransmission { .. } => None,
        }
    }

    /// Returns the media stream with that SSRC, to change its counters.
    pub fn stream_mut(&mut self, ssrc: Ssrc) -> Option<&mut IncomingStream> {
        match self.streams.get_mut(&ssrc)? {
            Stream::Media(stream) => Some(stream),
            Stream::Retransmission { .. } => None,
        }
    }

    /// Returns all media streams, in the order of their first packets.
    pub fn streams(&self) -> impl Iterator<Item = (Ssrc, &IncomingStream)> {
        self.order.iter().filter_map(|ssrc| Some((*ssrc, self.stream(*ssrc)?)))
    }

    /// Appends a report block for each media stream, in the order of their first packets. The fraction lost covers the
    /// time since the last call.
    pub fn report_blocks(&mut self, now: Instant, out: &mut Vec<ReportBlock>) {
        for ssrc in &self.order {
            let Some(Stream::Media(stream)) = self.streams.get_mut(ssrc) else { continue };
            out.push(stream.statistics.report_block(*ssrc, now));
            stream.counters.lost = stream.statistics.lost_total();
        }
    }

    /// Forgets the stream of which nothing has come for the longest time, and what repairs it.
    fn forget_most_silent(&mut self, published: &PublishedSections) {
        let Some((silent, stream)) = self.streams().min_by_key(|(_, stream)| stream.last) else { return };
        let (publication, last) = (stream.publication, stream.last);
        let mut sections = published.iter().filter(|(_, section)| section.publication == publication);
        let mid = sections.next().map_or(Mid::NONE, |(mid, _)| *mid);
        self.remove_stream(last, silent, mid);
    }

    /// Removes a media stream of that section and what repairs it, and remembers what each of them carries.
    fn remove_stream(&mut self, now: Instant, gone: Ssrc, mid: Mid) {
        self.order.retain(|ssrc| *ssrc != gone);
        let Some(Stream::Media(stream)) = self.streams.remove(&gone) else { return };
        let mut repairs = Vec::new();
        self.streams.retain(|ssrc, stream| {
            let goes = matches!(stream, Stream::Retransmission { of } if *of == gone);
            repairs.extend(goes.then_some(*ssrc));
            !goes
        });
        // The order of the map depends on its history.
        repairs.sort_unstable();
        for ssrc in std::iter::once(gone).chain(repairs) {
            self.strays.note(now, ssrc, BelongsTo::Section(mid), stream.rid.clone());
        }
    }

    /// Notes that a section does not send any more. An SSRC of which nothing is known may have been that section's, so it is
    /// not taken for another's from now on.
    pub fn on_section_ended(&mut self) {
        self.strays.on_section_ended();
    }

    /// Forgets the streams of a publication that has ended, and their retransmissions. Packets that still come with
    /// their SSRCs, or with those declared for its section, belong to nothing until that section publishes again.
    pub fn forget(
        &mut self,
        now: Instant,
        publication: PublicationKey,
        mid: Mid,
        declared: &[(Ssrc, Option<Ssrc>)],
    ) {
        self.on_section_ended();
        let gone: Vec<Ssrc> = self
            .streams()
            .filter(|(_, stream)| stream.publication == publication)
            .map(|(ssrc, _)| ssrc)
            .collect();
        for (main, repairs) in declared {
            for ssrc in std::iter::once(*main).chain(*repairs) {
                self.strays.note(now, ssrc, BelongsTo::Section(mid), None);
            }
        }
        for ssrc in gone {
            self.remove_stream(now, ssrc, mid);
        }
    }

    /// Decrypts an RTCP packet in place. Returns its length after that; `None` if it is not authentic.
    pub fn open_rtcp(&mut self, bytes: &mut [u8]) -> Option<usize> {
        match self.receiver.open_rtcp(bytes) {
            Ok(length) => Some(length),
            Err(_) => {
                self.dropped += 1;
                None
            }
        }
    }

    /// Returns when [`write_nacks`](Self::write_nacks) will have something to write; `None` while nothing is missing.
    pub fn nack_deadline(&self) -> Option<Instant> {
        self.nack_at
    }

    /// Returns when [`write_feedback`](Self::write_feedback) will have something to write.
    pub fn feedback_deadline(&self) -> Option<Instant> {
        self.feedback.deadline()
    }

    /// Writes the NACKs that are due. Returns the streams, with their publications, in which a packet has been given up
    /// as lost.
    pub fn write_nacks(
        &mut self,
        now: Instant,
        round_trip: Duration,
        out: &mut Vec<u8>,
    ) -> Vec<(PublicationKey, Ssrc)> {
        let mut given_up = Vec::new();
        if self.nack_at.is_none_or(|at| at > now) {
            return given_up;
        }
        self.nack_at = None;
        for ssrc in &self.order {
            let Some(Stream::Media(stream)) = self.streams.get_mut(ssrc) else { continue };
            let Some(nack) = &mut stream.nack else { continue };
            self.lost.clear();
            nack.due(now, round_trip, &mut self.lost);
            if !self.lost.is_empty() {
                stream.counters.nacked += self.lost.len() as u64;
                RtcpWriter::new(out).nack(self.rtcp_ssrc, *ssrc, &self.lost);
            }
            if nack.take_given_up() {
                given_up.push((stream.publication, *ssrc));
            }
            self.nack_at = earliest(self.nack_at, nack.deadline());
        }
        given_up
    }

    /// Writes the transport-wide feedback for one datagram. Returns `false` if none is due.
    pub fn write_feedback(&mut self, now: Instant, out: &mut Vec<u8>) -> bool {
        let media = self.order.first().copied().unwrap_or(Ssrc(0));
        self.feedback.write(now, self.rtcp_ssrc, media, out)
    }
}

/// Returns the extended sequence number with those low 16 bits that is nearest to the highest seen; `None` if it would be
/// negative.
fn nearest_index(highest: u64, sequence: u16) -> Option<u64> {
    let ahead = sequence.wrapping_sub(highest as u16);
    if ahead < 0x8000 {
        Some(highest + u64::from(ahead))
    } else {
        highest.checked_sub(u64::from(ahead.wrapping_neg()))
    }
}

mod strays;
#[cfg(test)]
mod tests;
