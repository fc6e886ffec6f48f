// Files on the page of `shimmy serve`: prints what was seen as JSON. The second server's model reads images.
// usage: attachments_check.mjs PLAYWRIGHT URL URL_OF_A_MODEL_WITH_IMAGES [SCREENSHOTS]
import { readFileSync } from 'fs';
import { ask, launch, open, read, ready, set, until } from './chat_page.mjs';
const [playwright, url, visionUrl, screenshots] = process.argv.slice(2);
const browser = await launch(playwright);
const errors = [], view = {};

const textFile = (name, text) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(text) });
const chips = (page) => page.evaluate(() => [...document.querySelectorAll('#attached .name')].map((name) => name.textContent));
const choose = (page, ...files) => page.setInputFiles('#attach_file', files);
const chipsAre = (page, n) => page.waitForFunction((count) => document.querySelectorAll('#attached .chip').length === count, n);
const errorOf = async (page, ...files) => {
  await page.evaluate(() => { document.getElementById('error').hidden = true; });
  await choose(page, ...files);
  return (await until(page, (seen) => seen.error)).error;
};
// As a browser brings files that are dropped or pasted.
const bring = (page, selector, type, name, text) => page.evaluate(([to, how, file, content]) => {
  const data = new DataTransfer();
  data.items.add(new File([content], file, { type: 'text/plain' }));
  const event = how === 'paste' ? new ClipboardEvent(how, { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(how, { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector(to).dispatchEvent(event);
  return event.defaultPrevented;
}, [selector, type, name, text]);
const watch = (page) => {
  const seen = {};
  page.on('request', (one) => { if (one.url().endsWith('/v1/chat/completions')) seen.body = one.postDataJSON(); });
  return seen;
};

// ---- a model that reads only text ----

const page = await open(await browser.newContext({ viewport: { width: 1200, height: 844 } }), url, errors);
const sent = watch(page);
await set(page, 'max_tokens', '8');
await choose(page, textFile('one.txt', 'alpha\r\nbeta'), textFile('two.md', '```\ncode\n```\n'), textFile('gone.txt', 'gone'));
await chipsAre(page, 3);
view.chips = await chips(page);
if (screenshots) await page.screenshot({ path: `${screenshots}/chips.png` });
await page.click('[aria-label="Remove gone.txt"]');
view.dragged = await bring(page, '#figures', 'dragover', 'x', '');
view.isMarked = await page.evaluate(() => document.getElementById('chat').classList.contains('dropping'));
view.dropped = await bring(page, '#figures', 'drop', 'three.txt', 'dropped');
view.pasted = await bring(page, '#prompt', 'paste', 'four.txt', 'pasted');
await chipsAre(page, 4);
await ask(page, 'What do these say?');
view.sent = sent.body.messages;
view.shown = await page.evaluate(() => [...document.querySelectorAll('.message.user .file')].map((file) => file.textContent));
view.chipsAfter = await chips(page);
view.refused = {
  image: await errorOf(page, { name: 'photo.png', mimeType: 'image/png', buffer: Buffer.from('x') }),
  large: await errorOf(page, textFile('large.txt', 'x'.repeat(512 * 1024 + 1))),
  binary: await errorOf(page, { name: 'a.pdf', mimeType: 'application/pdf', buffer: Buffer.from([0x25, 0x50, 0xff, 0xfe, 0x00]) }),
  nul: await errorOf(page, textFile('nul.txt', 'a\0b')),
};
await choose(page, textFile('largest.txt', 'x'.repeat(512 * 1024)));
await chipsAre(page, 1);
view.largest = await chips(page);
await page.click('#attached .remove');

// A file alone is a message; where nothing comes of it, it is there to be sent again.
await page.route('**/v1/chat/completions', (route) => route.fulfill({ status: 503, json: { error: { message: 'not now' } } }));
await choose(page, textFile('alone.txt', 'alone'));
await chipsAre(page, 1);
await page.press('#prompt', 'Enter');
await until(page, (seen) => seen.error === 'not now' && !seen.busy);
view.givenBack = await chips(page);
await page.unroute('**/v1/chat/completions');
await page.press('#prompt', 'Enter');
await until(page, (seen) => seen.messages.length === 4 && !seen.busy);
view.alone = sent.body.messages.at(-1).content;
await page.click('#conversations');
await page.waitForFunction(() => document.querySelector('#kept .title'));
await page.fill('#search', 'BETA');
await page.waitForFunction(() => document.querySelector('#kept .title') && !document.getElementById('history_note').textContent);
await page.click('#history_close');

// ---- a model that reads images ----

for (const [width, colorScheme] of [[1200, 'light'], [420, 'dark']]) {
  const context = await browser.newContext({ viewport: { width, height: 844 }, colorScheme, acceptDownloads: true });
  const seer = await open(context, visionUrl, errors), seen = watch(seer), one = {};
  await set(seer, 'max_tokens', '8');
  const draw = async (type, w, h) => Buffer.from(await seer.evaluate(([format, x, y]) => {
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: x, height: y });
    const pen = canvas.getContext('2d'), colors = pen.createLinearGradient(0, 0, x, y);
    colors.addColorStop(0, 'teal');
    colors.addColorStop(1, 'orange');
    pen.fillStyle = colors;
    pen.fillRect(0, 0, x, y);
    return canvas.toDataURL(format).split(',')[1];
  }, [type, w, h]), 'base64');
  // Of an image in the request: its type, and its size as decoded.
  const sizeOf = (link) => seer.evaluate(async (source) => {
    const image = new Image();
    image.src = source;
    await image.decode();
    return `${source.slice(5, source.indexOf(';'))} ${image.naturalWidth}x${image.naturalHeight}`;
  }, link);
  const png = await draw('image/png', 40, 30), jpeg = await draw('image/jpeg', 60, 20);
  // An EXIF block that says: turn it by 90 degrees.
  const exif = Buffer.from('ffe100224578696600004d4d002a00000008000101120003000000010006000000000000', 'hex');
  const turned = Buffer.concat([jpeg.subarray(0, 2), exif, jpeg.subarray(2)]);
  const images = [['a.png', 'image/png', png], ['b.jpg', 'image/jpeg', jpeg], ['turned.jpg', 'image/jpeg', turned],
    ['c.webp', 'image/webp', await draw('image/webp', 50, 10)], ['large.jpg', 'image/jpeg', await draw('image/jpeg', 4000, 3000)]];
  await choose(seer, ...images.map(([name, mimeType, buffer]) => ({ name, mimeType, buffer })), textFile('note.txt', 'a note'));
  await chipsAre(seer, 6);
  if (screenshots) await seer.screenshot({ path: `${screenshots}/images-chips-${width}-${colorScheme}.png` });
  await ask(seer, 'What is in them?');
  const content = seen.body.messages.at(-1).content;
  one.parts = content.map((part) => part.text ?? part.type);
  const links = content.filter((part) => part.type === 'image_url').map((part) => part.image_url.url);
  one.sizes = await Promise.all(links.map(sizeOf));
  one.asTheyWere = [links[0] === `data:image/png;base64,${png.toString('base64')}`, links[1] === `data:image/jpeg;base64,${jpeg.toString('base64')}`];
  one.answer = (await read(seer)).messages[1].took;
  one.wrong = await errorOf(seer, { name: 'no.png', mimeType: 'image/png', buffer: Buffer.from('nothing') });
  await seer.reload();
  await ready(seer);
  one.afterReload = await seer.evaluate(() => [...document.querySelectorAll('.message.user img')].map((image) => image.alt));
  await seer.waitForFunction(() => [...document.querySelectorAll('.message.user img')].every((image) => image.naturalWidth > 0));
  if (screenshots) await seer.screenshot({ path: `${screenshots}/images-${width}-${colorScheme}.png` });
  one.overflow = (await read(seer)).overflow;
  // Another version of the question, without the images.
  await seer.click('.edit');
  if (screenshots) await seer.screenshot({ path: `${screenshots}/images-edit-${width}-${colorScheme}.png` });
  for (const [name] of images) await seer.click(`.message [aria-label="Remove ${name}"]`);
  await seer.fill('.editing', 'And without?');
  await seer.press('.editing', 'Enter');
  await until(seer, (now) => !now.busy && now.messages[0].version === '2 / 2' && now.messages[1]?.took);
  one.edited = seen.body.messages.at(-1).content;
  await seer.click('.message.user .previous');
  one.imagesOfTheFirst = await seer.evaluate(() => document.querySelectorAll('.message.user img').length);
  await seer.click('#conversations');
  await seer.waitForFunction(() => document.querySelector('#kept .export'));
  const [download] = await Promise.all([seer.waitForEvent('download'), seer.click('#kept .export')]);
  const file = readFileSync(await download.path());
  view[`vision${width}`] = one;

  // The conversation with a model that reads only text.
  if (width === 420) continue;
  await page.click('#conversations');
  await page.setInputFiles('#import_file', { name: 'images.json', mimeType: 'application/json', buffer: file });
  await page.waitForFunction(() => document.getElementById('history_note').textContent.startsWith('images.json: 1 '));
  await page.click('#kept .title:has-text("in them")');
  await page.waitForFunction(() => document.querySelectorAll('.message img').length === 5);
  await page.fill('#prompt', 'And now?');
  await page.press('#prompt', 'Enter');
  view.textModel = (await until(page, (now) => !now.busy && now.error)).error;
}

view.errors = errors.filter((text) => !text.includes('503'));
await browser.close();
console.log(JSON.stringify(view));
