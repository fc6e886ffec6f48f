// What the browser keeps for the page of `shimmy serve`: prints what was seen as JSON.
// usage: history_check.mjs PLAYWRIGHT URL [SCREENSHOTS]
import { readFileSync } from 'fs';
import { ask, launch, list, open, openList, read, ready, set } from './chat_page.mjs';
const [playwright, url, screenshots] = process.argv.slice(2);
const browser = await launch(playwright);
const errors = [], view = {};

const texts = async (page) => (await read(page)).messages.map((message) => message.text);

const context = await browser.newContext({ acceptDownloads: true });
const page = await open(context, url, errors);
view.before = (await openList(page)).note;
await page.click('#history_close');
const SETTINGS = { system: 'Be brief.\nBe kind.', temperature: '0', top_p: '0.9', top_k: '20', min_p: '0.05', repeat_penalty: '1.1', max_tokens: '8', seed: '7' };
for (const [name, value] of Object.entries(SETTINGS)) await set(page, name, value);
let body = null;
page.on('request', (one) => { if (one.url().endsWith('/v1/chat/completions')) body = one.postDataJSON(); });
await ask(page, 'What is a volcano?');
view.sent = body;
await page.click('#clear');
await ask(page, 'What is a river?');
const river = await texts(page);

// Loaded again: the same conversation and settings. A page of its own begins anew.
await page.reload();
await ready(page);
view.sameAfterReload = JSON.stringify(await texts(page)) === JSON.stringify(river);
view.settingsAfterReload = await page.evaluate((names) => Object.fromEntries(names.map((name) => [name, document.getElementById(name).value])), Object.keys(SETTINGS));
const another = await open(context, url, errors);
view.newPage = await texts(another);
await another.close();

view.titles = (await openList(page)).titles;
if (screenshots) await page.screenshot({ path: `${screenshots}/history.png` });
await page.fill('#search', 'VOLCANO');
view.found = (await list(page, (seen) => seen.titles.length === 1)).titles;
await page.fill('#search', 'nothing like this');
view.notFound = (await list(page, (seen) => !seen.titles.length)).note;
await page.fill('#search', '');
await list(page, (seen) => seen.titles.length === 2);
const exported = async (click) => {
  const [download] = await Promise.all([page.waitForEvent('download'), click()]);
  return { name: download.suggestedFilename(), document: JSON.parse(readFileSync(await download.path(), 'utf8')) };
};
view.one = await exported(() => page.click('#kept li:nth-child(2) .export'));
view.all = (await exported(() => page.click('#export_all'))).document.conversations.map((one) => one.title);
await page.click('#kept li:nth-child(2) .title');
await page.waitForFunction(() => document.querySelector('.message .text')?.textContent === 'What is a volcano?');
view.opened = (await texts(page))[0];
await openList(page);
await page.click('#kept li:nth-child(2) .delete');
view.afterDelete = { titles: (await list(page, (seen) => seen.titles.length === 1)).titles, shown: await texts(page) };
await page.click('#history_close');
await page.reload();
await ready(page);
view.afterDeleteAndReload = (await openList(page)).titles;

// What an earlier version of the page kept, and something that nobody wrote.
await page.evaluate(async () => {
  const messages = [{ role: 'user', content: 'What is an island?' }, { role: 'assistant', content: 'Land.', reasoning_content: '', model: 'm', end: 'stop', n_tokens: 2, ttft_ms: 5 }];
  localStorage.setItem('shimmy.conversation.old', JSON.stringify({ id: 'old', changed: 1, messages }));
  localStorage.setItem('shimmy.conversation.x', '{"messages":[{"role":1}]}');
  localStorage.setItem('shimmy.settings', '{');
  const database = await new Promise((done) => { const opening = indexedDB.open('shimmy', 1); opening.onsuccess = () => done(opening.result); });
  const store = database.transaction('conversations', 'readwrite').objectStore('conversations');
  for (const damaged of [{ id: 'a' }, { id: 'b', messages: [{ role: 'user', content: 'x', id: 1, parent: 1 }] }, { id: 'c', messages: [null] }]) store.put(damaged);
  await new Promise((done) => { store.transaction.oncomplete = done; });
  database.close();
});
await page.reload();
await ready(page);
view.earlierAndDamaged = (await openList(page)).titles;
view.keysLeft = await page.evaluate(() => Object.keys(localStorage).filter((key) => key.startsWith('shimmy.conversation.')));
await page.click('#kept li:nth-child(2) .title');
await page.waitForFunction(() => document.querySelector('.message .text')?.textContent === 'What is an island?');
view.earlier = (await read(page)).messages.map(({ text, took }) => ({ text, took }));

// No storage at all.
const without = await browser.newContext();
await without.addInitScript(() => {
  for (const name of ['localStorage', 'indexedDB']) Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });
});
const bare = await open(without, url, errors);
await set(bare, 'max_tokens', '8');
await ask(bare, 'What is a lake?');
view.bare = await openList(bare);

view.errors = errors;
await browser.close();
console.log(JSON.stringify(view));
