//! Describes inputs and outputs of a room in words, down to the headers of STUN, DTLS, RTP and RTCP.

use std::fmt::Write as _;

use crate::core::event::Event;
use crate::core::input::{DtlsEnd, DtlsEvent, Shedding};
use crate::core::outbox::RoomOutput;
use crate::core::output::DtlsRequest;
use crate::core::path::{Path, TrafficClass};
use crate::core::record::RecordedInput;
use crate::wire::classify::{DatagramKind, classify};
use crate::wire::rtp::RtpHeader;
use crate::wire::stun::{self, StunClass};

/// The length at which a participant's text is cut, in characters.
const TEXT_CHARS_MAX: usize = 400;

/// Returns an input in words. `path` is that of a datagram.
pub fn input(input: &RecordedInput<'_>, path: Option<Path>) -> String {
    match input {
        RecordedInput::Datagram { on, bytes, .. } => {
            let way = path
                .map_or_else(String::new, |path| format!(" from {} {}", path.carrier.as_str(), path.remote));
            format!("a datagram{way} on transport {}: {}", on.0, datagram(bytes.0, bytes.0.len()))
        }
        RecordedInput::Join(_, _, join) => format!("{} joins", join.profile.name),
        RecordedInput::Resume(_, resume) => format!("{} is back", resume.participant),
        RecordedInput::Command(from, _, command) => {
            format!("participant {} asks: {}", from.0, shortened(&format!("{command:?}")))
        }
        RecordedInput::ConnectionLost(from) => format!("participant {}'s signalling breaks", from.0),
        RecordedInput::Dtls(on, event) => {
            format!("transport {}'s handshake: {}", on.0, dtls_event(event))
        }
        RecordedInput::Remove(id) => format!("the operator removes {id}"),
        RecordedInput::Operate(moderation) => {
            format!("the operator asks: {}", shortened(&format!("{moderation:?}")))
        }
        RecordedInput::StopWaiting(id) => format!("{id}, who waits, has gone"),
        RecordedInput::Close(reason) => format!("the room is closed: {reason:?}"),
        RecordedInput::MakeWay(key) => format!("participant {} makes way for somebody else", key.0),
        RecordedInput::KeepOut(bans) => format!("{} bans of the room before go on", bans.len()),
        RecordedInput::Timeout => "a deadline has come".to_owned(),
        RecordedInput::Share => "the packets that came are forwarded".to_owned(),
        RecordedInput::StoodStill(time) => format!("the server could hear nobody for {time:?}"),
        RecordedInput::Shed(Shedding::NONE) => "there is time to forward all video again".to_owned(),
        RecordedInput::Shed(shedding) => {
            let (parts, all) = (shedding.get(), Shedding::ALL.get());
            format!("there is no time to forward all video: {parts} of {all} parts are shed")
        }
    }
}

/// Returns an output in words. [`sent`] is for datagrams.
pub fn output(output: &RoomOutput) -> String {
    match output {
        RoomOutput::Event(to, event) => format!("to participant {}: {}", to.0, self::event(event)),
        RoomOutput::Dtls(of, request) => match request {
            DtlsRequest::Packet(bytes) => {
                format!("to transport {}'s handshake: {}", of.0, datagram(bytes, bytes.len()))
            }
            DtlsRequest::Channel(request) => {
                format!("to transport {}'s data channels: {}", of.0, shortened(&format!("{request:?}")))
            }
            other => format!("to transport {}'s handshake: {other:?}", of.0),
        },
        RoomOutput::BindUfrag(of, ufrag) => format!("ufrag {ufrag} leads to transport {}", of.0),
        RoomOutput::UnbindUfrag(ufrag) => format!("ufrag {ufrag} leads nowhere any more"),
        RoomOutput::BindPath(of, path) | RoomOutput::ClaimPath(of, path) => {
            format!("{} {} leads to transport {}", path.carrier.as_str(), path.remote, of.0)
        }
        RoomOutput::UnbindPath(of, path) => {
            format!("{} {} leads to transport {} no longer", path.carrier.as_str(), path.remote, of.0)
        }
        RoomOutput::Admitted(who) => format!("admitted as participant {}", who.0),
        RoomOutput::Refused(_, refusal) => format!("refused: {}", refusal.message),
        RoomOutput::Knocked(id) => format!("waits as {id}"),
        RoomOutput::ToWaiting(to, event) => format!("to {to}, who waits: {}", self::event(event)),
        RoomOutput::WaitsNoLonger(id) => format!("{id} waits no longer"),
        RoomOutput::Operated(Ok(())) => "done".to_owned(),
        RoomOutput::Operated(Err(refusal)) => format!("refused: {}", refusal.message),
        RoomOutput::Noted(notice) => format!("noted: {:?} by {}", notice.deed, notice.by.participant),
        RoomOutput::Gone(who, reason) => format!("participant {} is gone: {}", who.0, reason.as_str()),
    }
}

