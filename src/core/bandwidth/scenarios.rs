//! What the estimate does on networks of all kinds: those of RFC 8867 that apply to one sender of media, and those that a
//! server of selected layers meets. Each has bars that it must not miss.

use super::link::{Flow, Link, Sample, run};
use super::{BitRate, MILLISECOND, Micros, SECOND};

/// More than any of the links carries.
const UNBOUNDED: BitRate = 10_000_000;
const START: BitRate = 300_000;

/// The samples between two seconds.
fn between(samples: &[Sample], from: i64, to: i64) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(move |sample| (from * SECOND..to * SECOND).contains(&sample.at))
}

fn mean(samples: &[Sample], from: i64, to: i64) -> BitRate {
    let (count, sum) =
        between(samples, from, to).fold((0, 0), |(count, sum), sample| (count + 1, sum + sample.estimate));
    sum / count
}

/// In what percentage of the samples between two seconds the estimate is between two percentages of the capacity.
fn assert_near(name: &str, samples: &[Sample], from: i64, to: i64, (low, high): (u64, u64)) {
    let near = |sample: &&Sample| {
        (sample.capacity * low..=sample.capacity * high).contains(&(sample.estimate * 100))
    };
    let (all, near) = (between(samples, from, to).count(), between(samples, from, to).filter(near).count());
    let estimates: Vec<_> = between(samples, from, to).step_by(10).map(|sample| sample.estimate).collect();
    assert!(
        near * 100 >= all * 95,
        "{name}, {from} to {to} s: {near} of {all} samples are near: {estimates:?}"
    );
}

/// How long packets wait, in the median and in the worst of 20.
fn assert_queue_is_short(name: &str, samples: &[Sample]) {
    let mut waits: Vec<_> = samples.iter().map(|sample| sample.wait / MILLISECOND).collect();
    waits.sort_unstable();
    let (median, late) = (waits[waits.len() / 2], waits[waits.len() * 95 / 100]);
    assert!(median < 50 && late < 150, "{name}: packets wait for {median} ms, {late} ms");
}

/// When the estimate is at or below the capacity for the first time after a second.
fn below_capacity_after(samples: &[Sample], from: i64) -> Micros {
    let first = between(samples, from, i64::MAX / SECOND).find(|sample| sample.estimate <= sample.capacity);
    first.map_or(Micros::MAX, |sample| sample.at - from * SECOND)
}

#[test]
fn rfc_8867_5_1_one_flow_follows_a_capacity_that_varies() {
    let mut link = Link::with_schedule(&[(0, 1_000_000), (40, 2_500_000), (60, 600_000), (80, 1_000_000)]);
    let samples = &run(&mut link, &mut [Flow::new(START, UNBOUNDED)], 100, |_, _| {})[0];
    assert_near("1 Mbit/s", samples, 6, 40, (80, 110));
    assert_near("2.5 Mbit/s", samples, 57, 60, (80, 120));
    assert_near("0.6 Mbit/s", samples, 67, 80, (75, 110));
    assert_near("1 Mbit/s again", samples, 90, 100, (80, 110));
    assert!(below_capacity_after(samples, 60) <= 2 * SECOND, "the drop is noticed");
    assert_queue_is_short("5.1", samples);
}

#[test]
fn rfc_8867_5_2_two_flows_share_a_capacity_that_varies() {
    let phases = [(0, 2_000_000), (25, 1_000_000), (50, 1_750_000), (75, 500_000), (100, 1_000_000)];
    let mut link = Link::with_schedule(&phases);
    let flows = &mut [Flow::new(START, UNBOUNDED), Flow::new(START, UNBOUNDED)];
    let samples = run(&mut link, flows, 125, |_, _| {});
    for (begin, capacity) in phases {
        let shares = [0, 1].map(|flow: usize| mean(&samples[flow], begin + 15, begin + 25));
        let sum = (shares[0] + shares[1]) * 100 / capacity;
        assert!((75..=110).contains(&sum), "from {begin} s: {shares:?} of {capacity}");
        let (less, more) = (shares[0].min(shares[1]), shares[0].max(shares[1]));
        assert!(less * 100 >= more * 60, "from {begin} s: {shares:?} are no fair shares");
    }
    assert_queue_is_short("5.2", &samples[0]);
}

#[test]
fn rfc_8867_5_8_a_pause_changes_nothing() {
    let mut link = Link::new(2_000_000);
    let flow = Flow::new(START, UNBOUNDED);
    let samples = &run(&mut link, &mut [flow], 100, |now, flows| {
        flows[0].demand = if (40 * SECOND..60 * SECOND).contains(&now) { 0 } else { UNBOUNDED };
    })[0];
    let before = mean(samples, 38, 40);
    let during = mean(samples, 58, 60);
    assert!(
        during * 100 >= before * 90 && during <= 2_000_000,
        "{before} before, {during} at the pause's end"
    );
    assert_near("after the pause", samples, 60, 100, (70, 115));
    assert_queue_is_short("5.8", samples);
}

/// Audio with one of three layers of video.
fn layered() -> Flow {
    let mut flow = Flow::new(START, 1_690_000);
    flow.ladder = vec![190_000, 690_000, 1_690_000];
    flow
}

