//! What people's programs write as text: signalling messages, offers, fragments.

use std::fmt::Write as _;
use std::time::Instant;

use base64ct::{Base64, Encoding};
use serde_json::{Map, Value, json};
use strait::core::command::{Command, MeshCommand, Moderation, Preference, Proof, Source};
use strait::core::data::DataPayload;
use strait::core::mesh::MeshSignal;
use strait::core::moderation::{Ban, Target};
use strait::core::negotiation::answer::Naming;
use strait::core::negotiation::offer::Offer;
use strait::core::path::{LocalCandidate, TransportProtocol};
use strait::core::profile::ProfileChange;
use strait::core::rng::Rng;
use strait::core::room_options::RoomChange;
use strait::core::session::Session;
use strait::signal::native::{ClientMessage, encode_refusal, is_fatal, parse};
use strait::signal::whip;

/// `signalling`: a message that was understood, written again, is understood alike; a refusal is JSON and says what to do.
pub fn signalling(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse(text) {
        Ok(message) => assert_eq!(parse(&write(&message)), Ok(message)),
        Err((request, refusal)) => {
            assert!(!refusal.message.is_empty() && !refusal.action.is_empty());
            assert!(refusal.message.len() < 2000 && refusal.action.len() < 2000, "it repeats too much");
            let text = encode_refusal(request.as_ref(), &refusal, is_fatal(refusal.code));
            let value: Value = serde_json::from_str(&text).expect("what we write is JSON");
            assert_eq!(value["type"], "error");
        }
    }
}

/// A message as a client would send it.
fn write(message: &ClientMessage) -> String {
    let (kind, request, data) = match message {
        ClientMessage::Join { request, room, name, auto_subscribe, token, can_mesh } => {
            let mut data = json!({
                "version": 1, "name": name, "autoSubscribe": auto_subscribe, "token": token, "mesh": can_mesh,
            });
            if let Some(room) = room {
                data["room"] = json!(room.as_str());
            }
            ("join", request, data)
        }
        ClientMessage::Resume { request, resume } => {
            let participant = resume.participant.to_string();
            let Proof::Secret(secret) = &resume.proof else { panic!("this protocol has secrets alone") };
            let data = json!({"version": 1, "room": resume.room.as_str(), "participantId": participant, "secret": secret});
            ("resume", request, data)
        }
        ClientMessage::Ping { request } => ("ping", request, json!({})),
        ClientMessage::Command { request, command } => {
            let (kind, data) = write_command(command);
            (kind, request, data)
        }
    };
    let mut out = format!("{{\"type\":\"{kind}\"");
    if let Some(request) = request {
        let _ = write!(out, ",\"id\":{}", request.0);
    }
    // A payload is any JSON, kept as it came: numbers keep their digits.
    match message {
        ClientMessage::Command {
            command: Command::Data { payload: DataPayload::Json(payload), .. }, ..
        } => {
            let data = data.to_string();
            let _ = write!(
                out,
                ",\"data\":{},\"payload\":{payload}}}}}",
                data.strip_suffix('}').expect("an object")
            );
        }
        // So is what one client says to another.
        ClientMessage::Command { command: Command::Mesh(MeshCommand::Signal { to, signal }), .. } => {
            let (field, text) = match signal {
                MeshSignal::Description(text) => ("description", text),
                MeshSignal::Candidate(text) => ("candidate", text),
            };
            let _ = write!(out, ",\"data\":{{\"to\":\"{to}\",\"{field}\":{text}}}}}");
        }
        _ => {
            let _ = write!(out, ",\"data\":{data}}}");
        }
    }
    out
}

