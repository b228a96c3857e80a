//! Where the room's media goes: through the server, or straight from one member to the other. The decision is
//! [`Topology`](crate::core::topology)'s; here it is told what happens in the room, and what it decides is carried out.

use std::time::Instant;

use tracing::{debug, info};

use super::commands::not_permitted;
use super::{Owner, Room};
use crate::core::command::{Lifeline, MeshCommand, Source};
use crate::core::event::{Event, Joined, Refusal, RefusalCode};
use crate::core::grants::Grants;
use crate::core::ids::{ParticipantId, ParticipantKey};
use crate::core::mesh::{MeshSignal, MeshTrack};
use crate::core::moderation::Target;
use crate::core::mutation::mutated;
use crate::core::outbox::Outbox;
use crate::core::stats::TopologySnapshot;
use crate::core::topology::{Arrival, ClientMode, MeshPolicy, Mode, News, Topology, View};

fn goes_through_server() -> Refusal {
    Refusal::new(
        RefusalCode::NotPermitted,
        "the call's media goes through the server now",
        "wait for a `topology` with the mode or the move `p2p`, or ask for a room in which media may go straight",
    )
}

fn not_one_of_us() -> Refusal {
    Refusal::new(
        RefusalCode::UnknownRecipient,
        "there is nobody else of that id in the room who can be sent to straight",
        "name a participant whose client has joined with `mesh`",
    )
}

fn no_such_move(number: u32) -> Refusal {
    Refusal::new(
        RefusalCode::BadMessage,
        format!("there has been no move of the number {number}"),
        "repeat the `migration` that `topology` has told",
    )
}

fn bad_tracks(rule: String) -> Refusal {
    Refusal::new(RefusalCode::TooManyTracks, rule, "list each track once, and send fewer")
}

/// Returns whether somebody needs the server whatever their client can: there it is checked who may receive, and nobody may
/// connect to those who are hidden.
fn needs_server(grants: Grants) -> bool {
    grants.hidden || !grants.subscribe
}

impl Room {
    /// Returns whether its media may go straight.
    fn mesh_policy(&self) -> MeshPolicy {
        self.options.mesh.unwrap_or(self.settings.mesh.policy)
    }

    /// Returns the most people that may be in it as far as its media has to go straight.
    pub(super) fn mesh_max(&self) -> usize {
        if self.mesh_policy() == MeshPolicy::Always { self.settings.mesh.max } else { usize::MAX }
    }

    /// Returns where its media goes.
    pub fn mode(&self) -> Mode {
        self.topology.as_ref().map_or(Mode::Sfu, |topology| topology.mode())
    }

    /// Returns what is decided of where its media goes; `None` where it may not go straight.
    pub fn topology(&self) -> Option<&Topology<ParticipantKey>> {
        self.topology.as_deref()
    }

    /// Returns where it goes, for people and dashboards.
    pub(super) fn topology_snapshot(&self, now: Instant) -> TopologySnapshot {
        let topology = self.topology.as_ref();
        TopologySnapshot {
            mode: self.mode(),
            policy: self.mesh_policy(),
            view: topology.map(|topology| topology.view(now)),
            unreachable: topology.map_or(0, |topology| topology.unreachable()),
        }
    }

    /// Returns where a member's media goes.
    pub(super) fn client_mode(&self, key: ParticipantKey) -> ClientMode {
        let own = self.topology.as_ref().and_then(|topology| topology.client_mode(key));
        own.unwrap_or(ClientMode::Sfu)
    }

    /// Returns what a member is told of where media goes; `None` if they are told nothing of it.
    pub(super) fn topology_for(&self, now: Instant, key: ParticipantKey) -> Option<View> {
        let topology = self.topology.as_ref()?;
        topology.can_mesh(key).then(|| topology.view(now))
    }

    /// Returns what somebody is told who comes back: where the call is, they may have missed.
    pub(super) fn joined_again(&self, now: Instant, key: ParticipantKey) -> Joined {
        let mut joined = self.joined(now, key);
        joined.topology = joined.topology.filter(|_| !mutated!(MoveNotToldOnReturn));
        joined
    }

    fn arrival(&self, key: ParticipantKey) -> Arrival {
        let participant = &self.participants[key.0];
        Arrival {
            // Whoever has no signalling cannot be told to move.
            can_mesh: participant.can_mesh && participant.lifeline == Lifeline::Signalling,
            needs_server: needs_server(participant.grants),
            counts: !participant.grants.hidden,
        }
    }

    /// Counts somebody who has just come in, and is not yet in the order of joining.
    pub(super) fn count_in(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        let policy = self.mesh_policy();
        if self.topology.is_none() && policy != MeshPolicy::Off {
            self.topology = Some(Box::new(Topology::new(self.settings.mesh, policy)));
        }
        let arrival = self.arrival(key);
        if let Some(topology) = &mut self.topology {
            topology.join(now, key, arrival);
            self.carry_out_topology(now, outbox);
        }
    }

