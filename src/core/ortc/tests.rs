//! Tests of ORTC parameters: what mediasoup's clients say is read, and what they are told fits it.

use serde_json::{Value, json};

use super::consumed::{Track, can_consume, consume};
use super::router::{ROUTED, capabilities};
use super::*;
use crate::core::codec_set::CodecSet;
use crate::core::ids::{Mid, PayloadType, Ssrc};
use crate::core::negotiated::{Codec, Extension, H264Profile, Negotiated};
use crate::limits::ENCODINGS_MAX;

fn extension(kind: &str, uri: &str, id: u8) -> Value {
    json!({"kind": kind, "uri": uri, "preferredId": id, "preferredEncrypt": false})
}

/// What a client can receive whose codecs are these.
fn receiving(codecs: &Value) -> RtpCapabilities {
    let mid = Extension::Mid.uri();
    let all = json!({
        "codecs": codecs,
        "headerExtensions": [
            extension("audio", mid, 1), extension("video", mid, 1),
            extension("video", Extension::TransportCc.uri(), 5),
            extension("video", Extension::DependencyDescriptor.uri(), 8),
            extension("audio", "urn:example:unheard-of", 9),
        ],
    });
    serde_json::from_value(all).expect("capabilities")
}

fn codec(name: &str, parameters: &Value) -> Value {
    let (kind, _) = name.split_once('/').expect("a kind");
    let (rate, channels) = if kind == "audio" { (48_000, json!(2)) } else { (90_000, Value::Null) };
    json!({
        "kind": kind, "mimeType": name, "preferredPayloadType": 99, "clockRate": rate, "channels": channels,
        "parameters": parameters, "rtcpFeedback": [],
    })
}

const fn h264(profile: H264Profile, packetization_mode: u8) -> Codec {
    Codec::H264 { profile, packetization_mode }
}

#[test]
fn a_client_consumes_what_it_can_decode_and_nothing_else() {
    use H264Profile::{Baseline, ConstrainedBaseline, High, Main};
    let avc = |profile: &str, mode: i64| {
        codec("video/H264", &json!({"profile-level-id": profile, "packetization-mode": mode}))
    };
    let (opus, vp8) = (codec("audio/opus", &json!({})), codec("video/vp8", &json!({})));
    let mono = json!({"kind": "audio", "mimeType": "audio/opus", "clockRate": 48_000, "channels": 1});
    let slow = json!({"kind": "video", "mimeType": "video/VP8", "clockRate": 8_000});
    let vp9 = |profile: &str| codec("video/VP9", &json!({"profile-id": profile}));
    // What is published, what the client takes, and the payload type in which it is sent.
    let cases = [
        (Codec::Opus, json!([opus]), Some(100)),
        (Codec::Opus, json!([mono]), None),
        (Codec::Opus, json!([vp8]), None),
        (Codec::Opus, json!([]), None),
        (Codec::Vp8, json!([opus, vp8]), Some(101)),
        (Codec::Vp8, json!([slow]), None),
        (Codec::Vp8, json!([codec("audio/VP8", &json!({}))]), None),
        (Codec::Vp8, json!([vp9("0")]), None),
        (Codec::Vp9 { profile: 0 }, json!([vp9("0")]), Some(103)),
        (Codec::Vp9 { profile: 0 }, json!([codec("video/VP9", &json!({}))]), Some(103)),
        (Codec::Vp9 { profile: 2 }, json!([vp9("0")]), None),
        (Codec::Vp9 { profile: 2 }, json!([vp9("0"), vp9("2")]), Some(105)),
        (Codec::Av1 { profile: 0 }, json!([codec("video/AV1", &json!({}))]), Some(121)),
        (Codec::Av1 { profile: 1 }, json!([codec("video/AV1", &json!({"profile": 1}))]), None),
        (h264(ConstrainedBaseline, 1), json!([avc("42e01f", 1)]), Some(107)),
        (h264(ConstrainedBaseline, 1), json!([avc("42c00d", 1)]), Some(107)),
        (h264(ConstrainedBaseline, 1), json!([avc("42e01f", 0)]), None),
        (h264(ConstrainedBaseline, 0), json!([avc("42e01f", 1)]), Some(107)),
        (h264(ConstrainedBaseline, 0), json!([avc("42e01f", 1), avc("42e01f", 0)]), Some(109)),
        (h264(ConstrainedBaseline, 1), json!([avc("4d0032", 1)]), Some(115)),
        (h264(Baseline, 1), json!([avc("42e01f", 1)]), Some(107)),
        (h264(Main, 1), json!([avc("42e01f", 1)]), None),
        (h264(Main, 1), json!([avc("4d001f", 1)]), Some(115)),
        (h264(High, 1), json!([avc("4d001f", 1), avc("64001f", 1)]), Some(117)),
        // A client that reads parameters as numbers where they look like some.
        (
            h264(High, 1),
            json!([codec("video/H264", &json!({"profile-level-id": 640_032, "packetization-mode": "1"}))]),
            Some(117),
        ),
        (h264(Main, 1), json!([avc("nonsense", 1)]), None),
    ];
    for (published, taken, expected) in cases {
        let found = can_consume(published, &receiving(&taken)).map(|routed| routed.pt);
        assert_eq!(found, expected, "{published:?} for {taken}");
    }
}

