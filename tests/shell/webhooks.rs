//! Webhooks: what receivers are told of a call, and what becomes of events that a receiver does not take.

use std::time::{Duration, Instant};

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use serde_json::{Value, json};
use strait::access::sign;
use strait::net::{ShellConfig, WebhookConfig};

use crate::support::back_end::key;
use crate::support::hooks::{Hook, Hooks};
use crate::support::people::{Endpoint, Person};
use crate::support::{PATIENCE, Server, config};

/// What tells these receivers.
pub fn telling(urls: &[String]) -> WebhookConfig {
    WebhookConfig {
        urls: urls.iter().map(|url| url.parse().expect("an address")).collect(),
        key: key(),
        ca_file: None,
        timeout: Duration::from_secs(10),
        retry_for: Duration::from_secs(60),
        queue_max: 1000,
    }
}

/// A server whose rooms end with their last participant.
pub fn server(webhooks: WebhookConfig) -> Server {
    let config = ShellConfig { webhooks: Some(webhooks), ..config() };
    Server::start_with(config, |settings| settings.empty_timeout = Duration::ZERO)
}

/// Waits until a figure of the server's metrics is that.
fn until_metric(server: &Server, series: &str, wanted: &str) {
    let started = Instant::now();
    let line = format!("{series} {wanted}");
    while !server.get("/metrics").text().lines().any(|found| found == line) {
        assert!(started.elapsed() < PATIENCE, "never: {line}");
    }
}

/// The token is signed by the key, is valid for five minutes, and is about this body.
fn assert_signed(hook: &Hook) {
    let token = hook.field("authorization");
    assert!(!token.contains(' '), "no scheme stands before the token");
    let claims = token.split('.').nth(1).expect("claims");
    let claims = Base64UrlUnpadded::decode_vec(claims).expect("base 64");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    assert_eq!(sign(&claims, &key()), token);
    assert_eq!(
        (&claims["iss"], claims["exp"].as_u64()),
        (&json!("team"), claims["nbf"].as_u64().map(|from| from + 300))
    );
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, hook.body.as_bytes());
    assert_eq!(claims["sha256"], Base64::encode_string(digest.as_ref()));
}

#[test]
fn receivers_are_told_of_rooms_people_and_tracks_in_the_order_in_which_they_come_and_go() {
    let (first, second) = (Hooks::answering(&[]), Hooks::answering(&[]));
    let server = server(telling(&[first.url(), second.url()]));
    let mut anna = Person::join(&server, Some("standup"), "Anna");
    let _microphone = Endpoint::connect(&mut anna, true);
    let mut ben = Person::join(&server, Some("standup"), "Ben");
    anna.ask("leave", json!({}));
    ben.ask("leave", json!({}));
    let names = [
        "room_started",
        "participant_joined",
        "track_published",
        "participant_joined",
        "track_unpublished",
        "participant_left",
        "participant_left",
        "room_finished",
    ];
    for receiver in [&first, &second] {
        let told: Vec<Hook> = names.iter().map(|_| receiver.next()).collect();
        assert_eq!(told.iter().map(Hook::event).collect::<Vec<_>>(), names);
        for hook in &told {
            assert_signed(hook);
            assert_eq!(hook.field("content-type"), "application/webhook+json");
            assert_eq!(hook.json()["room"]["sid"], told[0].json()["room"]["sid"]);
        }
        let track = told[2].json();
        assert_eq!(
            (&track["participant"]["name"], &track["track"]["source"], &track["track"]["type"]),
            (&json!("Anna"), &json!("MICROPHONE"), &json!("AUDIO"))
        );
        assert_eq!(told[3].json()["room"]["numParticipants"], 2);
        assert_eq!(told[5].json()["participant"]["disconnectReason"], "CLIENT_INITIATED");
        let ids: std::collections::BTreeSet<String> =
            told.iter().map(|hook| hook.json()["id"].to_string()).collect();
        assert_eq!(ids.len(), names.len(), "every event has an id of its own");
    }
}

#[test]
fn what_a_receiver_does_not_take_comes_again_before_what_came_later() {
    let hooks = Hooks::answering(&["500 Internal Server Error\r\n", "503 Service Unavailable\r\n"]);
    let server = server(telling(&[hooks.url()]));
    let _anna = Person::join(&server, Some("standup"), "Anna");
    let told: Vec<Hook> = (0..4).map(|_| hooks.next()).collect();
    let names: Vec<String> = told.iter().map(Hook::event).collect();
    assert_eq!(names, ["room_started", "room_started", "room_started", "participant_joined"]);
    assert_eq!(told[0].body, told[2].body, "it is the same event, by which a receiver can know it");
    until_metric(&server, "strait_webhook_retries_total", "2");
    until_metric(&server, "strait_webhooks_total{result=\"delivered\"}", "2");
}

