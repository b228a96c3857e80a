// The screen of a running call: header, banner, controls, and what the room's events change in them.

import { ChatPanel } from './chat-panel.js';
import { byId, dress, icon } from './dom.js';
import { notify, notifyError } from './notices.js';
import { PeoplePanel } from './people-panel.js';
import { cameraEncoding, cameraOptions, loadPreferences, videoLimit } from './preferences.js';
import { isPrivate, linkTo } from './room-link.js';
import { SettingsPanel } from './settings-panel.js';
import { TileGrid } from './tile-grid.js';
import { StraitError, worstQuality } from '../sdk/strait.js';

/** @import {Participant, Room} from '../sdk/strait.js' */

const STATISTICS_EVERY = 2000;

const LEFT_BECAUSE = {
  'media-timeout': 'lost the connection',
  'resume-timeout': 'lost the connection and did not come back',
  'made-way': 'lost the connection and did not come back',
  'duplicate-identity': 'joined from another window or device',
  'handshake-failed': 'could not connect securely',
  'fingerprint-mismatch': 'was refused: the connection could not be verified',
  removed: 'was removed',
  banned: 'was removed for good',
  error: 'left after an error',
};

/**
 * @typedef {object} Panel
 * @property {string} title
 * @property {HTMLElement} element
 * @property {() => void} [opened]
 */

export class Call {
  #view = byId('call');
  #room;
  #tiles;
  #people;
  #chat;
  #settings;
  /** @type {(error: StraitError | null) => void} */
  #onEnd = () => {};
  /** What to undo at the end. */
  #ending = new AbortController();
  /** @type {number | undefined} */
  #statisticsTimer;
  /** @type {string | null} */
  #openPanel = null;
  #wasConnected = false;

  /** @param {Room} room not joined yet */
  constructor(room) {
    this.#room = room;
    room.limitVideo(videoLimit());
    this.#tiles = new TileGrid(room);
    this.#people = new PeoplePanel(room);
    this.#chat = new ChatPanel(room, (unread) => this.#showUnread(unread));
    this.#settings = new SettingsPanel(room);
    this.#listen();
    this.#wireControls();
  }

