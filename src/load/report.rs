//! The report of a run: figures with their names and units, and whether they can be trusted.

use serde::Serialize;

use super::generator::Generator;
use super::meters::{Percentiles, Tenth};
use super::options::LoadOptions;
use super::person::Stage;
use super::process::Usage;

/// If the generator's own lag is above this share of the latency, the latency is doubtful.
const LAG_SHARE_MAX: f64 = 0.20;
/// If the generator is busy for a larger share of the time than this, everything is doubtful.
const BUSY_PERCENT_MAX: f64 = 85.0;
/// The same if it waits for a processor for a larger share of the time, because then other programs are measured as
/// well.
const WAITED_PERCENT_MAX: f64 = 5.0;

/// Packets of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OfKind {
    /// What subscribers should have received.
    pub expected: u64,
    /// What subscribers received of these.
    pub received: u64,
    /// The share that was lost.
    pub lost_percent: f64,
}

/// Packets that were sent in a tenth of a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InTenth {
    /// Packets sent in it.
    pub sent: u64,
    /// How often they were received.
    pub received: u64,
    /// The longest time that one took, microseconds.
    pub longest: f64,
}

/// Packets of the measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Packets {
    /// What publishers sent.
    pub sent: u64,
    /// What subscribers should have received of these.
    pub expected: u64,
    /// What subscribers received of these.
    pub received: u64,
    /// Packets that subscribers did not receive.
    pub lost: u64,
    /// The share that was lost.
    pub lost_percent: f64,
    /// The audio packets among them.
    pub audio: OfKind,
    /// The video packets among them.
    pub video: OfKind,
    /// Came after a packet of a higher number.
    pub reordered: u64,
    /// Came more than once.
    pub duplicates: u64,
    /// Packets that could not be decrypted.
    pub unopened: u64,
    /// Packets that the generator's kernel did not take.
    pub unsent: u64,
    /// Packets that the generator was too late to send.
    pub skipped: u64,
    /// Sent in a second.
    pub sent_per_second: f64,
    /// Received in a second.
    pub received_per_second: f64,
    /// UDP payload sent in a second, megabits.
    pub sent_mbit_per_second: f64,
    /// UDP payload received in a second, megabits.
    pub received_mbit_per_second: f64,
}

/// How joining went; microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Joins {
    /// From connecting (TCP) to the answer to the offer.
    pub connect_to_answer: Percentiles,
    /// From sending the offer to being able to send media: ICE and DTLS.
    pub offer_to_ready: Percentiles,
    /// From being able to send to the first media packet.
    pub ready_to_first_packet: Percentiles,
    /// From connecting to the first frame that can be decoded.
    pub connect_to_first_frame: Percentiles,
}

/// What viewers saw and heard: frames, freezes and gaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Viewing {
    /// Video frames that could be decoded.
    pub frames: u64,
    /// Times that a picture stood still.
    pub freezes: u64,
    /// For how long in all, milliseconds.
    pub frozen_millis: f64,
    /// The longest time without a new frame, milliseconds.
    pub longest_pause_millis: f64,
    /// Times that an audio stream paused by the same rule.
    pub audio_gaps: u64,
    /// Key frames asked for.
    pub keyframe_requests: u64,
}

/// What the server used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerUse {
    /// The id of its process.
    pub pid: u32,
    /// Processor time, as a share of one core.
    pub cpu_percent: f64,
    /// Processor time for each packet that subscribers received, microseconds.
    pub cpu_micros_per_packet: f64,
    /// Time in which it had work and no processor, because of other programs.
    pub waited_percent: f64,
    /// Resident memory at the end, KiB.
    pub rss_kib: u64,
    /// By how much it has grown since before anybody joined, per person, KiB.
    pub rss_kib_per_participant: f64,
}

/// The generator's own state.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Own {
    /// The time from when a packet is due until it is sent, microseconds.
    pub tick_lag: Percentiles,
    /// The time from when the kernel receives a packet until it is read, microseconds.
    pub read_lag: Percentiles,
    /// Time in which it had something to do.
    pub busy_percent: f64,
    /// Processor time, including polling.
    pub cpu_percent: f64,
    /// Time in which it had work and no processor, because of other programs.
    pub waited_percent: f64,
    /// Whether latency and loss can be attributed to the server.
    pub trusted: bool,
    /// Why they cannot be trusted; empty if they can.
    pub doubts: Vec<String>,
}

