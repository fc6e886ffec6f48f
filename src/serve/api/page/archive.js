// Conversations that the browser keeps, in IndexedDB: images are too large for localStorage. Where it keeps none (its storage
// is off or full), a conversation lasts as long as the page.
const CONVERSATIONS = 'conversations', EARLIER = 'conversation.';  // earlier versions of this page kept them in localStorage
const unkept = new Map();  // id → conversation

const database = new Promise((done) => {
  try {
    const opening = indexedDB.open('shimmy', 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(CONVERSATIONS, { keyPath: 'id' });
    opening.onsuccess = () => done(opening.result);
    opening.onerror = () => done(null);
  } catch {
    done(null);
  }
});

// `ask` gets the store and may return a request, whose result this is. Rejects where nothing is kept.
async function inArchive(mode, ask) {
  const open = await database;
  if (!open) throw new Error('nothing is kept');
  return new Promise((done, fail) => {
    const transaction = open.transaction(CONVERSATIONS, mode);
    const asked = ask(transaction.objectStore(CONVERSATIONS));
    transaction.oncomplete = () => done(asked?.result);
    transaction.onabort = () => fail(transaction.error);
  });
}

async function keepConversation({ id, changed, shown, messages }) {
  const copy = structuredClone({ id, changed, shown, messages });
  try {
    await inArchive('readwrite', (store) => store.put(copy));
    unkept.delete(id);
  } catch {
    unkept.set(id, copy);
  }
}

async function forgetConversation(id) {
  unkept.delete(id);
  try { await inArchive('readwrite', (store) => store.delete(id)); } catch { /* it holds nothing */ }
}

function readKept(document) {
  try { return readConversation(document); } catch { return null; }
}

// Null where there is none or it is damaged.
async function keptConversation(id) {
  if (unkept.has(id)) return readKept(structuredClone(unkept.get(id)));
  try { return readKept(await inArchive('readonly', (store) => store.get(id))); } catch { return null; }
}

// One after another, since all of them with their images may be large.
async function eachConversation(visit) {
  for (const one of unkept.values()) visit(readConversation(one));
  try {
    await inArchive('readonly', (store) => {
      store.openCursor().onsuccess = ({ target }) => {
        if (!target.result) return;
        const one = unkept.has(target.result.key) ? null : readKept(target.result.value);
        if (one) visit(one);
        target.result.continue();
      };
    });
  } catch { /* it holds nothing */ }
}

async function moveEarlierConversations() {
  for (const key of keptKeys(EARLIER)) {
    const one = readKept({ ...kept(key), id: key.slice(EARLIER.length) });
    if (!one || await keptConversation(one.id)) continue;
    await keepConversation(one);
    if (!unkept.has(one.id)) forget(key);
  }
}
