//! Offers of many kinds, each read, agreed to and answered: what the client would see.

use std::fmt::Write as _;

use super::agree::agree;
use super::answer::{Msid, Naming, Us, answer};
use super::offer::Offer;
use super::refusal::{Fault, Refused};
use super::transport::Setup;
use crate::core::codec_set::CodecSet;
use crate::core::ids::{Mid, PayloadType, Ssrc};
use crate::core::negotiated::{Codec, Extension, Negotiated, Payload};
use crate::core::path::{LocalCandidate, TransportProtocol};

const HEAD: &str = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
const OPUS: &str = "a=rtpmap:111 opus/48000/2\r\n";
const VP8: &str = "a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n";

/// Returns the lines about ICE and DTLS that all sections have in common.
fn transport() -> String {
    let fingerprint = ["AB"; 32].join(":");
    format!(
        "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 {fingerprint}\r\n\
         a=setup:actpass\r\na=rtcp-mux\r\n"
    )
}

fn section(media: &str, mid: &str, lines: &str) -> String {
    format!("m={media}\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\n{}{lines}", transport())
}

fn audio(mid: &str, lines: &str) -> String {
    section("audio 9 UDP/TLS/RTP/SAVPF 111", mid, &format!("{OPUS}{lines}"))
}

fn video(mid: &str, lines: &str) -> String {
    section("video 9 UDP/TLS/RTP/SAVPF 96", mid, &format!("{VP8}{lines}"))
}

/// Returns an offer of these sections, with a BUNDLE group of these mids.
fn bundled(mids: &str, sections: &[String]) -> String {
    format!("{HEAD}a=group:BUNDLE {mids}\r\n{}", sections.concat())
}

/// What an offer led to.
struct Agreed {
    negotiated: Negotiated,
    answer: String,
}

impl Agreed {
    fn of(text: &str) -> Result<Self, Refused> {
        let offer = Offer::read(text)?;
        let mut ssrc = 1000;
        let negotiated = agree(&offer, |_| {
            ssrc += 2;
            (Ssrc(ssrc), Ssrc(ssrc + 1))
        });
        let receiving = negotiated.sections.iter().filter(|section| section.egress.is_some());
        let msids: Vec<Msid> = receiving
            .map(|section| Msid { mid: section.mid, stream: "slot-0".into(), track: section.mid.to_string() })
            .collect();
        let us = Us {
            session: 7,
            version: 1,
            ufrag: "ours",
            password: "secret",
            fingerprint: "sha-256 01",
            is_active: offer.transport.setup == Setup::Passive,
            candidates: &[
                LocalCandidate { protocol: TransportProtocol::Udp, address: ([127, 0, 0, 1], 7443).into() },
                LocalCandidate { protocol: TransportProtocol::Tcp, address: ([127, 0, 0, 1], 7443).into() },
            ],
            naming: &Naming::Slots(msids),
            start_kbps: None,
        };
        Ok(Self { answer: answer(&offer, &negotiated, &us), negotiated })
    }

    fn lines<'a>(&'a self, prefix: &'a str) -> Vec<&'a str> {
        self.answer.lines().filter(|line| line.starts_with(prefix)).collect()
    }

    fn has(&self, line: &str) -> bool {
        self.answer.lines().any(|other| other == line)
    }
}

fn agreed(text: &str) -> Agreed {
    Agreed::of(text).unwrap_or_else(|refused| panic!("{refused}\n{text}"))
}

fn refused(text: &str) -> Refused {
    match Agreed::of(text) {
        Ok(agreed) => panic!("{text}\nwas answered by\n{}", agreed.answer),
        Err(refused) => refused,
    }
}

#[test]
fn every_profile_of_rtp_is_answered_with_itself() {
    for profile in [
        "RTP/AVP",
        "RTP/AVPF",
        "RTP/SAVP",
        "RTP/SAVPF",
        "UDP/TLS/RTP/SAVP",
        "UDP/TLS/RTP/SAVPF",
        "TCP/DTLS/RTP/SAVP",
        "TCP/DTLS/RTP/SAVPF",
    ] {
        let media = format!("audio 9 {profile} 111");
        let agreed = agreed(&bundled("0", &[section(&media, "0", OPUS)]));
        assert_eq!(agreed.lines("m="), [format!("m=audio 9 {profile} 111")]);
    }
    let said = refused(&bundled("0", &[section("audio 9 RTP/XYZ 111", "0", OPUS)]));
    assert!(said.fault == Fault::Unserved && said.message.contains("RTP/XYZ"), "{said}");
}

