//! `/metrics`: gathers the counts of core and shell into a page for Prometheus. `docs/metrics.md` lists them.
//!
//! No label names a room or a participant, because the number of time series must not grow with the number of people.

use std::collections::BTreeMap;

use super::metrics_page::{Format, Page, Unit, Value, counted, gauged, labelled};
use crate::core::command::MediaKind;
use crate::core::event::LeaveReason;
use crate::core::path::{Carrier, TransportProtocol};
use crate::core::quality::{Level, Mos};
use crate::core::stats::{Calls, EgressCounters, PauseReason, SlotSnapshot, Snapshot, StreamCounters};
use crate::core::steering::Verdict;
use crate::core::topology::{Mode, Outcome, Reason};
use crate::core::totals::{Direction, Migrations, SETUP_BUCKETS_MS, SetupTimes, StreamClass, Totals};
use crate::net::http::message::{Request, Response};
use crate::net::process::Process;
use crate::net::traces::keeper::TraceFigures;
use crate::net::turn::TurnServer;
use crate::net::view::ServerView;
use crate::net::webhooks::WebhookFigures;
use crate::signal::whip::Side;

/// A counter of streams: name, unit, help, and the counter that it shows.
type StreamFamily = (&'static str, Option<Unit>, &'static str, fn(&StreamCounters) -> u64);

const STREAM_FAMILIES: [StreamFamily; 9] = [
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
    ("strait_frames", None, "Frames of video", |counters| counters.frames),
    ("strait_keyframes", None, "Key frames of video", |counters| counters.keyframes),
];

fn transport_text(transport: Option<TransportProtocol>) -> &'static str {
    match transport {
        Some(TransportProtocol::Udp) => "udp",
        Some(TransportProtocol::Tcp) => "tcp",
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
        ("kind", class.kind.as_str()),
        ("codec", class.codec.unwrap_or("unknown")),
        ("transport", transport_text(class.transport)),
    ]
}

fn add_totals(page: &mut Page, totals: &Totals) {
    page.one("strait_rooms_made", None, "Rooms made", Value::Counter(totals.rooms));
    page.one("strait_joins", None, "Participants who entered a room", Value::Counter(totals.joins));
    page.one("strait_resumes", None, "Participants who came back", Value::Counter(totals.resumes));
    let leaves = LeaveReason::ALL.map(|reason| (reason.as_str(), totals.leaves[reason as usize]));
    page.add("strait_leaves", None, "Participants who left a room", counted("reason", leaves));
    let changes = Value::Counter(totals.layer_changes);
    page.one(
        "strait_layer_changes",
        None,
        "Changes of the encoding or of the layers that somebody is shown, as they were told",
        changes,
    );
    let kinds = Verdict::<()>::KINDS;
    let decisions: [_; Verdict::<()>::KINDS.len()] =
        std::array::from_fn(|kind| (kinds[kind], totals.steering[kind]));
    page.add(
        "strait_steering_decisions",
        None,
        "What was decided of what the network of somebody lets them be shown",
        counted("decision", decisions),
    );
    let orders = Value::Counter(totals.encoding_orders);
    page.one("strait_encoding_orders", None, "Times a publisher was told to send other encodings", orders);
    let changes = Value::Counter(totals.redundancy_changes);
    page.one(
        "strait_redundancy_changes",
        None,
        "Times a client was sent more or fewer copies of its audio than before",
        changes,
    );
    let levels = Level::ALL.map(|level| (level.as_str(), totals.quality_levels[level as usize]));
    page.add(
        "strait_quality_changes",
        None,
        "Times the quality of somebody's call changed, by what it became",
        counted("quality", levels),
    );
    let dropouts = [("in", totals.dropouts[0]), ("out", totals.dropouts[1])];
    page.add(
        "strait_audio_dropouts",
        None,
        "Times so much audio was missing that people hear it",
        counted("direction", dropouts),
    );
    let kinds = MediaKind::ALL.into_iter();
    let first =
        kinds.map(|kind| labelled([("kind", kind.as_str())], histogram(&totals.first_media[kind as usize])));
    page.add(
        "strait_first_media",
        Some(Unit::Seconds),
        "From putting a track into a slot until its first packet went out",
        first.collect::<Vec<_>>(),
    );
    add_handshakes(page, totals);
    add_migrations(page, &totals.migrations);
    add_egress(page, &totals.egress);
    for (name, unit, help, of) in STREAM_FAMILIES {
        let samples = totals.streams.iter();
        let samples =
            samples.map(|(class, counters)| labelled(class_labels(class), Value::Counter(of(counters))));
        page.add(name, unit, help, samples);
    }
}

