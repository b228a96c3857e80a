//! Padding: packets that carry nothing new, sent to find out what the network carries. [`PaddingControl`] says when one is
//! to be sent; what is in it is the slot's matter.
//!
//! There are two reasons for padding. **A target**: all that is sent together is filled up to a rate, to see whether the
//! network carries that rate before media depends on it. **A probe**: a few packets at a much higher rate, of which the
//! estimator learns within a round trip. Media that is sent during a probe is part of it.
//!
//! Padding leaves in bursts, on the grid of [`PACING_STEP`](crate::core::timers::PACING_STEP), and never without a reason.

use super::bucket::{Bucket, bits_in};
use crate::core::bandwidth::probes::{ProbeCluster, ProbeId};
use crate::core::bandwidth::{BitRate, MILLISECOND, Micros, SECOND};

/// What a burst covers: the time until the next one.
const STEP: Micros = 5 * MILLISECOND;
/// What was not sent of the target for longer than this is not made up for: two steps.
const TARGET_BURST: Micros = 10 * MILLISECOND;
/// What media takes beyond the target is made up for by less padding, for this long.
const TARGET_DEBT: Micros = 500 * MILLISECOND;
/// A probe lasts at least as long.
const PROBE_TIME: Micros = 15 * MILLISECOND;
/// A probe whose next burst is later than this is given up: it does not have its rate any more.
const PROBE_LATE: Micros = 10 * MILLISECOND;
/// The longest that a probe can need with the fewest packets.
const PROBE_TIME_MAX: Micros = 500 * MILLISECOND;
/// Where no slot can carry padding, it is looked again after this time.
const REFUSED_TIME: Micros = SECOND;

/// A probe that is being sent.
#[derive(Debug, Clone, Copy)]
struct Running {
    cluster: ProbeCluster,
    begun: Micros,
    /// When its last burst was sent.
    last: Micros,
    packets: u32,
    bytes: u64,
}

impl Running {
    /// Whether more of it is to be sent by now.
    fn wants(&self, now: Micros) -> bool {
        let bits = i64::try_from(self.bytes * 8).unwrap_or(i64::MAX);
        bits < bits_in(self.cluster.rate, now - self.begun + STEP)
    }

    fn is_complete(&self, now: Micros) -> bool {
        self.packets >= self.cluster.packets
            && self.bytes >= self.cluster.bytes
            && now - self.begun >= PROBE_TIME
    }
}

/// Decides when padding is sent on one transport.
#[derive(Debug, Default)]
pub struct PaddingControl {
    target: BitRate,
    bucket: Bucket,
    probe: Option<Running>,
    /// No slot could carry padding: none is tried before.
    refused_until: Option<Micros>,
}

impl PaddingControl {
    /// Fills all that is sent up to that rate from now on, bits per second; 0 stands for no padding.
    pub fn set_target(&mut self, now: Micros, target: BitRate) {
        if self.target == 0 {
            self.bucket.drain(now);
        }
        self.target = target;
    }

    /// The rate that is filled up to, bits per second; 0 if none is.
    pub fn target(&self) -> BitRate {
        self.target
    }

    /// Takes note of a packet that is sent, whatever it is for.
    #[inline]
    pub fn on_sent(&mut self, bytes: usize) {
        if self.target > 0 {
            self.bucket.take(bytes, self.target, TARGET_DEBT);
        }
        if let Some(probe) = &mut self.probe {
            probe.packets += 1;
            probe.bytes += bytes as u64;
        }
    }

    /// The probe that all packets belong to which are sent now.
    #[inline]
    pub fn probe(&self) -> Option<ProbeId> {
        self.probe.map(|probe| probe.cluster.id)
    }

    /// Begins a step of the grid. Returns whether a probe had to be given up because this step is late.
    pub fn begin_step(&mut self, now: Micros) -> bool {
        if self.target > 0 {
            self.bucket.fill(now, self.target, TARGET_BURST);
        }
        let is_late = self
            .probe
            .is_some_and(|probe| now - probe.last > STEP + PROBE_LATE || now - probe.begun > PROBE_TIME_MAX);
        if is_late {
            self.probe = None;
        }
        if let Some(probe) = &mut self.probe {
            probe.last = now;
        }
        is_late
    }

    /// Begins a probe, in the step that has begun.
    pub fn begin_probe(&mut self, now: Micros, cluster: ProbeCluster) {
        self.probe = Some(Running { cluster, begun: now, last: now, packets: 0, bytes: 0 });
    }

    /// Gives up the probe that is being sent, if there is one. Returns whether there was.
    pub fn give_up_probe(&mut self) -> bool {
        self.probe.take().is_some()
    }

    /// Whether more of a probe is to be sent in this step.
    pub fn probe_wants(&self, now: Micros) -> bool {
        self.probe.is_some_and(|probe| probe.wants(now))
    }

    /// Whether one more packet of padding is to be sent in this step.
    pub fn wants(&self, now: Micros) -> bool {
        self.probe_wants(now) || (self.target > 0 && self.bucket.is_open())
    }

    /// Ends a step. Returns whether a probe is complete now.
    pub fn end_step(&mut self, now: Micros) -> bool {
        let is_complete = self.probe.is_some_and(|probe| probe.is_complete(now));
        if is_complete {
            self.probe = None;
        }
        is_complete
    }