#[test]
fn a_lone_section_needs_no_bundle_and_no_mid() {
    let text = format!("{HEAD}{}", audio("0", ""));
    let with_mid = agreed(&text);
    assert!(with_mid.has("a=mid:0") && with_mid.lines("a=group").is_empty(), "{}", with_mid.answer);
    let without_mid = agreed(&text.replace("a=mid:0\r\n", ""));
    assert!(without_mid.lines("a=mid").is_empty(), "{}", without_mid.answer);
    assert_eq!(without_mid.negotiated.sections.len(), 1);
}

#[test]
fn two_sections_without_a_bundle_are_refused_by_name() {
    let said = refused(&format!("{HEAD}{}{}", audio("a", ""), video("v", "")));
    assert_eq!(said.fault, Fault::Unserved);
    assert!(said.message.contains("section 1 (mid \"v\")") && said.message.contains("BUNDLE"), "{said}");
    let said = refused(&bundled("a", &[audio("a", ""), video("v", "")]));
    assert!(said.message.contains("section 1 (mid \"v\")"), "{said}");
}

#[test]
fn groups_stand_in_any_order() {
    let sections = [audio("a", ""), video("v", "")];
    for groups in ["a=group:LS a\r\na=group:BUNDLE a v\r\n", "a=group:BUNDLE a v\r\na=group:LS a v\r\n"] {
        let agreed = agreed(&format!("{HEAD}{groups}{}", sections.concat()));
        assert_eq!(agreed.lines("a=group"), ["a=group:BUNDLE a v"]);
    }
    let reversed = agreed(&bundled("v a", &sections));
    assert_eq!(reversed.lines("a=group"), ["a=group:BUNDLE v a"]);
    let video = reversed.answer.find("m=video").expect("a section");
    assert!(reversed.answer.find("a=candidate").expect("a candidate") > video, "they are the first mid's");
}

#[test]
fn lines_that_say_nothing_to_us_may_stand_anywhere_and_often() {
    let extra = "b=AS:1000\r\nb=TIAS:500\r\ni=a camera\r\ni=again\r\nk=clear:x\r\na=unknown:1\r\n";
    let text = bundled("0", &[audio("0", extra)])
        .replace("t=0 0\r\n", "i=x\r\ne=a@b\r\nb=CT:1\r\nt=0 0\r\nr=1 2 3\r\n");
    assert_eq!(agreed(&text).negotiated.sections.len(), 1);
}

#[test]
fn candidates_of_any_kind_or_none_are_no_reason_to_refuse() {
    for candidate in [
        "1 1 UDP 2122260223 192.168.1.5 50000 typ host generation 0 ufrag abcd network-id 1",
        "1 1 udp 1 0f4d1d1c-7a2b-4f00-9d3c-123456789abc.local 50000 typ host",
        "1 1 tcp 1518280447 192.168.1.5 9 typ host tcptype active",
        "1 1 udp 1 fe80::1%eth0 50000 typ host",
        "1 1 udp 1 2001:db8::1 50000 typ srflx raddr :: rport 0",
        "1 1 udp 1 203.0.113.4 50000 typ relay raddr 198.51.100.6 rport 1",
        "1 2 ssltcp 1 203.0.113.4 443 typ strange",
        "1 1 udp x y z",
        "",
    ] {
        let text =
            bundled("0", &[audio("0", &format!("a=candidate:{candidate}\r\na=end-of-candidates\r\n"))]);
        assert_eq!(agreed(&text).lines("a=candidate").len(), 2, "ours, whatever theirs are: {candidate}");
        agreed(&text.replace('\r', ""));
    }
}

#[test]
fn any_short_token_is_a_mid() {
    for mid in ["video-stream", "a.b", "0_x", "!#$%&'*+^`{|}~"] {
        let agreed = agreed(&bundled(mid, &[audio(mid, "")]));
        assert!(agreed.has(&format!("a=mid:{mid}")), "{}", agreed.answer);
        assert_eq!(agreed.negotiated.sections[0].mid.as_str(), mid);
    }
    assert!(refused(&bundled("0", &[audio("a b", "")])).message.contains("not a token"));
    assert!(refused(&bundled("0", &[audio("seventeen-letters", "")])).message.contains("longer than 16"));
    let twice = refused(&bundled("0", &[audio("0", ""), video("0", "")]));
    assert!(twice.message.contains("sections 0 and 1 have the same mid"), "{twice}");
    let nameless = refused(&bundled("0", &[audio("0", ""), video("1", "").replace("a=mid:1\r\n", "")]));
    assert!(nameless.message.contains("section 1 has no a=mid"), "{nameless}");
}

