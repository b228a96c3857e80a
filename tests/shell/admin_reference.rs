//! The reference of the administration interface, held against what a server answers: each answer has exactly the fields
//! that `docs/admin-v1.openapi.json` lists, of the types that it lists. That no path is missing is tested beside the routes.

use serde_json::Value;
use strait::net::ShellConfig;

use crate::support::people::until;
use crate::support::whip::{publisher, viewer};
use crate::support::{Server, config};

fn reference() -> Value {
    serde_json::from_str(include_str!("../../docs/admin-v1.openapi.json")).expect("JSON")
}

/// What is behind a `$ref`, or the thing itself.
fn resolved<'r>(reference: &'r Value, part: &'r Value) -> &'r Value {
    match part["$ref"].as_str() {
        Some(path) => reference.pointer(path.trim_start_matches('#')).unwrap_or_else(|| panic!("no {path}")),
        None => part,
    }
}

/// Every way in which a value is not what a schema says. Of JSON Schema this knows what the reference uses.
pub fn faults(reference: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let schema = resolved(reference, schema);
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = |choice: &Value| {
            let mut faults_of_choice = Vec::new();
            faults(reference, choice, value, at, &mut faults_of_choice);
            faults_of_choice.is_empty()
        };
        if !choices.iter().any(fits) {
            found.push(format!("{at}: {value} is none of the choices"));
        }
        return;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let is_type = |name: &&str| match *name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: the reference has the type {other}"),
    };
    if !types.iter().any(is_type) {
        found.push(format!("{at}: {value} is not {types:?}"));
        return;
    }
    if let (Some(allowed), false) = (schema["enum"].as_array(), value.is_null())
        && !allowed.contains(value)
    {
        found.push(format!("{at}: {value} is none of {allowed:?}"));
    }
    if let (Some(fields), Some(any)) = (value.as_object(), schema["additionalProperties"].as_object()) {
        let any = Value::Object(any.clone());
        fields.iter().for_each(|(key, field)| faults(reference, &any, field, &format!("{at}.{key}"), found));
    } else if let Some(fields) = value.as_object() {
        let described = schema["properties"].as_object().expect("properties");
        found.extend(
            fields
                .keys()
                .filter(|key| !described.contains_key(*key))
                .map(|key| format!("{at}.{key}: not described")),
        );
        for (key, schema) in described {
            match fields.get(key) {
                Some(field) => faults(reference, schema, field, &format!("{at}.{key}"), found),
                None => found.push(format!("{at}.{key}: not there")),
            }
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        faults(reference, &schema["items"], item, &format!("{at}[{index}]"), found);
    }
}

/// An answer is one that the reference has for this path and method.
pub fn assert_described(reference: &Value, method: &str, pattern: &str, status: u16, body: &str) {
    let answers = &reference["paths"][pattern][method.to_lowercase()]["responses"];
    let answer = &answers[status.to_string()];
    assert!(!answer.is_null(), "{method} {pattern} is not said to answer {status}");
    let answer = resolved(reference, answer);
    let Some(schema) = answer.pointer("/content/application~1json/schema") else {
        assert!(body.is_empty() || pattern == "/metrics", "{method} {pattern}: a body that is not described");
        return;
    };
    let value =
        serde_json::from_str(body).unwrap_or_else(|_| panic!("{method} {pattern} is no JSON: {body}"));
    let mut found = Vec::new();
    faults(reference, schema, &value, pattern, &mut found);
    assert!(found.is_empty(), "{method} {pattern}:\n  {}", found.join("\n  "));
}