/// Returns a datagram that a room sent, in words, from its first bytes and its length.
pub fn sent(path: Path, class: TrafficClass, head: &[u8], length: usize) -> String {
    format!("{class:?} to {} {}: {}", path.carrier.as_str(), path.remote, datagram(head, length))
}

/// Returns a datagram in words. `head` may be only its beginning, as in a recording.
pub fn datagram(head: &[u8], length: usize) -> String {
    let mut text = match classify(head) {
        DatagramKind::Stun => stun_words(head),
        DatagramKind::Dtls => dtls_words(head),
        DatagramKind::Rtp => rtp_words(head),
        DatagramKind::Rtcp => rtcp_words(head),
        DatagramKind::TurnChannel => "TURN channel data".to_owned(),
        DatagramKind::Unknown => "bytes of no known kind".to_owned(),
    };
    let _ = write!(text, ", {length} bytes");
    text
}

fn stun_words(head: &[u8]) -> String {
    let Some(peek) = stun::peek(head) else {
        // It was cut, so its length does not fit. The fixed part still tells what it is (RFC 8489 §5).
        let kind = match head {
            [0x00, 0x01, ..] => "binding request",
            [0x01, 0x01, ..] => "binding success",
            [0x01, 0x11, ..] => "binding error",
            [0x00, 0x11, ..] => "binding indication",
            _ => "message",
        };
        return format!("STUN {kind} {}", hex(head.get(8..20).unwrap_or_default()));
    };
    let class = match peek.class {
        StunClass::Request => "request",
        StunClass::Indication => "indication",
        StunClass::Success => "success",
        StunClass::Error => "error",
    };
    let method = if peek.method == stun::METHOD_BINDING { "binding" } else { "message" };
    let nominates = if peek.use_candidate { ", nominates" } else { "" };
    format!("STUN {method} {class} {}{nominates}", hex(&peek.transaction))
}

/// Returns the first record of a datagram (RFC 6347 §4.1) in words; for a handshake, with its message (§4.2.2).
fn dtls_words(head: &[u8]) -> String {
    let content = match head.first() {
        Some(20) => "change cipher spec",
        Some(21) => "alert",
        Some(22) => "handshake",
        Some(23) => "application data",
        _ => "record",
    };
    let epoch = head.get(3..5).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]));
    // From epoch 1 on messages are encrypted, so the byte of the message type has no meaning.
    let message = match (head.first(), epoch, head.get(13)) {
        (Some(22), 0, Some(message)) => match message {
            1 => " ClientHello",
            2 => " ServerHello",
            3 => " HelloVerifyRequest",
            11 => " Certificate",
            12 => " ServerKeyExchange",
            13 => " CertificateRequest",
            14 => " ServerHelloDone",
            15 => " CertificateVerify",
            16 => " ClientKeyExchange",
            _ => "",
        },
        (Some(22), ..) => " (encrypted)",
        _ => "",
    };
    format!("DTLS {content}{message}")
}

fn rtp_words(head: &[u8]) -> String {
    // Only the fixed part is parsed, with its counts of CSRCs and extensions set to zero: they may have been cut off.
    let mut fixed = head.get(..12).unwrap_or(head).to_vec();
    if let Some(first) = fixed.first_mut() {
        *first &= 0xc0;
    }
    match RtpHeader::parse(&fixed) {
        Ok(header) => format!(
            "RTP payload type {} sequence {} timestamp {} SSRC {:08x}{}",
            header.payload_type,
            header.sequence,
            header.timestamp,
            header.ssrc,
            if header.marker { " marker" } else { "" }
        ),
        Err(_) => "RTP, too short".to_owned(),
    }
}

