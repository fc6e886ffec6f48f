// The list of conversations that the browser keeps: to search, open, export, import and delete.
async function saveConversation(one) {
  if (one.isDeleted) return;
  if (one === conversation) history.replaceState(null, '', one.messages.length ? `#${one.id}` : location.pathname + location.search);  // found again when the page is loaded again
  if (!one.messages.length) return forgetConversation(one.id);
  one.changed = Date.now();
  await keepConversation(one);
}

function titleOf(one) {
  const shown = thread(one), first = shown.find((message) => message.role === 'user') ?? shown[0];
  const line = first.content.trim().split('\n')[0] || (first.files ?? []).map((file) => file.name).join(', ');
  return line.length > 70 ? `${line.slice(0, 69)}…` : line;
}

function openConversation(one) {
  request?.abort();
  conversation = one;
  showConversation();
  showError('');
  history.replaceState(null, '', one.messages.length ? `#${one.id}` : location.pathname + location.search);
}

async function deleteConversation({ id, title }) {
  if (!confirm(`Delete "${title}"?`)) return;
  if (id === conversation.id) {
    conversation.isDeleted = true;  // an answer that still comes does not bring it back
    openConversation(newConversation());
  }
  await forgetConversation(id);
  await showHistory();
}

function historyItem({ id, title, changed, nMessages }) {
  const item = make('li', 'kept');
  const open = makeButton('title', title, async () => {
    byId('history').close();
    if (id === conversation.id) return;
    const one = await keptConversation(id);
    if (one) openConversation(one);
  });
  open.append(make('span', 'muted', `${new Date(changed).toLocaleString()}, ${nMessages} ${nMessages === 1 ? 'message' : 'messages'}`));
  item.append(open, makeButton('export', 'Export', async () => exportConversations([await keptConversation(id)])),
    makeButton('delete', 'Delete', () => deleteConversation({ id, title })));
  return item;
}

const holds = ({ messages }, text) => messages.some(({ content, files = [] }) =>
  [content, ...files.flatMap((file) => [file.name, file.text ?? ''])].some((one) => one.toLowerCase().includes(text)));

// Its storage is off, or full.
function unkeptText(nAll) {
  if (!unkept.size) return '';
  return unkept.size === nAll ? 'This browser keeps nothing for this page: what is here is lost when the page is closed.'
    : `This browser had no room for ${unkept.size} of ${nAll} conversations: what is new in them is lost when the page is closed.`;
}

let historyRun = 0;  // a search that is slower than the next one shows nothing

async function showHistory(done = '') {
  const run = ++historyRun, wanted = byId('search').value.trim().toLowerCase(), found = [];
  let nAll = 0;
  await eachConversation((one) => {
    ++nAll;
    if (holds(one, wanted)) found.push({ id: one.id, title: titleOf(one), changed: one.changed, nMessages: thread(one).length });
  });
  if (run !== historyRun) return;
  byId('kept').replaceChildren(...found.sort((a, b) => b.changed - a.changed).map(historyItem));
  byId('export_all').disabled = !nAll;
  byId('history_note').textContent = [done,
    nAll ? (found.length ? '' : 'No message contains this.') : 'There are no conversations yet.',
    unkeptText(nAll)].filter((text) => text).join(' ');
}

async function importFile(file) {
  let done = '', failure = '';
  try { done = await importConversations(file); } catch (error) { failure = error.message; }
  byId('history_error').textContent = failure;
  byId('history_error').hidden = !failure;
  byId('search').value = '';
  await showHistory(done);
}

byId('conversations').addEventListener('click', () => {
  byId('search').value = '';
  byId('history_error').hidden = true;
  showHistory();
  byId('history').showModal();
});
byId('search').addEventListener('input', () => showHistory());
byId('export_all').addEventListener('click', async () => {
  const all = [];
  await eachConversation((one) => all.push(one));
  exportConversations(all.sort((a, b) => b.changed - a.changed));
});
byId('import').addEventListener('click', () => byId('import_file').click());
byId('import_file').addEventListener('change', async ({ target }) => {
  const [file] = target.files;
  if (file) await importFile(file);
  target.value = '';  // the same file may be chosen again
});
byId('history_close').addEventListener('click', () => byId('history').close());
