//! Seeds: where the fuzzer begins, written by the programs that speak the formats. `write_the_seeds` in `main.rs` puts
//! them into `fuzz/seeds/`.

use std::time::Instant;

use strait::core::command::MediaKind;
use strait::core::ids::Ssrc;
use strait::core::media::rtcp::{ReportBlock, RtcpWriter};
use strait::core::media::twcc::TransportFeedbackRecorder;
use strait::load::sdp as load;
use strait::sim::codec::{self, CodecName, Counters, PictureIds, Stamp};
use strait::sim::layering::Place;
use strait::sim::sdp::{self, Numbering, Role, Section};
use strait::trace::Trace;
use strait::trace::format::BlockKind;
use strait::wire::rtp::{ExtensionBlock, RTP_HEADER_WRITE_MAX, RtpFields, write_header};
use strait::wire::stun_check::{Credentials, write_check};
use strait::wire::tcp_frame;

use crate::fuzz::step::{Origin, Step};
use crate::fuzz::story::tell_core;
use crate::fuzz::tape::push_bytes;

/// A seed: target, name, content.
pub type Seed = (&'static str, String, Vec<u8>);

/// A camera in three sizes with two temporal layers each, and a thumbnail in one; three budgets; and a network that narrows,
/// stands still for long, and widens.
fn steering_tape() -> Vec<u8> {
    let variant = |place: u8, size: u8, cost: u16| [&[place, size][..], &cost.to_be_bytes()].concat();
    let mut tape = vec![1];
    for (rank, size, cost) in [(2, 20, 3_000), (0, 40, 10_000), (1, 80, 30_000)] {
        tape.extend(variant(rank, size, cost / 2));
        tape.extend(variant(rank | 0x20, size | 1, cost));
    }
    tape.extend(variant(0xff, 0, 0));
    tape.push(2);
    tape.extend(variant(0, 20, 3_000));
    tape.extend(variant(0xff, 0, 0));
    for budget in [5_000_u16, 20_000, 60_000] {
        tape.extend(budget.to_be_bytes());
    }
    for (kind, by) in [(0, 20_000_u16), (0, 3_000), (1, 1), (7, 3_000), (1, 0), (0, 20_000)] {
        tape.push(kind);
        tape.extend(by.to_be_bytes());
    }
    tape.extend([7, 0, 100].repeat(60));
    tape
}

/// A field of Protocol Buffers that holds bytes, with a length of at most two bytes.
fn field(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = [(content.len() & 0x7f) as u8 | 0x80, (content.len() >> 7) as u8];
    let key = u16::from(tag) << 3 | 2;
    // A key of more than seven bits has two bytes.
    let key = if key < 0x80 { vec![key as u8] } else { vec![key as u8 | 0x80, (key >> 7) as u8] };
    [&key[..], &length, content].concat()
}

/// What an app on mediasoup says, by a message of each kind: on a WebSocket for calls, and on one for news.
fn mediasoup() -> [(&'static str, Vec<u8>); 2] {
    [("calls", 0), ("news", 1)].map(|(name, dialect)| {
        let mut tape = vec![dialect];
        for message in OF_MEDIASOUP {
            tape.push(0x18);
            push_bytes(&mut tape, message.as_bytes());
        }
        (name, tape)
    })
}

/// What a client of LiveKit says: a request to join, then one message after the other.
fn livekit() -> Vec<(&'static str, Vec<u8>)> {
    const WRITTEN: &str = include_str!("../../src/signal/livekit/written_by_livekit.txt");
    let written = |name: &str| -> Vec<Vec<u8>> {
        let lines = WRITTEN.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let byte = |hex: &str, at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("a byte");
        lines.map(|hex| (0..hex.len()).step_by(2).map(|at| byte(hex, at)).collect()).collect()
    };
    let tape = |messages: &[Vec<u8>]| {
        let mut tape = Vec::new();
        // A request without compression that asks for all tracks.
        push_bytes(&mut tape, b"EgQSAggB");
        for message in messages {
            tape.push(0x18);
            push_bytes(&mut tape, message);
        }
        tape
    };
    let sections = ["0", "1"].map(|mid| {
        format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{mid}\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n\
             a=fingerprint:sha-256 {}\r\na=setup:actpass\r\na=sendonly\r\na=rtcp-mux\r\na=msid:- cid{mid}\r\n\
             a=rtpmap:111 opus/48000/2\r\n",
            ["00"; 32].join(":")
        )
    });
    let sdp = format!("v=0\r\na=group:BUNDLE 0 1\r\n{}", sections.concat());
    let offer = field(1, &field(2, sdp.as_bytes()));
    // A microphone, by its name for it.
    let track = |cid: &str| field(4, &[field(1, cid.as_bytes()), vec![0x40, 2]].concat());
    // Data tracks: published twice with one handle and once without a name, unpublished, and that of somebody else.
    let data_track =
        |handle: u8, name: &str| field(19, &[vec![8, handle], field(2, name.as_bytes())].concat());
    let data_tracks = [
        data_track(7, "points"),
        data_track(7, "others"),
        data_track(8, ""),
        field(20, &[8, 7]),
        data_track(7, "points"),
        field(21, &field(1, &[field(1, b"DTR_00000000001yg"), vec![0x10, 1]].concat())),
    ];
    // The first tracks that are reserved have the numbers 0 and 1.
    let mute = field(5, &[field(1, b"TR_0000000000000"), vec![0x10, 1]].concat());
    vec![
        ("every-message", tape(&written("SignalRequest"))),
        ("two-tracks", tape(&[track("cid1"), track("other"), offer.clone(), mute.clone(), offer.clone()])),
        ("data-tracks", tape(&data_tracks)),
        ("offer-first", tape(&[offer.clone(), track("cid0"), offer, mute])),
    ]
}

/// Two people who open transports, connect them, produce, consume, and close all that in different ways; and what browsers say.
fn parameters() -> Vec<(&'static str, Vec<u8>)> {
    // A command: whose and which, with what it is about.
    let command = |who: u8, kind: u8, which: u8, flags: u8| vec![who << 6 | kind, which, flags];
    let with = |who: u8, kind: u8, which: u8, flags: u8, text: &str| {
        let mut tape = command(who, kind, which, flags);
        push_bytes(&mut tape, text.as_bytes());
        tape
    };
    let wait = |tens_of_ms: u16| [&[12][..], &tens_of_ms.to_be_bytes()].concat();
    let joined = |who: u8| {
        let (send, receive) = (command(who, 0, 0, 4), command(who, 0, 0, 0));
        [vec![who << 6], send, receive, with(who, 1, 0, 0, ""), with(who, 1, 1, 0, "")].concat()
    };
    let both = [joined(0), joined(1), vec![13, 0, 0, 13, 1, 0, 13, 2, 0, 13, 3, 0], wait(50)].concat();
    let produced = [with(0, 4, 0, 0, ""), with(0, 4, 0, 1, "")].concat();
    let consumed = [with(1, 7, 1, 0, ""), with(1, 7, 1, 1, "")].concat();
    let resumed = [command(1, 9, 0, 4), command(1, 9, 0, 5), command(1, 10, 90, 1), wait(100)].concat();
    let ends = [command(1, 10, 0, 4), command(0, 6, 0, 1), command(0, 3, 0, 0), command(1, 3, 1, 0)].concat();
    let camera = concat!(
        r#"{"mid":"0","codecs":[{"mimeType":"video/VP9","payloadType":98,"clockRate":90000,"parameters":{"profile-id":0},"#,
        r#""rtcpFeedback":[{"type":"nack","parameter":""}]},{"mimeType":"video/rtx","payloadType":99,"clockRate":90000,"#,
        r#""parameters":{"apt":98}}],"headerExtensions":[{"uri":"urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id","id":10}],"#,
        r#""encodings":[{"rid":"r0","scaleResolutionDownBy":2.5},{"rid":"r1","maxBitrate":900000}],"rtcp":{"cname":""}}"#,
    );
    let decoder = concat!(
        r#"{"codecs":[{"kind":"video","mimeType":"video/VP9","clockRate":90000,"parameters":{"profile-id":"0"}}],"#,
        r#""headerExtensions":[{"kind":"video","uri":"urn:ietf:params:rtp-hdrext:sdes:mid","preferredId":1}]}"#,
    );
    let dtls = r#"{"role":"server","fingerprints":[{"algorithm":"sha-1","value":"00"},{"algorithm":"sha-256","value":"00"}]}"#;
    vec![
        ("call", [both.clone(), produced.clone(), consumed.clone(), resumed, ends].concat()),
        ("gone", [both.clone(), produced, consumed, vec![13, 0, 2, 13, 3, 2], wait(20_000)].concat()),
        (
            "browser",
            [both, with(0, 4, 0, 1, camera), with(1, 7, 1, 0, decoder), with(0, 1, 0, 0, dtls)].concat(),
        ),
    ]
}

/// Requests to LiveKit's room service: a name, a method, the type of the body, and the body.
const ROOM_SERVICE: [(&str, &str, &str, &[u8]); 2] = [
    (
        "room-service",
        "UpdateParticipant",
        "application/protobuf",
        b"\x0a\x07standup\x12\x04anna\x22\x06\x08\x01\x4a\x02\x02\x01\x32\x0c\x0a\x04hand\x12\x04high",
    ),
    (
        "room-service-json",
        "SendData",
        "application/json",
        br#"{"room": "standup", "data": "aGVsbG8=", "destinationIdentities": ["anna"], "kind": "LOSSY"}"#,
    ),
];

/// All seeds.
pub fn all() -> Vec<Seed> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, content: Vec<u8>| seeds.push((target, name.to_owned(), content));
    for (name, tape) in stories() {
        add("core", name, tape);
    }
    for (name, packet) in packets() {
        add("datagrams", &name, [vec![1, 0x07], sized(&packet), vec![0x16], sized(&packet)].concat());
        add("rtp", &name, packet);
    }
    for (name, compound) in compounds() {
        add("datagrams", name, [vec![2, 0x0a], sized(&compound), vec![0x1b], sized(&compound)].concat());
        add("rtcp", name, compound);
    }
    for (name, message) in stun_messages() {
        add("datagrams", name, [vec![3, 0x00], sized(&message), vec![0x30], sized(&message)].concat());
        add("stun", name, message);
    }
    for (name, text) in offers() {
        add("sdp_offer", &name, text.into_bytes());
    }
    add("sdp_offer", "fragment", FRAGMENT.into());
    for (name, text) in MESSAGES {
        add("signalling", name, text.into());
    }
    for (name, text) in CLAIMS {
        add("token", name, text.into());
    }
    for (name, tape) in livekit() {
        add("livekit", name, tape);
    }
    for (name, tape) in mediasoup() {
        add("mediasoup", name, tape);
    }
    for (name, tape) in parameters() {
        add("parameters", name, tape);
    }
    for (name, text) in REQUESTS {
        add("http", name, text.replace('\n', "\r\n").into());
    }
    for (name, method, kind, body) in ROOM_SERVICE {
        let head = format!(
            "POST /twirp/livekit.RoomService/{method} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\n"
        );
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        add("http", name, [head.as_bytes(), length.as_bytes(), body].concat());
    }
    for (name, stream) in openings() {
        add("tcp_stream", name, stream);
    }
    for (name, content) in traces() {
        add("trace", name, content);
    }
    for (name, first, second) in DESCRIPTORS {
        add("dependency_descriptor", name, [&[first.len() as u8][..], first, second].concat());
    }
    add(
        "munger",
        "sources",
        [&[1, 0x7f, 0xf0][..], &[14, 0, 9].repeat(4), &[1, 0, 2, 14, 0, 9, 4, 1, 0, 14, 0, 8]].concat(),
    );
    add(
        "munger",
        "jumps",
        [&[0, 0, 1][..], &[6, 0, 1, 4, 0xff, 0xff, 6, 0, 1, 5, 0, 3, 2, 0, 0, 6, 0, 1]].concat(),
    );
    // Two copies and an empty packet; one byte in front of a packet without copies.
    add("red", "copies", vec![0xef, 0x1e, 0x00, 0x03, 0xef, 0x0f, 0x00, 0x02, 0x6f, 1, 1, 1, 2, 2]);
    add("red", "alone", vec![0x6f, 9, 9]);
    add("data_channels", "open", b"\x03\x81\0\0\0\0\0\x03\0\x04\0\x06chatstrait".to_vec());
    add("data_channels", "frame", b"\x00\x01p-0000000000007\x04chat{\"text\":1}".to_vec());
    let data = [0, 3, 0, 20, 0, 0, 0, 7, 0, 5, 0, 0, 0, 0, 0, 51, 1, 2, 3, 4];
    let init = [1, 0, 0, 20, 1, 1, 1, 1, 0, 1, 0, 0, 0, 9, 0, 9, 0, 0, 0, 42];
    add(
        "data_channels",
        "packet",
        [&[0x13, 0x88, 0x13, 0x88, 0, 0, 0, 0, 0, 0, 0, 0][..], &init, &data].concat(),
    );
    add("steering", "camera-and-thumbnail", steering_tape());
    add(
        "twcc",
        "steady",
        [&[0, 1, 0xff, 0xf0][..], &[0x50; 40], &[0x0f, 0, 0], &[0x11, 0x12, 0x09, 0x0b, 1, 0]].concat(),
    );
    add(
        "twcc",
        "gaps",
        vec![0, 9, 0, 1, 0, 0, 3, 1, 0, 0, 7, 0xff, 0xff, 0, 0x2e, 0x0f, 0, 0, 0x2a, 0, 3, 4, 0, 0],
    );
    // 64 packets, 50 ms, a report of 29 of them: 10 came, 7 came, 12 came; more packets, another report, silence.
    let sent: &[u8] = &[0xf8, 3, 0xe8, 0xf8, 3, 0xe8, 2, 0x13, 0x88];
    let report = [&[0x77, 0, 40, 0, 0, 9, 1, 0x20, 0x0a, 0xd5, 0x55, 0x20, 0x10][..], &[4; 34]].concat();
    let silence: &[u8] = &[4, 0, 0, 0x0a, 0, 200, 3, 9, 9, 4, 0, 0];
    add("bandwidth", "reports", [&[0x0b, 0xb8][..], sent, &report, sent, &report, silence].concat());
    add(
        "bandwidth",
        "silence",
        [&[0x0b, 0xb8][..], sent, &report, &[sent, silence].concat().repeat(20)].concat(),
    );
    for (name, tape) in turn_tapes() {
        add("turn", name, tape);
    }
    seeds
}

