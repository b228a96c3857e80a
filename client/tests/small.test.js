// The small pure parts: back-off, RTP time, SDP, codec order, cover rule, links, statistics.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRoomId, parseRoom, roomOf } from '../app/room-link.js';
import { Backoff } from '../sdk/backoff.js';
import { captureError } from '../sdk/capture.js';
import { isOfNewSource } from '../sdk/cover.js';
import { meterLevel } from '../sdk/levels.js';
import { audioCodecs, videoCodecs } from '../sdk/codecs.js';
import { isAtOrAfter } from '../sdk/rtp-time.js';
import { withOpusDtx, withoutStrayAttributes } from '../sdk/sdp.js';
import { StatsCollector, qualityOf, worstQuality } from '../sdk/stats.js';

test('back-off begins at once, grows, and stays under five seconds', () => {
  const backoff = new Backoff(() => 1);
  const delays = Array.from({ length: 8 }, () => backoff.next());
  assert.deepEqual(delays, [0, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
  backoff.reset();
  assert.equal(backoff.next(), 0);
  assert.equal(new Backoff(() => 0).next(), 0);
});

test('back-off jitters by half', () => {
  const early = new Backoff(() => 0);
  early.next();
  assert.equal(early.next(), 250);
});

test('RTP timestamps compare across the wrap', () => {
  assert.ok(isAtOrAfter(5, 5));
  assert.ok(isAtOrAfter(6, 5));
  assert.ok(!isAtOrAfter(4, 5));
  assert.ok(isAtOrAfter(10, 0xffff_fff0));
  assert.ok(!isAtOrAfter(0xffff_fff0, 10));
  assert.ok(isAtOrAfter(0x8000_0000, 0x7fff_ffff));
});

test('a frame is of the new source by its timestamp, or after a pause, or after the longest cover', () => {
  assert.ok(!isOfNewSource(99, 100, 500));
  assert.ok(isOfNewSource(100, 100, 0));
  assert.ok(!isOfNewSource(undefined, 100, 149));
  assert.ok(isOfNewSource(undefined, 100, 150));
  assert.ok(isOfNewSource(7, null, 150));
  assert.ok(isOfNewSource(99, 100, 3000));
});

test('DTX is asked for only in the named Opus sections', () => {
  const sdp = [
    'v=0',
    's=-',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'a=mid:0',
    'a=rtpmap:111 opus/48000/2',
    'a=fmtp:111 minptime=10;useinbandfec=1',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'a=mid:8',
    'a=rtpmap:111 opus/48000/2',
    'a=fmtp:111 minptime=10;useinbandfec=1',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'a=mid:9',
    'a=rtpmap:111 opus/48000/2',
    '',
  ].join('\r\n');
  const sections = withOpusDtx(sdp, new Set(['8', '9'])).split(/(?=^m=)/m);
  assert.equal(
    sections.join('').length - sdp.length,
    ';usedtx=1'.length + '\r\na=fmtp:111 useinbandfec=1;usedtx=1'.length,
  );
  assert.match(sections[1], /useinbandfec=1\r\n/);
  assert.match(sections[2], /a=fmtp:111 minptime=10;useinbandfec=1;usedtx=1\r\n/);
  assert.match(sections[3], /a=rtpmap:111 opus\/48000\/2\r\na=fmtp:111 useinbandfec=1;usedtx=1\r\n/);
});

test('attributes of codecs that a section does not list are not sent', () => {
  const section = (lines) => `v=0\r\n${lines.join('\r\n')}\r\n`;
  const kept = [
    'm=video 9 UDP/TLS/RTP/SAVPF 120 124',
    'a=fmtp:124 apt=120',
    'a=rtcp-fb:120 nack',
    'a=rtcp-fb:* ccm fir',
    'a=mid:1',
  ];
  assert.equal(withoutStrayAttributes(section([...kept, 'a=rtcp-fb:99 nack pli', 'a=fmtp:99 x=1'])), section(kept));
  const rejected = section(['m=video 0 UDP/TLS/RTP/SAVPF 120', 'a=inactive']);
  assert.equal(withoutStrayAttributes(rejected), rejected);
});

test('only the chosen video codec is offered, with what repairs losses', () => {
  const codecs = ['video/VP8', 'video/rtx', 'video/H264', 'video/H264', 'video/VP9'].map((mimeType) => ({
    mimeType,
  }));
  const names = (chosen) => videoCodecs(codecs, chosen).map(({ mimeType }) => mimeType);
  assert.deepEqual(names('H264'), ['video/rtx', 'video/H264', 'video/H264']);
  assert.deepEqual(names('VP8'), ['video/VP8', 'video/rtx']);
  assert.equal(names('AV1').length, codecs.length);
});

test('RED goes before Opus when asked for', () => {
  const codecs = ['audio/opus', 'audio/red', 'audio/PCMU'].map((mimeType) => ({ mimeType }));
  const names = (red) => audioCodecs(codecs, red).map(({ mimeType }) => mimeType);
  assert.deepEqual(names(false), ['audio/opus']);
  assert.deepEqual(names(true), ['audio/red', 'audio/opus']);
});

test('meters follow decibels', () => {
  assert.equal(meterLevel(0), 0);
  assert.equal(meterLevel(1), 1);
  assert.ok(Math.abs(meterLevel(0.001)) < 1e-9);
  assert.ok(Math.abs(meterLevel(10 ** (-30 / 20)) - 0.5) < 1e-9);
});

test('room ids come out of links and plain text', () => {
  assert.equal(parseRoom('  standup '), 'standup');
  assert.equal(parseRoom('https://call.example/#room=abc-1'), 'abc-1');
  assert.equal(parseRoom('https://call.example/?room=abc-2'), 'abc-2');
  assert.equal(parseRoom('https://call.example/'), '');
  assert.equal(roomOf(new URL('http://localhost:7443/#room=a.b')), 'a.b');
  assert.ok(isRoomId('a'.repeat(64)));
  assert.ok(!isRoomId('a'.repeat(65)));
  assert.ok(!isRoomId('two words'));
  assert.ok(!isRoomId(''));
});

test('device errors say what to do', () => {
  const cases = {
    NotAllowedError: 'permission-denied',
    NotFoundError: 'no-device',
    NotReadableError: 'device-in-use',
    TypeError: 'capture-failed',
  };
  for (const [name, code] of Object.entries(cases)) {
    const error = captureError(Object.assign(new Error('x'), { name }), 'camera');
    assert.equal(error.code, code);
    assert.match(error.message, /camera/);
    assert.ok(error.action.length > 10);
  }
});

const owner = { participantId: 'p-1', trackId: 't-1', source: 'camera' };
const states = { connectionState: 'connected', iceConnectionState: 'connected' };
const report = (timestamp, bytesReceived, packetsReceived, packetsLost) =>
  new Map(
    [
      { id: 'T', type: 'transport', selectedCandidatePairId: 'P', timestamp },
      {
        id: 'P',
        type: 'candidate-pair',
        localCandidateId: 'L',
        remoteCandidateId: 'R',
        currentRoundTripTime: 0.05,
        bytesReceived,
        bytesSent: 0,
        timestamp,
      },
      { id: 'L', type: 'local-candidate', candidateType: 'relay', protocol: 'udp', relayProtocol: 'tls', timestamp },
      { id: 'R', type: 'remote-candidate', candidateType: 'host', protocol: 'udp', timestamp },
      { id: 'C', type: 'codec', mimeType: 'video/VP8', timestamp },
      {
        id: 'I',
        type: 'inbound-rtp',
        kind: 'video',
        mid: '2',
        codecId: 'C',
        bytesReceived,
        packetsReceived,
        packetsLost,
        jitter: 0.004,
        frameWidth: 320,
        frameHeight: 180,
        framesPerSecond: 15,
        timestamp,
      },
      { id: 'X', type: 'inbound-rtp', kind: 'video', mid: '3', bytesReceived: 0, timestamp },
    ].map((entry) => [entry.id, entry]),
  );

test('statistics are rates between two calls', () => {
  const collector = new StatsCollector();
  const ownerOf = (mid) => (mid === '2' ? owner : null);
  const first = collector.collect(report(1000, 0, 0, 0), ownerOf, states);
  assert.equal(first.tracks.length, 1);
  assert.equal(first.tracks[0].bitrate, null);
  const { connection, tracks } = collector.collect(report(3000, 50_000, 90, 10), ownerOf, states);
  assert.equal(tracks[0].bitrate, 200_000);
  assert.equal(tracks[0].lossPercent, 10);
  assert.equal(tracks[0].codec, 'VP8');
  assert.equal(tracks[0].jitterMs, 4);
  assert.equal(tracks[0].rttMs, 50);
  assert.equal(tracks[0].quality, 'poor');
  assert.equal(connection.path, 'TURN over TLS');
  assert.equal(connection.receivedBitrate, 200_000);
});

test('statistics begin anew when a slot changes hands', () => {
  const collector = new StatsCollector();
  collector.collect(report(1000, 0, 0, 0), () => owner, states);
  const { tracks } = collector.collect(report(3000, 50_000, 90, 10), () => ({ ...owner, trackId: 't-2' }), states);
  assert.equal(tracks[0].bitrate, null);
  assert.equal(tracks[0].lossPercent, null);
});

test('quality in three steps', () => {
  const of = (lossPercent, rttMs, jitterMs) => qualityOf({ lossPercent, rttMs, jitterMs });
  assert.equal(of(0, 20, 5), 'good');
  assert.equal(of(3, 20, 5), 'medium');
  assert.equal(of(0, 600, 5), 'poor');
  assert.equal(of(null, null, null), 'unknown');
  assert.equal(worstQuality(['good', 'medium', 'unknown']), 'medium');
  assert.equal(worstQuality([]), 'unknown');
});
