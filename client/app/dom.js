// Small helpers to find and make elements.

const SVG = 'http://www.w3.org/2000/svg';
const ICONS = new URL('./icons.svg', import.meta.url);

/** Takes the icons into the page, so that they are there when the server is not. */
export async function loadIcons() {
  const text = await (await fetch(ICONS)).text();
  const icons = new DOMParser().parseFromString(text, 'image/svg+xml').documentElement;
  icons.setAttribute('hidden', '');
  document.body.prepend(icons);
}

/**
 * @template {HTMLElement} [Element=HTMLElement]
 * @param {string} id
 * @param {new () => Element} [type]
 * @returns {Element}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof (type ?? HTMLElement))) throw new Error(`The page has no #${id}`);
  return /** @type {Element} */ (element);
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** @param {string} name of a symbol in icons.svg */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(SVG, 'use');
  use.setAttribute('href', `#icon-${name}`);
  svg.append(use);
  return svg;
}

/**
 * An icon button's looks and its name for screen readers and tooltips.
 * @param {HTMLElement} button
 * @param {string} iconName
 * @param {string} label
 */
export function dress(button, iconName, label) {
  if (button.dataset.icon !== iconName) {
    button.dataset.icon = iconName;
    button.replaceChildren(icon(iconName), ...button.querySelectorAll('.badge'));
  }
  button.setAttribute('aria-label', label);
  button.title = label;
}

/**
 * Sets or removes a data attribute that styles depend on.
 * @param {HTMLElement} element
 * @param {string} name
 * @param {boolean} present
 */
export function mark(element, name, present) {
  if (present) element.dataset[name] = '';
  else delete element.dataset[name];
}
