// Looks at the server again and again, and takes what a person types and clicks.
const POLL_IDLE_MS = 5000, POLL_BUSY_MS = 500;

async function refresh() {
  try {
    models = (await getJson('api/models')).models;
    showModels();
    showContext((await getJson('v1/models')).data.find((one) => one.id === byId('model').value)?.meta.n_ctx);
    const model = (await getJson('v1/moe?measure=bandwidth')).models.find((one) => one.model === byId('model').value);
    if (!model) return showUnloaded();
    byId('ceiling').textContent = model.decode_ceiling_tps === null ? '–' : `${model.decode_ceiling_tps.toFixed(0)} tokens/s`;
    showMemory(model);
    showExperts(model);
    if (byId('error').dataset.from === 'refresh') { showError(''); delete byId('error').dataset.from; }
  } catch (error) {
    if (!byId('error').hidden) return;
    showError(errorText(error));
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

byId('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  await Promise.all([opened, reading]);
  const prompt = byId('prompt').value.trim(), files = attached;
  if (!(prompt || files.length) || request) return;
  delete byId('error').dataset.from;
  byId('prompt').value = '';
  setAttached([]);
  ask(prompt, files);
});
byId('prompt').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    byId('form').requestSubmit();
  }
});
document.addEventListener('keydown', (event) => { if (event.key === 'Escape' && !byId('history').open) request?.abort(); });
byId('stop').addEventListener('click', () => request?.abort());
byId('clear').addEventListener('click', startAnew);
byId('model').addEventListener('change', refresh);
byId('key').addEventListener('change', refresh);

async function openLast() {
  await moveEarlierConversations();
  openConversation(await keptConversation(location.hash.slice(1)) ?? conversation);
  byId('log').setAttribute('aria-busy', 'false');
}

const opened = openLast();
poll();