#[test]
fn names_of_codecs_are_read_in_any_case_and_answered_as_they_were_written() {
    let text = bundled("0 1", &[audio("0", ""), video("1", "")]);
    let agreed = agreed(&text.replace("opus/", "OPUS/").replace("VP8/", "vp8/"));
    assert!(agreed.has("a=rtpmap:111 OPUS/48000/2") && agreed.has("a=rtpmap:96 vp8/90000"));
}

#[test]
fn numbers_may_differ_from_section_to_section() {
    let mid = "urn:ietf:params:rtp-hdrext:sdes:mid";
    let second = section(
        "video 9 UDP/TLS/RTP/SAVPF 98 99",
        "1",
        &format!(
            "a=rtpmap:98 VP8/90000\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\na=extmap:9 {mid}\r\n"
        ),
    );
    let agreed = agreed(&bundled("0 1", &[video("0", &format!("a=extmap:4 {mid}\r\n")), second]));
    let negotiated = &agreed.negotiated;
    let codec_of = |pt| match negotiated.payload(pt) {
        Some(Payload::Media(params)) => Some(params.codec),
        _ => None,
    };
    assert_eq!((codec_of(96), codec_of(98)), (Some(Codec::Vp8), Some(Codec::Vp8)));
    assert_eq!(
        (negotiated.extension(4), negotiated.extension(9)),
        (Some(Extension::Mid), Some(Extension::Mid))
    );
    let pts: Vec<_> = negotiated
        .sections
        .iter()
        .map(|section| section.codec_for(Codec::Vp8).map(|p| (p.pt, p.rtx)))
        .collect();
    assert_eq!(pts, [Some((PayloadType(96), None)), Some((PayloadType(98), Some(PayloadType(99))))]);
    assert_eq!(
        negotiated.sections.iter().map(|section| section.extensions.mid).collect::<Vec<_>>(),
        [Some(4), Some(9)]
    );
}

#[test]
fn a_payload_type_that_stands_for_two_codecs_is_refused_whichever_way_it_points() {
    for direction in ["sendonly", "recvonly", "sendrecv"] {
        let lines = format!("a=rtpmap:96 opus/48000/2\r\na={direction}\r\n");
        let audio = section("audio 9 UDP/TLS/RTP/SAVPF 96", "0", &lines);
        let said = refused(&bundled("0 1", &[audio, video("1", &format!("a={direction}\r\n"))]));
        assert_eq!(said.fault, Fault::Malformed);
        assert!(said.message.contains("payload type 96") && said.message.contains("opus"), "{said}");
    }
    let said = refused(&bundled("0", &[video("0", "a=rtpmap:96 H264/90000\r\n")]));
    assert!(said.message.contains("line 17: payload type 96 stands for two codecs"), "{said}");
    // The same goes for the retransmissions of two codecs.
    let repaired =
        |of: u8| format!("a=rtpmap:{of} VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt={of}\r\n");
    let one = section("video 9 UDP/TLS/RTP/SAVPF 98 97", "0", &repaired(98));
    let two = section("video 9 UDP/TLS/RTP/SAVPF 99 97", "1", &repaired(99));
    assert!(refused(&bundled("0 1", &[one, two])).message.contains("payload type 97"));
}

#[test]
fn one_codec_with_other_parameters_keeps_its_payload_type() {
    let stereo = audio("0", "a=fmtp:111 stereo=1\r\n");
    let agreed = agreed(&bundled("0 1", &[stereo, audio("1", "a=fmtp:111 minptime=10\r\n")]));
    assert_eq!(agreed.lines("a=fmtp"), ["a=fmtp:111 stereo=1", "a=fmtp:111 minptime=10"]);
}