    /// Counts somebody no more who has left.
    pub(super) fn count_out(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        if let Some(topology) = &mut self.topology {
            topology.leave(now, key);
            self.carry_out_topology(now, outbox);
        }
    }

    /// Notes that somebody's signalling is lost, or back.
    pub(super) fn set_topology_connected(
        &mut self,
        now: Instant,
        key: ParticipantKey,
        is_connected: bool,
        outbox: &mut Outbox,
    ) {
        if let Some(topology) = &mut self.topology {
            topology.set_connected(now, key, is_connected);
            self.carry_out_topology(now, outbox);
        }
    }

    /// Does what is due.
    pub(super) fn look_at_topology(&mut self, now: Instant, outbox: &mut Outbox) {
        if let Some(topology) = &mut self.topology {
            topology.handle_timeout(now);
            self.carry_out_topology(now, outbox);
        }
    }

    /// Looks whether something else is set for where media may go.
    pub(super) fn review_mesh_policy(&mut self, now: Instant, outbox: &mut Outbox) {
        let policy = self.mesh_policy();
        if self.topology.is_none() && policy != MeshPolicy::Off {
            // Everybody who is there is on the server.
            let mut topology = Topology::new(self.settings.mesh, MeshPolicy::Off);
            for key in &self.order {
                topology.join(now, *key, self.arrival(*key));
                // Nobody waits for whoever is away just now.
                topology.set_connected(now, *key, self.participants[key.0].is_connected());
            }
            self.topology = Some(Box::new(topology));
        }
        if let Some(topology) = &mut self.topology {
            topology.set_policy(now, policy);
            self.carry_out_topology(now, outbox);
        }
    }

    /// Begins to decide anew where media goes.
    ///
    /// # Errors
    /// In this room it may not go straight.
    pub(super) fn reset_topology(
        &mut self,
        now: Instant,
        forced: Option<Mode>,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let topology = self.topology.as_mut().ok_or_else(|| {
            Refusal::new(
                RefusalCode::NotPermitted,
                "in this room media never goes straight, so that there is nothing to reset",
                "set `mesh` of the room first",
            )
        })?;
        topology.reset(now, forced);
        self.carry_out_topology(now, outbox);
        Ok(())
    }

    /// Carries out what was decided, and sees to it that the room is woken for what comes next.
    fn carry_out_topology(&mut self, now: Instant, outbox: &mut Outbox) {
        let Some(topology) = &mut self.topology else { return };
        for news in topology.take_news() {
            match news {
                News::Tell(to, view) => self.tell_topology(to, view, outbox),
                News::Started(to, reason) => {
                    self.totals.migrations.started[to as usize] += 1;
                    info!(room = %self.id, to = to.as_str(), reason = reason.as_str(), "the call moves");
                }
                News::Ended(to, outcome, reason, took) => {
                    self.totals.migrations.note_end(to, outcome, reason, took);
                    let (to, outcome, reason) = (to.as_str(), outcome.as_str(), reason.as_str());
                    info!(room = %self.id, to, outcome, reason, ms = took.as_millis() as u64, "the move is over");
                    if self.mode() == Mode::Sfu {
                        self.forget_mesh_tracks();
                    }
                }
                // Their clients say themselves that they could not move.
                News::SentBack(to, reason) => self.totals.migrations.note_failure(to, reason),
            }
        }
        self.arm(now, Owner::Room);
    }

    fn tell_topology(&self, to: Option<ParticipantKey>, view: View, outbox: &mut Outbox) {
        let told =
            |key: &&ParticipantKey| to.is_none_or(|to| to == **key) && self.participants[key.0].can_mesh;
        for key in self.order.iter().filter(told) {
            outbox.event(*key, Event::Topology(view));
        }
    }

    /// Forgets what members sent straight to each other: the call is on the server.
    fn forget_mesh_tracks(&mut self) {
        for key in &self.order {
            self.participants[key.0].mesh_tracks.clear();
        }
    }