/// Adds how handshakes ended, and how long it took until media could flow.
fn add_handshakes(page: &mut Page, totals: &Totals) {
    let handshakes = [
        ("done", totals.handshakes_done),
        ("failed", totals.handshakes_failed),
        ("fingerprint_mismatch", totals.fingerprints_refused),
    ];
    page.add("strait_dtls_handshakes", None, "DTLS handshakes that ended", counted("result", handshakes));
    add_channels(page, totals);
    let times = histogram(&totals.setup_times);
    page.one("strait_media_setup", Some(Unit::Seconds), "From joining until media can flow", times);
}

/// Adds the moves of calls between the mesh and the server. Every way to end is there from the start.
fn add_migrations(page: &mut Page, migrations: &Migrations) {
    let started = Mode::ALL.map(|to| (to.as_str(), migrations.started[to as usize]));
    page.add("strait_migrations_started", None, "Moves of calls that have begun", counted("to", started));
    let mut ended: BTreeMap<_, u64> = BTreeMap::new();
    for to in Mode::ALL {
        ended.insert((to, Outcome::Succeeded, Reason::Size), 0);
        ended.insert((to, Outcome::Failed, Reason::Timeout), 0);
        ended.insert((to, Outcome::Cancelled, Reason::Size), 0);
    }
    ended.extend(&migrations.ended);
    let ended = ended.into_iter().map(|((to, outcome, reason), count)| {
        let labels = [("to", to.as_str()), ("result", outcome.as_str()), ("reason", reason.as_str())];
        labelled(labels, Value::Counter(count))
    });
    page.add("strait_migrations", None, "Moves of calls that are over", ended.collect::<Vec<_>>());
    let times = [(Outcome::Succeeded, &migrations.times), (Outcome::Failed, &migrations.failed_times)];
    let times = times.into_iter().flat_map(|(outcome, times)| {
        Mode::ALL.map(|to| {
            let labels = [("to", to.as_str()), ("result", outcome.as_str())];
            labelled(labels, histogram(&times[to as usize]))
        })
    });
    let help = "How long moves of calls took that succeeded, or until they had failed";
    page.add("strait_migration", Some(Unit::Seconds), help, times.collect::<Vec<_>>());
}

/// Adds where the media of calls goes.
fn add_modes(page: &mut Page, calls: Calls) {
    let by_mode =
        |counts: [usize; 2]| gauged("mode", Mode::ALL.map(|mode| (mode.as_str(), counts[mode as usize])));
    let help = "Rooms and voice channels with somebody in them, by where their media goes";
    page.add("strait_calls", None, help, by_mode(calls.calls));
    let help = "People by where the media of their call goes";
    page.add("strait_call_participants", None, help, by_mode(calls.people));
    let moving = Value::Gauge(calls.moving as f64);
    page.one("strait_calls_moving", None, "Calls that move between the mesh and the server now", moving);
}

/// Adds what was lost on data channels.
fn add_channels(page: &mut Page, totals: &Totals) {
    let refused = Value::Counter(totals.data_refused);
    page.one("strait_data_refused", None, "Messages on data channels that were not passed on", refused);
    let too_slow = Value::Counter(totals.channels_too_slow);
    let help = "Data channels closed as their client was too slow";
    page.one("strait_data_channels_too_slow", None, help, too_slow);
}

