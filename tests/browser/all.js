// Every browser test, in one process, so that each browser is launched once.
import "./scenarios/harness-itself.js";
import "./scenarios/meeting.js";
import "./scenarios/muting.js";
import "./scenarios/speaking.js";
import "./scenarios/subscribing.js";
import "./scenarios/sources.js";
import "./scenarios/layers.js";
import "./scenarios/loss.js";
import "./scenarios/bandwidth.js";
import "./scenarios/scalability.js";
import "./scenarios/going.js";
import "./scenarios/door.js";
import "./scenarios/demo-page.js";
import "./scenarios/whep.js";
import "./scenarios/mixed.js";
import "./scenarios/firewall.js";
import "./scenarios/recording.js";
