//! `/metrics`: gathers what the core and the shell have counted into a page for Prometheus. `docs/metrics.md` lists it.
//!
//! No label holds a room or a participant: the number of time series must not grow with who comes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use prometheus_client::registry::Unit;
use tracing::warn;

use super::admin;
use super::event_loop::EventLoop;
use super::http::{Request, Response};
use super::metrics_page::{OPEN_METRICS, PROMETHEUS_TEXT, Page, Sample, Value, prometheus_text};
use super::process::Process;
use super::relaying::path_name;
use super::turn::Turn;
use crate::core::command::Kind;
use crate::core::path::Transport;
use crate::core::stats::{Snapshot, StreamCounters};
use crate::core::totals::{Direction, SETUP_BUCKETS_MS, StreamClass, Totals};
use crate::signal::whip::Side;

/// A counter of streams: name, unit, help, and which of their counters it is.
type StreamFamily = (&'static str, Option<Unit>, &'static str, fn(&StreamCounters) -> u64);

const STREAM_FAMILIES: [StreamFamily; 7] = [
    ("strait_rtp_packets", None, "Media packets, retransmissions apart", |counters| counters.packets),
    ("strait_rtp_payload", Some(Unit::Bytes), "Payload of media packets", |counters| counters.bytes),
    ("strait_rtp_packets_lost", None, "Media packets lost on the way", |counters| counters.lost),
    ("strait_rtp_packets_nacked", None, "Media packets asked for again", |counters| counters.nacked),
    ("strait_rtp_packets_retransmitted", None, "Retransmitted media packets", |counters| {
        counters.retransmitted
    }),
    (
        "strait_rtp_packets_unwanted",
        None,
        "Media packets that came late, twice, or while muted",
        |counters| counters.dropped,
    ),
    ("strait_keyframe_requests", None, "Key frames asked for", |counters| counters.keyframe_requests),
];

fn labelled<const N: usize>(labels: [(&'static str, &str); N], value: Value) -> Sample {
    (labels.map(|(name, value)| (name, value.to_owned())).to_vec(), value)
}

pub(super) fn counted<const N: usize>(name: &'static str, counts: [(&str, u64); N]) -> Vec<Sample> {
    counts.map(|(label, count)| labelled([(name, label)], Value::Counter(count))).to_vec()
}

fn gauged<'a>(name: &'static str, counts: impl IntoIterator<Item = (&'a str, usize)>) -> Vec<Sample> {
    counts.into_iter().map(|(label, count)| labelled([(name, label)], Value::Gauge(count as f64))).collect()
}

/// Ways of media, as `strait_media_paths` names them.
const PATHS: [(Option<&str>, &str); 6] = [
    (None, "none"),
    (Some("UDP"), "udp"),
    (Some("TCP"), "tcp"),
    (Some("TURN/UDP"), "turn_udp"),
    (Some("TURN/TCP"), "turn_tcp"),
    (Some("TURN/TLS"), "turn_tls"),
];

fn kind_text(kind: Kind) -> &'static str {
    match kind {
        Kind::Audio => "audio",
        Kind::Video => "video",
    }
}

fn transport_text(transport: Option<Transport>) -> &'static str {
    match transport {
        Some(Transport::Udp) => "udp",
        Some(Transport::Tcp) => "tcp",
        None => "none",
    }
}

fn class_labels(class: &StreamClass) -> [(&'static str, &'static str); 4] {
    let direction = match class.direction {
        Direction::In => "in",
        Direction::Out => "out",
    };
    [
        ("direction", direction),
        ("kind", kind_text(class.kind)),
        ("codec", class.codec.unwrap_or("unknown")),
        ("transport", transport_text(class.transport)),
    ]
}

fn add_totals(page: &mut Page, totals: &Totals) {
    page.one("strait_rooms_made", None, "Rooms made", Value::Counter(totals.rooms));
    page.one("strait_joins", None, "Participants who entered a room", Value::Counter(totals.joins));
    page.one("strait_resumes", None, "Participants who came back", Value::Counter(totals.resumes));
    let leaves = [
        ("left", totals.left),
        ("timeout", totals.timed_out),
        ("removed", totals.removed),
        ("error", totals.broken),
    ];
    page.add("strait_leaves", None, "Participants who left a room", counted("reason", leaves));
    let handshakes = [("done", totals.handshakes_done), ("failed", totals.handshakes_failed)];
    page.add("strait_dtls_handshakes", None, "DTLS handshakes that ended", counted("result", handshakes));
    let bounds = SETUP_BUCKETS_MS.iter().map(|ms| *ms as f64 / 1000.0).chain([f64::INFINITY]);
    let buckets = bounds.zip(totals.setup_times.buckets).collect();
    let sum = totals.setup_times.sum.as_secs_f64();
    let times = Value::Histogram(buckets, sum);
    page.one("strait_media_setup", Some(Unit::Seconds), "From joining until media can flow", times);
    for (name, unit, help, of) in STREAM_FAMILIES {
        let samples = totals.streams.iter();
        let samples =
            samples.map(|(class, counters)| labelled(class_labels(class), Value::Counter(of(counters))));
        page.add(name, unit, help, samples);
    }
}

