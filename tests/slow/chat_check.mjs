// The page of `shimmy serve` in headless Chromium, as a person uses it: prints what was seen as JSON. Ends the server.
// usage: chat_check.mjs PLAYWRIGHT URL SERVER_PID OTHER_MODEL [SCREENSHOTS]
import { createRequire } from 'module';
const [playwright, url, pid, otherModel, screenshots] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(playwright);
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync'],
});

// What the page holds, read in one go.
const read = (page) => page.evaluate(() => ({
  messages: [...document.querySelectorAll('.message')].map((message) => ({
    who: message.querySelector('.who').textContent, text: message.querySelector('.text').textContent,
    took: message.querySelector('.took').textContent })),
  busy: !document.getElementById('stop').disabled,
  error: document.getElementById('error').hidden ? '' : document.getElementById('error').textContent,
  speed: document.getElementById('speed').textContent, ttft: document.getElementById('ttft').textContent,
  memory: document.getElementById('memory').textContent,
  heat: document.getElementById('heat').height > 0 ? document.getElementById('heat').toDataURL() : '',
  focus: document.activeElement.id,
  overflow: document.documentElement.scrollWidth > window.innerWidth,
}));

async function until(page, holds, timeoutMs = 60000) {
  for (const end = Date.now() + timeoutMs; ;) {
    const seen = await read(page);
    if (holds(seen)) return seen;
    if (Date.now() > end) throw new Error(`not seen: ${holds}\n${JSON.stringify({ ...seen, heat: seen.heat.length })}`);
    await page.waitForTimeout(20);
  }
}

async function ask(page, text) {
  await page.keyboard.type(text);
  await page.keyboard.press('Enter');
}

async function visit(width, colorScheme) {
  const page = await browser.newPage({ viewport: { width, height: 844 }, colorScheme });
  const view = { width, colorScheme, foreignRequests: 0 };
  const errors = [];
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  page.on('pageerror', (error) => errors.push(error.message));
  await page.route((address) => !address.href.startsWith(url) && address.protocol !== 'data:', (route) => {
    ++view.foreignRequests;
    route.abort();
  });
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById('model').options.length > 1 && document.activeElement.id === 'prompt');

  // No mouse: the message field has the focus.
  await ask(page, 'Explain gradient descent in simple terms.');
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
  await page.fill('#max_tokens', '450').catch(() => page.evaluate(() => { document.getElementById('max_tokens').value = '450'; }));
  await page.focus('#prompt');
  await page.route('**/v1/chat/completions', (route) => route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), ignore_eos: true }) }));
  const before = answered.heat;
  await ask(page, 'Write a long story.');
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
  await ask(page, 'Hello');
  view.switchedTo = (await until(page, (seen) => seen.messages.length === 6 && !seen.busy)).messages[5].who;

  // Every control can be reached with Tab.
  await page.evaluate(() => document.querySelector('details').open = true);
  await page.focus('#model');
  const reached = ['model'];
  for (let i = 0; i < 12; ++i) {
    await page.keyboard.press('Tab');
    reached.push((await read(page)).focus);
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
  await ask(page, 'Write a long story.');
  await until(page, (seen) => seen.busy && seen.messages.at(-1).text.length > 5);
  process.kill(Number(pid), 'SIGKILL');
  view.died = (await until(page, (seen) => seen.error !== '', 5000)).error;
  await page.focus('#prompt');
  await ask(page, 'Hello');
  view.afterDeath = (await until(page, (seen) => !seen.busy && seen.error !== '', 5000)).error;
  view.keptPrompt = await page.inputValue('#prompt');
  if (screenshots) await page.screenshot({ path: `${screenshots}/dead-${width}.png` });
}
await browser.close();
console.log(JSON.stringify(views));
