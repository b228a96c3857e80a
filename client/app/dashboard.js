// The dashboard: asks the server every few seconds how calls go, and shows it. It is for operators and in English alone.

import { applyTheme } from './appearance.js';
import { drawChart } from './dashboard-chart.js';
import { alerts, filled, percent, rows, share } from './dashboard-figures.js';
import { byId, make } from './dom.js';

/** @import {Calls, Period} from './dashboard-figures.js' */

const EVERY = 10_000;
const HOUR = 3600;
const DAY = 86_400;
/** Where the token is kept, for as long as the tab is open. */
const TOKEN = 'strait.admin-token';

applyTheme();
const form = byId('token-form', HTMLFormElement);
const input = byId('token', HTMLInputElement);
form.addEventListener('submit', (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, input.value);
  void look();
});
document.addEventListener('visibilitychange', () => void look());
setInterval(() => void look(), EVERY);
/** What the server said last. @type {Calls | null} */
let shown = null;
/** When, in milliseconds. */
let shownAt = 0;
// What it says of their age stays.
window.addEventListener('resize', () => {
  const freshness = byId('freshness').textContent;
  if (shown) show(shown);
  byId('freshness').textContent = freshness;
});
void look();

async function look() {
  if (document.hidden) return;
  const token = sessionStorage.getItem(TOKEN);
  /** @type {Response} */
  let response;
  try {
    response = await fetch('/admin/v1/calls', { headers: token ? { authorization: `Bearer ${token}` } : {} });
  } catch {
    return wait('The server does not answer');
  }
  if (!response.ok) {
    const problem = await response.json().catch(() => ({ error: response.statusText || String(response.status) }));
    // Only these are about the token; a server that is busy or about to end says so of itself.
    if (response.status === 401 || response.status === 403) return refuse(problem, token);
    return wait(`The server says: ${problem.error}`);
  }
  try {
    shown = /** @type {Calls} */ (await response.json());
  } catch {
    return wait('The answer of the server broke off');
  }
  shownAt = Date.now();
  form.hidden = true;
  show(shown);
}

/** Leaves the figures as they are and says how old they are: it is tried again soon. @param {string} why */
function wait(why) {
  const age = `What is shown is ${Math.round((Date.now() - shownAt) / 1000)} s old, as of ${timeOf(shownAt)}. `;
  byId('freshness').textContent = `${why}. ${shown ? age : ''}Trying again.`;
}

/** @param {number} at */
const timeOf = (at) => new Date(at).toLocaleTimeString();

/** @param {{error: string, action?: string}} problem @param {string | null} token */
function refuse({ error, action = '' }, token) {
  sessionStorage.removeItem(TOKEN);
  shown = null;
  byId('figures').hidden = true;
  byId('freshness').textContent = '';
  byId('token-why').className = token ? 'error' : 'hint';
  byId('token-why').textContent = token ? `${error}. ${action}` : 'These figures are for operators.';
  if (form.hidden) input.focus();
  form.hidden = false;
}

/** @param {Calls} calls */
function show(calls) {
  byId('freshness').textContent = `As of ${timeOf(shownAt)}`;
  // Charts are as wide as their places.
  byId('figures').hidden = false;
  showNow(calls.now);
  showAlerts(calls.lastHour);
  const today = calls.days[calls.days.length - 1];
  const table = rows(today ? [calls.lastHour, today] : [calls.lastHour], calls.memoryBytes);
  byId('numbers').replaceChildren(
    ...table.map(({ name, values }) =>
      make('tr', {}, make('th', { scope: 'row' }, name), ...values.map((value) => make('td', {}, value))),
    ),
  );
  const days = filled(calls.days, DAY, 31);
  drawMoves('moves-days', 'Moves of calls in each of the last 31 days', days, nameOfDay);
  drawMoves('moves-hours', 'Moves of calls in each of the last 24 hours', filled(calls.hours, HOUR, 24), nameOfHour);
  drawChart(byId('modes-days'), {
    title: 'Share of the time of calls that went straight or through the server, in each of the last 31 days',
    series: [
      { name: 'Straight', look: 'straight' },
      { name: 'Through the server', look: 'served' },
    ],
    bars: days.map(({ start, callSeconds: { p2p, sfu } }) => ({
      name: nameOfDay(start),
      values: [share(p2p, p2p + sfu) ?? 0, share(sfu, p2p + sfu) ?? 0],
    })),
    show: percent,
    most: 1,
  });
}

/** @param {Calls['now']} now */
function showNow({ p2p, sfu, moving }) {
  const tiles = [
    ['Calls straight', p2p.calls],
    ['Calls through the server', sfu.calls],
    ['Calls that move', moving],
    ['People', p2p.participants + sfu.participants],
  ];
  byId('now').replaceChildren(
    ...tiles.map(([name, count]) => make('div', {}, make('dt', {}, String(name)), make('dd', {}, String(count)))),
  );
  const straight = share(p2p.calls, p2p.calls + sfu.calls);
  const bar = make('div', { class: 'share-bar' });
  if (straight !== null) {
    const [first, second] = [make('i', { class: 'straight' }), make('i', { class: 'served' })];
    first.style.flexGrow = String(p2p.calls);
    second.style.flexGrow = String(sfu.calls);
    bar.append(first, second);
  }
  const text =
    straight === null
      ? 'Nobody is in a call.'
      : `${percent(straight)} of the calls go straight, ${percent(1 - straight)} through the server.`;
  byId('share').replaceChildren(bar, make('figcaption', {}, text));
}

/** @param {Period} hour */
function showAlerts(hour) {
  byId('alerts').replaceChildren(
    ...alerts(hour).map(({ id, title, value, isRaised }) =>
      make(
        'li',
        isRaised ? { 'data-raised': '' } : {},
        make('strong', {}, isRaised ? 'Alert' : 'Fine'),
        make('span', {}, title, ' ', make('small', {}, id)),
        make('b', {}, value),
      ),
    ),
  );
}

/**
 * @param {string} id
 * @param {string} title
 * @param {Period[]} periods
 * @param {(start: number) => string} name
 */
function drawMoves(id, title, periods, name) {
  drawChart(byId(id), {
    title,
    series: [
      { name: 'Succeeded', look: 'straight' },
      { name: 'Failed', look: 'failed' },
    ],
    bars: periods.map(({ start, migrations: { succeeded, failed } }) => ({
      name: name(start),
      values: [succeeded, failed],
    })),
    show: (value) => String(value),
  });
}

/** A day is one of UTC. @param {number} start */
function nameOfDay(start) {
  return new Date(start * 1000).toLocaleDateString(undefined, { month: 'short', day: 'numeric', timeZone: 'UTC' });
}

/** @param {number} start */
function nameOfHour(start) {
  return new Date(start * 1000).toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit' });
}
