// Everybody with level, volume and, when asked for, detailed statistics.

import { RemoteTrack } from '../sdk/strait.js';
import { icon, make } from './dom.js';
import { notify, notifyError } from './notices.js';
import { t } from './words.js';

/** @import {Participant, Room} from '../sdk/strait.js' */
/** @import {ExperienceStats} from '../sdk/experience.js' */
/** @import {ConnectionStats, Quality, RoomStats, TrackStats} from '../sdk/stats.js' */

const SOURCES = { microphone: 'Microphone', camera: 'Camera', screen: 'Screen', 'screen-audio': 'Screen sound' };

/** @typedef {{element: HTMLElement, name: HTMLElement, marks: HTMLElement, bar: HTMLElement, statistics: HTMLElement}} Row */

export class PeoplePanel {
  title = 'People';
  element = make('div', { 'data-testid': 'people-panel' });
  #room;
  #door = make('div', { class: 'person', 'data-testid': 'moderation', hidden: '' });
  #connection = make('div', { class: 'person', 'data-testid': 'connection-stats', hidden: '' });
  /** @type {Map<Participant, Row>} */
  #rows = new Map();
  /** @type {RoomStats | null} */
  #statistics = null;
  /** @type {Map<string, Quality>} */
  #qualities = new Map();
  #detailed = false;

  #onPin;