fn write_command(command: &Command) -> (&'static str, Value) {
    match command {
        Command::Offer { sdp, publications } => {
            let publications: Vec<Value> = publications
                .iter()
                .map(|one| {
                    let source = match one.source {
                        Source::Microphone => "microphone",
                        Source::Camera => "camera",
                        Source::Screen => "screen",
                        Source::ScreenAudio => "screen-audio",
                    };
                    let encodings = one.encodings.iter().map(|one| {
                        json!({"rid": one.rid, "width": one.width, "height": one.height, "maxBitrate": one.max_bitrate})
                    });
                    let encodings: Vec<Value> = encodings.collect();
                    json!({"mid": &*one.mid, "source": source, "muted": one.muted, "encodings": encodings})
                })
                .collect();
            ("offer", json!({"sdp": sdp, "publications": publications}))
        }
        Command::ReserveTrack(_)
        | Command::ReadChannels
        | Command::ToChannel { .. }
        | Command::OpenTransport { .. }
        | Command::ConnectTransport { .. }
        | Command::RestartTransport { .. }
        | Command::CloseTransport { .. }
        | Command::Produce { .. }
        | Command::CloseProducer { .. }
        | Command::Consume { .. }
        | Command::SetAudience(_)
        | Command::LimitBandwidth(_)
        | Command::DataTracks(_) => panic!("this protocol has no such command"),
        Command::Mute { track, muted } => ("mute", json!({"trackId": track.to_string(), "muted": muted})),
        Command::Subscribe(track) => ("subscribe", json!({"trackId": track.to_string()})),
        Command::Unsubscribe(track) => ("unsubscribe", json!({"trackId": track.to_string()})),
        Command::Pause { track, paused } => {
            ("pause", json!({"trackId": track.to_string(), "paused": paused}))
        }
        Command::Pin { track, pinned } => ("pin", json!({"trackId": track.to_string(), "pinned": pinned})),
        Command::Data { to, topic, payload, is_lossy } => {
            let mut data = Map::new();
            if let Some(to) = to {
                data.insert("to".into(), to.iter().map(ToString::to_string).collect());
            }
            data.insert("topic".into(), json!(topic));
            data.insert("lossy".into(), json!(is_lossy));
            if let DataPayload::Bytes(bytes) = payload {
                data.insert("bytes".into(), json!(Base64::encode_string(bytes)));
            }
            ("data", Value::Object(data))
        }
        Command::Prefer(preferences) => {
            let tracks = preferences.iter().map(|Preference { track, wish }| {
                json!({
                    "trackId": track.to_string(), "width": wish.width, "height": wish.height, "paused": wish.paused,
                })
            });
            ("prefer", json!({"tracks": tracks.collect::<Vec<Value>>()}))
        }
        Command::UpdateProfile(ProfileChange { name, metadata, attributes }) => {
            ("update-profile", json!({"name": name, "metadata": metadata, "attributes": attributes}))
        }
        Command::Report { about, reason, text } => {
            ("report", json!({"participantId": about.to_string(), "reason": reason, "text": text}))
        }
        Command::Moderate(moderation) => moderation_text(moderation),
        Command::Mesh(command) => mesh_text(command),
        Command::Leave => ("leave", json!({})),
    }
}

fn mesh_text(command: &MeshCommand) -> (&'static str, Value) {
    match command {
        MeshCommand::Tracks(tracks) => {
            let tracks = tracks
                .iter()
                .map(|track| json!({"id": track.id, "source": track.source.as_str(), "muted": track.muted}));
            ("mesh-tracks", json!({"tracks": tracks.collect::<Vec<Value>>()}))
        }
        MeshCommand::Signal { .. } => ("mesh-signal", json!({})),
        MeshCommand::Migrated(number) => ("migrated", json!({"migration": number})),
        MeshCommand::MigrationFailed { migration, reason } => {
            ("migration-failed", json!({"migration": migration, "reason": reason}))
        }
        MeshCommand::Failed { with, reason } => {
            ("mesh-failed", json!({"with": with.to_string(), "reason": reason}))
        }
        MeshCommand::Load(percent) => ("mesh-load", json!({"percent": percent})),
    }
}

fn moderation_text(moderation: &Moderation) -> (&'static str, Value) {
    let whom = |target: &Target| match target {
        Target::Id(id) => id.to_string(),
        Target::Identity(_) => unreachable!("clients name participants by their ids"),
    };
    match moderation {
        Moderation::Mute(track) => ("mute-track", json!({"trackId": track.to_string()})),
        Moderation::Stop(track) => ("stop-track", json!({"trackId": track.to_string()})),
        Moderation::Remove(target) => ("remove-participant", json!({"participantId": whom(target)})),
        Moderation::Ban(Ban { target, with_address, lasts }) => {
            let seconds = lasts.map(|lasts| lasts.as_secs());
            (
                "ban-participant",
                json!({"participantId": whom(target), "address": with_address, "seconds": seconds}),
            )
        }
        Moderation::LiftBans(_) => ("lift-bans", json!({})),
        Moderation::SetPermissions(target, change) => {
            let publish =
                change.publish.map(|sources| sources.iter().map(Source::as_str).collect::<Vec<_>>());
            let data = json!({
                "participantId": whom(target), "publish": publish, "subscribe": change.subscribe,
                "sendData": change.send_data, "updateOwnProfile": change.update_own_profile,
                "moderate": change.moderate,
            });
            ("set-permissions", data)
        }
        Moderation::Configure(RoomChange { locked: Some(locked), .. }) => {
            ("lock-room", json!({"locked": locked}))
        }
        Moderation::Configure(change) => ("set-waiting-room", json!({"enabled": change.waiting_room})),
        Moderation::Admit(id) => ("admit", json!({"participantId": id.to_string()})),
        Moderation::TurnAway(id) => ("turn-away", json!({"participantId": id.to_string()})),
        Moderation::End => ("end-call", json!({})),
        Moderation::MuteSource(target, source) => {
            ("mute-track", json!({"participantId": whom(target), "source": source.as_str()}))
        }
        Moderation::Subscribe { .. } | Moderation::Say { .. } | Moderation::ResetTopology(_) => {
            panic!("this protocol has no such message")
        }
        Moderation::UpdateProfile(..) => unreachable!("clients change their own profiles alone"),
    }
}