fn add_snapshot(page: &mut Page, snapshot: &Snapshot, turn: &Turn) {
    let participants = || snapshot.rooms.iter().flat_map(|room| &room.participants);
    page.one("strait_rooms", None, "Rooms that exist", Value::Gauge(snapshot.rooms.len() as f64));
    let reconnecting = participants().filter(|participant| participant.reconnecting).count();
    let connected = participants().count() - reconnecting;
    let states = gauged("state", [("connected", connected), ("reconnecting", reconnecting)]);
    page.add("strait_participants", None, "Participants in all rooms", states);
    let mut paths = BTreeMap::from(PATHS.map(|(_, label)| (label, 0)));
    let mut publications: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut slots = [[0_usize; 2]; 2];
    let mut subscribers = BTreeMap::from([("audio", 0), ("video", 0)]);
    for participant in participants() {
        let name = participant.path.filter(|_| participant.connected).map(|path| path_name(&path, turn));
        let label = PATHS.iter().find(|(path, _)| *path == name).map_or("none", |(_, label)| label);
        *paths.entry(label).or_insert(0) += 1;
        for publication in &participant.publications {
            let kind = kind_text(publication.info.kind());
            *publications.entry((kind, publication.codec.unwrap_or("unknown"))).or_insert(0) += 1;
            *subscribers.entry(kind).or_insert(0) += publication.subscribers;
        }
        for slot in &participant.slots {
            slots[usize::from(slot.kind == Kind::Video)][usize::from(slot.track.is_some())] += 1;
        }
    }
    page.add("strait_media_paths", None, "Participants by how their media goes", gauged("transport", paths));
    let publications = publications.into_iter().map(|((kind, codec), count)| {
        labelled([("kind", kind), ("codec", codec)], Value::Gauge(count as f64))
    });
    page.add("strait_publications", None, "Published tracks", publications);
    page.add("strait_subscriptions", None, "Tracks shown to somebody", gauged("kind", subscribers));
    let slots = [Kind::Audio, Kind::Video].into_iter().zip(slots).flat_map(|(kind, counts)| {
        ["free", "showing"].into_iter().zip(counts).map(move |(state, count)| {
            labelled([("kind", kind_text(kind)), ("state", state)], Value::Gauge(count as f64))
        })
    });
    page.add("strait_slots", None, "Receiving sections of all participants", slots);
    let unknown = Value::Counter(snapshot.datagrams_unknown);
    page.one("strait_datagrams_unknown", None, "Datagrams that belong to nobody", unknown);
}

fn add_turn(page: &mut Page, turn: &Turn) {
    let allocations = gauged("transport", turn.allocations());
    page.add("strait_turn_allocations", None, "Allocations of the TURN server", allocations);
    let counters = &turn.counters;
    let made = Value::Counter(counters.allocations);
    page.one("strait_turn_allocations_made", None, "Allocations made", made);
    let refused = counted("reason", counters.refused());
    page.add("strait_turn_requests_refused", None, "Requests to the TURN server that it refused", refused);
    let packets = counted("direction", counters.packets());
    page.add("strait_turn_datagrams", None, "Datagrams that the TURN server relayed", packets);
    let bytes = counted("direction", counters.bytes());
    page.add("strait_turn_payload", Some(Unit::Bytes), "Payload of these datagrams", bytes);
    let dropped = counted("reason", counters.dropped());
    page.add("strait_turn_datagrams_dropped", None, "Datagrams that the TURN server threw away", dropped);
}

fn add_process(page: &mut Page, process: Process) {
    page.one("process_cpu", Some(Unit::Seconds), "Time on a processor", Value::Seconds(process.cpu_seconds));
    let resident = Value::Gauge(process.resident_bytes as f64);
    page.one("process_resident_memory", Some(Unit::Bytes), "Memory in use", resident);
    let virtual_bytes = Value::Gauge(process.virtual_bytes as f64);
    page.one("process_virtual_memory", Some(Unit::Bytes), "Address space in use", virtual_bytes);
    let files = Value::Gauge(process.open_files as f64);
    page.one("process_open_fds", None, "Open file descriptors", files);
}

