//! The rules of where a call's media goes, as stories of people who come, move and leave.

use std::time::{Duration, Instant};

use super::*;

/// A call whose people are numbers.
struct Call {
    topology: Topology<u8>,
    now: Instant,
    /// What has happened and was not looked at yet.
    news: Vec<News<u8>>,
}

const CAPABLE: Arrival = Arrival { can_mesh: true, needs_server: false, counts: true };
const INCAPABLE: Arrival = Arrival { can_mesh: false, ..CAPABLE };

impl Call {
    fn of(settings: MeshSettings, people: u8) -> Self {
        let now = Instant::now();
        let topology = Topology::new(settings, MeshPolicy::Auto);
        let mut call = Self { topology, now, news: Vec::new() };
        (1..=people).for_each(|person| call.join(person));
        call
    }

    fn gradual(people: u8) -> Self {
        Self::of(MeshSettings::default(), people)
    }

    fn with(people: u8, strategy: Strategy) -> Self {
        Self::of(MeshSettings { strategy, ..MeshSettings::default() }, people)
    }

    /// A call of five that has grown to eight, moved to the server, and rested.
    fn on_server(people: u8, strategy: Strategy) -> Self {
        let mut call = Self::with(people, strategy);
        call.all_move();
        call.pass(6);
        assert_eq!(call.mode(), Mode::Sfu);
        call.take();
        call
    }

    fn look(&mut self) {
        self.news.extend(self.topology.take_news());
    }

    fn join(&mut self, person: u8) {
        self.join_as(person, CAPABLE);
    }

    fn join_as(&mut self, person: u8, arrival: Arrival) {
        self.topology.join(self.now, person, arrival);
        self.look();
    }

    fn leave(&mut self, person: u8) {
        self.topology.leave(self.now, person);
        self.look();
    }

    fn moves(&mut self, person: u8) {
        let number = self.topology.number;
        assert!(self.topology.migrated(self.now, person, number));
        self.look();
    }

    fn all_move(&mut self) {
        let people: Vec<u8> = self.topology.keys().collect();
        people.into_iter().for_each(|person| self.moves(person));
    }

    /// Lets time pass, and everything happen that is due meanwhile.
    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while let Some(at) = self.topology.deadline().filter(|at| *at <= end) {
            assert!(at >= self.now || self.topology.deadline() != Some(at), "time goes on");
            self.now = at.max(self.now);
            self.topology.handle_timeout(self.now);
            self.look();
        }
        self.now = end;
    }

    fn mode(&self) -> Mode {
        self.topology.mode()
    }

    fn moving_to(&self) -> Option<Mode> {
        self.topology.moving_to()
    }

    fn reason(&self) -> Reason {
        self.topology.view(self.now).reason
    }

    fn take(&mut self) -> Vec<News<u8>> {
        std::mem::take(&mut self.news)
    }

    /// How moves have ended since the last look.
    fn endings(&mut self) -> Vec<(Mode, Outcome, Reason)> {
        let ended = self.take().into_iter().filter_map(|news| match news {
            News::Ended(to, outcome, reason, _) => Some((to, outcome, reason)),
            _ => None,
        });
        ended.collect()
    }
}

#[test]
fn two_to_seven_go_straight_and_the_eighth_moves_all_to_the_server() {
    let mut call = Call::gradual(7);
    assert_eq!((call.mode(), call.moving_to()), (Mode::P2p, None));
    call.take();
    call.join(8);
    assert_eq!((call.mode(), call.moving_to()), (Mode::P2p, Some(Mode::Sfu)));
    let view = call.topology.view(call.now);
    assert_eq!((view.migration, view.left, view.reason), (1, Some(Duration::from_secs(5)), Reason::Size));
    assert_eq!(call.topology.client_mode(1), Some(ClientMode::Migrating));
    assert_eq!(call.topology.client_mode(8), Some(ClientMode::Sfu), "who is just coming goes there at once");
    (1..7).for_each(|person| call.moves(person));
    assert_eq!(call.mode(), Mode::P2p, "one is missing");
    call.moves(7);
    assert_eq!((call.mode(), call.moving_to()), (Mode::Sfu, None));
    let news = call.take();
    assert!(matches!(news[0], News::Started(Mode::Sfu, Reason::Size)), "{news:?}");
    assert!(news.contains(&News::Ended(Mode::Sfu, Outcome::Succeeded, Reason::Size, Duration::ZERO)));
    assert_eq!(news.iter().filter(|news| matches!(news, News::Tell(None, _))).count(), 2, "begin and end");
}

