// What the browser keeps for the page of `shimmy serve`: prints what was seen as JSON.
// usage: history_check.mjs PLAYWRIGHT URL [SCREENSHOTS]
import { readFileSync } from 'fs';
import { ask, launch, open, read, set } from './chat_page.mjs';
const [playwright, url, screenshots] = process.argv.slice(2);
const browser = await launch(playwright);
const errors = [], view = {};

const titles = (page) => page.evaluate(() => [...document.querySelectorAll('#kept .title')].map((title) => title.firstChild.textContent));
const texts = async (page) => (await read(page)).messages.map((message) => message.text);

const context = await browser.newContext({ acceptDownloads: true });
const page = await open(context, url, errors);
view.before = await page.evaluate(() => (document.getElementById('conversations').click(), document.getElementById('history_note').textContent));
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
view.sameAfterReload = JSON.stringify(await texts(page)) === JSON.stringify(river);
view.settingsAfterReload = await page.evaluate((names) => Object.fromEntries(names.map((name) => [name, document.getElementById(name).value])), Object.keys(SETTINGS));
const other = await open(context, url, errors);
view.newPage = await texts(other);
await other.close();

await page.click('#conversations');
view.titles = await titles(page);
if (screenshots) await page.screenshot({ path: `${screenshots}/history.png` });
await page.fill('#search', 'VOLCANO');
view.found = await titles(page);
await page.fill('#search', 'nothing like this');
view.notFound = await page.textContent('#history_note');
await page.fill('#search', '');
const exported = async (click) => {
  const [download] = await Promise.all([page.waitForEvent('download'), click()]);
  return { name: download.suggestedFilename(), document: JSON.parse(readFileSync(await download.path(), 'utf8')) };
};
view.one = await exported(() => page.click('#kept li:nth-child(2) .export'));
view.all = (await exported(() => page.click('#export_all'))).document.conversations.map((one) => one.title);
await page.click('#kept li:nth-child(2) .title');
view.opened = (await texts(page))[0];
await page.click('#conversations');
await page.click('#kept li:nth-child(2) .delete');
view.afterDelete = { titles: await titles(page), shown: await texts(page) };
await page.click('#history_close');
await page.reload();
await page.click('#conversations');
view.afterDeleteAndReload = await titles(page);

// Something else wrote into the storage.
await page.evaluate(() => { localStorage.setItem('shimmy.conversation.x', '{"messages":[{"role":1}]}'); localStorage.setItem('shimmy.settings', '{'); });
await page.reload();
await page.click('#conversations');
view.damaged = await titles(page);

// No storage at all.
const without = await browser.newContext();
await without.addInitScript(() => Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied', 'SecurityError'); } }));
const bare = await open(without, url, errors);
await set(bare, 'max_tokens', '8');
await ask(bare, 'What is a lake?');
await bare.click('#conversations');
view.bare = { titles: await titles(bare), note: await bare.textContent('#history_note') };

view.errors = errors;
await browser.close();
console.log(JSON.stringify(view));
