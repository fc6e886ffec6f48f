// The map of experts: how often each expert of each layer was chosen.
const CELL_MIN = 3, CELL_MAX = 24;  // CSS pixels; wider maps are scrolled
let map = null;           // what the canvas shows: {layers, counts, totals, cell, height, note}
let lastHits = new Map(); // model → hits by layer at the last poll, to show what has been chosen since

// Where libggml-moe keeps copies of experts in VRAM.
function cacheText(cache) {
  if (!cache?.slots) return '';
  const rate = cache.lookups ? `, ${(100 * cache.hits / cache.lookups).toFixed(0)}% of look-ups` : '';
  return `; ${cache.resident} in VRAM (framed)${rate}`;
}

// Colors go by rank, so that a few experts that are chosen most do not leave all others alike: part of the chosen experts
// that were chosen at most as often.
function ranks(counts) {
  const sorted = counts.flat().filter((n) => n > 0).sort((a, b) => a - b);
  const part = new Map([[0, 0]]);
  sorted.forEach((n, i) => part.set(n, (i + 1) / sorted.length));
  return part;
}

function palette(style) {
  const [cold, hot] = ['--cold', '--hot'].map((name) => style.getPropertyValue(name).trim().split(' ').map(Number));
  return (part) => `rgb(${cold.map((c, i) => Math.round(c + (hot[i] - c) * part)).join(' ')})`;
}

function drawMap(canvas, { layers, counts, cell, height }) {
  const gap = cell > 6 ? 1 : 0, style = getComputedStyle(document.documentElement), color = palette(style), part = ranks(counts);
  canvas.width = Math.max(...counts.map((row) => row.length)) * cell;
  canvas.height = counts.length * height;
  const draw = canvas.getContext('2d');
  counts.forEach((row, l) => row.forEach((n, e) => {
    draw.fillStyle = color(part.get(n));
    draw.fillRect(e * cell, l * height, cell - gap, height - gap);
  }));
  // A frame would hide a small cell: that has a line above instead.
  draw.strokeStyle = draw.fillStyle = style.getPropertyValue('--accent') || 'currentColor';
  layers.forEach((layer, l) => (layer.experts_in_vram ?? []).forEach((e) => {
    if (gap) draw.strokeRect(e * cell + 0.5, l * height + 0.5, cell - gap - 1, height - gap - 1);
    else draw.fillRect(e * cell, l * height, cell, 1);
  }));
}

// Numbers along an axis, as many as have room: every 1, 2, 4, 8, …
function drawAxis(axis, side, numbers, cell, room, name) {
  let step = 1;
  while (step * cell < room) step *= 2;
  axis.replaceChildren(...numbers.filter((_, i) => i % step === 0).map((number, i) => {
    const tick = make('span', '', i ? `${number}` : `${name} ${number}`);
    tick.style[side] = `${i * step * cell}px`;
    return tick;
  }));
}

function hideMap(text) {
  map = null;
  byId('heat').height = 0;
  byId('map').hidden = byId('scale').hidden = byId('tip').hidden = true;
  byId('experts_note').textContent = '';
  byId('heat_text').textContent = text;
}

// One cell per expert (across) and layer (down). While something is generated: what was chosen since the last look.
function showExperts(model) {
  const layers = model.layers.filter((layer) => layer.hits);
  const before = lastHits.get(model.model);
  lastHits.set(model.model, layers.map((layer) => layer.hits));
  if (!layers.length) {
    return hideMap(model.layers.length
      ? 'Not counted: the experts are on the GPU, libggml-moe is off, or nothing was generated yet.' : 'This model has no experts.');
  }
  byId('map').hidden = byId('scale').hidden = false;
  const since = layers.map((layer, l) => layer.hits.map((n, e) => Math.max(0, n - (before?.[l]?.[e] ?? 0))));
  const recent = since.some((row) => row.some((n) => n > 0)) && before;
  const counts = recent ? since : layers.map((layer) => layer.hits);
  const width = Math.max(...counts.map((row) => row.length));
  const gutter = byId('layer_axis').offsetWidth;
  const cell = Math.min(CELL_MAX, Math.max(CELL_MIN, Math.floor((byId('map').clientWidth - gutter) / width)));
  const height = Math.max(Math.min(cell, CELL_MAX), CELL_MIN, Math.min(8, Math.floor(240 / layers.length)));
  map = { layers, counts, totals: counts.map((row) => row.reduce((sum, n) => sum + n, 0)), cell, height, note: recent ? 'just now' : 'since the start' };
  drawMap(byId('heat'), map);
  drawAxis(byId('expert_axis'), 'left', [...Array(width).keys()], cell, 60, 'expert');
  drawAxis(byId('layer_axis'), 'top', layers.map((layer) => layer.layer), height, 12, 'layer');
  byId('layer_axis').style.height = `${layers.length * height}px`;
  byId('most').textContent = `${counts.reduce((most, row) => row.reduce((a, b) => Math.max(a, b), most), 0)} tokens`;
  const used = layers.flatMap((layer) => layer.hits);
  byId('experts_note').textContent = `(${map.note})`;
  byId('heat_text').textContent = `${layers.length} layers (down) of ${width} experts (across), colored by rank; ${used.filter((n) => !n).length} of ${used.length} never chosen${cacheText(model.expert_cache)}`;
}

function cellText(l, e) {
  const layer = map.layers[l], n = map.counts[l][e], share = map.totals[l] ? 100 * n / map.totals[l] : 0;
  return `Layer ${layer.layer}, expert ${e}: ${countText(n)} ${map.note}, ${share.toFixed(1)}% of the layer's choices`
    + (layer.experts_in_vram?.includes(e) ? ', in VRAM' : '');
}

byId('heat').addEventListener('pointermove', (event) => {
  const e = Math.floor(event.offsetX / map?.cell), l = Math.floor(event.offsetY / map?.height), tip = byId('tip');
  tip.hidden = map?.counts[l]?.[e] === undefined;
  if (tip.hidden) return;
  tip.textContent = cellText(l, e);
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${event.clientY - tip.offsetHeight - 10}px`;
});
byId('heat').addEventListener('pointerleave', () => { byId('tip').hidden = true; });
