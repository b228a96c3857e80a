//! Moderation: what moderators and back ends do to the room and to those who are in it. Whoever it is done to is told.

use std::time::Instant;

use super::{Owner, Room};
use crate::core::event::{Event, LeaveReason, Refusal, RefusalCode};
use crate::core::grants::Sources;
use crate::core::ids::{ParticipantId, ParticipantKey, PublicationKey, TrackId};
use crate::core::moderation::{Moderation, PermissionsChange, Target};
use crate::core::mutation::mutated;
use crate::core::notice::{Deed, Notice, Person};
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::profile::ProfileChange;
use crate::core::room_options::{RoomChange, RoomState};

fn nobody() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownParticipant,
        "there is nobody else of that id or identity in the room",
        "name a participant that the room lists; use `leave` for yourself",
    )
}

fn too_large(rule: String) -> Refusal {
    Refusal::new(RefusalCode::PayloadTooLarge, rule, "say less")
}

impl Room {
    /// Carries out an operation of a moderator's, or of the operator's with `None`.
    ///
    /// # Errors
    /// Whom or what it is about is not there, or what it sets is too large. Nothing has changed then.
    pub(super) fn moderate(
        &mut self,
        now: Instant,
        by: Option<ParticipantKey>,
        moderation: Moderation,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let notice = by.and_then(|by| self.notice_of(by, &moderation));
        match moderation {
            Moderation::Mute(track) => self.mute_other(now, by, track, outbox)?,
            Moderation::Stop(track) => self.stop(now, by, track, outbox)?,
            Moderation::Remove(target) => {
                for key in self.targets(by, &target)? {
                    self.expel(now, key, LeaveReason::Removed, outbox);
                }
            }
            Moderation::Ban(ban) => {
                let keys = match (self.targets(by, &ban.target), &ban.target) {
                    // A back end may know of somebody before they come.
                    (Err(_), Target::Identity(_)) => Vec::new(),
                    (keys, _) => keys?,
                };
                self.ban(now, &ban, &keys)?;
                for key in keys {
                    self.expel(now, key, LeaveReason::Banned, outbox);
                }
                self.turn_away_banned(now, outbox);
            }
            Moderation::LiftBans(named) => self.bans.lift(named.as_deref()),
            Moderation::SetPermissions(target, change) => {
                for key in self.targets(by, &target)? {
                    self.set_permissions(now, key, change, outbox);
                }
            }
            Moderation::UpdateProfile(target, change) => {
                for key in self.targets(by, &target)? {
                    self.change_profile(key, &change, true, outbox)?;
                }
            }
            Moderation::Admit(id) => self.admit_waiting(now, id, outbox)?,
            Moderation::TurnAway(id) => self.turn_away(now, id, outbox)?,
            Moderation::Configure(change) => self.configure(now, &change, outbox)?,
            Moderation::End => self.close(now, LeaveReason::RoomClosed, outbox),
            Moderation::MuteSource(target, source) => self.mute_source(now, by, (&target, source), outbox)?,
            Moderation::ResetTopology(mode) => self.reset_topology(now, mode, outbox)?,
            Moderation::Subscribe { target, tracks, is_wanted } => {
                self.subscribe_others(now, (by, &target), &tracks, is_wanted, outbox)?;
            }
            Moderation::Say { to, topic, payload, is_lossy } => {
                let mut recipients = Vec::new();
                for target in &to {
                    recipients.extend(self.targets(by, target)?);
                }
                let recipients = if to.is_empty() { self.order.clone() } else { recipients };
                self.say(None, recipients, (&topic, &payload, is_lossy), outbox);
            }
        }
        outbox.outputs.extend(notice.map(|notice| RoomOutput::Noted(Box::new(notice))));
        Ok(())
    }

