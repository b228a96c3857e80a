// A TCP relay between a page and the server. A page opened through it has its page, its SDK and its
// WebSocket on the relay, while its media goes straight to the server: cutting breaks the signalling alone.
import { connect, createServer } from "node:net";
import { once } from "node:events";

export class Relay {
  #listener;
  #links = new Set();
  #isCut = false;

  static async to(port) {
    const relay = new Relay();
    relay.#listener = createServer((near) => relay.#carry(near, port)).listen(0, "127.0.0.1");
    await once(relay.#listener, "listening");
    relay.origin = `http://127.0.0.1:${relay.#listener.address().port}`;
    return relay;
  }

  #carry(near, port) {
    if (this.#isCut) {
      near.destroy();
      return;
    }
    const far = connect(port, "127.0.0.1");
    const link = { near, far };
    this.#links.add(link);
    const drop = () => {
      this.#links.delete(link);
      near.destroy();
      far.destroy();
    };
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.setNoDelay(true);
      from.pipe(to);
      from.on("error", drop);
      from.on("close", drop);
    }
  }

  /** Breaks every connection without a goodbye; new ones fail until `mend`. */
  cut() {
    this.#isCut = true;
    for (const { near, far } of this.#links) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  mend() {
    this.#isCut = false;
  }

  async close() {
    this.cut();
    this.#listener.close();
    await once(this.#listener, "close");
  }
}