/// Adds what was sent, held back or left out because of what networks carry.
fn add_egress(page: &mut Page, counters: &EgressCounters) {
    let families = [
        ("strait_padding_packets", None, "Packets of padding", counters.padding_packets),
        ("strait_padding", Some(Unit::Bytes), "Padding, with its headers", counters.padding_bytes),
        ("strait_paced_packets", None, "Packets of video that waited", counters.paced_packets),
        (
            "strait_paced_packets_dropped",
            None,
            "Packets of video that could not wait",
            counters.paced_dropped,
        ),
        (
            "strait_repeats_withheld",
            None,
            "Repeats not sent: too many were asked for",
            counters.repeats_withheld,
        ),
    ];
    for (name, unit, help, count) in families {
        page.one(name, unit, help, Value::Counter(count));
    }
    let waited = Value::Seconds(counters.pacing_delay_micros as f64 / 1e6);
    page.one("strait_pacing_delay", Some(Unit::Seconds), "How long packets of video waited together", waited);
    let probes = [("sent", counters.probes), ("given_up", counters.probes_given_up)];
    page.add("strait_probes", None, "Probes of what a network carries", counted("result", probes));
}

fn histogram(times: &SetupTimes) -> Value {
    let bounds = SETUP_BUCKETS_MS.iter().map(|ms| *ms as f64 / 1000.0).chain([f64::INFINITY]);
    Value::Histogram(bounds.zip(times.buckets).collect(), times.sum.as_secs_f64())
}

/// How much of a track of video somebody is sent.
const SHOWN_STATES: [&str; 6] =
    ["all", "limited-bandwidth", "limited-load", "paused-wish", "paused-bandwidth", "paused-load"];

/// Returns which of [`SHOWN_STATES`] a slot is in that shows video.
fn shown_state(slot: &SlotSnapshot) -> &'static str {
    match (slot.paused, slot.limited_by) {
        (Some(PauseReason::Wish), _) => "paused-wish",
        (Some(PauseReason::Bandwidth), _) => "paused-bandwidth",
        (Some(PauseReason::Load), _) => "paused-load",
        (None, Some(PauseReason::Load)) => "limited-load",
        (None, Some(PauseReason::Bandwidth)) => "limited-bandwidth",
        (None, Some(PauseReason::Wish) | None) => "all",
    }
}

fn add_snapshot(page: &mut Page, snapshot: &Snapshot) {
    let participants = || snapshot.rooms.iter().flat_map(|room| &room.participants);
    page.one("strait_rooms", None, "Rooms that exist", Value::Gauge(snapshot.rooms.len() as f64));
    let reconnecting = participants().filter(|participant| participant.reconnecting).count();
    let connected = participants().count() - reconnecting;
    let states = gauged("state", [("connected", connected), ("reconnecting", reconnecting)]);
    page.add("strait_participants", None, "Participants in all rooms", states);
    let lost = participants().filter(|participant| participant.media_lost).count();
    let lost = Value::Gauge(lost as f64);
    page.one("strait_participants_media_lost", None, "Participants on whose media path nothing comes", lost);
    add_delays(page, snapshot);
    add_quality(page, snapshot);
    // Every label is there from the start, so that no time series begins in the middle of an alert.
    let mut paths = BTreeMap::from(Carrier::ALL.map(|(_, label)| (label, 0)));
    paths.insert("none", 0);
    let mut publications: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let mut slots = [[0_usize; 2]; 2];
    let mut subscribers = BTreeMap::from([("audio", 0), ("video", 0)]);
    let mut shown = BTreeMap::from(SHOWN_STATES.map(|state| (state, 0)));
    for participant in participants() {
        let carrier = participant.path.filter(|_| participant.connected).map(|path| path.carrier);
        let label =
            Carrier::ALL.iter().find(|(known, _)| Some(*known) == carrier).map_or("none", |(_, label)| label);
        *paths.entry(label).or_insert(0) += 1;
        for publication in &participant.publications {
            let kind = publication.info.kind().as_str();
            *publications.entry((kind, publication.codec.unwrap_or("unknown"))).or_insert(0) += 1;
            *subscribers.entry(kind).or_insert(0) += publication.subscribers;
        }
        for slot in &participant.slots {
            slots[usize::from(slot.kind == MediaKind::Video)][usize::from(slot.track.is_some())] += 1;
            if slot.kind == MediaKind::Video && slot.track.is_some() {
                *shown.entry(shown_state(slot)).or_insert(0) += 1;
            }
        }
    }
    page.add("strait_media_paths", None, "Participants by how their media goes", gauged("transport", paths));
    let publications = publications.into_iter().map(|((kind, codec), count)| {
        labelled([("kind", kind), ("codec", codec)], Value::Gauge(count as f64))
    });
    page.add("strait_publications", None, "Published tracks", publications);
    page.add("strait_subscriptions", None, "Tracks shown to somebody", gauged("kind", subscribers));
    let slots = [MediaKind::Audio, MediaKind::Video].into_iter().zip(slots).flat_map(|(kind, counts)| {
        ["free", "showing"].into_iter().zip(counts).map(move |(state, count)| {
            labelled([("kind", kind.as_str()), ("state", state)], Value::Gauge(count as f64))
        })
    });
    page.add(
        "strait_video_shown",
        None,
        "Tracks of video shown to somebody, by how much of them is sent",
        gauged("state", shown),
    );
    page.add("strait_slots", None, "Receiving sections of all participants", slots);
    let unknown = Value::Counter(snapshot.datagrams_unknown);
    page.one("strait_datagrams_unknown", None, "Datagrams that belong to nobody", unknown);
}

