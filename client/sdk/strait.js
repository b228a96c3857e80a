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
