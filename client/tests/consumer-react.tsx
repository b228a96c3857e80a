// A component in TypeScript, on the package's hooks. It is checked, not run (package.test.js).

import type { Participant } from 'strait-client';
import { useParticipants, useRoom, useRoomEvent, useTrack } from 'strait-client/react';

export function Call({ token }: { token: string }) {
  const { room, state, error } = useRoom({
    name: 'Anna',
    room: 'standup',
    token,
    prepare: async (fresh) => {
      await fresh.setMicrophone(true);
    },
  });
  const participants = useParticipants(room);
  useRoomEvent(room, 'data', ({ topic, payload }) => console.log(topic.length, payload));
  // @ts-expect-error there is no such event
  useRoomEvent(room, 'nobody-knows-it', () => {});
  // @ts-expect-error nobody is there without a name
  useRoom({ room: 'standup' });
  if (error) return <p>{error.message}</p>;
  if (state === 'connecting') return <p>…</p>;
  return participants.map((participant) => <Tile key={participant.participantId} participant={participant} />);
}

function Tile({ participant }: { participant: Participant }) {
  const { ref, covered, muted } = useTrack(participant, 'camera');
  // @ts-expect-error there is no such source
  useTrack(participant, 'kitchen');
  return <video ref={ref} hidden={covered || muted} />;
}
