//! The native protocol as tables: every request, every refusal, every message to clients.

mod document;

use std::time::Duration;

use serde_json::{Value, json};

use super::parse::REQUEST_TYPES;
use super::*;
use crate::core::command::{
    EncodingRequest, MeshCommand, Moderation, Preference, Priority, Proof, PublicationRequest, Source, Wish,
};
use crate::core::event::*;
use crate::core::grants::{Grants, Role, Sources};
use crate::core::ids::{Mid, ParticipantId, TrackId};
use crate::core::mesh::{MeshSignal, MeshTrack};
use crate::core::moderation::{Ban, PermissionsChange};
use crate::core::profile::{Profile, ProfileChange};
use crate::core::quality::{Level, Mos, Quality};
use crate::core::room_options::{RoomChange, RoomState};
use crate::core::topology::{Mode, Reason, Strategy, View};

const TRACK: TrackId = TrackId(7);
const PARTICIPANT: ParticipantId = ParticipantId(9);
const T: &str = "t-0000000000007";
const P: &str = "p-0000000000009";

fn request(text: &str) -> Option<RequestId> {
    Some(RequestId(text.into()))
}

fn command(text: &str) -> Command {
    match parse(text) {
        Ok(ClientMessage::Command { command, .. }) => command,
        other => panic!("{text}: {other:?}"),
    }
}

fn refusal(text: &str) -> Refusal {
    parse(text).expect_err(text).1
}