/// A dependency descriptor with its structure, and one behind it, of streams with three temporal layers, and with two
/// spatial and two temporal ones.
const DESCRIPTORS: [(&str, &[u8], &[u8]); 2] = [
    (
        "temporal",
        &[
            0xc0, 0x12, 0x34, 0x80, 0x02, 0x14, 0xea, 0xa8, 0x60, 0x41, 0x4d, 0x14, 0x10, 0x20, 0x84, 0x27,
            0x02, 0x7f, 0x01, 0x67,
        ],
        &[0x83, 0x00, 0x07, 0x7b, 0x25, 0x08, 0x43, 0xff, 0xf3, 0x20],
    ),
    (
        "spatial",
        &[
            0xc5, 0x00, 0x01, 0x80, 0xa3, 0x18, 0x7a, 0xaf, 0x01, 0x00, 0xa0, 0xf0, 0x14, 0x51, 0x41, 0x14,
            0x51, 0x80, 0x10, 0x90, 0x88, 0x89, 0x09, 0x40, 0x9f, 0xc0, 0x59, 0xc1, 0x3f, 0xc0, 0xb3, 0xc0,
        ],
        &[0xca, 0x00, 0x02],
    ),
];

fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    push_bytes(&mut out, bytes);
    out
}

fn tape(seed: u8, records: bool, steps: &[Step]) -> Vec<u8> {
    let mut tape = vec![seed, u8::from(records)];
    steps.iter().for_each(|step| step.write(&mut tape));
    tape
}

