// A certificate authority of the test's own, and a home for a Chromium that trusts it: what an operator has from a
// public one. Without a person to ask, a browser speaks TLS for media only with a certificate that it trusts.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certutilPath, opensslPath } from "./programs.js";

const DAYS = "30";
const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

export class Authority {
  #folder = mkdtempSync(join(tmpdir(), "strait-authority-"));

  constructor() {
    const extensions = ["-addext", "keyUsage=critical,keyCertSign"];
    const files = ["-keyout", this.#file("ca.key"), "-out", this.#file("ca.pem")];
    openssl("req", "-x509", ...KEY, "-days", DAYS, "-subj", "/CN=Strait test authority", ...extensions, ...files);
  }

  /** A certificate for a server at `address`, as the configuration of the server names its files. */
  certify(address) {
    writeFileSync(
      this.#file("server.cnf"),
      `subjectAltName=IP:${address},IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth\n`,
    );
    const [key, request, certificate] = ["server.key", "server.csr", "server.pem"].map((name) => this.#file(name));
    openssl("req", "-new", ...KEY, "-subj", "/CN=strait", "-keyout", key, "-out", request);
    const issuer = ["-CA", this.#file("ca.pem"), "-CAkey", this.#file("ca.key"), "-CAcreateserial"];
    const what = ["-in", request, "-out", certificate, "-extfile", this.#file("server.cnf")];
    openssl("x509", "-req", "-days", DAYS, ...issuer, ...what);
    return { cert: certificate, key };
  }

  /** A home directory whose Chromium trusts this authority. */
  home() {
    const home = this.#file("home");
    const database = join(home, ".pki/nssdb");
    mkdirSync(database, { recursive: true });
    certutil("-N", "-d", `sql:${database}`, "--empty-password");
    certutil("-A", "-d", `sql:${database}`, "-n", "strait-test", "-t", "C,,", "-i", this.#file("ca.pem"));
    return home;
  }

  close() {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name) {
    return join(this.#folder, name);
  }
}

const quietly = { stdio: ["ignore", "ignore", "pipe"] };
const openssl = (...words) => execFileSync(opensslPath(), words, quietly);
const certutil = (...words) => execFileSync(certutilPath(), words, quietly);
