//! Which stream a packet belongs to, and what is remembered of it.

use super::strays::STRAY_FOR;
use super::*;
use crate::core::input::SrtpProfile;
use crate::core::media::nack::ROUND_TRIP_UNKNOWN;
use crate::core::media::srtp::{RTP_OVERHEAD_MAX, SrtpSender, contexts};
use crate::core::negotiated::NegotiatedSection;
use crate::core::negotiation::offer::Offer;
use crate::core::rng::Rng;
use crate::core::session::Session;

const MAIN: Ssrc = Ssrc(7);
const REPAIRS: Ssrc = Ssrc(8);
const UNDECLARED: Ssrc = Ssrc(70);
const UNDECLARED_REPAIRS: Ssrc = Ssrc(80);
const VP8: u8 = 96;
const RTX: u8 = 97;

/// The ingress half for a client whose camera is section 1 and has the SSRCs above.
struct Incoming {
    half: IngressHalf,
    client: SrtpSender,
    negotiated: Negotiated,
    published: PublishedSections,
    now: Instant,
}

impl Incoming {
    fn new() -> Self {
        let now = Instant::now();
        let fingerprint = format!("a=fingerprint:sha-256 {}\r\n", ["AB"; 32].join(":"));
        let text = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 1\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
            a=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\na=mid:1\r\n\
            a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
            a=extmap:5 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id\r\n\
            a=extmap:6 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id\r\na=sendonly\r\na=rtcp-mux\r\n\
            a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\n\
            a=fmtp:97 apt=96\r\na=msid:s t\r\na=ssrc-group:FID 7 8\r\na=ssrc:7 cname:c\r\na=ssrc:8 cname:c\r\n";
        let text = text.replace("a=mid:1\r\n", &format!("a=mid:1\r\n{fingerprint}"));
        let offer = Offer::read(&text).expect("an offer");
        let mut rng = Rng::new([7; 32]);
        let mut session = Session::new(now, "aaaa", &[0x30; 64], &mut rng);
        let agreement = session.accept_offer(now, &offer, &mut rng).expect("it can be answered");
        let declared = offer.sections[0].streams.declared();
        assert_eq!(declared, [(MAIN, Some(REPAIRS))]);
        let section = PublishedSection { publication: PublicationKey(3), rids: Vec::new(), declared };
        let keys = [5; 60];
        let profile = SrtpProfile::Aes128CmSha1_80;
        let (receiver, _) = contexts(profile, &keys, false).expect("keys");
        let (_, client) = contexts(profile, &keys, true).expect("keys");
        Self {
            half: IngressHalf::new(receiver, Ssrc(1), now),
            client,
            negotiated: agreement.negotiated,
            published: [(Mid::from("1"), section)].into(),
            now,
        }
    }

    /// Receives a packet. Returns the stream, the publication and the index under which it counts, if it does.
    fn packet(
        &mut self,
        ssrc: Ssrc,
        payload_type: u8,
        sequence: u16,
        mid: Option<u8>,
    ) -> Option<(Ssrc, usize, u64)> {
        let said = mid.map(|mid| [0xbe, 0xde, 0, 1, 0x40, mid, 0, 0]);
        self.packet_with(ssrc, payload_type, sequence, said.as_ref().map_or(&[][..], |said| said))
    }

    /// Receives a packet of section 1 that says more of itself: the id of a header extension, and its text.
    fn says(
        &mut self,
        ssrc: Ssrc,
        payload_type: u8,
        sequence: u16,
        (id, text): (u8, &str),
    ) -> Option<(Ssrc, usize, u64)> {
        let mut said = vec![0xbe, 0xde, 0, 0, 0x40, b'1', id << 4 | (text.len() as u8 - 1)];
        said.extend(text.bytes());
        said.resize(said.len().next_multiple_of(4), 0);
        said[3] = (said.len() / 4 - 1) as u8;
        self.packet_with(ssrc, payload_type, sequence, &said)
    }

