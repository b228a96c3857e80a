// The whole of an app in React on Strait's SDK and its hooks: who is in the room, with picture and name; mute, push to talk,
// leave. Its address says where the server is, which room, and who one is: ?url=wss://call.example.org/ws&room=standup&name=Anna
import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { VoiceGate } from "strait-client";
import { useParticipants, useRoom, useTrack } from "strait-client/react";

const { url, room: roomId, name } = Object.fromEntries(new URLSearchParams(location.search));
const gate = new VoiceGate();

function App() {
  const [connect, setConnect] = useState(true);
  const { room, state, error } = useRoom({
    url,
    room: roomId,
    name,
    connect,
    prepare: (fresh) => Promise.all([fresh.setMicrophone(true, { gate }), fresh.setCamera(true)]),
  });
  const participants = useParticipants(room);
  return (
    <>
      <h1>{roomId}</h1>
      <p role="status">{error ? `${error.message} ${error.action}` : state}</p>
      <button onClick={() => setConnect(!connect)}>{connect ? "Leave" : "Join"}</button>
      {participants.length > 0 && <Microphone room={room} />}
      {participants.map((participant) => (
        <Tile key={participant.participantId} participant={participant} />
      ))}
    </>
  );
}

function Microphone({ room }) {
  const { muted } = useTrack(room.localParticipant, "microphone");
  const [mode, setMode] = useState(gate.mode);
  const choose = async ({ target: { value } }) => {
    gate.mode = value;
    setMode(value);
    await room.switchDevice("microphone", { gate });
  };
  const push = (isPushed) => () => (gate.isPushed = isPushed);
  return (
    <>
      <button onClick={() => room.setMicrophone(muted)}>{muted ? "Unmute" : "Mute"}</button>
      <label>
        Heard
        <select value={mode} onChange={choose}>
          <option value="always">always</option>
          <option value="push">while I push</option>
        </select>
      </label>
      {mode === "push" && (
        <button onPointerDown={push(true)} onPointerUp={push(false)}>
          Talk
        </button>
      )}
    </>
  );
}

function Tile({ participant }) {
  const camera = useTrack(participant, "camera");
  const microphone = useTrack(participant, "microphone");
  return (
    <article aria-label={participant.name}>
      <video ref={camera.ref} width="320" height="180" hidden={camera.muted} />
      <p>
        {participant.name} {participant.isLocal && "(you)"} {microphone.muted && "is muted"}
      </p>
    </article>
  );
}

createRoot(document.querySelector("#app")).render(
  <StrictMode>
    <App />
  </StrictMode>,
);
