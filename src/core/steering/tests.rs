//! Decisions for one viewer: what is given at once, what is taken, and what has to be tried.

use super::*;

const LADDER: [(usize, u64, u64); 3] = [(2, 180, 150_000), (0, 360, 500_000), (1, 720, 1_500_000)];
const SECOND: u64 = 1_000;
const ENCODINGS: usize = 3;

fn camera(track: u64, rank: u32, sizes: usize) -> Wanted {
    let step = |(rank, height, cost): &(usize, u64, u64)| Step::whole(*rank, *height, *cost);
    let steps = LADDER[..sizes].iter().map(step).collect();
    Wanted { track: TrackId(track), class: Class::Camera, rank, weight: 4, steps }
}

/// A viewer, and what their network is said to carry.
struct Viewer {
    steering: Steering,
    start: Instant,
    ms: u64,
    settings: BandwidthSettings,
    link: Link,
    audio: u64,
    wanted: Vec<Wanted>,
    /// All verdicts, with their times in ms.
    told: Vec<(u64, Verdict<TrackId>)>,
    padding: u64,
    next: Option<u64>,
}

impl Viewer {
    fn new(estimate: u64, wanted: Vec<Wanted>) -> Self {
        let round_trip = Duration::from_millis(50);
        let link = Link {
            estimate,
            acknowledged: None,
            reports: 0,
            limited_by: Some(Reason::Open),
            loss_millionths: 0,
            round_trip,
            is_probed: false,
        };
        let settings = BandwidthSettings { minimum: 0, ..BandwidthSettings::default() };
        let (start, told) = (Instant::now(), Vec::new());
        let steering = Steering::default();
        let mut viewer =
            Self { steering, start, ms: 0, settings, link, audio: 0, wanted, told, padding: 0, next: None };
        viewer.decide();
        viewer
    }

    fn decide(&mut self) {
        let now = self.start + Duration::from_millis(self.ms);
        let view = View { link: Some(self.link), audio: self.audio, wanted: self.wanted.clone() };
        let outcome = self.steering.decide(now, &self.settings, &view);
        self.told.extend(outcome.verdicts.iter().map(|verdict| (self.ms, *verdict)));
        self.padding = outcome.padding;
        self.next = outcome.next.map(|at| at.saturating_duration_since(self.start).as_millis() as u64);
        assert!(self.next.is_none_or(|next| next > self.ms), "it does not spin");
    }

    fn carries(&mut self, estimate: u64) {
        self.link.estimate = estimate;
        self.decide();
    }

    /// Lets time pass, deciding whenever that was asked for. `grows` says what the network carries then.
    fn run(&mut self, ms: u64, grows: impl Fn(&mut Self)) {
        let end = self.ms + ms;
        while let Some(next) = self.next.filter(|next| *next <= end) {
            self.ms = next;
            grows(self);
            self.decide();
        }
        self.ms = end;
    }

    fn last_told(&self) -> u64 {
        self.told.last().map_or(0, |(ms, _)| *ms)
    }

    /// How many sizes of each track are given; 9 stands for all that fit.
    fn shown(&self) -> Vec<u32> {
        let of = |wanted: &Wanted| match self.steering.allowance(wanted.track).0 {
            Allowance::Everything => 9,
            Allowance::Only(caps) => {
                (0..ENCODINGS).filter(|rank| caps.of_rank(*rank).is_some()).count() as u32
            }
            Allowance::Nothing => 0,
        };
        self.wanted.iter().map(of).collect()
    }
}

#[test]
fn what_fits_with_a_margin_is_given_at_once() {
    for (estimate, shown) in [
        (2_000_000, 9),
        (1_667_000, 9),
        (1_650_000, 2),
        (556_000, 2),
        (550_000, 1),
        (167_000, 1),
        (160_000, 0),
    ] {
        assert_eq!(Viewer::new(estimate, vec![camera(1, 0, 3)]).shown(), [shown], "{estimate}");
    }
    let viewer = Viewer::new(2_000_000, vec![camera(1, 0, 3)]);
    assert_eq!((viewer.next, viewer.padding, viewer.told.len()), (None, 0, 0), "nobody has to wake for that");
}