    fn packet_with(
        &mut self,
        ssrc: Ssrc,
        payload_type: u8,
        sequence: u16,
        said: &[u8],
    ) -> Option<(Ssrc, usize, u64)> {
        let mut bytes = vec![if said.is_empty() { 0x80 } else { 0x90 }, payload_type];
        bytes.extend(sequence.to_be_bytes());
        bytes.extend([0, 0, 0, 9]);
        bytes.extend(ssrc.0.to_be_bytes());
        bytes.extend(said);
        let header_len = bytes.len();
        // A retransmission's payload begins with the sequence number of the packet that it repairs.
        bytes.extend([0, 100, 0x10, 0, 7]);
        let plain_len = bytes.len();
        bytes.resize(plain_len + RTP_OVERHEAD_MAX, 0);
        let sealed = self.client.seal_rtp(&mut bytes, header_len, plain_len, u64::from(sequence));
        bytes.truncate(sealed.expect("there is room"));
        let Self { half, negotiated, published, now, .. } = self;
        match half.receive(*now, ROUND_TRIP_UNKNOWN, &mut bytes, negotiated, published) {
            Ok(Some(packet)) => Some((packet.ssrc, packet.publication.0, packet.index)),
            Ok(None) | Err(Unusable) => None,
        }
    }
}

#[test]
fn a_stream_whose_ssrc_was_not_declared_is_known_by_its_packets_mid_from_then_on() {
    let mut incoming = Incoming::new();
    assert_eq!(incoming.packet(UNDECLARED, VP8, 100, Some(b'2')), None, "there is no such section");
    assert_eq!(incoming.half.dropped, 1);
    assert_eq!(incoming.packet(UNDECLARED, VP8, 101, Some(b'1')), Some((UNDECLARED, 3, 101)));
    assert_eq!(incoming.packet(UNDECLARED, VP8, 102, None), Some((UNDECLARED, 3, 102)), "senders stop it");
    assert_eq!(incoming.packet(UNDECLARED_REPAIRS, RTX, 1, Some(b'1')), Some((UNDECLARED, 3, 100)));
    assert_eq!(incoming.half.repaired_by(UNDECLARED_REPAIRS), Some(UNDECLARED));
}

#[test]
fn a_stream_whose_ssrc_was_declared_needs_no_mid() {
    let mut incoming = Incoming::new();
    assert_eq!(incoming.packet(REPAIRS, RTX, 1, None), None, "there is nothing yet that it could repair");
    assert_eq!(incoming.packet(MAIN, VP8, 101, None), Some((MAIN, 3, 101)));
    assert_eq!(incoming.packet(REPAIRS, RTX, 2, None), Some((MAIN, 3, 100)));
    assert_eq!(incoming.packet(MAIN, 98, 102, None), None, "a payload type that was not agreed on");
}

#[test]
fn a_stream_that_nothing_announces_belongs_to_the_only_section_with_its_payload_type() {
    let mut incoming = Incoming::new();
    assert_eq!(incoming.packet(UNDECLARED, 98, 98, None), None, "no section has it");
    assert_eq!(incoming.packet(UNDECLARED, VP8, 99, None), Some((UNDECLARED, 3, 99)));
    assert_eq!(incoming.packet(UNDECLARED_REPAIRS, RTX, 1, None), Some((UNDECLARED, 3, 100)));
    let another = NegotiatedSection { mid: Mid::from("2"), ..incoming.negotiated.sections[0].clone() };
    incoming.negotiated.sections.push(another);
    assert_eq!(incoming.packet(Ssrc(71), VP8, 1, None), None, "now it could be either's");
}

#[test]
fn the_last_packets_of_a_track_that_has_ended_are_not_taken_for_those_of_another() {
    let mut incoming = Incoming::new();
    assert_eq!(incoming.packet(MAIN, VP8, 1, None), Some((MAIN, 3, 1)));
    assert_eq!(incoming.packet(UNDECLARED, VP8, 1, None), Some((UNDECLARED, 3, 1)));
    assert_eq!(incoming.packet(UNDECLARED_REPAIRS, RTX, 1, None), Some((UNDECLARED, 3, 100)));
    // The track of section 1 ends, and another section is the only one with its payload types from now on.
    incoming.negotiated.sections[0].mid = Mid::from("2");
    let ended = incoming.published.remove(&Mid::from("1")).expect("published");
    incoming.half.forget(incoming.now, ended.publication, Mid::from("1"), &ended.declared);
    let other = PublishedSection { publication: PublicationKey(4), rids: Vec::new(), declared: Vec::new() };
    incoming.published.insert(Mid::from("2"), other);
    for ssrc in [MAIN, UNDECLARED] {
        assert_eq!(incoming.packet(ssrc, VP8, 2, None), None, "it is on its way still");
    }
    for ssrc in [REPAIRS, UNDECLARED_REPAIRS] {
        assert_eq!(incoming.packet(ssrc, RTX, 2, None), None, "so is its repair");
    }
    // Neither is what said itself that it belongs elsewhere.
    assert_eq!(incoming.packet(Ssrc(71), VP8, 1, Some(b'9')), None);
    assert_eq!(incoming.packet(Ssrc(71), VP8, 2, None), None);
    assert_eq!(incoming.packet(Ssrc(72), VP8, 1, None), Some((Ssrc(72), 4, 1)), "what is new is the other's");
    assert_eq!(incoming.packet(MAIN, VP8, 3, Some(b'2')), Some((MAIN, 4, 3)), "or what says so");
    // Once it has been silent, its client may use it for something else.
    assert_eq!(incoming.packet(UNDECLARED, VP8, 3, None), None);
    incoming.now += STRAY_FOR;
    assert_eq!(incoming.packet(UNDECLARED, VP8, 4, None), Some((UNDECLARED, 4, 4)));
}

