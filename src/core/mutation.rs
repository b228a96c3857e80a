//! Bugs put in on purpose, to see whether the simulator finds them. In a build without the feature `mutations` there
//! are none: `mutated!(Name)` is `false`, and nothing of it is compiled.
//!
//! With the feature, one build has all of them, and each thread chooses. That is the one global of the core; handing
//! the choice through every layer would put it into the code that is to be tested.

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

    /// From now on this thread's core has that bug, or none.
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

                /// What `strait sim --mutation` calls it.
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
        /// Who leaves stays a viewer: the next in their place gets what they watched.
        ViewerNotRemoved "viewer-not-removed",
        /// Who leaves is told so, and stays.
        LeaverStays "leaver-stays",
        /// The roll-over counter is forgotten when a packet is sealed.
        RollOverForgotten "roll-over-forgotten",
        /// The roll-over counter does not count on when a packet is opened.
        RollOverNotGuessed "roll-over-not-guessed",
        /// Lost packets and feedback wait for another deadline.
        FeedbackTimerDropped "feedback-timer-dropped",
        /// Of two deadlines at one time the second is lost.
        TimerDropped "timer-dropped",
        /// A deadline is named that nothing comes of.
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
        /// Media goes on being sent to who has gone without a word.
        ConsentIgnored "consent-ignored",
        /// A check that is replayed from elsewhere takes the media along.
        ReplayedCheckBelieved "replayed-check-believed",
        /// A lost packet is never asked for.
        LossNotNoticed "loss-not-noticed",
        /// Who receives all is not subscribed to what is published later.
        LateTrackNotOffered "late-track-not-offered",
        /// A panic in forwarding.
        Panics "panics",
        /// Whoever leaves is still to be woken.
        TimerOfTheGoneKept "timer-of-the-gone-kept",
        /// A slot's stream does not lead to the slot, so that what is said of it is not heard.
        SlotStreamForgotten "slot-stream-forgotten",
        /// Some transport-wide numbers are never given to a packet.
        TransportNumberSkipped "transport-number-skipped",
    }
}
