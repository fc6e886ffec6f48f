// The map of experts: how often each expert of each layer was chosen.
let lastHits = new Map(); // model → hits by layer at the last poll, to show what has been chosen since

// Where libggml-moe keeps copies of experts in VRAM.
function cacheText(cache) {
  if (!cache?.slots) return '';
  const rate = cache.lookups ? `, ${(100 * cache.hits / cache.lookups).toFixed(0)}% of look-ups` : '';
  return `; ${cache.resident} in VRAM (framed)${rate}`;
}

// One cell per expert (across) and layer (down). While something is generated: what was chosen since the last look.
function showExperts(model) {
  const layers = model.layers.filter((layer) => layer.hits);
  const before = lastHits.get(model.model);
  lastHits.set(model.model, layers.map((layer) => layer.hits));
  const canvas = byId('heat');
  if (!layers.length) {
    canvas.height = 0;
    byId('scale').hidden = true;
    byId('experts_note').textContent = '';
    byId('heat_text').textContent = model.layers.length
      ? 'Not counted: the experts are on the GPU, libggml-moe is off, or nothing was generated yet.' : 'This model has no experts.';
    return;
  }
  const since = layers.map((layer, l) => layer.hits.map((n, e) => n - (before?.[l]?.[e] ?? 0)));
  const recent = since.some((row) => row.some((n) => n > 0)) && before;
  const shown = recent ? since : layers.map((layer) => layer.hits);
  const most = Math.max(1, ...shown.flat());
  const style = getComputedStyle(document.documentElement);
  const [cold, hot] = ['--cold', '--hot'].map((name) => style.getPropertyValue(name).trim().split(' ').map(Number));
  const width = Math.max(...shown.map((row) => row.length));
  const cell = Math.max(1, Math.floor(640 / width)), height = Math.min(cell, 24), gap = cell > 6 ? 1 : 0;
  canvas.width = width * cell;
  canvas.height = shown.length * height;
  const draw = canvas.getContext('2d');
  shown.forEach((row, l) => row.forEach((n, e) => {
    const part = n / most;
    draw.fillStyle = `rgb(${cold.map((c, i) => Math.round(c + (hot[i] - c) * part)).join(' ')})`;
    draw.fillRect(e * cell, l * height, cell - gap, height - gap);
  }));
  draw.strokeStyle = style.getPropertyValue('--accent') || 'currentColor';
  layers.forEach((layer, l) => (layer.experts_in_vram ?? []).forEach((e) =>
    draw.strokeRect(e * cell + 0.5, l * height + 0.5, cell - gap - 1, height - gap - 1)));
  byId('scale').hidden = false;
  byId('most').textContent = `${most} tokens`;
  const used = layers.flatMap((layer) => layer.hits);
  byId('experts_note').textContent = recent ? '(just now)' : '(since the start)';
  byId('heat_text').textContent = `${layers.length} layers (down) of ${width} experts (across); ${used.filter((n) => !n).length} of ${used.length} never chosen${cacheText(model.expert_cache)}`;
}