    /// Returns those whom an operation is about; a moderator does nothing to themselves.
    pub(super) fn targets(
        &self,
        by: Option<ParticipantKey>,
        target: &Target,
    ) -> Result<Vec<ParticipantKey>, Refusal> {
        let is_meant = |key: &&ParticipantKey| {
            let member = &self.participants[key.0];
            let is_named = match target {
                Target::Id(id) => member.id == *id,
                Target::Identity(identity) => member.profile.identity.as_ref() == Some(identity),
            };
            is_named && Some(**key) != by
        };
        let keys: Vec<ParticipantKey> = self.order.iter().filter(is_meant).copied().collect();
        if keys.is_empty() { Err(nobody()) } else { Ok(keys) }
    }

    /// Subscribes people to tracks of others, or takes these from them.
    fn subscribe_others(
        &mut self,
        now: Instant,
        (by, target): (Option<ParticipantKey>, &Target),
        tracks: &[TrackId],
        is_wanted: bool,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let keys = self.targets(by, target)?;
        // What can be refused is refused before anything is changed.
        for key in &keys {
            if is_wanted && !self.participants[key.0].grants.subscribe {
                return Err(super::commands::not_permitted("receive the tracks of others"));
            }
            for track in tracks {
                self.others_track(*key, *track)?;
            }
        }
        for key in keys {
            for track in tracks {
                if self.participants[key.0].is_parametric() {
                    self.want_consumer(now, key, (*track, is_wanted), outbox);
                } else if is_wanted {
                    self.subscribe(now, key, *track, outbox)?;
                } else {
                    self.unsubscribe(now, key, *track, outbox)?;
                }
            }
        }
        Ok(())
    }

    /// Ends a track, and takes from its owner the permission to publish its source.
    fn stop(
        &mut self,
        now: Instant,
        by: Option<ParticipantKey>,
        track: TrackId,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let publication = &self.publications[self.moderated_track(by, track)?.0];
        let (owner, stopped) = (publication.owner, publication.source);
        if mutated!(StopIgnored) {
            return Ok(());
        }
        let left = self.participants[owner.0].grants.publish.iter().filter(|source| *source != stopped);
        let publish: Sources = left.collect();
        let change = PermissionsChange { publish: Some(publish), ..PermissionsChange::default() };
        self.set_permissions(now, owner, change, outbox);
        Ok(())
    }

    /// Changes what somebody may do. Their tracks that they may not publish end; what they may not receive stops.
    fn set_permissions(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        change: PermissionsChange,
        outbox: &mut Outbox,
    ) {
        let participant = &mut self.participants[key.0];
        let before = participant.grants;
        let grants = change.applied_to(before);
        if grants == before {
            return;
        }
        participant.grants = grants;
        let (id, profile) = (participant.id, participant.profile.clone());
        let own = participant.publications.iter().map(|key| (*key, &self.publications[key.0]));
        let may_not = own.filter(|(_, publication)| !grants.publish.has(publication.source));
        let (keys, ended): (Vec<PublicationKey>, Vec<_>) =
            may_not.map(|(key, publication)| (key, (publication.track, publication.source))).unzip();
        for publication in keys.into_iter().filter(|_| !mutated!(PermissionIgnored)) {
            self.unpublish(now, publication, outbox);
        }
        self.drop_mesh_tracks(now, key, outbox);
        // Told before what follows from it, so that nobody asks again for what they may not have.
        outbox.event(key, Event::PermissionsChanged { grants, ended });
        match (before.subscribe, grants.subscribe) {
            (true, false) => self.unsubscribe_from_all(now, key, outbox),
            (false, true) => self.subscribe_to_all(now, key, outbox),
            _ => {}
        }
        if before.role() != grants.role() {
            let updated = Event::ParticipantUpdated(id, Box::new(profile), grants.role());
            self.tell_others_of(key, &updated, outbox);
        }
        if grants.moderate && !before.moderate {
            self.tell_of_waiting(key, outbox);
        }
        self.arm(now, Owner::Member(key));
    }

