// A connection in a browser that knows neither `connectionState` nor `setConfiguration`, as Firefox 90.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectionStateOf } from '../sdk/connection-state.js';
import { PeerConnection } from '../sdk/peer-connection.js';
import { FakePeerConnection, fakeEnvironment, settle } from './fakes.js';

class OldPeerConnection extends FakePeerConnection {
  connectionState = undefined;
  setConfiguration = undefined;
}

const RELAY = { urls: ['turn:relay.example:3478'], username: 'a', credential: 'b' };

function connect() {
  const { environment } = fakeEnvironment();
  const made = [];
  environment.createPeerConnection = (configuration) => made[made.push(new OldPeerConnection(configuration)) - 1];
  const states = [];
  const connection = new PeerConnection(environment, [RELAY], {
    exchange: async () => ({ sdp: 'v=0', applied: async () => {} }),
    onState: (state) => states.push(state),
    onTrouble: () => {},
    onDead: () => {},
  });
  return { made, states, connection };
}

test('the state of ICE stands for that of the connection', async () => {
  const { made, states, connection } = connect();
  const pc = made[made.length - 1];
  assert.equal(connection.connectionState, 'new');
  for (const state of ['checking', 'connected', 'completed', 'disconnected', 'failed']) await pc.ice(state);
  assert.deepEqual(states, ['connecting', 'connected', 'connected', 'disconnected', 'failed']);
  await settle();
  assert.equal(connectionStateOf(pc), 'failed');
});

test('a relay of which it cannot be told later is told from the beginning', () => {
  const { made } = connect();
  const [first, second] = made;
  assert.equal(made.length, 2);
  assert.ok(first.closed);
  assert.deepEqual(second.configuration.iceServers, [RELAY]);
});
