// Which experts the page of `shimmy serve` frames, beside what /v1/moe says lies in VRAM: before and after a second answer.
// usage: experts_check.mjs PLAYWRIGHT URL
import { createRequire } from 'module';
const [playwright, url] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(playwright);
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync'],
});

// Cells whose corner has the frame's color, as [layer, expert]; and what the server says.
const look = (page) => page.evaluate(async () => {
  const model = (await (await fetch('v1/moe')).json()).models[0];
  const layers = model.layers.filter((layer) => layer.hits);
  const canvas = document.getElementById('heat'), width = layers[0].hits.length;
  const cell = canvas.width / width, height = canvas.height / layers.length, pixels = canvas.getContext('2d');
  const probe = document.createElement('canvas').getContext('2d');
  probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--accent');
  probe.fillRect(0, 0, 1, 1);
  const accent = probe.getImageData(0, 0, 1, 1).data.join();
  const framed = [];
  layers.forEach((layer, l) => layer.hits.forEach((_, e) => {
    if (pixels.getImageData(e * cell, l * height, 1, 1).data.join() === accent) framed.push([layer.layer, e]);
  }));
  return { framed, told: layers.flatMap((layer) => layer.experts_in_vram.map((e) => [layer.layer, e])),
           text: document.getElementById('heat_text').textContent, memory: document.getElementById('memory').textContent };
});

const page = await browser.newPage();
await page.goto(url);
await page.waitForFunction(() => document.getElementById('model').options.length > 0 && document.activeElement.id === 'prompt');
const views = [];
for (const text of ['Explain gradient descent in simple terms.', 'What is a volcano?']) {
  await page.fill('#prompt', text);
  await page.keyboard.press('Enter');
  await page.waitForFunction((n) => document.querySelectorAll('.message').length === n && document.getElementById('stop').disabled,
    2 * views.length + 2, { timeout: 120000 });
  // Nothing is uploaded any more; the page looks again within seconds.
  for (const end = Date.now() + 60000; ; await page.waitForTimeout(100)) {
    const seen = await look(page);
    if (seen.told.length && JSON.stringify(seen.framed) === JSON.stringify(seen.told)) { views.push(seen); break; }
    if (Date.now() > end) throw new Error(JSON.stringify(seen));
  }
}
await browser.close();
console.log(JSON.stringify(views));
