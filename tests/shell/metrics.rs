//! `/metrics` and `/health` through the whole shell: what is counted, that nothing ever goes back, who may read, and
//! what happens between the signal and the exit.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use str0m::media::{Direction, MediaKind};
use strait::net::{ExitReason, ShellConfig};

use crate::support::people::{Endpoint, Person, until};
use crate::support::whip::{Unanswered, post, publisher, request, viewer};
use crate::support::{PATIENCE, Server, close_code, config};

/// A page, parsed: values by name and labels as they stand, and what each name was declared as.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub values: BTreeMap<String, f64>,
    pub types: BTreeMap<String, String>,
}

impl Metrics {
    fn parse(text: &str) -> Self {
        let (mut values, mut types) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(declared) = line.strip_prefix("# TYPE ") {
                let (name, sort) = declared.split_once(' ').expect("a name and a type");
                assert!(types.insert(name.to_owned(), sort.to_owned()).is_none(), "declared twice: {name}");
            } else if !line.starts_with('#') {
                let (series, value) = line.rsplit_once(' ').expect("a series and a value");
                let value: f64 = value.parse().expect("a number");
                assert!(values.insert(series.to_owned(), value).is_none(), "twice: {series}");
            }
        }
        Self { values, types }
    }

    pub fn read(server: &Server) -> Self {
        let page = server.get("/metrics");
        assert_eq!(page.status, 200, "{}", page.text());
        assert_eq!(page.field("content-type"), "text/plain; version=0.0.4; charset=utf-8");
        Self::parse(&page.text())
    }

    fn get(&self, series: &str) -> f64 {
        *self.values.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.values))
    }

    /// The sum over all series of that name with these labels among theirs.
    fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        let of_name = |series: &str| series == name || series.starts_with(&format!("{name}{{"));
        let all = self.values.iter().filter(|(series, _)| of_name(series));
        all.filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
            .map(|(_, value)| value)
            .sum()
    }

    /// No counter has gone back since.
    fn assert_after(&self, before: &Self) {
        let counters = before.values.iter().filter(|(series, _)| {
            let name = series.split('{').next().expect("a name");
            before.types.get(name).is_some_and(|sort| sort == "counter") || name.ends_with("_count")
        });
        for (series, value) in counters {
            assert!(self.get(series) >= *value, "{series} was {value} and is {}", self.get(series));
        }
    }
}

fn hears(speaker: &mut Endpoint, listener: &mut Endpoint, sequence: &mut u64, packets: usize) {
    let (before, started) = (listener.received, Instant::now());
    while listener.received < before + packets {
        assert!(started.elapsed() < PATIENCE, "nothing is heard");
        speaker.speak(*sequence);
        *sequence += 1;
        speaker.step();
        listener.step();
    }
}

