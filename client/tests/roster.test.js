// Participants, tracks and slots as the server's messages change them.

import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Roster } from '../sdk/roster.js';
import { ben, benCamera, fakeEnvironment, joinedMessage } from './fakes.js';

let roster;
let events;
let receivers;

beforeEach(() => {
  const { environment } = fakeEnvironment();
  events = [];
  receivers = new Map(['0', '1', '2', '3'].map((mid) => [mid, { track: { id: `media-${mid}` } }]));
  roster = new Roster({
    environment,
    control: { request: async () => ({}) },
    receiver: (mid) => receivers.get(mid) ?? null,
    onJoined: ({ name }) => events.push(`joined ${name}`),
    onLeft: ({ name }, reason) => events.push(`left ${name} ${reason}`),
    onTrackAdded: ({ trackId }) => events.push(`added ${trackId}`),
    onTrackRemoved: ({ trackId }) => events.push(`removed ${trackId}`),
  });
});

const slotMap = (revision, slots, waiting = []) => ({
  revision,
  slots: Object.entries(slots).map(([mid, trackId]) => ({ mid, trackId, fromRtpTimestamp: trackId && 1000 })),
  waiting,
});

test('people come and go', () => {
  roster.reset([ben([benCamera()])]);
  roster.news('participant-reconnecting', { participantId: 'p-ben' });
  assert.equal(roster.participants.get('p-ben').state, 'reconnecting');
  roster.news('participant-resumed', { participantId: 'p-ben' });
  assert.equal(roster.participants.get('p-ben').state, 'connected');
  assert.ok(roster.news('participant-media-lost', { participantId: 'p-ben' }));
  assert.equal(roster.participants.get('p-ben').mediaLost, true);
  assert.ok(roster.news('participant-media-back', { participantId: 'p-ben' }));
  assert.equal(roster.participants.get('p-ben').mediaLost, false);
  assert.equal(roster.news('participant-media-lost', { participantId: 'p-me' }), false, 'not one of the others');
  roster.news('participant-left', { participantId: 'p-ben', reason: 'media-timeout' });
  assert.deepEqual(events, ['joined Ben', 'added t-cam', 'removed t-cam', 'left Ben media-timeout']);
  assert.equal(roster.track('t-cam'), null);
});

test('messages about nobody known change nothing', () => {
  roster.news('participant-left', { participantId: 'p-x', reason: 'left' });
  roster.news('track-removed', { trackId: 't-x', participantId: 'p-x' });
  roster.news('track-added', benCamera());
  roster.news('track-muted', { trackId: 't-x', muted: true });
  assert.deepEqual(events, []);
  assert.equal(roster.news('more-slots', {}), false);
});

test('a slot gives its track a media track, an older map does not take it away', () => {
  roster.reset([ben([benCamera()])]);
  roster.news('slot-map', slotMap(4, { 2: 't-cam' }));
  const track = roster.track('t-cam');
  assert.equal(track.status, 'live');
  assert.equal(track.mid, '2');
  assert.equal(track.mediaStreamTrack, receivers.get('2').track);
  roster.news('slot-map', slotMap(3, { 2: null }));
  roster.news('slot-map', slotMap(4, { 2: null }));
  assert.equal(track.status, 'live');
  roster.news('slot-map', slotMap(5, { 2: null }));
  assert.equal(track.status, 'pending');
  assert.equal(track.mediaStreamTrack, null);
});

test('a map may come before the track it names', () => {
  roster.reset([ben()]);
  roster.news('slot-map', slotMap(1, { 3: 't-cam' }));
  roster.news('track-added', benCamera());
  assert.equal(roster.track('t-cam').status, 'live');
  assert.equal(roster.trackInSlot('3'), roster.track('t-cam'));
});

test('a receiver may come after the map', () => {
  roster.reset([ben([benCamera()])]);
  roster.news('slot-map', slotMap(1, { 9: 't-cam' }));
  assert.equal(roster.track('t-cam').mediaStreamTrack, null);
  receivers.set('9', { track: { id: 'media-9' } });
  roster.refreshReceivers();
  assert.equal(roster.track('t-cam').mediaStreamTrack.id, 'media-9');
});

