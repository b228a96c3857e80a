// One tile: a participant with camera and sound, or a shared screen.

import { RemoteTrack, followTile } from '../sdk/strait.js';
import { icon, make, mark } from './dom.js';
import { hasHandRaised } from './gestures.js';
import { t } from './words.js';

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
  #hand;
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
    this.#mutedIcon = make('b', { role: 'img', 'aria-label': t('microphone muted'), 'data-testid': 'muted-mark' });
    this.#mutedIcon.append(icon('microphone-off'));
    this.#levelBar = make('i');
    this.#level = make('div', { class: 'level', 'aria-hidden': 'true' }, this.#levelBar);
    this.#hand = make('div', { class: 'hand', role: 'img', hidden: '', 'data-testid': 'tile-hand' }, icon('hand'));
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
      this.#hand,
      this.#badge,
      this.#quality,
    );
    this.element.dataset.source = source;
  }

  update() {
    const { participant, source } = this;
    const track = participant.track(source);
    const microphone = participant.track('microphone');
    const own = participant.isLocal ? t(' (you)') : '';
    const title =
      source === 'screen' ? `${t('{name}’s screen', { name: participant.name })}${own}` : `${participant.name}${own}`;
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
    this.#hand.hidden = source === 'screen' || !hasHandRaised(participant);
    this.#hand.setAttribute('aria-label', t('{name} raises a hand', { name: participant.name }));
    const away = participant.state === 'reconnecting';
    this.#badge.hidden = !away && !participant.mediaLost;
    this.#badge.textContent = t(away ? 'Reconnecting…' : 'Sound and picture interrupted');
  }

  /** Where its picture is played. */
  get video() {
    return this.#picture;
  }

  get hasPicture() {
    return 'picture' in this.element.dataset;
  }

  /**
   * Puts it elsewhere on the page, where its picture goes on.
   * @param {HTMLElement} area
   * @param {HTMLElement | null} next in front of which it is then
   */
  place(area, next) {
    const { element } = this;
    if (element.parentElement === area && element.nextElementSibling === next) return;
    // Not every browser can move what plays without stopping it.
    if (element.isConnected && 'moveBefore' in area) /** @type {any} */ (area).moveBefore(element, next);
    else area.insertBefore(element, next);
    if (this.#attached && this.#picture.paused) this.#picture.play?.()?.catch(() => {});
  }

  updateLevel() {
    this.#levelBar.style.transform = `scaleX(${this.participant.level.toFixed(2)})`;
  }

  /** @param {string} quality */
  setQuality(quality) {
    this.#quality.hidden = quality !== 'medium' && quality !== 'poor';
    this.#quality.dataset.quality = quality;
    this.#quality.textContent = t(quality === 'poor' ? 'Poor connection' : 'Medium connection');
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
      problems.push(
        t(verb === 'see' ? 'You cannot see this: {reason}.' : 'You cannot hear this: {reason}.', {
          reason: track.reason || t('your browser lacks the codec'),
        }),
      );
    if (track.status === 'not-allowed')
      problems.push(
        t(
          verb === 'see'
            ? 'You may not see this: they have not allowed it.'
            : 'You may not hear this: they have not allowed it.',
        ),
      );
    // Whoever is silent is heard as soon as they speak: there is nothing to wait for.
    const isSilent = verb === 'hear' && track.reason === 'not-speaking';
    if (track.status === 'waiting' && !isSilent)
      problems.push(
        t(verb === 'see' ? 'Waiting to see this: {reason}.' : 'Waiting to hear this: {reason}.', {
          reason: t(waitingReason(track.reason)),
        }),
      );
  }
  if (picture instanceof RemoteTrack && picture.switchedOff && !picture.muted)
    problems.push(t('You receive sound only. Pictures can be switched on in the settings.'));
  else if (picture instanceof RemoteTrack && picture.pausedForBandwidth && !picture.muted)
    problems.push(t('Your network is too slow for this picture just now. It comes back by itself.'));
  if (picture instanceof RemoteTrack && picture.pausedForLoad && !picture.muted)
    problems.push(t('The server has no time for this picture just now. It comes back by itself.'));
  if (problems.length > 0) return problems.join(' ');
  return picture instanceof RemoteTrack && !picture.muted && picture.status !== 'unsubscribed'
    ? t('Picture is on its way…')
    : '';
}

/** @param {string} name */
function initialsOf(name) {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words[words.length - 1] : undefined].map(
    (word) => [...(word ?? '')][0] ?? '',
  );
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
