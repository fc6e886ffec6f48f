// The page of `shimmy serve` in headless Chromium, for the checks beside this file.
import { createRequire } from 'module';

export function launch(playwright) {
  const { chromium } = createRequire(import.meta.url)(playwright);
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
           '--disable-component-update', '--disable-sync'],
  });
}

// Opens the page and waits until it knows the models. `errors` fills with what goes wrong on it.
export async function open(context, url, errors) {
  const page = await context.newPage();
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('dialog', (dialog) => dialog.accept());
  await page.goto(url);
  await ready(page);
  return page;
}

// It knows the models and shows the conversation that was kept.
export const ready = (page) => page.waitForFunction(() => document.getElementById('model').options.length > 0
  && document.getElementById('log').getAttribute('aria-busy') === 'false');

// From now on the answer is `text`, in two pieces, whatever is asked. Returns the requests, which fill as they are sent.
export async function answerWith(page, text) {
  const event = (delta, rest = {}) => `data: ${JSON.stringify({ choices: [{ delta, ...rest }] })}\n\n`, half = text.length >> 1, bodies = [];
  const usage = `data: ${JSON.stringify({ choices: [], usage: { completion_tokens: 2, total_tokens: 9 } })}\n\ndata: [DONE]\n\n`;
  await page.unroute('**/v1/chat/completions');
  await page.route('**/v1/chat/completions', (route) => {
    bodies.push(route.request().postDataJSON());
    return route.fulfill({ contentType: 'text/event-stream',
      body: event({ content: text.slice(0, half) }) + event({ content: text.slice(half) }) + event({}, { finish_reason: 'stop' }) + usage });
  });
  return bodies;
}

// What the page holds, read in one go.
export const read = (page) => page.evaluate(() => ({
  messages: [...document.querySelectorAll('.message')].map((message) => ({
    who: message.querySelector('.who').textContent, text: message.querySelector('.text').textContent,
    took: message.querySelector('.took').textContent, cut: message.querySelector('.cut').textContent,
    thinking: message.querySelector('.thinking').textContent, thoughtIsOpen: message.querySelector('.thought').open,
    buttons: [...message.querySelectorAll('.actions button')].filter((button) => button.checkVisibility({ visibilityProperty: true }))
      .map((button) => button.className),
    version: message.querySelector('.version')?.textContent ?? '' })),
  busy: !document.getElementById('stop').disabled,
  error: document.getElementById('error').hidden ? '' : document.getElementById('error').textContent,
  speed: document.getElementById('speed').textContent, ttft: document.getElementById('ttft').textContent,
  memory: document.getElementById('memory').textContent,
  heat: document.getElementById('heat').height > 0 ? document.getElementById('heat').toDataURL() : '',
  focus: document.activeElement.id,
  overflow: document.documentElement.scrollWidth > window.innerWidth,
}));

export async function until(page, holds, timeoutMs = 60000) {
  for (const end = Date.now() + timeoutMs; ;) {
    const seen = await read(page);
    if (holds(seen)) return seen;
    if (Date.now() > end) throw new Error(`not seen: ${holds}\n${JSON.stringify({ ...seen, heat: seen.heat.length })}`);
    await page.waitForTimeout(20);
  }
}

// Types the message, sends it, and waits for the whole answer.
export async function ask(page, text) {
  const n = (await read(page)).messages.length + 2;
  await page.fill('#prompt', text);
  await page.press('#prompt', 'Enter');
  return until(page, (seen) => !seen.busy && seen.messages.length === n);
}

export const set = (page, id, value) => page.evaluate(([one, text]) => {
  const field = document.getElementById(one);
  field.value = text;
  field.dispatchEvent(new Event('change', { bubbles: true }));
}, [id, value]);

// ---- the list of conversations ----

// The list is read from the browser's storage, which takes a moment.
export async function list(page, holds = () => true) {
  let seen = null;
  for (const end = Date.now() + 10000; Date.now() < end; await page.waitForTimeout(20)) {
    seen = await page.evaluate(() => ({ titles: [...document.querySelectorAll('#kept .title')].map((title) => title.firstChild.textContent),
      note: document.getElementById('history_note').textContent, error: document.getElementById('history_error').hidden ? '' : document.getElementById('history_error').textContent }));
    if ((seen.titles.length || seen.note || seen.error) && holds(seen)) return seen;
  }
  throw new Error(`not seen: ${holds}\n${JSON.stringify(seen)}`);
}
export async function openList(page) {
  await page.evaluate(() => { document.getElementById('kept').replaceChildren(); document.getElementById('history_note').textContent = ''; });
  await page.click('#conversations');
  return list(page);
}
