// One tile: a participant with camera and sound, or a shared screen.

import { RemoteTrack, followTile } from '../sdk/strait.js';
import { icon, make, mark } from './dom.js';

/** @import {Participant, Track} from '../sdk/strait.js' */

/** @typedef {'camera' | 'screen'} TileSource */

export class Tile {
  #picture;
  #avatarMessage;
  #initials;
  #name;
  #mutedIcon;
  #levelBar;
  #level;
  #badge;
  #quality;
  /** @type {Track | null} */
  #attached = null;
  #stopFollowing = () => {};

  /**
   * @param {Participant} participant
   * @param {TileSource} source
   */
  constructor(participant, source) {
    this.participant = participant;
    this.source = source;
    this.#picture = make('video', { playsinline: '' });
    this.#initials = make('div', { class: 'avatar-initials', 'aria-hidden': 'true' });
    this.#avatarMessage = make('p', { class: 'avatar-message', 'data-testid': 'tile-message' });
    this.#name = make('span');
    this.#mutedIcon = make('b', { role: 'img', 'aria-label': 'microphone muted', 'data-testid': 'muted-mark' });
    this.#mutedIcon.append(icon('microphone-off'));
    this.#levelBar = make('i');
    this.#level = make('div', { class: 'level', 'aria-hidden': 'true' }, this.#levelBar);
    this.#badge = make('div', { class: 'tile-badge', hidden: '', 'data-testid': 'tile-badge' });
    this.#quality = make('div', { class: 'quality', hidden: '', 'data-testid': 'tile-quality' });
    this.element = make(
      'article',
      { class: 'tile' },
      this.#picture,
      make('div', { class: 'avatar' }, this.#initials, this.#avatarMessage),
      make(
        'div',
        { class: 'tile-footer' },
        make('div', { class: 'tile-name' }, this.#mutedIcon, this.#name, this.#level),
      ),
      this.#badge,
      this.#quality,
    );
    this.element.dataset.source = source;
  }

  update() {
    const { participant, source } = this;
    const track = participant.track(source);
    const microphone = participant.track('microphone');
    const own = participant.isLocal ? ' (you)' : '';
    const title = source === 'screen' ? `${participant.name}’s screen${own}` : `${participant.name}${own}`;
    this.element.dataset.testid = `tile-${participant.participantId}${source === 'screen' ? '-screen' : ''}`;
    this.element.setAttribute('aria-label', title);
    this.#name.textContent = title;
    this.#initials.textContent = initialsOf(participant.name);
    this.#initials.style.setProperty('--hue', String(hueOf(participant.name)));
    this.#attach(track);

    const isPaused =
      track instanceof RemoteTrack && (track.pausedForBandwidth || track.pausedForLoad || track.switchedOff);
    const isShown = track !== null && !track.muted && track.mediaStreamTrack !== null && !track.covered;
    const hasPicture = isShown && !isPaused;
    mark(this.element, 'picture', hasPicture);
    mark(this.element, 'mirrored', participant.isLocal && source === 'camera');
    mark(this.element, 'speaking', source === 'camera' && (participant.speaking || participant.heardSpeaking));
    mark(this.element, 'dominant', source === 'camera' && participant.dominant);
    const silent = !microphone || microphone.muted;
    this.#mutedIcon.hidden = source === 'screen' || !silent;
    this.#level.hidden = source === 'screen' || silent;
    this.#avatarMessage.textContent = messageFor(track, microphone);
    const away = participant.state === 'reconnecting';
    this.#badge.hidden = !away && !participant.mediaLost;
    this.#badge.textContent = away ? 'Reconnecting…' : 'Sound and picture interrupted';
  }

  updateLevel() {
    this.#levelBar.style.transform = `scaleX(${this.participant.level.toFixed(2)})`;
  }

  /** @param {string} quality */
  setQuality(quality) {
    this.#quality.hidden = quality !== 'medium' && quality !== 'poor';
    this.#quality.dataset.quality = quality;
    this.#quality.textContent = quality === 'poor' ? 'Poor connection' : 'Medium connection';
  }

  remove() {
    this.#stopFollowing();
    this.#attached?.detach(this.#picture);
    this.element.remove();
  }

  /** @param {Track | null} track */
  #attach(track) {
    if (track === this.#attached) return;
    this.#stopFollowing();
    this.#attached?.detach(this.#picture);
    this.#attached = track;
    track?.attach(this.#picture);
    this.#stopFollowing = track instanceof RemoteTrack ? followTile(track, this.element) : () => {};
  }
}

/**
 * @param {Track | null} picture
 * @param {Track | null} microphone
 */
function messageFor(picture, microphone) {
  const problems = [];
  for (const [track, verb] of /** @type {const} */ ([
    [picture, 'see'],
    [microphone, 'hear'],
  ])) {
    if (!(track instanceof RemoteTrack)) continue;
    if (track.status === 'unsupported')
      problems.push(`You cannot ${verb} this: ${track.reason || 'your browser lacks the codec'}.`);
    if (track.status === 'not-allowed') problems.push(`You may not ${verb} this: they have not allowed it.`);
    // Whoever is silent is heard as soon as they speak: there is nothing to wait for.
    const isSilent = verb === 'hear' && track.reason === 'not-speaking';
    if (track.status === 'waiting' && !isSilent)
      problems.push(`Waiting to ${verb} this: ${waitingReason(track.reason)}.`);
  }
  if (picture instanceof RemoteTrack && picture.switchedOff && !picture.muted)
    problems.push('You receive sound only. Pictures can be switched on in the settings.');
  else if (picture instanceof RemoteTrack && picture.pausedForBandwidth && !picture.muted)
    problems.push('Your network is too slow for this picture just now. It comes back by itself.');
  if (picture instanceof RemoteTrack && picture.pausedForLoad && !picture.muted)
    problems.push('The server has no time for this picture just now. It comes back by itself.');
  if (problems.length > 0) return problems.join(' ');
  return picture instanceof RemoteTrack && !picture.muted && picture.status !== 'unsubscribed'
    ? 'Picture is on its way…'
    : '';
}

/** @param {string} name */
function initialsOf(name) {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => [...(word ?? '')][0] ?? '');
  return letters.join('').toUpperCase();
}

/** @param {string} name */
function hueOf(name) {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 360;
  return hash;
}

/**
 * @param {string} reason as the protocol has it
 * @returns {string} in words
 */
function waitingReason(reason) {
  if (reason === 'slot-limit') return 'as many tracks are received as this server allows';
  return reason === 'not-speaking' ? 'it is shown when they speak' : 'a place for it is being made';
}
