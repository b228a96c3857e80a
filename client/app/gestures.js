// What people do without words: they raise a hand, which stays until they lower it and is an attribute of theirs, so that
// whoever comes later sees it, too; and they react, which is a message to those who are here now.

import { make } from './dom.js';
import { t } from './words.js';
import { StraitError } from '../sdk/strait.js';

/** @import {Participant, Room} from '../sdk/strait.js' */

const TOPIC = 'reaction';
const HAND = 'hand';
export const REACTIONS = ['👍', '👏', '❤️', '😂', '😮', '🎉'];
const SHOWN_FOR = 3500;

/** @param {Participant} participant */
export const hasHandRaised = ({ attributes }) => (attributes[HAND] ?? '') !== '';

/** @param {Room} room */
export function toggleHand(room) {
  const raised = hasHandRaised(room.localParticipant);
  return room.updateProfile({ attributes: { [HAND]: raised ? '' : 'raised' } });
}

/**
 * Shows reactions on the tiles of those who react.
 * @param {Room} room
 * @returns {() => void} ends it
 */
export function followReactions(room) {
  return room.on('data', ({ detail: { topic, participant, payload } }) => {
    if (topic === TOPIC && participant && typeof payload === 'string') show(participant.participantId, payload);
  });
}

/** @param {Room} room @param {string} reaction */
async function react(room, reaction) {
  show(room.localParticipant.participantId, reaction);
  await room.sendData(TOPIC, reaction, undefined, { lossy: true });
}

/**
 * The choice of reactions beside the button that opens it.
 * @param {Room} room
 * @param {HTMLElement} anchor
 * @param {(error: StraitError) => void} onError
 */
export function chooseReaction(room, anchor, onError) {
  const open = document.querySelector('.reactions');
  if (open) return open.remove();
  const choice = make('div', { class: 'reactions', role: 'menu', 'aria-label': t('Reactions') });
  for (const reaction of REACTIONS) {
    const button = make('button', { type: 'button', role: 'menuitem', 'data-testid': 'reaction' }, reaction);
    button.addEventListener('click', () => {
      // What has no focus any more is gone.
      anchor.focus();
      react(room, reaction).catch((error) => onError(StraitError.from(error)));
    });
    choice.append(button);
  }
  choice.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    event.stopPropagation();
    anchor.focus();
  });
  choice.addEventListener('focusout', ({ relatedTarget }) => {
    if (relatedTarget instanceof Node && choice.contains(relatedTarget)) return;
    // The button itself closes it, too, when it is pressed.
    setTimeout(() => choice.remove());
  });
  anchor.after(choice);
  choice.querySelector('button')?.focus();
}

/** @param {string} participantId @param {string} reaction */
function show(participantId, reaction) {
  // Nobody can put anything else on the screens of others.
  if (!REACTIONS.includes(reaction)) return;
  const tile = document.querySelector(`[data-testid="tile-${CSS.escape(participantId)}"]`);
  const mark = make(
    'span',
    { class: 'reaction', role: 'img', 'aria-label': reaction, 'data-testid': 'tile-reaction' },
    reaction,
  );
  tile?.append(mark);
  setTimeout(() => mark.remove(), SHOWN_FOR);
}
