//! DelayBased: what the delay allows. Groups, trend line and rate control put together.

use super::aimd::AimdRateControl;
use super::groups::PacketGroups;
use super::standing::StandingQueue;
use super::trendline::{Trendline, Usage};
use super::{BitRate, MILLISECOND, Micros, PacketResult, SECOND, scaled};

/// When nothing was reported for this long, what was seen before says nothing about now.
const SILENCE: Micros = 2 * SECOND;
/// While nobody knows what gets through, overuse halves the rate, as often as this.
const HALVE_AGAIN: Micros = 200 * MILLISECOND;

/// What has come lately counts beside the mean if it is more than this much of it, in 1/100.
const RECENT_PERCENT: u64 = 115;

/// What gets through, bits per second, each as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Throughput {
    /// In the mean of a second or more.
    pub mean: Option<BitRate>,
    /// In the last moments.
    pub recent: Option<BitRate>,
}

impl Throughput {
    /// What gets through at overuse. Who has sent little until shortly before, and fills the network now, would in the mean
    /// count as much too slow.
    fn at_overuse(self) -> Option<BitRate> {
        let mean = self.mean?;
        let recent = self.recent.filter(|recent| *recent > scaled(mean, RECENT_PERCENT, 100));
        Some(recent.unwrap_or(mean))
    }
}

/// What a report has led to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Update {
    /// The rate that the delay allows, if it was looked at: overuse that goes on is looked at again after a while.
    pub rate: Option<BitRate>,
    /// Whether it is what a probe found.
    pub is_probed: bool,
    /// Whether a queue that had filled is empty again.
    pub has_recovered: bool,
}

/// The estimate by delay.
#[derive(Debug)]
pub struct DelayBased {
    groups: PacketGroups,
    trendline: Trendline,
    standing: StandingQueue,
    stands: bool,
    control: AimdRateControl,
    reported: Option<Micros>,
    halved: Option<Micros>,
}

impl DelayBased {
    /// Begins with `start`, bits per second.
    pub fn new(start: BitRate) -> Self {
        Self {
            groups: PacketGroups::default(),
            trendline: Trendline::default(),
            standing: StandingQueue::default(),
            stands: false,
            control: AimdRateControl::new(start),
            reported: None,
            halved: None,
        }
    }

    /// How the network is used.
    pub fn usage(&self) -> Usage {
        match self.trendline.usage() {
            Usage::Normal if self.stands => Usage::Over,
            usage => usage,
        }
    }

    /// What the delay allows, bits per second.
    pub fn rate(&self) -> BitRate {
        self.control.rate()
    }

    /// Takes note of the round trip.
    pub fn set_round_trip(&mut self, round_trip: Micros) {
        self.control.set_round_trip(round_trip);
    }

    /// Takes the packets of a report that came, in the order of their arrival; what gets through, if that is known; and what
    /// a probe found.
    pub fn update(
        &mut self,
        now: Micros,
        arrived: &[PacketResult],
        throughput: Throughput,
        probed: Option<BitRate>,
    ) -> Update {
        let mut update = Update::default();
        if arrived.is_empty() {
            return update;
        }
        if self.reported.replace(now).is_none_or(|before| now - before > SILENCE) {
            self.groups = PacketGroups::default();
            self.trendline = Trendline::default();
        }
        self.stands = self.standing.on_report(now, arrived);
        for result in arrived {
            let Some(received) = result.received else { continue };
            let before = self.trendline.usage();
            if let Some(delta) = self.groups.on_packet(now, result.sent, received) {
                self.trendline.on_group(delta, received);
            }
            if self.groups.take_jump() {
                self.trendline.restart();
            }
            update.has_recovered |= before == Usage::Under && self.trendline.usage() == Usage::Normal;
        }
        match (self.usage(), throughput.mean, probed) {
            (Usage::Over, Some(mean), _) => {
                let carried = throughput.at_overuse().unwrap_or(mean);
                if self.control.may_decrease(now, Some(carried)) {
                    update.rate = Some(self.control.on_overuse(now, mean, carried));
                }
            }
            (Usage::Over, None, _) => {
                if self.halved.is_none_or(|halved| now - halved >= HALVE_AGAIN) {
                    self.halved = Some(now);
                    self.control.set_rate(now, self.control.rate() / 2);
                    update.rate = Some(self.control.rate());
                }
            }
            (_, _, Some(probed)) => {
                self.control.set_rate(now, probed);
                update.rate = Some(self.control.rate());
                update.is_probed = true;
            }
            (usage, mean, _) => update.rate = Some(self.control.update(now, usage, mean)),
        }
        update
    }
}
