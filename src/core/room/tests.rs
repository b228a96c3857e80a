//! What happens in a room when a step panics.

use super::*;
use crate::core::command::{Layout, Lifeline};
use crate::core::event::ClosingReason;
use crate::core::event::Event;
use crate::core::grants::Grants;
use crate::core::profile::Profile;

fn room(now: Instant) -> Room {
    Room::new(now, "standup".parse().unwrap(), "aaaa".into(), Settings::for_trying(now).into())
}

#[test]
fn a_panic_in_one_participants_step_ends_that_participant_alone() {
    let now = Instant::now();
    let (mut room, mut outbox) = (room(now), Outbox::default());
    for name in ["Anna", "Ben"] {
        let admission = Admission { entropy: [name.len() as u8; 32], candidates: Vec::new() };
        let join = Join {
            room: room.id.clone(),
            profile: Profile::named(name),
            auto_subscribe: true,
            lifeline: Lifeline::Signalling,
            layout: Layout::Slots,
            grants: Grants::OPEN,
            is_invited: false,
            is_vouched_for: true,
            can_mesh: false,
            host: None,
        };
        room.handle(now, RoomInput::Join(None, admission, join), &mut outbox);
    }
    let (anna, ben) = (room.order[0], room.order[1]);
    outbox.outputs.clear();
    room.step(now, Owner::Member(anna), &mut outbox, |_, _| panic!("a bug"));
    assert_eq!(room.order, [ben]);
    let told = |to: ParticipantKey, wanted: fn(&Event) -> bool| {
        outbox
            .outputs
            .iter()
            .any(|output| matches!(output, RoomOutput::Event(key, event) if *key == to && wanted(event)))
    };
    assert!(told(anna, |event| matches!(event, Event::Closing(ClosingReason::Gone(LeaveReason::Error)))));
    assert!(told(ben, |event| matches!(event, Event::ParticipantLeft(_, LeaveReason::Error))));
}
