// The map of experts of a model with 48 layers of 512 experts, more than any model of the tests has: what /v1/moe tells is
// made up here. Prints what was seen as JSON.   usage: map_check.mjs PLAYWRIGHT URL [SCREENSHOTS]
import { launch, open } from './chat_page.mjs';
const [playwright, url, screenshots] = process.argv.slice(2);
const N_LAYERS = 48, N_EXPERTS = 512;
const browser = await launch(playwright);

// Expert e of each layer was chosen e times, one of them far more often than all others; each layer's first two are in VRAM.
const hits = [...Array(N_EXPERTS).keys()];
hits[511] = 1000000;
const layers = [...Array(N_LAYERS).keys()].map((layer) => ({ layer, hits, experts_in_vram: [0, 1] }));

const views = [];
for (const [width, colorScheme] of [[1200, 'light'], [1200, 'dark'], [420, 'light'], [420, 'dark']]) {
  const context = await browser.newContext({ viewport: { width, height: 844 }, colorScheme });
  await context.route('**/v1/moe*', async (route) => {
    const document = await (await route.fetch()).json();
    const memory = { model_bytes: 0, context_bytes: 0, compute_bytes: 0, expert_cache_bytes: 0 };
    const model = (await (await fetch(`${url}/api/models`)).json()).models[0].name;
    return route.fulfill({ json: { ...document, models: [{ model, vram: memory, host: memory, decode_ceiling_tps: null, expert_cache: { slots: 96, resident: 96 }, layers }] } });
  });
  const view = { width, colorScheme, errors: [] };
  const page = await open(context, url, view.errors);
  await page.waitForFunction(() => document.getElementById('heat').height > 0);
  Object.assign(view, await page.evaluate(([nLayers, nExperts]) => {
    const canvas = document.getElementById('heat'), box = document.getElementById('map'), shown = canvas.getBoundingClientRect();
    const pixels = canvas.getContext('2d').getImageData(0, canvas.height - 1, canvas.width, 1).data;
    const ticks = (axis) => [...document.querySelectorAll(`#${axis} span`)].map((tick) => tick.textContent);
    return { cellWidth: shown.width / nExperts, cellHeight: shown.height / nLayers, scrolls: box.scrollWidth > box.clientWidth,
      overflow: document.documentElement.scrollWidth > window.innerWidth, colors: new Set(new Uint32Array(pixels.buffer)).size,
      experts: ticks('expert_axis'), layers: ticks('layer_axis'), text: document.getElementById('heat_text').textContent };
  }, [N_LAYERS, N_EXPERTS]));
  const hover = async (layer, expert) => {
    await page.evaluate((left) => { document.getElementById('map').scrollIntoView(); document.getElementById('map').scrollLeft = left; }, expert * view.cellWidth - 20);
    const at = await page.locator('#heat').boundingBox();
    await page.mouse.move(at.x + (expert + 0.5) * view.cellWidth, at.y + (layer + 0.5) * view.cellHeight);
    return page.textContent('#tip:not([hidden])', { timeout: 5000 });
  };
  view.inVram = await hover(7, 1);
  view.most = await hover(12, 511);
  if (screenshots) await page.screenshot({ path: `${screenshots}/map-${width}-${colorScheme}.png`, fullPage: true });
  views.push(view);
  await context.close();
}
await browser.close();
console.log(JSON.stringify(views));
