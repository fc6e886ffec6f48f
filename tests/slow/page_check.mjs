// Opens report.html in headless Chromium: prints what it drew as JSON.   usage: page_check.mjs PLAYWRIGHT PAGE
import { createRequire } from 'module';
const { chromium } = createRequire(import.meta.url)(process.argv[2]);
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync'],
});
const result = [];
for (const [width, colorScheme] of [[1200, 'light'], [1200, 'dark'], [390, 'light'], [390, 'dark']]) {
  const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme });
  const errors = [], requests = [];
  page.on('console', (message) => { if (message.type() !== 'log') errors.push(message.text()); });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto('file://' + process.argv[3]);
  await page.waitForFunction(() => document.documentElement.dataset.ready === 'yes', null, { timeout: 10000 });
  const drawn = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll('.chart')].map((chart) =>
    [chart.id, { shapes: chart.querySelectorAll('svg path').length, text: chart.classList.contains('missing') ? chart.textContent : '' }])));
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  result.push({ width, colorScheme, errors, requests: requests.length, drawn, overflow, background });
  await page.close();
}
await browser.close();
console.log(JSON.stringify(result));
