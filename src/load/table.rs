//! A report as aligned text.

use std::fmt::{self, Display, Formatter};

use super::meters::Percentiles;
use super::report::Report;

/// The columns behind a row's name.
const HEADINGS: [&str; 7] = ["p50", "p90", "p95", "p99", "p99.9", "max", "count"];

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.summary(f)?;
        write!(f, "\n{:24}", "microseconds")?;
        for heading in HEADINGS {
            write!(f, "{heading:>11}")?;
        }
        writeln!(f)?;
        let rows = [
            ("latency", &self.latency),
            ("latency to the socket", &self.latency_to_socket),
            ("connect to answer", &self.joins.connect_to_answer),
            ("offer to ready", &self.joins.offer_to_ready),
            ("ready to first packet", &self.joins.ready_to_first_packet),
            ("connect to first frame", &self.joins.connect_to_first_frame),
            ("generator: sent late", &self.generator.tick_lag),
            ("generator: read late", &self.generator.read_lag),
        ];
        for (name, percentiles) in rows {
            row(f, name, percentiles)?;
        }
        if !self.generator.trusted {
            writeln!(f, "\nThese figures cannot be trusted:")?;
            self.generator.doubts.iter().try_for_each(|doubt| writeln!(f, "  {doubt}"))?;
        }
        if !self.ok {
            writeln!(f, "\nNot as it should be:")?;
            self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))?;
        }
        Ok(())
    }
}

impl Report {
    fn summary(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let interrupted = if self.interrupted { ", ended early" } else { "" };
        let Self { packets, viewing, .. } = self;
        let subscriptions = match self.subscriptions_wanted {
            wanted if wanted == self.subscriptions => format!("{wanted}"),
            wanted => format!("{} of {wanted}", self.subscriptions),
        };
        line(
            f,
            self.profile,
            &format!(
                "{} rooms, {} of {} people, {subscriptions} subscriptions, {:.1} s{interrupted}",
                self.rooms, self.joined, self.people, self.seconds
            ),
        )?;
        let rate = |packets: f64, megabits: f64| format!("{packets:.0} packets/s, {megabits:.2} Mbit/s");
        line(f, "sent", &rate(packets.sent_per_second, packets.sent_mbit_per_second))?;
        line(f, "received", &rate(packets.received_per_second, packets.received_mbit_per_second))?;
        let mut loss = format!(
            "{} of {} ({:.3} %), {} reordered, {} duplicates",
            packets.lost, packets.expected, packets.lost_percent, packets.reordered, packets.duplicates
        );
        for (count, what) in
            [(packets.unopened, "not opened"), (packets.unsent, "not sent"), (packets.skipped, "given up")]
        {
            if count > 0 {
                loss += &format!(", {count} {what}");
            }
        }
        line(f, "lost", &loss)?;
        line(
            f,
            "seen",
            &format!(
                "{} frames, {} freezes ({:.0} ms), longest pause {:.0} ms, {} audio gaps, {} key frames asked for",
                viewing.frames,
                viewing.freezes,
                viewing.frozen_millis,
                viewing.longest_pause_millis,
                viewing.audio_gaps,
                viewing.keyframe_requests
            ),
        )?;
        let server = match &self.server {
            Some(server) => format!(
                "{:.1} % of a core, {:.2} µs per packet received, {:.1} MiB, {:.0} KiB per person (process {})",
                server.cpu_percent,
                server.cpu_micros_per_packet,
                server.rss_kib as f64 / 1024.0,
                server.rss_kib_per_participant,
                server.pid
            ),
            None => "unknown process; --server-pid tells it".to_owned(),
        };
        line(f, "server", &server)?;
        let own = &self.generator;
        line(f, "generator", &format!("busy {:.0} %, {:.0} % of a core", own.busy_percent, own.cpu_percent))?;
        line(f, "SRTP", self.srtp.as_deref().unwrap_or("none"))
    }
}

fn line(f: &mut Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "{name:17} {text}")
}

fn row(f: &mut Formatter<'_>, name: &str, of: &Percentiles) -> fmt::Result {
    write!(f, "{name:24}")?;
    for value in [of.p50, of.p90, of.p95, of.p99, of.p99_9, of.max] {
        write!(f, "{value:>11.0}")?;
    }
    writeln!(f, "{:>11}", of.count)
}