#[test]
fn what_comes_before_its_section_publishes_is_heard_as_soon_as_it_does() {
    let mut incoming = Incoming::new();
    let section = incoming.published.remove(&Mid::from("1")).expect("published");
    let undeclared = PublishedSection { declared: Vec::new(), ..section };
    let [silent, by_mid, again] = [UNDECLARED, Ssrc(71), Ssrc(72)];
    for sequence in 1..4 {
        incoming.now += Duration::from_millis(20);
        assert_eq!(incoming.packet(silent, VP8, sequence, None), None, "the section is not listed yet");
        let said = (sequence == 1).then_some(b'1');
        assert_eq!(
            incoming.packet(by_mid, VP8, sequence, said),
            None,
            "nor for one that says where it belongs"
        );
    }
    incoming.published.insert(Mid::from("1"), undeclared.clone());
    assert_eq!(incoming.packet(silent, VP8, 4, None), Some((silent, 3, 4)));
    assert_eq!(incoming.packet(by_mid, VP8, 4, None), Some((by_mid, 3, 4)));
    // It stops being published while its client goes on sending, and is published again.
    incoming.published.remove(&Mid::from("1"));
    incoming.half.forget(incoming.now, undeclared.publication, Mid::from("1"), &undeclared.declared);
    assert_eq!(incoming.packet(silent, VP8, 5, None), None);
    assert_eq!(incoming.packet(again, VP8, 5, None), None, "the encoder has begun anew");
    incoming.published.insert(Mid::from("1"), undeclared);
    assert_eq!(incoming.packet(silent, VP8, 6, None), Some((silent, 3, 6)));
    assert_eq!(incoming.packet(again, VP8, 6, None), Some((again, 3, 6)));
}

#[test]
fn what_could_be_either_of_two_sections_is_never_taken_for_the_one_that_is_left() {
    for is_listed in [true, false] {
        let mut incoming = Incoming::new();
        let another = NegotiatedSection { mid: Mid::from("2"), ..incoming.negotiated.sections[0].clone() };
        incoming.negotiated.sections.push(another);
        let other =
            PublishedSection { publication: PublicationKey(4), rids: Vec::new(), declared: Vec::new() };
        if is_listed {
            incoming.published.insert(Mid::from("2"), other);
        }
        assert_eq!(incoming.packet(UNDECLARED, VP8, 1, None), None, "it could be either's");
        incoming.negotiated.sections.pop();
        match incoming.published.remove(&Mid::from("2")) {
            Some(ended) => incoming.half.forget(incoming.now, ended.publication, Mid::from("2"), &[]),
            None => incoming.half.on_section_ended(),
        }
        for sequence in 2..10 {
            incoming.now += STRAY_FOR / 2;
            assert_eq!(incoming.packet(UNDECLARED, VP8, sequence, None), None, "listed {is_listed}");
        }
        assert_eq!(incoming.packet(UNDECLARED, VP8, 10, Some(b'1')), Some((UNDECLARED, 3, 10)), "it says so");
    }
}

#[test]
fn an_encoder_may_begin_anew_as_often_as_it_likes_and_what_is_silent_for_longest_is_forgotten() {
    let mut incoming = Incoming::new();
    // That is more often than streams, and than replay windows, are kept.
    for number in 0..6000_u32 {
        incoming.now += Duration::from_millis(20);
        assert!(incoming.packet(MAIN, VP8, number as u16, None).is_some(), "it goes on");
        assert!(
            incoming.packet(Ssrc(1000 + number), VP8, 1, Some(b'1')).is_some(),
            "begun anew {number} times"
        );
    }
    assert_eq!(incoming.half.streams().count(), INGRESS_STREAMS_PER_PARTICIPANT_MAX);
    assert!(incoming.half.has_stream(MAIN) && !incoming.half.has_stream(Ssrc(1000)));
    // What is forgotten is not open to replays: neither the stream nor its window is there any more.
    for number in [0, 100, 3000, 5000] {
        let old = Ssrc(1000 + number);
        assert_eq!(incoming.packet(old, VP8, 1, Some(b'1')), None, "a packet of stream {number} again");
        assert_eq!(incoming.packet(old, VP8, 2, Some(b'1')), Some((old, 3, 2)), "it was only silent");
    }
}

