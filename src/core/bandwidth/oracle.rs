//! The estimator beside `goog_cc`, a port of libwebrtc's: the same packets, the same reports, and nearly the same estimates.
use goog_cc::experiments::FieldTrials;
use goog_cc::network_control::{NetworkControllerConfig, NetworkControllerInterface};
use goog_cc::transport::{
    PacketResult, ProcessInterval, SentPacket, TargetRateConstraints, TransportPacketsFeedback,
};
use goog_cc::units::{DataRate, DataSize, TimeDelta, Timestamp};
use goog_cc::{GoogCcConfig, GoogCcNetworkController, LossBasedBweV2Config};

use super::link::{Flow, Link, Report, run};
use super::{BitRate, MILLISECOND, Micros, SECOND};

/// libwebrtc's constants of today, which the crate is older than, and the three of ours.
fn loss_config() -> LossBasedBweV2Config {
    LossBasedBweV2Config {
        bw_rampup_upper_bound_factor: 1.5,
        bw_rampup_upper_bound_in_hold_factor: 1.2,
        inherent_loss_upper_bound_bw_balance: DataRate::from_kilobits_per_sec(100),
        instant_upper_bound_bw_balance: DataRate::from_kilobits_per_sec(100),
        observation_window_size: 15,
        delayed_increase_window: TimeDelta::from_seconds(1),
        use_in_start_phase: true,
        lower_bound_by_acked_rate_factor: 1.0,
        hold_duration_factor: 2.0,
        use_byte_loss_rate: true,
        padding_duration: TimeDelta::from_seconds(2),
        bound_best_candidate: true,
        inherent_loss_upper_bound_offset: 0.3,
        instant_upper_bound_loss_offset: 0.3,
        loss_threshold_of_high_bandwidth_preference: 0.3,
        ..LossBasedBweV2Config::default()
    }
}

/// Its clock must not begin at 0.
fn timestamp(at: Micros) -> Timestamp {
    Timestamp::from_micros(at + 100 * SECOND)
}

struct Oracle {
    controller: GoogCcNetworkController,
    sent: Vec<SentPacket>,
    estimate: BitRate,
    processed: Micros,
}

impl Oracle {
    fn new(start: BitRate) -> Self {
        let constraints = TargetRateConstraints {
            at_time: timestamp(0),
            starting_rate: Some(DataRate::from_bits_per_sec(start as i64)),
            min_data_rate: Some(DataRate::from_bits_per_sec(5_000)),
            max_data_rate: Some(DataRate::from_bits_per_sec(100_000_000)),
        };
        let config = NetworkControllerConfig {
            constraints,
            field_trials: FieldTrials { loss_based_bwe_v2: loss_config(), ..FieldTrials::default() },
            ..NetworkControllerConfig::default()
        };
        let controller = GoogCcNetworkController::new(config, GoogCcConfig { feedback_only: true });
        Self { controller, sent: Vec::new(), estimate: start, processed: -SECOND }
    }

    fn take(&mut self, update: &goog_cc::transport::NetworkControlUpdate) {
        if let Some(target) = &update.target_rate {
            self.estimate = target.target_rate.bps() as u64;
        }
    }

    fn step(&mut self, now: Micros, sent: &[(u64, Micros, usize)], reports: &[Report]) {
        for report in reports {
            let packet_feedbacks =
                report.statuses.iter().zip(report.base as usize..).map(|(received, number)| PacketResult {
                    sent_packet: self.sent[number],
                    receive_time: received.map_or(Timestamp::plus_infinity(), timestamp),
                    ..PacketResult::default()
                });
            let feedback = TransportPacketsFeedback {
                feedback_time: timestamp(now),
                packet_feedbacks: packet_feedbacks.collect(),
                ..TransportPacketsFeedback::default()
            };
            let update = self.controller.on_transport_packets_feedback(feedback);
            self.take(&update);
        }
        if now - self.processed >= 25 * MILLISECOND {
            self.processed = now;
            let update = self
                .controller
                .on_process_interval(ProcessInterval { at_time: timestamp(now), pacer_queue: None });
            self.take(&update);
        }
        for &(number, at, bytes) in sent {
            let packet = SentPacket {
                send_time: timestamp(at),
                size: DataSize::from_bytes(bytes as i64),
                sequence_number: number as i64,
                ..SentPacket::default()
            };
            self.sent.push(packet);
            let update = self.controller.on_sent_packet(packet);
            self.take(&update);
        }
    }
}

/// Runs a flow that follows our estimate, with the oracle looking on. Returns both estimates each 100 ms.
fn beside(mut link: Link, start: BitRate, demand: BitRate, seconds: i64) -> Vec<(Micros, BitRate, BitRate)> {
    let mut flow = Flow::new(start, demand);
    flow.is_probing = false;
    let mut oracle = Oracle::new(start);
    let mut both = Vec::new();
    run(&mut link, &mut [flow], seconds, |now, flows| {
        oracle.step(now - 5 * MILLISECOND, &flows[0].sent_now.clone(), &flows[0].reported_now.clone());
        if now % (100 * MILLISECOND) == 0 {
            both.push((now, flows[0].estimator.estimate(), oracle.estimate));
        }
    });
    both
}

/// By how much two estimates differ, in 1/1,000.
fn apart(ours: BitRate, theirs: BitRate) -> u64 {
    ours.abs_diff(theirs) * 1_000 / theirs.max(1)
}

#[test]
fn where_the_delay_decides_the_estimates_are_the_same() {
    let steps = Link::with_schedule(&[(0, 1_500_000), (25, 900_000)]);
    let cases = [
        ("a steady network", Link::new(1_000_000), 3_000_000, 10),
        // A queue that stands we notice sooner.
        ("a step down", steps, 3_000_000, 60),
        ("jitter", Link { jitter: 20 * MILLISECOND, ..Link::new(2_000_000) }, 3_000_000, 10),
        ("a far network", Link { delay: 150 * MILLISECOND, ..Link::new(1_200_000) }, 3_000_000, 10),
        ("little to be sent", Link::new(3_000_000), 500_000, 10),
    ];
    for (name, link, demand, most) in cases {
        let both = beside(link, 300_000, demand, 60);
        let far: Vec<_> = both.iter().filter(|(_, ours, theirs)| apart(*ours, *theirs) > most).collect();
        assert!(far.len() * 100 <= both.len(), "{name}: apart by more than {most} ‰: {far:?}");
        let sum: u64 = both.iter().map(|(_, ours, theirs)| apart(*ours, *theirs)).sum();
        let mean = sum / both.len() as u64;
        assert!(mean * 2 <= most, "{name}: apart by {mean} ‰ in the mean");
    }
}

/// Where loss decides we differ on purpose: a guess more, and less weight on the higher rate (`loss`).
#[test]
fn where_loss_decides_ours_is_no_lower() {
    for loss_permille in [50, 100, 200] {
        let both = beside(Link { loss_permille, ..Link::new(3_000_000) }, 300_000, 2_000_000, 60);
        let sums = both.iter().fold((0, 0), |sums, both| (sums.0 + both.1, sums.1 + both.2));
        assert!(sums.0 * 100 >= sums.1 * 95, "{loss_permille} ‰ lost: {sums:?}");
    }
}
