//! What guards management: a port of its own, signatures of requests, the origins of web pages, and the audit log.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use strait::access::{AuthMode, Key, Signed, sign, signature};
use strait::net::{AuditConfig, ShellConfig};

use crate::support::back_end::{gate, key, now};
use crate::support::people::Person;
use crate::support::whip::request;
use crate::support::{Answer, Server, config};

fn token() -> String {
    let video = json!({"roomList": true, "roomCreate": true, "roomAdmin": true});
    sign(&json!({"iss": "team", "sub": "back-end", "exp": now() + 60, "video": video}), &key())
}

#[test]
fn management_has_a_port_of_its_own_and_nothing_else_is_served_there() {
    let admin_listen = "127.0.0.1:0".parse().ok();
    let server = Server::start(ShellConfig {
        admin_listen,
        gate: gate(AuthMode::Open),
        connections_per_address_max: 4,
        ..config()
    });
    let admin = server.admin.expect("a port for management");
    let at = |address, path: &str| {
        server
            .request_at(
                address,
                &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
            )
            .status
    };
    for (path, public, apart) in [
        ("/admin/v1/rooms", 404, 200),
        ("/metrics", 404, 200),
        ("/livez", 200, 200),
        ("/api/v1/rooms", 401, 404),
        ("/", 200, 404),
        ("/ws", 426, 404),
        ("/whip/r", 405, 404),
    ] {
        assert_eq!((at(server.address, path), at(admin, path)), (public, apart), "{path}");
    }
    // However many there are on the public port, an operator gets through.
    let crowd: Vec<Person> = (0..4).map(|_| Person::new(&server)).collect();
    assert_eq!(at(server.address, "/livez"), 503);
    assert_eq!(at(admin, "/admin/v1/rooms"), 200);
    drop(crowd);
    // Media that would go by TCP is cut.
    let mut stream = crate::support::connect(admin);
    std::io::Write::write_all(
        &mut stream,
        &[0, 20, 0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    )
    .expect("sent");
    let mut rest = Vec::new();
    let _ = std::io::Read::read_to_end(&mut stream, &mut rest);
    assert!(rest.is_empty(), "it says nothing and ends");
}

#[test]
fn what_changes_something_must_be_signed_and_only_once() {
    let server =
        Server::start(ShellConfig { require_signature: true, gate: gate(AuthMode::Open), ..config() });
    let _anna = Person::join(&server, Some("standup"), "Anna");
    let ask = |path: &str, field: &str| -> Answer {
        server.request(&format!(
            "DELETE {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{field}\r\n",
            token()
        ))
    };
    let signed = |path: &str, key: &Key, time: u64| {
        let request = Signed { method: "DELETE", target: path, body: b"" };
        format!("Strait-Signature: {}\r\n", signature(key, time, "a1", request))
    };
    let (standup, retro) = ("/api/v1/rooms/standup", "/api/v1/rooms/retro");
    let stranger = Key { secret: "another secret, which nobody knows".into(), ..key() };
    for (field, word) in [
        (String::new(), "must be signed"),
        (signed(retro, &key(), now()), "not the one"),
        (signed(standup, &stranger, now()), "not the one"),
        (signed(standup, &key(), now() - 120), "another time"),
    ] {
        let refused = ask(standup, &field);
        assert_eq!(refused.status, 401, "{field}");
        assert!(refused.text().contains(word), "{field}: {}", refused.text());
    }
    let good = signed(standup, &key(), now());
    assert_eq!(ask(standup, &good).status, 204);
    assert!(ask(standup, &good).text().contains("before"));
    // An operator on this machine needs no token, and a signature still.
    let drain = "PUT /admin/v1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n";
    assert_eq!(server.request(&format!("{drain}\r\n")).status, 401);
    let request = Signed { method: "PUT", target: "/admin/v1/drain", body: b"" };
    let field = signature(&key(), now(), "a2", request);
    assert_eq!(server.request(&format!("{drain}Strait-Signature: {field}\r\n\r\n")).status, 204);
    assert_eq!(server.get("/admin/v1/rooms").status, 200, "whoever only looks signs nothing");
}

#[test]
fn pages_of_listed_sites_may_use_the_api_and_whip() {
    let cors_origins = vec!["https://app.example".to_owned()];
    // A room without a token is for the server's own pages alone, whatever they are allowed to read.
    let whip_tokens = [("r".to_owned(), vec!["a-token-of-the-studio".to_owned()])].into();
    let server =
        Server::start(ShellConfig { cors_origins, whip_tokens, gate: gate(AuthMode::Open), ..config() });
    for (path, origin, allowed) in [
        ("/api/v1/rooms", "https://app.example", Some("https://app.example")),
        ("/api/v1/rooms", "https://evil.example", None),
        ("/whip/r", "https://app.example", Some("https://app.example")),
        ("/whip/r", "https://evil.example", None),
    ] {
        let fields = format!("Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n");
        let preflight = request(&server, "OPTIONS", path, &fields, "");
        assert!(matches!(preflight.status, 200 | 204), "{path}");
        assert_eq!(preflight.find("access-control-allow-origin"), allowed, "{path} {origin}");
        assert_eq!(preflight.find("access-control-allow-credentials"), None);
    }
    let fields = format!("Origin: https://app.example\r\nAuthorization: Bearer {}\r\n", token());
    let answer = request(&server, "GET", "/api/v1/rooms", &fields, "");
    assert_eq!((answer.status, answer.field("access-control-allow-origin")), (200, "https://app.example"));
}

#[test]
fn strangers_cannot_fill_the_audit_log() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("flood-{}.log", std::process::id()));
    let _ = fs::remove_file(&file);
    let audit = Some(AuditConfig { file: file.clone(), bytes_max: 1 << 20, keep: 2 });
    let mut server = Server::start(ShellConfig { audit, gate: gate(AuthMode::Open), ..config() });
    let json = "Content-Type: application/json\r\n";
    for number in 0..200 {
        // Refused for what they are, before anybody asks who it is.
        assert!(request(&server, "PUT", "/api/v1/rooms", json, "{}").status >= 400);
        assert!(
            request(&server, "POST", &format!("/api/v1/rooms/{number}/nothing"), json, "{}").status >= 400
        );
    }
    server.stop.stop();
    server.join();
    let lines = fs::read_to_string(&file).expect("it was written").lines().count();
    assert!((2..=250).contains(&lines), "{lines} lines");
}

