//! `strait stats`: what a running server does, once or live.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs};

use serde_json::Value;

use super::failure::Failure;
use crate::load::{Target, parse_url};

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time from line to line of `--watch`.
const INTERVAL: Duration = Duration::from_secs(1);
/// Lines between two headings of `--watch`.
const LINES_PER_HEADING: usize = 20;

/// What `strait stats` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub(super) struct StatsArgs {
    /// The server's address
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:7443")]
    url: String,
    /// A line each second, until stopped; with --room, one for each participant
    #[arg(long)]
    watch: bool,
    /// Tell of the participants of a room, and of what they are shown
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
    /// A file with the administration token (or STRAIT_ADMIN_TOKEN)
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

/// Prints what the server says.
pub(super) fn stats(args: &StatsArgs) -> Result<(), Failure> {
    let target = parse_url(&args.url).map_err(Failure::usage)?;
    let token = token(args.token_file.as_deref())?;
    let token = token.as_deref();
    if let Some(room) = &args.room {
        return people(args, &target, token, room);
    }
    if !args.watch {
        let stats = ask(&target, token, "/admin/v1/stats")?;
        let text = serde_json::to_string_pretty(&stats).map_err(|error| Failure::other(error.to_string()))?;
        let _ = writeln!(io::stdout(), "{text}");
        return Ok(());
    }
    let mut before: Option<(Instant, Value)> = None;
    for line in 0.. {
        let now = now();
        let stats = ask(&target, token, "/admin/v1/stats/summary")?;
        let mut text = String::new();
        if line % LINES_PER_HEADING == 0 {
            text = format!("{}\n", heading());
        }
        if let Some((at, before)) = &before {
            text += &row(before, &stats, now.saturating_duration_since(*at));
            text.push('\n');
        }
        // A failed write means that the reader of a pipe has gone, which ends the watch.
        if io::stdout().write_all(text.as_bytes()).is_err() {
            return Ok(());
        }
        before = Some((now, stats));
        sleep();
    }
    Ok(())
}

/// Prints a line for each participant of a room, once or each second.
fn people(args: &StatsArgs, target: &Target, token: Option<&str>, room: &str) -> Result<(), Failure> {
    let path = format!("/admin/v1/rooms/{room}");
    loop {
        let room = ask(target, token, &path)?;
        let people = room["participants"].as_array().map_or(&[][..], Vec::as_slice);
        let lines: String = people.iter().map(|person| format!("{}\n", person_row(person))).collect();
        let text = format!("{}\n{lines}", person_heading());
        if io::stdout().write_all(text.as_bytes()).is_err() || !args.watch {
            return Ok(());
        }
        sleep();
    }
}

const PERSON_COLUMNS: [&str; 9] =
    ["score", "mos", "rtt ms", "loss %", "kbit/s out", "estimate", "limited by", "lowered", "paused"];

fn person_heading() -> String {
    let columns = PERSON_COLUMNS.iter().map(|column| format!("{column:>11}"));
    format!("{:<20}{}  shown", "name", columns.collect::<String>())
}

/// Returns a line about a participant: how good their call is, the worst loss and the whole rate of what is sent to them, what
/// their network carries, and which layers of how many tracks of video they are shown.
fn person_row(person: &Value) -> String {
    let slots = person["slots"].as_array().map_or(&[][..], Vec::as_slice);
    let shown = || slots.iter().filter(|slot| !slot["trackId"].is_null());
    let quality = |slot: &Value, field: &str| slot["quality"][field].as_f64().unwrap_or(0.0);
    let loss = shown().map(|slot| quality(slot, "loss")).fold(0.0, f64::max) * 100.0;
    let rate = shown().map(|slot| quality(slot, "bitrateBps")).sum::<f64>() / 1e3;
    let number = |value: &Value, digits: usize| {
        value.as_f64().map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
    };
    let estimate = person["bandwidth"]["estimateBps"].as_f64();
    let lowered = shown().filter(|slot| slot["paused"].is_null() && !slot["limitedBy"].is_null()).count();
    let is_paused = |slot: &&Value| !slot["paused"].is_null() && slot["paused"] != "wish";
    let values = [
        number(&person["quality"]["score"], 0),
        number(&person["quality"]["mos"], 1),
        number(&person["roundTripMs"], 0),
        format!("{loss:.1}"),
        format!("{rate:.0}"),
        estimate.map_or_else(|| "-".to_owned(), |bps| format!("{:.0}", bps / 1e3)),
        person["bandwidth"]["limitedBy"].as_str().unwrap_or("-").to_owned(),
        lowered.to_string(),
        shown().filter(is_paused).count().to_string(),
    ];
    let layers: Vec<String> = shown().filter_map(layers).collect();
    let name: String = person["name"].as_str().unwrap_or_default().chars().take(19).collect();
    let values: String = values.iter().map(|value| format!("{value:>11}")).collect();
    format!("{name:<20}{values}  {}", layers.join(" "))
}

/// Returns what is shown of a track, such as `high/T1`; `None` if that is all of a track in one encoding.
fn layers(slot: &Value) -> Option<String> {
    if let Some(reason) = slot["paused"].as_str() {
        return Some(format!("paused({reason})"));
    }
    let layer = slot["layer"].as_str().unwrap_or_default().to_owned();
    let inner = |field: &str, letter: char| {
        slot[field].as_u64().map_or_else(String::new, |layer| format!("/{letter}{layer}"))
    };
    let text = layer + &inner("spatialLayer", 'S') + &inner("temporalLayer", 'T');
    (!text.is_empty()).then_some(text)
}

