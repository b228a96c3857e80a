//! Quality: with each report it is looked how good somebody's call is, and who is to be told of it.

use std::time::{Duration, Instant};

use super::Room;
use crate::core::command::MediaKind;
use crate::core::event::Event;
use crate::core::forward::hold::Hold;
use crate::core::ids::{ParticipantKey, TransportKey};
use crate::core::input::Shedding;
use crate::core::outbox::Outbox;
use crate::core::participant::Participant;
use crate::core::quality::{Level, Measures, Mos, News, Score, effective_loss};

/// Media that comes later than this after a track was put into a slot waited for its publisher, not for us.
const FIRST_MEDIA_MAX: Duration = Duration::from_secs(10);

impl Room {
    /// Measures what somebody sends and receives, and tells how good their call is if that has changed. Called with the
    /// reports of their first transport that has keys.
    pub(super) fn review_quality(&mut self, now: Instant, on: TransportKey, outbox: &mut Outbox) {
        let first = |of: ParticipantKey| self.transports_of(of).iter().find(|key| self.has_media(**key));
        let Some(key) = self.owner_of(on).filter(|key| first(*key) == Some(&on)) else {
            return;
        };
        self.measure(now, key);
        let measures = self.measures_of(now, key);
        let score = Score::of(&measures);
        let participant = &mut self.participants[key.0];
        participant.score = Some(score);
        match participant.judge.take(now, score.total(), measures.mos) {
            Some(News::Level(quality)) => {
                self.totals.quality_levels[quality.level as usize] += 1;
                let event = Event::Quality(participant.id, quality);
                if participant.is_connected() {
                    outbox.event(key, event.clone());
                }
                self.tell_others_of(key, &event, outbox);
            }
            Some(News::Score(quality)) if participant.is_connected() => {
                outbox.event(key, Event::Quality(participant.id, quality));
            }
            Some(News::Score(_)) | None => {}
        }
    }

    /// Tells somebody who has just come (back) whose calls are not good: who is told nothing of somebody takes theirs for good.
    pub(super) fn tell_qualities(&self, to: ParticipantKey, outbox: &mut Outbox) {
        for key in &self.order {
            let participant = &self.participants[key.0];
            let quality = participant.judge.quality().filter(|_| !participant.grants.hidden || *key == to);
            if let Some(quality) = quality.filter(|quality| quality.level != Level::Good) {
                outbox.event(to, Event::Quality(participant.id, quality));
            }
        }
    }

    /// Measures the rates of all streams of a member, and notes how long new media took.
    fn measure(&mut self, now: Instant, key: ParticipantKey) {
        let Self { participants, publications, totals, .. } = self;
        let Participant { slots, publications: own, .. } = &mut participants[key.0];
        for slot in slots {
            slot.meter.look(now, slot.counters);
            if let Some(took) = slot.take_first_media().filter(|took| *took <= FIRST_MEDIA_MAX) {
                totals.first_media[slot.kind as usize].note(took);
            }
        }
        for key in own {
            if let Some(publication) = publications.get_mut(key.0) {
                let counters = publication.counters();
                publication.meter.look(now, counters);
            }
        }
    }

    fn measures_of(&mut self, now: Instant, key: ParticipantKey) -> Measures {
        let round_trip = self.reach(key).and_then(|reach| reach.round_trip).unwrap_or_default();
        let is_shedding = self.shedding != Shedding::NONE;
        let participant = &mut self.participants[key.0];
        let mut measures =
            Measures { round_trip, interruptions: participant.interruptions(now), ..Measures::default() };
        let mut keyframe_requests = 0;
        for slot in participant.slots.iter().filter(|slot| slot.shown.is_some()) {
            let loss = slot.loss_permille();
            measures.is_shed |= is_shedding && slot.holds.has(Hold::Load);
            measures.loss_permille = measures.loss_permille.max(loss);
            measures.jitter = measures.jitter.max(slot.jitter);
            keyframe_requests += slot.counters.keyframe_requests;
            let copies = self.transports.get(slot.transport.0).and_then(|own| own.media.as_ref());
            let copies = copies.filter(|_| slot.takes_copies()).map_or(0, |media| media.redundancy.copies());
            note_stream(&mut measures, slot.kind, effective_loss(loss, copies as u8), slot.jitter);
        }
        let since = keyframe_requests.saturating_sub(participant.keyframe_requests_before);
        participant.keyframe_requests_before = keyframe_requests;
        measures.keyframe_requests = u32::try_from(since).unwrap_or(u32::MAX);
        for key in &participant.publications {
            let Some(publication) = self.publications.get(key.0).filter(|own| !own.muted) else { continue };
            let media = self.transports.get(publication.transport.0).and_then(|own| own.media.as_ref());
            let stream = media.zip(publication.ssrc()).and_then(|(media, ssrc)| media.ingress.stream(ssrc));
            let jitter = stream.map_or(Duration::ZERO, |stream| stream.statistics.jitter());
            let loss = publication.loss.permille();
            measures.loss_permille = measures.loss_permille.max(loss);
            measures.jitter = measures.jitter.max(jitter);
            note_stream(&mut measures, publication.kind(), loss, jitter);
        }
        measures
    }
}

/// Notes one more stream of which so much is missing when it is played.
fn note_stream(measures: &mut Measures, kind: MediaKind, missing_permille: u16, jitter: Duration) {
    match kind {
        MediaKind::Audio => {
            let mos = Mos::estimate(missing_permille, measures.round_trip, jitter);
            measures.mos = Some(measures.mos.map_or(mos, |worst| worst.min(mos)));
        }
        MediaKind::Video => {
            measures.video_loss_permille = measures.video_loss_permille.max(Some(missing_permille));
        }
    }
}
