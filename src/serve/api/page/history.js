// Conversations that the browser keeps: a list to search, open, export and delete from.
const CONVERSATION = 'conversation.';

function saveConversation(one) {
  if (one.isDeleted) return;
  if (!one.messages.length) return forget(CONVERSATION + one.id);
  one.changed = Date.now();
  keep(CONVERSATION + one.id, one);
  if (one === conversation) history.replaceState(null, '', `#${one.id}`);  // found again when the page is loaded again
}

const isMessage = (one) => ['user', 'assistant'].includes(one?.role) && typeof one.content === 'string';

// Null where there is none or it is damaged.
function loadConversation(id) {
  const one = kept(CONVERSATION + id);
  return Array.isArray(one?.messages) && one.messages.every(isMessage) ? { ...one, id } : null;
}

function allConversations() {
  const all = keptKeys(CONVERSATION).map((key) => loadConversation(key.slice(CONVERSATION.length))).filter((one) => one);
  return all.sort((a, b) => b.changed - a.changed);
}

function titleOf(one) {
  const first = one.messages.find((message) => message.role === 'user') ?? one.messages[0];
  const line = first.content.trim().split('\n')[0];
  return line.length > 70 ? `${line.slice(0, 69)}…` : line;
}

function openConversation(one) {
  request?.abort();
  conversation = one;
  showConversation();
  showError('');
  history.replaceState(null, '', one.messages.length ? `#${one.id}` : location.pathname + location.search);
}

function exportConversations(all) {
  const plain = all.map((one) => ({ title: titleOf(one), changed: new Date(one.changed).toISOString(), messages: one.messages }));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify({ conversations: plain }, null, 2)], { type: 'application/json' }));
  link.download = all.length === 1 ? 'conversation.json' : 'conversations.json';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function deleteConversation(one) {
  if (!confirm(`Delete "${titleOf(one)}"?`)) return;
  forget(CONVERSATION + one.id);
  if (one.id === conversation.id) {
    conversation.isDeleted = true;  // an answer that still comes does not bring it back
    openConversation(newConversation());
  }
  showHistory();
}

function historyItem(one) {
  const item = make('li', 'kept');
  const title = makeButton('title', titleOf(one), () => {
    byId('history').close();
    openConversation(one.id === conversation.id ? conversation : one);
  });
  title.append(make('span', 'muted', `${new Date(one.changed).toLocaleString()}, ${one.messages.length} messages`));
  item.append(title, makeButton('export', 'Export', () => exportConversations([one])), makeButton('delete', 'Delete', () => deleteConversation(one)));
  return item;
}

function showHistory() {
  const all = allConversations(), wanted = byId('search').value.trim().toLowerCase();
  const found = all.filter((one) => one.messages.some(({ content }) => content.toLowerCase().includes(wanted)));
  byId('kept').replaceChildren(...found.map(historyItem));
  byId('export_all').disabled = !all.length;
  byId('history_note').textContent = [
    all.length ? (found.length ? '' : 'No message contains this.') : 'There are no conversations yet.',
    unkept.size ? 'This browser keeps nothing for this page: what is here is lost when the page is closed.' : ''].join(' ').trim();
}

byId('conversations').addEventListener('click', () => {
  byId('search').value = '';
  showHistory();
  byId('history').showModal();
});
byId('search').addEventListener('input', showHistory);
byId('export_all').addEventListener('click', () => exportConversations(allConversations()));
byId('history_close').addEventListener('click', () => byId('history').close());
