// One track of somebody, and the element that shows it.

import { useCallback, useMemo, useRef, useSyncExternalStore } from 'react';
import { RemoteTrack, followTile } from '../sdk/strait.js';
import { isAlike, makeStore } from './store.js';

/** @import {Participant, Source, Track, TrackStatus} from '../sdk/strait.js' */

/**
 * @typedef {object} UseTrackOptions
 * @property {boolean} [follow] whether somebody else's picture is sent in the size of the element that shows it; `true`
 *   unless told otherwise
 */

/**
 * @typedef {object} TrackView
 * @property {Track | null} track `null` while there is none of that source
 * @property {boolean} muted by its owner; `true` while there is no track
 * @property {boolean} paused by `setPaused`
 * @property {TrackStatus | null} status whether it comes; `null` of one's own, and while there is none
 * @property {boolean} covered whether its picture is not there yet: show something else
 * @property {MediaStreamTrack | null} mediaStreamTrack for Web Audio and canvases; an element is better off with `ref`
 * @property {(element: HTMLMediaElement | null) => void} ref of the one `<video>` that shows it, or of an `<audio>`: sound plays
 *   without one, unless the room has `playAudio: false`
 */

/** @typedef {Omit<TrackView, 'ref'>} TrackState */

/**
 * The newest state of somebody's track. The component is rendered again when it changes, and when there is another one.
 * @param {Participant | null | undefined} participant
 * @param {Source} source
 * @param {UseTrackOptions} [options]
 * @returns {TrackView}
 */
export function useTrack(participant, source, { follow = true } = {}) {
  const store = useMemo(() => storeOf(participant ?? null, source), [participant, source]);
  const state = useSyncExternalStore(store.subscribe, store.read, store.read);
  const ref = useElement(state.track, follow);
  return useMemo(() => ({ ...state, ref }), [state, ref]);
}

/**
 * @param {Track | null} track
 * @param {boolean} follow
 */
function useElement(track, follow) {
  const detach = useRef(() => {});
  return useCallback(
    (/** @type {HTMLMediaElement | null} */ element) => {
      // React says `null` when the element goes, and before it says the same element for another track.
      detach.current();
      detach.current = element && track ? attach(track, element, follow) : () => {};
    },
    [track, follow],
  );
}

/**
 * @param {Track} track
 * @param {HTMLMediaElement} element
 * @param {boolean} follow
 */
function attach(track, element, follow) {
  track.attach(element);
  const isFollowed = follow && track.kind === 'video' && track instanceof RemoteTrack;
  const stop = isFollowed ? followTile(track, element) : () => {};
  return () => {
    stop();
    track.detach(element);
  };
}

/**
 * @param {Participant | null} participant
 * @param {Source} source
 */
function storeOf(participant, source) {
  const find = () => participant?.track(source) ?? null;
  /** @returns {TrackState} */
  const look = () => {
    const track = find();
    const remote = track instanceof RemoteTrack ? track : null;
    return {
      track,
      muted: track?.muted ?? true,
      paused: remote?.paused ?? false,
      status: remote?.status ?? null,
      covered: track?.covered ?? true,
      mediaStreamTrack: track?.mediaStreamTrack ?? null,
    };
  };
  return makeStore(look, isAlike, (onNews) => {
    if (!participant) return () => {};
    /** @type {Track | null} */
    let followed = null;
    let stopTrack = () => {};
    const follow = () => {
      const track = find();
      if (track === followed) return;
      stopTrack();
      followed = track;
      stopTrack = track?.on('changed', onNews) ?? (() => {});
    };
    follow();
    const stop = participant.on('changed', () => {
      follow();
      onNews();
    });
    return () => {
      stop();
      stopTrack();
    };
  });
}