/// Everything that a run measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The version of this program.
    pub version: &'static str,
    /// Whether everyone joined and media flowed to everyone.
    pub ok: bool,
    /// What went wrong, one sentence each; empty if nothing did.
    pub problems: Vec<String>,
    /// Whether somebody ended it early.
    pub interrupted: bool,
    /// The profile, as `--profile` names it.
    pub profile: &'static str,
    /// How many rooms there were.
    pub rooms: usize,
    /// People that were to join.
    pub people: usize,
    /// People that joined, even if they failed later.
    pub joined: usize,
    /// Tracks that flowed to somebody at the end.
    pub subscriptions: usize,
    /// Tracks that should have.
    pub subscriptions_wanted: usize,
    /// How long the measurement lasted, in seconds.
    pub seconds: f64,
    /// The SRTP profile that was negotiated.
    pub srtp: Option<String>,
    /// Packets of the measurement.
    pub packets: Packets,
    /// From stamp to having been read, microseconds.
    pub latency: Percentiles,
    /// From stamp to the receiver's socket, microseconds: without the generator's own delay in reading.
    pub latency_to_socket: Percentiles,
    /// The latency of each second, by when packets were read; of the first hour.
    pub each_second: Vec<Percentiles>,
    /// Each tenth of a second, by when packets were sent; of the first hour. Unopened packets are not in it.
    pub each_tenth: Vec<InTenth>,
    /// The times of joining.
    pub joins: Joins,
    /// What viewers saw and heard.
    pub viewing: Viewing,
    /// What the server used, if its process is known.
    pub server: Option<ServerUse>,
    /// The generator's own state during the run.
    pub generator: Own,
}

impl Report {
    pub(super) fn of(run: &Generator) -> Self {
        let meters = &run.shared.meters;
        let options: &LoadOptions = &run.shared.options;
        let seconds = meters.until.saturating_sub(meters.from) as f64 / 1e9;
        let each = options.connections_of_each();
        let joined = run.people.iter().filter(|person| person.sealer.is_some()).count() / each;
        let mut problems = run.problems.clone();
        let packets = packets(run, seconds);
        if problems.is_empty() && packets.received == 0 {
            problems.push("no media was received".into());
        }
        let latency = Percentiles::of(&meters.latency);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            ok: problems.is_empty(),
            problems,
            interrupted: run.interrupted,
            profile: options.profile.name(),
            rooms: options.rooms,
            people: run.people.len() / each,
            joined,
            subscriptions: run.subscriptions.flowing,
            subscriptions_wanted: run.subscriptions.wanted,
            seconds,
            srtp: run.shared.srtp_profile.map(|profile| format!("{profile:?}")),
            packets,
            latency,
            latency_to_socket: Percentiles::of(&meters.latency_to_socket),
            each_second: run.seconds.clone(),
            each_tenth: meters.tenths.iter().map(in_tenth).collect(),
            joins: Joins {
                connect_to_answer: Percentiles::of(&meters.signalling),
                offer_to_ready: Percentiles::of(&meters.ready),
                ready_to_first_packet: Percentiles::of(&meters.first_packet),
                connect_to_first_frame: Percentiles::of(&meters.first_frame),
            },
            viewing: viewing(run),
            server: server(run, seconds, joined, packets.received),
            generator: own(run, seconds, latency.p99),
        }
    }
}

fn in_tenth(tenth: &Tenth) -> InTenth {
    InTenth { sent: tenth.sent, received: tenth.received, longest: tenth.longest as f64 / 1000.0 }
}

fn lost_percent(expected: u64, received: u64) -> f64 {
    if expected > 0 { 100.0 * expected.saturating_sub(received) as f64 / expected as f64 } else { 0.0 }
}

fn packets(run: &Generator, seconds: f64) -> Packets {
    let meters = &run.shared.meters;
    let by_number = run.shared.options.decrypt_every > 1;
    let (mut audio, mut video) = (OfKind::default(), OfKind::default());
    for incoming in run.people.iter().flat_map(|person| &person.incoming) {
        let source = incoming.source.and_then(|stream| run.shared.streams.get(stream as usize));
        let expected = match source {
            // The number of packets sent is known, including the last ones, whose loss the stream's own numbers could
            // not show.
            Some(stream) if !stream.chosen && !incoming.switched && !by_number => stream.sent,
            Some(_) => incoming.counted + incoming.lost_by_number(),
            None => 0,
        };
        let of_kind = if incoming.is_video() { &mut video } else { &mut audio };
        of_kind.expected += expected;
        of_kind.received += incoming.counted;
    }
    for of_kind in [&mut audio, &mut video] {
        of_kind.lost_percent = lost_percent(of_kind.expected, of_kind.received);
    }
    let expected = audio.expected + video.expected;
    let lost = expected.saturating_sub(meters.received);
    let per_second = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    Packets {
        sent: meters.sent,
        expected,
        received: meters.received,
        lost,
        lost_percent: lost_percent(expected, meters.received),
        audio,
        video,
        reordered: meters.reordered,
        duplicates: meters.duplicates,
        unopened: meters.unopened,
        unsent: meters.unsent,
        skipped: meters.skipped,
        sent_per_second: per_second(meters.sent),
        received_per_second: per_second(meters.received),
        sent_mbit_per_second: per_second(meters.sent_bytes * 8) / 1e6,
        received_mbit_per_second: per_second(meters.received_bytes * 8) / 1e6,
    }
}

