//! Messages between members: what comes by signalling or on data channels, and the way on which each recipient is told it.
//!
//! A member's front end may read their channels itself, because it has a format of its own. The channels of all others
//! carry [frames](crate::core::data), if they name that protocol. What comes on any other channel is passed on as it is, to
//! all who have a channel of the same label.

mod tracks;

use std::time::Instant;

use tracing::{debug, trace};

use super::Room;
use crate::core::channels::{ChannelEnd, ChannelEvent, ChannelId, ChannelRequest};
use crate::core::command::Command;
use crate::core::data::{DataPayload, Frame, PROTOCOL, write_frame};
use crate::core::data_tracks;
use crate::core::event::{Event, Refusal, RefusalCode};
use crate::core::ids::{ParticipantId, ParticipantKey, TransportKey};
use crate::core::member_channels::{Channel, Channels, Early, LABEL_BYTES_MAX};
use crate::core::mutation::mutated;
use crate::core::outbox::{Outbox, RoomOutput};
use crate::core::output::DtlsRequest;
use crate::limits::{DATA_BYTES_PER_RECIPIENT, RECIPIENTS_PER_MESSAGE};

/// What data is sent at least per second where media shares the network, in bits.
const DATA_RATE_MIN: u64 = 256_000;

/// What was said, by whom, and how: the same for all recipients.
struct Said<'a> {
    /// `None` for what a back end says.
    from: Option<ParticipantId>,
    topic: &'a str,
    payload: &'a DataPayload,
    is_lossy: bool,
    /// The same as a frame, written when the first recipient needs it.
    frame: Option<Option<Vec<u8>>>,
}

impl Room {
    /// Takes what happened on the data channels of a transport.
    pub(super) fn handle_channel(
        &mut self,
        now: Instant,
        on: TransportKey,
        event: ChannelEvent,
        outbox: &mut Outbox,
    ) {
        // Before the peer has shown its certificate anybody could be at the other end.
        let Some(owner) = self.owner_of(on).filter(|_| self.has_media(on)) else { return };
        let channels =
            self.participants[owner.0].channels.get_or_insert_with(|| Box::new(Channels::new(now)));
        match event {
            ChannelEvent::Opened { channel: id, label, protocol, is_reliable } => {
                debug!(room = %self.id, participant = owner.0, label, protocol, is_reliable, "data channel opened");
                let is_framed = protocol == PROTOCOL;
                let early = channels.take_early(&label);
                let has_room = protocol.len() <= LABEL_BYTES_MAX
                    && channels.open(Channel { on, id, label, is_reliable, is_framed });
                if !has_room {
                    return request(outbox, on, ChannelRequest::Close(id));
                }
                // What may be lost and comes late is of no use.
                for Early { is_text, bytes, .. } in early.into_iter().filter(|_| is_reliable) {
                    self.send_data(owner, on, ChannelRequest::Send { channel: id, is_text, bytes }, outbox);
                }
            }
            ChannelEvent::Message { channel, is_text, bytes } => {
                self.take_message(now, owner, (on, channel), is_text, bytes, outbox);
            }
            ChannelEvent::Closed { channel: id, end } => {
                if let Some(closed) = channels.close(on, id) {
                    debug!(room = %self.id, participant = owner.0, label = closed.label, ?end, "data channel closed");
                    if end == ChannelEnd::TooSlow {
                        self.totals.channels_too_slow += 1;
                    }
                }
            }
            ChannelEvent::Ended => channels.drop_transport(on),
        }
    }