#[test]
fn what_a_server_answers_is_what_the_reference_says() {
    let reference = reference();
    let server = Server::start(config());
    let mut studio = publisher(&server, "/whip/standup");
    until(&mut [&mut studio.endpoint], "connected", |all| all[0].rtc.is_connected());
    let _watcher = viewer(&server, "/whep/standup");
    let participant =
        server.get("/admin/v1/rooms/standup").json()["participants"][0]["participantId"].clone();
    let participant = participant.as_str().expect("somebody is there").to_owned();
    let asked = [
        ("GET", "/health", "/health", "", 200),
        ("GET", "/livez", "/livez", "", 200),
        ("GET", "/readyz", "/readyz", "", 200),
        ("PUT", "/admin/v1/drain", "/admin/v1/drain", "", 204),
        ("GET", "/readyz", "/readyz", "", 503),
        ("DELETE", "/admin/v1/drain", "/admin/v1/drain", "", 204),
        ("GET", "/metrics", "/metrics", "", 200),
        ("GET", "/admin/v1/rooms", "/admin/v1/rooms", "", 200),
        ("GET", "/admin/v1/rooms/{room}", "/admin/v1/rooms/standup", "", 200),
        ("GET", "/admin/v1/rooms/{room}", "/admin/v1/rooms/nowhere", "", 404),
        ("GET", "/admin/v1/calls", "/admin/v1/calls", "", 200),
        ("GET", "/admin/v1/stats", "/admin/v1/stats", "", 200),
        ("GET", "/admin/v1/stats/summary", "/admin/v1/stats/summary", "", 200),
        ("GET", "/admin/v1/recordings", "/admin/v1/recordings", "", 200),
        ("PUT", "/admin/v1/recordings/{room}", "/admin/v1/recordings/standup", "", 409),
        ("DELETE", "/admin/v1/recordings/{room}", "/admin/v1/recordings/standup", "", 404),
        ("PUT", "/admin/v1/log-level", "/admin/v1/log-level", "nonsense", 400),
        ("PUT", "/admin/v1/log-level", "/admin/v1/log-level", "debug", 204),
        (
            "DELETE",
            "/admin/v1/rooms/{room}/participants/{participant}",
            &format!("/admin/v1/rooms/standup/participants/{participant}"),
            "",
            204,
        ),
        ("DELETE", "/admin/v1/rooms/{room}", "/admin/v1/rooms/standup", "", 204),
        ("DELETE", "/admin/v1/rooms/{room}", "/admin/v1/rooms/standup", "", 404),
    ];
    for (method, pattern, path, body, status) in asked {
        let length = body.len();
        let answer = server.request(&format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        ));
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_described(&reference, method, pattern, status, &answer.text());
    }
}

#[test]
fn who_may_not_ask_is_told_as_the_reference_says() {
    let reference = reference();
    for (token, fields, status) in [
        (Some("secret"), "Authorization: Bearer wrong\r\n", 401),
        (None, "X-Forwarded-For: 192.0.2.1\r\n", 403),
    ] {
        let server = Server::start(ShellConfig { admin_token: token.map(str::to_owned), ..config() });
        for pattern in ["/admin/v1/rooms", "/admin/v1/stats", "/metrics"] {
            let answer =
                server.request(&format!("GET {pattern} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"));
            assert_eq!(answer.status, status, "{pattern}");
            assert_described(&reference, "GET", pattern, status, &answer.text());
        }
    }
}

#[test]
fn every_error_of_http_is_json_that_says_what_to_do() {
    let reference = reference();
    let server = Server::start(config());
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(20_000));
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (request, status) in [
        ("NONSENSE\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (&format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{upgrade}Sec-WebSocket-Version: 13\r\n\r\n"), 400),
        ("GET /nothing.html HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        ("GET /admin/v1/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("POST /whip/a/b/c HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        ("POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("POST /ws HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        ("PATCH /admin/v1/rooms HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n", 413),
        ("GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n", 426),
        (&format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{upgrade}Sec-WebSocket-Version: 8\r\n\r\n"), 426),
        (&long, 431),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    ] {
        let answer = server.request(request);
        let shown: String = request.chars().take(60).collect();
        assert_eq!(answer.status, status, "{shown:?}: {}", answer.text());
        let mut found = Vec::new();
        let problem = &reference["components"]["schemas"]["Problem"];
        let value =
            serde_json::from_str(&answer.text()).unwrap_or_else(|_| panic!("{shown:?}: {}", answer.text()));
        faults(&reference, problem, &value, "the answer", &mut found);
        assert!(found.is_empty(), "{shown:?}: {found:?}");
    }
}