impl EventLoop {
    /// `GET /metrics`, for those who may.
    pub(super) fn metrics(&mut self, now: Instant, request: &Request, peer: IpAddr) -> Response {
        if !self.config.metrics_public
            && let Err(refused) = admin::authorize(request, peer, self.config.admin_token.as_deref())
        {
            return refused;
        }
        let text = match self.metrics_page(now).open_metrics() {
            Ok(text) => text,
            Err(error) => {
                warn!(%error, "the metrics cannot be written");
                return Response::problem(500, "the metrics cannot be written", "look into the server's log");
            }
        };
        // As other exporters do: the newer format for those who name it.
        let newer =
            request.field("accept").is_some_and(|accept| accept.contains("application/openmetrics-text"));
        let response = if newer {
            Response::new(200, OPEN_METRICS, text.into_bytes())
        } else {
            Response::new(200, PROMETHEUS_TEXT, prometheus_text(&text).into_bytes())
        };
        response.with("Cache-Control", "no-store").with("Vary", "Accept")
    }

    fn metrics_page(&mut self, now: Instant) -> Page {
        let mut page = Page::default();
        let version = labelled([("version", env!("CARGO_PKG_VERSION"))], Value::Info);
        page.add("strait_build", None, "The version that runs", [version]);
        let uptime = now.saturating_duration_since(self.started).as_secs_f64();
        page.one("strait_uptime", Some(Unit::Seconds), "Since start-up", Value::Gauge(uptime));
        let draining = Value::Gauge(f64::from(u8::from(self.shutdown.is_stopping())));
        page.one("strait_draining", None, "1 from the signal to the exit", draining);
        let started = Value::Gauge(self.counters.started_unix.as_secs_f64());
        page.one("process_start_time", Some(Unit::Seconds), "Start-up, since 1970", started);
        if let Some(process) = Process::read() {
            add_process(&mut page, process);
        }
        add_snapshot(&mut page, &self.sfu.snapshot(now), &self.turn);
        add_totals(&mut page, self.sfu.totals());
        self.add_shell(&mut page);
        add_turn(&mut page, &self.turn);
        page
    }

    fn add_shell(&mut self, page: &mut Page) {
        let udp = self.udp.counters();
        let dropped = [
            ("in", "unusable", self.sfu.totals().unusable),
            ("out", "queue_full", udp.dropped_full),
            ("out", "refused_by_system", udp.dropped_refused),
            ("out", "connection_gone", self.connections.frames.undeliverable),
        ];
        let dropped = dropped.map(|(direction, reason, count)| {
            labelled([("direction", direction), ("reason", reason)], Value::Counter(count))
        });
        page.add("strait_datagrams_dropped", None, "Datagrams thrown away", dropped);
        let datagrams = counted("direction", [("in", udp.received), ("out", udp.sent)]);
        page.add("strait_udp_datagrams", None, "Datagrams of the UDP socket", datagrams);
        page.one("strait_udp_send_calls", None, "System calls for sending", Value::Counter(udp.send_calls));
        let errors = Value::Counter(udp.receive_errors);
        page.one("strait_udp_receive_errors", None, "Failed receives", errors);
        let mut connections = BTreeMap::from([
            ("opening", 0),
            ("http", 0),
            ("websocket", 0),
            ("ice_tcp", 0),
            ("turn", 0),
            ("closing", 0),
        ]);
        for kind in self.connections.kinds() {
            *connections.entry(kind).or_insert(0) += 1;
        }
        page.add("strait_connections", None, "TCP connections", gauged("kind", connections));
        let refused = Value::Counter(self.connections.refused());
        page.one("strait_connections_refused", None, "TCP connections over a limit", refused);
        let sessions = [Side::Publish, Side::View].map(|side| (side.path(), self.whip.count(side)));
        page.add("strait_whip_sessions", None, "Sessions of WHIP and WHEP", gauged("protocol", sessions));
        self.traces.add_metrics(page);
        let requests = self.counters.requests.iter().map(|((route, status), count)| {
            labelled([("route", *route), ("status", &status.to_string())], Value::Counter(*count))
        });
        page.add("strait_http_requests", None, "Answered requests", requests);
        let messages =
            [("in", self.counters.websocket_messages_in), ("out", self.counters.websocket_messages_out)];
        page.add("strait_websocket_messages", None, "Signalling messages", counted("direction", messages));
        let withheld = Value::Gauge(self.overload.withheld().share());
        page.one("strait_pictures_withheld_ratio", None, "Pictures left out for want of time", withheld);
        page.one("strait_event_loop_turns", None, "Turns of the event loop", Value::Counter(self.turns));
    }
}