#[test]
fn a_call_is_counted_and_stays_counted_when_everyone_has_left() {
    let server = Server::start(config());
    let empty = Metrics::read(&server);
    assert_eq!(empty.get("strait_rooms"), 0.0);
    assert_eq!(empty.get("strait_joins_total"), 0.0);
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let mut studio = publisher(&server, "/whip/r");
    let mut watcher = viewer(&server, "/whep/r");
    let mut listener = Endpoint::connect(&mut anna, false);
    until(&mut [&mut studio.endpoint, &mut watcher.endpoint, &mut listener], "connected", |all| {
        all.iter().all(|endpoint| endpoint.rtc.is_connected())
    });
    let mut sequence = 1000;
    hears(&mut studio.endpoint, &mut listener, &mut sequence, 30);
    let during = Metrics::read(&server);
    during.assert_after(&empty);
    assert_eq!(
        (during.get("strait_rooms"), during.get("strait_participants{state=\"connected\"}")),
        (1.0, 3.0)
    );
    assert_eq!(during.get("strait_publications{kind=\"audio\",codec=\"opus\"}"), 1.0);
    assert_eq!(during.get("strait_subscriptions{kind=\"audio\"}"), 2.0);
    assert_eq!(during.get("strait_slots{kind=\"audio\",state=\"showing\"}"), 2.0);
    assert_eq!(during.get("strait_media_paths{transport=\"udp\"}"), 3.0);
    assert_eq!(during.get("strait_whip_sessions{protocol=\"whep\"}"), 1.0);
    assert_eq!(during.get("strait_connections{kind=\"websocket\"}"), 1.0);
    let stream = |direction: &str| {
        format!("direction=\"{direction}\",kind=\"audio\",codec=\"opus\",transport=\"udp\"")
    };
    assert!(during.get(&format!("strait_rtp_packets_total{{{}}}", stream("in"))) >= 30.0);
    assert!(during.get(&format!("strait_rtp_packets_total{{{}}}", stream("out"))) >= 30.0);
    let bytes = during.get(&format!("strait_rtp_payload_bytes_total{{{}}}", stream("in")));
    assert_eq!(bytes, 60.0 * during.sum("strait_rtp_packets_total", &["direction=\"in\""]));
    for direction in ["in", "out"] {
        let udp = during.get(&format!("strait_udp_bytes_total{{direction=\"{direction}\"}}"));
        assert!(udp > bytes, "headers and handshakes are among the {udp} bytes");
    }
    assert_eq!(during.get("strait_dtls_handshakes_total{result=\"done\"}"), 3.0);
    assert_eq!(during.get("strait_media_setup_seconds_count"), 3.0);
    assert!(during.get("strait_websocket_messages_total{direction=\"in\"}") >= 2.0);

    request(&server, "DELETE", &studio.location, "", "");
    request(&server, "DELETE", &watcher.location, "", "");
    anna.ask("leave", json!({}));
    let after = Metrics::read(&server);
    after.assert_after(&during);
    assert_eq!(after.get("strait_rooms"), 0.0);
    assert_eq!(after.get("strait_leaves_total{reason=\"left\"}"), 3.0);
    assert_eq!((after.get("strait_joins_total"), after.get("strait_rooms_made_total")), (3.0, 1.0));
    let packets = |metrics: &Metrics| metrics.sum("strait_rtp_packets_total", &["direction=\"out\""]);
    assert!(packets(&after) >= packets(&during) && packets(&during) >= 60.0, "two listeners");
    assert_eq!(after.get("strait_http_requests_total{route=\"/whip\",status=\"201\"}"), 1.0);
    assert!(after.get("strait_http_requests_total{route=\"/ws\",status=\"101\"}") >= 1.0);
    assert!(
        after.get("process_resident_memory_bytes") > 1e6 && after.get("process_start_time_seconds") > 1e9
    );
    assert!(after.values.contains_key("process_cpu_seconds_total"));
}

#[test]
fn the_page_is_open_metrics_for_those_who_ask_for_it() {
    let server = Server::start(config());
    let accept = "Accept: application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5\r\n";
    let page = request(&server, "GET", "/metrics", accept, "");
    assert!(page.field("content-type").starts_with("application/openmetrics-text; version=1.0.0"));
    let text = page.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    let metrics = Metrics::parse(&text);
    for (name, sort) in &metrics.types {
        let suffix = match sort.as_str() {
            "counter" => "_total",
            "info" => "_info",
            "histogram" => "_count",
            _ => "",
        };
        assert!(!name.ends_with("_total"), "{name}");
        let series = format!("{name}{suffix}");
        let found = |key: &String| *key == series || key.starts_with(&format!("{series}{{"));
        assert!(metrics.values.keys().any(found), "{series}");
    }
    // The same names, whichever format.
    let older = Metrics::read(&server);
    let names = |metrics: &Metrics| -> Vec<String> {
        let names = metrics.values.keys().filter(|series| !series.starts_with("strait_http_requests"));
        names.cloned().collect()
    };
    assert_eq!(names(&metrics), names(&older));
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let server = Server::start(config());
    let mut studio = publisher(&server, "/whip/r");
    until(&mut [&mut studio.endpoint], "connected", |all| all[0].rtc.is_connected());
    let text = server.get("/metrics").text();
    let Some((is_right, said)) = promtool(&["check", "metrics"], &text) else { return };
    assert!(is_right && said.is_empty(), "{said}\n{text}");
}

