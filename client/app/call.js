// The screen of a running call: header, banner, controls, and what the room's events change in them.

import { keepScreenOn } from './appearance.js';
import { ChatPanel } from './chat-panel.js';
import { DeviceWatch } from './device-watch.js';
import { byId, dress, icon } from './dom.js';
import { chooseReaction, followReactions, hasHandRaised, toggleHand } from './gestures.js';
import { showMode, tellMode } from './mode-view.js';
import { notify, notifyError } from './notices.js';
import { PeoplePanel } from './people-panel.js';
import { cameraEncoding, cameraOptions, loadPreferences, videoLimit } from './preferences.js';
import { isPrivate, linkTo } from './room-link.js';
import { SettingsPanel } from './settings-panel.js';
import { listenForShortcuts, showShortcuts } from './shortcuts.js';
import { play } from './sounds.js';
import { setTitle } from './tab-title.js';
import { TileGrid } from './tile-grid.js';
import { ViewControl } from './view-control.js';
import { VoiceControl, microphoneOptions } from './voice-control.js';
import { t } from './words.js';
import { StraitError, worstQuality } from '../sdk/strait.js';

/** @import {Participant, Room} from '../sdk/strait.js' */

const STATISTICS_EVERY = 2000;

const LEFT_BECAUSE = {
  'media-timeout': '{name} lost the connection',
  'resume-timeout': '{name} lost the connection and did not come back',
  'made-way': '{name} lost the connection and did not come back',
  'duplicate-identity': '{name} joined from another window or device',
  'handshake-failed': '{name} could not connect securely',
  'fingerprint-mismatch': '{name} was refused: the connection could not be verified',
  removed: '{name} was removed',
  banned: '{name} was removed for good',
  error: '{name} left after an error',
};