fn arrive(who: u8) -> Step {
    Step::Arrive { who, other_room: false, by_media: false }
}

fn live(rounds: u8) -> Step {
    Step::Live { rounds }
}

fn stories() -> Vec<(&'static str, Vec<u8>)> {
    let act = |who, what, of| Step::Do { who, what, of };
    let call = || vec![arrive(0), arrive(1), live(14)];
    let with = |more: Vec<Step>| [call(), more].concat();
    let (_, packet) = packets().swap_remove(1);
    let (_, compound) = compounds().swap_remove(2);
    let (_, check) = stun_messages().swap_remove(0);
    let text =
        |name: &str| MESSAGES.iter().find(|(known, _)| *known == name).map_or(Vec::new(), |one| one.1.into());
    vec![
        ("call", tape(4, true, &[call(), vec![arrive(2), live(30)]].concat())),
        (
            "deeds",
            tape(
                7,
                true,
                &with(vec![
                    act(0, 0, 0),
                    act(1, 2, 1),
                    live(3),
                    act(0, 1, 0),
                    act(1, 4, 1),
                    act(0, 9, 0),
                    live(6),
                    act(1, 5, 1),
                    act(0, 6, 1),
                    live(3),
                    act(0, 7, 1),
                    act(1, 14, 1),
                    live(6),
                    act(1, 8, 0),
                    live(3),
                ]),
            ),
        ),
        (
            "breaks",
            tape(
                2,
                true,
                &with(vec![
                    Step::Break { who: 0 },
                    live(5),
                    Step::Break { who: 0 },
                    live(5),
                    Step::Move { who: 1 },
                    act(1, 11, 0),
                    live(5),
                    Step::Break { who: 1 },
                    Step::Wait { tens_of_ms: 700 },
                    arrive(1),
                    live(9),
                ]),
            ),
        ),
        (
            "lies",
            tape(
                9,
                false,
                &with(vec![
                    Step::Datagram { from: Origin { who: 0, tcp: false }, bytes: check.clone() },
                    Step::Datagram { from: Origin { who: 7, tcp: true }, bytes: check },
                    Step::Rtp { who: 0, stream: 0, bytes: packet },
                    Step::Rtcp { who: 1, stream: 0, bytes: compound },
                    Step::Lose { who: 1, up: 0x11, down: 0x42 },
                    live(8),
                    Step::Text { who: 0, text: text("mute") },
                    Step::Text { who: 2, text: text("join") },
                    act(0, 10, 0),
                    Step::Say { at: 200, cut: 9, insert: b"a=sendonly\r\n".to_vec() },
                    Step::Deliver { which: 3, again: true, at: 20, xor: 1 },
                    Step::Handshake { session: 0, what: 0, bytes: vec![22, 0xfe, 0xfd, 1] },
                    Step::Handshake { session: 0, what: 4, bytes: vec![] },
                    live(5),
                ]),
            ),
        ),
        (
            "operator",
            tape(
                3,
                false,
                &[
                    vec![Step::Operate { what: 3, who: 0 }],
                    with(vec![
                        Step::Arrive { who: 2, other_room: true, by_media: true },
                        Step::Batch,
                        live(4),
                        Step::Batch,
                        Step::CallEarly,
                        Step::Operate { what: 5, who: 1 },
                        Step::Operate { what: 0, who: 0 },
                        live(3),
                        Step::Sleep { tens_of_ms: 300 },
                        live(3),
                        Step::Operate { what: 2, who: 0 },
                        Step::Operate { what: 7, who: 0 },
                    ]),
                ]
                .concat(),
            ),
        ),
    ]
}

