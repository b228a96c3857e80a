// Tokens as a back end of LiveKit's users makes them, and a server that asks for them.
import { createHmac } from "node:crypto";

const KEY = { id: "team", secret: "a-secret-that-only-the-back-end-has" };

/** A server that needs tokens, as they are in earnest. */
export const GUARDED = { config: { auth: { mode: "token", keys: `${KEY.id}=${KEY.secret}` } } };

/** A token by which `identity` may enter the room of the stories, and do what `video` says. */
export const token = (identity, video = {}) => {
  const exp = Math.floor(Date.now() / 1000) + 600;
  const grants = { roomJoin: true, room: "story", canUpdateOwnMetadata: true, ...video };
  const claims = { iss: KEY.id, sub: identity, name: identity, exp, video: grants };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", KEY.secret).update(signed).digest("base64url")}`;
};