/// `sdp_offer`: an answer has a section for each of the offer's, in its order and with nothing that was not offered; another
/// implementation reads it; the same offer again is answered alike and restarts nothing.
pub fn sdp_offer(data: &[u8]) {
    fragments(data);
    let Ok(text) = std::str::from_utf8(data) else { return };
    for side in [whip::Side::Publish, whip::Side::View] {
        if let Ok(offer) = whip::WhipOffer::read(side, data) {
            let again = whip::WhipOffer::read(side, offer.sdp.as_bytes());
            assert_eq!(again.as_ref(), Ok(&offer), "an offer that was read can be read again");
            let _ = offer.restarted("abcd", "0123456789012345678901");
        }
    }
    match Offer::read(text) {
        Ok(offer) => answer(text, &offer),
        Err(refused) => {
            assert!(!refused.message.is_empty() && refused.message.len() < 2000, "{refused}");
            assert!(!refused.message.contains(['\r', '\n']), "{refused}");
        }
    }
}

fn answer(text: &str, offer: &Offer<'_>) {
    let now = Instant::now();
    let mut rng = Rng::new([7; 32]);
    let mut session = Session::new(now, "aaaa", &[0x30; 64], &mut rng);
    let address = ([192, 0, 2, 7], 7443).into();
    let candidates = [LocalCandidate { protocol: TransportProtocol::Udp, address }];
    let naming = Naming::Slots(Vec::new());
    let agreed = session.accept_offer(now, offer, &mut rng).expect("a first offer that was read is answered");
    let first = session.answer(now, offer, &agreed.negotiated, &candidates, None, &naming);
    let offered: Vec<&str> = media_lines(text).collect();
    let answered: Vec<&str> = media_lines(&first).collect();
    assert_eq!(answered.len(), offered.len(), "{text}\nanswered by\n{first}");
    for (one, other) in answered.iter().zip(&offered) {
        let media =
            |line: &str| line.get(2..).and_then(|rest| rest.split_whitespace().next().map(str::to_owned));
        assert_eq!(media(one), media(other), "sections keep their order");
        assert!(one.split(' ').count() > 3, "{one} has no format");
        if other.starts_with("m=audio ") || other.starts_with("m=video ") {
            let offered: Vec<&str> = other.split_whitespace().skip(3).collect();
            for pt in one.split_whitespace().skip(3) {
                let known =
                    offered.iter().any(|offered| *offered == pt || offered.parse() == pt.parse::<u8>());
                assert!(known || pt == "0", "{one} answers {other}");
            }
        }
    }
    for name in ["a=rtcp-fb:", "a=extmap:", "a=rid:", "a=simulcast:", "a=rtcp-mux", "a=rtcp-rsize"] {
        if first.contains(&format!("\r\n{name}")) {
            assert!(text.contains(name), "{name} was not offered");
        }
    }
    assert!(first.contains(session.ufrag()));
    let again = session.accept_offer(now, offer, &mut rng).expect("the same offer is answered again");
    assert!(!again.restarted, "the same offer restarts nothing");
    let second = session.answer(now, offer, &again.negotiated, &candidates, None, &naming);
    assert_eq!(without_origin(&second), without_origin(&first));
    assert_eq!(again.negotiated, agreed.negotiated);
    // What nobody is shown is sent by nobody.
    let silent =
        session.answer(now, offer, &again.negotiated, &candidates, None, &Naming::Tracks(Vec::new()));
    assert_eq!(media_lines(&silent).count(), media_lines(&first).count());
    assert!(!silent.contains("a=msid:") && !silent.contains("a=sendonly") && !silent.contains("a=sendrecv"));
}

fn media_lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').map(|line| line.trim_end_matches('\r')).filter(|line| line.starts_with("m="))
}

/// Everything but the line that counts versions.
fn without_origin(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with("o=")).collect()
}

fn fragments(data: &[u8]) {
    if let Ok(fragment) = whip::Fragment::read(data) {
        assert!(fragment.credentials.is_some() || fragment.candidates > 0 || !data.is_empty());
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let fragment = whip::answer_fragment(text);
        assert_eq!(whip::answer_fragment(&fragment), fragment, "a fragment's fragment is itself");
    }
}
