// The Strait SDK: everything an application imports.

export { Room } from './room.js';
export { Participant } from './participant.js';
export { LocalTrack } from './local-track.js';
export { RemoteTrack, Track } from './track.js';
export { followTile } from './tile-size.js';
export { StraitError } from './errors.js';
export { captureCamera, captureMicrophone, captureScreen, listDevices, permissionState } from './capture.js';
export { LevelMeter, audioContext } from './levels.js';
export { VoiceGate } from './voice-gate.js';
export { worstQuality } from './stats.js';
export { PROTOCOL_VERSION } from './protocol.js';

// The types that applications name.
/** @typedef {import('./capture.js').CameraOptions} CameraOptions */
/** @typedef {import('./capture.js').MicrophoneOptions} MicrophoneOptions */
/** @typedef {import('./capture.js').ScreenOptions} ScreenOptions */
/** @typedef {import('./local-track.js').PublishOptions} PublishOptions */
/** @typedef {import('./participant.js').ParticipantEvents} ParticipantEvents */
/** @typedef {import('./protocol.js').Layer} Layer */
/** @typedef {import('./protocol.js').Permissions} Permissions */
/** @typedef {import('./protocol.js').Source} Source */
/** @typedef {import('./room.js').RoomEvents} RoomEvents */
/** @typedef {import('./room.js').RoomOptions} RoomOptions */
/** @typedef {import('./room.js').RoomTopology} RoomTopology */
/** @typedef {import('./session.js').JoinRequest} JoinRequest */
/** @typedef {import('./session.js').RoomState} RoomState */
/** @typedef {import('./stats.js').RoomStats} RoomStats */
/** @typedef {import('./track.js').TrackEvents} TrackEvents */
/** @typedef {import('./track.js').TrackStatus} TrackStatus */
/** @typedef {import('./voice-gate.js').VoiceMode} VoiceMode */
/** @typedef {import('./wishes.js').VideoLimit} VideoLimit */
