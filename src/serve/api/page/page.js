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

const UNREACHABLE = 'The server cannot be reached. Is it still running?';
const markdown = markdownit({ html: false, linkify: false, breaks: true });  // what a model writes is never markup of ours
markdown.renderer.rules.link_open = (tokens, i, options, env, self) => {
  tokens[i].attrSet('target', '_blank');
  tokens[i].attrSet('rel', 'noreferrer');
  return self.renderToken(tokens, i, options);
};
// Nothing is asked of other servers: an image stays the text that names it.
markdown.renderer.rules.image = (tokens, i) => markdown.utils.escapeHtml(`![${tokens[i].content}](${tokens[i].attrGet('src')})`);

function showError(text) {
  byId('error').textContent = text;
  byId('error').hidden = !text;
}

const isAtEnd = () => byId('log').scrollHeight - byId('log').scrollTop - byId('log').clientHeight < 60;
const scrollToEnd = () => { byId('log').scrollTop = byId('log').scrollHeight; };

function addMessage(role, text) {
  const element = document.createElement('div');
  element.className = `message ${role}`;
  const parts = Object.fromEntries([['who', 'div'], ['thought', 'div'], ['text', 'div'], ['took', 'div']].map(([name, tag]) => {
    const part = document.createElement(tag);
    part.className = name;
    return [name, part];
  }));
  parts.who.textContent = role === 'user' ? 'You' : byId('model').value;
  parts.text.textContent = text;
  element.append(...Object.values(parts));
  byId('log').append(element);
  scrollToEnd();
  return { element, ...parts };
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

// As it comes, the speed is that of the pieces so far; the server's own figures follow at the end. Fills `answer`, so that
// what came of an answer that ends early is known.
async function receive(response, start, shown, answer) {
  let nPieces = 0, first = null, drawn = true;
  const draw = () => {
    drawn = true;
    const follow = isAtEnd();
    shown.text.innerHTML = markdown.render(answer.text);
    shown.thought.textContent = answer.thought;
    if (follow) scrollToEnd();
  };
  try {
    for await (const event of events(response)) {
      if (event.error) throw new Error(event.error.message);
      const delta = event.choices?.[0]?.delta ?? {};
      if (delta.content || delta.reasoning_content) {
        first ??= performance.now();
        ++nPieces;
        answer.text += delta.content ?? '';
        answer.thought += delta.reasoning_content ?? '';
        if (drawn) requestAnimationFrame(draw);
        drawn = false;
        const seconds = (performance.now() - first) / 1000;
        showFigures(first - start, nPieces, nPieces > 1 && seconds > 0 ? (nPieces - 1) / seconds : null);
      }
      if (event.usage && first !== null) {
        const speed = event.timings?.predicted_per_second ?? null;
        showFigures(first - start, event.usage.completion_tokens, speed);
        shown.took.textContent = `${event.usage.completion_tokens} tokens, first after ${(first - start).toFixed(0)} ms`
          + (speed ? `, ${speed.toFixed(1)} tokens/s` : '');
      }
    }
  } finally {
    draw();
  }
}

function requestBody() {
  const system = byId('system').value.trim();
  return JSON.stringify({
    model: byId('model').value, messages: [...(system ? [{ role: 'system', content: system }] : []), ...messages],
    stream: true, stream_options: { include_usage: true },
    temperature: Number(byId('temperature').value), max_tokens: Number(byId('max_tokens').value),
  });
}

async function send(prompt) {
  showError('');
  messages.push({ role: 'user', content: prompt });
  const asked = addMessage('user', prompt);
  const shown = addMessage('assistant', '');
  shown.element.classList.add('streaming');
  const answer = { text: '', thought: '' };
  const conversation = messages;
  request = new AbortController();
  setBusy(true);
  pollIn(POLL_BUSY_MS);
  try {
    const start = performance.now();
    const response = await fetch('v1/chat/completions', { method: 'POST', headers: headers(), signal: request.signal, body: requestBody() });
    if (!response.ok) throw await failure(response);
    await receive(response, start, shown, answer);
  } catch (error) {
    if (error.name === 'AbortError') shown.took.textContent = 'stopped';
    else showError(error instanceof TypeError ? UNREACHABLE : error.message);
    if (error.name !== 'AbortError' && !answer.text && conversation === messages) {  // as if it had not been sent
      messages.pop();
      asked.element.remove();
      shown.element.remove();
      byId('prompt').value ||= prompt;
    }
  }
  if (conversation === messages && messages.at(-1)?.role === 'user') messages.push({ role: 'assistant', content: answer.text });
  shown.element.classList.remove('streaming');
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
  const rows = [['', 'VRAM', 'RAM'], ...[['Model', 'model_bytes'], ['Context', 'context_bytes'], ['Compute', 'compute_bytes'], ['Experts in VRAM', 'expert_cache_bytes']]
    .filter(([, kind]) => kind !== 'expert_cache_bytes' || model.vram[kind] > 0)
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

function showUnloaded() {
  byId('ceiling').textContent = '–';
  byId('memory').tBodies[0].replaceChildren();
  byId('heat').height = 0;
  byId('scale').hidden = true;
  byId('experts_note').textContent = '';
  byId('heat_text').textContent = 'The model is loaded with the first message.';
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
    showModels((await getJson('api/models')).models);
    const model = (await getJson('v1/moe?measure=bandwidth')).models.find((one) => one.model === byId('model').value);
    if (!model) return showUnloaded();
    byId('ceiling').textContent = model.decode_ceiling_tps === null ? '–' : `${model.decode_ceiling_tps.toFixed(0)} tokens/s`;
    showMemory(model);
    showExperts(model);
    if (byId('error').dataset.from === 'refresh') { showError(''); delete byId('error').dataset.from; }
  } catch (error) {
    if (!byId('error').hidden) return;
    showError(error instanceof TypeError ? UNREACHABLE : error.message);
    byId('error').dataset.from = 'refresh';
  }
}

let timer = 0;
function pollIn(ms) {
  clearTimeout(timer);
  timer = setTimeout(poll, ms);
}

async function poll() {
  await refresh();
  pollIn(request ? POLL_BUSY_MS : POLL_IDLE_MS);
}

// ---- input ----

byId('form').addEventListener('submit', (event) => {
  event.preventDefault();
  const prompt = byId('prompt').value.trim();
  if (!prompt || request) return;
  delete byId('error').dataset.from;
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
  for (const message of document.querySelectorAll('.message')) message.remove();
  showError('');
  byId('prompt').focus();
});
byId('model').addEventListener('change', refresh);
byId('key').addEventListener('change', refresh);
poll();