/// A packet of each codec that simulated people send, with the extensions that they write, and in RED.
fn packets() -> Vec<(String, Vec<u8>)> {
    let mut packets = Vec::new();
    let codecs = [CodecName::Opus, CodecName::Vp8, CodecName::Vp9, CodecName::H264, CodecName::Av1];
    for (number, codec) in codecs.into_iter().enumerate() {
        let counted = matches!(codec, CodecName::Vp8 | CodecName::Vp9);
        let counters = Counters {
            picture_id: counted.then_some(0x7ffe),
            tl0: counted.then_some(255),
            frame_number: (codec == CodecName::Av1).then_some(0xffff),
        };
        let stamp = Stamp {
            stream: 1,
            index: 65_530,
            timestamp: 7,
            frame: 1,
            part: 0,
            parts: 2,
            key: true,
            counters,
            codec,
            short_ids: false,
            place: Place { temporal: 0, refers: 0, syncs: false },
        };
        let numbering = Numbering(1);
        let mut block = ExtensionBlock::new();
        block.push(numbering.transport_cc(), &[0xff, 0xff]);
        block.push(numbering.mid(), b"3");
        if let Some(descriptor) = codec::dependency_descriptor(&stamp) {
            block.push(numbering.dependency_descriptor(), &descriptor);
        }
        // One-byte elements do not hold this: the block has the two-byte form.
        if number % 2 == 1 {
            block.push(6, &[0; 20]);
        }
        let fields = RtpFields {
            marker: number % 2 == 0,
            payload_type: numbering.payload_type(codec),
            sequence: 65_530,
            timestamp: 7,
            ssrc: 0x1234_5678,
            has_padding: false,
        };
        let mut packet = vec![0; RTP_HEADER_WRITE_MAX];
        let length = write_header(&mut packet, &fields, &block).expect("it fits");
        packet.truncate(length);
        packet.extend(codec::write_payload(PictureIds::Long, &stamp, 60));
        packets.push((format!("{codec:?}").to_lowercase(), packet));
    }
    let mut red = vec![0x80, 63, 0, 9, 0, 0, 0, 9, 0, 0, 0, 9];
    red.extend([0xef, 0x0f, 0x00, 0x03, 111, 1, 2, 3, 0xfc, 4, 5]);
    packets.push(("red".into(), red));
    packets
}