#[test]
fn promtool_finds_the_alerts_right_and_they_are_raised_when_they_should_be() {
    for arguments in [
        ["check", "rules", "docs/deployment/mesh-alerts.yml"],
        ["test", "rules", "tests/shell/mesh-alerts.test.yml"],
    ] {
        let Some((is_right, said)) = promtool(&arguments, "") else { return };
        assert!(is_right, "{said}");
    }
}

/// Asks Prometheus' tool. Returns whether it is content, and what it has said; `None` where it is not installed.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let promtool = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) => {
            assert!(
                std::env::var_os("CI").is_none(),
                "promtool is missing ({error}): apt-get install prometheus"
            );
            eprintln!("promtool is missing, so that this is not checked: apt-get install prometheus");
            return None;
        }
    };
    let mut stdin = promtool.stdin.take().expect("a pipe");
    if !input.is_empty() {
        stdin.write_all(input.as_bytes()).expect("written");
    }
    drop(stdin);
    let output = promtool.wait_with_output().expect("it ends");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Some((output.status.success(), said))
}

#[test]
fn figures_are_for_this_machine_or_the_tokens_holder_unless_they_are_public() {
    let server = Server::start(ShellConfig { admin_token: Some("secret".into()), ..config() });
    let elsewhere = "X-Forwarded-For: 192.0.2.1\r\n";
    assert_eq!(request(&server, "GET", "/metrics", elsewhere, "").status, 401);
    let token = format!("{elsewhere}Authorization: Bearer secret\r\n");
    assert_eq!(request(&server, "GET", "/metrics", &token, "").status, 200);
    assert_eq!(request(&server, "GET", "/health", elsewhere, "").status, 200, "health is for everyone");
    assert_eq!(request(&server, "POST", "/metrics", "", "").status, 405);
    let closed = Server::start(config());
    assert_eq!(request(&closed, "GET", "/metrics", elsewhere, "").status, 403);
    let public = Server::start(ShellConfig { metrics_public: true, ..config() });
    assert_eq!(request(&public, "GET", "/metrics", elsewhere, "").status, 200);
}

/// Asks until the server is draining.
fn draining(server: &Server) {
    let started = Instant::now();
    while server.get("/health").status != 503 {
        assert!(started.elapsed() < PATIENCE, "it never drains");
    }
}

#[test]
fn a_draining_server_lets_nobody_in_and_ends_when_the_last_one_leaves() {
    let mut server = Server::start(ShellConfig { drain: Duration::from_secs(3600), ..config() });
    let mut anna = Person::join(&server, Some("r"), "Anna");
    server.stop.stop();
    draining(&server);
    let health = server.get("/health").json();
    assert_eq!(
        (&health["status"], &health["live"], &health["ready"]),
        (&"draining".into(), &true.into(), &false.into())
    );
    assert_eq!(health["participants"], 1);
    assert_eq!(Metrics::read(&server).get("strait_draining"), 1.0);
    let offer = Unanswered::new(&[MediaKind::Audio], Direction::SendOnly).offer;
    assert_eq!(post(&server, "/whip/r", &offer, "").status, 503);
    let mut ben = Person::new(&server);
    let refused = ben.ask("join", json!({"version": 1, "room": "r", "name": "Ben"}));
    assert_eq!(refused["data"]["code"], "shutting-down", "{refused}");
    assert_eq!(anna.ask("ping", json!({}))["type"], "pong", "calls go on");
    anna.ask("leave", json!({}));
    assert_eq!(server.join(), ExitReason::Stopped);
}

