//! Bugs put in on purpose, to see whether the simulator finds them. A build without the feature `mutations` has none:
//! there `mutated!(Name)` is the constant `false`.
//!
//! With the feature, one build has all of them, and each thread chooses one. That choice is the only global of the
//! core, because handing it through every layer would change the code that is to be tested.

#[cfg(not(feature = "mutations"))]
macro_rules! mutated {
    ($name:ident) => {
        false
    };
}

#[cfg(feature = "mutations")]
macro_rules! mutated {
    ($name:ident) => {
        $crate::core::mutation::is_chosen($crate::core::mutation::Mutation::$name)
    };
}

pub(crate) use mutated;

#[cfg(feature = "mutations")]
pub use chosen::{Mutation, choose, is_chosen};

#[cfg(feature = "mutations")]
mod chosen {
    use std::cell::Cell;

    thread_local! {
        static CHOSEN: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    /// Gives this thread's core that bug, or none.
    pub fn choose(mutation: Option<Mutation>) {
        CHOSEN.set(mutation);
    }

    /// Whether this thread's core has that bug.
    pub fn is_chosen(mutation: Mutation) -> bool {
        CHOSEN.get() == Some(mutation)
    }

    macro_rules! mutations {
        ($($(#[$doc:meta])* $name:ident $text:literal,)*) => {
            /// A bug that is put in on purpose.
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum Mutation {
                $($(#[$doc])* $name,)*
            }

            impl Mutation {
                /// All bugs, in the order of this list.
                pub const ALL: &[Self] = &[$(Self::$name,)*];

                /// Returns the name that `strait sim --mutation` takes.
                pub fn name(self) -> &'static str {
                    match self {
                        $(Self::$name => $text,)*
                    }
                }
            }
        };
    }

    mutations! {
        /// A new source begins one sequence number too late.
        SequenceOffByOne "sequence-off-by-one",
        /// A new source keeps its own timestamps.
        TimestampNotMoved "timestamp-not-moved",
        /// The picture ids of a new source do not go on.
        PictureIdNotContinued "picture-id-not-continued",
        /// The frame numbers of a new source do not go on.
        FrameNumberNotContinued "frame-number-not-continued",
        /// A picture begins without a key frame.
        KeyframeNotAwaited "keyframe-not-awaited",
        /// A wanted key frame is not asked for.
        KeyframeRequestForgotten "keyframe-request-forgotten",
        /// After the first request for a key frame there is no other.
        KeyframeThrottleNeverEnds "keyframe-throttle-never-ends",
        /// The packet before the one that was asked for is sent again.
        RepeatOfWrongPacket "repeat-of-wrong-packet",
        /// A retransmission names the number behind the original's.
        RepeatWithWrongOriginal "repeat-with-wrong-original",
        /// Muted packets are forwarded.
        MuteIgnored "mute-ignored",
        /// Paused packets are forwarded.
        PauseIgnored "pause-ignored",
        /// A packet that came by retransmission, too, is forwarded twice.
        DuplicateForwarded "duplicate-forwarded",
        /// Packets bear the publisher's payload type.
        PayloadTypeOfPublisher "payload-type-of-publisher",
        /// Media of a new source does not wait for the slot map.
        SlotNotAnnounced "slot-not-announced",
        /// Unsubscribing does not free the slot.
        SlotLeaked "slot-leaked",
        /// A slot map names the neighbour's track.
        WrongTrackInSlotMap "wrong-track-in-slot-map",
        /// A participant who leaves stays a viewer, so the next one in their place gets what they watched.
        ViewerNotRemoved "viewer-not-removed",
        /// A participant who leaves is told so, but stays.
        LeaverStays "leaver-stays",
        /// The roll-over counter is forgotten when a packet is sealed.
        RollOverForgotten "roll-over-forgotten",
        /// The roll-over counter does not count on when a packet is opened.
        RollOverNotGuessed "roll-over-not-guessed",
        /// Lost packets and feedback wait for another deadline.
        FeedbackTimerDropped "feedback-timer-dropped",
        /// Of two deadlines at one time the second is lost.
        TimerDropped "timer-dropped",
        /// The core names a deadline at which nothing is due.
        DeadlineSpins "deadline-spins",
        /// A sender report tells the clock of the source's report, not of now.
        ReportNotMoved "report-not-moved",
        /// A sender report bears the name of the slot beside.
        ReportOfWrongSlot "report-of-wrong-slot",
        /// No receiver report is written.
        ReceiverReportForgotten "receiver-report-forgotten",
        /// Transport-wide feedback begins one number too late.
        FeedbackBaseOffByOne "feedback-base-off-by-one",
        /// An empty room does not end.
        EmptyRoomKept "empty-room-kept",
        /// Ufrags stay known when their participant has gone.
        UfragLeaked "ufrag-leaked",
        /// Media is still sent to a participant who has vanished.
        ConsentIgnored "consent-ignored",
        /// A check that is replayed from another address moves the media there.
        ReplayedCheckBelieved "replayed-check-believed",
        /// A lost packet is never asked for.
        LossNotNoticed "loss-not-noticed",
        /// A participant who receives everything is not subscribed to tracks that are published later.
        LateTrackNotOffered "late-track-not-offered",
        /// A panic in forwarding.
        Panics "panics",
        /// A panic when it is looked at who is shown which encoding.
        PanicsInReview "panics-in-review",
        /// Whoever is banned is let in again.
        BanIgnored "ban-ignored",
        /// What somebody may not publish any more goes on.
        PermissionIgnored "permission-ignored",
        /// Whoever knocks is let in at once.
        DoorLeftOpen "door-left-open",
        /// The timer of a participant who has left stays set.
        TimerOfTheGoneKept "timer-of-the-gone-kept",
        /// A slot's stream does not lead to the slot, so feedback about it is ignored.
        SlotStreamForgotten "slot-stream-forgotten",
        /// Some transport-wide numbers are never given to a packet.
        TransportNumberSkipped "transport-number-skipped",
        /// Some of the packets that wait for room on a narrow network are never sent.
        PacerForgets "pacer-forgets",
        /// Padding takes numbers of the media stream.
        PaddingOnMediaSsrc "padding-on-media-ssrc",
        /// Nobody is told who speaks.
        SpeakersNotTold "speakers-not-told",
        /// Who has stopped speaking is still told to speak.
        SilenceNotTold "silence-not-told",
        /// Whoever speaks and has no slot is not given that of somebody silent.
        SpeakerNotShown "speaker-not-shown",
        /// A track that was asked for by name loses its slot to whoever speaks.
        PinIgnored "pin-ignored",
        /// An encoding that has stopped counts as one that comes.
        LayerNotLive "layer-not-live",
        /// How somebody wants to see a track is noted and has no effect.
        PreferIgnored "prefer-ignored",
        /// Copies of earlier audio say that they are older than they are.
        CopyOfWrongTime "copy-of-wrong-time",
        /// Audio is not sent with copies however much of it is lost.
        RedundancyForgotten "redundancy-forgotten",
        /// A viewer goes up to a higher layer at any frame.
        ForwardedFrameWithoutReference "forwarded-frame-without-reference",
        /// Nothing marks the end of a picture whose largest layers are left out.
        MarkerNotMoved "marker-not-moved",
        /// The picture ids of VP8 have gaps where pictures are left out.
        PictureIdNotCompacted "picture-id-not-compacted",
        /// The frame numbers of the dependency descriptor close up where frames are left out.
        DdRenumbered "dd-renumbered",
        /// A retransmission has the marker of the publisher's packet.
        RtxWithOtherMarker "rtx-with-other-marker",
        /// Whatever a network carries, everything is sent that is wanted.
        EstimateIgnored "estimate-ignored",
        /// Where a network carries only some of the layers inside a stream, all of them are sent.
        LayersNotLowered "layers-not-lowered",
        /// While the processor is full, video is paused, and not lowered before.
        LoadNotLowered "load-not-lowered",
        /// That somebody has moved between the mesh and the server is not noted.
        MoveNotAcknowledged "move-not-acknowledged",
        /// Whoever has not heard that they are to move is not told again.
        MoveNotAskedAgain "move-not-asked-again",
        /// A move that not everybody has made does not end.
        MoveNeverEnds "move-never-ends",
        /// Somebody who cannot send straight to the others is left alone on the server.
        CapabilityIgnored "capability-ignored",
        /// A call goes back to the mesh as soon as it is smaller than on the way up.
        HysteresisForgotten "hysteresis-forgotten",
        /// After a move the next one begins without a rest.
        CooldownIgnored "cooldown-ignored",
        /// Nobody is told to get the server ready.
        WarmNotTold "warm-not-told",
        /// Whoever comes back is not told where the call is meanwhile.
        MoveNotToldOnReturn "move-not-told-on-return",
        /// Those who come are not told what the others send straight.
        StraightTracksNotTold "straight-tracks-not-told",
        /// Whoever comes to a locked room is let in.
        LockIgnored "lock-ignored",
        /// What a moderator has stopped goes on.
        StopIgnored "stop-ignored",
        /// Whoever may not send messages sends them.
        DataPermissionIgnored "data-permission-ignored",
        /// The last of those to whom a message is said does not get it.
        DataRecipientForgotten "data-recipient-forgotten",
    }
}
