// Says how the call travels: a mark in the header, straight or through the server, and a notice when it moves.

import { byId } from './dom.js';
import { notify } from './notices.js';
import { t } from './words.js';

/** @import {RoomTopology} from '../sdk/room.js' */

const NAMES = { p2p: 'Direct', sfu: 'Server' };
const ABOUT = {
  p2p: 'Sound and pictures go straight to the others, who can see your network address.',
  sfu: 'Sound and pictures go through the server.',
};

/** @param {RoomTopology | null} topology `null`: calls never go straight here, so there is nothing to tell */
export function showMode(topology) {
  const mark = byId('mode-indicator');
  mark.hidden = topology === null;
  if (!topology) return;
  mark.textContent = t(NAMES[topology.mode]);
  mark.title = t(ABOUT[topology.mode]);
  mark.dataset.mode = topology.movingTo ? 'moving' : topology.mode;
}

/** @param {RoomTopology} topology @param {RoomTopology | null} previous */
export function tellMode(topology, previous) {
  if (topology.movingTo && topology.movingTo !== previous?.movingTo)
    notify(t(topology.movingTo === 'sfu' ? 'Upgrading connection...' : 'Optimizing connection...'));
  else if (topology.failed && topology.mode === 'p2p') notify(t('Connection issue, using direct mode'));
  else if (previous && previous.mode !== topology.mode) notify(t('Connected'));
}
