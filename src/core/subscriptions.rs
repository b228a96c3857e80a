//! Subscriptions: which tracks one member wants, which of them are shown, and which wait for a slot.
//!
//! Those that wait are kept in the order in which they were asked for, audio and video apart. In a room of hundreds of
//! tracks every change of one of them concerns everybody, so that nobody may have to look through all that wait.

use std::collections::BTreeMap;

use super::command::{MediaKind, Wish};
use super::ids::TrackId;

/// How far a subscription has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionState {
    /// It is shown in that one of the participant's slots.
    Slot(usize),
    /// It waits for a slot.
    Waiting,
    /// The client cannot decode it, and has been told.
    CannotReceive,
    /// The track's owner does not let them receive it, and they have been told.
    ShutOut,
}

/// That somebody wants to receive one track, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// Whether the track is audio or video.
    pub kind: MediaKind,
    /// Whether its publisher has muted it.
    pub muted: bool,
    /// Whether nothing is sent of it for now. It keeps its slot.
    pub paused: bool,
    /// How the track is to be shown.
    pub wish: Wish,
    /// Whether the client has said that.
    pub has_wish: bool,
    /// Whether it was asked for by name: then it gives its slot to nobody who speaks.
    pub pinned: bool,
    /// Where the track is shown, or why it is not.
    pub state: SubscriptionState,
    /// Counts up with each subscription: earlier ones get their slots first.
    order: u64,
}

impl Subscription {
    /// Returns whether nothing is sent for now: it is paused, or what it shows cannot be seen.
    pub fn is_idle(&self) -> bool {
        self.paused || self.wish.paused
    }

    /// Returns whether it is audio that is not muted.
    fn is_heard(&self) -> bool {
        self.kind == MediaKind::Audio && !self.muted
    }
}

/// What one member wants to receive.
#[derive(Debug, Default)]
pub struct Subscriptions {
    by_track: BTreeMap<TrackId, Subscription>,
    /// The tracks that wait, by their order: audio, then video.
    waiting: [BTreeMap<u64, TrackId>; 2],
    /// How many are audio that is not muted.
    heard: usize,
    made: u64,
}

impl Subscriptions {
    /// Adds a subscription to a track, which waits for a slot. Returns `false` if there was one already.
    pub fn add(&mut self, track: TrackId, kind: MediaKind, muted: bool) -> bool {
        self.made += 1;
        let order = self.made;
        if self.by_track.contains_key(&track) {
            return false;
        }
        let state = SubscriptionState::Waiting;
        let (paused, wish, has_wish, pinned) = (false, Wish::default(), false, false);
        self.by_track
            .insert(track, Subscription { kind, muted, paused, wish, has_wish, pinned, state, order });
        self.heard += usize::from(kind == MediaKind::Audio && !muted);
        self.waiting[kind as usize].insert(order, track);
        true
    }

    /// Ends a subscription. Returns what it was, if there was one.
    pub fn remove(&mut self, track: TrackId) -> Option<Subscription> {
        let subscription = self.by_track.remove(&track)?;
        self.waiting[subscription.kind as usize].remove(&subscription.order);
        self.heard -= usize::from(subscription.is_heard());
        Some(subscription)
    }

    /// Returns the subscription to a track, if there is one.
    pub fn get(&self, track: TrackId) -> Option<Subscription> {
        self.by_track.get(&track).copied()
    }

    /// Returns all of them, by the tracks' ids.
    pub fn iter(&self) -> impl Iterator<Item = (TrackId, Subscription)> {
        self.by_track.iter().map(|(track, subscription)| (*track, *subscription))
    }

    /// Notes how far a subscription has come. Returns it as it is now; `None` if there is none to that track.
    pub fn set_state(&mut self, track: TrackId, state: SubscriptionState) -> Option<Subscription> {
        let subscription = self.by_track.get_mut(&track)?;
        subscription.state = state;
        let waiting = &mut self.waiting[subscription.kind as usize];
        if state == SubscriptionState::Waiting {
            waiting.insert(subscription.order, track);
        } else {
            waiting.remove(&subscription.order);
        }
        Some(*subscription)
    }

    /// Notes whether a track's publisher has muted it.
    pub fn set_muted(&mut self, track: TrackId, muted: bool) {
        if let Some(subscription) = self.by_track.get_mut(&track) {
            self.heard -= usize::from(subscription.is_heard());
            subscription.muted = muted;
            self.heard += usize::from(subscription.is_heard());
        }
    }

    /// Notes whether nothing is sent of a track for now.
    pub fn set_paused(&mut self, track: TrackId, paused: bool) {
        if let Some(subscription) = self.by_track.get_mut(&track) {
            subscription.paused = paused;
        }
    }

    /// Notes how a track is to be shown. Returns whether that is something else than before, or the first that is said of it;
    /// `false` if there is no subscription to it.
    pub fn set_wish(&mut self, track: TrackId, wish: Wish) -> bool {
        let Some(subscription) = self.by_track.get_mut(&track) else { return false };
        let is_first = !std::mem::replace(&mut subscription.has_wish, true);
        std::mem::replace(&mut subscription.wish, wish) != wish || is_first
    }

