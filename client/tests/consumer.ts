// An application in TypeScript, on the package as npm has it. It is checked, not run (package.test.js).

import {
  RemoteTrack,
  Room,
  StraitError,
  VoiceGate,
  followTile,
  type RoomOptions,
  type RoomTopology,
} from 'strait-client';

const options: RoomOptions = { url: 'wss://example.org/ws', videoCodec: 'VP9', mesh: false };
const room = new Room(options);

room.on('track-added', ({ detail: { participant, track } }) => {
  const name: string = participant.name;
  if (!(track instanceof RemoteTrack) || track.kind !== 'video') return;
  const video: HTMLVideoElement = track.attach(document.createElement('video'));
  video.title = name;
  const stop: () => void = followTile(track, video);
  stop();
});
room.on('state', ({ detail }) => {
  const error: StraitError | null = detail.error;
  if (detail.state === 'disconnected') console.log(error?.code, error?.action);
  // @ts-expect-error there is no such state
  if (detail.state === 'gone') console.log();
});
// @ts-expect-error there is no such event
room.on('nobody-knows-it', () => {});

const topology: RoomTopology | null = room.topology;
const gate = new VoiceGate();
gate.mode = 'push';

export async function begin(): Promise<number> {
  await room.join({ name: 'Anna', room: 'standup' });
  await room.setMicrophone(true, { gate });
  // @ts-expect-error somebody has to have a name
  await room.join({});
  return [...room.participants.values()].filter(({ speaking }) => speaking).length + (topology ? 1 : 0);
}