    /// Notes that no slot can carry padding just now.
    pub fn refuse(&mut self, now: Micros) {
        self.probe = None;
        self.refused_until = Some(now + REFUSED_TIME);
    }

    /// Returns from when on there is something to be done at each step; `None` if there is nothing. `has_probe` says that one
    /// waits to be begun.
    pub fn due(&self, now: Micros, has_probe: bool) -> Option<Micros> {
        let has_reason = self.target > 0 || has_probe || self.probe.is_some();
        has_reason.then(|| self.refused_until.map_or(now, |until| until.max(now)))
    }

    /// Whether padding can be tried.
    pub fn may_try(&self, now: Micros) -> bool {
        self.refused_until.is_none_or(|until| now >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs steps for `millis`, in each of which media of so many bytes is sent first. Returns the bytes of padding in each,
    /// in packets of `packet` bytes.
    fn run(
        control: &mut PaddingControl,
        millis: i64,
        packet: usize,
        media: impl Fn(i64) -> usize,
    ) -> Vec<usize> {
        let mut padding = Vec::new();
        for step in 0..millis / 5 {
            let now = step * STEP;
            control.begin_step(now);
            let bytes = media(step);
            if bytes > 0 {
                control.on_sent(bytes);
            }
            let mut sent = 0;
            while control.wants(now) {
                control.on_sent(packet);
                sent += packet;
            }
            control.end_step(now);
            padding.push(sent);
        }
        padding
    }

    fn padded_to(rate: BitRate) -> PaddingControl {
        let mut control = PaddingControl::default();
        control.set_target(0, rate);
        control
    }

    #[test]
    fn what_is_sent_is_filled_up_to_the_target() {
        for media in [0, 100, 400] {
            let padding = run(&mut padded_to(1_000_000), 2_000, 300, |_| media);
            let total = padding.iter().sum::<usize>() + media * 400;
            assert!((245_000..=255_000).contains(&total), "{media} bytes each 5 ms, {total} in 2 s");
        }
    }

    #[test]
    fn who_sends_more_than_the_target_needs_no_padding() {
        assert_eq!(run(&mut padded_to(1_000_000), 2_000, 300, |_| 700).iter().sum::<usize>(), 0);
        assert_eq!(run(&mut padded_to(0), 2_000, 300, |_| 0).iter().sum::<usize>(), 0);
    }

    #[test]
    fn a_key_frame_is_made_up_for() {
        let padding = run(&mut padded_to(1_000_000), 1_000, 300, |step| if step == 100 { 12_500 } else { 0 });
        assert_eq!(padding[101..119].iter().sum::<usize>(), 0, "100 ms of it have been sent");
        assert!(padding[122..].iter().sum::<usize>() > 45_000);
    }

    #[test]
    fn a_late_step_makes_up_for_little() {
        let mut control = padded_to(1_000_000);
        control.begin_step(SECOND);
        let mut sent = 0;
        while control.wants(SECOND) {
            control.on_sent(100);
            sent += 100;
        }
        assert_eq!(sent, 1_300, "10 ms, and a packet more");
    }

    fn cluster(rate: BitRate) -> ProbeCluster {
        ProbeCluster { id: ProbeId::FIRST, rate, packets: 5, bytes: rate * 15 / 8_000 }
    }

    #[test]
    fn a_probe_has_its_rate_and_its_length() {
        let cases = [(3_000_000, 1_000, 4), (500_000, 250, 4), (20_000_000, 1_200, 4)];
        for (rate, packet, steps) in cases {
            let mut control = PaddingControl::default();
            control.begin_probe(0, cluster(rate));
            let padding = run(&mut control, 100, packet, |_| 0);
            let used = padding.iter().rposition(|bytes| *bytes > 0).expect("it is sent") + 1;
            assert_eq!(used, steps, "{rate}: {padding:?}");
            let bits = 8 * (padding.iter().sum::<usize>() as u64 - packet as u64);
            let sent = bits * 1_000 / ((steps as u64 - 1) * 5);
            assert!(sent * 10 >= rate * 9, "sent at {sent} of {rate}");
            assert_eq!(control.probe(), None, "it is over");
        }
    }

    #[test]
    fn media_is_part_of_a_probe() {
        let mut control = PaddingControl::default();
        control.begin_probe(0, cluster(3_000_000));
        let padding = run(&mut control, 100, 100, |_| 1_875);
        assert_eq!(padding.iter().sum::<usize>(), 0, "media alone has the rate");
        assert_eq!(control.probe(), None);
    }

    #[test]
    fn a_probe_that_is_late_is_given_up() {
        let mut control = PaddingControl::default();
        control.begin_probe(0, cluster(3_000_000));
        assert!(!control.begin_step(14 * MILLISECOND));
        assert!(control.begin_step(30 * MILLISECOND));
        assert!(!control.wants(30 * MILLISECOND));
    }

    #[test]
    fn where_nothing_can_carry_padding_it_is_tried_once_a_second() {
        let mut control = padded_to(1_000_000);
        assert_eq!(control.due(7, false), Some(7));
        control.refuse(7);
        assert!(!control.may_try(8));
        assert_eq!(control.due(8, true), Some(7 + SECOND));
        control.set_target(9, 0);
        assert_eq!(control.due(9, false), None, "without a reason nobody is woken");
    }
}
