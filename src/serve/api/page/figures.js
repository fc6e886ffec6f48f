// Speed, memory and what is known of the model, beside the conversation.
function showFigures(ttftMs, nTokens, tokensPerSecond) {
  byId('ttft').textContent = ttftMs === null ? '–' : `${ttftMs.toFixed(0)} ms`;
  byId('speed').textContent = tokensPerSecond === null ? '–' : `${tokensPerSecond.toFixed(1)} tokens/s`;
  byId('tokens').textContent = nTokens;
}

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

function showUnloaded() {
  byId('ceiling').textContent = '–';
  byId('memory').tBodies[0].replaceChildren();
  hideMap('The model is loaded with the first message.');
}

let models = [];  // that the server offers
const chosenModel = () => models.find((model) => model.name === byId('model').value);

function showModels() {
  const select = byId('model'), chosen = select.value;
  const names = models.map((model) => model.name);
  if ([...select.options].map((option) => option.value).join('\n') !== names.join('\n')) {
    select.replaceChildren(...names.map((name) => new Option(name, name)));
    const loaded = models.find((model) => model.state === 'ready');
    select.value = names.includes(chosen) ? chosen : (loaded ?? models[0])?.name ?? '';
  }
  const current = chosenModel();
  byId('state').textContent = current ? `${current.quantization}, ${bytes(current.size_bytes)}, ${current.state}` : 'no models were found';
}

// How much of the context the conversation takes, as the last answer told; `size` is null as long as the model is not loaded.
function showContext(size) {
  const used = thread(conversation).findLast((message) => message.n_context)?.n_context ?? 0;
  byId('context').textContent = size ? `${used} of ${countText(size)}` : '–';
  byId('context_meter').hidden = !size;
  byId('context_meter').value = size ? used / size : 0;
}