#[test]
fn the_audit_log_tells_who_did_what_and_no_secret() {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("audit-{}.log", std::process::id()));
    let _ = fs::remove_file(&file);
    let audit = Some(AuditConfig { file: file.clone(), bytes_max: 1 << 20, keep: 2 });
    let mut server = Server::start(ShellConfig { audit, gate: gate(AuthMode::Open), ..config() });
    let moderator = json!({"userId": "ben", "roomId": "standup", "exp": now() + 60, "permissions": ["produce", "moderate"]});
    let moderator = sign(&moderator, &key());
    let anna = Person::join(&server, Some("standup"), "Anna");
    let mut ben = Person::new(&server);
    ben.joined = ben.ask("join", json!({"version": 1, "room": "standup", "name": "Ben", "token": moderator}))
        ["data"]
        .clone();
    assert_eq!(ben.ask("remove-participant", json!({"participantId": anna.id()}))["type"], "ok");
    let wrong = "not-a-token-but-a-secret";
    Person::new(&server).ask("join", json!({"version": 1, "room": "standup", "name": "x", "token": wrong}));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    let issue = r#"{"room": "standup", "identity": "cleo"}"#;
    let issued = request(&server, "POST", "/api/v1/tokens", &bearer(&token()), issue).json();
    assert_eq!(request(&server, "DELETE", "/api/v1/rooms/standup", &bearer(&token()), "").status, 204);
    assert_eq!(
        server.request("PUT /admin/v1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").status,
        204
    );
    server.stop.stop();
    server.join();

    let text = fs::read_to_string(&file).expect("it was written");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let told: Vec<(String, String)> = lines
        .iter()
        .map(|line| {
            (
                line["action"].as_str().expect("an action").to_owned(),
                line["by"]["kind"].as_str().expect("a kind").to_owned(),
            )
        })
        .collect();
    let told: Vec<(&str, &str)> = told.iter().map(|(action, by)| (action.as_str(), by.as_str())).collect();
    assert_eq!(
        told,
        [
            ("server-started", "server"),
            ("remove", "participant"),
            ("token-refused", "unknown"),
            ("request", "back-end"),
            ("request", "back-end"),
            ("request", "operator"),
            ("server-stopping", "server"),
        ],
        "{text}"
    );
    assert_eq!(
        (&lines[1]["by"]["identity"], &lines[1]["about"]["participant"]),
        (&json!("ben"), &json!(anna.id()))
    );
    assert_eq!((&lines[3]["identity"], &lines[3]["by"]["id"]), (&json!("cleo"), &json!("back-end")));
    assert_eq!((&lines[4]["method"], &lines[4]["path"]), (&json!("DELETE"), &json!("/api/v1/rooms/standup")));
    for secret in [
        wrong,
        moderator.as_str(),
        issued["token"].as_str().expect("a token"),
        &key().secret,
        anna.joined["secret"].as_str().expect("a secret"),
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let _ = fs::remove_file(&file);
}
