// The page of `shimmy serve` in headless Chromium, as a person uses it: prints what was seen as JSON. Ends the server.
// usage: chat_check.mjs PLAYWRIGHT URL SERVER_PID [SCREENSHOTS]
import { createRequire } from 'module';
const [playwright, url, pid, screenshots] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(playwright);
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync'],
});
const views = [];
for (const [width, colorScheme] of [[1200, 'light'], [390, 'dark']]) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  const errors = [];
  let foreignRequests = 0;
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('request', (request) => { if (!request.url().startsWith(url) && !request.url().startsWith('data:')) ++foreignRequests; });
  const text = (id) => page.evaluate((id) => document.getElementById(id).textContent, id);
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById('model').options.length > 1);

  // With the keyboard alone: the message field has the focus.
  await page.keyboard.type('Explain gradient descent in simple terms.');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('.message').length === 2 && document.getElementById('stop').disabled, null, { timeout: 60000 });
  const answer = await page.evaluate(() => document.querySelectorAll('.message')[1].lastChild.textContent);
  const speed = await text('speed');
  await page.waitForFunction(() => document.getElementById('heat').height > 0);
  const heatColors = await page.evaluate(() => {
    const heat = document.getElementById('heat');
    const pixels = new Uint32Array(heat.getContext('2d').getImageData(0, 0, heat.width, heat.height).data.buffer);
    return new Set(pixels).size;
  });
  if (screenshots) await page.screenshot({ path: `${screenshots}/chat-${width}.png`, fullPage: true });

  // Stop, in the middle of an answer.
  await page.evaluate(() => { document.getElementById('max_tokens').value = '400'; });
  await page.keyboard.type('Write a long story.');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('.message').length === 4);
  await page.keyboard.press('Escape');
  await page.waitForFunction(() => document.getElementById('stop').disabled, null, { timeout: 2000 });
  const stopped = (await page.evaluate(() => document.getElementById('error').hidden));

  await page.selectOption('#model', 'tiny-moe-q8-0');
  await page.fill('#prompt', 'Hello');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('.message').length === 6 && document.getElementById('stop').disabled, null, { timeout: 60000 });
  const switchedTo = await page.evaluate(() => document.querySelectorAll('.message')[5].firstChild.textContent);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  const view = { width, colorScheme, errors: [...errors], foreignRequests, answer, speed, heatColors, stopped, switchedTo, overflow };
  views.push(view);
  if (views.length === 2) {
    process.kill(Number(pid), 'SIGKILL');
    await page.fill('#prompt', 'Hello');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => !document.getElementById('error').hidden, null, { timeout: 5000 });
    view.afterDeath = await text('error');
  }
  await page.close();
}
await browser.close();
console.log(JSON.stringify(views));
