// A conversation on the page of `shimmy serve`, as a person leads it: prints what was seen as JSON. The second server's
// model thinks before it answers.   usage: conversation_check.mjs PLAYWRIGHT URL URL_OF_A_THINKING_MODEL [SCREENSHOTS]
import { ask, launch, open, read, ready, set, until } from './chat_page.mjs';
const [playwright, url, thinkingUrl, screenshots] = process.argv.slice(2);
const browser = await launch(playwright);
const context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'], acceptDownloads: true });
const errors = [], view = {};
const page = await open(context, url, errors);
const press = (n, button) => page.click(`.message:nth-of-type(${n + 1}) .${button}`);
const QUESTION = 'Explain gradient descent in simple terms.';

// The whole answer, without a limit; then the same in two parts.
await set(page, 'temperature', '0');
let limit = null;
page.on('request', (one) => { if (one.url().endsWith('/v1/chat/completions')) limit = one.postDataJSON().max_tokens ?? 'none'; });
view.whole = (await ask(page, QUESTION)).messages[1];
view.limit = limit;
await page.click('#clear');
await set(page, 'max_tokens', '8');
view.cut = (await ask(page, QUESTION)).messages[1];
if (screenshots) await page.screenshot({ path: `${screenshots}/cut.png` });
await set(page, 'max_tokens', '');
await press(1, 'continue');
view.continued = (await until(page, (seen) => !seen.busy && seen.messages[1].text.length > view.cut.text.length)).messages[1];

// What of the context is in use: the usage of the last answer.
await page.waitForFunction(() => /^[1-9]/.test(document.getElementById('context').textContent));
view.context = { text: await page.textContent('#context'), meter: await page.evaluate(() => document.getElementById('context_meter').value) };

// One message after another.
await press(1, 'copy');
view.copied = await page.evaluate(() => navigator.clipboard.readText());
await set(page, 'max_tokens', '8');
await ask(page, 'What is a volcano?');
const shown = async () => (await read(page)).messages.map(({ text, version }) => ({ text, version }));
await press(1, 'regenerate');
view.regenerated = (await until(page, (seen) => !seen.busy && seen.messages.length === 2 && seen.messages[1].cut)).messages;
await press(1, 'previous');
view.earlier = { messages: await shown(), focus: await page.evaluate(() => document.activeElement.className) };
await press(1, 'next');
view.later = await shown();
await ask(page, 'What is a volcano?');
await press(2, 'edit');
await page.fill('.editing', 'What is a river?');
await page.press('.editing', 'Enter');
view.edited = (await until(page, (seen) => !seen.busy && seen.messages.length === 4 && seen.messages[2].text === 'What is a river?' && seen.messages[3].cut)).messages;
await press(2, 'previous');
view.unedited = await shown();
if (screenshots) await page.screenshot({ path: `${screenshots}/versions.png` });
await page.reload();
await ready(page);
view.uneditedAfterReload = await shown();
await press(0, 'edit');
await page.press('.editing', 'Escape');
view.editLeft = (await read(page)).messages[0].text;

// An answer that does not come leaves what was there.
await page.route('**/v1/chat/completions', (route) => route.fulfill({ status: 503, json: { error: { message: 'not now' } } }));
await press(3, 'regenerate');
view.failed = { error: (await until(page, (seen) => !seen.busy && seen.error)).error, messages: await shown() };
await page.unroute('**/v1/chat/completions');

// A version goes with what follows it, the only one alone.
await press(1, 'delete');
view.versionDeleted = await shown();
await press(1, 'delete');
view.deleted = (await read(page)).messages.map((message) => message.text);
let sent = null;
page.on('request', (one) => { if (one.url().endsWith('/v1/chat/completions')) sent = one.postDataJSON().messages; });
await ask(page, 'And a lake?');
view.sent = sent.map((message) => message.role);

// Thoughts.
const thinker = await open(context, thinkingUrl, errors);
await set(thinker, 'max_tokens', '40');
await thinker.fill('#prompt', QUESTION);
await thinker.press('#prompt', 'Enter');
view.thinking = (await until(thinker, (seen) => seen.busy && seen.messages[1]?.thinking)).messages[1];
view.thought = (await until(thinker, (seen) => !seen.busy && seen.messages.length === 2)).messages[1];

view.errors = errors.filter((text) => !text.includes('503'));  // of the answer that does not come
await browser.close();
console.log(JSON.stringify(view));