#[test]
fn a_consumer_is_told_our_payload_types_and_ids_and_its_own_codec_first() {
    let client = receiving(&json!([
        codec("audio/opus", &json!({})),
        codec("video/VP8", &json!({})),
        codec("video/rtx", &json!({"apt": 99})),
        codec("video/H264", &json!({"profile-level-id": "42e01f", "packetization-mode": 1})),
    ]));
    let codecs = [h264(H264Profile::ConstrainedBaseline, 1), Codec::Vp9 { profile: 0 }, Codec::Vp8];
    let ssrcs = (Ssrc(7), Ssrc(8));
    let track = Track { mid: Mid::from("3"), kind: MediaKind::Video, codecs: &codecs, ssrcs, cname: "anna" };
    let sent = consume(track, &client).expect("it can be consumed");
    let told: Vec<u8> = sent.parameters.codecs.iter().map(|codec| codec.payload_type).collect();
    assert_eq!(told, [107, 108, 101, 102], "of VP9 nothing is said, which the client has not");
    let said = serde_json::to_value(&sent.parameters).expect("JSON");
    assert_eq!(said["codecs"][1]["parameters"], json!({"apt": 107}));
    assert_eq!(said["encodings"][0]["rtx"], json!({"ssrc": 8}));
    assert_eq!((said["mid"].as_str(), said["rtcp"]["cname"].as_str()), (Some("3"), Some("anna")));
    let ids: Vec<u8> = sent.parameters.header_extensions.iter().map(|one| one.id).collect();
    assert_eq!(ids, [1, 5], "the descriptor is for AV1 alone, and the rest the client does not know");
    assert_eq!(sent.section.egress, Some((Ssrc(7), Some(Ssrc(8)))));
    assert_eq!(sent.section.codec_for(Codec::Vp8).map(|params| params.pt), Some(PayloadType(101)));
    assert_eq!((sent.section.extensions.mid, sent.section.extensions.transport_cc), (Some(1), Some(5)));
    let av1 = receiving(&json!([codec("video/AV1", &json!({}))]));
    let sent =
        consume(Track { codecs: &[Codec::Av1 { profile: 0 }], ..track }, &av1).expect("it can be consumed");
    assert_eq!(sent.section.extensions.dependency_descriptor, Some(8));
    assert_eq!(sent.section.egress, Some((Ssrc(7), None)), "no retransmissions without `rtx`");
    let audio = Track { kind: MediaKind::Audio, codecs: &[Codec::Opus], ..track };
    let sent = consume(audio, &client).expect("it can be consumed");
    assert_eq!(sent.section.extensions.transport_cc, Some(5), "which the client only says of video");
    assert_eq!(consume(Track { codecs: &[], ..track }, &client), None);
    assert_eq!(consume(Track { codecs: &[Codec::Vp9 { profile: 0 }, Codec::Vp8], ..track }, &client), None);
}

#[test]
fn what_the_server_says_of_itself_is_what_it_can_send_and_read() {
    let all = capabilities(CodecSet::ALL);
    assert_eq!(check::capabilities(&all), Ok(()));
    for routed in ROUTED {
        let taken = can_consume(routed.codec, &all);
        assert_eq!(taken, Some(routed), "each codec is sent as itself");
    }
    let mut payload_types: Vec<u8> =
        all.codecs.iter().filter_map(|codec| codec.preferred_payload_type).collect();
    payload_types.sort_unstable();
    payload_types.dedup();
    assert_eq!(payload_types.len(), all.codecs.len(), "no two have one payload type");
    assert!(!payload_types.contains(&127), "that is the clients' own");
    let said = serde_json::to_value(&all).expect("JSON");
    assert_eq!(said["codecs"][0]["mimeType"], "audio/opus");
    assert_eq!(said["codecs"][0]["channels"], 2);
    assert_eq!(said["codecs"][2]["parameters"], json!({"apt": 101}));
    let direction = |uri: &str| {
        let all = said["headerExtensions"].as_array().expect("a list");
        all.iter().find(|one| one["uri"] == uri).map(|one| one["direction"].clone())
    };
    assert_eq!(direction(Extension::Mid.uri()), Some(json!("sendrecv")));
    assert_eq!(direction(Extension::Rid.uri()), Some(json!("recvonly")));
    let avc = said["codecs"].as_array().expect("a list").iter();
    let named = avc.filter(|codec| codec["parameters"]["profile-level-id"] == "4d0032");
    let named: Vec<_> = named.map(|codec| &codec["parameters"]).collect();
    assert_eq!(
        named,
        [&json!({"packetization-mode": 1, "profile-level-id": "4d0032", "level-asymmetry-allowed": 1})]
    );
    let few = capabilities(CodecSet::named(["opus", "vp8"]).expect("known names"));
    assert_eq!(few.codecs.len(), 3, "opus, VP8 and its retransmissions");
}