/// Adds the present round trips and jitter: the mean and the worst, because one bad connection does not show in a mean.
fn add_delays(page: &mut Page, snapshot: &Snapshot) {
    let participants = || snapshot.rooms.iter().flat_map(|room| &room.participants);
    // No quantiles: they could not be added up over several servers, and the worst is what somebody complains about.
    let of = |times: Vec<f64>| {
        let mean = times.iter().sum::<f64>() / times.len().max(1) as f64;
        [("mean", mean), ("worst", times.into_iter().fold(0.0, f64::max))]
    };
    let round_trips = participants().filter_map(|participant| participant.round_trip);
    let samples = of(round_trips.map(|time| time.as_secs_f64()).collect())
        .map(|(which, seconds)| labelled([("of_all", which)], Value::Gauge(seconds)));
    page.add("strait_round_trip", Some(Unit::Seconds), "Round trips to participants", samples);
    let estimates: Vec<f64> = participants()
        .filter_map(|participant| participant.bandwidth)
        .map(|bandwidth| bandwidth.estimate as f64)
        .collect();
    let mean = estimates.iter().sum::<f64>() / estimates.len().max(1) as f64;
    let worst = estimates.into_iter().reduce(f64::min).unwrap_or(0.0);
    let samples = [("mean", mean), ("worst", worst)]
        .map(|(which, rate)| labelled([("of_all", which)], Value::Gauge(rate)));
    let help = "Bits per second that the networks of participants are estimated to carry";
    page.add("strait_bandwidth_estimate", None, help, samples);
    let coming = participants().flat_map(|participant| &participant.publications);
    let going = participants().flat_map(|participant| &participant.slots).filter(|slot| slot.track.is_some());
    let jitter = [
        ("in", coming.map(|publication| publication.jitter.as_secs_f64()).collect()),
        ("out", going.map(|slot| slot.jitter.as_secs_f64()).collect()),
    ];
    let samples = jitter.into_iter().flat_map(|(direction, times)| {
        of(times).map(|(which, seconds)| {
            labelled([("direction", direction), ("of_all", which)], Value::Gauge(seconds))
        })
    });
    page.add("strait_rtp_jitter", Some(Unit::Seconds), "Interarrival jitter of streams", samples);
}

