//! LiveKit's protocol: requests to join, and the messages of a client that has joined.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use strait::core::command::{Command, MediaKind, Source};
use strait::core::data_tracks::{DataTrack, DataTrackCommand, NAME_BYTES_MAX, PUBLISHED_MAX};
use strait::core::event::{
    Consumed, Event, Joined, OpenedTransport, ParticipantInfo, Refusal, RefusalCode, SlotCounts, TrackInfo,
};
use strait::core::grants::{Grants, Role};
use strait::core::ids::{ParticipantId, TrackId, TransportId};
use strait::core::ortc::{DtlsParameters, IceParameters, RtpParameters};
use strait::core::profile::Profile;
use strait::core::room_options::RoomState;
use strait::signal::livekit::{JoinAsked, LiveKitFacts, LiveKitFrontEnd, LiveKitReaction};
use strait::signal::native::Limits;
use strait::signal::{Demand, Ticket};

use super::tape::Tape;

const LIMITS: Limits = Limits {
    message_bytes_max: 1 << 18,
    messages_per_second: 100,
    messages_burst: 100,
    offers_per_second: 10,
    offers_burst: 10,
};

fn joined() -> Event {
    let camera = |track| TrackInfo {
        track: TrackId(track),
        participant: ParticipantId(2),
        source: Source::Camera,
        muted: false,
        label: None,
    };
    let ben = ParticipantInfo {
        participant: ParticipantId(2),
        profile: Profile::named("Ben"),
        role: Role::Speaker,
        reconnecting: false,
        media_lost: false,
        mesh_tracks: Vec::new(),
        tracks: [1000, 1001].map(camera).to_vec(),
    };
    let slots = SlotCounts { audio: 4, video: 4 };
    let joined = Joined {
        participant: ParticipantId(1),
        secret: String::new(),
        room: "standup".parse().expect("a room"),
        profile: Profile::named("Anna"),
        slots,
        slots_max: slots,
        resume_seconds: 30,
        grants: Grants::OPEN,
        room_state: RoomState::default(),
        participants: vec![ben],
        topology: None,
    };
    Event::Joined(None, Box::new(joined))
}

/// What the core would do, as far as a front end can tell.
#[derive(Default)]
struct Core {
    reserved: BTreeSet<TrackId>,
    published: BTreeSet<TrackId>,
    consumed: BTreeSet<TrackId>,
    /// Handles and names.
    data_tracks: BTreeMap<u16, String>,
    refuses: bool,
}

