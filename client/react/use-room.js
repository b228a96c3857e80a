// A room for as long as a component wants it: joined after it is shown, left when it goes.

import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { LocalTrack, Room, StraitError } from '../sdk/strait.js';
import { isAlike, listenTo, makeStore } from './store.js';

/** @import {JoinRequest, Permissions, RoomOptions, RoomState, RoomTopology} from '../sdk/strait.js' */

/**
 * @typedef {object} RoomWishes
 * @property {boolean} [connect] whether to be in the room now; `true` unless told otherwise. Off leaves it, and on again
 *   joins anew
 * @property {(room: Room) => unknown} [prepare] called with the new room before it is joined: what is published here, as by
 *   `setMicrophone(true)`, is there from the beginning. If it fails, so does the join
 */

/**
 * All that the SDK's `Room` takes and its `join`. Another `url` or `room` is another stay; whatever else is changed holds for the
 * next one.
 * @typedef {RoomOptions & JoinRequest & RoomWishes} UseRoomOptions
 */

/**
 * @typedef {object} RoomView
 * @property {Room | null} room `null` before it is joined for the first time, and while `connect` is off
 * @property {RoomState} state
 * @property {StraitError | null} error why the call ended or did not begin
 * @property {string} roomId empty until joined
 * @property {RoomTopology | null} topology whether the call goes straight or through the server, if it may go straight
 * @property {Permissions | null} permissions what one may do; `null` until joined
 * @property {boolean} audioBlocked whether the browser waits for a click before it plays sound: `room.startAudio()`
 */

/** @typedef {{room: Room, failure: StraitError | null}} Stay */

const NEWS = /** @type {const} */ ([
  'state',
  'topology',
  'permissions-changed',
  'participant-changed',
  'audio-blocked',
]);

/**
 * Joins a room, and leaves it with the component.
 * @param {UseRoomOptions} options
 * @returns {RoomView}
 */
export function useRoom(options) {
  const { connect = true, url, room: name } = options;
  const newest = useRef(options);
  useEffect(() => {
    newest.current = options;
  });
  const [stay, setStay] = useState(/** @type {Stay | null} */ (null));
  useEffect(() => {
    if (!connect) return;
    let end = () => {};
    // In its strict mode React mounts everything twice: nobody should see somebody come, go and come again.
    const timer = setTimeout(() => {
      end = begin(newest.current, setStay);
    });
    return () => {
      clearTimeout(timer);
      end();
      setStay(null);
    };
  }, [connect, url, name]);

  const room = stay?.room ?? null;
  const store = useMemo(() => storeOf(room), [room]);
  const view = useSyncExternalStore(store.subscribe, store.read, store.read);
  const failure = stay?.failure ?? null;
  return useMemo(() => ({ room, ...view, error: view.error ?? failure }), [room, view, failure]);
}

/**
 * @param {UseRoomOptions} options
 * @param {(stay: Stay) => void} tell
 * @returns {() => void} ends the stay
 */
function begin({ connect: _, prepare, name, room: roomName, autoSubscribe, token, ...options }, tell) {
  const room = new Room(options);
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    // Of a room that was never joined the tracks are left to the application.
    const tracks = [...room.localParticipant.tracks];
    room.leave();
    for (const track of tracks) if (track instanceof LocalTrack) track.stop();
  };
  const join = async () => {
    await prepare?.(room);
    if (isOver) return;
    await room.join({
      name,
      ...(roomName !== undefined && { room: roomName }),
      ...(autoSubscribe !== undefined && { autoSubscribe }),
      ...(token !== undefined && { token }),
    });
  };
  tell({ room, failure: null });
  join().catch((error) => {
    if (isOver) return;
    end();
    tell({ room, failure: StraitError.from(error) });
  });
  return end;
}

/** @param {Room | null} room */
function storeOf(room) {
  /** @type {StraitError | null} */
  let error = null;
  const look = () => ({
    state: room?.state ?? /** @type {RoomState} */ ('new'),
    error,
    roomId: room?.roomId ?? '',
    topology: room?.topology ?? null,
    permissions: room && room.roomId !== '' ? room.permissions : null,
    audioBlocked: room?.audioBlocked ?? false,
  });
  return makeStore(look, isAlike, (onNews) => {
    if (!room) return () => {};
    const stopState = room.on('state', ({ detail }) => {
      // While it tries to come back, nothing has ended.
      error = detail.state === 'disconnected' ? detail.error : null;
    });
    const stop = listenTo(room, NEWS, onNews);
    return () => {
      stopState();
      stop();
    };
  });
}