    /// Notes whether a track keeps its slot whoever speaks.
    pub fn set_pinned(&mut self, track: TrackId, pinned: bool) {
        if let Some(subscription) = self.by_track.get_mut(&track) {
            subscription.pinned = pinned;
        }
    }

    /// Returns how many of the tracks that the member wants, shown or not, are audio that is not muted.
    pub fn heard_count(&self) -> usize {
        self.heard
    }

    /// The slot with that index is gone: its track waits again, and those behind it have moved up by one.
    pub fn on_slot_removed(&mut self, index: usize) {
        let shown = self.by_track.iter().filter_map(|(track, subscription)| match subscription.state {
            SubscriptionState::Slot(slot) if slot >= index => Some((*track, slot)),
            _ => None,
        });
        for (track, slot) in shown.collect::<Vec<_>>() {
            let is_gone = slot == index;
            let state = if is_gone { SubscriptionState::Waiting } else { SubscriptionState::Slot(slot - 1) };
            self.set_state(track, state);
        }
    }

    /// Returns how many tracks of a kind wait for a slot.
    pub fn waiting_count(&self, kind: MediaKind) -> usize {
        self.waiting[kind as usize].len()
    }

    /// Returns the tracks of a kind that wait for a slot, oldest subscription first.
    pub fn waiting_of(&self, kind: MediaKind) -> impl Iterator<Item = TrackId> {
        self.waiting[kind as usize].values().copied()
    }

    /// Returns the tracks that wait for a slot, oldest subscription first.
    pub fn waiting(&self) -> impl Iterator<Item = TrackId> {
        let [audio, video] = &self.waiting;
        let (mut audio, mut video) = (audio.iter().peekable(), video.iter().peekable());
        std::iter::from_fn(move || {
            let audio_is_next = match (audio.peek(), video.peek()) {
                (Some((first, _)), Some((other, _))) => first < other,
                (first, _) => first.is_some(),
            };
            if audio_is_next { audio.next() } else { video.next() }.map(|(_, track)| *track)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(subscriptions: &Subscriptions) -> Vec<u64> {
        subscriptions.waiting().map(|track| track.0).collect()
    }

    #[test]
    fn tracks_wait_in_the_order_in_which_they_were_asked_for() {
        let mut wanted = Subscriptions::default();
        for (track, kind) in
            [(9, MediaKind::Video), (3, MediaKind::Audio), (7, MediaKind::Video), (1, MediaKind::Audio)]
        {
            assert!(wanted.add(TrackId(track), kind, false));
        }
        assert!(!wanted.add(TrackId(9), MediaKind::Video, false), "asking twice is no mistake");
        assert_eq!(waiting(&wanted), [9, 3, 7, 1]);
        assert_eq!((wanted.waiting_count(MediaKind::Audio), wanted.waiting_count(MediaKind::Video)), (2, 2));
        wanted.set_state(TrackId(3), SubscriptionState::Slot(0));
        wanted.set_state(TrackId(9), SubscriptionState::CannotReceive);
        assert_eq!(waiting(&wanted), [7, 1]);
        wanted.set_state(TrackId(9), SubscriptionState::Waiting);
        assert_eq!(waiting(&wanted), [9, 7, 1], "it keeps its place");
        assert!(wanted.remove(TrackId(7)).is_some() && wanted.remove(TrackId(7)).is_none());
        assert_eq!(waiting(&wanted), [9, 1]);
    }

    #[test]
    fn a_slot_that_is_gone_leaves_its_track_waiting_and_the_others_where_they_are() {
        let mut wanted = Subscriptions::default();
        for (slot, track) in [5, 4, 6].into_iter().enumerate() {
            wanted.add(TrackId(track), MediaKind::Video, false);
            wanted.set_state(TrackId(track), SubscriptionState::Slot(slot));
        }
        wanted.on_slot_removed(1);
        let state = |track| wanted.get(TrackId(track)).map(|subscription| subscription.state);
        assert_eq!(state(5), Some(SubscriptionState::Slot(0)));
        assert_eq!(state(4), Some(SubscriptionState::Waiting));
        assert_eq!(state(6), Some(SubscriptionState::Slot(1)));
    }

    #[test]
    fn unmuted_audio_is_counted_whatever_becomes_of_it() {
        let mut wanted = Subscriptions::default();
        wanted.add(TrackId(1), MediaKind::Audio, false);
        wanted.add(TrackId(2), MediaKind::Audio, true);
        wanted.add(TrackId(3), MediaKind::Video, false);
        assert_eq!(wanted.heard_count(), 1);
        wanted.set_muted(TrackId(2), false);
        wanted.set_muted(TrackId(2), false);
        assert_eq!(wanted.heard_count(), 2);
        wanted.set_muted(TrackId(1), true);
        wanted.remove(TrackId(1));
        assert_eq!(wanted.heard_count(), 1);
        wanted.remove(TrackId(2));
        assert_eq!(wanted.heard_count(), 0);
    }
}
