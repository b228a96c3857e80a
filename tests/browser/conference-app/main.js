// The whole of an app on LiveKit's React components: the conference that they have ready. Its address says where the server
// is, and by which token one comes in.
import { LiveKitRoom, VideoConference } from "@livekit/components-react";
import "@livekit/components-styles";
import { createElement } from "react";
import { createRoot } from "react-dom/client";

const { server: serverUrl, token } = Object.fromEntries(new URLSearchParams(location.search));
const room = createElement(LiveKitRoom, { serverUrl, token, video: true, audio: true }, createElement(VideoConference));
createRoot(document.querySelector("#app")).render(room);
