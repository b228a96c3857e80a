// All tiles, sized so that they fill the space as well as can be.

import { byId, make, mark } from './dom.js';
import { Tile } from './tile.js';

/** @import {Participant, Room} from '../sdk/strait.js' */
/** @import {TileSource} from './tile.js' */

const GAP = 10;
const WIDE = [16 / 9];
/** Upright screens hold more faces in squarer tiles. */
const UPRIGHT = [16 / 9, 4 / 3, 1];
const SMALLEST = 150;
const SMALL = 230;

export class TileGrid {
  #view = byId('remoteVideos');
  #room;
  /** @type {Map<string, Tile>} */
  #tiles = new Map();
  #lonely = make('p', { class: 'lonely' }, 'Nobody else is here yet. Copy the link above and send it to someone.');
  #resize = new ResizeObserver(() => this.#layOut());

  /** @param {Room} room */
  constructor(room) {
    this.#room = room;
    this.#resize.observe(this.#view);
  }

  /** @param {Participant} participant */
  update(participant) {
    const isHere = participant.isLocal || this.#room.participants.get(participant.participantId) === participant;
    this.#keep(participant, 'camera', isHere);
    this.#keep(participant, 'screen', isHere && participant.track('screen') !== null);
  }

  updateLevels() {
    for (const tile of this.#tiles.values()) tile.updateLevel();
  }

  /** @param {Map<string, string>} qualities by participant id */
  setQualities(qualities) {
    for (const tile of this.#tiles.values()) tile.setQuality(qualities.get(tile.participant.participantId) ?? 'unknown');
  }

  close() {
    this.#resize.disconnect();
    for (const tile of this.#tiles.values()) tile.remove();
    this.#tiles.clear();
    this.#lonely.remove();
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
      this.#layOut();
    } else if (tile) {
      tile.update();
    } else {
      const added = new Tile(participant, source);
      this.#tiles.set(key, added);
      added.update();
      if (source === 'screen') this.#view.prepend(added.element);
      else this.#view.append(added.element);
      this.#layOut();
    }
  }

  #layOut() {
    const count = this.#tiles.size;
    const alone = this.#room.participants.size === 0;
    if (alone && count > 0) this.#view.append(this.#lonely);
    else this.#lonely.remove();
    const reserved = alone ? 48 : 0;
    const { width, ratio } = bestFit(count, this.#view.clientWidth - 8, this.#view.clientHeight - 8 - reserved);
    this.#view.style.setProperty('--tile-width', `${width}px`);
    this.#view.style.setProperty('--tile-ratio', String(ratio));
    for (const { element } of this.#tiles.values()) mark(element, 'small', width < SMALL);
  }
}

/**
 * The largest tiles of which `count` fit; in very little space they scroll instead of becoming tiny.
 * @param {number} count
 * @param {number} width
 * @param {number} height
 */
function bestFit(count, width, height) {
  let best = { width: 0, ratio: 16 / 9, area: 0 };
  for (const ratio of height > width ? UPRIGHT : WIDE) {
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