fn viewing(run: &Generator) -> Viewing {
    let mut viewing =
        Viewing { keyframe_requests: run.shared.meters.keyframe_requests, ..Viewing::default() };
    for incoming in run.people.iter().flat_map(|person| &person.incoming) {
        let Some(frames) = &incoming.frames else { continue };
        if !incoming.is_video() {
            viewing.audio_gaps += frames.freezes;
            continue;
        }
        viewing.frames += frames.decoded;
        viewing.freezes += frames.freezes;
        viewing.frozen_millis += frames.frozen as f64 / 1e6;
        viewing.longest_pause_millis = viewing.longest_pause_millis.max(frames.longest as f64 / 1e6);
    }
    viewing
}

fn server(run: &Generator, seconds: f64, joined: usize, received: u64) -> Option<ServerUse> {
    let (before, after) = run.usages.server?;
    let cpu = after.cpu_nanos.saturating_sub(before.cpu_nanos) as f64;
    let grown = after.rss_kib.saturating_sub(run.usages.server_idle.map_or(0, |usage| usage.rss_kib));
    Some(ServerUse {
        pid: run.server_pid?,
        cpu_percent: if seconds > 0.0 { cpu / seconds / 1e7 } else { 0.0 },
        cpu_micros_per_packet: if received > 0 { cpu / 1e3 / received as f64 } else { 0.0 },
        waited_percent: waited_percent(before, after, seconds),
        rss_kib: after.rss_kib,
        rss_kib_per_participant: grown as f64 / joined.max(1) as f64,
    })
}

fn own(run: &Generator, seconds: f64, latency_p99: f64) -> Own {
    let meters = &run.shared.meters;
    let (idle, all) = run.idle;
    let busy_percent = if all > 0 { 100.0 - 100.0 * idle as f64 / all as f64 } else { 0.0 };
    let cpu = run.usages.own.map_or(0, |(before, after)| after.cpu_nanos.saturating_sub(before.cpu_nanos));
    let (tick_lag, read_lag) = (Percentiles::of(&meters.tick_lag), Percentiles::of(&meters.read_lag));
    let mut doubts = doubts(latency_p99, tick_lag.p99, read_lag.p99, busy_percent);
    let waited = |usage: Option<(Usage, Usage)>| {
        usage.map_or(0.0, |(before, after)| waited_percent(before, after, seconds))
    };
    for (share, whose) in [(waited(run.usages.server), "server"), (waited(run.usages.own), "generator")] {
        if share > WAITED_PERCENT_MAX {
            doubts
                .push(format!("other programs kept the {whose} from its processor {share:.0} % of the time"));
        }
    }
    let failed = run.people.iter().filter(|person| matches!(person.stage, Stage::Failed(_))).count();
    if failed > 0 {
        doubts.push(format!("{failed} people are missing, so the load was lighter than asked for"));
    }
    Own {
        tick_lag,
        read_lag,
        busy_percent,
        cpu_percent: if seconds > 0.0 { cpu as f64 / seconds / 1e7 } else { 0.0 },
        waited_percent: waited(run.usages.own),
        trusted: doubts.is_empty(),
        doubts,
    }
}

fn waited_percent(before: Usage, after: Usage, seconds: f64) -> f64 {
    let waited = after.waited_nanos.saturating_sub(before.waited_nanos) as f64;
    if seconds > 0.0 { waited / seconds / 1e7 } else { 0.0 }
}

/// Returns what makes the figures doubtful.
fn doubts(latency_p99: f64, tick_lag_p99: f64, read_lag_p99: f64, busy_percent: f64) -> Vec<String> {
    let mut doubts = Vec::new();
    for (lag, what) in [(read_lag_p99, "read packets"), (tick_lag_p99, "sent packets")] {
        if latency_p99 > 0.0 && lag > LAG_SHARE_MAX * latency_p99 {
            doubts.push(format!(
                "the generator {what} late by {lag:.0} µs (p99), more than a fifth of the latency's p99 of \
                 {latency_p99:.0} µs"
            ));
        }
    }
    if busy_percent > BUSY_PERCENT_MAX {
        doubts.push(format!("the generator was busy {busy_percent:.0} % of the time"));
    }
    doubts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generator_that_lags_says_so() {
        assert!(doubts(1000.0, 190.0, 190.0, 80.0).is_empty());
        assert!(doubts(1000.0, 190.0, 210.0, 80.0)[0].contains("read packets late by 210 µs"));
        assert!(doubts(1000.0, 210.0, 0.0, 80.0)[0].contains("sent packets late"));
        assert!(doubts(1000.0, 0.0, 0.0, 86.0)[0].contains("busy 86 %"));
        assert_eq!(doubts(100.0, 90.0, 90.0, 99.0).len(), 3);
    }
}
