// Conversations that are imported into the page of `shimmy serve`: prints what was seen as JSON.
// usage: import_check.mjs PLAYWRIGHT URL [SCREENSHOTS]
import { readFileSync } from 'fs';
import { answerWith, ask, launch, list, open, openList, read } from './chat_page.mjs';
const [playwright, url, screenshots] = process.argv.slice(2);
const browser = await launch(playwright);
const errors = [], view = {};

// A conversation with two versions of its answer, the first of which is shown.
const branched = await open(await browser.newContext({ acceptDownloads: true }), url, errors);
await answerWith(branched, 'One.');
await ask(branched, 'What is a hill?');
await answerWith(branched, 'Two.');
await branched.click('.regenerate');
await branched.waitForFunction(() => document.querySelector('.version')?.textContent === '2 / 2' && document.getElementById('stop').disabled);
await branched.click('.previous');
await openList(branched);

// Into another browser; files that are none.
const [download] = await Promise.all([branched.waitForEvent('download'), branched.click('#export_all')]);
const file = readFileSync(await download.path());
const other = await open(await browser.newContext(), url, errors);
await openList(other);
const give = async (name, content, holds) => {
  await other.setInputFiles('#import_file', { name, mimeType: 'application/json', buffer: Buffer.from(content) });
  return list(other, holds);
};
view.imported = await give('conversations.json', file, (seen) => seen.note.includes('imported'));
view.importedAgain = await give('again.json', file, (seen) => seen.note.startsWith('again.json'));

const [hill] = JSON.parse(file).conversations;
const wrong = {
  'text.json': 'no JSON', 'other.json': '{"messages": []}', 'empty.json': '{"conversations": [{"messages": []}]}',
  'role.json': JSON.stringify({ conversations: [hill, { messages: [{ role: 'system', content: 'x' }] }] }),
  'loop.json': JSON.stringify({ conversations: [{ messages: [{ role: 'user', content: 'x', id: 1, parent: 2 }, { role: 'user', content: 'y', id: 2, parent: 1 }] }] }),
  'twice.json': JSON.stringify({ conversations: [{ messages: [{ role: 'user', content: 'x', id: 1, parent: null }, { role: 'user', content: 'y', id: 1, parent: null }] }] }),
  'image.json': JSON.stringify({ conversations: [{ messages: [{ role: 'user', content: 'x', files: [{ type: 'image', name: 'x', url: 'https://evil.example/x.png' }] }] }] }),
};
view.wrong = {};
for (const [name, content] of Object.entries(wrong)) view.wrong[name] = (await give(name, content, (seen) => seen.error.startsWith(name))).error;
if (screenshots) await other.screenshot({ path: `${screenshots}/import.png` });
view.afterWrong = (await list(other)).titles;
// One that went on elsewhere comes beside the one that is here.
hill.messages.push({ role: 'user', content: 'And a mountain?', id: 9, parent: hill.messages.at(-1).id });
view.importedBeside = (await give('beside.json', JSON.stringify({ conversations: [hill] }), (seen) => seen.note.startsWith('beside.json'))).titles;
await other.click('#kept li:nth-child(1) .title');
await other.waitForFunction(() => document.querySelector('.version'));
view.branches = [(await read(other)).messages[1]];
await other.click('.next');
view.branches.push((await read(other)).messages[1]);
view.branches = view.branches.map(({ text, version }) => `${version}: ${text.trim()}`);

view.errors = errors;
await browser.close();
console.log(JSON.stringify(view));
