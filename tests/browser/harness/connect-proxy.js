// An HTTP proxy that knows CONNECT and nothing else, as companies have it in front of the internet.
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";

export class ConnectProxy {
  /** How many tunnels were asked for. */
  tunnels = 0;
  #server;
  #links = new Set();

  /** @param {string} host where to listen */
  static async at(host) {
    const proxy = new ConnectProxy();
    proxy.#server = createServer((_, response) => response.writeHead(405).end());
    proxy.#server.on("connect", (request, near, head) => proxy.#tunnel(request, near, head));
    proxy.#server.listen(0, host);
    await once(proxy.#server, "listening");
    proxy.port = proxy.#server.address().port;
    return proxy;
  }

  #tunnel(request, near, head) {
    this.tunnels++;
    const { hostname, port } = new URL(`http://${request.url}`);
    const far = connect(Number(port), hostname, () => {
      near.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      far.write(head);
      near.pipe(far).pipe(near);
    });
    for (const end of [near, far]) {
      this.#links.add(end);
      end.setNoDelay(true);
      end.on("error", () => {});
      end.on("close", () => {
        this.#links.delete(end);
        near.destroy();
        far.destroy();
      });
    }
  }

  async close() {
    for (const end of this.#links) end.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}
