// How a peer connection is, also where the browser tells no more than how its ICE is: Firefox before version 113.

/** @type {Record<RTCIceConnectionState, RTCPeerConnectionState>} */
const BY_ICE = {
  new: 'new',
  checking: 'connecting',
  connected: 'connected',
  completed: 'connected',
  disconnected: 'disconnected',
  failed: 'failed',
  closed: 'closed',
};

/** @param {RTCPeerConnection} pc @returns {RTCPeerConnectionState} */
export function connectionStateOf(pc) {
  return pc.connectionState ?? BY_ICE[pc.iceConnectionState];
}

/**
 * Calls when the state may be another one; `onIce` is called before, when that of its ICE is.
 * @param {RTCPeerConnection} pc
 * @param {{onIce: () => void, onState: () => void}} listeners
 */
export function watchConnection(pc, { onIce, onState }) {
  pc.oniceconnectionstatechange = () => {
    onIce();
    if (pc.connectionState === undefined) onState();
  };
  pc.onconnectionstatechange = onState;
}
