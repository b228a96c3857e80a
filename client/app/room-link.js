// Room ids in links: `/#room=<id>`, and `?room=<id>` is understood as well. A token that lets somebody in stands behind it:
// `/#room=<id>&token=<token>`.

/** @param {Location | URL} location */
export function roomOf(location) {
  const fromHash = new URLSearchParams(location.hash.replace(/^#/, '')).get('room');
  return fromHash ?? new URLSearchParams(location.search).get('room') ?? '';
}

/**
 * The token of a link. It is part of the fragment, which browsers do not send, so no log along the way has it.
 * @param {Location | URL} location
 * @returns {string} empty when there is none
 */
export function tokenOf(location) {
  return new URLSearchParams(location.hash.replace(/^#/, '')).get('token') ?? '';
}

/** @param {string} room */
export function linkTo(room) {
  const url = new URL(location.href);
  url.search = '';
  url.hash = `room=${encodeURIComponent(room)}`;
  return url.href;
}

/**
 * The id in what a person typed or pasted: an id, or a link that holds one.
 * @param {string} text
 * @returns {string} empty when there is none
 */
export function parseRoom(text) {
  const trimmed = text.trim();
  if (/^https?:\/\//i.test(trimmed)) {
    try {
      return roomOf(new URL(trimmed));
    } catch {
      return '';
    }
  }
  return trimmed;
}

/** @param {string} room */
export function isRoomId(room) {
  return /^[A-Za-z0-9_.-]{1,64}$/.test(room) && room !== '.' && room !== '..';
}
