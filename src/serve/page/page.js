'use strict';
const byId = (id) => document.getElementById(id);
const POLL_IDLE_MS = 5000, POLL_BUSY_MS = 500;

let messages = [];        // the conversation as the API takes it
let request = null;       // AbortController of the answer that is being generated
let lastHits = new Map(); // model → hits by layer at the last poll, to show what has been chosen since

// ---- requests ----

function headers() {
  const key = byId('key').value;
  return { 'Content-Type': 'application/json', ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

async function failure(response) {
  let message = '';
  try { message = (await response.json()).error.message; } catch { /* no JSON */ }
  return new Error(message || `the server answered ${response.status}`);
}

async function getJson(path) {
  const response = await fetch(path, { headers: headers() });
  if (!response.ok) throw await failure(response);
  return response.json();
}

// The events of a streamed answer, as parsed JSON.
async function* events(response) {
  const decoder = new TextDecoder();
  let unread = '';
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return;
    unread += decoder.decode(value, { stream: true });
    const parts = unread.split('\n\n');
    unread = parts.pop();
    for (const part of parts) {
      if (part.startsWith('data: ') && part !== 'data: [DONE]') yield JSON.parse(part.slice(6));
    }
  }
}

// ---- the conversation ----

function showError(text) {
  byId('error').textContent = text;
  byId('error').hidden = !text;
}

function addMessage(role, text) {
  const element = document.createElement('div');
  element.className = `message ${role}`;
  const who = document.createElement('b');
  who.textContent = role === 'user' ? 'You' : byId('model').value;
  const thought = document.createElement('span');
  thought.className = 'thought';
  const body = document.createElement('span');
  body.textContent = text;
  element.append(who, thought, body);
  byId('log').append(element);
  return { thought, body };
}

function setBusy(busy) {
  byId('send').disabled = busy;
  byId('stop').disabled = !busy;
  byId('model').disabled = busy;
}

function showFigures(ttftMs, nTokens, tokensPerSecond) {
  byId('ttft').textContent = ttftMs === null ? '–' : `${ttftMs.toFixed(0)} ms`;
  byId('speed').textContent = tokensPerSecond === null ? '–' : `${tokensPerSecond.toFixed(1)} tokens/s`;
  byId('tokens').textContent = nTokens;
}

// As it comes, the speed is that of the pieces so far; the server's own figures follow at the end.
async function receive(response, start, shown) {
  let text = '', nPieces = 0, first = null;
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    const delta = event.choices?.[0]?.delta ?? {};
    if (delta.content || delta.reasoning_content) {
      first ??= performance.now();
      ++nPieces;
      text += delta.content ?? '';
      shown.body.textContent = text;
      shown.thought.textContent += delta.reasoning_content ?? '';
      byId('log').scrollTop = byId('log').scrollHeight;
      const seconds = (performance.now() - first) / 1000;
      showFigures(first - start, nPieces, nPieces > 1 && seconds > 0 ? (nPieces - 1) / seconds : null);
    }
    if (event.usage && first !== null) {
      const speed = event.timings?.predicted_per_second ?? null;
      showFigures(first - start, event.usage.completion_tokens, speed);
    }
  }
  return text;
}

async function send(prompt) {
  showError('');
  messages.push({ role: 'user', content: prompt });
  addMessage('user', prompt);
  const shown = addMessage('assistant', '');
  request = new AbortController();
  setBusy(true);
  const start = performance.now();
  try {
    const response = await fetch('/v1/chat/completions', {
      method: 'POST', headers: headers(), signal: request.signal,
      body: JSON.stringify({
        model: byId('model').value, messages, stream: true, stream_options: { include_usage: true },
        temperature: Number(byId('temperature').value), max_tokens: Number(byId('max_tokens').value),
      }),
    });
    if (!response.ok) throw await failure(response);
    messages.push({ role: 'assistant', content: await receive(response, start, shown) });
  } catch (error) {
    const stopped = error.name === 'AbortError';
    if (stopped) messages.push({ role: 'assistant', content: shown.body.textContent });
    else { messages.pop(); showError(error instanceof TypeError ? 'The server cannot be reached. Is it still running?' : error.message); }
  }
  request = null;
  setBusy(false);
  refresh();
}

// ---- figures beside it ----

function bytes(n) {
  if (n === 0) return '0';
  const unit = Math.min(3, Math.floor(Math.log2(n) / 10));
  return `${(n / 2 ** (10 * unit)).toFixed(unit ? 1 : 0)} ${['B', 'KiB', 'MiB', 'GiB'][unit]}`;
}

