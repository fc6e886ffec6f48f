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
  await page.waitForFunction(() => document.getElementById('model').options.length > 0);
  return page;
}

// What the page holds, read in one go.
export const read = (page) => page.evaluate(() => ({
  messages: [...document.querySelectorAll('.message')].map((message) => ({
    who: message.querySelector('.who').textContent, text: message.querySelector('.text').textContent,
    took: message.querySelector('.took').textContent, cut: message.querySelector('.cut').textContent,
    thinking: message.querySelector('.thinking').textContent, thoughtIsOpen: message.querySelector('.thought').open,
    buttons: [...message.querySelectorAll('.actions button')].filter((button) => button.checkVisibility({ visibilityProperty: true }))
      .map((button) => button.className) })),
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
