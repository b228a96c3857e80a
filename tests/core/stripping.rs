//! A trace without media and keys: what it holds, what it does not, and what can be done with it.

use std::time::Instant;

use strait::core::command::Command;
use strait::core::event::Event;
use strait::core::input::DtlsEvent;
use strait::core::outbox::RoomOutput;
use strait::core::record::{Record, RecordedInput};
use strait::trace::Trace;
use strait::trace::reader::records;
use strait::trace::strip::strip;

use crate::traces::{eventful, file, recorded, strait, traces};

/// A call with all that can happen in one, recorded, with a message from one to the other.
fn call() -> Vec<u8> {
    let mut world = recorded("*");
    eventful(&mut world, "standup");
    let payload = "\"what nobody else may read\"".into();
    world.command(0, Command::Data { to: None, topic: "chat-topic".to_owned(), payload, is_lossy: false });
    traces(world).into_values().next().expect("one trace")
}

/// All that the blocks of a stripped trace hold, decompressed.
fn stripped(trace: &[u8], is_anonymous: bool) -> Vec<u8> {
    let mut trace = Trace::open(trace, None).expect("a trace");
    let mut out = Vec::new();
    strip(&mut trace, Instant::now(), &mut out, is_anonymous).expect("it can be stripped");
    let mut stripped = Trace::open(out.as_slice(), None).expect("a trace");
    let mut content = serde_json::to_vec(stripped.header()).expect("a header");
    while let Some((_, block)) = stripped.next_block() {
        content.extend(block);
    }
    content
}

/// All that a trace holds and nobody else may have, with what it is.
fn secrets(trace: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut secrets: Vec<(&str, Vec<u8>)> = vec![
        ("sound", vec![0xfc; 8]),
        ("pictures", vec![7; 8]),
        ("a message", b"nobody else".to_vec()),
        ("a message's topic", b"chat-topic".to_vec()),
    ];
    let mut sdp = |text: &str| {
        for what in ["a=ice-pwd:", "a=ice-ufrag:", "a=fingerprint:sha-256 "] {
            secrets.extend(text.lines().filter_map(|line| {
                let value = line.trim().strip_prefix(what)?;
                Some(("of a session description", value.as_bytes().to_vec()))
            }));
        }
    };
    let mut trace = Trace::open(trace, None).expect("a trace");
    let mut blocks = Vec::new();
    while let Some((_, block)) = trace.next_block() {
        blocks.push(block);
    }
    let all = || blocks.iter().flat_map(|block| records(block)).flatten();
    for record in all() {
        match record {
            Record::Step { input: RecordedInput::Command(_, _, command), .. } => {
                if let Command::Offer { sdp: offer, .. } = &*command {
                    sdp(offer);
                }
            }
            Record::Output(output) => {
                if let RoomOutput::Event(_, Event::Answer { sdp: answer, .. }) = &*output {
                    sdp(answer);
                }
            }
            _ => {}
        }
    }
    secrets.push(("the certificate", trace.header().room.certificate[..16].to_vec()));
    for record in all() {
        match record {
            Record::Step { input, .. } => match input {
                RecordedInput::Join(_, admission, _) => {
                    secrets.push(("entropy", admission.entropy[..12].to_vec()));
                }
                RecordedInput::Dtls(_, event) => match &*event {
                    DtlsEvent::KeyingMaterial { material, .. } => {
                        secrets.extend(material.chunks_exact(12).map(|key| ("keys", key.to_vec())));
                    }
                    DtlsEvent::Packet(bytes) | DtlsEvent::PeerCertificate(bytes) => {
                        secrets.push(("a handshake", bytes[bytes.len() / 2..][..12].to_vec()));
                    }
                    _ => {}
                },
                // Behind the headers, which may stay.
                RecordedInput::Datagram { bytes, .. } => {
                    let end = bytes.0.len();
                    secrets.push(("a datagram", bytes.0[end.saturating_sub(12)..].to_vec()));
                }
                _ => {}
            },
            Record::Output(output) => {
                if let RoomOutput::Event(_, Event::Joined(_, joined)) = &*output {
                    secrets.push(("what resumes somebody", joined.secret.clone().into_bytes()));
                }
            }
            _ => {}
        }
    }
    secrets
}

fn holds(content: &[u8], wanted: &[u8]) -> bool {
    content.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn a_stripped_trace_holds_no_media_no_keys_and_no_passwords() {
    let trace = call();
    let secrets = secrets(&trace);
    let content = stripped(&trace, false);
    for what in ["sound", "keys", "entropy", "of a session description", "a handshake", "a datagram"] {
        assert!(secrets.iter().any(|(kind, _)| *kind == what), "{what} is looked for");
    }
    for (what, secret) in &secrets {
        assert!(secret.len() >= 8 || *what == "of a session description", "{what} is too short to look for");
        assert!(secret.len() < 4 || !holds(&content, secret), "it holds {what}");
    }
    assert!(holds(&content, b"Anna") && holds(&content, b"standup"), "names stay");
    assert!(content.len() < trace.len() * 2, "{} bytes of {}", content.len(), trace.len());
}

#[test]
fn an_anonymous_trace_holds_no_names_and_no_addresses() {
    let trace = call();
    let content = stripped(&trace, true);
    for name in ["Anna", "Ben", "Cleo", "standup"] {
        assert!(!holds(&content, name.as_bytes()), "{name}");
    }
    let named = stripped(&trace, false);
    // postcard writes an address as its four bytes.
    assert!(holds(&named, &[10, 0, 0, 3]), "Cleo's address");
    assert!(holds(&content, b"Person 3"));
}

#[test]
fn a_stripped_trace_says_that_it_cannot_be_replayed_and_can_be_stripped_again() {
    let trace = file("whole.trace", &call());
    let out = trace.with_extension("stripped");
    let anonymous = trace.with_extension("anonymous");
    let [trace, out, anonymous] = [&trace, &out, &anonymous].map(|path| path.to_str().expect("UTF-8"));
    let done = strait(&["trace", "strip", trace, out]);
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("no media, no keys"), "{said}{done:?}");
    let done = strait(&["trace", "strip", trace, out]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(2) && said.contains("name a file that does not"), "{said}");
    let done = strait(&["replay", out, "--pcap", "/nowhere/at.all"]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(2) && said.contains("stripped of media and keys"), "{said}");
    assert!(said.contains("strait explain"), "it says what can be done: {said}");
    let done = strait(&["trace", "strip", out, anonymous, "--anonymous"]);
    assert!(done.status.success(), "{done:?}");
    for path in [trace, out, anonymous] {
        let _ = std::fs::remove_file(path);
    }
}