/// One valid message of each type.
fn valid_messages() -> Vec<String> {
    vec![
        concat!(
            r#"{"type":"join","id":1,"data":{"version":1,"room":"standup","name":" Anna ","autoSubscribe":false,"#,
            r#""token":"a.b.c","mesh":true}}"#,
        )
        .into(),
        format!(r#"{{"type":"resume","data":{{"version":1,"room":"a","participantId":"{P}","secret":"s"}}}}"#),
        concat!(
            r#"{"type":"offer","id":"é","data":{"sdp":"v=0","publications":[{"mid":"8","source":"camera","muted":true,"#,
            r#""encodings":[{"rid":"high","width":1280,"height":720,"maxBitrate":2000000},{"rid":"low"}]}]}}"#,
        )
        .into(),
        format!(r#"{{"type":"mute","data":{{"trackId":"{T}","muted":true}}}}"#),
        format!(r#"{{"type":"subscribe","data":{{"trackId":"{T}"}}}}"#),
        format!(r#"{{"type":"unsubscribe","data":{{"trackId":"{T}"}}}}"#),
        format!(r#"{{"type":"pause","data":{{"trackId":"{T}","paused":false}}}}"#),
        format!(r#"{{"type":"data","data":{{"to":["{P}"],"topic":"chat","payload":{{"b":1.50,"a":[null]}}}}}}"#),
        r#"{"type":"ping"}"#.into(),
        r#"{"type":"leave","id":-3}"#.into(),
        format!(r#"{{"type":"pin","data":{{"trackId":"{T}","pinned":true}}}}"#),
        format!(
            r#"{{"type":"prefer","data":{{"tracks":[{},{}]}}}}"#,
            format_args!(
                r#"{{"trackId":"{T}","width":320,"height":180,"frameRate":15,"priority":"very-low"}}"#
            ),
            format_args!(r#"{{"trackId":"{T}","paused":true}}"#),
        ),
        format!(r#"{{"type":"mute-track","data":{{"trackId":"{T}"}}}}"#),
        format!(r#"{{"type":"remove-participant","data":{{"participantId":"{P}"}}}}"#),
        r#"{"type":"end-call"}"#.into(),
        format!(r#"{{"type":"stop-track","data":{{"trackId":"{T}"}}}}"#),
        format!(r#"{{"type":"ban-participant","data":{{"participantId":"{P}","address":true,"seconds":60}}}}"#),
        r#"{"type":"lift-bans"}"#.into(),
        format!(
            r#"{{"type":"set-permissions","data":{{"participantId":"{P}","publish":["camera"],"subscribe":false}}}}"#
        ),
        r#"{"type":"lock-room","data":{"locked":true}}"#.into(),
        r#"{"type":"set-waiting-room","data":{"enabled":true}}"#.into(),
        format!(r#"{{"type":"admit","data":{{"participantId":"{P}"}}}}"#),
        format!(r#"{{"type":"turn-away","data":{{"participantId":"{P}"}}}}"#),
        format!(r#"{{"type":"report","data":{{"participantId":"{P}","reason":"abuse","text":"shouts"}}}}"#),
        r#"{"type":"update-profile","data":{"name":" Anna ","metadata":"{}","attributes":{"seat":"3","hand":""}}}"#.into(),
        r#"{"type":"mesh-tracks","data":{"tracks":[{"id":"5e1a","source":"camera","muted":true}]}}"#.into(),
        format!(r#"{{"type":"mesh-signal","data":{{"to":"{P}","description":{{"sdp":"v=0","type":"offer"}}}}}}"#),
        r#"{"type":"migrated","data":{"migration":3}}"#.into(),
        r#"{"type":"migration-failed","data":{"migration":3,"reason":"no ICE"}}"#.into(),
        format!(r#"{{"type":"mesh-failed","data":{{"with":"{P}"}}}}"#),
        r#"{"type":"mesh-load","data":{"percent":71}}"#.into(),
    ]
}

#[test]
fn every_request_of_the_protocol_is_understood() {
    let messages = valid_messages();
    let parsed: Vec<_> = messages.iter().map(|text| parse(text).expect(text)).collect();
    assert_eq!(parsed.len(), REQUEST_TYPES.len());
    let room: RoomId = "standup".parse().expect("a room id");
    assert_eq!(
        parsed[0],
        ClientMessage::Join {
            request: request("1"),
            room: Some(room),
            name: "Anna".into(),
            auto_subscribe: false,
            token: Some("a.b.c".into()),
            can_mesh: true,
        }
    );
    let resume = Resume {
        room: "a".parse().expect("a room id"),
        participant: PARTICIPANT,
        proof: Proof::Secret("s".into()),
    };
    assert_eq!(parsed[1], ClientMessage::Resume { request: None, resume });
    let high = EncodingRequest {
        rid: "high".into(),
        width: Some(1280),
        height: Some(720),
        max_bitrate: Some(2_000_000),
    };
    let low = EncodingRequest { rid: "low".into(), width: None, height: None, max_bitrate: None };
    let encodings = vec![high, low];
    let publications = vec![PublicationRequest {
        mid: Mid::from("8"),
        source: Source::Camera,
        muted: true,
        encodings,
        track: None,
    }];
    assert_eq!(
        parsed[2],
        ClientMessage::Command {
            request: request("\"é\""),
            command: Command::Offer { sdp: "v=0".into(), publications }
        }
    );
    assert_eq!(command(&messages[3]), Command::Mute { track: TRACK, muted: true });
    assert_eq!(command(&messages[4]), Command::Subscribe(TRACK));
    assert_eq!(command(&messages[5]), Command::Unsubscribe(TRACK));
    assert_eq!(command(&messages[6]), Command::Pause { track: TRACK, paused: false });
    let payload = r#"{"b":1.50,"a":[null]}"#.into();
    assert_eq!(
        command(&messages[7]),
        Command::Data { to: Some(vec![PARTICIPANT]), topic: "chat".into(), payload, is_lossy: false }
    );
    assert_eq!(parsed[8], ClientMessage::Ping { request: None });
    assert_eq!(parsed[9], ClientMessage::Command { request: request("-3"), command: Command::Leave });
    assert_eq!(command(&messages[10]), Command::Pin { track: TRACK, pinned: true });
    let wishes = [
        Wish {
            width: Some(320),
            height: Some(180),
            frame_rate: Some(15),
            priority: Priority::VeryLow,
            paused: false,
        },
        Wish { paused: true, ..Wish::default() },
    ];
    let preferences = wishes.map(|wish| Preference { track: TRACK, wish });
    assert_eq!(command(&messages[11]), Command::Prefer(preferences.to_vec()));
    let minute = Some(Duration::from_secs(60));
    let permissions = PermissionsChange {
        publish: Some(Sources::of(&[Source::Camera])),
        subscribe: Some(false),
        ..PermissionsChange::default()
    };
    let moderations = [
        Moderation::Mute(TRACK),
        Moderation::Remove(PARTICIPANT.into()),
        Moderation::End,
        Moderation::Stop(TRACK),
        Moderation::Ban(Ban { target: PARTICIPANT.into(), with_address: true, lasts: minute }),
        Moderation::LiftBans(None),
        Moderation::SetPermissions(PARTICIPANT.into(), permissions),
        Moderation::Configure(RoomChange { locked: Some(true), ..RoomChange::default() }),
        Moderation::Configure(RoomChange { waiting_room: Some(true), ..RoomChange::default() }),
        Moderation::Admit(PARTICIPANT),
        Moderation::TurnAway(PARTICIPANT),
    ];
    let attributes = [("seat".to_owned(), "3".to_owned()), ("hand".to_owned(), String::new())].into();
    let change = ProfileChange { name: Some("Anna".into()), metadata: Some("{}".into()), attributes };
    assert_eq!(command(&messages[24]), Command::UpdateProfile(change));
    let signal = MeshSignal::Description(r#"{"sdp":"v=0","type":"offer"}"#.into());
    let mesh = [
        MeshCommand::Tracks(vec![mesh_track()]),
        MeshCommand::Signal { to: PARTICIPANT, signal },
        MeshCommand::Migrated(3),
        MeshCommand::MigrationFailed { migration: 3, reason: "no ICE".into() },
        MeshCommand::Failed { with: PARTICIPANT, reason: String::new() },
        MeshCommand::Load(71),
    ];
    for (text, asked) in messages[25..].iter().zip(mesh) {
        assert_eq!(command(text), Command::Mesh(asked));
    }
    let report = Command::Report { about: PARTICIPANT, reason: "abuse".into(), text: "shouts".into() };
    assert_eq!(command(&messages[23]), report);
    for (text, moderation) in messages[12..].iter().zip(moderations) {
        assert_eq!(command(text), Command::Moderate(moderation));
    }
}

#[test]
fn what_may_be_left_out_has_its_default() {
    for text in [
        r#"{"type":"join","data":{"version":1,"name":"Anna"}}"#,
        r#"{"type":"join","id":null,"data":{"version":1,"name":"Anna","room":null,"autoSubscribe":null,"more":{}}}"#,
    ] {
        let join = ClientMessage::Join {
            request: None,
            room: None,
            name: "Anna".into(),
            auto_subscribe: true,
            token: None,
            can_mesh: false,
        };
        assert_eq!(parse(text), Ok(join), "{text}");
    }
    let Command::Data { to, .. } = command(r#"{"type":"data","data":{"topic":"x","payload":null}}"#) else {
        panic!("data")
    };
    assert_eq!(to, None);
}

#[test]
fn a_publication_names_its_section_by_any_mid_that_an_offer_may_have() {
    for mid in ["0", "video-stream", "v.1", "v!", "sixteen-letters!"] {
        let text = format!(
            r#"{{"type":"offer","data":{{"sdp":"v=0","publications":[{{"mid":"{mid}","source":"camera"}}]}}}}"#
        );
        let Command::Offer { publications, .. } = command(&text) else { panic!("an offer: {text}") };
        assert_eq!(publications[0].mid, Mid::from(mid));
        assert_eq!(publications[0].mid.as_str(), mid);
    }
}

#[test]
fn every_wrong_message_is_refused_by_name() {
    use RefusalCode::*;
    let join = |data: &str| format!(r#"{{"type":"join","data":{{"version":1,{data}}}}}"#);
    let offer_of = |mid: &str| {
        format!(
            r#"{{"type":"offer","data":{{"sdp":"v=0","publications":[{{"mid":"{mid}","source":"camera"}}]}}}}"#
        )
    };
    let prefer = |tracks: &str| format!(r#"{{"type":"prefer","data":{{"tracks":[{tracks}]}}}}"#);
    let encodings = |encodings: &str| {
        let publication = format!(r#"{{"mid":"0","source":"camera","encodings":[{encodings}]}}"#);
        format!(r#"{{"type":"offer","data":{{"sdp":"v=0","publications":[{publication}]}}}}"#)
    };
    let long = "x".repeat(65);
    let cases: Vec<(String, RefusalCode, &str)> = vec![
        ("".into(), BadMessage, "not JSON"),
        ("{".into(), BadMessage, "not JSON"),
        ("{} {}".into(), BadMessage, "not JSON"),
        ("[1]".into(), BadMessage, "a list came"),
        ("{}".into(), BadMessage, "`type` is missing"),
        (r#"{"type":1}"#.into(), BadMessage, "`type` must be a string"),
        (r#"{"type":"ping","id":1.5}"#.into(), BadMessage, "`id` must be"),
        (r#"{"type":"ping","id":{}}"#.into(), BadMessage, "`id` must be"),
        (format!(r#"{{"type":"ping","id":"{long}"}}"#), BadMessage, "`id` must be"),
        (r#"{"type":"joined"}"#.into(), UnknownType, "\"joined\" came"),
        (r#"{"type":"join"}"#.into(), BadMessage, "`data.version` is missing"),
        (r#"{"type":"join","data":[]}"#.into(), BadMessage, "`data` must be an object"),
        (r#"{"type":"join","data":{"version":"1"}}"#.into(), BadMessage, "`data.version` must be an integer"),
        (r#"{"type":"join","data":{"version":2}}"#.into(), UnsupportedVersion, "speaks: 1"),
        (r#"{"type":"resume","data":{"version":0}}"#.into(), UnsupportedVersion, "version 0"),
        (join(r#""room":"a""#), BadMessage, "`data.name` is missing"),
        (join(r#""name":7"#), BadMessage, "`data.name` must be"),
        (join(r#""name":"  ""#), BadName, "`data.name` must be"),
        (join(r#""name":"a\u0007b""#), BadName, "without control characters"),
        (join(&format!(r#""name":"{long}""#)), BadName, "1–64"),
        (join(r#""name":"\ud800""#), BadMessage, "`data.name` must be"),
        (join(r#""name":"a","room":"a/b""#), BadRoom, "`data.room` must be"),
        (join(r#""name":"a","room":5"#), BadMessage, "`data.room` must be"),
        (join(r#""name":"a","autoSubscribe":1"#), BadMessage, "true or false, but 1 came"),
        (r#"{"type":"offer","data":{"publications":[]}}"#.into(), BadMessage, "`data.sdp` is missing"),
        (r#"{"type":"offer","data":{"sdp":"","publications":[]}}"#.into(), BadOffer, "0 bytes"),
        (r#"{"type":"offer","data":{"sdp":"v=0"}}"#.into(), BadMessage, "`data.publications` is missing"),
        (offer_of("a/b"), BadMessage, "`data.publications[0].mid` must be"),
        (offer_of("seventeen-letters"), BadMessage, "a token (RFC 8866 §9) of 1–16 characters"),
        (offer_of(""), BadMessage, "`data.publications[0].mid` must be"),
        (
            r#"{"type":"offer","data":{"sdp":"v=0","publications":[{"mid":"0","source":"tv"}]}}"#.into(),
            BadMessage,
            "`data.publications[0].source` must be",
        ),
        (
            format!(r#"{{"type":"offer","data":{{"sdp":"v=0","publications":[{}0]}}}}"#, "0,".repeat(160)),
            TooManyTracks,
            "161 sections",
        ),
        (
            format!(r#"{{"type":"mute","data":{{"trackId":"{P}","muted":true}}}}"#),
            BadMessage,
            "`data.trackId` must",
        ),
        (format!(r#"{{"type":"mute","data":{{"trackId":"{T}"}}}}"#), BadMessage, "`data.muted` is missing"),
        (format!(r#"{{"type":"pause","data":{{"trackId":"{T}"}}}}"#), BadMessage, "`data.paused` is missing"),
        (encodings(r#"{"rid":"a b"}"#), BadMessage, "`data.publications[0].encodings[0].rid` must be"),
        (encodings(r#"{"rid":"h","width":0}"#), BadMessage, "encodings[0].width` must be"),
        (encodings(r#"{"rid":"h","maxBitrate":5e9}"#), BadMessage, "encodings[0].maxBitrate` must be"),
        (encodings(&[r#"{"rid":"h"}"#; 9].join(",")), BadMessage, "encodings` must be a list of at most 8"),
        (r#"{"type":"prefer"}"#.into(), BadMessage, "`data.tracks` is missing"),
        (prefer(r#"{"height":1}"#), BadMessage, "`data.tracks[0].trackId` is missing"),
        (prefer(&format!(r#"{{"trackId":"{T}","height":65536}}"#)), BadMessage, "tracks[0].height` must be"),
        (prefer(&format!(r#"{{"trackId":"{T}","width":-1}}"#)), BadMessage, "tracks[0].width` must be"),
        (
            prefer(&format!(r#"{{"trackId":"{T}","frameRate":0}}"#)),
            BadMessage,
            "tracks[0].frameRate` must be",
        ),
        (
            prefer(&format!(r#"{{"trackId":"{T}","priority":"top"}}"#)),
            BadMessage,
            "priority` must be `very-low`",
        ),
        (prefer(&format!(r#"{{"trackId":"{T}","paused":1}}"#)), BadMessage, "true or false, but 1 came"),
        (prefer(&["0"; 513].join(",")), BadMessage, "`data.tracks` must be a list of at most 512"),
        (r#"{"type":"data","data":{"topic":"","payload":1}}"#.into(), BadMessage, "`data.topic` must be"),
        (r#"{"type":"data","data":{"topic":"x"}}"#.into(), BadMessage, "`data.payload` is missing"),
        (r#"{"type":"data","data":{"to":"all","topic":"x"}}"#.into(), BadMessage, "`data.to` must be"),
        (r#"{"type":"data","data":{"to":["all"],"topic":"x"}}"#.into(), BadMessage, "`data.to[0]` must be"),
        (
            format!(r#"{{"type":"data","data":{{"topic":"x","payload":"{}"}}}}"#, "x".repeat(16 * 1024)),
            PayloadTooLarge,
            "16386 bytes",
        ),
    ];
    for (text, code, words) in cases {
        let refusal = refusal(&text);
        let shown: String = text.chars().take(100).collect();
        assert_eq!(refusal.code, code, "{shown}: {refusal:?}");
        assert!(refusal.message.contains(words), "{shown}: {refusal:?}");
        assert!(refusal.action.ends_with('.') || refusal.action.contains('{'), "{shown}: {refusal:?}");
        assert!(refusal.message.len() < 400, "{shown}: quotes too much");
    }
}

#[test]
fn a_slip_of_the_finger_gets_a_suggestion() {
    assert!(refusal(r#"{"type":"subscribed"}"#).action.starts_with("Did you mean `subscribe`?"));
    assert!(!refusal(r#"{"type":"teleport"}"#).action.contains("Did you mean"));
}

#[test]
fn a_refusal_carries_the_id_of_its_request() {
    let (id, _) = parse(r#"{"id":"a\u0062","type":"mute"}"#).expect_err("no trackId");
    assert_eq!(id, request("\"ab\""));
}

#[test]
fn neither_truncation_nor_a_changed_byte_nor_depth_panics() {
    for text in valid_messages() {
        for end in (0..text.len()).filter(|&end| text.is_char_boundary(end)) {
            assert!(parse(&text[..end]).is_err(), "{text} cut at {end}");
        }
        for position in 0..text.len() {
            for byte in *b"\0\"\\{}[],:09-xe \n" {
                let mut bytes = text.clone().into_bytes();
                bytes[position] = byte;
                if let Ok(changed) = String::from_utf8(bytes) {
                    let _ = parse(&changed);
                }
            }
        }
    }
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(200_000);
        let _ = parse(&deep);
        let _ = parse(&format!(r#"{{"type":"data","data":{{"topic":"x","payload":{deep}"#));
    }
    let nested = format!("{}{}", "[".repeat(8000), "]".repeat(8000));
    let payload = nested.as_str().into();
    let text = format!(r#"{{"type":"data","data":{{"topic":"x","payload":{nested}}}}}"#);
    assert_eq!(command(&text), Command::Data { to: None, topic: "x".into(), payload, is_lossy: false });
}

fn track_info() -> TrackInfo {
    TrackInfo {
        track: TRACK,
        participant: PARTICIPANT,
        source: Source::ScreenAudio,
        muted: true,
        label: None,
    }
}

fn mesh_track() -> MeshTrack {
    MeshTrack { id: "5e1a".into(), source: Source::Camera, muted: true }
}

fn view() -> View {
    View {
        mode: Mode::P2p,
        migration: 3,
        moving_to: Some(Mode::Sfu),
        strategy: Strategy::Gradual,
        left: Some(Duration::from_millis(4900)),
        warm: true,
        reason: Reason::Size,
        connect: Duration::from_secs(5),
    }
}

fn joined() -> Joined {
    Joined {
        participant: PARTICIPANT,
        secret: "s".into(),
        room: "r".parse().expect("a room id"),
        profile: Profile::named("Anna"),
        slots: SlotCounts { audio: 4, video: 3 },
        slots_max: SlotCounts { audio: 32, video: 31 },
        resume_seconds: 30,
        grants: Grants { publish: Sources::of(&[Source::Camera]), moderate: true, ..Grants::OPEN },
        room_state: RoomState { metadata: "{}".into(), locked: true, waiting_room: false },
        participants: vec![ParticipantInfo {
            participant: PARTICIPANT,
            profile: Profile {
                identity: Some("ben@example.org".into()),
                name: "Ben \"B\"".into(),
                metadata: "{}".into(),
                attributes: [("seat".to_owned(), "3".to_owned())].into(),
            },
            role: Role::Listener,
            reconnecting: true,
            media_lost: true,
            tracks: vec![track_info()],
            mesh_tracks: vec![mesh_track()],
        }],
        topology: Some(view()),
    }
}

fn slot_map() -> SlotMap {
    SlotMap {
        revision: 3,
        slots: vec![
            SlotInfo { mid: Mid::from("0"), track: Some((TRACK, 4_000_000_000)) },
            SlotInfo { mid: Mid::from("1"), track: None },
        ],
        waiting: vec![(TRACK, WaitingReason::NoSlotYet), (TRACK, WaitingReason::SlotLimit)],
        waiting_count: 40,
    }
}

/// Every event there is, with the message it must become.
fn events() -> Vec<(Event, Value)> {
    let id = || request("7");
    let publications = || vec![PublicationInfo { mid: Mid::from("8"), info: track_info() }];
    let publications_json =
        json!([{"mid": "8", "trackId": T, "source": "screen-audio", "kind": "audio", "muted": true}]);
    let track_json =
        json!({"trackId": T, "participantId": P, "kind": "audio", "source": "screen-audio", "muted": true});
    let participant_json = json!({
        "participantId": P, "identity": "ben@example.org", "name": "Ben \"B\"", "metadata": "{}",
        "attributes": {"seat": "3"}, "role": "listener", "state": "reconnecting", "mediaLost": true, "tracks": [track_json],
        "meshTracks": [{"id": "5e1a", "source": "camera", "muted": true}],
    });
    let topology_json = json!({
        "mode": "p2p", "migration": 3, "movingTo": "sfu", "strategy": "gradual", "deadlineMs": 4900, "warm": true,
        "reason": "size", "connectMs": 5000,
    });
    let slot_map_json = json!({
        "revision": 3,
        "slots": [
            {"mid": "0", "trackId": T, "fromRtpTimestamp": 4_000_000_000_u32},
            {"mid": "1", "trackId": null, "fromRtpTimestamp": null},
        ],
        "waiting": [{"trackId": T, "reason": "no-slot-yet"}, {"trackId": T, "reason": "slot-limit"}],
        "waitingCount": 40,
    });
    let joined_json = json!({
        "version": 1, "participantId": P, "secret": "s", "room": "r", "name": "Anna", "role": "moderator",
        "iceServers": [{"urls": ["turn:x"], "username": "u", "credential": "c"}, {"urls": ["stun:y"]}],
        "selfSigned": true, "open": true,
        "slots": {"audio": 4, "video": 3}, "maxSlots": {"audio": 32, "video": 31}, "resumeSeconds": 30,
        "permissions": {
            "publish": ["camera"], "subscribe": true, "sendData": true, "updateOwnProfile": true, "moderate": true,
            "hidden": false,
        },
        "roomState": {"metadata": "{}", "locked": true, "waitingRoom": false},
        "participants": [participant_json], "topology": topology_json, "server": concat!("strait ", env!("CARGO_PKG_VERSION")),
    });
    let mut resumed_json = joined_json.clone();
    resumed_json["publications"] = publications_json.clone();
    resumed_json["slotMap"] = slot_map_json.clone();
    resumed_json["subscriptions"] = json!([{"trackId": T, "paused": true}]);
    resumed_json["unsubscribed"] = json!([T]);
    let resumed = Resumed {
        joined: joined(),
        publications: publications(),
        slot_map: slot_map(),
        subscriptions: vec![(TRACK, true)],
        unsubscribed: vec![TRACK],
        transports: Vec::new(),
    };
    let refusal = Refusal::new(RefusalCode::RoomFull, "full", "wait");
    let error_json = json!({"code": "room-full", "message": "full", "action": "wait", "fatal": false});
    let reply = |kind: &str, data: Value| json!({"type": kind, "id": 7, "data": data});
    let news = |kind: &str, data: Value| json!({"type": kind, "data": data});
    let mut events = vec![
        (Event::Joined(id(), Box::new(joined())), reply("joined", joined_json)),
        (Event::Resumed(id(), Box::new(resumed)), reply("resumed", resumed_json)),
        (
            Event::Answer {
                request: id(),
                sdp: "v=0\r\n".into(),
                publications: publications(),
                shown: Vec::new(),
            },
            reply("answer", json!({"sdp": "v=0\r\n", "publications": publications_json})),
        ),
        (Event::Done(id()), reply("ok", json!({}))),
        (Event::Left(None), news("ok", json!({}))),
        (Event::Refused(id(), refusal), reply("error", error_json)),
        (
            Event::ParticipantJoined(joined().participants.remove(0)),
            news("participant-joined", participant_json),
        ),
        (
            Event::ParticipantReconnecting(PARTICIPANT),
            news("participant-reconnecting", json!({"participantId": P})),
        ),
        (Event::ParticipantResumed(PARTICIPANT), news("participant-resumed", json!({"participantId": P}))),
        (Event::TrackAdded(track_info()), news("track-added", track_json)),
        (
            Event::TrackRemoved(TRACK, PARTICIPANT),
            news("track-removed", json!({"trackId": T, "participantId": P})),
        ),
        (
            Event::TrackMuted { track: TRACK, participant: PARTICIPANT, muted: false },
            news("track-muted", json!({"trackId": T, "participantId": P, "muted": false})),
        ),
        (Event::SlotMap(slot_map()), news("slot-map", slot_map_json)),
        (
            Event::MoreSlots(SlotCounts { audio: 8, video: 9 }),
            news("more-slots", json!({"audio": 8, "video": 9})),
        ),
        (
            Event::ParticipantMediaLost(PARTICIPANT),
            news("participant-media-lost", json!({"participantId": P})),
        ),
        (
            Event::ParticipantMediaBack(PARTICIPANT),
            news("participant-media-back", json!({"participantId": P})),
        ),
        (Event::Draining(true), news("draining", json!({"draining": true}))),
        (
            Event::Speakers(Speakers {
                dominant: Some(PARTICIPANT),
                speakers: vec![Speaker { track: TRACK, participant: PARTICIPANT, level: 31 }],
            }),
            news(
                "speakers",
                json!({"dominant": P, "speakers": [{"participantId": P, "trackId": T, "level": -31}]}),
            ),
        ),
        (
            Event::Layers {
                track: TRACK,
                layer: Some("high".into()),
                is_paused: false,
                spatial: None,
                temporal: Some(1),
                width: Some(1280),
                height: Some(720),
                reason: LayerReason::Wanted,
            },
            news(
                "layers",
                json!({"trackId": T, "layer": "high", "temporalLayer": 1, "width": 1280, "height": 720, "reason": "wanted"}),
            ),
        ),
        (
            Event::Layers {
                track: TRACK,
                layer: Some("2".into()),
                is_paused: false,
                spatial: Some(0),
                temporal: None,
                width: None,
                height: None,
                reason: LayerReason::Stopped,
            },
            news("layers", json!({"trackId": T, "layer": "2", "spatialLayer": 0, "reason": "stopped"})),
        ),
        (
            Event::Layers {
                track: TRACK,
                layer: None,
                is_paused: true,
                spatial: None,
                temporal: None,
                width: None,
                height: None,
                reason: LayerReason::Bandwidth,
            },
            news("layers", json!({"trackId": T, "layer": null, "paused": true, "reason": "bandwidth"})),
        ),
        (
            Event::Encodings { mid: "4".into(), track: TRACK, active: vec!["high".into(), "low".into()] },
            news("encodings", json!({"mid": "4", "trackId": T, "active": ["high", "low"]})),
        ),
        (
            Event::Bitrate { mid: "4".into(), track: TRACK, max_bitrate: 32_000 },
            news("bitrate", json!({"mid": "4", "trackId": T, "maxBitrate": 32000})),
        ),
        (
            Event::Quality(PARTICIPANT, Quality { level: Level::Medium, score: 71, mos: Some(Mos(385)) }),
            news("quality", json!({"participantId": P, "quality": "medium", "score": 71, "mos": 3.85})),
        ),
        (
            Event::Quality(PARTICIPANT, Quality { level: Level::Good, score: 100, mos: None }),
            news("quality", json!({"participantId": P, "quality": "good", "score": 100, "mos": null})),
        ),
        (
            Event::ParticipantUpdated(PARTICIPANT, Box::new(Profile::named("Ben")), Role::Speaker),
            news("participant-updated", json!({"participantId": P, "name": "Ben", "role": "speaker"})),
        ),
        (
            Event::PermissionsChanged {
                grants: Grants { publish: Sources::NONE, ..Grants::OPEN },
                ended: vec![(TRACK, Source::Camera)],
            },
            news(
                "permissions-changed",
                json!({
                    "permissions": {
                        "publish": [], "subscribe": true, "sendData": true, "updateOwnProfile": true,
                        "moderate": false, "hidden": false,
                    },
                    "role": "listener",
                    "ended": [{"trackId": T, "source": "camera"}],
                    "message": "You may not publish this any more, and it has ended: camera.",
                }),
            ),
        ),
        (
            Event::RoomUpdated(RoomState::default()),
            news("room-updated", json!({"locked": false, "waitingRoom": false})),
        ),
        (
            Event::Waiting(PARTICIPANT),
            news(
                "waiting",
                json!({"participantId": P, "message": "You wait until somebody who runs the call lets you in."}),
            ),
        ),
        (
            Event::Knocking(PARTICIPANT, Box::new(Profile::named("Ben"))),
            news("knocking", json!({"participantId": P, "name": "Ben"})),
        ),
        (Event::KnockingOver(PARTICIPANT), news("knocking-over", json!({"participantId": P}))),
        (Event::Topology(view()), news("topology", topology_json)),
        (
            Event::Topology(View { moving_to: None, left: None, ..view() }),
            news(
                "topology",
                json!({
                    "mode": "p2p", "migration": 3, "movingTo": null, "strategy": "gradual", "deadlineMs": null,
                    "warm": true, "reason": "size", "connectMs": 5000,
                }),
            ),
        ),
        (
            Event::MeshTracks(PARTICIPANT, vec![mesh_track()]),
            news(
                "mesh-tracks",
                json!({
                    "participantId": P, "tracks": [{"id": "5e1a", "source": "camera", "muted": true}],
                }),
            ),
        ),
        (
            Event::MeshSignal(PARTICIPANT, MeshSignal::Description(r#"{"type":"offer","sdp":"v=0"}"#.into())),
            news("mesh-signal", json!({"from": P, "description": {"type": "offer", "sdp": "v=0"}})),
        ),
        (
            Event::MeshSignal(PARTICIPANT, MeshSignal::Candidate("null".into())),
            news("mesh-signal", json!({"from": P, "candidate": null})),
        ),
        (
            Event::CannotReceive { track: TRACK, reason: "no AV1".into() },
            news("cannot-receive", json!({"trackId": T, "reason": "no AV1"})),
        ),
        (
            Event::SubscriptionPermission { track: TRACK, owner: PARTICIPANT, allowed: false },
            news("subscription-permission", json!({"trackId": T, "participantId": P, "allowed": false})),
        ),
        (
            Event::CannotPublish { mid: "4".into(), reason: "no VP8".into() },
            news("cannot-publish", json!({"mid": "4", "reason": "no VP8"})),
        ),
        (
            Event::Data {
                from: Some(PARTICIPANT),
                topic: "chat".into(),
                payload: r#"{"b":[1,"x"]}"#.into(),
                is_lossy: false,
            },
            news("data", json!({"from": P, "topic": "chat", "payload": {"b": [1, "x"]}})),
        ),
    ];
    for (reason, text) in [
        (LeaveReason::Left, "left"),
        (LeaveReason::TransportClosed, "transport-closed"),
        (LeaveReason::FingerprintMismatch, "fingerprint-mismatch"),
        (LeaveReason::HandshakeFailed, "handshake-failed"),
        (LeaveReason::MediaTimeout, "media-timeout"),
        (LeaveReason::ResumeTimeout, "resume-timeout"),
        (LeaveReason::Removed, "removed"),
        (LeaveReason::RoomClosed, "room-closed"),
        (LeaveReason::Shutdown, "shutdown"),
        (LeaveReason::Error, "error"),
        (LeaveReason::MadeWay, "made-way"),
        (LeaveReason::DuplicateIdentity, "duplicate-identity"),
        (LeaveReason::Banned, "banned"),
    ] {
        let json = json!({"participantId": P, "reason": text});
        events.push((Event::ParticipantLeft(PARTICIPANT, reason), news("participant-left", json)));
    }
    events
}

const CLOSINGS: [(ClosingReason, &str, bool); 12] = [
    (ClosingReason::Gone(LeaveReason::Shutdown), "shutdown", true),
    (ClosingReason::Gone(LeaveReason::RoomClosed), "room-closed", false),
    (ClosingReason::Gone(LeaveReason::Removed), "removed", false),
    (ClosingReason::Gone(LeaveReason::TransportClosed), "transport-closed", true),
    (ClosingReason::Gone(LeaveReason::FingerprintMismatch), "fingerprint-mismatch", false),
    (ClosingReason::Gone(LeaveReason::HandshakeFailed), "handshake-failed", true),
    (ClosingReason::Gone(LeaveReason::MediaTimeout), "media-timeout", true),
    (ClosingReason::Gone(LeaveReason::ResumeTimeout), "resume-timeout", true),
    (ClosingReason::Gone(LeaveReason::MadeWay), "made-way", true),
    (ClosingReason::Gone(LeaveReason::DuplicateIdentity), "duplicate-identity", false),
    (ClosingReason::Gone(LeaveReason::Banned), "banned", false),
    (ClosingReason::Replaced, "replaced", false),
];

fn encoded(event: &Event) -> Value {
    let full =
        IceServer { urls: vec!["turn:x".into()], username: Some("u".into()), credential: Some("c".into()) };
    let bare = IceServer { urls: vec!["stun:y".into()], username: None, credential: None };
    let text =
        encode_event(event, ServerFacts { ice_servers: &[full, bare], is_self_signed: true, is_open: true });
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_event_becomes_its_message() {
    for (event, message) in events() {
        assert_eq!(encoded(&event), message);
    }
    for (reason, text, rejoin) in CLOSINGS {
        let message = encoded(&Event::Closing(reason));
        assert_eq!((&message["type"], &message["data"]["reason"]), (&json!("closing"), &json!(text)));
        assert_eq!(message["data"]["rejoin"], json!(rejoin));
    }
    let broken = encoded(&Event::Closing(ClosingReason::Gone(LeaveReason::Error)));
    assert_eq!((&broken["data"]["code"], &broken["data"]["fatal"]), (&json!("internal"), &json!(true)));
    assert_eq!(encode_pong(request("\"a\"").as_ref()), r#"{"type":"pong","id":"a","data":{}}"#);
}

#[test]
fn a_payload_reaches_the_others_digit_for_digit() {
    let payload = r#"{"z": 1.50, "a": 123456789012345678901234567890}"#;
    let event =
        Event::Data { from: Some(PARTICIPANT), topic: "x".into(), payload: payload.into(), is_lossy: false };
    assert!(encode_event(&event, ServerFacts::default()).contains(payload));
}

#[test]
fn the_shells_refusals_are_worded_and_fatal_where_documented() {
    for (refusal, fatal) in [
        (refusals::binary_message(), false),
        (refusals::message_too_large(262_144), true),
        (refusals::rate_limited(50), false),
    ] {
        assert_eq!(is_fatal(refusal.code), fatal);
        let message: Value =
            serde_json::from_str(&encode_refusal(None, &refusal, fatal)).expect("valid JSON");
        assert_eq!(message["data"]["code"], json!(code_text(refusal.code)));
        assert!(refusal.action.ends_with('.'));
    }
}
