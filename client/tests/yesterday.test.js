// The SDK, its hooks and the page run in browsers of yesterday as they are: their syntax is these browsers' own, and what of the
// interfaces one of them lacks is used only where it is there. So there is no bundle for older browsers.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { foreignSyntax, missingInterfaces } from './yesterday.js';

const BROWSERS = { chrome: 92, firefox: 90, safari: 15 };

/** What one of them lacks, where it is used, and what happens there without it. */
const KNOWN = {
  'api.HTMLVideoElement.requestVideoFrameCallback': ['sdk/cover.js', 'frames are counted every 50 ms'],
  'api.HTMLMediaElement.setSinkId': [
    'sdk/audio-player.js sdk/amplifier.js app/device-test.js',
    'the system’s speaker plays',
  ],
  'api.HTMLMediaElement.sinkId': ['sdk/audio-player.js', 'the same'],
  'api.Document.pictureInPictureEnabled': ['app/view-control.js', 'there is no button for it'],
  'api.Document.exitPictureInPicture': ['app/view-control.js', 'the same'],
  'api.HTMLVideoElement.requestPictureInPicture': ['app/view-control.js', 'the same'],
  'api.Document.fullscreenEnabled': ['app/view-control.js', 'there is no button for it'],
  'api.Document.exitFullscreen': ['app/view-control.js', 'the same'],
  'api.Element.requestFullscreen': ['app/view-control.js', 'the same'],
  'api.RTCRtpReceiver.getCapabilities_static': ['sdk/codecs.js', 'the browser offers what it likes'],
  'api.RTCRtpTransceiver.setCodecPreferences': ['sdk/codecs.js', 'the same'],
  'api.RTCPeerConnection.connectionState': ['sdk/connection-state.js', 'the state of ICE is taken'],
  'api.RTCPeerConnection.setConfiguration': ['sdk/peer-connection.js', 'the relay is told from the beginning'],
  'api.RTCRtpSender.setStreams': ['sdk/mesh-peer.js', 'sound and picture are not tied together'],
  'api.MediaStreamTrack.contentHint': ['sdk/local-track.js', 'it is a property like any other, and does nothing'],
  'api.Navigator.permissions': ['sdk/capture.js', 'nothing is known before the person is asked'],
  'api.Permissions.query': ['sdk/capture.js', 'the same'],
  'api.PermissionStatus.state': ['sdk/capture.js', 'the same'],
  'api.Navigator.wakeLock': ['app/appearance.js', 'the screen goes dark'],
  'api.WakeLock.request': ['app/appearance.js', 'the same'],
  'api.WakeLockSentinel.release': ['app/appearance.js', 'the same'],
  'api.HTMLDialogElement.showModal': ['app/shortcuts.js', 'the list of keys is not modal'],
  'api.HTMLDialogElement': ['app/shortcuts.js', 'the same'],
  'api.HTMLDialogElement.close': ['app/shortcuts.js', 'the same'],
};

const CLIENT = resolve(import.meta.dirname, '..');
const files = ['sdk', 'react', 'app'].flatMap((folder) =>
  readdirSync(join(CLIENT, folder))
    .filter((name) => name.endsWith('.js'))
    .map((name) => join(CLIENT, folder, name)),
);

test('the syntax is that of Chrome 92, Firefox 90 and Safari 15', () => {
  const foreign = files.flatMap((file) => {
    const line = foreignSyntax(file, BROWSERS);
    return line === null ? [] : [`${file}: ${line}`];
  });
  assert.deepEqual(foreign, []);
});

test('what these browsers lack is used only where it is known what happens without it', () => {
  const found = [...missingInterfaces(files, BROWSERS)];
  const unknown = found.flatMap(([key, { where, lacking }]) => {
    const [known = ''] = KNOWN[key] ?? [];
    const elsewhere = where.filter((place) => !known.split(' ').includes(place.split(':')[0]));
    return elsewhere.length === 0 ? [] : [`${key} (${lacking.join(', ')}): ${elsewhere.join(' ')}`];
  });
  assert.deepEqual(unknown, []);
  const used = new Set(found.map(([key]) => key));
  assert.deepEqual(
    Object.keys(KNOWN).filter((key) => !used.has(key)),
    [],
    'and nothing is known that is not used',
  );
});

test('whatever is newer would be found', () => {
  const folder = mkdtempSync(join(tmpdir(), 'strait-yesterday-'));
  const file = (name, text) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  try {
    const interfaces = {
      'structuredClone({})': 'api.structuredClone',
      '[1].at(-1)': 'javascript.builtins.Array.at',
      '[1].findLast(Boolean)': 'javascript.builtins.Array.findLast',
      '[1].toSorted()': 'javascript.builtins.Array.toSorted',
      '"a".at(0)': 'javascript.builtins.String.at',
      '[1].values().map(String)': 'javascript.builtins.Iterator.map',
      'Object.hasOwn({}, "a")': 'javascript.builtins.Object.hasOwn',
      'new Error("a").cause': 'javascript.builtins.Error.cause',
      'Promise.withResolvers()': 'javascript.builtins.Promise.withResolvers',
      'AbortSignal.timeout(1)': 'api.AbortSignal.timeout_static',
      'const { randomUUID } = crypto': 'api.Crypto.randomUUID',
      'new RTCRtpScriptTransform(new Worker("a"))': 'api.RTCRtpScriptTransform',
      'new OffscreenCanvas(1, 1)': 'api.OffscreenCanvas',
    };
    const written = Object.keys(interfaces).map((code, at) => file(`interface-${at}.js`, `${code};\nexport {};`));
    const found = new Set(missingInterfaces(written, BROWSERS).keys());
    assert.deepEqual(
      Object.values(interfaces).filter((key) => !found.has(key)),
      [],
    );
    for (const code of ['class A { static { A.b = 1; } }', 'const a = /a/v;', 'using a = b;'])
      assert.notEqual(foreignSyntax(file('syntax.js', code), BROWSERS), null, code);
    const own = 'class A { #b = 1; #c() {} static #d; e() { this.f ??= #b in this; return 1_000 ?? this?.#b; } }';
    assert.equal(foreignSyntax(file('syntax.js', own), BROWSERS), null);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
