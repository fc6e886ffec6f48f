// One message on the page: who wrote it, its thoughts (folded), its text, how it ended, and what can be done with it.
// A message is data: {id, parent, role, content, files, reasoning_content, model, end, n_tokens, ttft_ms, tokens_per_second}.
const markdown = markdownit({ html: false, linkify: false, breaks: true });  // what a model writes is never markup of ours
markdown.renderer.rules.link_open = (tokens, i, options, env, self) => {
  tokens[i].attrSet('target', '_blank');
  tokens[i].attrSet('rel', 'noreferrer');
  return self.renderToken(tokens, i, options);
};
markdown.validateLink = (link) => /^(https?:\/\/|mailto:)/i.test(link);  // others start programs, or lead into this server
// Nothing is asked of other servers: an image stays the text that names it.
markdown.renderer.rules.image = (tokens, i) => markdown.utils.escapeHtml(`![${tokens[i].content}](${tokens[i].attrGet('src')})`);

withMath(markdown);
withCode(markdown);

const shownMessages = new Map();  // message → its elements by name

const isAtEnd = () => byId('log').scrollHeight - byId('log').scrollTop - byId('log').clientHeight < 60;
const scrollToEnd = () => { byId('log').scrollTop = byId('log').scrollHeight; };

function make(tag, className, text = '') {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

function makeButton(className, text, act) {
  const button = make('button', className, text);
  button.type = 'button';
  button.addEventListener('click', () => act(button));
  return button;
}

// Where the page does not come over HTTPS or from this machine, browsers offer only the old way.
async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = make('textarea', 'for-screen-readers');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}

async function copyMessage(message, button) {
  await copyText(message.content);
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = 'Copy'; }, 1500);
}

// Between the versions of a message, where there are several.
function makeArrows(message) {
  const versions = versionsOf(conversation, message), at = versions.indexOf(message);
  if (versions.length < 2) return [];
  const arrow = (className, text, name, step) => {
    const button = makeButton(className, text, () => stepVersion(message, step));
    button.setAttribute('aria-label', name);
    button.disabled = !versions[at + step];
    return button;
  };
  return [arrow('previous', '‹', 'Previous version', -1), make('span', 'version', `${at + 1} / ${versions.length}`), arrow('next', '›', 'Next version', 1)];
}

function makeActions(message) {
  const actions = make('div', 'actions');
  const copy = makeButton('copy', 'Copy', (button) => copyMessage(message, button));
  const own = message.role === 'user'
    ? [makeButton('edit', 'Edit', () => editMessage(message))]
    : [makeButton('regenerate', 'Regenerate', () => regenerate(message)), makeButton('continue', 'Continue', () => continueAnswer(message))];
  actions.append(...makeArrows(message), copy, ...own, makeButton('delete', 'Delete', () => deleteMessage(message)));
  return actions;
}

function addMessage(message) {
  const parts = { element: make('article', `message ${message.role}`), who: make('div', 'who'), thought: make('details', 'thought'),
    files: make('div', 'files'), text: make('div', 'text'), took: make('div', 'took'), cut: make('div', 'cut'), actions: makeActions(message) };
  parts.thought.append(make('summary', '', 'Thoughts'), make('div', 'thinking'));
  parts.files.append(...(message.files ?? []).map(shownFile));
  parts.element.append(parts.who, parts.thought, parts.files, parts.text, parts.took, parts.cut, parts.actions);
  shownMessages.set(message, parts);
  byId('log').append(parts.element);
  drawMessage(message);
  scrollToEnd();
}

const countText = (n) => `${n} ${n === 1 ? 'token' : 'tokens'}`;

function tookText({ end, n_tokens, ttft_ms, tokens_per_second }) {
  if (end === 'stopped') return 'stopped';
  if (!n_tokens) return '';
  return countText(n_tokens) + (ttft_ms ? `, first after ${ttft_ms.toFixed(0)} ms` : '') + (tokens_per_second ? `, ${tokens_per_second.toFixed(1)} tokens/s` : '');
}

function drawMessage(message) {
  const parts = shownMessages.get(message);
  if (!parts) return;  // of a conversation that is not shown
  const follow = isAtEnd();
  parts.who.textContent = message.role === 'user' ? 'You' : message.model;
  if (message.role === 'user') parts.text.textContent = message.content;
  else parts.text.innerHTML = markdown.render(message.content);
  parts.thought.hidden = !message.reasoning_content;
  parts.thought.lastChild.textContent = message.reasoning_content ?? '';
  parts.took.textContent = tookText(message);
  const cut = message.end === 'length';
  parts.cut.textContent = cut ? `Cut off after ${countText(message.n_tokens)}` : '';
  parts.element.classList.toggle('unfinished', cut || message.end === 'stopped');
  if (follow) scrollToEnd();
}

// Thoughts are open while they come, and are folded when the answer begins.
function setStreaming(message, isStreaming) {
  const parts = shownMessages.get(message);
  if (!parts) return;
  parts.element.classList.toggle('streaming', isStreaming);
  parts.thought.open = isStreaming && !message.content;
}

// A question's text becomes a field; what is sent stands beside the question as another version of it.
function editMessage(message) {
  const { text, files: shownFiles, actions } = shownMessages.get(message), chips = make('div', 'chips');
  let files = message.files ?? [];
  const showFiles = () => showChips(chips, files, (file) => {
    files = files.filter((one) => one !== file);
    showFiles();
  });
  const field = make('textarea', 'editing');
  field.value = message.content;
  field.rows = Math.min(12, message.content.split('\n').length + 1);
  field.setAttribute('aria-label', 'Edited message');
  const close = () => {
    text.replaceChildren(message.content);
    shownFiles.hidden = actions.hidden = false;
  };
  const send = () => {
    if (request || !(field.value.trim() || files.length)) return;
    close();
    ask(field.value.trim(), files, message.parent);
  };
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { event.stopPropagation(); close(); }
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
  });
  const buttons = make('div', 'buttons');
  buttons.append(makeButton('resend', 'Send', send), makeButton('', 'Cancel', close),
    make('span', 'muted', 'This message as it is, and what follows it, can be found again with the arrows.'));
  showFiles();
  text.replaceChildren(chips, field, buttons);
  shownFiles.hidden = actions.hidden = true;
  field.focus();
}