/// Adds how good calls are now.
fn add_quality(page: &mut Page, snapshot: &Snapshot) {
    let participants = || snapshot.rooms.iter().flat_map(|room| &room.participants);
    let with = |level: Level| {
        participants().filter(|one| one.quality.is_some_and(|(quality, _)| quality.level == level)).count()
    };
    let levels = gauged("quality", Level::ALL.map(|level| (level.as_str(), with(level))));
    page.add("strait_participants_quality", None, "Participants by the quality of their calls", levels);
    let scores: Vec<f64> = participants()
        .filter_map(|one| one.quality)
        .filter_map(|(quality, _)| quality.mos.map(Mos::value))
        .collect();
    let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
    let worst = scores.into_iter().reduce(f64::min).unwrap_or(0.0);
    let samples = [("mean", mean), ("worst", worst)]
        .map(|(which, score)| labelled([("of_all", which)], Value::Gauge(score)));
    page.add("strait_audio_mos", None, "Estimated opinion scores of audio, from 1 to 5; 0: none", samples);
}

fn add_turn(page: &mut Page, turn_server: &TurnServer) {
    let allocations = gauged("transport", turn_server.allocations());
    page.add("strait_turn_allocations", None, "Allocations of the TURN server", allocations);
    let counters = &turn_server.counters;
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
    let threads = Value::Gauge(process.threads as f64);
    page.one("process_threads", None, "Threads", threads);
    page.one("process_open_fds", None, "Open file descriptors", files);
}

/// Answers `GET /metrics`, in the format that the scraper names.
pub fn answer(request: &Request, view: ServerView<'_>, totals: &Totals) -> Response {
    // Like other exporters: the newer format for scrapers that name it.
    let newer = request.field("accept").is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let format = if newer { Format::OpenMetrics } else { Format::PrometheusText };
    let text = page(view, totals).text(format);
    Response::new(200, format.media_type(), text.into_bytes())
        .with("Cache-Control", "no-store")
        .with("Vary", "Accept")
}

fn page(view: ServerView<'_>, totals: &Totals) -> Page {
    let mut page = Page::default();
    let version = labelled([("version", env!("CARGO_PKG_VERSION"))], Value::Info);
    page.add("strait_build", None, "The version that runs", [version]);
    let uptime = view.now.saturating_duration_since(view.started).as_secs_f64();
    page.one("strait_uptime", Some(Unit::Seconds), "Since start-up", Value::Gauge(uptime));
    let draining = Value::Gauge(f64::from(u8::from(view.is_draining())));
    page.one("strait_draining", None, "1 while nobody is let in", draining);
    let started = Value::Gauge(view.counters.started_unix.as_secs_f64());
    page.one("process_start_time", Some(Unit::Seconds), "Start-up, since 1970", started);
    if let Some(process) = Process::read() {
        add_process(&mut page, process);
    }
    add_snapshot(&mut page, &view.sfu.snapshot(view.now));
    add_modes(&mut page, view.calls());
    add_totals(&mut page, totals);
    add_datagrams(&mut page, view, totals.unusable);
    add_connections(&mut page, view);
    add_traces(&mut page, view.traces.figures());
    let (written, dropped) = view.audit.figures();
    let lines = counted("result", [("written", written), ("dropped", dropped)]);
    page.add("strait_audit_lines", None, "Lines for the audit log, by what became of them", lines);
    add_webhooks(&mut page, view.ledger.webhooks.figures());
    add_signalling(&mut page, view);
    let shed = Value::Gauge(view.shed_ratio);
    page.one(
        "strait_pictures_withheld_ratio",
        None,
        "Share of the video that is not forwarded for want of time",
        shed,
    );
    page.one(
        "strait_pictures_lowered_ratio",
        None,
        "Share of the video that is forwarded in smaller pictures, or not at all, for want of time",
        Value::Gauge(view.lowered_ratio),
    );
    page.one("strait_event_loop_turns", None, "Turns of the event loop", Value::Counter(view.passes));
    add_turn(&mut page, view.turn_server);
    page
}

