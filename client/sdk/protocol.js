// The signalling protocol's messages as types, and its version. The contract itself is docs/protocol.md.

export const PROTOCOL_VERSION = 1;

/**
 * @typedef {'audio' | 'video'} Kind
 * @typedef {'microphone' | 'camera' | 'screen' | 'screen-audio'} Source
 * @typedef {'connected' | 'reconnecting'} ParticipantState
 * @typedef {'left' | 'transport-closed' | 'fingerprint-mismatch' | 'handshake-failed' | 'media-timeout'
 *   | 'resume-timeout' | 'removed' | 'room-closed' | 'shutdown' | 'error' | 'made-way'
 *   | 'duplicate-identity' | 'banned'} LeaveReason
 *
 * @typedef {object} TrackInfo
 * @property {string} trackId
 * @property {string} participantId
 * @property {Kind} kind
 * @property {Source} source
 * @property {boolean} muted
 *
 * @typedef {object} MeshTrack what somebody sends straight
 * @property {string} id
 * @property {Source} source
 * @property {boolean} muted
 *
 * @typedef {'moderator' | 'speaker' | 'listener'} Role what somebody is, by what they may do
 *
 * @typedef {object} Profile
 * @property {string} name
 * @property {string} [identity] who they are by their token
 * @property {string} [metadata] what the application has to say about them
 * @property {Record<string, string>} [attributes] the same by keys
 *
 * @typedef {object} ParticipantPart
 * @property {string} participantId
 * @property {Role} [role]
 * @property {ParticipantState} state
 * @property {boolean} [mediaLost] nothing has come on their media path for some seconds
 * @property {TrackInfo[]} tracks
 * @property {MeshTrack[]} [meshTracks] what they send straight
 *
 * @typedef {ParticipantPart & Profile} ParticipantInfo
 *
 * @typedef {Profile & {participantId: string}} Knocking somebody who waits to be let in
 *
 * @typedef {object} RoomInfo what is set for a room
 * @property {string} [metadata] what the application has to say about it
 * @property {boolean} locked nobody may come in but moderators
 * @property {boolean} waitingRoom people wait until a moderator lets them in
 *
 * @typedef {object} PermissionsChanged
 * @property {Permissions} permissions
 * @property {Role} role
 * @property {{trackId: string, source: Source}[]} ended one's own tracks that one may not publish any more
 * @property {string} message
 *
 * @typedef {object} SlotInfo
 * @property {string} mid
 * @property {string | null} trackId
 * @property {number | null} fromRtpTimestamp
 *
 * @typedef {object} SlotMap
 * @property {number} revision
 * @property {SlotInfo[]} slots
 * @property {{trackId: string, reason: string}[]} waiting the first of those that wait
 * @property {number} [waitingCount] how many wait in all, listed or not
 *
 * @typedef {object} Speaker
 * @property {string} participantId
 * @property {string} trackId their microphone
 * @property {number} level in dBov: 0 is loudest, -127 silence
 *
 * @typedef {object} Speakers
 * @property {string | null} dominant
 * @property {Speaker[]} speakers the dominant one first
 *
 * @typedef {object} PublicationInfo
 * @property {string} mid
 * @property {string} trackId
 * @property {Source} source
 * @property {Kind} kind
 * @property {boolean} muted
 *
 * @typedef {object} PublicationRequest
 * @property {string} mid
 * @property {Source} source
 * @property {boolean} muted
 * @property {EncodingRequest[]} [encodings] of a simulcast
 *
 * @typedef {object} EncodingRequest
 * @property {string} rid
 * @property {number} [width] pixels
 * @property {number} [height] pixels
 * @property {number} [maxBitrate] bits per second
 *
 * @typedef {object} Layer which encoding of a simulcast is received, up to which layers inside it, or that nothing of a track is
 * @property {string} trackId
 * @property {string | null} layer its rid; null while nothing is received, and for a track in one encoding
 * @property {boolean} [paused] nothing of the track is sent, because the network carries no more, or the server has no time
 * @property {number} [spatialLayer] the highest spatial layer inside the encoding that is sent; all are if it is left out
 * @property {number} [temporalLayer] the highest temporal layer inside the encoding that is sent; all are if it is left out
 * @property {number} [width] pixels, as its publisher says
 * @property {number} [height] pixels, as its publisher says
 * @property {'wanted' | 'stopped' | 'available' | 'bandwidth' | 'load'} reason why it is this one
 *
 * @typedef {object} QualityNews
 * @property {string} participantId
 * @property {'good' | 'medium' | 'poor'} quality
 * @property {number} score from 0 to 100
 * @property {number | null} mos from 1 to 5; `null` without sound
 *
 * @typedef {object} SlotCounts
 * @property {number} audio
 * @property {number} video
 *
 * @typedef {object} Permissions
 * @property {Source[]} publish what may be published
 * @property {boolean} subscribe whether the tracks of others may be received
 * @property {boolean} sendData whether messages may be sent
 * @property {boolean} [updateOwnProfile] whether one's own name, metadata and attributes may be changed
 * @property {boolean} moderate whether others may be muted, stopped, removed and banned, the room locked, and so on
 * @property {boolean} [hidden] whether the others are not told of one
 *
 * @typedef {object} JoinedPart
 * @property {number} version
 * @property {string} participantId
 * @property {Role} [role]
 * @property {string} secret
 * @property {string} room
 * @property {RoomInfo} [roomState]
 * @property {RTCIceServer[]} iceServers
 * @property {boolean} selfSigned the server's certificate is one that it made itself
 * @property {boolean} [open] anybody may come in without a token
 * @property {SlotCounts} slots
 * @property {SlotCounts} maxSlots
 * @property {number} resumeSeconds
 * @property {Permissions} permissions
 * @property {ParticipantInfo[]} participants
 * @property {string} server
 * @property {object} [topology] where calls may go straight: see topology.js
 *
 * @typedef {JoinedPart & Profile} Joined
 *
 * @typedef {object} ResumedPart
 * @property {PublicationInfo[]} publications
 * @property {SlotMap} slotMap
 * @property {{trackId: string, paused: boolean}[]} subscriptions
 * @property {string[]} unsubscribed
 *
 * @typedef {Joined & ResumedPart} Resumed
 *
 * @typedef {object} Answer
 * @property {string} sdp
 * @property {PublicationInfo[]} publications
 *
 * @typedef {object} Closing
 * @property {LeaveReason | 'replaced'} reason
 * @property {string} message
 * @property {boolean} rejoin
 *
 * @typedef {object} OfferRequest
 * @property {string} sdp
 * @property {PublicationRequest[]} publications
 */

/** @param {Source} source @returns {Kind} */
export function kindOf(source) {
  return source === 'microphone' || source === 'screen-audio' ? 'audio' : 'video';
}