#[test]
fn the_middle_encoding_is_preferred_then_those_below() {
    let section = PublishedSection {
        publication: PublicationKey(0),
        rids: ["low", "medium", "high"].map(str::to_owned).to_vec(),
        declared: Vec::new(),
    };
    assert_eq!(["medium", "low", "high"].map(|rid| section.rank(Ssrc(1), Some(rid))), [0, 1, 2]);
    assert_eq!(section.rank(Ssrc(1), None), 0);
    let declared = vec![(Ssrc(1), Some(Ssrc(4))), (Ssrc(2), Some(Ssrc(5))), (Ssrc(3), Some(Ssrc(6)))];
    let section = PublishedSection { rids: Vec::new(), declared, ..section };
    assert_eq!([2, 1, 3, 5, 4, 6].map(|ssrc| section.rank(Ssrc(ssrc), None)), [0, 1, 2, 0, 1, 2]);
}

/// Makes the section one of three encodings, whose SSRCs it returns in the client's order. Packets name their rid by the
/// extension 5, repairs by 6.
fn simulcast(incoming: &mut Incoming) -> [Ssrc; 3] {
    let section = incoming.published.get_mut(&Mid::from("1")).expect("published");
    section.declared.clear();
    section.rids = ["low", "medium", "high"].map(str::to_owned).to_vec();
    [Ssrc(81), Ssrc(82), Ssrc(83)]
}

#[test]
fn what_is_published_anew_under_the_same_ssrcs_is_told_apart_though_nothing_is_said_of_it_again() {
    let mut incoming = Incoming::new();
    let encodings = simulcast(&mut incoming);
    for (ssrc, rid) in encodings.into_iter().zip(["low", "medium", "high"]) {
        assert_eq!(incoming.says(ssrc, VP8, 1, (5, rid)), Some((ssrc, 3, 1)));
        assert_eq!(incoming.says(Ssrc(ssrc.0 + 10), RTX, 1, (6, rid)), Some((ssrc, 3, 100)));
    }
    let ranks =
        |incoming: &Incoming| encodings.map(|ssrc| incoming.half.stream(ssrc).map(|stream| stream.rank));
    assert_eq!(ranks(&incoming), [Some(1), Some(0), Some(2)]);
    for (round, pause) in (2..).zip([Duration::ZERO, STRAY_FOR, Duration::from_secs(3600)]) {
        let ended = incoming.published.remove(&Mid::from("1")).expect("published");
        incoming.half.forget(incoming.now, ended.publication, Mid::from("1"), &ended.declared);
        incoming.now += pause;
        incoming.published.insert(Mid::from("1"), ended);
        // The order in which they come is another.
        for ssrc in encodings.into_iter().rev() {
            assert_eq!(incoming.packet(ssrc, VP8, round, None), Some((ssrc, 3, u64::from(round))));
            let repairs = Ssrc(ssrc.0 + 10);
            assert_eq!(incoming.packet(repairs, RTX, round, None), Some((ssrc, 3, 100)));
        }
        assert_eq!(ranks(&incoming), [Some(1), Some(0), Some(2)], "after {pause:?}");
    }
}

#[test]
fn two_encodings_that_nobody_can_tell_apart_are_not_taken_for_one() {
    let mut incoming = Incoming::new();
    let [low, medium, _] = simulcast(&mut incoming);
    assert_eq!(incoming.packet(low, VP8, 1, Some(b'1')), Some((low, 3, 1)), "somebody has to be it");
    assert_eq!(incoming.packet(medium, VP8, 1, Some(b'1')), None);
    assert_eq!(incoming.says(medium, VP8, 2, (5, "medium")), Some((medium, 3, 2)), "it says which one it is");
    // An encoder that begins anew takes the place of the one that is silent.
    incoming.now += PLACE_KEPT_FOR;
    assert_eq!(incoming.packet(Ssrc(90), VP8, 1, Some(b'1')), Some((Ssrc(90), 3, 1)));
}

#[test]
fn a_sequence_number_finds_its_nearest_index() {
    assert_eq!(nearest_index(65_536, 65_535), Some(65_535));
    assert_eq!(nearest_index(65_535, 0), Some(65_536));
    assert_eq!(nearest_index(5, 65_535), None);
}