  /**
   * @param {Room} room
   * @param {(participant: Participant, isPinned: boolean) => void} onPin somebody is to be kept on screen, or no more
   */
  constructor(room, onPin) {
    this.#room = room;
    this.#onPin = onPin;
    this.element.append(this.#door, this.#connection);
  }

  get detailed() {
    return this.#detailed;
  }

  set detailed(detailed) {
    this.#detailed = detailed;
    this.#renderStatistics();
  }

  opened() {
    this.update();
  }

  /** Makes all rows again: what one may do about people has changed. */
  rebuild() {
    for (const { element } of this.#rows.values()) element.remove();
    this.#rows.clear();
    this.update();
  }

  update() {
    renderDoor(this.#door, this.#room);
    const people = [this.#room.localParticipant, ...this.#room.participants.values()];
    for (const [participant, { element }] of this.#rows) {
      if (people.includes(participant)) continue;
      element.remove();
      this.#rows.delete(participant);
    }
    for (const participant of people) {
      let row = this.#rows.get(participant);
      if (!row) {
        row = makeRow(this.#room, participant, this.#onPin);
        this.#rows.set(participant, row);
        this.element.append(row.element);
      }
      row.element.dataset.testid = `person-${participant.participantId}`;
      const you = participant.isLocal ? t(' (you)') : '';
      const lost = participant.mediaLost ? t(' – sound and picture interrupted') : '';
      const away = participant.state === 'reconnecting' ? t(' – reconnecting') : lost;
      const role = participant.role === 'moderator' ? t(' – moderator') : '';
      row.name.textContent = `${participant.name}${you}${role}${away}`;
      const signature = marksOf(participant).join(' ');
      if (row.marks.dataset.marks !== signature) {
        row.marks.dataset.marks = signature;
        row.marks.replaceChildren(...marksOf(participant).map(icon));
      }
    }
  }

  updateLevels() {
    if (!this.element.isConnected) return;
    for (const [participant, { bar }] of this.#rows) bar.style.transform = `scaleX(${participant.level.toFixed(2)})`;
  }

  /**
   * @param {RoomStats} statistics
   * @param {Map<string, Quality>} qualities by participant id
   */
  setStatistics(statistics, qualities) {
    this.#statistics = statistics;
    this.#qualities = qualities;
    if (this.element.isConnected) this.#renderStatistics();
  }

  #renderStatistics() {
    const statistics = this.#detailed ? this.#statistics : null;
    this.#connection.hidden = !statistics;
    if (statistics)
      this.#connection.replaceChildren(
        ...directions(statistics),
        table(
          t(this.#room.topology?.mode === 'p2p' ? 'Connections to the others' : 'Connection to the server'),
          connectionRows(statistics.connection),
        ),
        table('This call', experienceRows(statistics.experience)),
      );
    for (const [{ participantId }, row] of this.#rows) {
      const own = statistics?.tracks.filter((track) => track.participantId === participantId) ?? [];
      const quality = this.#qualities.get(participantId);
      const tables = own.map((track) => table(SOURCES[track.source], trackRows(track)));
      row.statistics.replaceChildren(
        ...(statistics && quality
          ? [make('p', { class: 'hint' }, t('Connection quality: {quality}', { quality: t(quality) }))]
          : []),
        ...tables,
      );
      row.statistics.hidden = tables.length === 0;
    }
  }
}

/**
 * @param {Room} room
 * @param {Participant} participant
 * @param {(participant: Participant, isPinned: boolean) => void} onPin
 * @returns {Row}
 */
function makeRow(room, participant, onPin) {
  const bar = make('i');
  const name = make('span', { class: 'name' });
  const marks = make('span', { class: 'person-title' });
  const statistics = make('div', { 'data-testid': 'stats', hidden: '' });
  const element = make(
    'section',
    { class: 'person' },
    make('div', { class: 'person-title' }, name, make('div', { class: 'level', 'aria-hidden': 'true' }, bar), marks),
  );
  if (!participant.isLocal) element.append(volumeSlider(participant), pinBox(participant, onPin));
  if (!participant.isLocal) {
    const about = make('div', { class: 'deeds' });
    if (room.permissions.moderate) about.append(...moderation(room, participant));
    about.append(reportButton(room, participant));
    element.append(about);
  }
  element.append(statistics);
  return { element, name, marks, bar, statistics };
}

/** @param {Participant} participant */
function volumeSlider(participant) {
  const slider = make('input', { type: 'range', min: '0', max: '2', step: '0.05', 'data-testid': 'volume' });
  slider.value = String(participant.volume);
  slider.setAttribute('aria-label', t('Volume of {name}', { name: participant.name }));
  slider.addEventListener('input', () => (participant.volume = Number(slider.value)));
  return make(
    'div',
    { class: 'volume' },
    make('span', { class: 'hint', 'aria-hidden': 'true' }, t('Volume')),
    slider,
  );
}

/**
 * Keeps somebody seen and heard whoever else speaks, where a room has more people than fit, and shows them large.
 * @param {Participant} participant
 * @param {(participant: Participant, isPinned: boolean) => void} onPin
 */
function pinBox(participant, onPin) {
  const box = make('input', { type: 'checkbox', 'data-testid': 'pin' });
  box.addEventListener('change', () => {
    onPin(participant, box.checked);
    for (const source of /** @type {const} */ (['microphone', 'camera'])) {
      const track = participant.track(source);
      if (track instanceof RemoteTrack)
        track.setPinned(box.checked).catch(() => {
          box.checked = track.pinned;
          onPin(participant, track.pinned);
        });
    }
  });
  return make('label', { class: 'hint' }, box, ` ${t('Keep on screen')}`);
}

/**
 * What a moderator can do about somebody.
 * @param {Room} room
 * @param {Participant} participant
 */
function moderation(room, participant) {
  const { name } = participant;
  const onTracks = (/** @type {(track: RemoteTrack) => Promise<void>} */ act) => async () => {
    for (const track of [...participant.tracks]) if (track instanceof RemoteTrack) await act(track);
  };
  return [
    deed('microphone-off', 'Mute', 'mute-person', t('Mute {name}', { name }), async () => {
      const track = participant.track('microphone');
      if (track instanceof RemoteTrack) await room.muteTrack(track);
    }),
    deed(
      'camera-off',
      'Stop sending',
      'stop-person',
      t('Stop what {name} sends, and let them send it no more', { name }),
      onTracks((track) => room.stopTrack(track)),
    ),
    deed('check', 'Let send', 'allow-person', t('Let {name} send sound and pictures again', { name }), () =>
      room.setPermissions(participant, { publish: ['microphone', 'camera', 'screen', 'screen-audio'] }),
    ),
    grave(
      deed('remove', 'Remove', 'remove-person', t('Remove {name} from the call', { name }), async () => {
        if (confirm(t('Remove {name} from the call?', { name }))) await room.remove(participant);
      }),
    ),
    grave(
      deed('ban', 'Keep out', 'ban-person', t('Remove {name}, and let them in no more', { name }), async () => {
        if (confirm(t('Remove {name} and let them in no more?', { name }))) await room.ban(participant);
      }),
    ),
  ];
}

/** @param {Room} room @param {Participant} participant */
function reportButton(room, participant) {
  return deed('report', 'Report', 'report-person', t('Report {name}', { name: participant.name }), async () => {
    const text = prompt(
      t('What is wrong with what {name} does? Whoever runs this server will read it.', { name: participant.name }),
    );
    if (text === null) return;
    await room.report(participant, 'reported', text.slice(0, 2000));
    notify(t('Thank you. Whoever runs this server has been told.'));
  });
}

/**
 * What a moderator can do about the room: who waits at the door, whether it is locked, and the end.
 * @param {HTMLElement} element
 * @param {Room} room
 */
function renderDoor(element, room) {
  element.hidden = !room.permissions.moderate;
  if (element.hidden) return;
  const { locked, waitingRoom } = room.info;
  const lock = deed(
    locked ? 'unlock' : 'lock',
    locked ? 'Unlock room' : 'Lock room',
    'lock-room',
    locked ? 'Let people in again' : 'Let nobody in any more',
    () => room.setLocked(!locked),
  );
  lock.setAttribute('aria-pressed', String(locked));
  const waiting = deed(
    waitingRoom ? 'people' : 'door',
    waitingRoom ? 'Let all in' : 'Ask at door',
    'waiting-room',
    waitingRoom ? 'Let people in without asking' : 'Ask me before people come in',
    () => room.setWaitingRoom(!waitingRoom),
  );
  waiting.setAttribute('aria-pressed', String(waitingRoom));
  const end = grave(
    deed('leave', 'End for all', 'end-call', 'End the call for everybody', async () => {
      if (confirm(t('End the call for everybody?'))) await room.endCall();
    }),
  );
  const people = [...room.knocking.values()].map((person) =>
    make(
      'div',
      { class: 'deeds', 'data-testid': `knocking-${person.participantId}` },
      make('span', { class: 'name' }, t('{name} waits', { name: person.name })),
      deed('check', 'Let in', 'admit', t('Let {name} in', { name: person.name }), () => room.admit(person)),
      deed('close', 'Turn away', 'turn-away', t('Turn {name} away', { name: person.name }), () =>
        room.turnAway(person),
      ),
    ),
  );
  element.replaceChildren(make('div', { class: 'deeds' }, lock, waiting, end), ...people);
}

/** Marks a button that ends something for somebody. @param {HTMLElement} button */
function grave(button) {
  button.dataset.grave = '';
  return button;
}

/**
 * A button with an icon and a word for what it does.
 * @param {string} iconName
 * @param {string} text
 * @param {string} testid
 * @param {string} label in full, for whoever cannot see where it stands, and as a tooltip
 * @param {() => Promise<unknown>} act
 */
function deed(iconName, text, testid, label, act) {
  const button = make('button', { type: 'button', class: 'deed', 'data-testid': testid }, icon(iconName), t(text));
  button.setAttribute('aria-label', t(label));
  button.title = t(label);
  button.addEventListener('click', () => void act().catch(notifyError));
  return button;
}

/** @param {Participant} participant */
function marksOf(participant) {
  const on = (/** @type {'microphone' | 'camera' | 'screen'} */ source) => {
    const track = participant.track(source);
    return track !== null && !track.muted;
  };
  return [
    on('microphone') ? 'microphone' : 'microphone-off',
    on('camera') ? 'camera' : 'camera-off',
    ...(on('screen') ? ['screen'] : []),
  ];
}

/** @type {[string, string]} */
const SELF_SIGNED = ['Certificate', 'self-signed: no calls where only TLS gets through'];

/**
 * Whether what one sends goes out, and what others send comes in, and how much that is. It is one connection for both.
 * @param {RoomStats} statistics
 */
function directions({ connection, tracks }) {
  const state = t(connection.state === 'connected' ? 'Connected' : 'Connecting');
  const count = (/** @type {'sent' | 'received'} */ direction) =>
    tracks.filter((track) => track.direction === direction).length;
  return [
    make(
      'p',
      { 'data-testid': 'publisher-status' },
      t('Publisher: {state} ({count} sent)', { state, count: count('sent') }),
    ),
    make(
      'p',
      { 'data-testid': 'consumer-status' },
      t('Consumer: {state} ({count} received)', { state, count: count('received') }),
    ),
  ];
}

/** @param {ConnectionStats} connection @returns {[string, string][]} */
function connectionRows(connection) {
  return [
    ['State', connection.state],
    ['ICE', connection.iceState],
    ['Path', connection.path ?? '–'],
    ['Candidates', `${connection.localCandidateType ?? '–'} → ${connection.remoteCandidateType ?? '–'}`],
    ['Round trip', milliseconds(connection.rttMs)],
    ...(connection.selfSigned ? [SELF_SIGNED] : []),
    ['Sent', bitrate(connection.sentBitrate)],
    ['Received', bitrate(connection.receivedBitrate)],
    ['Estimated uplink', bitrate(connection.availableOutgoingBitrate)],
  ];
}

/** @param {ExperienceStats} experience @returns {[string, string][]} */
function experienceRows({ setupMs, firstPictureMs, firstSoundMs, qualitySwitches, disconnects }) {
  return [
    ['Connected after', milliseconds(setupMs)],
    ['First picture after', milliseconds(firstPictureMs)],
    ['First sound after', milliseconds(firstSoundMs)],
    ['Pictures changed size', `${qualitySwitches} ×`],
    ['Interrupted', `${disconnects} ×`],
  ];
}

/** @param {TrackStats} track @returns {[string, string][]} */
function trackRows(track) {
  /** @type {[string, string][]} */
  const rows = [
    ['Codec', track.codec ?? '–'],
    ['Bitrate', bitrate(track.bitrate)],
    ['Packet loss', track.lossPercent === null ? '–' : `${track.lossPercent.toFixed(1)} %`],
    ['Jitter', milliseconds(track.jitterMs)],
    ['Round trip', milliseconds(track.rttMs)],
  ];
  if (track.kind === 'video') {
    rows.push(
      ['Resolution', track.width === null ? '–' : `${track.width}×${track.height}`],
      ['Frame rate', track.framesPerSecond === null ? '–' : `${track.framesPerSecond.toFixed(0)} /s`],
    );
    if (track.freezeCount !== null) rows.push(['Freezes', String(track.freezeCount)]);
    if (track.syncOffsetMs !== null) rows.push(['Behind the sound', milliseconds(track.syncOffsetMs)]);
  }
  return rows;
}

/**
 * @param {string} caption
 * @param {[string, string][]} rows
 */
function table(caption, rows) {
  const body = rows.map(([label, value]) =>
    make('tr', {}, make('th', { scope: 'row' }, t(label)), make('td', {}, value)),
  );
  return make('table', { class: 'statistics' }, make('caption', {}, t(caption)), make('tbody', {}, ...body));
}

/** @param {number | null} bits */
function bitrate(bits) {
  if (bits === null) return '–';
  return bits >= 1e6 ? `${(bits / 1e6).toFixed(2)} Mbit/s` : `${(bits / 1e3).toFixed(0)} kbit/s`;
}

/** @param {number | null} value */
function milliseconds(value) {
  return value === null ? '–' : `${value.toFixed(Math.abs(value) < 10 ? 1 : 0)} ms`;
}
