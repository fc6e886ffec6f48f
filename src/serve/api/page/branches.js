// A conversation is a tree: {id, changed, shown, messages}. Each message names the one before it (`parent`, the number of a
// message, or null); those with the same parent are versions of one another. What is shown is the way from a first message
// to the message `shown`. A parent stands before its children in `messages`.
function newConversation() {
  return { id: Date.now().toString(36) + Math.random().toString(36).slice(2, 8), changed: 0, shown: null, messages: [] };
}

// The messages that are shown, the first one first.
function thread({ messages, shown }) {
  const byNumber = new Map(messages.map((message) => [message.id, message]));
  const all = [];
  for (let message = byNumber.get(shown); message; message = byNumber.get(message.parent)) all.push(message);
  return all.reverse();
}

// Shown from now on, behind the message `parent`. What else stands there stays.
function append(one, message, parent) {
  message.id = one.messages.reduce((most, { id }) => Math.max(most, id), 0) + 1;
  message.parent = parent;
  one.messages = [...one.messages, message];
  one.shown = message.id;
}

const versionsOf = (one, message) => one.messages.filter(({ parent }) => parent === message.parent);

// Shows the message and, of what follows it, the newest.
function showVersion(one, message) {
  one.shown = message.id;
  for (let child = message; child; child = one.messages.findLast(({ parent }) => parent === one.shown)) one.shown = child.id;
}

// The message and all that follows it.
function branch(one, message) {
  const found = new Set([message.id]);
  for (const { id, parent } of one.messages) if (found.has(parent)) found.add(id);
  return one.messages.filter(({ id }) => found.has(id));
}

// A version goes with all that follows it, and the one beside it is shown. The only one goes alone: what follows moves up.
function removeMessage(one, message) {
  const versions = versionsOf(one, message), at = versions.indexOf(message);
  if (versions.length > 1) {
    const gone = branch(one, message);
    one.messages = one.messages.filter((other) => !gone.includes(other));
    showVersion(one, versions[at + 1] ?? versions[at - 1]);
  } else {
    one.messages = one.messages.filter((other) => other !== message);
    for (const child of one.messages) if (child.parent === message.id) child.parent = message.parent;
    if (one.shown === message.id) one.shown = message.parent;
  }
}

// ---- what was kept or comes from a file ----

const FIGURES = { n_tokens: 'number', n_context: 'number', ttft_ms: 'number', tokens_per_second: 'number', end: 'string', model: 'string',
  reasoning_content: 'string' };

// `before`: the messages before it. Throws an Error that says what is wrong with the message.
function readMessage(one, before) {
  const where = `message ${before.length + 1}`;
  if (!['user', 'assistant'].includes(one?.role)) throw new Error(`${where} has no role "user" or "assistant"`);
  if (typeof one.content !== 'string') throw new Error(`${where} has no text`);
  const message = { role: one.role, content: one.content, id: before.length + 1, parent: before.at(-1)?.id ?? null };
  if (one.id !== undefined) {  // earlier versions of this page kept no branches
    const knows = (id) => before.some((other) => other.id === id);
    if (!Number.isSafeInteger(one.id) || one.id < 1 || knows(one.id)) throw new Error(`${where} has no number of its own`);
    if (one.parent !== null && !knows(one.parent)) throw new Error(`${where} follows a message that is not there`);
    Object.assign(message, { id: one.id, parent: one.parent });
  }
  for (const [name, type] of Object.entries(FIGURES)) if (typeof one[name] === type) message[name] = one[name];
  if (one.files !== undefined) {
    if (!Array.isArray(one.files) || !one.files.every(isFile)) throw new Error(`${where} has files that are neither texts nor images`);
    message.files = one.files.map(readFile);
  }
  return message;
}

function readConversation({ id, changed, shown, messages }) {
  if (!Array.isArray(messages) || !messages.length) throw new Error('it has no messages');
  const read = [];
  for (const one of messages) read.push(readMessage(one, read));
  const last = read.some((message) => message.id === shown) ? shown : read.at(-1).id;
  return { id, changed: Number.isFinite(changed) ? changed : 0, shown: last, messages: read };
}
