// Bars beside each other, each of parts on top of each other, and the same as a table for who does not see them.

import { make } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
/** Pixels; the width is that of the figure, so that all charts have letters of one size. */
const HEIGHT = 170;
const NARROWEST = 240;
/** Room for the numbers beside the bars, and for the names below them. */
const LEFT = 42;
const RIGHT = 18;
const BOTTOM = 20;
/** Names below bars are at least so far apart. */
const NAME_WIDTH = 64;

/**
 * @typedef {object} Series
 * @property {string} name
 * @property {string} look class of its bars
 */

/**
 * @typedef {object} Chart
 * @property {string} title
 * @property {Series[]} series from below
 * @property {{name: string, values: number[]}[]} bars
 * @property {(value: number) => string} show
 * @property {number} [most] what the highest bar would be; left out: what is highest
 */

/**
 * Draws it into a figure. The table stays open if it was.
 * @param {HTMLElement} figure
 * @param {Chart} chart
 */
export function drawChart(figure, { title, series, bars, show, most }) {
  const isOpen = figure.querySelector('details')?.open ?? false;
  const sums = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const top = most ?? niceTop(Math.max(0, ...sums));
  const width = Math.max(NARROWEST, figure.clientWidth);
  const picture = svg('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': title, class: 'chart' });
  for (const part of [0, 0.5, 1]) {
    const y = HEIGHT - BOTTOM - part * (HEIGHT - BOTTOM - 10);
    picture.append(
      svg('line', { x1: String(LEFT), x2: String(width), y1: String(y), y2: String(y), class: 'grid' }),
      svg('text', { x: String(LEFT - 6), y: String(y + 4), class: 'scale' }, show(top * part)),
    );
  }
  const step = (width - LEFT - RIGHT) / Math.max(1, bars.length);
  const every = Math.ceil(NAME_WIDTH / step);
  bars.forEach(({ name, values }, at) => {
    let y = HEIGHT - BOTTOM;
    const x = LEFT + at * step;
    values.forEach((value, part) => {
      const height = top > 0 ? (value / top) * (HEIGHT - BOTTOM - 10) : 0;
      y -= height;
      const size = { x: String(x + step * 0.12), y: String(y), width: String(step * 0.76), height: String(height) };
      if (height > 0)
        picture.append(
          svg(
            'rect',
            { ...size, class: series[part]?.look ?? '' },
            svg('title', {}, `${name}: ${series[part]?.name} ${show(value)}`),
          ),
        );
    });
    // The newest has its name always.
    if ((bars.length - 1 - at) % every === 0)
      picture.append(svg('text', { x: String(x + step / 2), y: String(HEIGHT - 4), class: 'name' }, name));
  });
  const legend = make(
    'figcaption',
    { class: 'legend' },
    ...series.map(({ name, look }) => make('span', { class: look }, make('i'), name)),
  );
  figure.replaceChildren(picture, legend, table({ title, series, bars, show }, isOpen));
}

/** @param {Chart} chart @param {boolean} isOpen */
function table({ title, series, bars, show }, isOpen) {
  const names = make('tr', {}, make('td'), ...series.map(({ name }) => make('th', { scope: 'col' }, name)));
  const rows = [...bars]
    .reverse()
    .map(({ name, values }) =>
      make('tr', {}, make('th', { scope: 'row' }, name), ...values.map((value) => make('td', {}, show(value)))),
    );
  const details = make(
    'details',
    {},
    make('summary', {}, 'As a table'),
    make('table', { class: 'numbers', 'aria-label': title }, make('thead', {}, names), make('tbody', {}, ...rows)),
  );
  details.open = isOpen;
  return details;
}

/** A round number that is not less. @param {number} value */
export function niceTop(value) {
  if (value <= 4) return 4;
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 6, 8, 10].find((times) => times * unit >= value) ?? 10) * unit;
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} children
 */
function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}