test('waiting and unsupported tracks say why', () => {
  roster.reset([ben([benCamera()])]);
  const track = roster.track('t-cam');
  roster.news('slot-map', slotMap(1, {}, [{ trackId: 't-cam', reason: 'no free slot' }]));
  assert.deepEqual([track.status, track.reason], ['waiting', 'no free slot']);
  roster.news('slot-map', slotMap(2, {}));
  assert.deepEqual([track.status, track.reason], ['pending', '']);
  roster.news('cannot-receive', { trackId: 't-cam', reason: 'no AV1' });
  roster.news('slot-map', slotMap(3, {}));
  assert.deepEqual([track.status, track.reason], ['unsupported', 'no AV1']);
});

test('a track that its owner does not let us receive says so, and comes back when they do', () => {
  roster.reset([ben([benCamera()])]);
  const track = roster.track('t-cam');
  roster.news('slot-map', slotMap(1, { 9: 't-cam' }));
  const told = (allowed) =>
    roster.news('subscription-permission', { trackId: 't-cam', participantId: 'p-ben', allowed });
  told(false);
  roster.news('slot-map', slotMap(2, {}));
  assert.equal(track.status, 'not-allowed');
  told(true);
  assert.equal(track.status, 'pending');
  roster.news('slot-map', slotMap(3, { 9: 't-cam' }));
  assert.equal(track.status, 'live');
});

test('of many tracks that wait the first are listed, and the others wait as well', () => {
  const tracks = [1, 2, 3].map((number) => benCamera({ trackId: `t-${number}` }));
  roster.reset([ben(tracks)]);
  const waiting = [{ trackId: 't-1', reason: 'slot-limit' }];
  roster.news('slot-map', { ...slotMap(1, { 2: 't-2' }, waiting), waitingCount: 2 });
  const states = () => [1, 2, 3].map((number) => roster.track(`t-${number}`).status);
  assert.deepEqual(states(), ['waiting', 'live', 'waiting']);
  assert.equal(roster.track('t-3').reason, 'slot-limit');
  roster.news('slot-map', { ...slotMap(2, { 2: 't-2' }, waiting), waitingCount: 1 });
  assert.deepEqual(states(), ['waiting', 'live', 'pending'], 'nothing is unlisted any more');
});

test('a resume keeps what is the same and drops what has gone', () => {
  const cleo = {
    participantId: 'p-cleo',
    name: 'Cleo',
    state: 'connected',
    tracks: [benCamera({ trackId: 't-cleo', participantId: 'p-cleo' })],
  };
  roster.reset([ben([benCamera()]), cleo]);
  roster.news('slot-map', slotMap(7, { 2: 't-cam', 3: 't-cleo' }));
  const sameBen = roster.participants.get('p-ben');
  const sameTrack = roster.track('t-cam');
  events.length = 0;
  const dora = { participantId: 'p-dora', name: 'Dora', state: 'reconnecting', tracks: [] };
  roster.resume({
    ...joinedMessage({
      participants: [
        { ...ben([benCamera({ muted: true }), benCamera({ trackId: 't-scr', source: 'screen' })]) },
        dora,
      ],
    }),
    publications: [],
    slotMap: slotMap(2, { 2: 't-cam', 3: 't-scr' }),
    subscriptions: [{ trackId: 't-cam', paused: true }],
    unsubscribed: [],
  });
  assert.deepEqual(events, ['removed t-cleo', 'left Cleo left', 'added t-scr', 'joined Dora']);
  assert.equal(roster.participants.get('p-ben'), sameBen);
  assert.equal(roster.track('t-cam'), sameTrack);
  assert.ok(sameTrack.muted && sameTrack.paused);
  assert.equal(roster.track('t-scr').mid, '3');
  // The snapshot's revision counts from now on, though the one before was higher.
  roster.news('slot-map', slotMap(3, { 2: null }));
  assert.equal(sameTrack.status, 'pending');
});

test('a fresh join begins anew', () => {
  roster.reset([ben([benCamera()])]);
  roster.news('slot-map', slotMap(9, { 2: 't-cam' }));
  roster.reset([ben([benCamera()])]);
  assert.equal(roster.track('t-cam').status, 'pending');
  roster.news('slot-map', slotMap(1, { 3: 't-cam' }));
  assert.equal(roster.track('t-cam').mid, '3');
});

test('unsubscribing and subscribing again', async () => {
  roster.reset([ben([benCamera()])]);
  const track = roster.track('t-cam');
  await track.unsubscribe();
  assert.equal(track.status, 'unsubscribed');
  roster.news('slot-map', slotMap(1, {}));
  assert.equal(track.status, 'unsubscribed');
  await track.subscribe();
  assert.equal(track.status, 'pending');
});