  /** @param {(error: StraitError | null) => void} onEnd */
  show(onEnd) {
    this.#onEnd = onEnd;
    this.#view.hidden = false;
    byId('room-name').textContent = this.#room.roomId;
    byId('room-name').title = this.#room.roomId;
    document.title = `${this.#room.roomId} · Strait`;
    void this.#room.setSpeaker(loadPreferences().speaker);
    byId('open-warning').hidden = !this.#room.open || isPrivate(location.hostname);
    this.#renderControls();
    this.#renderState();
    this.#updatePerson(this.#room.localParticipant);
    for (const participant of this.#room.participants.values()) this.#updatePerson(participant);
    this.#renderKnocking();
    byId('mute-button').focus();
    this.#statisticsTimer = window.setInterval(() => void this.#collectStatistics(), STATISTICS_EVERY);
    if (this.#room.state === 'disconnected') this.#onEnd(null);
  }

  close() {
    this.#ending.abort();
    window.clearInterval(this.#statisticsTimer);
    this.#view.hidden = true;
    this.#showPanel(null);
    this.#tiles.close();
    this.#chat.close();
    byId('notices').replaceChildren();
    byId('banner').hidden = true;
    byId('audio-prompt').hidden = true;
    document.title = 'Strait';
  }

  /**
   * @template {keyof import('../sdk/room.js').RoomEvents & string} Type
   * @param {Type} type
   * @param {(detail: import('../sdk/room.js').RoomEvents[Type]) => void} listener
   */
  #on(type, listener) {
    const off = this.#room.on(type, ({ detail }) => listener(detail));
    this.#ending.signal.addEventListener('abort', off);
  }

  #listen() {
    this.#on('state', ({ state, error }) => {
      if (state === 'connected') this.#wasConnected = true;
      this.#renderState();
      if (state === 'disconnected' && !this.#view.hidden) this.#onEnd(error);
    });
    this.#on('media-state', () => this.#renderState());
    this.#on('participant-joined', ({ participant }) => {
      if (!this.#view.hidden && this.#room.state === 'connected') notify(`${participant.name} joined`);
      this.#updatePerson(participant);
    });
    this.#on('participant-left', ({ participant, reason }) => {
      const because = LEFT_BECAUSE[/** @type {keyof typeof LEFT_BECAUSE} */ (reason)] ?? 'left';
      if (!this.#view.hidden && this.#room.state === 'connected') notify(`${participant.name} ${because}`);
      this.#updatePerson(participant);
    });
    for (const type of /** @type {const} */ ([
      'participant-changed',
      'track-added',
      'track-removed',
      'track-changed',
    ])) {
      this.#on(type, ({ participant }) => this.#updatePerson(participant));
    }
    this.#on('levels', () => {
      this.#tiles.updateLevels();
      this.#people.updateLevels();
    });
    this.#on('audio-blocked', ({ blocked }) => (byId('audio-prompt').hidden = !blocked));
    this.#on('participant-changed', ({ participant }) => {
      if (participant.isLocal) this.#renderState();
    });
    this.#on('draining', ({ draining }) =>
      notify(
        draining
          ? 'The server is about to be restarted. This call goes on, but nobody else can join it.'
          : 'People can join this call again.',
      ),
    );
    this.#on('muted-by-moderator', ({ track }) =>
      notify(`A moderator has muted your ${track.source.replace('-', ' ')}. You can turn it on again.`),
    );
    this.#on('permissions-changed', ({ message }) => {
      notify(message, 9000);
      this.#people.rebuild();
      this.#renderControls();
    });
    this.#on('room-updated', ({ info }) => {
      const { locked, waitingRoom } = info;
      const door = locked ? 'is locked now' : waitingRoom ? 'has a waiting room now' : 'is open now';
      notify(`The room ${door}.`);
      this.#people.update();
    });
    this.#on('knocking', ({ person }) => {
      notify(`${person.name} waits to be let in.`, 9000);
      this.#people.update();
      this.#renderKnocking();
    });
    this.#on('knocking-over', () => {
      this.#people.update();
      this.#renderKnocking();
    });
    this.#on('error', ({ error }) => notifyError(error));
  }

  #wireControls() {
    /** @type {[string, () => Promise<unknown> | void][]} */
    const actions = [
      ['mute-button', () => this.#toggleMicrophone()],
      ['camera-button', () => this.#toggleCamera()],
      ['screen-button', () => this.#toggleScreen()],
      ['people-button', () => this.#togglePanel('people')],
      ['stats-button', () => this.#toggleStatistics()],
      ['chat-button', () => this.#togglePanel('chat')],
      ['settings-button', () => this.#togglePanel('settings')],
      ['panel-close', () => this.#closePanel()],
      ['leave-button', () => this.#room.leave()],
      ['copy-link', () => this.#copyLink()],
      ['start-audio', () => this.#room.startAudio()],
    ];
    const { signal } = this.#ending;
    for (const [id, action] of actions) {
      const button = byId(id, HTMLButtonElement);
      button.disabled = false;
      button.addEventListener('click', () => void this.#run(button, action), { signal });
    }
    document.addEventListener('keydown', (event) => event.key === 'Escape' && this.#closePanel(), { signal });
    byId('copy-link').replaceChildren(icon('copy'), 'Copy link');
    dress(byId('panel-close'), 'close', 'Close panel');
    dress(byId('people-button'), 'people', 'People and volume');
    dress(byId('stats-button'), 'statistics', 'Show detailed statistics');
    dress(byId('chat-button'), 'chat', 'Chat');
    dress(byId('settings-button'), 'settings', 'Devices and settings');
    dress(byId('leave-button'), 'leave', 'Leave the call');
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {() => Promise<unknown> | void} action
   */
  async #run(button, action) {
    button.setAttribute('aria-busy', 'true');
    try {
      await action();
    } catch (error) {
      const failure = StraitError.from(error);
      if (failure.code !== 'share-cancelled' && failure.code !== 'left') notifyError(failure);
    } finally {
      button.removeAttribute('aria-busy');
      if (!this.#ending.signal.aborted) this.#renderControls();
    }
  }

  #toggleMicrophone() {
    return this.#room.setMicrophone(!this.#isOn('microphone'), { deviceId: loadPreferences().microphone });
  }

  #toggleCamera() {
    const options = { ...cameraOptions(), ...cameraEncoding(), simulcast: true };
    return this.#room.setCamera(!this.#isOn('camera'), options);
  }

  #toggleScreen() {
    return this.#isOn('screen') ? this.#room.stopScreenShare() : this.#room.startScreenShare({ simulcast: true });
  }

  /** @param {'microphone' | 'camera' | 'screen'} source */
  #isOn(source) {
    const track = this.#room.localParticipant.track(source);
    return track !== null && !track.muted;
  }

  async #copyLink() {
    const link = linkTo(this.#room.roomId);
    if (await copy(link)) notify('Link copied. Send it to the people you want to meet.');
    else notify(`Copying is blocked here. Copy this yourself: ${link}`, 15_000);
  }

  /** @param {Participant} participant */
  #updatePerson(participant) {
    if (this.#view.hidden) return;
    this.#tiles.update(participant);
    this.#people.update();
    if (participant.isLocal) this.#renderControls();
  }

  #renderControls() {
    // What one may not publish is not offered.
    const { publish, sendData } = this.#room.permissions;
    byId('chat-button').hidden = !sendData;
    byId('mute-button').hidden = !publish.includes('microphone');
    byId('camera-button').hidden = !publish.includes('camera');
    byId('screen-button').hidden = !publish.includes('screen') || !navigator.mediaDevices?.getDisplayMedia;
    const microphone = this.#isOn('microphone');
    const camera = this.#isOn('camera');
    const screen = this.#isOn('screen');
    dress(
      byId('mute-button'),
      microphone ? 'microphone' : 'microphone-off',
      microphone ? 'Mute microphone' : 'Unmute microphone',
    );
    dress(byId('camera-button'), camera ? 'camera' : 'camera-off', camera ? 'Turn camera off' : 'Turn camera on');
    dress(byId('screen-button'), screen ? 'screen-off' : 'screen', screen ? 'Stop sharing' : 'Share your screen');
    byId('mute-button').setAttribute('aria-pressed', String(!microphone));
    byId('camera-button').setAttribute('aria-pressed', String(!camera));
    byId('screen-button').setAttribute('aria-pressed', String(screen));
    byId('stats-button').setAttribute('aria-pressed', String(this.#statisticsShown));
    for (const name of ['people', 'chat', 'settings']) {
      byId(`${name}-button`).setAttribute('aria-expanded', String(this.#openPanel === name));
    }
  }

  #renderState() {
    const { state, mediaState } = this.#room;
    const { mediaLost } = this.#room.localParticipant;
    const mediaBroken = mediaState === 'disconnected' || mediaState === 'failed' || mediaLost;
    const [text, shown] =
      state === 'reconnecting'
        ? ['Reconnecting', 'reconnecting']
        : mediaBroken
          ? ['Restoring sound and picture', 'reconnecting']
          : state === 'connected' && mediaState === 'connected'
            ? ['Connected', 'connected']
            : ['Connecting', 'connecting'];
    const chip = byId('connection-state');
    chip.textContent = text ?? '';
    chip.dataset.state = shown;
    if (shown === 'connected') chip.dataset.testid = 'connected';
    else delete chip.dataset.testid;
    const banner = byId('banner');
    banner.hidden = !this.#wasConnected || shown !== 'reconnecting';
    banner.textContent =
      mediaBroken && state === 'connected'
        ? 'Sound and picture are interrupted. They are being restored…'
        : 'The connection to the server was lost. Reconnecting… You stay in the room.';
  }

  /** @param {string} name */
  #togglePanel(name) {
    this.#showPanel(this.#openPanel === name ? null : name);
  }

  #toggleStatistics() {
    this.#people.detailed = !this.#statisticsShown;
    if (this.#people.detailed) this.#showPanel('people');
    void this.#collectStatistics();
  }

  get #statisticsShown() {
    return this.#people.detailed && this.#openPanel === 'people';
  }

  #closePanel() {
    const name = this.#openPanel;
    this.#showPanel(null);
    if (name) byId(`${name}-button`).focus();
  }

  /** @param {string | null} name */
  #showPanel(name) {
    /** @type {Record<string, Panel>} */
    const panels = { people: this.#people, chat: this.#chat, settings: this.#settings };
    const panel = name === null ? undefined : panels[name];
    this.#openPanel = panel ? name : null;
    byId('panel').hidden = !panel;
    byId('panel-title').textContent = panel?.title ?? '';
    byId('panel-body').replaceChildren(...(panel ? [panel.element] : []));
    this.#chat.visible = name === 'chat';
    panel?.opened?.();
    this.#renderControls();
  }

  /** Shows a moderator how many people wait, although the panel is closed. */
  #renderKnocking() {
    const button = byId('people-button');
    const { size } = this.#room.knocking;
    button.querySelector('.badge')?.remove();
    dress(button, 'people', size > 0 ? `People and volume, ${size} waiting` : 'People and volume');
    if (size > 0) addBadge(button, size);
  }

  /** @param {number} unread */
  #showUnread(unread) {
    const button = byId('chat-button');
    button.querySelector('.badge')?.remove();
    dress(button, 'chat', unread > 0 ? `Chat, ${unread} unread` : 'Chat');
    if (unread > 0) addBadge(button, unread);
  }

  async #collectStatistics() {
    const statistics = await this.#room.getStats().catch(() => null);
    if (!statistics || this.#ending.signal.aborted) return;
    /** @type {Map<string, import('../sdk/stats.js').Quality[]>} */
    const byParticipant = new Map();
    for (const { participantId, quality } of statistics.tracks) {
      byParticipant.set(participantId, [...(byParticipant.get(participantId) ?? []), quality]);
    }
    // What this browser measures of the way to it; the server knows how it is with the others.
    const { localParticipant, participants } = this.#room;
    for (const { participantId, quality } of [localParticipant, ...participants.values()]) {
      if (quality !== 'good')
        byParticipant.set(participantId, [...(byParticipant.get(participantId) ?? []), quality]);
    }
    const qualities = new Map([...byParticipant].map(([id, all]) => [id, worstQuality(all)]));
    this.#tiles.setQualities(qualities);
    this.#people.setStatistics(statistics, qualities);
  }
}

/** @param {HTMLElement} button @param {number} count */
function addBadge(button, count) {
  const badge = document.createElement('span');
  badge.className = 'badge';
  badge.textContent = String(count);
  button.append(badge);
}

/** @param {string} text @returns {Promise<boolean>} */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No Clipboard API on pages that are not secure: the old way.
    const field = document.createElement('textarea');
    field.value = text;
    document.body.append(field);
    field.select();
    const copied = document.execCommand('copy');
    field.remove();
    return copied;
  }
}
