// One participant of a story: a page in a browser, with a colour and a tone of its own, and what it
// sees and hears of the others.
import { heardIn, RATE, tonesIn } from "./ear.js";
import { livekitCode, mediasoupCode, openPage } from "./browsers.js";
import { eventually } from "./eventually.js";
import { COLOURS } from "./palette.js";
import { concealment, firstColours, hearsSilence, hearsTone, seesColour, seesNothingNew } from "./senses.js";

/** A document of the server's origin, under its policy, that does nothing by itself. */
const QUIET_PAGE = "/sdk/strait.js";
/** Black and white lines of two pixels differ by 255 as they are drawn, and not at all in a picture of a quarter the size. */
const SHARP = 150;
/** What is missing this long before or behind a change of ways is put down to it; what is played comes out a little later. */
const NEAR_MS = { before: 200, behind: 500 };

export class Person {
  #page;
  #browser;
  /** Of this participant's own browser. @type {number[] | null} */
  #processes = null;
  /** What is played, while it is recorded. */
  #recording = null;

  constructor(name, identity, page, browser) {
    this.name = name;
    this.#page = page;
    this.#browser = browser;
    this.colour = identity.colour;
    this.hz = identity.hz;
  }

  /** Opens a page of `origin`; `join` enters a room, by our SDK, LiveKit's or mediasoup's. */
  static async arrive(name, identity, { origin, browser, sdk = "strait" }) {
    const person = new Person(name, identity, await openPage(browser), browser);
    await person.#page.gotoWithLab(`${origin}${QUIET_PAGE}`);
    const codes = { strait: () => [], mediasoup: mediasoupCode };
    const code = (codes[sdk] ?? livekitCode)(sdk);
    for (const one of code) await person.#page.evaluate(one);
    return person;
  }

  get page() {
    return this.#page;
  }

  /** Joins, and publishes camera and microphone unless told otherwise; with `rsaBits` by an RSA certificate. */
  join(wishes) {
    return this.#page.evaluate((order) => lab.join(order), this.#joining(wishes));
  }

  /** Tries to join and is refused; answers the error's code. */
  isRefused(wishes) {
    const task = (order) => lab.join(order).then(() => "not refused", ({ code }) => code);
    return this.#page.evaluate(task, this.#joining(wishes));
  }

  /** Joins and publishes; answers how long the first picture and the first sound of `others` took. */
  joinTimed(wishes, others) {
    const keys = {
      camera: others.map(({ name }) => `${name}/camera`),
      microphone: others.map(({ name }) => `${name}/microphone`),
    };
    const task = ({ order, keys }) => lab.joinTimed(order, keys);
    return this.#page.evaluate(task, { order: this.#joining(wishes), keys });
  }

