//! Networks that lose packets by accident, and networks that are full: what the estimate by loss makes of each.

use super::*;
use crate::core::bandwidth::MILLISECOND;

/// A sender that sends at its estimate by loss, over a link that loses what exceeds `capacity` and one packet in `one_in`.
/// The delay never says anything: by it, 2 Mbit/s are possible. Returns the estimate after that many seconds.
fn run(seconds: i64, capacity: BitRate, one_in: u64, rate: Option<BitRate>) -> LossBased {
    let mut loss = LossBased::default();
    let (mut sequence, mut debt, mut passed) = (0u64, 0u64, 0u64);
    for report in 0..seconds * 20 {
        let rate = rate.unwrap_or_else(|| loss.estimate().unwrap_or(1_000_000));
        let results: Vec<_> = (0..50)
            .filter_map(|millisecond| {
                debt += rate / 1_000;
                passed += capacity / 1_000;
                if debt < 8_000 {
                    return None;
                }
                debt -= 8_000;
                sequence += 1;
                let came = passed >= 8_000 && !sequence.is_multiple_of(one_in);
                passed = if came { passed - 8_000 } else { passed }.min(16_000);
                let sent = (report * 50 + millisecond) * MILLISECOND;
                Some(PacketResult {
                    sequence,
                    sent,
                    received: came.then_some(sent),
                    bytes: 1_000,
                    unreported: 0,
                    probe: None,
                })
            })
            .collect();
        let acknowledged = rate.min(capacity) * (one_in - 1) / one_in;
        loss.update(&results, Some(2_000_000), Some(acknowledged), false);
    }
    loss
}

#[test]
fn without_loss_there_is_no_limit() {
    let loss = run(10, 10_000_000, 1_000_000, None);
    assert_eq!((loss.state(), loss.estimate()), (LossState::DelayBased, Some(2_000_000)));
}

#[test]
fn a_network_that_loses_a_fifth_of_everything_is_used() {
    for one_in in [20, 10, 5] {
        let loss = run(30, 10_000_000, one_in, None);
        let estimate = loss.estimate().expect("enough was seen");
        assert!(estimate > 1_800_000, "one in {one_in} lost: {estimate}");
    }
}

#[test]
fn what_exceeds_a_capacity_is_not_sent_again() {
    for capacity in [300_000, 600_000, 1_000_000] {
        let loss = run(30, capacity, 1_000_000, None);
        let estimate = loss.estimate().expect("enough was seen");
        let (low, high) = (capacity * 85 / 100, capacity * 160 / 100);
        assert!((low..high).contains(&estimate), "{capacity}: {estimate} {:?}", loss.state());
    }
}

#[test]
fn half_of_everything_lost_is_too_much() {
    let loss = run(10, 10_000_000, 2, Some(2_000_000));
    let estimate = loss.estimate().expect("enough was seen");
    assert!((450_000..1_100_000).contains(&estimate), "what gets through, at most: {estimate}");
}

#[test]
fn nothing_is_said_before_enough_was_seen() {
    let mut loss = LossBased::default();
    assert_eq!(loss.estimate(), None);
    loss.update(&[], Some(1_000_000), None, false);
    assert_eq!((loss.estimate(), loss.loss_millionths()), (None, 0));
}
