//! Every fixed cap of the program, what it bounds, and why that number. What an operator may want to change is
//! in the configuration instead; the defaults there refer to this file.

/// Shortest room id, bytes.
pub const ROOM_ID_BYTES_MIN: usize = 1;
/// Longest room id, bytes: fits a URL and a log line.
pub const ROOM_ID_BYTES_MAX: usize = 64;
/// Longest display name, characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest `data.topic`, characters.
pub const TOPIC_CHARS_MAX: usize = 64;
/// Largest `data.payload`, bytes of JSON text.
pub const DATA_PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// Longest correlation value, bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// Largest session description, bytes: 64 sections with all of Chromium's codecs are about 200 KiB.
pub const SDP_BYTES_MAX: usize = 512 * 1024;
/// Most media sections in an offer: what bounds an answer and its handling.
pub const SDP_SECTIONS_MAX: usize = 160;
/// Longest line of a session description, bytes. The longest that clients write are identity assertions.
pub const SDP_LINE_BYTES_MAX: usize = 8 * 1024;
/// Most lines of one media section: Chromium's longest has about 160.
pub const SDP_LINES_PER_SECTION_MAX: usize = 512;
/// Most lines of an offer: as many sections as may be, with 125 lines each.
pub const SDP_LINES_MAX: usize = 20_000;
/// Most media sections that one participant may have made in their life: each costs an entry in tables, and nobody who
/// means well makes a new one every few seconds for hours.
pub const SDP_SECTIONS_EVER_MAX: usize = 4096;

/// Longest certificate of a client, bytes of DER: kept for as long as the client is there. Those of browsers have a few
/// hundred bytes, those of companies with many names in them a few thousand.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Messages that a client may send that cannot be read, or come too fast, before its connection is cut: more than a mistake
/// makes, and few enough that answering them is nothing.
pub const FAULTS_MAX: u32 = 100;
/// How many of them are forgiven a second.
pub const FAULTS_PER_SECOND: u32 = 1;
/// A message that so many people are told of counts for one message more.
pub const RECIPIENTS_PER_MESSAGE: usize = 25;
/// Whoever is sent so many bytes of `data` counts for one recipient, and for one more for each time as many.
pub const DATA_BYTES_PER_RECIPIENT: usize = 1024;

/// Tracks without a slot that a slot map lists; of more, it tells the number. In a room of hundreds of tracks each change of
/// one of them would else be told to everybody as a list of hundreds.
pub const WAITING_TOLD_MAX: usize = 32;

/// Largest datagram that we send: what fits any path that WebRTC uses (RFC 8831 §5, libwebrtc's own limit).
pub const DATAGRAM_BYTES_MAX: usize = 1500;
/// Addresses from which one participant may have passed a connectivity check: a phone on two networks, twice over.
pub const PATHS_PER_PARTICIPANT_MAX: usize = 16;
/// Addresses from which one participant may pass checks until its next ICE restart: the engine keeps each of them, and
/// goes through all with every check. Far more changes of network than a call sees.
pub const CHECKED_ADDRESSES_MAX: usize = 128;
/// Incoming RTP streams one participant may open: three layers with RTX for each of its tracks, with room to spare.
pub const INGRESS_STREAMS_PER_PARTICIPANT_MAX: usize = 128;

/// Streams of one participant whose replay windows are kept. More than are open at a time: a window outlives its stream,
/// so that old packets cannot be played again.
pub const SRTP_STREAMS_PER_PARTICIPANT_MAX: usize = 1024;

const _: () = assert!(INGRESS_STREAMS_PER_PARTICIPANT_MAX <= SRTP_STREAMS_PER_PARTICIPANT_MAX);
const _: () = assert!(ROOM_ID_BYTES_MIN <= ROOM_ID_BYTES_MAX);
const _: () = assert!(DATA_PAYLOAD_BYTES_MAX < SDP_BYTES_MAX);