    /// Changes a profile, and tells the others; with `is_news`, themselves as well.
    pub(super) fn change_profile(
        &mut self,
        key: ParticipantKey,
        change: &ProfileChange,
        is_news: bool,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let participant = &mut self.participants[key.0];
        let profile = participant.profile.changed(change).map_err(too_large)?;
        if std::mem::replace(&mut participant.profile, profile.clone()) != profile {
            let role = participant.grants.role();
            let updated = Event::ParticipantUpdated(participant.id, Box::new(profile), role);
            if is_news {
                outbox.event(key, updated.clone());
            }
            self.tell_others_of(key, &updated, outbox);
        }
        Ok(())
    }

    /// Changes the room's own options, and tells everybody what concerns them. A room that nobody has entered begins to wait
    /// for people.
    fn configure(&mut self, now: Instant, change: &RoomChange, outbox: &mut Outbox) -> Result<(), Refusal> {
        let options = self.options.changed(change).map_err(too_large)?;
        if options.codecs != self.options.codecs && !self.participants.is_empty() {
            return Err(Refusal::new(
                RefusalCode::NotPermitted,
                "people are in the room, and have agreed on its codecs",
                "choose the codecs before anybody joins, or end the call first",
            ));
        }
        let before = std::mem::replace(&mut self.options, options).state();
        let state = self.options.state();
        if state != before {
            self.tell_all(&Event::RoomUpdated(state.clone()), outbox);
        }
        let is_open = |state: &RoomState| !state.waiting_room && !state.locked;
        if is_open(&state) && !is_open(&before) {
            self.admit_all(now, outbox);
        }
        self.review_mesh_policy(now, outbox);
        self.wait_for_people(now);
        Ok(())
    }

    /// Lets a room that nobody has entered begin to wait for people, so that it ends if none come.
    pub(super) fn wait_for_people(&mut self, now: Instant) {
        if self.count(false) == 0 {
            self.empty_since = self.empty_since.or(Some(now));
        }
        self.arm(now, Owner::Room);
    }

    /// Notes that somebody reports somebody else, for whoever runs the server.
    pub(super) fn report(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        (about, reason, text): (ParticipantId, String, String),
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let about = self.by_id.get(&about).copied().filter(|key| *key != from).ok_or_else(nobody)?;
        let pace = &mut self.participants[from.0].reports;
        if !pace.wait(now).is_zero() {
            return Err(Refusal::new(
                RefusalCode::RateLimited,
                "you have reported others often within a short time",
                "wait a minute; what you have reported is recorded",
            ));
        }
        pace.note(now);
        let (by, about) = (self.person(from), Some(self.person(about)));
        let notice = Notice { by, about, deed: Deed::Report { reason, text } };
        outbox.outputs.push(RoomOutput::Noted(Box::new(notice)));
        Ok(())
    }

    fn person(&self, key: ParticipantKey) -> Person {
        let participant = &self.participants[key.0];
        Person::of(participant.id, &participant.profile)
    }

    /// Returns what is noted of an operation. Those whom it is about may be gone afterwards.
    fn notice_of(&self, by: ParticipantKey, moderation: &Moderation) -> Option<Notice> {
        let owner = |track: &TrackId| Some(self.publications.get(self.by_track.get(track)?.0)?.owner);
        let member = |target: &Target| self.targets(Some(by), target).ok()?.first().copied();
        let about = match moderation {
            Moderation::Mute(track) | Moderation::Stop(track) => owner(track),
            Moderation::Remove(target)
            | Moderation::SetPermissions(target, _)
            | Moderation::MuteSource(target, _)
            | Moderation::UpdateProfile(target, _) => member(target),
            Moderation::Ban(ban) => member(&ban.target),
            _ => None,
        };
        let about = match moderation {
            Moderation::Admit(id) | Moderation::TurnAway(id) => self.waiting_person(*id),
            _ => about.map(|key| self.person(key)),
        };
        let deed = Deed::Moderation(moderation.as_str().to_owned());
        Some(Notice { by: self.person(by), about, deed })
    }
}