#[test]
fn a_payload_type_that_the_answer_does_not_take_collides_with_nothing() {
    let tones = section(
        "audio 9 UDP/TLS/RTP/SAVPF 111 96",
        "0",
        &format!("{OPUS}a=rtpmap:96 telephone-event/8000\r\n"),
    );
    let agreed = agreed(&bundled("0 1", &[tones, video("1", "")]));
    assert_eq!(agreed.lines("m="), ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=video 9 UDP/TLS/RTP/SAVPF 96"]);
}

#[test]
fn an_id_of_a_header_extension_has_one_meaning() {
    let said = refused(&bundled(
        "0 1",
        &[audio("0", "a=extmap:1 urn:one\r\n"), video("1", "a=extmap:1/sendonly urn:other\r\n")],
    ));
    assert!(said.message.contains("id 1 ") && said.message.contains("urn:other"), "{said}");
    let session = bundled("0", &[audio("0", "a=extmap:1 urn:one\r\n")])
        .replace("t=0 0\r\n", "t=0 0\r\na=extmap:1 urn:other\r\n");
    assert!(refused(&session).message.contains("id 1 "));
}

#[test]
fn port_0_means_stopped_unless_the_bundle_has_the_port() {
    let stopped = section("video 0 UDP/TLS/RTP/SAVPF 96", "1", VP8);
    let answered = agreed(&bundled("0 1", &[audio("0", ""), stopped]));
    assert_eq!(answered.lines("m=")[1], "m=video 0 UDP/TLS/RTP/SAVPF 96");
    assert_eq!(answered.lines("a=group"), ["a=group:BUNDLE 0"]);
    let bundle_only = format!(
        "m=video 0 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=bundle-only\r\na=rtcp-mux\r\n{VP8}"
    );
    let answered = agreed(&bundled("0 1", &[audio("0", ""), bundle_only]));
    assert_eq!(answered.lines("m=")[1], "m=video 9 UDP/TLS/RTP/SAVPF 96");
    assert_eq!(answered.lines("a=group"), ["a=group:BUNDLE 0 1"]);
}

#[test]
fn a_section_without_a_common_codec_is_rejected_and_the_rest_is_served() {
    let h265 = section("video 9 UDP/TLS/RTP/SAVPF 97 98", "1", "a=rtpmap:97 H265/90000\r\na=sendonly\r\n");
    let answered = agreed(&bundled("0 1", &[audio("0", "a=sendonly\r\n"), h265.clone()]));
    assert_eq!(answered.lines("m="), ["m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=video 0 UDP/TLS/RTP/SAVPF 97"]);
    assert_eq!(answered.lines("a=group"), ["a=group:BUNDLE 0"]);
    assert_eq!(answered.negotiated.sections.len(), 1);
    let said = refused(&bundled("1", std::slice::from_ref(&h265)));
    assert_eq!(said.fault, Fault::Unserved);
    assert!(said.message.contains("H265") && said.message.contains("section 0 (mid \"1\")"), "{said}");
    // The rejected one may stand first: another carries the transport.
    let answered = agreed(&bundled("1 0", &[h265, audio("0", "")]));
    assert_eq!(answered.lines("a=group"), ["a=group:BUNDLE 0"]);
    assert_eq!(answered.lines("a=candidate").len(), 2);
}

#[test]
fn what_is_neither_audio_nor_video_keeps_its_place() {
    let slides = "m=application 9 TCP/BFCP *\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n";
    let answered = agreed(&bundled("0 1 2", &[audio("0", ""), slides.to_owned(), video("2", "")]));
    assert_eq!(answered.lines("m=")[1], "m=application 0 TCP/BFCP *");
    assert_eq!(answered.lines("a=mid"), ["a=mid:0", "a=mid:1", "a=mid:2"]);
    assert_eq!(answered.lines("a=group"), ["a=group:BUNDLE 0 2"]);
    let said = refused(&bundled("1", &[slides.to_owned()]));
    assert!(said.message.contains("m=\"application\" is not served"), "{said}");
}

fn data(mid: &str, lines: &str) -> String {
    section("application 9 UDP/DTLS/SCTP webrtc-datachannel", mid, lines)
}

#[test]
fn data_channels_are_answered_and_take_no_slot() {
    let text =
        bundled("0 1", &[audio("0", ""), data("1", "a=sctp-port:5000\r\na=max-message-size:100000\r\n")]);
    let answered = agreed(&text);
    assert_eq!(answered.lines("m=")[1], "m=application 9 UDP/DTLS/SCTP webrtc-datachannel");
    assert_eq!(answered.lines("a=group"), ["a=group:BUNDLE 0 1"]);
    assert_eq!(answered.lines("a=sctp-port"), ["a=sctp-port:5000"]);
    assert_eq!(answered.lines("a=max-message-size"), ["a=max-message-size:262144"]);
    assert_eq!(answered.lines("a=ice-ufrag").len(), 2, "it describes the transport, too");
    assert_eq!(
        (answered.negotiated.sections.len(), answered.negotiated.channel_message_bytes_max),
        (1, Some(100_000))
    );
    assert!(
        Offer::read(&text)
            .expect("an offer")
            .served()
            .all(|section| section.index == 0 || !section.receives())
    );
}

#[test]
fn how_large_messages_may_be_is_the_lesser_of_both_ends() {
    for (line, most) in [
        ("", 65_536),
        ("a=max-message-size:0\r\n", 262_144),
        ("a=max-message-size:1073741823\r\n", 262_144),
        ("a=max-message-size:99999999999999\r\n", 262_144),
        ("a=max-message-size:x\r\n", 65_536),
    ] {
        let answered = agreed(&bundled("1", &[data("1", line)]));
        assert_eq!(answered.negotiated.channel_message_bytes_max, Some(most), "{line}");
        assert_eq!(answered.lines("a=candidate").len(), 2, "it carries the transport alone");
    }
}

#[test]
fn the_older_form_of_data_channels_is_answered_in_kind() {
    let old = section("application 9 DTLS/SCTP 5000", "1", "a=sctpmap:5000 webrtc-datachannel 1024\r\n");
    let answered = agreed(&bundled("0 1", &[audio("0", ""), old]));
    assert_eq!(answered.lines("m=")[1], "m=application 9 DTLS/SCTP 5000");
    assert_eq!(answered.lines("a=sctpmap"), ["a=sctpmap:5000 webrtc-datachannel 256"]);
}

#[test]
fn there_is_one_association_and_none_where_the_operator_wants_none() {
    let answered = agreed(&bundled("0 1 2", &[audio("0", ""), data("1", ""), data("2", "")]));
    assert_eq!(answered.lines("m=")[2], "m=application 0 UDP/DTLS/SCTP webrtc-datachannel");
    assert_eq!(answered.lines("a=group"), ["a=group:BUNDLE 0 1"]);
    let text = bundled("0 1", &[audio("0", ""), data("1", "")]);
    let offer = Offer::read_for(&text, CodecSet::ALL, false).expect("an offer");
    assert!(offer.sections[1].rejected.is_some() && offer.bundle == [0]);
    let only = bundled("1", &[data("1", "")]);
    let said = Offer::read_for(&only, CodecSet::ALL, false).expect_err("nothing is left");
    assert!(said.message.contains("media.data_channels"), "{said}");
}

#[test]
fn what_is_rejected_anyway_is_not_looked_at_for_faults() {
    let long = "a-data-channel-with-a-long-name";
    let faults = "a=fingerprint:sha-256 AB\r\na=extmap:x\r\na=rtpmap:96 A/1\r\na=rtpmap:96 B/1\r\n";
    for rejected in [
        format!("m=application 9 TCP/BFCP *\r\na=mid:{long}\r\n{faults}"),
        format!("m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:{long}\r\n{faults}"),
        format!("m=video 9 UDP/TLS/RTP/SAVPF 97\r\na=mid:{long}\r\na=rtpmap:97 H265/90000\r\n{faults}"),
    ] {
        let answered = agreed(&bundled(&format!("0 {long}"), &[audio("0", ""), rejected.clone()]));
        assert_eq!(answered.lines("a=mid"), ["a=mid:0", &format!("a=mid:{long}")], "{}", answered.answer);
        assert_eq!(answered.lines("a=group"), ["a=group:BUNDLE 0"]);
        let no_token = rejected.replace(long, "no token");
        assert_eq!(agreed(&bundled("0", &[audio("0", ""), no_token])).lines("a=mid"), ["a=mid:0"]);
    }
    for fault in faults.split_inclusive('\n').take(2) {
        assert_eq!(refused(&bundled("0", &[audio("0", fault)])).fault, Fault::Malformed, "{fault}");
    }
}

#[test]
fn the_answer_has_the_options_of_the_offer_and_no_others() {
    let plain = bundled("0", &[audio("0", "")]);
    let answered = agreed(&plain);
    assert!(answered.lines("a=ice-options").is_empty() && answered.lines("a=msid-semantic").is_empty());
    let semantic = plain.replace("t=0 0\r\n", "t=0 0\r\na=msid-semantic: WMS *\r\n");
    assert_eq!(agreed(&semantic).lines("a=msid-semantic"), ["a=msid-semantic: WMS *"]);
    let mixed = "a=extmap-allow-mixed\r\n";
    let where_mixed = |text: &str| {
        let answer = agreed(text).answer;
        (answer.matches(mixed).count(), answer.find(mixed) < answer.find("m=audio"))
    };
    assert_eq!(where_mixed(&plain), (0, true));
    assert_eq!(
        where_mixed(&plain.replace("t=0 0\r\n", &format!("t=0 0\r\n{mixed}"))),
        (1, true),
        "for all sections"
    );
    assert_eq!(where_mixed(&bundled("0", &[audio("0", mixed)])), (1, false), "for one of them");
    for options in ["trickle", "trickle ice2", "renomination trickle"] {
        let line = format!("a=ice-options:{options}\r\n");
        let of_section = bundled("0", &[audio("0", &line)]);
        let of_session = plain.replace("t=0 0\r\n", &format!("t=0 0\r\n{line}"));
        for text in [of_section, of_session] {
            assert_eq!(agreed(&text).lines("a=ice-options"), ["a=ice-options:trickle"], "{options}");
        }
    }
    assert!(agreed(&bundled("0", &[audio("0", "a=ice-options:ice2\r\n")])).lines("a=ice-options").is_empty());
}

#[test]
fn tabs_stand_for_spaces() {
    let lines = "a=rtpmap:96\tVP8/90000\r\na=rtcp-fb:96\tnack pli\r\na=rtcp-fb:*\tccm fir\r\n\
        a=rtpmap:97\trtx/90000\r\na=fmtp:97\tapt=96\r\na=sendonly\r\n";
    let agreed = agreed(&bundled("0", &[section("video 9 UDP/TLS/RTP/SAVPF 96 97", "0", lines)]));
    assert_eq!(agreed.lines("m="), ["m=video 9 UDP/TLS/RTP/SAVPF 96 97"]);
    assert!(agreed.has("a=rtcp-fb:96 nack pli") && agreed.has("a=rtcp-fb:* ccm fir"), "{}", agreed.answer);
}

#[test]
fn h264_is_answered_profile_by_profile_with_the_levels_offered() {
    let mut lines = String::new();
    let mut expected = Vec::new();
    for (pt, parameters) in [
        (100, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e034"),
        (101, "packetization-mode=1;profile-level-id=42e00b"),
        (102, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=640028"),
        (103, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c34"),
    ] {
        let _ = write!(lines, "a=rtpmap:{pt} H264/90000\r\na=fmtp:{pt} {parameters}\r\n");
        expected.push(format!("a=fmtp:{pt} {parameters}"));
    }
    let text = bundled("0", &[section("video 9 UDP/TLS/RTP/SAVPF 100 101 102 103", "0", &lines)]);
    assert_eq!(agreed(&text).lines("a=fmtp"), expected);
}

#[test]
fn an_answer_takes_no_feedback_and_no_mux_that_was_not_offered() {
    let plain =
        agreed(&bundled("0", &[section("video 9 UDP/TLS/RTP/SAVPF 96", "0", "a=rtpmap:96 VP8/90000\r\n")]));
    assert!(plain.lines("a=rtcp-fb").is_empty());
    let all =
        "a=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-rsize\r\n";
    let some = agreed(&bundled("0", &[video("0", all)]));
    assert_eq!(some.lines("a=rtcp-fb").len(), 4, "whoever reports arrivals need not estimate");
    let estimates = agreed(&bundled("0", &[video("0", "a=rtcp-fb:96 goog-remb\r\n")]));
    assert!(estimates.has("a=rtcp-fb:96 goog-remb"));
    assert!(some.has("a=rtcp-rsize") && !plain.has("a=rtcp-rsize") && plain.has("a=rtcp-mux"));
    let no_mux = agreed(&bundled("0", &[video("0", "").replace("a=rtcp-mux\r\n", "")]));
    assert!(no_mux.lines("a=rtcp-mux").is_empty());
    let wildcard = agreed(&bundled("0", &[video("0", "a=rtcp-fb:* transport-cc\r\n")]));
    assert!(wildcard.has("a=rtcp-fb:* transport-cc"));
}

#[test]
fn a_simulcast_by_rids_is_answered_with_them() {
    let rids =
        "a=rid:q send\r\na=rid:h send\r\na=rid:f send\r\na=simulcast:recv x send q;h;f\r\na=sendonly\r\n";
    let answered = agreed(&bundled("0", &[video("0", rids)]));
    assert_eq!(answered.lines("a=rid"), ["a=rid:q recv", "a=rid:h recv", "a=rid:f recv"]);
    assert!(answered.has("a=simulcast:recv q;h;f"));
    assert_eq!(answered.negotiated.sections[0].ingress.as_ref().expect("it sends").rids, ["q", "h", "f"]);
}

#[test]
fn header_extensions_are_answered_in_the_direction_offered() {
    let level = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
    let answer =
        |direction: &str| agreed(&bundled("0", &[audio("0", &format!("a=extmap:1{direction} {level}\r\n"))]));
    assert_eq!(answer("").lines("a=extmap"), [format!("a=extmap:1 {level}")]);
    let sent = answer("/sendonly");
    assert_eq!(sent.lines("a=extmap"), [format!("a=extmap:1/recvonly {level}")]);
    assert_eq!(sent.negotiated.sections[0].extensions.audio_level, None, "we must not send it");
    assert_eq!(sent.negotiated.extension(1), Some(Extension::AudioLevel));
    assert!(answer("/inactive").lines("a=extmap").is_empty());
    let unknown = agreed(&bundled(
        "0",
        &[audio("0", "a=extmap:1 urn:unknown\r\na=extmap:4096 urn:x\r\na=extmap:15 urn:y\r\n")],
    ));
    assert!(unknown.lines("a=extmap").is_empty());
}

#[test]
fn the_dependency_descriptor_is_taken_from_publishers_only_where_av1_comes_first() {
    let extension = format!("a=extmap:8 {}\r\n", Extension::DependencyDescriptor.uri());
    let av1 = "a=rtpmap:45 AV1/90000\r\n";
    let answered = |first: &str, direction: &str| {
        let (formats, codecs) = match first {
            "AV1" => ("45 96", format!("{av1}{VP8}")),
            _ => ("96 45", format!("{VP8}{av1}")),
        };
        let lines = format!("{codecs}{extension}a={direction}\r\n");
        let video = section(&format!("video 9 UDP/TLS/RTP/SAVPF {formats}"), "1", &lines);
        let agreed = agreed(&bundled("0 1", &[audio("0", ""), video]));
        let ids = agreed.negotiated.sections[1].extensions.dependency_descriptor;
        (!agreed.lines("a=extmap:8").is_empty(), agreed.negotiated.extension(8).is_some(), ids.is_some())
    };
    assert_eq!(answered("AV1", "sendonly"), (true, true, true));
    assert_eq!(answered("VP8", "sendonly"), (false, false, false));
    assert_eq!(answered("VP8", "sendrecv"), (false, false, false));
    assert_eq!(answered("VP8", "recvonly"), (true, true, true), "a viewer of AV1 can have it");
}

#[test]
fn a_slot_is_answered_with_one_stream_and_its_repairs() {
    let rtx = "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=recvonly\r\n";
    let slot = section("video 9 UDP/TLS/RTP/SAVPF 96 97", "1", &format!("{VP8}{rtx}"));
    let answered = agreed(&bundled("0 1", &[audio("0", "a=recvonly\r\n"), slot]));
    assert_eq!(answered.lines("a=msid:"), ["a=msid:slot-0 0", "a=msid:slot-0 1"]);
    assert_eq!(answered.lines("a=ssrc-group"), ["a=ssrc-group:FID 1004 1005"]);
    assert_eq!(answered.lines("a=ssrc:").len(), 6);
    assert_eq!(answered.negotiated.sections[0].egress, Some((Ssrc(1002), None)));
    let publisher = agreed(&bundled("0", &[audio("0", "a=sendonly\r\n")]));
    assert!(publisher.lines("a=ssrc").is_empty() && publisher.lines("a=msid:").is_empty());
}

#[test]
fn who_begins_the_handshake_is_the_offers_choice() {
    let text = bundled("0", &[audio("0", "")]);
    for (offered, answered) in [("actpass", "passive"), ("active", "passive"), ("passive", "active")] {
        let agreed = agreed(&text.replace("setup:actpass", &format!("setup:{offered}")));
        assert!(agreed.has(&format!("a=setup:{answered}")), "{}", agreed.answer);
    }
}

#[test]
fn the_session_may_describe_the_transport_of_all() {
    let plain = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n".to_owned() + OPUS;
    let text = format!("{HEAD}a=group:BUNDLE 0\r\na=sendonly\r\n{}{plain}", transport());
    let agreed = agreed(&text);
    assert!(agreed.has("a=recvonly"), "so may the direction");
}

#[test]
fn what_is_no_offer_is_refused_with_the_place() {
    for (text, words) in [
        ("", "empty"),
        ("hello", "line 1 is not a letter"),
        ("v=1\r\nm=audio 9 X 1\r\n", "line 1 is not v=0"),
        (HEAD, "no media section"),
        ("v=0\r\nm=audio 9\r\n", "line 2 has no media, port and profile"),
        ("v=0\r\nm=audio x UDP/TLS/RTP/SAVPF 1\r\n", "the port of section 0"),
        ("v=0\r\na=ice-lite\r\nm=audio 9 X 1\r\n", "line 2: the client is an ICE Lite agent"),
        (format!("v=0\r\nm=audio 9 RTP/AVP 111\r\n{OPUS}a=extmap:x\r\n").as_str(), "line 4: a=extmap"),
    ] {
        let said = refused(text);
        assert!(said.message.contains(words), "{said}");
    }
    let missing = bundled("0", &[audio("0", "").replace("a=ice-pwd", "a=x")]);
    assert!(refused(&missing).message.contains("section 0 (mid \"0\") has no a=ice-pwd"));
}

#[test]
fn an_answer_is_an_answer_to_str0m() {
    let text = bundled("0 1", &[audio("0", "a=recvonly\r\n"), video("1", "a=sendonly\r\n")]);
    let answered = agreed(&text);
    str0m::change::SdpAnswer::from_sdp_string(&answered.answer).expect("another implementation reads it");
    assert_eq!(answered.negotiated.section(Mid::from("1")).map(|section| section.egress), Some(None));
}

/// Checks what must hold for every answer: it has all sections in order, each with a format, and nothing that was not
/// offered, and it can be read as a description.
fn check_answer(text: &str, answer: &str) {
    let media = |text: &str| -> Vec<String> {
        let lines = text.split('\n').filter(|line| line.starts_with("m="));
        lines.map(|line| line[2..].split_whitespace().next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(media(answer), media(text));
    for prefix in
        ["a=rtpmap:", "a=rtcp-fb:", "a=extmap:", "a=rid:", "a=simulcast", "a=rtcp-mux", "a=rtcp-rsize"]
    {
        for line in answer.lines().filter(|line| line.starts_with(prefix)) {
            let is_offered = text.contains(prefix);
            assert!(is_offered, "{line} was not offered in\n{text}");
        }
    }
    for line in answer.lines().filter(|line| line.starts_with("m=")) {
        assert!(line.split(' ').count() > 3, "{line}");
    }
    super::lines::read_lines(answer).expect("it reads as a description");
}

#[test]
fn an_answer_holds_nothing_that_was_not_offered() {
    let parts = [
        audio(
            "0",
            "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=rtcp-fb:111 transport-cc\r\n",
        ),
        video("1", "a=rtcp-fb:96 goog-remb\r\na=extmap:2 urn:x\r\na=sendonly\r\na=ssrc:1 cname:c\r\n"),
        section("video 9 UDP/TLS/RTP/SAVPF 97", "2", "a=rtpmap:97 H265/90000\r\n"),
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:3\r\n".to_owned(),
        section("video 0 UDP/TLS/RTP/SAVPF 96", "4", VP8),
        audio("5", "a=recvonly\r\na=fmtp:111 useinbandfec=1;x=y\r\n"),
        section("audio 9 UDP/TLS/RTP/SAVPF 0 8", "6", "a=rtpmap:0 PCMU/8000\r\n"),
    ];
    for chosen in 1..1_u32 << parts.len() {
        let is_chosen = |(index, _): &(usize, &String)| chosen & (1 << index) != 0;
        let sections: Vec<String> =
            parts.iter().enumerate().filter(is_chosen).map(|(_, part)| part.clone()).collect();
        let text = bundled("6 5 4 3 2 1 0", &sections);
        let Ok(agreed) = Agreed::of(&text) else {
            assert_eq!(chosen & 0b10_0011, 0, "one of these can be served");
            continue;
        };
        check_answer(&text, &agreed.answer);
        for prefix in ["a=rtpmap:", "a=rtcp-fb:", "a=extmap:"] {
            for line in agreed.lines(prefix) {
                assert!(text.contains(line), "{line} was not offered in\n{text}");
            }
        }
        let mids = |text: &str| {
            text.lines().filter(|line| line.starts_with("a=mid")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(mids(&agreed.answer), mids(&text));
    }
}

#[test]
fn whatever_comes_is_refused_in_words_or_answered_in_full() {
    let rtx = "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=rid:q send\r\na=rid:h send\r\na=simulcast:send q;h\r\n";
    let seed = bundled(
        "0 1 2",
        &[
            audio(
                "0",
                "a=fmtp:111 stereo=1\r\na=extmap:1/sendonly urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n",
            ),
            section("video 9 UDP/TLS/RTP/SAVPF 96 97", "1", &format!("{VP8}{rtx}")),
            section(
                "video 9 UDP/TLS/RTP/SAVPF 96",
                "2",
                &format!("{VP8}a=ssrc-group:SIM 1 2 3\r\na=recvonly\r\n"),
            ),
        ],
    );
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or_default() % below.max(1)
    };
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut bytes = seed.clone().into_bytes();
        for _ in 0..=next(3) {
            let (at, other) = (next(bytes.len()), next(bytes.len()));
            let (from, to) = (at.min(other), at.max(other).min(at.min(other) + 40));
            match next(5) {
                0 => bytes[at] = b" 0:/;=a9\n\r\xc3-"[next(12)],
                1 => drop(bytes.drain(from..to)),
                2 => {
                    let piece = bytes[from..to].to_vec();
                    bytes.splice(other..other, piece);
                }
                3 => bytes.insert(at, b"0129 :/\n"[next(8)]),
                _ => bytes.swap(at, other),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        match Agreed::of(&text) {
            Ok(agreed) => {
                answered += 1;
                check_answer(&text, &agreed.answer);
            }
            Err(said) => {
                refused += 1;
                assert!(!said.message.is_empty() && said.message.len() < 2000, "{said}");
            }
        }
    }
    assert!(answered > 1000 && refused > 1000, "{answered} answered, {refused} refused");
}