const MUTED = {
  microphone: 'A moderator has muted your microphone. You can turn it on again.',
  camera: 'A moderator has muted your camera. You can turn it on again.',
  screen: 'A moderator has muted your screen. You can turn it on again.',
  'screen-audio': 'A moderator has muted your screen audio. You can turn it on again.',
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
  #views;
  #people;
  #chat;
  #settings;
  #voice;
  #devices;
  #letScreenGo = () => {};
  /** Who has a hand up. @type {Set<Participant>} */
  #hands = new Set();
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
    this.#views = new ViewControl(this.#tiles, this.#ending.signal);
    this.#people = new PeoplePanel(room, (participant, isPinned) => this.#tiles.pin(participant, isPinned));
    this.#chat = new ChatPanel(room, (unread) => this.#showUnread(unread));
    this.#settings = new SettingsPanel(room, () => this.#voice.render());
    this.#voice = new VoiceControl(room);
    this.#devices = new DeviceWatch(room, () => this.#settings.refresh());
    this.#listen();
    this.#wireControls();
  }

  /** @param {(error: StraitError | null) => void} onEnd */
  show(onEnd) {
    this.#onEnd = onEnd;
    this.#view.hidden = false;
    byId('room-name').textContent = this.#room.roomId;
    byId('room-name').title = this.#room.roomId;
    setTitle(`${this.#room.roomId} · Strait`);
    void this.#room.setSpeaker(loadPreferences().speaker);
    byId('open-warning').hidden = !this.#room.open || isPrivate(location.hostname);
    this.#renderControls();
    this.#renderState();
    this.#updatePerson(this.#room.localParticipant);
    for (const participant of this.#room.participants.values()) this.#updatePerson(participant);
    this.#renderKnocking();
    showMode(this.#room.topology);
    this.#letScreenGo = keepScreenOn();
    byId('mute-button').focus();
    this.#statisticsTimer = window.setInterval(() => void this.#collectStatistics(), STATISTICS_EVERY);
    if (this.#room.state === 'disconnected') this.#onEnd(null);
  }

  close() {
    this.#ending.abort();
    this.#voice.close();
    this.#devices.close();
    this.#letScreenGo();
    window.clearInterval(this.#statisticsTimer);
    this.#view.hidden = true;
    this.#showPanel(null);
    this.#tiles.close();
    this.#chat.close();
    byId('notices').replaceChildren();
    byId('banner').hidden = true;
    byId('audio-prompt').hidden = true;
    setTitle('Strait');
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
      if (!this.#view.hidden && this.#room.state === 'connected') {
        notify(t('{name} joined', { name: participant.name }));
        play('joined');
      }
      this.#updatePerson(participant);
    });
    this.#on('participant-left', ({ participant, reason }) => {
      const because = LEFT_BECAUSE[/** @type {keyof typeof LEFT_BECAUSE} */ (reason)] ?? '{name} left';
      this.#hands.delete(participant);
      if (!this.#view.hidden && this.#room.state === 'connected') {
        notify(t(because, { name: participant.name }));
        play('left');
      }
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
    this.#on('topology', ({ topology, previous }) => {
      showMode(topology);
      if (!this.#view.hidden) tellMode(topology, previous);
    });
    this.#on('draining', ({ draining }) =>
      notify(
        t(
          draining
            ? 'The server is about to be restarted. This call goes on, but nobody else can join it.'
            : 'People can join this call again.',
        ),
      ),
    );
    this.#on('muted-by-moderator', ({ track }) => notify(t(MUTED[track.source])));
    this.#on('permissions-changed', ({ message }) => {
      notify(message, 9000);
      this.#people.rebuild();
      this.#renderControls();
    });
    this.#on('room-updated', ({ info }) => {
      const { locked, waitingRoom } = info;
      const door = locked
        ? 'The room is locked now.'
        : waitingRoom
          ? 'The room has a waiting room now.'
          : 'The room is open now.';
      notify(t(door));
      this.#people.update();
    });
    this.#on('knocking', ({ person }) => {
      notify(t('{name} waits to be let in.', { name: person.name }), 9000);
      this.#people.update();
      this.#renderKnocking();
    });
    this.#on('knocking-over', () => {
      this.#people.update();
      this.#renderKnocking();
    });
    this.#on('error', ({ error }) => this.#devices.lost(error) || notifyError(error));
  }

  #wireControls() {
    /** @type {[string, () => Promise<unknown> | void][]} */
    const actions = [
      ['mute-button', () => this.#toggleMicrophone()],
      ['camera-button', () => this.#toggleCamera()],
      ['screen-button', () => this.#toggleScreen()],
      ['hand-button', () => toggleHand(this.#room)],
      ['reaction-button', () => chooseReaction(this.#room, byId('reaction-button'), notifyError)],
      ['people-button', () => this.#togglePanel('people')],
      ['stats-button', () => this.#toggleStatistics()],
      ['chat-button', () => this.#togglePanel('chat')],
      ['settings-button', () => this.#togglePanel('settings')],
      ['panel-close', () => this.#closePanel()],
      ['leave-button', () => this.#room.leave()],
      ['view-button', () => this.#views.toggleView()],
      ['pip-button', () => this.#views.togglePictureInPicture()],
      ['full-screen-button', () => this.#views.toggleFullScreen()],
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
    listenForShortcuts(this.#shortcuts, signal);
    signal.addEventListener('abort', followReactions(this.#room));
    byId('copy-link').replaceChildren(icon('copy'), t('Copy link'));
    dress(byId('panel-close'), 'close', t('Close panel'));
    dress(byId('people-button'), 'people', t('People and volume'));
    dress(byId('stats-button'), 'statistics', t('Show detailed statistics'));
    dress(byId('chat-button'), 'chat', t('Chat'));
    dress(byId('settings-button'), 'settings', t('Devices and settings'));
    dress(byId('reaction-button'), 'reaction', t('Reactions'));
    dress(byId('leave-button'), 'leave', t('Leave the call'));
  }

  /** What has a key of its own: as if its button was pressed. */
  get #shortcuts() {
    const press = (/** @type {string} */ id) => () => {
      if (!byId(id).hidden) byId(id).click();
    };
    const shortcuts = [
      { key: 'm', what: 'Mute or unmute the microphone', act: press('mute-button') },
      { key: 'v', what: 'Turn the camera on or off', act: press('camera-button') },
      { key: 's', what: 'Share your screen, or stop sharing', act: press('screen-button') },
      { key: 'h', what: 'Raise or lower your hand', act: press('hand-button') },
      { key: 'r', what: 'Reactions', act: press('reaction-button') },
      { key: 'c', what: 'Chat', act: press('chat-button') },
      { key: 'p', what: 'People and volume', act: press('people-button') },
      { key: 'g', what: 'Show whoever speaks large, or everybody alike', act: press('view-button') },
      { key: 'i', what: 'Picture in a window of its own', act: press('pip-button') },
      { key: 'f', what: 'Full screen', act: press('full-screen-button') },
      { key: '?', what: 'Show this list', act: () => showShortcuts(shortcuts) },
    ];
    return shortcuts;
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
    return this.#room.setMicrophone(!this.#isOn('microphone'), microphoneOptions());
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
    if (await copy(link)) notify(t('Link copied. Send it to the people you want to meet.'));
    else notify(t('Copying is blocked here. Copy this yourself: {link}', { link }), 15_000);
  }

  /** @param {Participant} participant */
  #updatePerson(participant) {
    if (this.#view.hidden) return;
    this.#tiles.update(participant);
    this.#people.update();
    this.#noteHand(participant);
    if (participant.isLocal) this.#renderControls();
  }

  /** @param {Participant} participant */
  #noteHand(participant) {
    const isRaised = hasHandRaised(participant);
    if (isRaised === this.#hands.has(participant)) return;
    if (isRaised) this.#hands.add(participant);
    else this.#hands.delete(participant);
    if (isRaised && !participant.isLocal) notify(t('{name} raises a hand', { name: participant.name }));
  }

  #renderControls() {
    // What one may not publish is not offered.
    const { publish, sendData, updateOwnProfile } = this.#room.permissions;
    const isRaised = hasHandRaised(this.#room.localParticipant);
    byId('hand-button').hidden = updateOwnProfile === false;
    byId('reaction-button').hidden = !sendData;
    dress(byId('hand-button'), 'hand', t(isRaised ? 'Lower your hand' : 'Raise your hand'));
    byId('hand-button').setAttribute('aria-pressed', String(isRaised));
    this.#voice.render();
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
      t(microphone ? 'Mute microphone' : 'Unmute microphone'),
    );
    dress(byId('camera-button'), camera ? 'camera' : 'camera-off', t(camera ? 'Turn camera off' : 'Turn camera on'));
    dress(byId('screen-button'), screen ? 'screen-off' : 'screen', t(screen ? 'Stop sharing' : 'Share your screen'));
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
    chip.textContent = t(text ?? '');
    chip.dataset.state = shown;
    if (shown === 'connected') chip.dataset.testid = 'connected';
    else chip.dataset.testid = 'connection-status';
    const banner = byId('banner');
    banner.hidden = !this.#wasConnected || shown !== 'reconnecting';
    banner.textContent =
      mediaBroken && state === 'connected'
        ? t('Sound and picture are interrupted. They are being restored…')
        : t('The connection to the server was lost. Reconnecting… You stay in the room.');
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
    byId('panel-title').textContent = t(panel?.title ?? '');
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
    dress(button, 'people', size > 0 ? t('People and volume, {size} waiting', { size }) : t('People and volume'));
    if (size > 0) addBadge(button, size);
  }

  /** @param {number} unread */
  #showUnread(unread) {
    const button = byId('chat-button');
    button.querySelector('.badge')?.remove();
    dress(button, 'chat', unread > 0 ? t('Chat, {unread} unread', { unread }) : t('Chat'));
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
