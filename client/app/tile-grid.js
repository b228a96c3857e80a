// All tiles, sized so that they fill the space as well as can be: on a stage what is to be seen large, which is shared screens,
// whoever is kept on screen and, if wanted, whoever speaks; everybody else in the rest.

import { byId, make, mark } from './dom.js';
import { loadPreferences } from './preferences.js';
import { Tile } from './tile.js';
import { t } from './words.js';

/** @import {Participant, Room} from '../sdk/strait.js' */
/** @import {TileSource} from './tile.js' */

const GAP = 10;
const WIDE = [16 / 9];
/** Upright screens hold more faces in squarer tiles. */
const UPRIGHT = [16 / 9, 4 / 3, 1];
const SMALLEST = 136;

export class TileGrid {
  #view = byId('remoteVideos');
  #stage = make('div', { class: 'stage tile-area' });
  #people = make('div', { class: 'people tile-area' });
  #room;
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  #lonely = make('p', { class: 'lonely' }, t('Nobody else is here yet. Copy the link above and send it to someone.'));
  /** Who is kept on screen. @type {Set<Participant>} */
  #pinned = new Set();
  /** Who of the others has spoken last. @type {Participant | null} */
  #speaker = null;
  #resize = new ResizeObserver(() => this.#layOut());

  /** @param {Room} room */
  constructor(room) {
    this.#room = room;
    this.#view.replaceChildren(this.#stage, this.#people);
    this.#resize.observe(this.#stage);
    this.#resize.observe(this.#people);
  }

  /** @param {Participant} participant */
  update(participant) {
    if (participant.dominant && !participant.isLocal) this.#speaker = participant;
    const isHere = participant.isLocal || this.#room.participants.get(participant.participantId) === participant;
    this.#keep(participant, 'camera', isHere);
    this.#keep(participant, 'screen', isHere && participant.track('screen') !== null);
    if (!isHere) {
      this.#pinned.delete(participant);
      if (this.#speaker === participant) this.#speaker = null;
    }
    if (this.#arrange()) this.#layOut();
  }

  /** Shows somebody large, or as everybody else. @param {Participant} participant @param {boolean} isPinned */
  pin(participant, isPinned) {
    if (isPinned) this.#pinned.add(participant);
    else this.#pinned.delete(participant);
    this.rearrange();
  }

  /** What is to be seen large has changed. */
  rearrange() {
    if (this.#arrange()) this.#layOut();
  }

  /** The picture that matters most now. @returns {HTMLVideoElement | null} `null`: nobody shows one */
  get mainPicture() {
    const shown = [...this.#tiles.values()].filter(({ hasPicture }) => hasPicture);
    const best =
      shown.find(({ element }) => element.parentElement === this.#stage) ??
      shown.find(({ participant }) => participant === this.#speaker) ??
      shown.find(({ participant }) => !participant.isLocal) ??
      shown[0];
    return best?.video ?? null;
  }

  updateLevels() {
    for (const tile of this.#tiles.values()) tile.updateLevel();
  }

  /** @param {Map<string, string>} qualities by participant id */
  setQualities(qualities) {
    for (const tile of this.#tiles.values())
      tile.setQuality(qualities.get(tile.participant.participantId) ?? 'unknown');
  }

  close() {
    this.#resize.disconnect();
    for (const tile of this.#tiles.values()) tile.remove();
    this.#tiles.clear();
    this.#view.replaceChildren();
  }

  /**
   * @param {Participant} participant
   * @param {TileSource} source
   * @param {boolean} wanted
   */
  #keep(participant, source, wanted) {
    // One's own id changes when one has to join afresh; the tile stays.
    const key = `${participant.isLocal ? 'own' : participant.participantId}/${source}`;
    const tile = this.#tiles.get(key);
    if (!wanted) {
      if (!tile) return;
      tile.remove();
      this.#tiles.delete(key);
      this.#arrange();
      this.#layOut();
    } else if (tile) {
      tile.update();
    } else {
      const added = new Tile(participant, source);
      this.#tiles.set(key, added);
      added.update();
      (source === 'screen' ? this.#stage : this.#people).append(added.element);
      this.#arrange();
      this.#layOut();
    }
  }

  /** Puts every tile where it belongs, always in the same order. @returns {boolean} whether anything was moved */
  #arrange() {
    const speaker = this.#largeSpeaker();
    const areas = new Map(
      [...this.#tiles.values()].map((tile) => {
        const { source, participant } = tile;
        const isLarge = source === 'screen' || this.#pinned.has(participant) || participant === speaker;
        return [tile, isLarge ? this.#stage : this.#people];
      }),
    );
    const moved = [...areas].filter(([tile, area]) => tile.element.parentElement !== area);
    for (const [tile, area] of moved) {
      const order = [...this.#tiles.values()];
      const next = order.slice(order.indexOf(tile) + 1).find(({ element }) => element.parentElement === area);
      tile.place(area, next?.element ?? null);
    }
    return moved.length > 0;
  }

  /** Who is shown large because they speak: nobody while something else is. */
  #largeSpeaker() {
    const isSharing = [...this.#tiles.values()].some(({ source }) => source === 'screen');
    if (loadPreferences().view !== 'speaker' || isSharing || this.#pinned.size > 0) return null;
    return this.#speaker ?? [...this.#room.participants.values()][0] ?? null;
  }

  #layOut() {
    const staged = this.#stage.childElementCount > 0;
    mark(this.#view, 'staged', staged);
    const alone = this.#room.participants.size === 0 && this.#tiles.size > 0 && !staged;
    if (alone) this.#people.append(this.#lonely);
    else this.#lonely.remove();
    for (const area of [this.#stage, this.#people]) {
      const count = area.querySelectorAll('.tile').length;
      const { width, ratio } = bestFit(
        count,
        area.clientWidth,
        area.clientHeight - (alone ? 48 : 0),
        area === this.#people,
      );
      area.style.setProperty('--tile-width', `${width}px`);
      area.style.setProperty('--tile-ratio', String(ratio));
    }
  }
}

/**
 * The largest tiles of which `count` fit; in very little space they scroll instead of becoming tiny.
 * @param {number} count
 * @param {number} width
 * @param {number} height
 * @param {boolean} maySquare
 */
function bestFit(count, width, height, maySquare) {
  let best = { width: 0, ratio: 16 / 9, area: 0 };
  for (const ratio of maySquare && height > width ? UPRIGHT : WIDE) {
    for (let columns = 1; columns <= Math.max(1, count); columns++) {
      const rows = Math.ceil(count / columns);
      const byWidth = (width - (columns - 1) * GAP) / columns;
      const byHeight = ((height - (rows - 1) * GAP) / rows) * ratio;
      const fitting = Math.min(byWidth, byHeight);
      const area = fitting ** 2 / ratio;
      if (fitting > 0 && area > best.area) best = { width: fitting, ratio, area };
    }
  }
  return { ratio: best.ratio, width: Math.floor(Math.max(Math.min(SMALLEST, width), best.width)) };
}