#[test]
fn six_and_seven_stay_where_they_are_and_five_go_straight_again() {
    let mut call = Call::on_server(8, Strategy::Gradual);
    call.leave(8);
    call.leave(7);
    assert_eq!((call.topology.count(), call.mode(), call.moving_to()), (6, Mode::Sfu, None));
    call.leave(6);
    assert_eq!(call.moving_to(), Some(Mode::P2p));
    call.all_move();
    assert_eq!((call.mode(), call.moving_to(), call.topology.number), (Mode::P2p, None, 2));
    call.pass(10);
    call.join(6);
    call.join(7);
    assert_eq!((call.mode(), call.moving_to()), (Mode::P2p, None), "the same on the way up");
}

#[test]
fn the_server_is_got_ready_from_six_on() {
    let mut call = Call::gradual(5);
    assert!(call.take().is_empty() && !call.topology.view(call.now).warm);
    call.join(6);
    let [News::Tell(None, view)] = call.take()[..] else { panic!("all are told") };
    assert!(view.warm && view.reason == Reason::Warm && view.moving_to.is_none());
    call.leave(6);
    let [News::Tell(None, view)] = call.take()[..] else { panic!("and that it is not needed") };
    assert!(!view.warm);
}

#[test]
fn a_move_that_not_all_make_in_time_is_undone_and_tried_again_later_and_later() {
    let mut call = Call::gradual(8);
    (1..7).for_each(|person| call.moves(person));
    call.take();
    call.pass(4);
    assert!(call.news.iter().any(|news| matches!(news, News::Tell(Some(7), _))), "asked again after 3 s");
    assert!(!call.news.iter().any(|news| matches!(news, News::Tell(Some(1..7), _))), "and nobody else");
    call.take();
    call.pass(1);
    assert_eq!((call.mode(), call.moving_to(), call.reason()), (Mode::P2p, None, Reason::Timeout));
    assert_eq!(call.endings(), [(Mode::Sfu, Outcome::Failed, Reason::Timeout)]);
    assert_eq!(call.topology.client_mode(1), Some(ClientMode::P2p), "also for those who had moved");
    call.pass(5);
    assert_eq!(call.moving_to(), Some(Mode::Sfu), "another try");
    call.pass(5);
    assert_eq!(call.endings(), [(Mode::Sfu, Outcome::Failed, Reason::Timeout)]);
    call.pass(9);
    assert_eq!(call.moving_to(), None, "the next one has to wait for twice as long");
    call.pass(1);
    assert_eq!(call.moving_to(), Some(Mode::Sfu));
    call.all_move();
    assert_eq!((call.mode(), call.topology.number), (Mode::Sfu, 3));
}

#[test]
fn a_hard_move_goes_on_without_those_who_do_not_follow() {
    let mut call = Call::with(8, Strategy::Hard);
    (1..7).for_each(|person| call.moves(person));
    call.pass(29);
    assert_eq!((call.mode(), call.moving_to()), (Mode::P2p, Some(Mode::Sfu)));
    let asked = call.take().into_iter().filter(|news| matches!(news, News::Tell(Some(7), _))).count();
    assert_eq!(asked, 9, "every three seconds");
    call.pass(1);
    assert_eq!((call.mode(), call.moving_to(), call.reason()), (Mode::Sfu, None, Reason::Reset));
    assert_eq!(call.endings(), [(Mode::Sfu, Outcome::Failed, Reason::Reset)]);
}

#[test]
fn a_move_is_over_after_the_longest_time_whatever_is_set() {
    let settings = MeshSettings { timeout: Duration::from_secs(60), ..MeshSettings::default() };
    let mut call = Call::of(settings, 8);
    call.take();
    call.pass(30);
    assert_eq!((call.mode(), call.reason()), (Mode::P2p, Reason::Reset));
    assert_eq!(call.endings(), [(Mode::Sfu, Outcome::Failed, Reason::Reset)]);
}