#[test]
fn a_receiver_that_hangs_or_is_not_there_harms_nobody_and_is_given_up_in_the_end() {
    let (hanging, well) = (Hooks::hanging(), Hooks::answering(&[]));
    // Nobody listens on a port that was just given back.
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port");
    let urls = [hanging.url(), format!("http://{nobody}/"), well.url()];
    let patience = Duration::from_millis(200);
    let mut server = server(WebhookConfig { timeout: patience, retry_for: patience, ..telling(&urls) });
    for name in ["Anna", "Ben", "Cleo", "Dora"] {
        Person::join(&server, Some("standup"), name).ask("leave", json!({}));
    }
    // Four rooms of one person each, of which the receiver that is well hears as if there were no others.
    let told: Vec<String> = (0..16).map(|_| well.next().event()).collect();
    assert_eq!(told[12..], ["room_started", "participant_joined", "participant_left", "room_finished"]);
    let started = Instant::now();
    let given_up = |server: &Server| {
        let text = server.get("/metrics").text();
        let line = text.lines().find(|line| line.starts_with("strait_webhooks_total{result=\"given_up\"}"));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).expect("a number")
    };
    while given_up(&server) < 2.0 {
        assert!(started.elapsed() < PATIENCE, "nothing is given up");
    }
    server.stop.stop();
    server.join();
}

#[test]
fn what_does_not_fit_into_the_queue_of_a_slow_receiver_is_dropped_and_counted() {
    let hanging = Hooks::hanging();
    let server = server(WebhookConfig { queue_max: 2, ..telling(&[hanging.url()]) });
    Person::join(&server, Some("standup"), "Anna").ask("leave", json!({}));
    until_metric(&server, "strait_webhooks_queued", "2.0");
    until_metric(&server, "strait_webhooks_total{result=\"dropped\"}", "2");
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Hooks::answering(&[]);
    let redirect = format!("307 Temporary Redirect\r\nLocation: {}\r\n", elsewhere.url());
    let hooks = Hooks::answering(&[&redirect]);
    let server = server(telling(&[hooks.url()]));
    let _anna = Person::join(&server, Some("standup"), "Anna");
    assert_eq!([hooks.next().event(), hooks.next().event()], ["room_started", "participant_joined"]);
    until_metric(&server, "strait_webhooks_total{result=\"refused\"}", "1");
    assert_eq!(elsewhere.left(), 0, "an event that is signed goes nowhere else");
}

#[test]
fn a_receiver_with_https_is_told_if_its_certificate_can_be_trusted() {
    let (hooks, certificate) = Hooks::secure();
    let file =
        std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("ca-{}.pem", std::process::id()));
    std::fs::write(&file, certificate).expect("written");
    let url = hooks.url().replace("http:", "https:");
    let trusted =
        server(WebhookConfig { ca_file: Some(file.clone()), ..telling(std::slice::from_ref(&url)) });
    let _anna = Person::join(&trusted, Some("standup"), "Anna");
    assert_eq!([hooks.next().event(), hooks.next().event()], ["room_started", "participant_joined"]);
    // Another certificate of the same name.
    let (_, other) = Hooks::secure();
    std::fs::write(&file, other).expect("written");
    let untrusting =
        server(WebhookConfig { ca_file: Some(file.clone()), retry_for: Duration::ZERO, ..telling(&[url]) });
    let _ben = Person::join(&untrusting, Some("retro"), "Ben");
    until_metric(&untrusting, "strait_webhooks_total{result=\"given_up\"}", "2");
    assert_eq!(hooks.left(), 0);
    let _ = std::fs::remove_file(&file);
}

#[test]
fn what_happened_last_is_told_before_the_server_is_gone() {
    let hooks = Hooks::answering(&[]);
    let mut server = server(telling(&[hooks.url()]));
    let _anna = Person::join(&server, Some("standup"), "Anna");
    server.stop.stop();
    server.join();
    let told: Vec<String> = (0..4).map(|_| hooks.next().event()).collect();
    assert_eq!(told, ["room_started", "participant_joined", "participant_left", "room_finished"]);
}