#[test]
fn less_is_given_at_once_and_more_after_a_trial() {
    let mut viewer = Viewer::new(2_000_000, vec![camera(1, 0, 3)]);
    viewer.ms = SECOND;
    viewer.carries(700_000);
    assert_eq!(
        (viewer.shown(), viewer.told.as_slice()),
        (vec![2], &[(1_000, Verdict::Lowered(TrackId(1)))][..])
    );
    viewer.ms = 2 * SECOND;
    viewer.carries(2_000_000);
    assert_eq!((viewer.shown(), viewer.next), (vec![2], Some(4_000)), "not within three seconds");
    viewer.run(2_050, |_| ());
    assert_eq!(viewer.told[1..], [(4_000, Verdict::Trial(1_500_000))]);
    assert_eq!((viewer.shown(), viewer.padding), (vec![2], 1_500_000));
    let sought = viewer.steering.allowance(TrackId(1)).1;
    assert!((0..ENCODINGS).all(|rank| sought.permits(rank)), "the publisher is to send it");
    viewer.run(2_000, |_| ());
    assert_eq!(viewer.told[2..], [(5_000, Verdict::Raised(TrackId(1)))]);
    assert_eq!(viewer.shown(), [9]);
    viewer.run(60 * SECOND, |_| ());
    assert_eq!((viewer.padding, viewer.next), (0, None), "padding ends when the picture has come");
}

#[test]
fn a_trial_lasts_five_round_trips_on_a_long_way() {
    let mut viewer = Viewer::new(700_000, vec![camera(1, 0, 3)]);
    viewer.link.round_trip = Duration::from_millis(500);
    viewer.carries(2_000_000);
    viewer.run(2_400, |_| ());
    assert_eq!(viewer.shown(), [2]);
    viewer.run(200, |_| ());
    assert_eq!(viewer.shown(), [9]);
}

#[test]
fn a_trial_that_is_not_borne_changes_nothing_and_the_next_waits_longer_each_time() {
    let mut viewer = Viewer::new(700_000, vec![camera(1, 0, 3)]);
    for _ in 0..6 {
        viewer.carries(2_000_000);
        let begun = viewer.told.len();
        viewer.run(100 * SECOND, |viewer| {
            // As soon as padding comes, the line turns out to be narrow.
            if viewer.padding > 0 {
                viewer.link.estimate = 800_000;
            }
        });
        assert!(viewer.told.len() > begun, "it was tried");
        assert_eq!(viewer.shown(), [2]);
    }
    let failed = viewer.told.iter().filter_map(|(_, verdict)| match verdict {
        Verdict::Failed(_, wait) => Some(wait.as_secs()),
        _ => None,
    });
    let failed: Vec<u64> = failed.take(6).collect();
    assert_eq!(failed, [5, 10, 20, 40, 60, 60]);
}

#[test]
fn an_estimate_that_stands_still_is_reached_beyond_by_a_quarter_at_a_time() {
    let mut viewer = Viewer::new(700_000, vec![camera(1, 0, 3)]);
    viewer.run(4_900, |_| ());
    assert_eq!((viewer.padding, viewer.told.len()), (0, 1), "it may grow by itself");
    viewer.run(200, |_| ());
    assert_eq!(viewer.padding, 875_000);
    // The network bears what is sent, and the estimate follows slowly.
    viewer.run(30 * SECOND, |viewer| {
        let follows = viewer.link.estimate + viewer.link.estimate / 100;
        viewer.link.estimate = if viewer.padding > 0 { follows.min(2_500_000) } else { viewer.link.estimate };
        assert!(viewer.padding <= viewer.link.estimate * 5 / 4);
    });
    assert_eq!(viewer.shown(), [9]);
}

#[test]
fn nothing_is_tried_on_a_line_that_is_full() {
    for reason in [Reason::Delay, Reason::Loss] {
        let mut viewer = Viewer::new(700_000, vec![camera(1, 0, 3)]);
        viewer.link.limited_by = Some(reason);
        viewer.decide();
        viewer.run(60 * SECOND, |viewer| assert_eq!(viewer.padding, 0));
        assert_eq!(viewer.shown(), [2]);
    }
}