impl Core {
    /// Carries out what a front end asks for. Returns the replies.
    fn take(&mut self, demand: Demand) -> Vec<Event> {
        let Demand::Command { request, command } = demand else { return Vec::new() };
        if self.refuses && request.is_some() {
            let refusal = Refusal::new(RefusalCode::NotPermitted, "no", "none");
            return vec![Event::Refused(request, refusal)];
        }
        match command {
            Command::ReserveTrack(_) => {
                let track = TrackId(self.reserved.len() as u64);
                self.reserved.insert(track);
                vec![Event::TrackReserved(request, track)]
            }
            Command::Offer { sdp, publications } => {
                let tracks: Vec<TrackId> = publications.iter().filter_map(|one| one.track).collect();
                assert_eq!(tracks.len(), publications.len(), "each track was announced");
                self.published = tracks.iter().copied().collect();
                assert_eq!(self.published.len(), tracks.len(), "each track is published once");
                assert!(self.published.is_subset(&self.reserved), "nobody publishes what is not theirs");
                vec![Event::Answer { request, sdp, publications: Vec::new(), shown: Vec::new() }]
            }
            Command::Mute { track, .. } => {
                assert!(self.published.contains(&track), "nobody mutes what is not theirs");
                vec![Event::Done(request)]
            }
            Command::OpenTransport { .. } => {
                let opened = OpenedTransport {
                    transport: TransportId(1),
                    ice: IceParameters {
                        username_fragment: "u".into(),
                        password: "p".into(),
                        ice_lite: true,
                    },
                    candidates: Vec::new(),
                    dtls: DtlsParameters::default(),
                };
                vec![Event::TransportOpened(request, Box::new(opened))]
            }
            Command::Consume { track, paused, .. } => {
                assert!(self.consumed.insert(track), "each track is consumed once");
                let mid = Some(self.consumed.len().to_string());
                let parameters = RtpParameters { mid, ..RtpParameters::default() };
                let consumed = Consumed { track, kind: MediaKind::Video, parameters, paused, muted: false };
                vec![Event::Consumed(request, Box::new(consumed))]
            }
            Command::DataTracks(DataTrackCommand::Publish { handle, name, .. }) => {
                assert!(handle != 0 && (1..=NAME_BYTES_MAX).contains(&name.len()), "{handle} {name:?}");
                assert!(self.data_tracks.values().all(|other| *other != name), "names are told apart");
                assert!(self.data_tracks.insert(handle, name).is_none(), "and so are handles");
                assert!(self.data_tracks.len() <= PUBLISHED_MAX, "there is a limit");
                vec![Event::DataTrackPublished(request, TrackId(u64::from(handle)))]
            }
            Command::DataTracks(DataTrackCommand::Unpublish { handle }) => {
                self.data_tracks.remove(&handle);
                vec![Event::Done(request)]
            }
            Command::DataTracks(DataTrackCommand::Subscribe(track)) => vec![Event::DataTrackHandle(track, 1)],
            Command::ReadChannels => {
                let details = vec![0xff; 3];
                let theirs = DataTrack { track: TrackId(2000), handle: 1, name: "points".into(), details };
                vec![Event::DataTracks(ParticipantId(2), vec![theirs])]
            }
            Command::Unsubscribe(track) => {
                self.consumed.remove(&track);
                vec![Event::Done(request)]
            }
            Command::Leave => vec![Event::Left(request)],
            _ => vec![Event::Done(request)],
        }
    }
}

/// `livekit`: whatever a client sends, it publishes and mutes nothing but what was reserved for it, each
/// track once, and what it is told is never long.
pub fn livekit(data: &[u8]) {
    let mut tape = Tape::new(data);
    let parameter = tape.bytes().unwrap_or_default();
    let asked = match std::str::from_utf8(parameter) {
        Ok("0") => Some(JoinAsked::read_words(None, None, None)),
        Ok(text) => JoinAsked::read(Some(text)).ok(),
        Err(_) => None,
    };
    let mut now = Instant::now();
    let mut front_end = LiveKitFrontEnd::new(LIMITS, now, asked.unwrap_or_default());
    let ticket =
        Ticket::Granted { grants: Grants::OPEN, profile: None, is_invited: true, is_vouched_for: true };
    let _ = front_end.join("standup".parse().expect("a room"), "Anna".into(), ticket);
    let mut core = Core::default();
    let mut is_over = carry_out(&mut core, &mut front_end, vec![joined()]);
    while let Some(choice) = tape.byte().filter(|_| !is_over) {
        now += Duration::from_millis(u64::from(choice >> 3) * 20);
        core.refuses = choice & 7 == 7;
        let Some(bytes) = tape.bytes() else { break };
        let reaction = front_end.receive(now, bytes, None);
        is_over = is_end(&reaction);
        let replies = reaction.demands.into_iter().flat_map(|demand| core.take(demand)).collect();
        is_over |= carry_out(&mut core, &mut front_end, replies);
    }
}

fn is_end(reaction: &LiveKitReaction) -> bool {
    assert!(reaction.say.iter().all(|message| message.len() < 1 << 20));
    reaction.close.is_some()
}

/// Hands events to the front end, and what it asks for to the core. Returns whether the connection ends.
fn carry_out(core: &mut Core, front_end: &mut LiveKitFrontEnd, mut events: Vec<Event>) -> bool {
    let mut is_over = false;
    while !events.is_empty() {
        let mut next = Vec::new();
        for event in events {
            let reaction = front_end.event(&event, LiveKitFacts::default());
            is_over |= is_end(&reaction);
            next.extend(reaction.demands.into_iter().flat_map(|demand| core.take(demand)));
        }
        events = next;
    }
    is_over
}