#[test]
fn layers_go_down_within_two_seconds_and_up_again_within_eight() {
    let mut link = Link::with_schedule(&[(0, 2_500_000), (20, 500_000), (40, 2_500_000)]);
    let mut sent = Vec::new();
    let samples = run(&mut link, &mut [layered()], 80, |now, flows| {
        if now % (100 * MILLISECOND) == 0 {
            sent.push((now, flows[0].rate()));
        }
    });
    let when = |from: i64, wanted: BitRate| {
        let found = sent.iter().find(|(at, rate)| *at >= from * SECOND && *rate == wanted);
        found.map_or(Micros::MAX, |(at, _)| at - from * SECOND)
    };
    assert!(when(0, 1_690_000) <= 3 * SECOND, "the top layer comes soon");
    assert!(when(20, 190_000) <= 2 * SECOND, "the drop is noticed after {} µs", when(20, 190_000));
    assert!(when(40, 1_690_000) <= 8 * SECOND, "the recovery is found after {} µs", when(40, 1_690_000));
    for (from, to) in [(5, 20), (25, 40), (50, 80)] {
        let rates: Vec<_> = sent
            .iter()
            .filter(|(at, _)| (from * SECOND..to * SECOND).contains(at))
            .map(|(_, rate)| rate)
            .collect();
        let switches = rates.windows(2).filter(|pair| pair[0] != pair[1]).count() as i64;
        assert!(switches * 10 <= to - from, "{switches} switches from {from} to {to} s");
    }
    assert_queue_is_short("layers", &samples[0]);
}

#[test]
fn a_network_that_loses_a_fifth_of_everything_carries_video() {
    for seed in 1..=5 {
        for loss_permille in [50, 100, 200] {
            let random = 0x9e37_79b9_7f4a_7c15 ^ (seed << 32);
            let mut link = Link { loss_permille, random, ..Link::new(3_000_000) };
            let samples = &run(&mut link, &mut [layered()], 40, |_, _| {})[0];
            let least = between(samples, 1, 40).map(|sample| sample.estimate).min();
            assert!(least >= Some(190_000), "{loss_permille} ‰ lost, seed {seed}: {least:?} at worst");
            let late = mean(samples, 30, 40);
            let wanted = if loss_permille < 200 { 1_690_000 } else { 690_000 };
            assert!(late >= wanted, "{loss_permille} ‰ lost, seed {seed}: {late}");
        }
    }
}

#[test]
fn a_queue_too_short_for_delay_is_noticed_by_loss() {
    let mut link = Link { queue: 20 * MILLISECOND, ..Link::new(2_000_000) };
    let flows = &mut [Flow::new(START, UNBOUNDED)];
    let samples = &run(&mut link, flows, 60, |_, _| {})[0];
    assert_near("a short queue", samples, 6, 60, (80, 125));
    assert!(mean(samples, 6, 60) <= 2_200_000, "most of the time nothing is lost: {}", mean(samples, 6, 60));
    let lost = flows[0].dropped * 1_000 / (flows[0].sent_bytes / 1_000);
    assert!(lost < 60, "{lost} ‰ of all packets are lost");
}

#[test]
fn a_far_network_with_jitter_is_used() {
    for seed in 1..=5 {
        let random = 0x9e37_79b9_7f4a_7c15 ^ (seed << 32);
        let mut link =
            Link { delay: 150 * MILLISECOND, jitter: 30 * MILLISECOND, random, ..Link::new(2_000_000) };
        let samples = &run(&mut link, &mut [Flow::new(START, UNBOUNDED)], 60, |_, _| {})[0];
        assert_near("far away", samples, 10, 60, (75, 115));
        assert_queue_is_short("far away", samples);
    }
}

#[test]
fn reports_may_be_lost_too() {
    let mut link = Link::with_schedule(&[(0, 1_000_000), (30, 500_000)]);
    let mut flow = Flow::new(START, UNBOUNDED);
    flow.reports_lost_permille = 200;
    let samples = &run(&mut link, &mut [flow], 60, |_, _| {})[0];
    assert_near("a fifth of the reports lost", samples, 10, 30, (75, 115));
    assert_near("and less capacity", samples, 40, 60, (70, 115));
    assert_queue_is_short("reports lost", samples);
}

#[test]
fn when_nothing_is_reported_any_more_less_is_sent() {
    let mut link = Link::new(2_000_000);
    let samples = &run(&mut link, &mut [Flow::new(START, UNBOUNDED)], 40, |now, flows| {
        flows[0].reports_lost_permille = if (20 * SECOND..35 * SECOND).contains(&now) { 1_000 } else { 0 };
    })[0];
    let (before, soon, late) = (mean(samples, 19, 20), mean(samples, 21, 22), mean(samples, 34, 35));
    assert!(
        (95..=105).contains(&(before * 100 / soon)),
        "an outage of two seconds is waited for: {before}, {soon}"
    );
    assert!(late * 4 < before, "{before} before, {late} after fifteen seconds");
    assert!(mean(samples, 39, 40) > late, "it comes back");
}

#[test]
fn the_same_network_gives_the_same_estimates() {
    let estimates = || {
        let mut link = Link { loss_permille: 30, jitter: 10 * MILLISECOND, ..Link::new(1_500_000) };
        let samples = run(&mut link, &mut [layered()], 20, |_, _| {});
        samples[0].iter().map(|sample| sample.estimate).collect::<Vec<_>>()
    };
    assert_eq!(estimates(), estimates());
}