fn add_datagrams(page: &mut Page, view: ServerView<'_>, unusable: u64) {
    let udp = view.udp.counters();
    let dropped = [
        ("in", "unusable", unusable),
        ("in", "stale", udp.dropped_stale),
        ("out", "queue_full", udp.dropped_full),
        ("out", "refused_by_system", udp.dropped_refused),
        ("out", "connection_gone", view.connections.frames.undeliverable),
    ];
    let dropped = dropped.map(|(direction, reason, count)| {
        labelled([("direction", direction), ("reason", reason)], Value::Counter(count))
    });
    page.add("strait_datagrams_dropped", None, "Datagrams thrown away", dropped);
    let datagrams = counted("direction", [("in", udp.received), ("out", udp.sent)]);
    page.add("strait_udp_datagrams", None, "Datagrams of the UDP socket", datagrams);
    let bytes = counted("direction", [("in", udp.received_bytes), ("out", udp.sent_bytes)]);
    page.add(
        "strait_udp",
        Some(Unit::Bytes),
        "Bytes of these datagrams, without the headers of UDP and IP",
        bytes,
    );
    page.one("strait_udp_send_calls", None, "System calls for sending", Value::Counter(udp.send_calls));
    let errors = Value::Counter(udp.receive_errors);
    page.one("strait_udp_receive_errors", None, "Failed receives", errors);
}

fn add_connections(page: &mut Page, view: ServerView<'_>) {
    // Every kind is listed even while there is none, so that no time series comes and goes.
    let kinds = ["opening", "http", "websocket", "ice_tcp", "turn", "closing"];
    let mut connections = BTreeMap::from(kinds.map(|kind| (kind, 0)));
    for kind in view.connections.kinds() {
        *connections.entry(kind).or_insert(0) += 1;
    }
    page.add("strait_connections", None, "TCP connections", gauged("kind", connections));
    let refused = Value::Counter(view.connections.refused());
    page.one("strait_connections_refused", None, "TCP connections over a limit", refused);
    let sessions = [Side::Publish, Side::View].map(|side| (side.path(), view.whip.count(side)));
    page.add("strait_whip_sessions", None, "Sessions of WHIP and WHEP", gauged("protocol", sessions));
    let sessions = Value::Gauge(view.mediasoup.count() as f64);
    page.one("strait_mediasoup_sessions", None, "Sessions of mediasoup's clients", sessions);
}

fn add_traces(page: &mut Page, figures: TraceFigures) {
    let active = Value::Gauge(figures.active as f64);
    page.one("strait_recordings", None, "Rooms that are being recorded", active);
    let ended = [("complete", figures.ended_whole), ("early", figures.ended_early)];
    page.add("strait_recordings_ended", None, "Traces that ended", counted("how", ended));
    let written = Value::Counter(figures.written_bytes as u64);
    page.one("strait_recording_written", Some(Unit::Bytes), "Written to traces", written);
}

fn add_webhooks(page: &mut Page, figures: WebhookFigures) {
    let queued = Value::Gauge(figures.queued as f64);
    page.one("strait_webhooks_queued", None, "Events that wait for receivers of webhooks", queued);
    let results = [
        ("delivered", figures.delivered),
        ("refused", figures.refused),
        ("given_up", figures.given_up),
        ("dropped", figures.dropped),
    ];
    page.add(
        "strait_webhooks",
        None,
        "Events for receivers of webhooks, by what became of them",
        counted("result", results),
    );
    page.one(
        "strait_webhook_retries",
        None,
        "Times an event was sent again",
        Value::Counter(figures.retries),
    );
}

fn add_signalling(page: &mut Page, view: ServerView<'_>) {
    let requests = view.counters.requests.iter().map(|((route, status), count)| {
        labelled([("route", *route), ("status", &status.to_string())], Value::Counter(*count))
    });
    page.add("strait_http_requests", None, "Answered requests", requests);
    let messages =
        [("in", view.counters.websocket_messages_in), ("out", view.counters.websocket_messages_out)];
    page.add("strait_websocket_messages", None, "Signalling messages", counted("direction", messages));
    let dropped = Value::Counter(view.counters.data_dropped);
    page.one("strait_data_dropped", None, "Messages to people who do not read fast enough", dropped);
}
