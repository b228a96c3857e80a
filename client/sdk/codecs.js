// Which codecs a section that publishes offers, and in which order.

/** @import {Kind} from './protocol.js' */

/**
 * @typedef {object} CodecChoice
 * @property {'VP8' | 'VP9' | 'H264' | 'AV1'} videoCodec
 * @property {boolean} red
 * @property {boolean} dtx
 */

const REPAIR = new Set(['rtx', 'red', 'ulpfec', 'flexfec-03']);

/** @param {{mimeType: string}} codec */
const nameOf = ({ mimeType }) => mimeType.split('/')[1]?.toLowerCase() ?? '';

/**
 * Only the chosen codec, because the order of the answer is the server's; all of them in a browser without it.
 * @template {{mimeType: string}} Codec
 * @param {Codec[]} codecs
 * @param {string} chosen
 */
export function videoCodecs(codecs, chosen) {
  const isChosen = (/** @type {Codec} */ codec) => nameOf(codec) === chosen.toLowerCase();
  if (!codecs.some(isChosen)) return codecs;
  return codecs.filter((codec) => isChosen(codec) || REPAIR.has(nameOf(codec)));
}

/**
 * @template {{mimeType: string}} Codec
 * @param {Codec[]} codecs
 * @param {boolean} red
 */
export function audioCodecs(codecs, red) {
  const wanted = red ? ['red', 'opus'] : ['opus'];
  return wanted.flatMap((name) => codecs.filter((codec) => nameOf(codec) === name));
}

/**
 * Tells the browser what a section is to offer; a browser that cannot be told offers what it likes.
 * @param {RTCRtpTransceiver} transceiver
 * @param {Kind} kind
 * @param {CodecChoice} choice
 */
export function preferCodecs(transceiver, kind, choice) {
  const capabilities = globalThis.RTCRtpReceiver?.getCapabilities?.(kind);
  if (!capabilities || typeof transceiver.setCodecPreferences !== 'function') return;
  const codecs =
    kind === 'video'
      ? videoCodecs(capabilities.codecs, choice.videoCodec)
      : audioCodecs(capabilities.codecs, choice.red);
  transceiver.setCodecPreferences(codecs);
}

/**
 * Puts the chosen codec first and keeps the others, for the other side may have chosen another one.
 * @param {RTCRtpTransceiver} transceiver of video
 * @param {string} chosen
 */
export function videoCodecsFirst(transceiver, chosen) {
  const capabilities = globalThis.RTCRtpReceiver?.getCapabilities?.('video');
  if (!capabilities || typeof transceiver.setCodecPreferences !== 'function') return;
  const isChosen = (/** @type {{mimeType: string}} */ codec) => nameOf(codec) === chosen.toLowerCase();
  const { codecs } = capabilities;
  transceiver.setCodecPreferences([...codecs.filter(isChosen), ...codecs.filter((codec) => !isChosen(codec))]);
}
