//! What comes on data channels: the messages that open them, frames, and SCTP packets as the guard reads them.

use std::time::Instant;

use strait::core::channels::ChannelRequest;
use strait::core::data::{Frame, write_frame};
use strait::core::ids::ParticipantId;
use strait::sctp::{Association, Shared};
use strait::wire::dcep::{self, Message};
use strait::wire::sctp::chunks;

/// `data_channels`: what is read stays within what there is; a frame that is written again says the same; no packet that
/// begins nothing is answered.
pub fn data_channels(data: &[u8]) {
    if let Ok(Message::Open(open)) = dcep::read(data) {
        assert!(12 + open.label.len() + open.protocol.len() <= data.len());
    }
    if let Some(Frame { to, topic, payload }) = Frame::read(data) {
        assert!(payload.bytes() + topic.len() + 3 <= data.len());
        assert!(to.is_none_or(|to| !to.is_empty() && to.len() * 15 < data.len()));
        let from = ParticipantId(7);
        let written = write_frame(Some(from), &topic, &payload).expect("it was no longer than this");
        assert_eq!(Frame::read(&written), Some(Frame { to: Some(vec![from]), topic, payload }));
    }
    let read: Vec<_> = chunks(data).collect();
    assert!(read.len() <= data.len() + 1 && read.iter().rev().skip(1).all(Result::is_ok));
    let now = Instant::now();
    let mut association = Association::new(&Shared::new(1200));
    association.request(now, &ChannelRequest::Enable { message_bytes_max: 1000 });
    association.receive(now, data);
    assert!(association.next_event().is_none() && association.deadline(now).is_none_or(|at| at >= now));
}