/// Returns the unencrypted part of SRTCP (RFC 3711 §3.4) in words: the first packet's kind and its sender.
fn rtcp_words(head: &[u8]) -> String {
    let kind = match head.get(1) {
        Some(200) => "sender report",
        Some(201) => "receiver report",
        Some(202) => "source description",
        Some(203) => "goodbye",
        Some(205) => "transport feedback",
        Some(206) => "payload feedback",
        _ => "packet",
    };
    let ssrc = head.get(4..8).map_or_else(String::new, |bytes| format!(" of SSRC {}", hex(bytes)));
    format!("RTCP {kind}{ssrc} (encrypted)")
}

fn dtls_event(event: &DtlsEvent) -> String {
    match event {
        DtlsEvent::Packet(bytes) => format!("sends {}", datagram(bytes, bytes.len())),
        DtlsEvent::PeerCertificate(der) => format!("the peer's certificate, {} bytes", der.len()),
        DtlsEvent::KeyingMaterial { profile, .. } => format!("keys for {profile:?}"),
        DtlsEvent::Channel(event) => format!("data channels: {}", shortened(&format!("{event:?}"))),
        DtlsEvent::Connected => "complete".to_owned(),
        DtlsEvent::Closed(DtlsEnd::Goodbye) => "closed".to_owned(),
        DtlsEvent::Closed(DtlsEnd::Alert(number)) => format!("closed by the peer's alert {number}"),
        DtlsEvent::Closed(DtlsEnd::Failed(why)) => format!("failed: {why}"),
    }
}

fn event(event: &Event) -> String {
    match event {
        Event::Joined(_, joined) => format!("joined as {}", joined.participant),
        Event::Resumed(_, resumed) => format!("resumed as {}", resumed.joined.participant),
        other => shortened(&format!("{other:?}")),
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= TEXT_CHARS_MAX {
        return text.to_owned();
    }
    format!("{}…", text.chars().take(TEXT_CHARS_MAX).collect::<String>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::datagram;

    /// Returns a datagram that begins like this.
    fn begins(head: &[u8]) -> Vec<u8> {
        let mut bytes = head.to_vec();
        bytes.resize(60, 7);
        bytes
    }

    #[test]
    fn every_kind_of_datagram_is_told_in_words_also_if_only_its_beginning_is_known() {
        let flight =
            |content, epoch, message| [content, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 1, 0, 47, message];
        for (bytes, words) in [
            (begins(&[0, 1, 0, 40, 0x21, 0x12, 0xa4, 0x42, 9]), "STUN binding request 09070707"),
            (begins(&[1, 1, 0, 40, 0x21, 0x12, 0xa4, 0x42, 9]), "STUN binding success 09070707"),
            (begins(&flight(22, 0, 1)), "DTLS handshake ClientHello"),
            (begins(&flight(22, 1, 1)), "DTLS handshake (encrypted)"),
            (begins(&flight(21, 0, 1)), "DTLS alert"),
            (
                begins(&[0x90, 0xe0, 0, 5, 0, 0, 0, 6]),
                "RTP payload type 96 sequence 5 timestamp 6 SSRC 07070707 marker",
            ),
            (begins(&[0x81, 201, 0, 7]), "RTCP receiver report of SSRC 07070707 (encrypted)"),
            (begins(&[0x81, 206, 0, 7]), "RTCP payload feedback of SSRC 07070707 (encrypted)"),
            (begins(&[0xff]), "bytes of no known kind"),
        ] {
            for known in [60, 48] {
                let said = datagram(&bytes[..known], 60);
                assert!(said.starts_with(words) && said.ends_with(", 60 bytes"), "{said}");
            }
        }
        // Less is kept of media.
        let media = begins(&[0x90, 0x60, 0, 5, 0, 0, 0, 6]);
        assert_eq!(
            datagram(&media[..12], 1000),
            "RTP payload type 96 sequence 5 timestamp 6 SSRC 07070707, 1000 bytes"
        );
    }
}
