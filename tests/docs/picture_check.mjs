// Opens an SVG in headless Chromium and prints where it drew its text, as JSON.   usage: picture_check.mjs PLAYWRIGHT SVG
import { createRequire } from 'module';
const { chromium } = createRequire(import.meta.url)(process.argv[2]);
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage({ viewport: { width: 1000, height: 800 } });
const errors = [];
page.on('console', (message) => errors.push(message.text()));
page.on('pageerror', (error) => errors.push(error.message));
await page.goto('file://' + process.argv[3]);
const rows = await page.evaluate(() => [...document.querySelectorAll('text')].map((text) => {
  const box = text.getBBox();
  const starts = [];
  for (let i = 0; i < text.getNumberOfChars(); i++) starts.push(text.getStartPositionOfChar(i).x);
  return { text: text.textContent, starts, right: box.x + box.width, bottom: box.y + box.height };
}));
const size = await page.evaluate(() => ({ width: document.documentElement.width.baseVal.value, height: document.documentElement.height.baseVal.value }));
await browser.close();
console.log(JSON.stringify({ errors, rows, ...size }));
