// Conversations as a file: export, and import of what export wrote.
const MAX_IMPORT_BYTES = 256 * 2 ** 20;

function exportConversations(all) {
  const plain = all.map((one) => ({ id: one.id, title: titleOf(one), changed: new Date(one.changed).toISOString(), shown: one.shown, messages: one.messages }));
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify({ conversations: plain }, null, 2)], { type: 'application/json' }));
  link.download = all.length === 1 ? 'conversation.json' : 'conversations.json';
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// Throws an Error that says what is wrong with the file.
async function readExport(file) {
  if (file.size > MAX_IMPORT_BYTES) throw new Error(`it is larger than ${bytes(MAX_IMPORT_BYTES)}`);
  let document = null;
  try { document = JSON.parse(await file.text()); } catch { throw new Error('it is not JSON; choose a file that "Export" wrote'); }
  if (!Array.isArray(document?.conversations)) throw new Error('it holds no conversations; choose a file that "Export" wrote');
  return document.conversations.map((one, i) => {
    try {
      return readConversation({ ...one, id: typeof one?.id === 'string' && one.id ? one.id : newConversation().id, changed: Date.parse(one?.changed) });
    } catch (error) {
      throw new Error(`conversation ${i + 1} is damaged: ${error.message}`);
    }
  });
}

// Beside what is here: a conversation that went on here since it was exported stays, and the other comes as a new one.
async function takeIn(one) {
  const here = await keptConversation(one.id);
  if (here && JSON.stringify(here.messages) === JSON.stringify(one.messages)) return false;
  await keepConversation(here ? { ...one, id: newConversation().id } : one);
  return true;
}

// All of the file or, where something is wrong with it, nothing. Returns what was done, for people.
async function importConversations(file) {
  let all = [], nNew = 0;
  try { all = await readExport(file); } catch (error) { throw new Error(`${file.name} was not imported: ${error.message}`); }
  for (const one of all) nNew += await takeIn(one) ? 1 : 0;
  const same = all.length - nNew;
  return `${file.name}: ${nNew} ${nNew === 1 ? 'conversation' : 'conversations'} imported${same ? `, ${same} already here` : ''}.`;
}