#[test]
fn a_client_that_cannot_move_has_the_move_undone_for_all() {
    for strategy in [Strategy::Gradual, Strategy::Hard, Strategy::Opportunistic] {
        let mut call = Call::with(8, strategy);
        call.moves(1);
        call.take();
        assert!(call.topology.migration_failed(call.now, 1, 1));
        call.look();
        assert_eq!((call.mode(), call.moving_to(), call.reason()), (Mode::P2p, None, Reason::ClientFailed));
        assert_eq!(call.endings(), [(Mode::Sfu, Outcome::Failed, Reason::ClientFailed)]);
        assert!(
            call.topology.migration_failed(call.now, 2, 1),
            "another one says so, too, and nothing happens"
        );
        assert!(!call.topology.migration_failed(call.now, 1, 2), "there has been no such move");
    }
}

#[test]
fn a_move_back_that_fails_leaves_all_on_the_server() {
    let mut call = Call::on_server(8, Strategy::Gradual);
    (6..=8).for_each(|person| call.leave(person));
    assert_eq!(call.moving_to(), Some(Mode::P2p));
    call.pass(6);
    assert_eq!(call.moving_to(), Some(Mode::P2p), "two who find no path to each other can say so");
    call.pass(1);
    assert_eq!((call.mode(), call.moving_to(), call.reason()), (Mode::Sfu, None, Reason::Timeout));
}

#[test]
fn who_comes_during_a_move_to_the_server_is_let_in_there_and_holds_nobody_up() {
    let mut call = Call::gradual(8);
    call.pass(4);
    call.join(9);
    assert_eq!(call.topology.client_mode(9), Some(ClientMode::Sfu));
    (1..8).for_each(|person| call.moves(person));
    assert_eq!(call.mode(), Mode::Sfu);
}

#[test]
fn who_comes_during_a_move_back_takes_part_and_gets_time_for_it() {
    let mut call = Call::on_server(8, Strategy::Gradual);
    (5..=8).for_each(|person| call.leave(person));
    call.pass(4);
    call.join(9);
    (1..=4).for_each(|person| call.moves(person));
    assert_eq!(call.moving_to(), Some(Mode::P2p), "they are waited for");
    call.pass(4);
    call.moves(9);
    assert_eq!(call.mode(), Mode::P2p);
}

#[test]
fn who_leaves_during_a_move_is_not_waited_for() {
    let mut call = Call::gradual(9);
    (1..7).for_each(|person| call.moves(person));
    assert_eq!(
        call.mode(),
        Mode::P2p,
        "the eighth and the ninth have come to the server, but the seventh has not"
    );
    call.leave(7);
    assert_eq!(call.mode(), Mode::Sfu);
}

#[test]
fn a_move_that_is_no_longer_needed_is_taken_back_where_nothing_is_broken_yet() {
    let mut call = Call::gradual(8);
    call.leave(8);
    call.leave(7);
    assert_eq!(call.moving_to(), Some(Mode::Sfu), "six are as few as on the way back");
    call.take();
    call.leave(6);
    assert_eq!((call.mode(), call.moving_to()), (Mode::P2p, None));
    assert_eq!(call.endings(), [(Mode::Sfu, Outcome::Cancelled, Reason::Size)]);

    let mut hard = Call::with(8, Strategy::Hard);
    (6..=8).for_each(|person| hard.leave(person));
    assert_eq!(hard.moving_to(), Some(Mode::Sfu), "a hard move has cut the old path already");
    hard.all_move();
    assert_eq!(hard.mode(), Mode::Sfu);
    hard.pass(5);
    assert_eq!(hard.moving_to(), Some(Mode::P2p), "and goes back after a rest");
}

#[test]
fn after_a_move_the_next_one_for_the_size_waits() {
    let mut call = Call::gradual(8);
    call.all_move();
    (6..=8).for_each(|person| call.leave(person));
    assert_eq!((call.mode(), call.moving_to()), (Mode::Sfu, None));
    call.pass(4);
    assert_eq!(call.moving_to(), None);
    call.pass(1);
    assert_eq!(call.moving_to(), Some(Mode::P2p), "by itself");
}