fn compounds() -> Vec<(&'static str, Vec<u8>)> {
    let block = ReportBlock {
        ssrc: Ssrc(0x1234_5678),
        fraction_lost: 3,
        cumulative_lost: -1,
        highest_sequence: 0x1_ffff,
        jitter: 9,
        last_sr: 1,
        delay_since_last_sr: 2,
    };
    let write = |write: &dyn Fn(&mut RtcpWriter<'_>)| {
        let mut out = Vec::new();
        write(&mut RtcpWriter::new(&mut out));
        out
    };
    let now = Instant::now();
    let mut recorder = TransportFeedbackRecorder::new(now);
    for number in [65_533, 65_534, 1, 2, 9] {
        recorder.on_packet(now, number);
    }
    let mut feedback = Vec::new();
    recorder.write(recorder.deadline().expect("packets came"), Ssrc(1), Ssrc(2), &mut feedback);
    vec![
        (
            "reports",
            write(&|writer| {
                writer.sender_report(Ssrc(7), 1 << 40, 5, 6, 7, &[block]);
                writer.receiver_report(Ssrc(7), &[block, block]);
                writer.sdes_cname(Ssrc(7), "name");
            }),
        ),
        ("nack", write(&|writer| writer.nack(Ssrc(1), Ssrc(2), &[65_535, 0, 3, 16, 40, 41, 5000]))),
        (
            "keyframes",
            write(&|writer| {
                writer.pli(Ssrc(1), Ssrc(2));
                writer.fir(Ssrc(1), Ssrc(2), 3);
            }),
        ),
        ("feedback", feedback),
        (
            "remb",
            [&[0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0][..], b"REMB", &[1, 0x0b, 0xff, 0xff, 0, 0, 0, 2]]
                .concat(),
        ),
        ("bye", vec![0x82, 203, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 3, b'b', b'y', b'e']),
    ]
}

