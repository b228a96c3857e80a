// What the SDK takes from the browser, in one object, so that tests can hand in their own.

/**
 * @typedef {object} Environment
 * @property {(url: string) => WebSocket} openSocket
 * @property {(configuration: RTCConfiguration) => RTCPeerConnection} createPeerConnection
 * @property {(() => HTMLAudioElement) | null} createAudio `null`: nothing is played
 * @property {(callback: () => void, milliseconds: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {(listener: () => void) => () => void} onNetworkBack calls when the machine is on a network again, maybe
 *   another one; answers how to stop
 * @property {() => number} now milliseconds of a clock that never jumps
 * @property {() => number} random from 0 up to 1
 */

/** @returns {Environment} */
export function browserEnvironment() {
  return {
    openSocket: (url) => new WebSocket(url),
    createPeerConnection: (configuration) => new RTCPeerConnection(configuration),
    createAudio: () => new Audio(),
    setTimeout: (callback, milliseconds) => globalThis.setTimeout(callback, milliseconds),
    clearTimeout: (timer) => globalThis.clearTimeout(timer),
    onNetworkBack: (listener) => {
      globalThis.addEventListener?.('online', listener);
      return () => globalThis.removeEventListener?.('online', listener);
    },
    now: () => performance.now(),
    random: () => Math.random(),
  };
}
