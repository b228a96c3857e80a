// Who is in a room, oneself first.

import { useMemo, useSyncExternalStore } from 'react';
import { listenTo, makeStore } from './store.js';

/** @import {Participant, Room} from '../sdk/strait.js' */

const NEWS = /** @type {const} */ ([
  'state',
  'participant-joined',
  'participant-left',
  'participant-changed',
  'track-changed',
]);

/**
 * Everybody in the room: oneself first, the others in the order in which they came; nobody while one is not in it. It is another
 * array, and the component is rendered again, when somebody comes or goes, and when a name, a
 * state, a track or who speaks changes.
 * How loud somebody is changes ten times a second: the event `levels` tells that.
 * @param {Room | null} room
 * @returns {readonly Participant[]}
 */
export function useParticipants(room) {
  const store = useMemo(() => {
    /** @returns {readonly Participant[]} */
    const look = () => {
      const isIn = room && (room.state === 'connected' || room.state === 'reconnecting');
      return isIn ? [room.localParticipant, ...room.participants.values()] : [];
    };
    // The same people, of whom one has changed, are something to render as well.
    const isSame = (/** @type {readonly Participant[]} */ before, /** @type {readonly Participant[]} */ now) =>
      before.length === 0 && now.length === 0;
    return makeStore(look, isSame, (onNews) => (room ? listenTo(room, NEWS, onNews) : () => {}));
  }, [room]);
  return useSyncExternalStore(store.subscribe, store.read, store.read);
}