#[test]
fn who_cannot_mesh_takes_all_to_the_server_and_keeps_them_there() {
    let mut call = Call::gradual(3);
    call.take();
    call.join_as(9, INCAPABLE);
    assert_eq!((call.moving_to(), call.reason()), (Some(Mode::Sfu), Reason::Capability));
    (1..=3).for_each(|person| call.moves(person));
    assert_eq!(call.mode(), Mode::Sfu);
    call.pass(60);
    assert_eq!((call.mode(), call.moving_to()), (Mode::Sfu, None), "three, and still there");
    call.leave(9);
    assert_eq!(call.moving_to(), Some(Mode::P2p));
    call.moves(1);
    call.join_as(10, INCAPABLE);
    assert_eq!((call.mode(), call.moving_to()), (Mode::Sfu, None), "the way back is given up at once");
    call.leave(10);
    call.leave(1);
    call.leave(2);
    call.leave(3);
    call.join_as(11, INCAPABLE);
    assert_eq!((call.mode(), call.moving_to()), (Mode::Sfu, None), "the first one: nobody has to move");
}

#[test]
fn who_needs_the_server_though_their_client_could_is_told_to_move_like_all() {
    let mut call = Call::gradual(2);
    call.topology.set_needs_server(call.now, 2, true);
    call.look();
    assert_eq!(call.moving_to(), Some(Mode::Sfu));
    call.moves(1);
    assert_eq!(call.mode(), Mode::P2p);
    call.moves(2);
    assert_eq!(call.mode(), Mode::Sfu);
    call.topology.set_needs_server(call.now, 2, false);
    call.pass(5);
    assert_eq!(call.moving_to(), Some(Mode::P2p));
}

#[test]
fn whoever_is_hidden_does_not_count() {
    let mut call = Call::gradual(7);
    call.join_as(100, Arrival { counts: false, ..CAPABLE });
    assert_eq!((call.topology.count(), call.moving_to()), (7, None));
}

#[test]
fn two_who_cannot_reach_each_other_take_all_to_the_server_while_both_are_there() {
    let mut call = Call::gradual(3);
    call.topology.mesh_failed(call.now, 2, 1);
    call.topology.mesh_failed(call.now, 1, 2);
    call.topology.mesh_failed(call.now, 1, 1);
    call.topology.mesh_failed(call.now, 1, 77);
    call.look();
    assert_eq!(
        (call.moving_to(), call.reason(), call.topology.unreachable()),
        (Some(Mode::Sfu), Reason::MeshFailed, 1)
    );
    call.all_move();
    call.pass(60);
    assert_eq!((call.mode(), call.moving_to()), (Mode::Sfu, None), "it would only fail again");
    call.leave(2);
    assert_eq!(call.moving_to(), Some(Mode::P2p));
    call.take();
    call.topology.mesh_failed(call.now, 1, 3);
    call.look();
    assert_eq!((call.mode(), call.moving_to(), call.reason()), (Mode::Sfu, None, Reason::MeshFailed));
    assert_eq!(call.endings(), [(Mode::P2p, Outcome::Failed, Reason::MeshFailed)]);
}

#[test]
fn an_opportunistic_call_keeps_the_server_ready_and_goes_back_below_five() {
    let mut call = Call::with(2, Strategy::Opportunistic);
    assert!(call.topology.view(call.now).warm, "the connection is always kept");
    (3..=8).for_each(|person| call.join(person));
    call.all_move();
    call.pass(6);
    (6..=8).for_each(|person| call.leave(person));
    assert_eq!((call.topology.count(), call.moving_to()), (5, None));
    call.leave(5);
    assert_eq!(call.moving_to(), Some(Mode::P2p));
}