/// How a client sends a camera, in VP8 with these encodings.
fn camera(encodings: &Value) -> RtpParameters {
    let parameters = json!({
        "mid": "1",
        "codecs": [
            {
                "mimeType": "video/VP8", "payloadType": 96, "clockRate": 90_000, "parameters": {},
                "rtcpFeedback": [{"type": "nack", "parameter": ""}],
            },
            {"mimeType": "video/rtx", "payloadType": 97, "clockRate": 90_000, "parameters": {"apt": 96}},
        ],
        "headerExtensions": [
            {"uri": Extension::Mid.uri(), "id": 4, "encrypt": false, "parameters": {}},
            {"uri": Extension::Rid.uri(), "id": 10},
            {"uri": Extension::DependencyDescriptor.uri(), "id": 12},
        ],
        "encodings": encodings,
        "rtcp": {"cname": "x", "reducedSize": true, "mux": true},
        "msid": "a b",
    });
    serde_json::from_value(parameters).expect("parameters")
}

fn section(
    parameters: &RtpParameters,
    agreed: &Negotiated,
) -> Result<crate::core::negotiated::NegotiatedSection, String> {
    produced::section(MediaKind::Video, parameters, Mid::from("x"), CodecSet::ALL, agreed)
}

#[test]
fn a_producer_keeps_its_own_payload_types_ids_and_streams() {
    let one = camera(&json!([{"ssrc": 5, "rtx": {"ssrc": 6}}]));
    let made = section(&one, &Negotiated::none()).expect("a section");
    assert_eq!((made.mid, made.egress), (Mid::from("1"), None));
    let params = made.codecs[0];
    assert_eq!(
        (params.codec, params.pt.0, params.rtx, params.nack),
        (Codec::Vp8, 96, Some(PayloadType(97)), true)
    );
    assert_eq!((made.extensions.mid, made.extensions.rid), (Some(4), Some(10)));
    assert_eq!(made.extensions.dependency_descriptor, None);
    let ingress = made.ingress.clone().expect("it sends");
    assert_eq!(ingress.declared, [(Ssrc(5), Some(Ssrc(6)))]);
    let agreed = Negotiated::of_sections(vec![made]);
    assert_eq!((agreed.extension(4), agreed.extension(12)), (Some(Extension::Mid), None));
    assert!(agreed.payload(97).is_some());
    let simulcast =
        camera(&json!([{"rid": "r0", "scaleResolutionDownBy": 4}, {"rid": "r1", "maxBitrate": 9}]));
    let ingress = section(&simulcast, &Negotiated::none()).expect("a section").ingress.expect("it sends");
    assert_eq!((ingress.rids, ingress.declared), (vec!["r0".to_owned(), "r1".to_owned()], Vec::new()));
    let sizes: Vec<_> =
        produced::encodings(&simulcast).iter().map(|one| (one.height, one.max_bitrate)).collect();
    assert_eq!(sizes, [(Some(180), None), (Some(720), Some(9))]);
    let without = RtpParameters { mid: None, ..one };
    assert_eq!(section(&without, &Negotiated::none()).map(|made| made.mid), Ok(Mid::from("x")));
}