#[test]
fn the_least_is_not_paused_as_long_as_it_gets_through() {
    let mut viewer = Viewer::new(1_000_000, vec![camera(1, 0, 3)]);
    viewer.link.limited_by = Some(Reason::Delay);
    viewer.carries(160_000);
    assert_eq!(viewer.shown(), [1]);
    // A probe has filled the queue, and the estimate falls below what is sent, all of which arrives.
    viewer.link.acknowledged = Some(149_000);
    viewer.carries(125_000);
    assert_eq!(viewer.shown(), [1]);
    viewer.carries(70_000);
    assert_eq!(viewer.shown(), [0], "that is too little to believe it");
    let mut viewer = Viewer::new(160_000, vec![camera(1, 0, 1)]);
    viewer.carries(180_000);
    viewer.link.acknowledged = Some(120_000);
    viewer.carries(125_000);
    assert_eq!(viewer.shown(), [0], "not all of it arrives");
}

#[test]
fn what_gets_through_although_packets_wait_is_kept_for_a_moment() {
    let strained = |reason, through| {
        let mut viewer = Viewer::new(700_000, vec![camera(1, 0, 3)]);
        viewer.link.limited_by = Some(reason);
        viewer.link.acknowledged = through;
        viewer.carries(450_000);
        viewer
    };
    let mut viewer = strained(Reason::Delay, Some(495_000));
    viewer.run(1_400, |_| ());
    assert_eq!(viewer.shown(), [2], "others may have filled the line for a trial");
    viewer.carries(520_000);
    viewer.run(10 * SECOND, |_| ());
    assert_eq!((viewer.shown(), viewer.told.len()), (vec![2], 1), "they have ended it");
    viewer.carries(450_000);
    assert_eq!(viewer.shown(), [2], "and begun another one");
    // No report changes anything from now on.
    viewer.run(1_600, |_| ());
    assert_eq!(viewer.shown(), [1], "it is the line that has become narrow");
    for (reason, through) in
        [(Reason::Delay, Some(450_000)), (Reason::Delay, None), (Reason::Loss, Some(495_000))]
    {
        assert_eq!(strained(reason, through).shown(), [1], "{reason:?} {through:?}");
    }
}

#[test]
fn a_modest_step_is_tried_soon_however_often_larger_ones_have_failed() {
    let mut viewer = Viewer::new(700_000, vec![camera(1, 0, 3)]);
    viewer.run(200 * SECOND, |viewer| {
        viewer.link.estimate = if viewer.padding > 0 { 600_000 } else { 2_000_000 };
    });
    assert!(viewer.told.contains(&(viewer.last_told(), Verdict::Failed(1_500_000, Duration::from_secs(60)))));
    // For a moment nothing gets through; then it is the same line again.
    viewer.carries(100_000);
    assert_eq!(viewer.shown(), [0]);
    let (paused, tried) = (viewer.ms, viewer.told.len());
    viewer.carries(1_000_000);
    viewer.run(12 * SECOND, |_| ());
    assert_eq!(viewer.told[tried..][0], (paused + 10 * SECOND, Verdict::Trial(150_000)));
    assert_eq!(viewer.shown(), [1]);
}

#[test]
fn when_everything_is_paused_it_finds_its_way_back() {
    let mut viewer = Viewer::new(1_000_000, vec![camera(1, 0, 3), camera(2, 1, 3)]);
    viewer.audio = 40_000;
    viewer.ms = SECOND;
    viewer.carries(90_000);
    assert_eq!(viewer.shown(), [0, 0]);
    // With padding the estimate grows.
    viewer.run(60 * SECOND, |viewer| {
        viewer.link.acknowledged = Some(viewer.padding.max(40_000));
        viewer.link.reports += 1;
        if viewer.padding > 0 {
            viewer.link.estimate = (viewer.link.estimate * 102 / 100).min(1_000_000);
        }
    });
    assert_eq!(viewer.shown(), [2, 1], "{:?}", viewer.told);
    assert!(viewer.told.contains(&(1_000, Verdict::Paused(TrackId(2)))));
}

#[test]
fn where_padding_does_not_get_through_a_picture_is_tried() {
    let mut viewer = Viewer::new(1_000_000, vec![camera(1, 0, 3)]);
    viewer.link.limited_by = Some(Reason::Told);
    viewer.ms = SECOND;
    viewer.carries(50_000);
    assert_eq!(viewer.shown(), [0]);
    viewer.run(9_500, |_| ());
    assert_eq!(viewer.shown(), [1], "{:?}", viewer.told);
    // The client hears it, and tells that it can receive more.
    viewer.carries(300_000);
    viewer.run(20 * SECOND, |_| ());
    assert_eq!(viewer.shown(), [1]);
    // Or it does not.
    viewer.carries(50_000);
    assert_eq!(viewer.shown(), [0]);
    viewer.run(60 * SECOND, |_| ());
    let tried = viewer.told.iter().filter(|(_, verdict)| matches!(verdict, Verdict::Resumed(_))).count();
    assert!((2..8).contains(&tried), "{:?}", viewer.told);
}

