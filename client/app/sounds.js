// Short sounds for what happens in a call, made here: two notes, up for who comes, down for who goes.

import { audioContext } from '../sdk/strait.js';
import { loadPreferences } from './preferences.js';

const NOTES = { joined: [523, 784], left: [659, 440] };
const NOTE = 0.11;
const LOUDNESS = 0.06;

/** @param {keyof typeof NOTES} what @param {AudioNode} [destination] left out: the system's speaker */
export function play(what, destination) {
  if (loadPreferences().sounds === 'off' && !destination) return;
  const context = audioContext();
  if (context.state !== 'running' && !destination) return;
  for (const [index, hz] of NOTES[what].entries()) {
    const tone = new OscillatorNode(context, { frequency: hz, type: 'sine' });
    const gain = new GainNode(context, { gain: 0 });
    const begin = context.currentTime + index * NOTE;
    gain.gain.setValueAtTime(0, begin);
    gain.gain.linearRampToValueAtTime(destination ? 4 * LOUDNESS : LOUDNESS, begin + 0.015);
    gain.gain.exponentialRampToValueAtTime(0.0005, begin + 1.8 * NOTE);
    tone.connect(gain).connect(destination ?? context.destination);
    tone.start(begin);
    tone.stop(begin + 2 * NOTE);
  }
}
