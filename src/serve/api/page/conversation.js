// The conversation, and how an answer is asked for and received.
let conversation = newConversation();
let request = null;  // AbortController of the answer that is being generated

function showConversation() {
  shownMessages.clear();
  for (const element of document.querySelectorAll('.message')) element.remove();
  thread(conversation).forEach(addMessage);
}

function setBusy(isBusy) {
  byId('send').disabled = isBusy;
  byId('stop').disabled = !isBusy;
  byId('model').disabled = isBusy;
  byId('log').classList.toggle('busy', isBusy);
}

// As chat templates want them: questions and answers take turns, also after a message was deleted.
function turns(messages) {
  const all = [];
  for (const message of messages) {
    if (all.at(-1)?.role === message.role) all.at(-1).parts.push(...partsOf(message));
    else all.push({ role: message.role, parts: partsOf(message) });
  }
  return all.map(({ role, parts }) => ({ role, content: contentOf(parts) }));
}

// The last message is the answer that is to come. One that has begun is sent, and the server continues it.
function requestBody(messages) {
  const answer = messages.at(-1), begun = answer.content || answer.reasoning_content
    ? [{ role: 'assistant', content: answer.content, ...(answer.reasoning_content ? { reasoning_content: answer.reasoning_content } : {}) }] : [];
  return JSON.stringify({
    model: byId('model').value,
    messages: [...(systemPrompt() ? [{ role: 'system', content: systemPrompt() }] : []), ...turns(messages.slice(0, -1)), ...begun],
    stream: true, stream_options: { include_usage: true }, ...settings(),
  });
}

// As it comes, the speed is that of the pieces so far; the server's own figures follow at the end. Returns how many
// pieces came, also of an answer that ends early.
async function receive(response, start, answer) {
  const mine = request, nBefore = answer.n_tokens ?? 0;
  let nPieces = 0, first = null, drawn = true;
  const draw = () => {
    drawn = true;
    drawMessage(answer);
    setStreaming(answer, request === mine);
  };
  for await (const event of events(response)) {
    if (event.error) throw new Error(event.error.message);
    const choice = event.choices?.[0] ?? {}, delta = choice.delta ?? {};
    if (delta.content || delta.reasoning_content) {
      first ??= performance.now();
      answer.n_tokens = nBefore + ++nPieces;
      answer.ttft_ms = first - start;
      answer.content += delta.content ?? '';
      answer.reasoning_content += delta.reasoning_content ?? '';
      if (drawn) requestAnimationFrame(draw);
      drawn = false;
      const seconds = (performance.now() - first) / 1000;
      showFigures(first - start, nPieces, nPieces > 1 && seconds > 0 ? (nPieces - 1) / seconds : null);
    }
    if (choice.finish_reason) answer.end = choice.finish_reason;
    if (event.usage) {
      answer.n_tokens = nBefore + event.usage.completion_tokens;
      answer.n_context = event.usage.total_tokens;
      answer.ttft_ms = (first ?? performance.now()) - start;
      answer.tokens_per_second = event.timings?.predicted_per_second ?? null;
      showFigures(answer.ttft_ms, event.usage.completion_tokens, answer.tokens_per_second);
    }
  }
}

// Asks for the last message, or for more of it. If nothing comes of it, the conversation is `before` again.
async function generate(before) {
  const mine = conversation, answer = thread(mine).at(-1), nBefore = answer.n_tokens ?? 0, endBefore = answer.end;
  const abort = request = new AbortController();
  let isWhole = true;
  showError('');
  answer.end = '';
  drawMessage(answer);
  setStreaming(answer, true);
  setBusy(true);
  saveConversation(mine);
  pollIn(POLL_BUSY_MS);
  try {
    const problem = refusal(thread(mine).flatMap(({ files = [] }) => files));
    if (problem) throw new Error(problem);
    const start = performance.now(), body = requestBody(thread(mine));
    const response = await fetch('v1/chat/completions', { method: 'POST', headers: headers(), signal: abort.signal, body });
    if (!response.ok) throw await failure(response);
    await receive(response, start, answer);
  } catch (error) {
    const isStop = error.name === 'AbortError';
    isWhole = isStop || (answer.n_tokens ?? 0) > nBefore;
    answer.end = isWhole ? 'stopped' : endBefore;
    if (!isStop) showError(errorText(error));
  }
  if (request === abort) {
    request = null;
    setBusy(false);
  }
  if (!isWhole) Object.assign(mine, before);
  saveConversation(mine);
  if (mine === conversation) {
    if (!isWhole) showConversation();
    drawMessage(answer);
    setStreaming(answer, false);
  }
  refresh();
  return isWhole;
}

function newAnswer() {
  return { role: 'assistant', content: '', reasoning_content: '', model: byId('model').value };
}

const asItIs = ({ messages, shown }) => ({ messages, shown });

// The question follows the message `parent`, beside what else follows it.
async function ask(prompt, files, parent = conversation.shown) {
  const before = asItIs(conversation);
  append(conversation, { role: 'user', content: prompt, ...(files.length ? { files } : {}) }, parent);
  append(conversation, newAnswer(), conversation.shown);
  showConversation();
  if (await generate(before)) return;
  byId('prompt').value ||= prompt;  // as if it had not been sent
  if (!attached.length) setAttached(files);
}

async function regenerate(message) {
  if (request) return;
  const before = asItIs(conversation);
  append(conversation, newAnswer(), message.parent);
  showConversation();
  await generate(before);
}

async function continueAnswer(message) {
  if (!request && conversation.shown === message.id) await generate(asItIs(conversation));
}

// The version `step` places further; the button that was pressed stays where it is.
function stepVersion(message, step) {
  const versions = versionsOf(conversation, message), next = versions[versions.indexOf(message) + step];
  if (request || !next) return;
  showVersion(conversation, next);
  saveConversation(conversation);
  showConversation();
  const { element, actions } = shownMessages.get(next);
  element.scrollIntoView({ block: 'nearest' });
  [...actions.querySelectorAll(step > 0 ? '.next, .previous' : '.previous, .next')].find((button) => !button.disabled)?.focus({ preventScroll: true });
}

function deleteMessage(message) {
  if (request) return;
  const nLost = versionsOf(conversation, message).length > 1 ? branch(conversation, message).length - 1 : 0;
  if (nLost && !confirm(`Delete this version and the ${nLost} ${nLost === 1 ? 'message' : 'messages'} after it?`)) return;
  removeMessage(conversation, message);
  saveConversation(conversation);
  showConversation();
}

function startAnew() {
  openConversation(newConversation());
  byId('prompt').focus();
}
