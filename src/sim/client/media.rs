//! An endpoint's datagrams: checks and their answers, handshake flights, media and reports.

use super::sending::Wire;
use super::{Endpoint, FLIGHT, Now, Out, Post, REPLY, What};
use crate::core::ids::Ssrc;
use crate::core::media::rtcp::{self, RtcpItem, RtcpWriter};
use crate::core::media::srtp::{OpenError, RTCP_OVERHEAD_MAX};
use crate::core::media::twcc::TransportFeedbackRecorder;
use crate::sim::codec::Stamp;
use crate::sim::line::HEADERS;
use crate::sim::network::{Micros, SECOND, server_address};
use crate::wire::classify::{DatagramKind, classify};
use crate::wire::red;
use crate::wire::rtp::RtpHeader;
use crate::wire::stun::{self, StunPeek};
use crate::wire::stun_check;

/// How often consent is renewed, µs. Browsers take 2.5 s at most.
const CHECK_INTERVAL: Micros = SECOND;
/// How many checks may wait for their answers.
const TRANSACTIONS_MAX: usize = 8;

impl Endpoint {
    pub(super) fn check(&mut self, now: Micros, post: &mut Post) {
        let Some(remote) = &self.remote else { return };
        self.unanswered += 1;
        // While there is no answer, the time between checks doubles up to 0.8 seconds.
        self.check_at = Some(now + (100_000 << self.unanswered.min(3)));
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&self.dice.bytes(12));
        self.transactions.insert(0, transaction);
        self.transactions.truncate(TRANSACTIONS_MAX);
        let mut bytes = Vec::with_capacity(128);
        stun_check::write_check(&mut bytes, transaction, remote);
        post.out.push(Out::Datagram { bytes, what: What::Check { ufrag: remote.username.clone() } });
    }

    /// Takes a datagram that came, whatever its protocol.
    pub fn on_datagram(&mut self, now: Now, bytes: &mut [u8], post: &mut Post) {
        if self.engine.is_some() {
            return self.engine_receives(now, bytes, post);
        }
        match classify(bytes) {
            DatagramKind::Stun => {
                if let Some(question) = stun::peek(bytes).filter(StunPeek::is_binding_request) {
                    // Its own address is behind a NAT, and the server does not look at the one in the answer.
                    let mut answer = Vec::with_capacity(128);
                    let password = &self.credentials.1;
                    stun_check::write_grant(&mut answer, question.transaction, server_address(), password);
                    let transaction = question.transaction;
                    post.out.push(Out::Datagram { bytes: answer, what: What::Answer { transaction } });
                } else if self.transactions.iter().any(|one| stun_check::grants(bytes, *one)) {
                    self.unanswered = 0;
                    self.check_at = Some(now.micros + CHECK_INTERVAL);
                    if self.srtp.is_none() {
                        self.say_hello(now.micros, post);
                    }
                }
            }
            DatagramKind::Dtls => {
                if bytes.get(..4) == Some(&[FLIGHT[0], FLIGHT[1], FLIGHT[2], REPLY]) {
                    self.on_reply(now.micros);
                }
            }
            DatagramKind::Rtp => self.on_rtp(now, bytes, post),
            DatagramKind::Rtcp => self.on_rtcp(now, bytes, post),
            DatagramKind::TurnChannel | DatagramKind::Unknown => {
                post.complain("the server sent what is nothing".into());
            }
        }
    }

    fn on_rtp(&mut self, now: Now, bytes: &mut [u8], post: &mut Post) {
        let Some((receiver, _)) = &mut self.srtp else { return };
        let Ok(header) = RtpHeader::parse(bytes) else {
            post.complain("the server sent RTP without a header".into());
            return;
        };
        let opened = match receiver.open_rtp(bytes, header.header_len, header.sequence, header.ssrc) {
            Ok(opened) => opened,
            // The network may deliver packets twice and late. The oracle checks what the server itself sends.
            Err(OpenError::Replayed | OpenError::TooOld) => return,
            Err(error) => {
                let who = super::super::network::name(self.person);
                post.complain(format!("{who} cannot open a packet of {:08x}: {error:?}", header.ssrc));
                return;
            }
        };
        let packet = bytes.get(..opened.len).unwrap_or_default();
        if let Some(number) = header.extension(packet, self.numbering.transport_cc())
            && let Ok(number) = <[u8; 2]>::try_from(number)
            && self.numbering.reports_arrivals()
        {
            let arrivals = self.arrivals.get_or_insert_with(|| TransportFeedbackRecorder::new(now.instant));
            arrivals.on_packet(now.instant, u16::from_be_bytes(number));
            self.arrivals_at = arrivals.deadline().map(|at| now.until(at));
        }
        let payload = packet.get(header.header_len..).unwrap_or_default();
        let bytes = packet.len() as u64 + HEADERS;
        let received = &mut self.received;
        if let Some(slot) = self.slots.get_mut(&header.ssrc) {
            received.media += bytes;
            let at = (now.micros, now.instant);
            let mut payload = payload;
            // The oracle checks what copies hold.
            if let Ok(redundant) = red::parse(payload)
                && self.numbering.redundant() == Some(header.payload_type)
            {
                let copies = redundant.copies().filter_map(|copy| Stamp::find(copy.payload));
                copies.for_each(|stamp| slot.listening.on_frame(&stamp));
                payload = redundant.primary;
            }
            match Stamp::find(payload) {
                Some(stamp) => slot.on_packet(at, opened.index, header.timestamp, stamp, post),
                None => slot.on_empty(at, opened.index, header.timestamp, post),
            }
            return;
        }
        received.repeats += bytes;
        if let Some(slot) = self.rtx.get(&header.ssrc).and_then(|main| self.slots.get_mut(main))
            && let Some((original, payload)) = payload.split_first_chunk::<2>()
            && let Some(stamp) = Stamp::find(payload)
        {
            slot.on_repeated(now.micros, u16::from_be_bytes(*original), stamp, post);
        }
    }

    fn on_rtcp(&mut self, now: Now, bytes: &mut [u8], post: &mut Post) {
        let Some((receiver, _)) = &mut self.srtp else { return };
        let Ok(length) = receiver.open_rtcp(bytes) else { return };
        let compound = bytes.get(..length).unwrap_or_default();
        let Self { senders, slots, .. } = self;
        let mut lost: Vec<(u32, Vec<u16>)> = Vec::new();
        rtcp::parse(compound, &mut |item| match item {
            RtcpItem::Nack { media, lost: sequences } => lost.push((media.0, sequences.collect())),
            RtcpItem::Pli { media } | RtcpItem::Fir { media, .. } => {
                let asked = senders.iter().find(|sender| sender.ssrcs.0 == media.0);
                let section = asked.map(|sender| sender.mid);
                // As in browsers, all encodings of a track get one.
                let of_track = senders.iter_mut().filter(|sender| Some(sender.mid) == section);
                of_track.for_each(|sender| sender.wants_key = true);
            }
            RtcpItem::ReportBlock { block, .. } => {
                let sender = senders.iter_mut().find(|sender| sender.ssrcs.0 == block.ssrc.0);
                sender.into_iter().for_each(|sender| sender.reported = true);
            }
            RtcpItem::SenderReport { ssrc, ntp, .. } => {
                if let Some(slot) = slots.get_mut(&ssrc.0) {
                    slot.on_sender_report(now.instant, ntp);
                }
            }
            _ => {}
        });
        // Borrowed only now, because until here the receiver was in use.
        let Self { senders, srtp, numbering, transport_sequence, .. } = self;
        let Some((_, srtp)) = srtp else { return };
        let mut wire = Wire { numbering: *numbering, srtp, transport_sequence };
        for (ssrc, sequences) in lost {
            if let Some(sender) = senders.iter_mut().find(|sender| sender.ssrcs.0 == ssrc) {
                sender.repeat(&sequences, &mut wire, post);
            }
        }
    }

    pub(super) fn send_media(&mut self, now: Now, post: &mut Post) {
        let Self { senders, srtp, numbering, transport_sequence, .. } = self;
        let Some((_, srtp)) = srtp else { return };
        let mut wire = Wire { numbering: *numbering, srtp, transport_sequence };
        for sender in senders.iter_mut().filter(|sender| sender.due().is_some_and(|at| at <= now.micros)) {
            sender.send_frame(now.micros, self.life, self.person, &mut wire, post);
        }
    }

    pub(super) fn send_feedback(&mut self, now: Now, post: &mut Post) {
        let mut compound = Vec::new();
        let mut nacks = Vec::new();
        for (ssrc, slot) in &mut self.slots {
            let asks = slot.asks(now.micros);
            if !asks.lost.is_empty() {
                RtcpWriter::new(&mut compound).nack(Ssrc(self.rtcp_ssrc), Ssrc(*ssrc), &asks.lost);
                nacks.push((*ssrc, asks.lost));
            }
            if asks.keyframe {
                RtcpWriter::new(&mut compound).pli(Ssrc(self.rtcp_ssrc), Ssrc(*ssrc));
            }
        }
        if self.report_at <= now.micros {
            self.report_at = now.micros + SECOND;
            let wall = self.wall(now.micros);
            for sender in &self.senders {
                sender.report(now.micros, wall, &mut RtcpWriter::new(&mut compound));
            }
            let mut blocks = Vec::new();
            for (ssrc, slot) in &mut self.slots {
                blocks.extend(slot.report(*ssrc, now.instant));
            }
            if !blocks.is_empty() {
                RtcpWriter::new(&mut compound).receiver_report(Ssrc(self.rtcp_ssrc), &blocks);
            }
        }
        self.send_rtcp(compound, nacks, post);
        if self.arrivals_at.is_some_and(|at| at <= now.micros)
            && let Some(arrivals) = &mut self.arrivals
        {
            let mut reports = Vec::new();
            let mut report = Vec::new();
            while arrivals.write(now.instant, Ssrc(self.rtcp_ssrc), Ssrc(0), &mut report) {
                reports.push(std::mem::take(&mut report));
            }
            self.arrivals_at = arrivals.deadline().map(|at| now.until(at));
            for report in reports {
                self.send_rtcp(report, Vec::new(), post);
            }
        }
    }

    /// Seals and sends a compound, in which the packets that `nacks` names are asked for.
    fn send_rtcp(&mut self, mut compound: Vec<u8>, nacks: Vec<(u32, Vec<u16>)>, post: &mut Post) {
        let Some((_, srtp)) = &mut self.srtp else { return };
        if compound.is_empty() {
            return;
        }
        let plain = compound.len();
        compound.resize(plain + RTCP_OVERHEAD_MAX, 0);
        if let Some(length) = srtp.seal_rtcp(&mut compound, plain) {
            compound.truncate(length);
            post.out.push(Out::Datagram { bytes: compound, what: What::Rtcp(nacks) });
        }
    }

    /// Returns their own wall clock in NTP format. Like real clocks, it is wrong.
    fn wall(&self, now: Micros) -> u64 {
        let fraction = ((now % SECOND) << 32) / SECOND;
        self.wall_offset.wrapping_add((now / SECOND) << 32).wrapping_add(fraction)
    }
}
