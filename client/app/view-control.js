// How the call is looked at: all alike or whoever speaks large, one picture in a small window above all others, or the whole
// screen.

import { byId, dress } from './dom.js';
import { notify } from './notices.js';
import { loadPreferences, savePreferences } from './preferences.js';
import { t } from './words.js';

/** @import {TileGrid} from './tile-grid.js' */

export class ViewControl {
  #tiles;

  /**
   * @param {TileGrid} tiles
   * @param {AbortSignal} signal the end of the call
   */
  constructor(tiles, signal) {
    this.#tiles = tiles;
    byId('pip-button').hidden = !document.pictureInPictureEnabled;
    byId('full-screen-button').hidden = !document.fullscreenEnabled;
    const render = () => this.render();
    for (const type of ['fullscreenchange', 'enterpictureinpicture', 'leavepictureinpicture'])
      document.addEventListener(type, render, { signal });
    signal.addEventListener('abort', () => void leaveAll());
    this.render();
  }

  render() {
    const isSpeaker = loadPreferences().view === 'speaker';
    show('view-button', isSpeaker ? 'grid' : 'large', isSpeaker, 'Show whoever speaks large', 'Show everybody alike');
    const isSmall = Boolean(document.pictureInPictureElement);
    show('pip-button', 'picture-in-picture', isSmall, 'Picture in a window of its own', 'Picture back into the page');
    const isFull = Boolean(document.fullscreenElement);
    show(
      'full-screen-button',
      isFull ? 'full-screen-off' : 'full-screen',
      isFull,
      'Full screen',
      'Leave full screen',
    );
  }

  toggleView() {
    savePreferences({ view: loadPreferences().view === 'speaker' ? 'grid' : 'speaker' });
    this.#tiles.rearrange();
    this.render();
  }

  async togglePictureInPicture() {
    if (document.pictureInPictureElement) return document.exitPictureInPicture();
    const picture = this.#tiles.mainPicture;
    if (picture) await picture.requestPictureInPicture();
    else notify(t('Nobody shows a picture just now.'));
  }

  async toggleFullScreen() {
    if (document.fullscreenElement) await document.exitFullscreen();
    // Of the whole page, so that notices are seen, too.
    else await document.documentElement.requestFullscreen();
  }
}

async function leaveAll() {
  if (document.pictureInPictureElement) await document.exitPictureInPicture().catch(() => {});
  if (document.fullscreenElement) await document.exitFullscreen().catch(() => {});
}

/**
 * @param {string} id
 * @param {string} iconName
 * @param {boolean} isOn
 * @param {string} label what it does while it is off
 * @param {string} undo and while it is on
 */
function show(id, iconName, isOn, label, undo) {
  dress(byId(id), iconName, t(isOn ? undo : label));
}