#[test]
fn the_operator_orders_a_server_to_drain_and_takes_it_back() {
    let mut server = Server::start(ShellConfig { drain: Duration::from_secs(3600), ..config() });
    let mut anna = Person::join(&server, Some("r"), "Anna");
    let join = json!({"version": 1, "room": "r", "name": "Ben"});
    let probes = || ["/livez", "/readyz"].map(|path| server.get(path).status);
    assert_eq!(probes(), [200, 200]);
    assert_eq!(request(&server, "PUT", "/admin/v1/drain", "", "").status, 204);
    assert_eq!(anna.news("draining")["draining"], true);
    assert_eq!(probes(), [200, 503]);
    assert_eq!(Metrics::read(&server).get("strait_draining"), 1.0);
    let refused = Person::new(&server).ask("join", join.clone());
    assert_eq!(refused["data"]["code"], "shutting-down", "{refused}");
    assert_eq!(request(&server, "DELETE", "/admin/v1/drain", "", "").status, 204);
    assert_eq!(anna.news("draining")["draining"], false);
    assert_eq!(probes(), [200, 200]);
    assert_eq!(Person::new(&server).ask("join", join)["type"], "joined");
    // The end itself cannot be taken back.
    server.stop.stop();
    draining(&server);
    assert_eq!(request(&server, "DELETE", "/admin/v1/drain", "", "").status, 409);
    server.stop.stop();
    assert_eq!(server.join(), ExitReason::Stopped);
}

#[test]
fn draining_ends_when_its_time_is_up_or_the_operator_asks_again() {
    for (drain, again) in [(Duration::from_millis(200), false), (Duration::from_secs(3600), true)] {
        let mut server = Server::start(ShellConfig { drain, ..config() });
        let mut anna = Person::join(&server, Some("r"), "Anna");
        server.stop.stop();
        if again {
            draining(&server);
            server.stop.stop();
        }
        assert_eq!(anna.news("closing")["reason"], "shutdown");
        assert_eq!(close_code(&mut anna.socket), Some(1001));
        assert_eq!(server.join(), ExitReason::Stopped);
    }
}

/// What the document says of the labels of a metric: their names, and the values of those of which it lists them.
type Labels = BTreeMap<String, BTreeSet<String>>;

/// Reads a cell such as `direction, reason: unusable, stale (late); how: early`.
fn labels(cell: &str) -> Labels {
    let words = |text: &str| -> Vec<String> {
        let plain = text.split(',').map(|word| word.split(" (").next().unwrap_or_default().trim().to_owned());
        plain.filter(|word| !word.is_empty()).collect()
    };
    let mut labels = Labels::new();
    for part in cell.split(';') {
        let (names, values) = part.split_once(':').unwrap_or((part, ""));
        let names = words(names);
        labels.extend(names.iter().map(|name| (name.clone(), BTreeSet::new())));
        // A link leads to the values.
        if let Some(last) = names.last().filter(|_| !values.contains("](")) {
            labels.insert(last.clone(), words(values).into_iter().collect());
        }
    }
    labels
}

/// The labels of each metric in the document's table.
fn documented() -> BTreeMap<String, Labels> {
    let (mut all, mut above) = (BTreeMap::new(), String::new());
    for row in include_str!("../../docs/metrics.md").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        if cells[2] != "the same" {
            cells[2].clone_into(&mut above);
        }
        for name in cells[1].split('`').skip(1).step_by(2) {
            all.insert(name.to_owned(), labels(&above));
        }
    }
    all
}

#[test]
fn the_document_lists_every_metric_with_its_labels_and_their_values() {
    let documented = documented();
    let server = Server::start(config());
    let mut studio = publisher(&server, "/whip/r");
    until(&mut [&mut studio.endpoint], "connected", |all| all[0].rtc.is_connected());
    let metrics = Metrics::read(&server);
    let mut seen: BTreeMap<&str, Labels> = BTreeMap::new();
    for series in metrics.values.keys() {
        let (name, pairs) = series.split_once('{').unwrap_or((series, ""));
        let labels = seen.entry(name).or_default();
        for pair in pairs.trim_end_matches('}').split(',').filter(|pair| !pair.is_empty()) {
            let (label, value) = pair.split_once('=').expect("a label and a value");
            labels.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
        }
    }
    for name in metrics.types.keys() {
        let expected = documented.get(name).unwrap_or_else(|| panic!("{name} is not in docs/metrics.md"));
        // Histograms have no series of their own name, and some metrics begin with their first sample.
        let Some(labels) = seen.get(name.as_str()) else { continue };
        assert!(labels.keys().eq(expected.keys()), "{name} has {labels:?}; in the document {expected:?}");
        for (label, values) in expected.iter().filter(|(_, values)| !values.is_empty()) {
            assert_eq!(&labels[label], values, "the values of {label} of {name}, and the documented ones");
        }
    }
}
