//! `docs/protocol.md` against the code: what one has, the other has.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::parse::REQUEST_TYPES;
use super::super::{CODES, code_from_text, code_text, encode_token, is_fatal, parse};
use super::{CLOSINGS, encoded, events};
use crate::core::event::Event;

const PROTOCOL: &str = include_str!("../../../../docs/protocol.md");

/// The words of the protocol's page, as a client's author would search for them.
fn documented_words() -> BTreeSet<&'static str> {
    PROTOCOL.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').collect()
}

/// The rows of all tables whose first cell is one backticked word, as (word, rest of the row).
fn documented_rows(heading: &str) -> Vec<(&'static str, &'static str)> {
    let start = PROTOCOL.find(heading).unwrap_or_else(|| panic!("no {heading}"));
    let section = &PROTOCOL[start + heading.len()..];
    // Up to the next heading, of whatever level: tables of another kind may follow.
    let section = &section[..section.find("\n##").unwrap_or(section.len())];
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    // The head of a table of messages is itself `type`.
    rows.filter(|&(word, _)| word != "type").collect()
}

fn assert_documented(value: &Value, words: &BTreeSet<&str>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                assert!(words.contains(key.as_str()), "field {key} is not in docs/protocol.md");
                // What is relayed is the clients' own, and so are the keys of attributes.
                if !["payload", "attributes", "description", "candidate"].contains(&key.as_str()) {
                    assert_documented(value, words);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| assert_documented(item, words)),
        _ => {}
    }
}

#[test]
fn all_that_the_encoder_can_make_is_documented() {
    let words = documented_words();
    let renewed: Value = serde_json::from_str(&encode_token("a.b.c", 7)).expect("JSON");
    assert_eq!(renewed, json!({"type": "token", "data": {"token": "a.b.c", "expiresAt": 7}}));
    assert_documented(&renewed, &words);
    let mut types: BTreeSet<String> = ["pong".to_owned(), "token".to_owned()].into();
    let closings = CLOSINGS.iter().map(|&(reason, ..)| Event::Closing(reason));
    for event in events().into_iter().map(|(event, _)| event).chain(closings) {
        let message = encoded(&event);
        assert_documented(&message, &words);
        // Those two give their reasons in words.
        let is_in_words = message["type"] == "cannot-receive" || message["type"] == "cannot-publish";
        if let Some(reason) = message["data"]["reason"].as_str().filter(|_| !is_in_words) {
            assert!(words.contains(reason), "reason {reason} is not in docs/protocol.md");
        }
        types.insert(message["type"].as_str().expect("a type").to_owned());
    }
    let documented: BTreeSet<String> =
        documented_rows("## Replies and news").iter().map(|&(word, _)| word.to_owned()).collect();
    assert_eq!(types, documented);
}

#[test]
fn requests_and_error_codes_are_those_of_the_document() {
    let requests: Vec<&str> = documented_rows("## Requests").iter().map(|&(word, _)| word).collect();
    assert_eq!(requests, REQUEST_TYPES);
    let documented: Vec<(&str, bool)> = documented_rows("## Errors")
        .iter()
        .map(|&(code, rest)| (code, rest.trim_end().ends_with("| yes |")))
        .collect();
    let ours: Vec<(&str, bool)> = CODES.iter().map(|&code| (code_text(code), is_fatal(code))).collect();
    assert_eq!(ours, documented);
    for code in CODES {
        assert_eq!(code_from_text(code_text(code)), Some(code));
    }
    assert_eq!(code_from_text("nonsense"), None);
}

#[test]
fn the_transcript_of_the_document_parses() {
    let start = PROTOCOL.find("## A join, as it goes").expect("a transcript");
    let block = PROTOCOL[start..].split("```").nth(1).expect("a code block");
    let messages: Vec<String> =
        block.split_inclusive('\n').fold(Vec::<String>::new(), |mut messages, line| {
            match messages.last_mut() {
                Some(message) if !line.starts_with(['→', '←']) => message.push_str(line),
                _ if !line.trim().is_empty() => messages.push(line.to_owned()),
                _ => {}
            }
            messages
        });
    assert!(messages.len() >= 5, "{messages:?}");
    let words = documented_words();
    for message in messages {
        // `,…` stands for more of the same.
        let message = message.replace(",…", "");
        match message.strip_prefix('→') {
            Some(sent) => assert!(parse(sent).is_ok(), "{sent}: {:?}", parse(sent)),
            None => {
                let received = message.trim_start_matches('←');
                let value: Value = serde_json::from_str(received).expect(received);
                assert_documented(&value, &words);
            }
        }
    }
}