    /// Takes a message that came on a channel of a member's.
    fn take_message(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        (on, id): (TransportKey, ChannelId),
        is_text: bool,
        bytes: Vec<u8>,
        outbox: &mut Outbox,
    ) {
        let others = self.order.len().saturating_sub(1);
        let participant = &mut self.participants[from.0];
        let Some(channels) = &mut participant.channels else { return };
        let Some(channel) = channels.get(on, id) else { return };
        let (is_reliable, is_framed, label) = (channel.is_reliable, channel.is_framed, channel.label.clone());
        if !participant.grants.send_data && !mutated!(DataPermissionIgnored) {
            let refusal = super::commands::not_permitted("send messages to others");
            return self.refuse_message(now, from, refusal, outbox);
        }
        let frame = if is_framed && !channels.is_foreign { Frame::read(&bytes) } else { None };
        let recipients = frame.as_ref().and_then(|frame| frame.to.as_ref()).map_or(others, Vec::len);
        let told = recipients.min(others) * bytes.len().div_ceil(DATA_BYTES_PER_RECIPIENT).max(1);
        // Whoever says too much loses what may be lost, and is not listened to for a while on channels that lose nothing.
        if !is_reliable && !channels.may_say(now).is_zero() {
            self.totals.data_refused += 1;
            return;
        }
        channels.note_said(now, told / RECIPIENTS_PER_MESSAGE);
        let wait = channels.may_say(now);
        if is_reliable && !wait.is_zero() {
            let milliseconds = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).saturating_add(1);
            request(outbox, on, ChannelRequest::Hold(milliseconds));
        }
        if channels.is_foreign && label == data_tracks::LABEL {
            return self.pass_data_packet(from, &bytes, outbox);
        }
        if channels.is_foreign {
            return outbox.event(from, Event::FromChannel { label, is_text, bytes });
        }
        match frame {
            Some(Frame { to, topic, payload }) => {
                let passed = self.pass_data(from, to.as_deref(), (&topic, &payload, !is_reliable), outbox);
                if let Err(refusal) = passed {
                    self.refuse_message(now, from, refusal, outbox);
                }
            }
            None if is_framed => {
                let rule = "a message on a data channel of the protocol \"strait\" is not a frame";
                let refusal =
                    Refusal::new(RefusalCode::BadMessage, rule, "see docs/protocol.md for what one is");
                self.refuse_message(now, from, refusal, outbox);
            }
            None => self.pass_as_it_is(from, &label, is_text, &bytes, outbox),
        }
    }

    /// Tells a member that what they sent on a channel is not passed on. They are not told of everything.
    fn refuse_message(&mut self, now: Instant, from: ParticipantKey, refusal: Refusal, outbox: &mut Outbox) {
        self.totals.data_refused += 1;
        let Some(channels) = &mut self.participants[from.0].channels else { return };
        if channels.may_be_told(now) {
            outbox.event(from, Event::Refused(None, refusal));
        }
    }

    /// Passes a message on to all others who have a channel of that label.
    fn pass_as_it_is(
        &mut self,
        from: ParticipantKey,
        label: &str,
        is_text: bool,
        bytes: &[u8],
        outbox: &mut Outbox,
    ) {
        for place in 0..self.order.len() {
            let key = self.order[place];
            let channels = self.participants[key.0].channels.as_ref().filter(|channels| !channels.is_foreign);
            let channel = channels.filter(|_| key != from).and_then(|channels| channels.labelled(label));
            if let Some(&Channel { on, id: channel, .. }) = channel {
                let send = ChannelRequest::Send { channel, is_text, bytes: bytes.to_vec() };
                self.send_data(key, on, send, outbox);
            }
        }
    }

    /// Sends something to a member on a channel, no faster than half of what their network is believed to carry: the rest is
    /// media's.
    fn send_data(&mut self, to: ParticipantKey, on: TransportKey, send: ChannelRequest, outbox: &mut Outbox) {
        let media = self.transports.get(on.0).and_then(|transport| transport.media.as_ref());
        let bandwidth = media.and_then(|media| media.egress.bandwidth());
        if let (Some(bandwidth), Some(channels)) = (bandwidth, &mut self.participants[to.0].channels) {
            let rate = (bandwidth.estimate / 2).max(DATA_RATE_MIN);
            let is_news = |told: u64| rate.abs_diff(told) > told / 4;
            if channels.told_rate.is_none_or(is_news) {
                channels.told_rate = Some(rate);
                request(outbox, on, ChannelRequest::Pace(rate));
            }
        }
        request(outbox, on, send);
    }

    /// Passes a message on: its topic, its payload, and whether it may be lost.
    ///
    /// # Errors
    /// A recipient is not in the room.
    pub(super) fn pass_data(
        &mut self,
        from: ParticipantKey,
        to: Option<&[ParticipantId]>,
        (topic, payload, is_lossy): (&str, &DataPayload, bool),
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let recipients: Vec<ParticipantKey> = match to {
            None => self.order.iter().copied().filter(|key| *key != from).collect(),
            Some(ids) => {
                let known: Option<Vec<_>> = ids.iter().map(|id| self.by_id.get(id).copied()).collect();
                known.ok_or_else(|| {
                    Refusal::new(
                        RefusalCode::UnknownRecipient,
                        "`to` names somebody who is not in the room",
                        "send to the participants that the room lists",
                    )
                })?
            }
        };
        // The server says who the sender is, so that nobody can pretend to be somebody else.
        let from = self.participants[from.0].id;
        self.say(Some(from), recipients, (topic, payload, is_lossy), outbox);
        Ok(())
    }

    /// Tells each of these members something once, in the name of a member or of nobody.
    pub(super) fn say(
        &mut self,
        from: Option<ParticipantId>,
        mut recipients: Vec<ParticipantKey>,
        (topic, payload, is_lossy): (&str, &DataPayload, bool),
        outbox: &mut Outbox,
    ) {
        // Whoever is named twice gets it once. Otherwise one request could fill somebody's connection.
        recipients.sort_unstable();
        recipients.dedup();
        if mutated!(DataRecipientForgotten) {
            recipients.pop();
        }
        let mut said = Said { from, topic, payload, is_lossy, frame: None };
        for recipient in recipients {
            self.tell_data(recipient, &mut said, outbox);
        }
    }

    /// Tells one recipient what was said: on a channel if they have one that works, else by signalling.
    fn tell_data(&mut self, to: ParticipantKey, said: &mut Said<'_>, outbox: &mut Outbox) {
        let channels = self.participants[to.0].channels.as_deref();
        let is_foreign = channels.is_some_and(|channels| channels.is_foreign);
        if matches!(said.payload, DataPayload::Packet(_)) && !is_foreign {
            return;
        }
        let channel = channels.filter(|_| !is_foreign).and_then(|channels| channels.framed(said.is_lossy));
        let has_path = |channel: &&Channel| {
            self.transports.get(channel.on.0).is_some_and(|transport| transport.path.is_some())
        };
        if let Some(channel) = channel.filter(has_path) {
            let (from, topic, payload) = (said.from, said.topic, said.payload);
            if let Some(frame) = said.frame.get_or_insert_with(|| write_frame(from, topic, payload)) {
                let send = ChannelRequest::Send { channel: channel.id, is_text: false, bytes: frame.clone() };
                let on = channel.on;
                return self.send_data(to, on, send, outbox);
            }
        }
        let event = Event::Data {
            from: said.from,
            topic: said.topic.to_owned(),
            payload: said.payload.clone(),
            is_lossy: said.is_lossy,
        };
        outbox.event(to, event);
    }

    /// Carries out what a member's front end asks of their channels.
    pub(super) fn use_channels(
        &mut self,
        now: Instant,
        from: ParticipantKey,
        command: Command,
        outbox: &mut Outbox,
    ) -> Result<(), Refusal> {
        let channels = self.participants[from.0].channels.get_or_insert_with(|| Box::new(Channels::new(now)));
        match command {
            Command::ReadChannels => {
                channels.is_foreign = true;
                self.tell_all_data_tracks(from, outbox);
            }
            Command::ToChannel { label, is_text, bytes } => {
                if let Some(&Channel { on, id: channel, .. }) = channels.labelled(&label) {
                    self.send_data(from, on, ChannelRequest::Send { channel, is_text, bytes }, outbox);
                } else if !channels.keep(&label, is_text, bytes) {
                    // Others see a member as soon as they have joined, which is before they could open one: so much is kept.
                    trace!(room = %self.id, participant = from.0, label, "no such data channel");
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn request(outbox: &mut Outbox, on: TransportKey, request: ChannelRequest) {
    outbox.outputs.push(RoomOutput::Dtls(on, DtlsRequest::Channel(request)));
}
