// What a component does when something happens in a room, such as when a message comes.

import { useEffect, useRef } from 'react';

/** @import {Room, RoomEvents} from '../sdk/strait.js' */

/**
 * Listens as long as the component is there; the newest listener is called.
 * @template {keyof RoomEvents & string} Type
 * @param {Room | null} room
 * @param {Type} type
 * @param {(detail: RoomEvents[Type]) => void} listener
 */
export function useRoomEvent(room, type, listener) {
  const newest = useRef(listener);
  useEffect(() => {
    newest.current = listener;
  });
  useEffect(() => room?.on(type, ({ detail }) => newest.current(detail)), [room, type]);
}