#[test]
fn by_load_five_get_ready_eight_to_ten_move_when_one_has_too_much_to_do_and_eleven_in_any_case() {
    let settings = MeshSettings { sizing: Sizing::Load, warm: 5, ..MeshSettings::default() };
    let mut call = Call::of(settings, 4);
    assert!(!call.topology.view(call.now).warm);
    call.join(5);
    assert!(call.topology.view(call.now).warm);
    (6..=7).for_each(|person| call.join(person));
    call.topology.note_load(call.now, 3, 90);
    assert_eq!(call.moving_to(), None, "seven: whatever they have to do");
    call.topology.note_load(call.now, 3, 70);
    (8..=10).for_each(|person| call.join(person));
    assert_eq!(call.moving_to(), None, "ten, and nobody has more than 70 %");
    let mut larger = Call::of(settings, 11);
    assert_eq!((larger.moving_to(), larger.reason()), (Some(Mode::Sfu), Reason::Size));
    larger.all_move();
    call.topology.note_load(call.now, 4, 71);
    call.look();
    assert_eq!((call.moving_to(), call.reason()), (Some(Mode::Sfu), Reason::Load));
}

#[test]
fn forced_modes_hold_whatever_the_size() {
    let now = Instant::now();
    let mut off = Topology::new(MeshSettings::default(), MeshPolicy::Off);
    off.join(now, 1_u8, CAPABLE);
    assert_eq!((off.mode(), off.moving_to()), (Mode::Sfu, None));
    let mut always = Topology::new(MeshSettings::default(), MeshPolicy::Always);
    (0..25_u8).for_each(|person| always.join(now, person, CAPABLE));
    assert_eq!((always.mode(), always.moving_to()), (Mode::P2p, None));
    always.set_policy(now, MeshPolicy::Off);
    assert_eq!((always.moving_to(), always.view(now).reason), (Some(Mode::Sfu), Reason::Forced));
}

#[test]
fn an_operator_resets_a_call_and_may_say_which_way_it_goes() {
    let mut call = Call::gradual(8);
    call.take();
    call.topology.reset(call.now, None);
    call.look();
    assert_eq!(call.moving_to(), Some(Mode::Sfu), "decided anew, without a rest");
    assert_eq!(call.endings(), [(Mode::Sfu, Outcome::Cancelled, Reason::Reset)]);
    call.topology.reset(call.now, Some(Mode::P2p));
    assert_eq!((call.mode(), call.moving_to()), (Mode::P2p, None));
    call.pass(60);
    assert_eq!(call.moving_to(), None);
    call.topology.reset(call.now, None);
    assert_eq!(call.moving_to(), Some(Mode::Sfu));
}

#[test]
fn where_the_server_fails_all_go_straight_at_once() {
    let mut call = Call::on_server(8, Strategy::Hard);
    call.topology.server_failed(call.now);
    call.look();
    assert_eq!((call.mode(), call.moving_to(), call.reason()), (Mode::P2p, None, Reason::ServerFailed));
    call.pass(5);
    assert_eq!(call.moving_to(), Some(Mode::Sfu), "tried again");
    call.topology.server_failed(call.now);
    assert_eq!((call.mode(), call.moving_to()), (Mode::P2p, None), "during a move, too");
}

#[test]
fn who_does_not_say_that_they_go_straight_where_the_server_fails_is_asked_again_for_as_long_as_a_move_lasts()
{
    let mut call = Call::on_server(8, Strategy::Hard);
    call.leave(8);
    call.topology.server_failed(call.now);
    call.look();
    assert!(call.take().contains(&News::SentBack(Mode::Sfu, Reason::ServerFailed)));
    (1..7).for_each(|person| call.moves(person));
    assert_eq!(call.topology.client_mode(7), Some(ClientMode::Migrating));
    assert!(call.topology.migrated(call.now, 7, 1), "that they had moved to the server is no answer");
    call.pass(29);
    let asked: Vec<_> = call.take();
    assert!(asked.iter().all(|news| matches!(news, News::Tell(Some(7), view) if view.mode == Mode::P2p)));
    assert_eq!(asked.len(), 9, "every three seconds");
    call.pass(60);
    assert_eq!((call.take(), call.topology.deadline()), (Vec::new(), None));
    assert_eq!(call.topology.client_mode(7), Some(ClientMode::P2p));
}

#[test]
fn coming_twice_and_leaving_without_having_come_changes_nothing() {
    let mut call = Call::gradual(7);
    call.join(7);
    call.leave(99);
    assert_eq!((call.topology.count(), call.moving_to()), (7, None));
    call.leave(7);
    call.leave(7);
    assert_eq!(call.topology.count(), 6);
}