#[test]
fn a_producer_that_cannot_be_served_is_told_why() {
    let good = || camera(&json!([{"ssrc": 5, "rtx": {"ssrc": 6}}]));
    let agreed = Negotiated::of_sections(vec![section(&good(), &Negotiated::none()).expect("a section")]);
    let mut others: Vec<(RtpParameters, &str)> = Vec::new();
    others.push((good(), "mid"));
    let next = || RtpParameters { mid: Some("2".to_owned()), ..camera(&json!([{"ssrc": 15}])) };
    others.push((RtpParameters { encodings: good().encodings, ..next() }, "ssrc 5"));
    let mut moved = next();
    moved.codecs[0].payload_type = 97;
    others.push((moved, "payload type 97"));
    let mut moved = next();
    moved.header_extensions[0].id = 10;
    others.push((moved, "id 10"));
    let mut moved = next();
    moved.header_extensions[0].id = 15;
    others.push((moved, "id 15"));
    others.push((RtpParameters { codecs: Vec::new(), ..next() }, "none of its codecs"));
    others.push((RtpParameters { mid: Some("no mid".to_owned()), ..next() }, "no usable mid"));
    for (encodings, words) in [
        (json!([{"rid": "a"}, {"rid": "a"}]), "two encodings"),
        (json!([{"rid": "a b"}]), "rid \"a b\""),
        (json!([{"rid": "a"}, {}]), "neither a rid"),
        (json!([{"ssrc": 9}, {"ssrc": 9}]), "ssrc 9"),
    ] {
        others.push((RtpParameters { mid: Some("2".to_owned()), ..camera(&encodings) }, words));
    }
    for (parameters, words) in others {
        let said = section(&parameters, &agreed).expect_err(words);
        assert!(said.contains(words), "{said} should tell of {words}");
    }
    assert!(section(&next(), &agreed).is_ok());
}

#[test]
fn what_says_too_much_is_refused_before_it_is_used() {
    let mut many = camera(&json!([]));
    many.encodings = vec![RtpEncodingParameters::default(); ENCODINGS_MAX + 1];
    assert!(check::parameters(&many).expect_err("too many").contains("encodings"));
    let mut long = camera(&json!([{"ssrc": 1}]));
    long.codecs[0].parameters.insert("x".to_owned(), "y".repeat(5000).as_str().into());
    assert!(check::parameters(&long).expect_err("too long").contains("5000"));
    let mut high = camera(&json!([{"ssrc": 1}]));
    high.codecs[0].payload_type = 200;
    assert!(check::parameters(&high).expect_err("no payload type").contains("200"));
    let mut all = capabilities(CodecSet::ALL);
    all.codecs = std::iter::repeat_n(all.codecs[0].clone(), 1000).collect();
    assert!(check::capabilities(&all).expect_err("too many").contains("1000"));
    let fingerprint = DtlsFingerprint { algorithm: "sha-256".to_owned(), value: "AB".repeat(200) };
    let dtls = DtlsParameters { role: DtlsRole::Auto, fingerprints: vec![fingerprint] };
    assert!(check::dtls(&dtls).is_err());
}

#[test]
fn values_survive_json_and_a_recording() {
    let parameters = camera(&json!([{"rid": "r0", "scaleResolutionDownBy": 1.5}]));
    let recorded = postcard::to_stdvec(&parameters).expect("it can be recorded");
    assert_eq!(postcard::from_bytes::<RtpParameters>(&recorded), Ok(parameters.clone()));
    let text = serde_json::to_string(&parameters).expect("JSON");
    assert_eq!(serde_json::from_str::<RtpParameters>(&text).expect("JSON"), parameters);
    let all = capabilities(CodecSet::ALL);
    let recorded = postcard::to_stdvec(&all).expect("it can be recorded");
    assert_eq!(postcard::from_bytes::<RtpCapabilities>(&recorded), Ok(all));
    for (said, read) in
        [(json!(1.5e6), Some(1_500_000)), (json!(333_333.3), Some(333_333)), (json!(-1), None)]
    {
        let encoding: RtpEncodingParameters =
            serde_json::from_value(json!({"maxBitrate": said})).expect("JSON");
        assert_eq!(encoding.max_bitrate, read);
    }
    for direction in ["send", "recv", "receive"] {
        assert!(serde_json::from_value::<TransportDirection>(json!(direction)).is_ok());
    }
}

#[test]
fn our_addresses_are_candidates_in_their_order() {
    let own =
        |protocol, address: &str| LocalCandidate { protocol, address: address.parse().expect("an address") };
    let all = IceCandidate::all(&[
        own(TransportProtocol::Udp, "192.0.2.1:7443"),
        own(TransportProtocol::Tcp, "[2001:db8::1]:443"),
    ]);
    assert_eq!((all[0].ip.as_str(), all[0].port, all[0].tcp_type.as_deref()), ("192.0.2.1", 7443, None));
    assert_eq!((all[1].address.as_str(), all[1].tcp_type.as_deref()), ("2001:db8::1", Some("passive")));
    assert!(all[0].priority > all[1].priority && all[0].foundation != all[1].foundation);
    let said = serde_json::to_value(&all[1]).expect("JSON");
    assert_eq!(
        (&said["type"], &said["tcpType"], &said["protocol"]),
        (&json!("host"), &json!("passive"), &json!("tcp"))
    );
}
