// Hooks for React on the SDK: a room for as long as a component wants it, who is in it, and their tracks.

export { useRoom } from './use-room.js';
export { useRoomEvent } from './use-room-event.js';
export { useParticipants } from './use-participants.js';
export { useTrack } from './use-track.js';

/** @typedef {import('./use-room.js').UseRoomOptions} UseRoomOptions */
/** @typedef {import('./use-room.js').RoomView} RoomView */
/** @typedef {import('./use-track.js').TrackView} TrackView */
/** @typedef {import('./use-track.js').UseTrackOptions} UseTrackOptions */