#[test]
fn when_nobody_is_left_the_next_ones_begin_afresh() {
    let mut call = Call::on_server(8, Strategy::Gradual);
    (1..=8).for_each(|person| call.leave(person));
    assert_eq!((call.mode(), call.moving_to(), call.topology.count()), (Mode::P2p, None, 0));
    assert_eq!(call.topology.deadline(), None);
    call.join(1);
    assert_eq!((call.mode(), call.moving_to()), (Mode::P2p, None));
    (2..=8).for_each(|person| call.join(person));
    assert_eq!(call.topology.view(call.now).migration, 3, "numbers go on");
}

#[test]
fn whoever_can_be_told_nothing_delays_a_move_and_does_not_undo_it() {
    let mut call = Call::gradual(8);
    call.topology.set_connected(call.now, 1, false);
    (2..=7).for_each(|person| call.moves(person));
    assert_eq!(call.mode(), Mode::P2p, "they may be back in time");
    call.take();
    call.pass(5);
    assert_eq!(call.mode(), Mode::Sfu);
    assert!(!call.news.iter().any(|news| matches!(news, News::Tell(Some(_), _))), "nobody is told in vain");

    let mut back = Call::gradual(8);
    back.topology.set_connected(back.now, 1, false);
    back.pass(1);
    back.topology.set_connected(back.now, 1, true);
    (2..=7).for_each(|person| back.moves(person));
    back.moves(1);
    assert_eq!(back.mode(), Mode::Sfu);
}

#[test]
fn an_old_or_unknown_number_moves_nobody() {
    let mut call = Call::gradual(8);
    assert!(!call.topology.migrated(call.now, 1, 2), "there has been no such move");
    assert!(call.topology.migrated(call.now, 1, 0), "old, and no fault");
    assert_eq!(call.topology.client_mode(1), Some(ClientMode::Migrating));
    call.pass(10);
    assert_eq!(call.topology.number, 2);
    assert!(call.topology.migrated(call.now, 1, 1));
    assert_eq!(call.topology.client_mode(1), Some(ClientMode::Migrating), "an answer to the first try");
}

#[test]
fn a_move_that_fails_at_once_is_not_tried_without_a_rest_even_where_none_is_set() {
    let settings = MeshSettings { cooldown: Duration::ZERO, ..MeshSettings::default() };
    let mut call = Call::of(settings, 8);
    let mut rests = Vec::new();
    for number in 1..=4 {
        assert!(call.topology.migration_failed(call.now, 1, number));
        assert_eq!(call.moving_to(), None, "try {number}");
        let before = call.now;
        call.now = call.topology.deadline().expect("another try");
        call.topology.handle_timeout(call.now);
        rests.push((call.now - before).as_secs());
    }
    assert_eq!(rests, [1, 2, 4, 8]);
}

#[test]
fn two_without_a_path_are_known_after_one_move_to_the_mesh_also_if_they_say_so_late() {
    let mut call = Call::on_server(8, Strategy::Gradual);
    (4..=8).for_each(|person| call.leave(person));
    assert_eq!(call.moving_to(), Some(Mode::P2p));
    call.moves(3);
    call.pass(5);
    call.topology.mesh_failed(call.now, 1, 2);
    call.look();
    assert_eq!((call.mode(), call.moving_to(), call.reason()), (Mode::Sfu, None, Reason::MeshFailed));

    let mut late = Call::on_server(8, Strategy::Gradual);
    (4..=8).for_each(|person| late.leave(person));
    late.pass(7);
    assert_eq!((late.mode(), late.moving_to(), late.reason()), (Mode::Sfu, None, Reason::Timeout));
    late.topology.mesh_failed(late.now, 1, 2);
    late.take();
    late.pass(600);
    assert!(late.take().is_empty(), "what cannot be is not tried again");
    late.leave(2);
    assert_eq!(late.moving_to(), Some(Mode::P2p));
}

#[test]
fn nobody_is_forced_to_hear_by_a_path_that_is_not_there() {
    let mut call = Call::gradual(3);
    call.topology.reset(call.now, Some(Mode::P2p));
    call.topology.mesh_failed(call.now, 1, 2);
    assert_eq!((call.moving_to(), call.reason()), (Some(Mode::Sfu), Reason::MeshFailed));
    call.all_move();
    call.leave(2);
    call.pass(5);
    assert_eq!(call.moving_to(), Some(Mode::P2p), "forced again");
}

