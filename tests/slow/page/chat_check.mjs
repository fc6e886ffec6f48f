// The page of `shimmy serve` in headless Chromium, as a person uses it: prints what was seen as JSON. Ends the server.
// usage: chat_check.mjs PLAYWRIGHT URL SERVER_PID OTHER_MODEL [SCREENSHOTS]
import { launch, open, read, set, until } from './chat_page.mjs';
const [playwright, url, pid, otherModel, screenshots] = process.argv.slice(2);
const browser = await launch(playwright);

// No mouse: the message field has the focus.
async function type(page, text) {
  await page.keyboard.type(text);
  await page.keyboard.press('Enter');
}

async function visit(width, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height: 844 }, colorScheme });
  const view = { width, colorScheme, foreignRequests: 0 };
  const errors = [];
  await context.route((address) => !address.href.startsWith(url) && address.protocol !== 'data:', (route) => {
    ++view.foreignRequests;
    route.abort();
  });
  const page = await open(context, url, errors);
  await page.waitForFunction(() => document.activeElement.id === 'prompt');

  await type(page, 'Explain gradient descent in simple terms.');
  view.partial = (await until(page, (seen) => seen.busy && seen.messages[1]?.text.length > 5)).messages[1].text;
  const answered = await until(page, (seen) => !seen.busy && seen.messages.length === 2);
  Object.assign(view, { answer: answered.messages[1].text, took: answered.messages[1].took, speed: answered.speed, ttft: answered.ttft });
  view.memory = (await until(page, (seen) => seen.heat !== '')).memory;
  view.heatColors = await page.evaluate(() => {
    const heat = document.getElementById('heat');
    return new Set(new Uint32Array(heat.getContext('2d').getImageData(0, 0, heat.width, heat.height).data.buffer)).size;
  });
  if (screenshots) await page.screenshot({ path: `${screenshots}/chat-${width}-${colorScheme}.png`, fullPage: true });

  // A long answer: the heat map moves while it comes; then it is stopped.
  await set(page, 'max_tokens', '450');
  await page.focus('#prompt');
  await page.route('**/v1/chat/completions', (route) => route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), ignore_eos: true }) }));
  const before = answered.heat;
  await type(page, 'Write a long story.');
  await until(page, (seen) => seen.busy && seen.heat !== before && seen.heat !== '');
  const stopping = Date.now();
  await page.keyboard.press('Escape');
  const stopped = await until(page, (seen) => !seen.busy, 2000);
  Object.assign(view, { stoppedAfterMs: Date.now() - stopping, stopped: stopped.messages[3].took, stopError: stopped.error });
  await page.unroute('**/v1/chat/completions');

  // Another model, chosen with the keyboard.
  await page.focus('#model');
  await page.keyboard.type(otherModel);
  await page.focus('#prompt');
  await page.evaluate(() => { document.getElementById('max_tokens').value = '8'; });
  await type(page, 'Hello');
  view.switchedTo = (await until(page, (seen) => seen.messages.length === 6 && !seen.busy)).messages[5].who;

  // Every control can be reached with Tab.
  await page.evaluate(() => document.getElementById('settings').open = true);
  await page.focus('#model');
  const reached = ['model'];
  for (let i = 0; i < 60; ++i) {
    await page.keyboard.press('Tab');
    reached.push(await page.evaluate(() => document.activeElement.id));
  }
  view.reached = reached.filter((id) => id);
  view.overflow = (await read(page)).overflow;
  view.errors = [...errors];  // those of a server that is gone do not count
  return { page, view };
}

const views = [];
for (const [width, colorScheme] of [[1200, 'light'], [1200, 'dark'], [390, 'light'], [390, 'dark']]) {
  const { page, view } = await visit(width, colorScheme);
  views.push(view);
  if (views.length < 4) { await page.close(); continue; }
  // The server dies in the middle of an answer, and is asked again.
  await page.evaluate(() => { document.getElementById('max_tokens').value = '450'; });
  await page.focus('#prompt');
  await page.route('**/v1/chat/completions', (route) => route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), ignore_eos: true }) }));
  await type(page, 'Write a long story.');
  await until(page, (seen) => seen.busy && seen.messages.at(-1).text.length > 5);
  process.kill(Number(pid), 'SIGKILL');
  view.died = (await until(page, (seen) => seen.error !== '', 5000)).error;
  await page.focus('#prompt');
  await type(page, 'Hello');
  view.afterDeath = (await until(page, (seen) => !seen.busy && seen.error !== '', 5000)).error;
  view.keptPrompt = await page.inputValue('#prompt');
  if (screenshots) await page.screenshot({ path: `${screenshots}/dead-${width}.png` });
}
await browser.close();
console.log(JSON.stringify(views));