function showMemory(model) {
  const rows = [['', 'VRAM', 'RAM'], ...[['Model', 'model_bytes'], ['Context', 'context_bytes'], ['Compute', 'compute_bytes']]
    .map(([name, kind]) => [name, bytes(model.vram[kind]), bytes(model.host[kind])])];
  byId('memory').tBodies[0].replaceChildren(...rows.map((row) => {
    const line = document.createElement('tr');
    row.forEach((text, i) => {
      const cell = document.createElement(i ? 'td' : 'th');
      cell.textContent = text;
      line.append(cell);
    });
    return line;
  }));
}

// One cell per expert (across) and layer (down). While something is generated: what was chosen since the last look.
function showExperts(model) {
  const layers = model.layers.filter((layer) => layer.hits);
  const before = lastHits.get(model.model);
  lastHits.set(model.model, layers.map((layer) => layer.hits));
  const canvas = byId('heat');
  if (!layers.length) {
    canvas.height = 0;
    byId('experts_note').textContent = '';
    byId('heat_text').textContent = model.layers.length
      ? 'Not counted: the experts are on the GPU, libggml-moe is off, or several such models are loaded.' : 'This model has no experts.';
    return;
  }
  const since = layers.map((layer, l) => layer.hits.map((n, e) => n - (before?.[l]?.[e] ?? 0)));
  const recent = since.some((row) => row.some((n) => n > 0)) && before;
  const shown = recent ? since : layers.map((layer) => layer.hits);
  const most = Math.max(1, ...shown.flat());
  const style = getComputedStyle(document.documentElement);
  const [cold, hot] = ['--cold', '--hot'].map((name) => style.getPropertyValue(name).trim().split(' ').map(Number));
  const width = Math.max(...shown.map((row) => row.length));
  const scale = Math.max(1, Math.floor(320 / width));
  canvas.width = width * scale;
  canvas.height = shown.length * Math.max(scale, 4);
  const draw = canvas.getContext('2d');
  shown.forEach((row, l) => row.forEach((n, e) => {
    const part = n / most;
    draw.fillStyle = `rgb(${cold.map((c, i) => Math.round(c + (hot[i] - c) * part)).join(' ')})`;
    draw.fillRect(e * scale, l * Math.max(scale, 4), scale, Math.max(scale, 4));
  }));
  const used = layers.flatMap((layer) => layer.hits);
  byId('experts_note').textContent = recent ? '(just now)' : '(since the start)';
  byId('heat_text').textContent = `${layers.length} layers of ${width} experts; ${used.filter((n) => !n).length} of ${used.length} never chosen`;
}

function showModels(models) {
  const select = byId('model'), chosen = select.value;
  const names = models.map((model) => model.name);
  if ([...select.options].map((option) => option.value).join('\n') !== names.join('\n')) {
    select.replaceChildren(...names.map((name) => new Option(name, name)));
    const loaded = models.find((model) => model.state === 'ready');
    select.value = names.includes(chosen) ? chosen : (loaded ?? models[0])?.name ?? '';
  }
  const current = models.find((model) => model.name === select.value);
  byId('state').textContent = current ? `${current.quantization}, ${bytes(current.size_bytes)}, ${current.state}` : 'no models were found';
}

async function refresh() {
  try {
    showModels((await getJson('/api/models')).models);
    const model = (await getJson('/v1/moe?measure=bandwidth')).models.find((one) => one.model === byId('model').value);
    if (!model) return;
    byId('ceiling').textContent = model.decode_ceiling_tps === null ? '–' : `${model.decode_ceiling_tps.toFixed(0)} tokens/s`;
    showMemory(model);
    showExperts(model);
    if (byId('error').dataset.from === 'refresh') { showError(''); delete byId('error').dataset.from; }
  } catch (error) {
    if (!byId('error').hidden) return;
    showError(error instanceof TypeError ? 'The server cannot be reached. Is it still running?' : error.message);
    byId('error').dataset.from = 'refresh';
  }
}

async function poll() {
  await refresh();
  setTimeout(poll, request ? POLL_BUSY_MS : POLL_IDLE_MS);
}

// ---- input ----

byId('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const prompt = byId('prompt').value.trim();
  if (!prompt || request) return;
  byId('prompt').value = '';
  send(prompt);
});
byId('prompt').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byId('form').requestSubmit();
  }
});
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') request?.abort(); });
byId('stop').addEventListener('click', () => request?.abort());
byId('clear').addEventListener('click', () => {
  request?.abort();
  messages = [];
  byId('log').replaceChildren();
  showError('');
  byId('prompt').focus();
});
byId('model').addEventListener('change', refresh);
byId('key').addEventListener('change', refresh);
poll();
