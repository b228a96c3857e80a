//! The fixed limits that several files share, and why they have these values. A limit that one file needs stands in that
//! file; limits that an operator may want to change are in the configuration.

/// Shortest room id, bytes.
pub const ROOM_ID_BYTES_MIN: usize = 1;
/// Longest room id, bytes. It fits into a URL and a log line.
pub const ROOM_ID_BYTES_MAX: usize = 64;
/// Longest display name, characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest identity, characters.
pub const IDENTITY_CHARS_MAX: usize = 256;
/// Longest metadata of a participant or a room, bytes. Everybody in a room is told that of everybody else.
pub const METADATA_BYTES_MAX: usize = 4 * 1024;
/// Most attributes of a participant.
pub const ATTRIBUTES_MAX: usize = 32;
/// All attributes of a participant together, bytes of their keys and values.
pub const ATTRIBUTES_BYTES_MAX: usize = 4 * 1024;
/// Longest name of a stream of tracks that play in sync, characters.
pub const TRACK_STREAM_CHARS_MAX: usize = 64;
/// Most that a front end may say of a track to others of its kind, bytes. Everybody in a room is told it.
pub const TRACK_DETAILS_BYTES_MAX: usize = 4 * 1024;
/// Longest text of a report about somebody, characters.
pub const REPORT_CHARS_MAX: usize = 2000;
/// Longest `data.topic`, characters.
pub const TOPIC_CHARS_MAX: usize = 64;
/// Largest `data.payload`, bytes of JSON text.
pub const DATA_PAYLOAD_BYTES_MAX: usize = 16 * 1024;
/// Longest id of a track that goes straight to the others, characters: browsers have 36.
pub const MESH_TRACK_ID_CHARS_MAX: usize = 64;
/// Longest session description that one member sends another, bytes of JSON text: a few tracks with all of a browser's
/// codecs are about 20 KiB.
pub const MESH_DESCRIPTION_BYTES_MAX: usize = 64 * 1024;
/// Longest ICE candidate that one member sends another, bytes of JSON text. Browsers' have about 200.
pub const MESH_CANDIDATE_BYTES_MAX: usize = 1024;
/// Longest text with which a client says why it could not move, characters.
pub const MESH_REASON_CHARS_MAX: usize = 200;
/// Such descriptions and candidates that a client may send a second, in the long run.
pub const MESH_SIGNALS_PER_SECOND: u32 = 100;
/// And at once: an offer and ten candidates for each of the others in the largest mesh, and as much again.
pub const MESH_SIGNALS_AT_ONCE: u32 = 600;

/// Longest correlation value, bytes.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// Largest session description, bytes: 64 sections with all of Chromium's codecs are about 200 KiB.
pub const SDP_BYTES_MAX: usize = 512 * 1024;
/// Most media sections in an offer. This bounds the size of answers and the work for them.
pub const SDP_SECTIONS_MAX: usize = 160;
/// Longest line of a session description, bytes. The longest that clients write are identity assertions.
pub const SDP_LINE_BYTES_MAX: usize = 8 * 1024;
/// Most lines of one media section: Chromium's longest has about 160.
pub const SDP_LINES_PER_SECTION_MAX: usize = 512;
/// Most lines of an offer: as many sections as may be, with 125 lines each.
pub const SDP_LINES_MAX: usize = 20_000;
/// Most media sections that one participant may ever have. Each costs an entry in tables, and no honest client makes a
/// new one every few seconds for hours.
pub const SDP_SECTIONS_EVER_MAX: usize = 4096;

/// Longest certificate of a client, bytes of DER: kept for as long as the client is there. Those of browsers have a few
/// hundred bytes, those of companies with many names in them a few thousand.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Most of H.264's parameter sets that are kept of a stream or taken of an offered format. Encoders have one or two of each
/// kind.
pub const PARAMETER_SETS_MAX: usize = 8;
/// Longest parameter set, bytes: it must fit a packet. Usually it is ten to forty.
pub const PARAMETER_SET_BYTES_MAX: usize = 1024;
/// Messages that a client may send that cannot be read, or come too fast, before its connection is cut: more than a mistake
/// makes, and few enough that answering them is nothing.
pub const FAULTS_MAX: u32 = 100;
/// How many of them are forgiven per second.
pub const FAULTS_PER_SECOND: u32 = 1;
/// A message counts as one more for each of this many people who are told.
pub const RECIPIENTS_PER_MESSAGE: usize = 25;
/// Whoever is sent this many bytes of `data` counts for one recipient, and for one more for each time as many.
pub const DATA_BYTES_PER_RECIPIENT: usize = 1024;

/// Tracks without a slot that a slot map lists; of more, it tells the number. In a room of hundreds of tracks each change of
/// one of them would else be told to everybody as a list of hundreds.
pub const WAITING_TOLD_MAX: usize = 32;

/// Most tracks whose sizes one `prefer` states: all that a room of 200 may publish.
pub const PREFERENCES_MAX: usize = 512;
/// How many of them count as one message.
pub const PREFERENCES_PER_MESSAGE: usize = 25;
/// Most encodings of one simulcast. Browsers send three.
pub const ENCODINGS_MAX: usize = 8;

/// Largest datagram that we send. It fits any path that WebRTC uses (RFC 8831 §5, libwebrtc's own limit).
pub const DATAGRAM_BYTES_MAX: usize = 1500;
/// How many paths of one participant are remembered: those of a phone on two networks, twice over.
pub const PATHS_PER_PARTICIPANT_MAX: usize = 16;
/// From how many addresses one participant may pass checks until the next ICE restart. The engine keeps each of them
/// and goes through all with every check. No call has nearly as many changes of network.
pub const CHECKED_ADDRESSES_MAX: usize = 128;
/// How many incoming RTP streams one participant may open: three encodings with RTX for each of its tracks, with room
/// to spare.
pub const INGRESS_STREAMS_PER_PARTICIPANT_MAX: usize = 128;

/// How many streams of one participant have whole replay windows. Those that have been silent for longest are reduced to
/// their newest index.
pub const SRTP_WINDOWS_MAX: usize = 1024;
/// How many SSRCs one participant may ever send from. Each costs some twenty bytes for as long as the keys are in use,
/// and as many again if RTCP comes from it. An encoder that takes another one every second gets there after four hours and a
/// half.
pub const SRTP_STREAMS_EVER_MAX: usize = 16_384;

const _: () = assert!(INGRESS_STREAMS_PER_PARTICIPANT_MAX <= SRTP_WINDOWS_MAX);
const _: () = assert!(SRTP_WINDOWS_MAX <= SRTP_STREAMS_EVER_MAX);
const _: () = assert!(ROOM_ID_BYTES_MIN <= ROOM_ID_BYTES_MAX);
const _: () = assert!(DATA_PAYLOAD_BYTES_MAX < SDP_BYTES_MAX);

/// Largest message on a data channel, bytes: what browsers take, too, and what our answers say (RFC 8841 §6).
pub const CHANNEL_MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Most SCTP streams of one association, which are as many data channels.
pub const CHANNEL_STREAMS_MAX: u16 = 256;
/// What may wait to be sent on the data channels of one participant, bytes.
pub const CHANNEL_BYTES_BUFFERED_MAX: usize = 1024 * 1024;