#[test]
fn no_picture_is_tried_where_padding_has_shown_that_the_line_is_too_narrow() {
    let mut viewer = Viewer::new(1_000_000, vec![camera(1, 0, 3)]);
    viewer.audio = 40_000;
    viewer.ms = SECOND;
    viewer.carries(60_000);
    viewer.run(120 * SECOND, |viewer| {
        let sent = viewer.padding.max(40_000);
        viewer.link.acknowledged = Some(sent.min(100_000));
        viewer.link.reports += 1;
        let is_full = sent > 100_000;
        viewer.link.limited_by = Some(if is_full { Reason::Delay } else { Reason::Open });
        let grown = (viewer.link.estimate * 102 / 100).min(120_000);
        viewer.link.estimate = if is_full { 90_000 } else { grown };
    });
    assert_eq!(viewer.shown(), [0], "{:?}", viewer.told);
    let resumed = viewer.told.iter().any(|(_, verdict)| matches!(verdict, Verdict::Resumed(_)));
    assert!(!resumed, "{:?}", viewer.told);
}

#[test]
fn audio_never_pays_for_video() {
    let mut viewer = Viewer::new(2_000_000, vec![camera(1, 0, 3)]);
    for (audio, shown) in [(0, 2), (100_000, 2), (300_000, 1), (600_000, 0)] {
        viewer.audio = audio;
        viewer.carries(650_000);
        assert_eq!(viewer.shown(), [shown], "{audio}");
    }
}

#[test]
fn repeats_are_kept_room_for() {
    let mut viewer = Viewer::new(600_000, vec![camera(1, 0, 3)]);
    assert_eq!(viewer.shown(), [2]);
    viewer.link.loss_millionths = 100_000;
    viewer.carries(540_000);
    assert_eq!(viewer.shown(), [2], "it may be from before");
    viewer.ms = 5 * SECOND;
    viewer.decide();
    assert_eq!(viewer.shown(), [1], "a tenth is sent again");
}

#[test]
fn the_first_in_rank_keeps_its_picture_and_screens_come_before_all() {
    let mut viewer = Viewer::new(2_000_000, vec![camera(1, 1, 3), camera(2, 0, 3)]);
    viewer.carries(200_000);
    assert_eq!(viewer.shown(), [0, 1]);
    viewer.wanted.push(Wanted { class: Class::Screen, ..camera(3, 0, 3) });
    viewer.decide();
    assert_eq!(viewer.shown(), [0, 0, 1]);
}

#[test]
fn whoever_has_more_weight_is_raised_first() {
    let mut viewer = Viewer::new(3_000_000, vec![camera(1, 1, 3), camera(2, 0, 3)]);
    viewer.wanted[0].weight = 8;
    viewer.carries(700_000);
    assert_eq!(viewer.shown(), [2, 1]);
}

#[test]
fn a_larger_tile_and_a_new_track_are_shown_at_once_if_they_fit() {
    let mut viewer = Viewer::new(2_000_000, vec![camera(1, 0, 1)]);
    viewer.ms = SECOND;
    viewer.wanted[0] = camera(1, 0, 3);
    viewer.decide();
    assert_eq!((viewer.shown(), viewer.told.len()), (vec![9], 0));
    viewer.wanted.push(camera(2, 1, 3));
    viewer.decide();
    assert_eq!(viewer.shown(), [2, 2], "and those who are there make room for it");
}

#[test]
fn a_cost_that_grows_beyond_the_budget_lowers_at_once() {
    let mut viewer = Viewer::new(1_700_000, vec![camera(1, 0, 3)]);
    assert_eq!(viewer.shown(), [9]);
    viewer.wanted[0].steps[2].cost = 1_650_000;
    viewer.decide();
    assert_eq!(viewer.shown(), [9], "what is shown may use the margin");
    viewer.wanted[0].steps[2].cost = 1_750_000;
    viewer.decide();
    assert_eq!(viewer.shown(), [2]);
}

