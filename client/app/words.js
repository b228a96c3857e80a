// The words of the page in the person's language: languages/<code>.json has for each English sentence what it is there. What
// is missing stays English. Sentences have places for names and numbers: `{name} joined`.

export const LANGUAGES = { en: 'English', de: 'Deutsch', es: 'Español' };

/** @typedef {keyof typeof LANGUAGES} Language */

/** @type {Record<string, string>} */
let words = {};

/** What is translated of an element, beside its text. */
const ATTRIBUTES = ['aria-label', 'placeholder', 'title'];

/**
 * @param {string} text in English
 * @param {Record<string, string | number>} [values] for its places
 */
export function t(text, values = {}) {
  const sentence = words[text] ?? text;
  return sentence.replace(/\{(\w+)\}/g, (place, name) => String(values[name] ?? place));
}

/** What the browser asks for, of what there is. @returns {Language} */
export function ownLanguage() {
  for (const wanted of navigator.languages ?? []) {
    const [code = ''] = wanted.split('-');
    if (code in LANGUAGES) return /** @type {Language} */ (code);
  }
  return 'en';
}

/** @param {Language} language */
export async function loadWords(language) {
  document.documentElement.lang = language;
  if (language === 'en') return;
  try {
    words = await (await fetch(new URL(`./languages/${language}.json`, import.meta.url))).json();
  } catch {
    document.documentElement.lang = 'en';
    return;
  }
  translate(document.body);
}

/** What stands in the page from the start. @param {HTMLElement} root */
function translate(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = (node.textContent ?? '').trim().replace(/\s+/g, ' ');
    if (text !== '' && text in words) node.textContent = t(text);
  }
  for (const attribute of ATTRIBUTES) {
    for (const element of root.querySelectorAll(`[${attribute}]`)) {
      const text = element.getAttribute(attribute) ?? '';
      if (text in words) element.setAttribute(attribute, t(text));
    }
  }
}
