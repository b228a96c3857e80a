// The page: shows the lobby, makes a Room from what was chosen there, shows the call, and comes back when it ends.

import { applyTheme } from './appearance.js';
import { microphoneOptions } from './voice-control.js';
import { loadWords, ownLanguage } from './words.js';
import { Room, StraitError, audioContext, captureCamera, captureMicrophone } from '../sdk/strait.js';
import { Call } from './call.js';
import { loadIcons } from './dom.js';
import { Lobby } from './lobby.js';
import { cameraEncoding, cameraOptions, loadPreferences } from './preferences.js';
import { isTest, linkTo, nameIn, tokenOf } from './room-link.js';

/** @import {JoinChoice} from './lobby.js' */

applyTheme();
// Without them the buttons still have their names.
loadIcons().catch(() => {});

/** Where the token is kept, for as long as the tab is open: the address loses it, so that nobody passes it on with a link. */
const TOKEN = 'strait.token';
const linked = tokenOf(location);
if (linked !== '') sessionStorage.setItem(TOKEN, linked);

/** @type {Lobby} */
let lobby;
void begin();

async function begin() {
  await loadWords(loadPreferences().language || ownLanguage());
  lobby = new Lobby(join, () => nameIn(sessionStorage.getItem(TOKEN) ?? ''));
  await lobby.show(null);
  if (isTest(location)) await lobby.joinTest();
}

/** @param {JoinChoice} choice */
async function join({ name, room: roomId, microphone, camera }) {
  // Made within the click, so that the browser lets it run.
  audioContext();
  const room = new Room({ videoCodec: loadPreferences().codec });
  // For a look at the call from the browser's console.
  Object.assign(window, { strait: room });
  if (microphone) {
    const recapture = () => captureMicrophone(microphoneOptions());
    await room.publish(microphone, { source: 'microphone', recapture });
  }
  if (camera) {
    await room.publish(camera, {
      ...cameraEncoding(),
      source: 'camera',
      simulcast: true,
      recapture: () => captureCamera(cameraOptions()),
    });
  }
  const call = new Call(room);
  const token = sessionStorage.getItem(TOKEN) ?? '';
  room.on('token', ({ detail }) => sessionStorage.setItem(TOKEN, detail.token));
  room.on('waiting', ({ detail }) => lobby.wait(detail.message));
  try {
    await room.join({ name, ...(roomId !== undefined && { room: roomId }), ...(token !== '' && { token }) });
  } catch (error) {
    call.close();
    microphone?.stop();
    camera?.stop();
    await lobby.show(StraitError.from(error));
    return;
  }
  history.replaceState(null, '', linkTo(room.roomId));
  lobby.hide();
  call.show((error) => {
    call.close();
    void lobby.show(error);
  });
}