#[test]
fn the_minimum_counts_until_something_speaks_against_it() {
    let mut viewer = Viewer::new(2_000_000, vec![camera(1, 0, 3)]);
    viewer.settings.minimum = 600_000;
    viewer.carries(300_000);
    assert_eq!(viewer.shown(), [2], "nothing has shown that it is so little");
    viewer.link.limited_by = Some(Reason::Delay);
    viewer.decide();
    assert_eq!(viewer.shown(), [1]);
    viewer.link.limited_by = Some(Reason::Open);
    viewer.decide();
    viewer.run(SECOND, |_| ());
    assert_eq!(viewer.shown(), [1], "that is remembered");
}

#[test]
fn in_an_outage_the_least_is_sent_so_that_its_end_is_noticed() {
    let mut viewer = Viewer::new(2_000_000, vec![camera(1, 0, 3), camera(2, 1, 3)]);
    viewer.link.limited_by = Some(Reason::Stalled);
    viewer.carries(20_000);
    assert_eq!(viewer.shown(), [1, 1]);
}

#[test]
fn who_tells_nothing_gets_what_they_want() {
    let mut viewer = Viewer::new(200_000, vec![camera(1, 0, 3)]);
    assert_eq!(viewer.shown(), [1]);
    let view = View { link: None, audio: 0, wanted: viewer.wanted.clone() };
    assert_eq!(viewer.steering.decide(viewer.start, &viewer.settings, &view), Outcome::default());
    assert_eq!(viewer.shown(), [9]);
    assert!(!viewer.steering.is_busy());
    let at = |ms| viewer.start + Duration::from_millis(ms);
    assert!(viewer.steering.believes(at(0), false) && viewer.steering.believes(at(9_000), true));
    assert!(viewer.steering.believes(at(10_999), true) && !viewer.steering.believes(at(11_000), true));
}

#[test]
fn by_thresholds_all_tracks_are_shown_alike_whatever_they_cost() {
    let mut viewer = Viewer::new(2_000_000, vec![camera(1, 0, 3), camera(2, 1, 3), camera(3, 1, 1)]);
    viewer.settings.policy = LayerPolicy::Thresholds;
    viewer.decide();
    assert_eq!(viewer.shown(), [9, 9, 9]);
    viewer.ms = 10 * SECOND;
    viewer.carries(900_000);
    assert_eq!(viewer.shown(), [2, 2, 9]);
    viewer.carries(100_000);
    assert_eq!(viewer.shown(), [1, 1, 9]);
    viewer.carries(1_600_000);
    assert_eq!(viewer.shown(), [1, 1, 9], "up with patience");
    viewer.run(20 * SECOND, |_| ());
    assert_eq!(viewer.shown(), [9, 9, 9]);
    viewer.settings.policy = LayerPolicy::LossThresholds;
    viewer.link.loss_millionths = 20_000;
    viewer.decide();
    assert_eq!(viewer.shown(), [2, 2, 9]);
}

#[test]
fn the_same_questions_have_the_same_answers() {
    let play = || {
        let mut viewer = Viewer::new(1_000_000, vec![camera(1, 0, 3), camera(2, 1, 3)]);
        let mut draw = 7_u64;
        for _ in 0..500 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            viewer.link.estimate = 20_000 + (draw >> 33) % 3_000_000;
            let reasons = [Reason::Open, Reason::Delay, Reason::Loss, Reason::Stalled];
            viewer.link.limited_by = Some(reasons[(draw >> 20) as usize % 4]);
            viewer.decide();
            viewer.run((draw >> 40) % 4_000, |_| ());
            let cost: u64 = viewer.wanted.iter().zip(viewer.shown()).fold(0, |sum, (wanted, shown)| {
                sum + shown.min(3).checked_sub(1).map_or(0, |top| wanted.steps[top as usize].cost)
            });
            let is_stalled = viewer.link.limited_by == Some(Reason::Stalled);
            let is_trusted = is_stalled || viewer.steering.trusted.is_some();
            let is_kept = viewer.steering.strained_since.is_some() && cost / 2 <= viewer.link.estimate;
            assert!(cost <= viewer.link.estimate || is_trusted || is_kept);
        }
        viewer.told
    };
    assert_eq!(play(), play());
}