#[expect(clippy::disallowed_methods, reason = "a program of its own: it asks a server once a second")]
fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a program of its own: it asks a server once a second")]
fn sleep() {
    std::thread::sleep(INTERVAL);
}

const COLUMNS: [&str; 11] = [
    "rooms",
    "people",
    "in/s",
    "out/s",
    "Mbit/s in",
    "Mbit/s out",
    "runs/s",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "dropped",
];

fn heading() -> String {
    COLUMNS.iter().map(|column| format!("{column:>11}")).collect()
}

/// Returns a line with what changed between two answers of the server.
fn row(before: &Value, after: &Value, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let udp = |stats: &Value, field: &str| stats["shell"]["udp"][field].as_u64().unwrap_or(0);
    let rate = |field: &str| udp(after, field).saturating_sub(udp(before, field)) as f64 / seconds;
    let recent = |field: &str| after["shell"]["latency"]["recent"][field].as_f64().unwrap_or(0.0);
    let number = |field: &str| after[field].as_u64().unwrap_or(0) as f64;
    let values = [
        (number("roomCount"), 0),
        (number("participants"), 0),
        (rate("received"), 0),
        (rate("sent"), 0),
        (rate("receivedBytes") * 8.0 / 1e6, 2),
        (rate("sentBytes") * 8.0 / 1e6, 2),
        (rate("runs"), 0),
        (recent("p50Micros"), 0),
        (recent("p99Micros"), 0),
        (recent("p999Micros"), 0),
        ((udp(after, "droppedFull") + udp(after, "droppedRefused")) as f64, 0),
    ];
    values.iter().map(|(value, digits)| format!("{value:>11.digits$}")).collect()
}

/// Asks the server for one document. Fails unless it answers with 200.
/// Reads the administration token: of the file, or of the environment. A flag for the token itself would show it to whoever
/// lists the machine's processes.
fn token(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(file) = file else {
        return Ok(env::var_os("STRAIT_ADMIN_TOKEN").and_then(|token| token.into_string().ok()));
    };
    let text = fs::read_to_string(file).map_err(|error| {
        Failure::usage(format!(
            "{} cannot be read: {error}; name the file that holds the token",
            file.display()
        ))
    })?;
    Ok(Some(text.trim().to_owned()))
}

fn ask(target: &Target, token: Option<&str>, path: &str) -> Result<Value, Failure> {
    let unreachable = |error: io::Error| {
        Failure::other(format!("the server at {} does not answer: {error}; --url names another", target.host))
    };
    let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{authorization}Connection: close\r\n\r\n", target.host);
    let answer = exchange(target, request.as_bytes()).map_err(unreachable)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    if status == "200" {
        return Ok(body);
    }
    let why = body["error"].as_str().or(body["message"].as_str()).unwrap_or("no reason given");
    Err(Failure::other(format!("the server at {} refused ({status}): {why}", target.host)))
}

#[expect(clippy::disallowed_types, reason = "a client of its own, which may block")]
fn exchange(target: &Target, request: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = std::net::TcpStream::connect_timeout(&target.address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_shows_rates_and_recent_percentiles() {
        let stats = |packets: u64| {
            json!({
                "roomCount": 3, "participants": 12,
                "shell": {
                    "udp": {"received": packets, "sent": 10 * packets, "receivedBytes": 1000 * packets},
                    "latency": {"recent": {"p50Micros": 41.7, "p99Micros": 99.2}},
                },
            })
        };
        let line = row(&stats(1000), &stats(3000), Duration::from_secs(2));
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words, ["3", "12", "1000", "10000", "8.00", "0.00", "0", "42", "99", "0", "0"]);
        assert_eq!(heading().chars().count(), line.chars().count());
    }

    #[test]
    fn a_line_about_somebody_shows_what_a_person_on_call_asks_for() {
        let slot = |more: Value| {
            let mut slot = json!({
                "trackId": "t", "layer": null, "spatialLayer": null, "temporalLayer": null, "paused": null,
                "limitedBy": null, "quality": {"loss": 0.012, "bitrateBps": 250_000},
            });
            more.as_object().expect("fields").iter().for_each(|(name, value)| slot[name] = value.clone());
            slot
        };
        let person = json!({
            "name": "Anna", "roundTripMs": 41.6,
            "quality": {"score": 71, "mos": 3.94},
            "bandwidth": {"estimateBps": 840_000, "limitedBy": "delay"},
            "slots": [
                slot(json!({})),
                slot(json!({"layer": "medium", "temporalLayer": 1, "limitedBy": "bandwidth"})),
                slot(json!({"paused": "bandwidth", "limitedBy": "bandwidth"})),
                slot(json!({"trackId": null})),
            ],
        });
        let line = person_row(&person);
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "Anna",
                "71",
                "3.9",
                "42",
                "1.2",
                "750",
                "840",
                "delay",
                "1",
                "1",
                "medium/T1",
                "paused(bandwidth)"
            ]
        );
        assert_eq!(person_heading().find("score").map(|at| at + 5), line.find("71").map(|at| at + 2));
    }
}
