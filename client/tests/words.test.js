// The page's words: every sentence has one in each language, with the same places for names and numbers.

import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { test } from 'node:test';

const read = (path) => readFile(new URL(`../app/${path}`, import.meta.url), 'utf8');
const LANGUAGES = ['en', 'de', 'es'];
const dictionaries = await Promise.all(
  LANGUAGES.map(async (code) => JSON.parse(await read(`languages/${code}.json`))),
);
const [english] = dictionaries;

test('all languages have the same sentences, with the same places', () => {
  for (const [index, words] of dictionaries.entries()) {
    assert.deepEqual(Object.keys(words), Object.keys(english), LANGUAGES[index]);
    for (const [sentence, translated] of Object.entries(words)) {
      const places = (text) => text.match(/\{\w+\}/g)?.sort() ?? [];
      assert.deepEqual(places(translated), places(sentence), sentence);
      assert.notEqual(translated.trim(), '', sentence);
    }
  }
  for (const [sentence, text] of Object.entries(english)) assert.equal(text, sentence);
});

test('what the page says by `t` is in the dictionaries', async () => {
  const files = (await readdir(new URL('../app', import.meta.url))).filter((name) => name.endsWith('.js'));
  const missing = [];
  for (const file of files) {
    const source = await read(file);
    const said = [
      ...source.matchAll(/(?<![\w.])t\(\s*'([^']+)'/g),
      ...source.matchAll(/\b(?:label|what): '([^']+)'/g),
    ];
    for (const [, sentence] of said) if (!(sentence in english)) missing.push(`${file}: ${sentence}`);
  }
  assert.deepEqual(missing, []);
});

test('what stands in the page from the start is in the dictionaries', async () => {
  const [, body = ''] = (await read('../index.html')).split('<body>');
  const texts = [...body.matchAll(/>([^<>]+)</g)].map(([, text]) => text.trim().replace(/\s+/g, ' '));
  const labels = [...body.matchAll(/(?:aria-label|placeholder|title)="([^"]+)"/g)].map(([, text]) => text);
  const missing = [...texts, ...labels].filter(
    (text) => /\w{2}/.test(text) && text !== 'Strait' && !(text in english),
  );
  assert.deepEqual(missing, []);
});
