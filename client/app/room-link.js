// Room ids in links: `/#room=<id>`, and `?room=<id>` is understood as well. A token that lets somebody in stands behind it:
// `/#room=<id>&token=<token>`.

/** @param {Location | URL} location */
export function roomOf(location) {
  const fromHash = new URLSearchParams(location.hash.replace(/^#/, '')).get('room');
  return fromHash ?? new URLSearchParams(location.search).get('room') ?? '';
}

/** Where `/#test` leads. */
export const TEST_ROOM = 'test-room';

/** Whether whoever opens the page is to be in the room of the tests at once. @param {Location | URL} location */
export function isTest({ hash }) {
  return hash === '#test';
}

/**
 * The token of a link. It is part of the fragment, which browsers do not send, so no log along the way has it.
 * @param {Location | URL} location
 * @returns {string} empty when there is none
 */
export function tokenOf(location) {
  return new URLSearchParams(location.hash.replace(/^#/, '')).get('token') ?? '';
}

/**
 * The name that a token gives its bearer, so that nobody has to type what they could not choose.
 * @param {string} token
 * @returns {string} empty when it gives none
 */
export function nameIn(token) {
  try {
    const claims = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(claims), (letter) => letter.charCodeAt(0));
    const { name } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof name === 'string' ? name.trim() : '';
  } catch {
    return '';
  }
}

/**
 * Whether an address is of this machine or of a network of one's own (RFC 1918, RFC 4193, RFC 3927, RFC 6762).
 * @param {string} host
 */
export function isPrivate(host) {
  const name = host.replace(/^\[|\]$/g, '');
  return (
    /^(localhost|.*\.localhost|.*\.local|127\..*|10\..*|192\.168\..*|169\.254\..*|::1)$/.test(name) ||
    /^172\.(1[6-9]|2\d|3[01])\./.test(name) ||
    /^(f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):/.test(name)
  );
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
