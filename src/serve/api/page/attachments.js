// Images and text files of a message: {type: 'image', name, url} (a data: URL) and {type: 'text', name, text}.
const MAX_IMAGE_BYTES = 20 * 2 ** 20, MAX_TEXT_BYTES = 512 * 2 ** 10;
const MAX_PIXELS = 3e6;  // more than projectors look at; larger images are made smaller
const IMAGE_URL = /^data:image\/(png|jpeg|gif|bmp);base64,[A-Za-z0-9+/]+=*$/;  // what the server decodes

let attached = [];             // to the message that is being written
let reading = Promise.resolve();  // of files that were chosen, one after another

const isFile = (file) => typeof file?.name === 'string'
  && (file.type === 'image' ? typeof file.url === 'string' && IMAGE_URL.test(file.url) : file.type === 'text' && typeof file.text === 'string');
const readFile = ({ type, name, url, text }) => (type === 'image' ? { type, name, url } : { type, name, text });

// ---- what the model gets ----

// The longest row of backticks in the text is no end of it.
function quoted({ name, text }) {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([row]) => row.length)), fence = '`'.repeat(longest + 1);
  return `${name}:\n${fence}\n${text}${text.endsWith('\n') ? '' : '\n'}${fence}`;
}

const partsOf = ({ content, files = [] }) => [
  ...files.filter(({ type }) => type === 'image').map(({ url }) => ({ type: 'image_url', image_url: { url } })),
  ...files.filter(({ type }) => type === 'text').map((file) => ({ type: 'text', text: quoted(file) })),
  ...(content || !files.length ? [{ type: 'text', text: content }] : [])];

// Only text is a text, as all models and templates take it.
function contentOf(parts) {
  const all = [];
  for (const part of parts) {
    if (part.type === 'text' && all.at(-1)?.type === 'text') all[all.length - 1] = { type: 'text', text: `${all.at(-1).text}\n\n${part.text}` };
    else all.push(part);
  }
  return all.length === 1 && all[0].type === 'text' ? all[0].text : all;
}

const hasImage = (files = []) => files.some(({ type }) => type === 'image');

// Why the chosen model cannot be asked with such files; '' if it can, or if that is not known.
function refusal(files) {
  const model = chosenModel();
  if (!hasImage(files) || !model || model.input_modalities.includes('image')) return '';
  return `${model.name} takes no images: that needs a model that reads them, and its projector (shimmy serve --mmproj FILE).`;
}

// ---- reading files ----

function dataUrl(blob) {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result);
    reader.onerror = () => fail(reader.error);
    reader.readAsDataURL(blob);
  });
}

// As the server decodes it by its first bytes, whatever it is called; '' for other formats. Whether a photo must be turned is
// known to browsers only, so one that may have to be is drawn here.
async function decodableType(file) {
  const head = new TextDecoder('latin1').decode(await file.slice(0, 65536).arrayBuffer());
  if (head.startsWith('PNG', 1)) return 'image/png';
  if (head.startsWith('GIF8')) return 'image/gif';
  if (head.startsWith('BM')) return 'image/bmp';
  return head.startsWith('ÿØÿ') && !head.includes('Exif') ? 'image/jpeg' : '';
}

async function readImage(file) {
  if (file.size > MAX_IMAGE_BYTES) throw new Error(`${file.name} is larger than ${bytes(MAX_IMAGE_BYTES)}, the limit for an image`);
  let image = null;
  try { image = await createImageBitmap(file); } catch { throw new Error(`${file.name} is not an image that this browser can read`); }
  const { width, height } = image, type = await decodableType(file);
  if (type && width * height <= MAX_PIXELS) return { type: 'image', name: file.name, url: await dataUrl(file.slice(0, file.size, type)) };
  const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (width * height))), canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  canvas.getContext('2d').drawImage(image, 0, 0, canvas.width, canvas.height);
  return { type: 'image', name: file.name, url: canvas.toDataURL(file.type === 'image/jpeg' ? 'image/jpeg' : 'image/png', 0.92) };
}

async function readText(file) {
  if (file.size > MAX_TEXT_BYTES) throw new Error(`${file.name} is larger than ${bytes(MAX_TEXT_BYTES)}, the limit for a text file`);
  let text = null;
  try { text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer()); } catch { /* not UTF-8, or a folder */ }
  if (text === null || text.includes('\0')) throw new Error(`${file.name} is neither a text in UTF-8 nor an image`);
  return { type: 'text', name: file.name, text: text.replaceAll('\r\n', '\n') };
}

async function readAttachment(file) {
  const isImage = file.type.startsWith('image/') && !file.type.startsWith('image/svg');
  if (!isImage) return readText(file);
  const problem = refusal([{ type: 'image' }]);
  if (problem) throw new Error(problem);
  return readImage(file);
}

// Those that can be read are attached; of the others, the first one is told.
function attach(files) {
  reading = reading.then(async () => {
    let problem = '';
    for (const file of files) {
      try { attached.push(await readAttachment(file)); } catch (error) { problem ||= error.message; }
    }
    showError(problem);
    showAttached();
  });
}

// ---- what is shown ----

const fileSize = ({ text }) => bytes(new Blob([text]).size);

// Of a message: an image grows and shrinks with a click, a text unfolds.
function shownFile(file) {
  if (file.type === 'text') {
    const text = make('details', 'file');
    text.append(make('summary', '', `${file.name} (${fileSize(file)})`), make('pre', '', file.text));
    return text;
  }
  const button = makeButton('image', '', () => button.classList.toggle('large')), image = document.createElement('img');
  image.src = file.url;
  image.alt = button.title = file.name;
  button.append(image);
  return button;
}

// Before it is sent: with a button that takes it away again.
function chip(file, remove) {
  const element = make('span', 'chip');
  if (file.type === 'image') {
    const image = document.createElement('img');
    image.src = file.url;
    image.alt = '';
    element.append(image);
  }
  const button = makeButton('remove', '×', remove);
  button.setAttribute('aria-label', `Remove ${file.name}`);
  element.append(make('span', 'name', file.type === 'text' ? `${file.name} (${fileSize(file)})` : file.name), button);
  return element;
}

function showChips(box, files, remove) {
  box.replaceChildren(...files.map((file) => chip(file, () => remove(file))));
  box.hidden = !files.length;
}

function setAttached(files) {
  attached = files;
  showAttached();
}

function showAttached() {
  showChips(byId('attached'), attached, (file) => setAttached(attached.filter((one) => one !== file)));
}

// ---- input ----

byId('attach').addEventListener('click', () => byId('attach_file').click());
byId('attach_file').addEventListener('change', ({ target }) => {
  attach([...target.files]);
  target.value = '';
});
// What is copied from a document is text and an image of it: that is a text.
byId('prompt').addEventListener('paste', (event) => {
  const files = [...event.clipboardData.files];
  if (!files.length || event.clipboardData.getData('text/plain')) return;
  event.preventDefault();
  attach(files);
});
// Anywhere: a browser would leave the page for a file that is dropped beside the field.
const bringsFiles = (event) => event.dataTransfer?.types.includes('Files');
const setDropping = (isDropping) => byId('chat').classList.toggle('dropping', isDropping);
document.addEventListener('dragover', (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  setDropping(true);
});
document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) setDropping(false); });
document.addEventListener('drop', (event) => {
  if (!bringsFiles(event)) return;
  event.preventDefault();
  setDropping(false);
  if (!byId('history').open) attach([...event.dataTransfer.files]);
});