#[test]
fn whoever_needs_the_server_does_not_wait_for_the_rest_after_moves_that_failed() {
    let fails = |call: &mut Call| {
        for _ in 0..5 {
            let number = call.topology.number;
            call.topology.migration_failed(call.now, 1, number);
            call.now = call.topology.deadline().expect("another try");
            call.topology.handle_timeout(call.now);
        }
        let number = call.topology.number;
        call.topology.migration_failed(call.now, 1, number);
        assert_eq!((call.mode(), call.moving_to()), (Mode::P2p, None));
    };
    let mut call = Call::gradual(8);
    fails(&mut call);
    call.join_as(9, INCAPABLE);
    assert_eq!((call.moving_to(), call.reason()), (Some(Mode::Sfu), Reason::Capability));
    call.topology.migration_failed(call.now, 1, 7);
    call.pass(5);
    assert_eq!(call.moving_to(), Some(Mode::Sfu), "and not for minutes for another try");

    let mut call = Call::gradual(8);
    fails(&mut call);
    call.topology.mesh_failed(call.now, 1, 2);
    assert_eq!((call.moving_to(), call.reason()), (Some(Mode::Sfu), Reason::MeshFailed));

    let mut call = Call::gradual(8);
    fails(&mut call);
    call.topology.set_policy(call.now, MeshPolicy::Off);
    assert_eq!((call.moving_to(), call.reason()), (Some(Mode::Sfu), Reason::Forced));
}

#[test]
fn whoever_needs_the_server_cannot_keep_the_others_from_it() {
    let mut call = Call::gradual(3);
    call.topology.set_needs_server(call.now, 3, true);
    assert!(!call.topology.may_mesh(3) && call.topology.may_mesh(1));
    (1..=2).for_each(|person| call.moves(person));
    assert_eq!(call.mode(), Mode::P2p, "they get the time that there is");
    call.pass(5);
    assert_eq!((call.mode(), call.moving_to()), (Mode::Sfu, None), "and no more");

    let mut call = Call::gradual(3);
    call.topology.set_needs_server(call.now, 3, true);
    assert!(call.topology.migration_failed(call.now, 3, 1));
    assert_eq!(call.moving_to(), Some(Mode::Sfu), "that they cannot move undoes nothing");
    (1..=2).for_each(|person| call.moves(person));
    assert_eq!(call.mode(), Mode::Sfu);
}

#[test]
fn where_calls_may_not_go_straight_a_server_that_fails_changes_nothing() {
    let now = Instant::now();
    let mut off = Topology::new(MeshSettings::default(), MeshPolicy::Off);
    (0..3_u8).for_each(|person| off.join(now, person, CAPABLE));
    off.server_failed(now);
    assert_eq!((off.mode(), off.moving_to()), (Mode::Sfu, None), "nobody is shown anybody's address");

    let mut forced = Call::gradual(3);
    forced.topology.reset(forced.now, Some(Mode::Sfu));
    forced.all_move();
    forced.topology.server_failed(forced.now);
    assert_eq!(forced.mode(), Mode::Sfu, "an operator has it so");

    let mut large = Call::on_server(26, Strategy::Gradual);
    large.topology.server_failed(large.now);
    assert_eq!(large.mode(), Mode::Sfu, "more than a mesh carries in any case");

    let mut apart = Call::gradual(3);
    apart.topology.mesh_failed(apart.now, 1, 2);
    apart.all_move();
    apart.topology.server_failed(apart.now);
    assert_eq!(apart.mode(), Mode::Sfu, "two would not hear each other");
}

#[test]
fn more_people_than_a_mesh_carries_are_not_forced_into_one() {
    let mut call = Call::on_server(26, Strategy::Gradual);
    call.topology.set_policy(call.now, MeshPolicy::Always);
    call.topology.reset(call.now, Some(Mode::P2p));
    assert_eq!((call.mode(), call.moving_to()), (Mode::Sfu, None));
    call.leave(26);
    assert_eq!((call.moving_to(), call.reason()), (Some(Mode::P2p), Reason::Forced), "twenty-five are");
}