fn stun_messages() -> Vec<(&'static str, Vec<u8>)> {
    let credentials = Credentials {
        username: "aaaabbbb:cccc".into(),
        password: "0123456789012345678901".into(),
        tie_breaker: 7,
    };
    let mut check = Vec::new();
    write_check(&mut check, *b"transaction1", &credentials);
    vec![
        ("check", check),
        ("binding", stun(1, &[])),
        ("success", stun(0x101, &[0, 0x20, 0, 8, 0, 1, 5, 6, 1, 2, 3, 4])),
    ]
}

fn stun(kind: u16, attributes: &[u8]) -> Vec<u8> {
    let length = attributes.len() as u16;
    let head = [&kind.to_be_bytes()[..], &length.to_be_bytes(), &[0x21, 0x12, 0xa4, 0x42]].concat();
    [&head, b"transaction1".as_slice(), attributes].concat()
}

fn openings() -> Vec<(&'static str, Vec<u8>)> {
    let (_, check) = stun_messages().swap_remove(0);
    let frame = |bytes: &[u8]| [&tcp_frame::header(bytes.len()).expect("short")[..], bytes].concat();
    vec![
        ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("http", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("proxy", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n".to_vec()),
        ("ice", [frame(&check), frame(&[]), frame(&[22, 0xfe, 0xfd])].concat()),
        ("turn", [stun(3, &[]), vec![0x40, 0, 0, 5, 1, 2, 3, 4, 5, 0, 0, 0], stun(4, &[])].concat()),
    ]
}

fn offers() -> Vec<(String, String)> {
    let mut offers = Vec::new();
    let section = |kind, role, codecs: &[CodecName]| Section { kind, role, codecs: codecs.to_vec() };
    let sections = [
        section(MediaKind::Audio, Role::Slot, &[CodecName::Opus]),
        section(MediaKind::Video, Role::Slot, &[CodecName::Vp8, CodecName::Av1]),
        section(MediaKind::Audio, Role::Publish { declared: None, rids: Vec::new() }, &[CodecName::Opus]),
        section(
            MediaKind::Video,
            Role::Publish { declared: Some((5, 6)), rids: Vec::new() },
            &[CodecName::H264, CodecName::Vp9],
        ),
        section(MediaKind::Video, Role::Inactive, &[CodecName::Vp8]),
    ];
    let fingerprint = vec!["AB"; 32].join(":");
    let credentials = ("abcdefgh", "012345678901234567890123");
    for numbering in 0..2 {
        let text = sdp::offer(1, Numbering(numbering), credentials, &fingerprint, &sections);
        offers.push((format!("simulated-{numbering}"), text));
    }
    let published = [
        load::Published { kind: MediaKind::Audio, ssrc: 7, rids: vec![] },
        load::Published { kind: MediaKind::Video, ssrc: 9, rids: vec!["q", "h", "f"] },
    ];
    let load = load::ClientOffer {
        ufrag: "abcd",
        password: "0123456789012345678901",
        fingerprint: &fingerprint,
        slots: (1, 1),
        published: &published,
        transport_cc: true,
    };
    offers.push(("load".into(), load.text()));
    let mut rtc = str0m::Rtc::new(Instant::now());
    let mut changes = rtc.sdp_api();
    for (kind, direction) in [
        (str0m::media::MediaKind::Audio, str0m::media::Direction::SendRecv),
        (str0m::media::MediaKind::Video, str0m::media::Direction::SendOnly),
    ] {
        changes.add_media(kind, direction, None, None, None);
    }
    changes.add_channel("data".into());
    offers.push(("str0m".into(), changes.apply().expect("something changed").0.to_sdp_string()));
    offers
}

fn traces() -> Vec<(&'static str, Vec<u8>)> {
    let steps = [arrive(0), arrive(1), live(10), Step::Do { who: 0, what: 8, of: 0 }, live(2)];
    let recorded = tell_core(&tape(9, true, &steps));
    let file = recorded.first().expect("a room was recorded");
    let mut trace = Trace::open(file.as_slice(), None).expect("just written");
    let mut records = Vec::new();
    while let Some((kind, block)) = trace.next_block() {
        if kind == BlockKind::Records {
            records.extend(block);
        }
    }
    let short = &records[..records.len().min(3000)];
    vec![
        ("file", [&[0], file.as_slice()].concat()),
        ("records", [&[1], records.as_slice()].concat()),
        ("damaged", [&[2, 1, 200, 1], short].concat()),
    ]
}

fn turn_tapes() -> Vec<(&'static str, Vec<u8>)> {
    let signed = |who: u8, method: u8, attributes: &[(u16, &[u8])]| {
        let mut all = Vec::new();
        for (kind, value) in attributes {
            all.extend(kind.to_be_bytes());
            push_bytes(&mut all, value);
        }
        [vec![who << 4 | 5, method], sized(&all)].concat()
    };
    let udp: (u16, &[u8]) = (0x0019, &[17, 0, 0, 0]);
    // 10.9.9.9:7443, as XOR-PEER-ADDRESS has it.
    let peer: (u16, &[u8]) = (0x0012, &[0, 1, 0x3c, 0x01, 0x2b, 0x1b, 0xad, 0x4b]);
    let channel: (u16, &[u8]) = (0x000c, &[0x40, 0, 0, 0]);
    let call = |who: u8| {
        [
            signed(who, 1, &[udp]),
            signed(who, 1, &[udp]),
            signed(who, 4 + 1, &[peer]),
            signed(who, 6, &[channel, peer]),
            vec![who << 4],
            sized(&[0x40, 0, 0, 4, 0x80, 1, 2, 3]),
            vec![12],
            sized(&[0x80; 20]),
            vec![12 | 1 << 4],
            sized(&[0x80; 20]),
            signed(who, 3, &[peer, (0x0013, &[1, 2, 3])]),
            signed(who, 2, &[(0x000d, &[0, 0, 0, 0])]),
            vec![10, 200],
        ]
        .concat()
    };
    vec![
        ("datagrams", call(1)),
        ("connection", call(9)),
        ("strangers", [vec![0], sized(&stun(3, &[])), vec![0x90], sized(&stun(1, &[]))].concat()),
    ]
}

const FRAGMENT: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
    a=candidate:1 1 udp 2130706431 192.0.2.1 61764 typ host generation 0\r\na=end-of-candidates\r\n";

const MESSAGES: [(&str, &str); 12] = [
    (
        "join",
        r#"{"type":"join","id":1,"data":{"version":1,"room":"standup","name":"Anna","autoSubscribe":false}}"#,
    ),
    (
        "resume",
        r#"{"type":"resume","id":"a\"b","data":{"version":1,"room":"a","participantId":"p-0123456789abc","secret":"s"}}"#,
    ),
    (
        "offer",
        r#"{"type":"offer","id":-7,"data":{"sdp":"v=0","publications":[{"mid":"0","source":"camera","muted":true}]}}"#,
    ),
    ("mute", r#"{"type":"mute","data":{"trackId":"t-0123456789abc","muted":true}}"#),
    ("subscribe", r#"{"type":"subscribe","id":2,"data":{"trackId":"t-0123456789abc"}}"#),
    ("unsubscribe", r#"{"type":"unsubscribe","id":2,"data":{"trackId":"t-0123456789abc"}}"#),
    ("pause", r#"{"type":"pause","id":2,"data":{"trackId":"t-0123456789abc","paused":false}}"#),
    ("pin", r#"{"type":"pin","id":2,"data":{"trackId":"t-0123456789abc","pinned":true}}"#),
    (
        "data",
        r#"{"type":"data","data":{"to":["p-0123456789abc"],"topic":"chat","payload":{"b":1e400,"a":[null,"\u0000"]}}}"#,
    ),
    ("ping", r#"{"type":"ping","id":"x"}"#),
    ("leave", r#"{"type":"leave","id":9007199254740993}"#),
    ("mistyped", r#"{"type":"offfer","id":{},"data":[]}"#),
];

/// The messages of a call: transports have the first ids that the target gives them.
const OF_MEDIASOUP: [&str; 15] = [
    r#"{"type":"create-transport","messageId":1,"direction":"send"}"#,
    r#"{"type":"create-transport","messageId":"2","data":{"direction":"recv"}}"#,
    concat!(
        r#"{"type":"connect-transport","transportId":"x-0000000000001","dtlsParameters":{"role":"client","#,
        r#""fingerprints":[{"algorithm":"sha-256","value":"AB:CD"}]}}"#,
    ),
    concat!(
        r#"{"type":"produce","messageId":3,"payload":{"transportId":"x-0000000000001","kind":"video","#,
        r#""appData":{"source":"screen"},"rtpParameters":{"mid":"0","codecs":[{"mimeType":"video/VP8","payloadType":96,"#,
        r#""clockRate":90000,"parameters":{},"rtcpFeedback":[{"type":"nack","parameter":"pli"}]},{"mimeType":"video/rtx","#,
        r#""payloadType":97,"clockRate":90000,"parameters":{"apt":96}}],"headerExtensions":[{"uri":"urn:ietf:params:rtp-"#,
        r#"hdrext:sdes:mid","id":4}],"encodings":[{"rid":"r0","scalabilityMode":"L1T3","maxBitrate":100000},{"ssrc":7,"#,
        r#""rtx":{"ssrc":8}}],"rtcp":{"cname":"","reducedSize":true}}}}"#,
    ),
    r#"{"type":"pause-producer","producerId":"t-0000000000004"}"#,
    r#"{"type":"resume-producer","producerId":"t-0000000000004"}"#,
    concat!(
        r#"{"type":"consume","messageId":4,"producerId":"t-0000000000009","rtpCapabilities":{"codecs":[{"kind":"audio","#,
        r#""mimeType":"audio/opus","preferredPayloadType":100,"clockRate":48000,"channels":2}],"headerExtensions":[]}}"#,
    ),
    r#"{"type":"resume-consumer","messageId":5,"consumerId":"c-t-0000000000009"}"#,
    r#"{"type":"prefer-consumer","consumerId":"c-t-0000000000009","width":320,"height":180,"priority":"high"}"#,
    r#"{"type":"close-consumer","consumerId":"c-t-0000000000009"}"#,
    r#"{"type":"restart-ice","transportId":"x-0000000000002"}"#,
    r#"{"type":"close-transport","transportId":"x-0000000000002"}"#,
    r#"{"type":"join-room","roomId":"standup","participantId":7,"sessionId":"s","token":"a.b.c"}"#,
    r#"{"type":"ping"}"#,
    r#"{"type":"leave-room"}"#,
];

const CLAIMS: [(&str, &str); 5] = [
    (
        "livekit",
        concat!(
            r#"{"iss":"K","sub":"anna","name":" Anna ","nbf":1,"exp":1800000000,"metadata":"{}","attributes":{"seat":"3"},"#,
            r#""video":{"roomJoin":true,"room":"standup","canPublishSources":["microphone","screen_share"],"#,
            r#""canUpdateOwnMetadata":true}}"#,
        ),
    ),
    (
        "moderator",
        concat!(
            r#"{"jti":"ben","exp":1800000000.5,"video":{"roomJoin":true,"roomAdmin":true,"roomCreate":true,"roomList":true,"#,
            r#""hidden":true,"canPublish":false,"canSubscribe":null}}"#,
        ),
    ),
    (
        "plain",
        r#"{"userId":7,"roomId":"standup","permissions":["produce","consume","moderate"],"exp":1800000000}"#,
    ),
    ("token", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhbm5hIn0.AAAA"),
    ("none", "eyJhbGciOiJub25lIn0.e30."),
];

const REQUESTS: [(&str, &str); 9] = [
    ("page", "GET /?room=a%20b+c#top HTTP/1.1\nHost: localhost:7443\nAccept: */*\n\n"),
    ("old", "HEAD /health HTTP/1.0\nConnection: keep-alive\n\n"),
    (
        "websocket",
        "GET /ws HTTP/1.1\nHost: a\nOrigin: https://a\nUpgrade: websocket\nConnection: Upgrade\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Version: 13\n\n",
    ),
    (
        "whip",
        "POST /whip/standup HTTP/1.1\nHost: a\nContent-Type: application/sdp\n\
         Content-Length: 5\n\nv=0\r",
    ),
    (
        "whep",
        "PATCH /whep/standup/abc?track=t-0123456789abc HTTP/1.1\nHost: a\nIf-Match: \"1\"\n\
         Content-Type: application/trickle-ice-sdpfrag\nContent-Length: 0\n\n",
    ),
    (
        "admin",
        "DELETE /admin/v1/rooms/standup/participants/p-0123456789abc HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer token\n\n",
    ),
    (
        "proxied",
        "GET / HTTP/1.1\nHost: a:1\nX-Forwarded-For: 192.0.2.1, [2001:db8::1]:5\nX-Forwarded-Proto: http, https\nVia: x\n\n",
    ),
    ("expecting", "POST /admin/v1/recordings HTTP/1.1\nHost: a\nExpect: 100-continue\nContent-Length: 9\n\n"),
    (
        "smuggled",
        "POST / HTTP/1.1\nHost: a\nContent-Length: 1\nContent-Length: 2\nTransfer-Encoding: chunked\n\n1",
    ),
];