  #joining({ room, camera = {}, microphone = {}, rsaBits, token, options, packetMs, isUnreachable }) {
    const identity = { rgb: COLOURS[this.colour], hz: this.hz };
    return {
      name: this.name,
      room,
      rsaBits,
      token,
      options,
      packetMs,
      isUnreachable,
      camera: camera && { ...identity, ...camera },
      microphone: microphone && { ...identity, ...microphone },
    };
  }

  /** From here on notes how old each frame of the others' cameras is when it is shown. */
  notesFrameAges(others) {
    return this.#page.evaluate((keys) => lab.noteFrameAges(keys), others.map(({ name }) => `${name}/camera`));
  }

  frameAges() {
    return this.#page.evaluate(() => lab.frameAges());
  }

  /** From here on notes how long no frame of the other's camera is shown. */
  notesGaps(other) {
    return this.#page.evaluate((key) => lab.noteGaps(key), `${other.name}/camera`);
  }

  longestGap() {
    return this.#page.evaluate(() => lab.longestGap());
  }

  /** Milliseconds to the server and back, as ICE measures them, over the path in use. */
  roundTrip() {
    return this.#page.evaluate(() => lab.roundTrip());
  }

  /** Shares a screen of `colour` beside the camera. */
  sharesScreen(colour) {
    return this.#page.evaluate((order) => lab.publish(order), { source: "screen", rgb: COLOURS[colour] });
  }

  stopsSharingScreen() {
    return this.#page.evaluate(() => lab.unpublish("screen"));
  }

  mutes(source) {
    return this.#page.evaluate((source) => lab.setMuted(source, true), source);
  }

  unmutes(source) {
    return this.#page.evaluate((source) => lab.setMuted(source, false), source);
  }

  /** Sends a message through the SDK; answers what the others should hear. */
  says(topic, payload, options = {}) {
    return this.#page.evaluate((order) => lab.say(order), { topic, payload, ...options });
  }

  /** The messages that came, of those about `topic`. */
  async messages(topic) {
    const messages = await this.#page.evaluate(() => lab.messages);
    return messages.filter((message) => message.topic === topic);
  }

  /** Waits until a message has come. */
  isTold(expected) {
    const text = JSON.stringify(expected);
    return eventually(`${this.name} is told ${text}`, async () => {
      const messages = await this.messages(expected.topic);
      return messages.some((message) => JSON.stringify(message) === text) || messages;
    });
  }

  /** Waits until the page's data channels are in these states, such as `reliable open`. */
  hasChannels(...expected) {
    return eventually(`${this.name} has the channels ${expected}`, async () => {
      const states = await this.#page.evaluate(() => lab.channelStates());
      return states.join() === expected.join() || states;
    });
  }

  /** Opens a data channel of the page's own. */
  opensChannel(label, init = {}) {
    return this.#page.evaluate((order) => lab.openChannel(order), { label, ...init });
  }

  saysOn(label, text) {
    return this.#page.evaluate((order) => lab.sayOn(order), { label, text });
  }

  /** How loud `other` is played here, 1 as they come. */
  setsVolume(other, volume) {
    return this.#page.evaluate((order) => lab.setVolume(order), { name: other.name, volume });
  }

  /** Takes another microphone or camera, by whose tone or colour this participant is known from now on. */
  async takesAnother(source, { colour = this.colour, hz = this.hz }) {
    Object.assign(this, { colour, hz });
    await this.#page.evaluate((order) => lab.exchange(order), { source, rgb: COLOURS[colour], hz });
  }

  /** The processes of this participant's own browser stand still, as those of a phone that sleeps, or go on. */
  async sleeps(isAsleep = true) {
    this.#processes ??= (await this.#browser.processes()).map(({ id }) => id);
    for (const id of this.#processes) process.kill(id, isAsleep ? "SIGSTOP" : "SIGCONT");
  }

  leaves() {
    return this.#page.evaluate(() => lab.leave());
  }

  /** Closes the tab, as a person does. */
  closesTab() {
    return this.#page.close();
  }

  /** The page's process dies, as when the computer loses power. */
  async crashes() {
    await this.#page.driver.goto("chrome://crash").catch(() => {});
  }

  sees(other, { source = "camera", colour = other.colour, ...options } = {}) {
    return this.#with(seesColour(this.#page, `${other.name}/${source}`, colour, options));
  }

  hears(other, { source = "microphone", ...options } = {}) {
    return this.#with(hearsTone(this.#page, `${other.name}/${source}`, other.hz, options));
  }

  seesNothingNewOf(other, { source = "camera", ...options } = {}) {
    return this.#with(seesNothingNew(this.#page, `${other.name}/${source}`, options));
  }

  hearsSilenceFrom(other, { source = "microphone", ...options } = {}) {
    return this.#with(hearsSilence(this.#page, `${other.name}/${source}`, options));
  }

  async seesAndHears(other, options) {
    await Promise.all([this.sees(other, options), this.hears(other, options)]);
  }

  /** The same where tracks come without names, by WHEP: they go by their kind. */
  async seesAndHearsBare(other, options) {
    const sees = seesColour(this.#page, "video", other.colour, options);
    await this.#with(Promise.all([sees, hearsTone(this.#page, "audio", other.hz, options)]));
  }

  /** What this page's SDK tells of `other`'s track, until it is as `expected`. */
  isToldOfTrack(other, source, expected, options) {
    return this.#isTold(`${other.name}'s ${source}`, expected, options, (page) =>
      page.evaluate((key) => lab.trackState(key), `${other.name}/${source}`),
    );
  }

  /** What this page's SDK tells of `other`, until it is as `expected`; `null` is not in the room. */
  isToldOf(other, expected, options) {
    return this.#isTold(other.name, expected, options, (page) =>
      page.evaluate((name) => lab.participantState(name), other.name),
    );
  }

  /** Who speaks (`speakers`, their names) and who has the floor (`dominant`), as this page's SDK tells, until it is so. */
  isToldOfFloor(expected, options) {
    return this.#isTold("the floor", expected, options, (page) => page.evaluate(() => lab.floor()));
  }

  /** The state of this participant's own room, until it is `expected`. */
  isIn(state, options) {
    return this.#isTold("the room's state", state, options, (page) => page.evaluate(() => lab.roomState()));
  }

  /** How this participant's packets travel, as the SDK's statistics say, until it is `expected`. */
  travelsBy(expected, options) {
    return this.#isTold("its path", expected, options, (page) => page.evaluate(() => lab.path()));
  }

  /** The state of this participant's ICE, until it is `expected`. */
  hasIce(expected, options) {
    return this.#isTold("its ICE", expected, options, (page) => page.evaluate(() => lab.iceState()));
  }

  /** How often this participant's SDK has restarted ICE. */
  iceRestarts() {
    return this.#page.evaluate(() => lab.iceRestarts);
  }

  #isTold(what, expected, options, ask) {
    const wanted = (seen) =>
      expected instanceof RegExp
        ? expected.test(seen)
        : expected !== null && typeof expected === "object" && seen
        ? Object.entries(expected).every(([key, value]) => seen[key] === value)
        : seen === expected;
    const probe = async () => {
      const seen = await ask(this.#page);
      return wanted(seen) || { seen };
    };
    return this.#with(eventually(`is told of ${what}: ${JSON.stringify(expected)}`, probe, options));
  }

  /** This participant's media goes straight (`p2p`) or through the server (`sfu`), and everybody's is heard so. */
  goes(way, options) {
    return this.#isTold("its way", way, options, (page) => page.evaluate(() => lab.way()));
  }

  /** How many connections this page has, `toServer` and `straight`, until they are `expected`. */
  hasConnections(expected, options) {
    return this.#isTold("its connections", expected, options, (page) => page.evaluate(() => lab.connections()));
  }

  /** From here on all is recorded that is played: see `World.entersListening`. */
  async listens() {
    this.#recording = await this.#browser.record();
    await this.#page.evaluate(() => lab.noteChanges());
  }

  /** The tones that were heard since `listens`, in steps of 5 ms, in hertz. */
  async heardTones() {
    return tonesIn((await this.#recording.stop()).samples);
  }

  /**
   * What was heard since `listens`: how long nothing was heard at most in one go, and how long something was heard twice, near
   * the moments in which sound came another way than before, and `elsewhere`. That is this machine's own doing.
   */
  async heard() {
    const { samples, begun } = await this.#recording.stop();
    const changes = await this.#page.evaluate(() => lab.changes());
    const changedAt = changes.map((at) => at - begun);
    const spans = changedAt.map((at) => ({ atMs: at - NEAR_MS.before, ms: NEAR_MS.before + NEAR_MS.behind }));
    return { ...heardIn(samples, spans), seconds: Math.round(samples.length / RATE), changedAt };
  }

  /** Bytes that this page has sent so far. */
  sentBytes() {
    return this.#page.evaluate(() => lab.sentBytes());
  }

  /** Each track of the others, with a number that it keeps as long as it is the same object. */
  trackNumbers() {
    return this.#page.evaluate(() => lab.trackNumbers());
  }

  subscription(other, source, action) {
    return this.#page.evaluate((order) => lab.subscription(order), { key: `${other.name}/${source}`, action });
  }

  id() {
    return this.#page.evaluate(() => lab.ownId());
  }

  /** What this page was told of the others, in order, such as `reconnecting Ben`. */
  news() {
    return this.#page.evaluate(() => lab.news);
  }

  /** The inbound-rtp statistics of what is received of `other`, with the codec's name as `codec`. */
  receptionOf(other, source = "camera") {
    return this.#page.evaluate((key) => lab.reception(key), `${other.name}/${source}`);
  }

  /** Waits until so many packets of `other`'s microphone have come by the way by which they are heard now. */
  receives(other, packets) {
    return this.#isTold(`${packets} packets of ${other.name}`, true, {}, async () => {
      const { packetsReceived = 0 } = await this.receptionOf(other, "microphone");
      return packetsReceived >= packets;
    });
  }

  /** Packets of sound that have come of each other person, by name, by the way by which they are heard now. */
  packets() {
    return this.#page.evaluate(() => lab.packets());
  }

  /** How much of what is played of `other`'s microphone in that time is made up, from 0 to 1. */
  concealmentOf(other, milliseconds) {
    return concealment(() => this.receptionOf(other, "microphone"), milliseconds);
  }

  /** Shows `other`'s camera in a tile that is so tall; of no height: not at all. */
  showsInTile(other, height, source = "camera") {
    return this.#page.evaluate((order) => lab.showTile(order), { key: `${other.name}/${source}`, height });
  }

  /** The lines of the slide that `other` shares are told apart, in a picture that is that wide. */
  readsSlide(other, width, options) {
    const key = `${other.name}/screen`;
    return this.#isTold("a slide", { width, isSharp: true }, options, async (page) => {
      const view = await page.evaluate((key) => lab.readSlide(key), key);
      return view && { ...view, isSharp: view.contrast > SHARP };
    });
  }

  /** Says how `other`'s camera is to be shown, whatever tile it has. */
  prefers(other, wish) {
    return this.#page.evaluate((order) => lab.prefer(order), { key: `${other.name}/camera`, wish });
  }

  /** What is received of `other`'s camera, until its pictures are that wide. */
  async getsWidth(other, width, options) {
    await this.#isTold(`the width of ${other.name}'s camera`, { frameWidth: width }, options, async () => {
      const { frameWidth, bytesReceived } = await this.receptionOf(other);
      return { frameWidth, bytesReceived };
    });
    return this.receptionOf(other);
  }

  /** The encodings of this participant's camera that are switched on, until they are `expected`. */
  sendsEncodings(...expected) {
    return this.#isTold("its encodings", expected.join(), {}, (page) =>
      page.evaluate(async () => {
        const encodings = Object.values(await lab.sending());
        return encodings.filter(({ active }) => active).map(({ rid }) => rid).sort().join();
      }),
    );
  }

  /** The colours that the first frames of `other`'s camera show here. */
  firstColoursOf(other) {
    return this.#with(firstColours(this.#page, `${other.name}/camera`));
  }

  /** The ids of the MediaStreams in which `other`'s track arrives. */
  streamsOf(other, source) {
    return this.#page.evaluate((key) => lab.streams(key), `${other.name}/${source}`);
  }

  async #with(outcome) {
    try {
      return await outcome;
    } catch (error) {
      error.message = `${this.name} ${error.message}`;
      throw error;
    }
  }
}