    /// Carries out what a member asks for, or tells, who can send straight to the others.
    pub(super) fn handle_mesh(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        command: MeshCommand,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let id = self.participants[from.0].id;
        let of = |id: &ParticipantId| self.by_id.get(id).copied();
        let Some(topology) = self.topology.as_mut().filter(|topology| topology.can_mesh(from)) else {
            return Err(goes_through_server());
        };
        match command {
            MeshCommand::Tracks(tracks) => return self.set_mesh_tracks(from, tracks, outbox),
            MeshCommand::Signal { to, signal } => {
                if !topology.is_straight() || !topology.may_mesh(from) {
                    return Err(goes_through_server());
                }
                let to = of(&to).filter(|to| *to != from && topology.may_mesh(*to));
                let to = to.ok_or_else(not_one_of_us)?;
                self.pass_signal(id, to, signal, outbox)?;
                self.participants[from.0].has_meshed = true;
                return Ok(());
            }
            MeshCommand::Migrated(number) => {
                if !topology.migrated(now, from, number) {
                    return Err(no_such_move(number));
                }
            }
            MeshCommand::MigrationFailed { migration, reason } => {
                info!(room = %self.id, participant = %id, migration, reason, "a client could not move");
                if !topology.migration_failed(now, from, migration) {
                    return Err(no_such_move(migration));
                }
            }
            MeshCommand::Failed { with, reason } => {
                let with = of(&with).filter(|with| *with != from && topology.can_mesh(*with));
                let with = with.ok_or_else(not_one_of_us)?;
                debug!(room = %self.id, participant = %id, with = with.0, reason, "two members cannot reach each other");
                topology.mesh_failed(now, from, with);
            }
            MeshCommand::Load(percent) => topology.note_load(now, from, percent),
        }
        self.carry_out_topology(now, outbox);
        Ok(())
    }

    fn pass_signal(
        &self,
        from: ParticipantId,
        to: ParticipantKey,
        signal: MeshSignal,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let (bytes, most) = (signal.bytes(), signal.bytes_max());
        if bytes > most {
            return Err(Refusal::new(
                RefusalCode::PayloadTooLarge,
                format!("this has {bytes} bytes; at most {most} are passed on"),
                "send fewer tracks and codecs",
            ));
        }
        outbox.event(to, Event::MeshSignal(from, signal));
        Ok(())
    }

    /// Takes the whole list of what a member sends straight to the others.
    fn set_mesh_tracks(
        &mut self,
        from: ParticipantKey,
        tracks: Vec<MeshTrack>,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        if !self.topology.as_ref().is_some_and(|topology| topology.is_straight()) {
            return Err(goes_through_server());
        }
        let (participant, most) = (&mut self.participants[from.0], self.settings.tracks_per_participant_max);
        if tracks.len() > most {
            return Err(bad_tracks(format!(
                "{} tracks are listed; a participant has at most {most}",
                tracks.len()
            )));
        }
        let is_twice =
            |(place, track): (usize, &MeshTrack)| tracks[..place].iter().any(|other| other.id == track.id);
        if tracks.iter().enumerate().any(is_twice) || tracks.iter().any(|track| !MeshTrack::is_id(&track.id))
        {
            return Err(bad_tracks("a track is listed twice, or has no usable id".to_owned()));
        }
        if tracks.iter().any(|track| !participant.grants.publish.has(track.source)) {
            return Err(not_permitted("publish that"));
        }
        if participant.mesh_tracks != tracks {
            participant.mesh_tracks.clone_from(&tracks);
            let told = Event::MeshTracks(participant.id, tracks);
            self.tell_others_of(from, &told, outbox);
        }
        Ok(())
    }

    /// Takes from a member's list what they may not publish any more, and tells everybody, them as well. They may need the
    /// server from now on, or no longer.
    pub(super) fn drop_mesh_tracks(&mut self, now: Instant, key: ParticipantKey, outbox: &mut Outbox) {
        let participant = &mut self.participants[key.0];
        let (grants, before) = (participant.grants, participant.mesh_tracks.len());
        participant.mesh_tracks.retain(|track| grants.publish.has(track.source));
        if participant.mesh_tracks.len() != before {
            let told = Event::MeshTracks(participant.id, participant.mesh_tracks.clone());
            self.tell_all(&told, outbox);
        }
        if let Some(topology) = &mut self.topology {
            topology.set_needs_server(now, key, needs_server(grants));
            self.carry_out_topology(now, outbox);
        }
    }

    /// Mutes what somebody sends of a source, by whichever way it goes, and tells everybody, them as well.
    ///
    /// # Errors
    /// Nobody else of that name sends such a thing.
    pub(super) fn mute_source(
        &mut self,
        now: Instant,
        by: Option<ParticipantKey>,
        (target, source): (&Target, Source),
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let mut is_found = false;
        for key in self.targets(by, target)? {
            let participant = &mut self.participants[key.0];
            let mut is_changed = false;
            for track in participant.mesh_tracks.iter_mut().filter(|track| track.source == source) {
                is_found = true;
                is_changed |= !std::mem::replace(&mut track.muted, true);
            }
            let published = participant.publications.clone();
            if is_changed {
                let told = Event::MeshTracks(participant.id, participant.mesh_tracks.clone());
                self.tell_all(&told, outbox);
            }
            for publication in published {
                let publication = &self.publications[publication.0];
                if publication.source == source {
                    is_found = true;
                    self.mute_other(now, by, publication.track, outbox)?;
                }
            }
        }
        if is_found { Ok(()) } else { Err(super::publish::unknown_track()) }
    }
}
