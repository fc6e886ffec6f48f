// Requests to this server, and their errors.
'use strict';
const byId = (id) => document.getElementById(id);
const UNREACHABLE = 'The server cannot be reached. Is it still running?';

function headers() {
  const key = byId('key').value;
  return { 'Content-Type': 'application/json', ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

async function failure(response) {
  let message = '';
  try { message = (await response.json()).error.message; } catch { /* no JSON */ }
  return new Error(message || `the server answered ${response.status}`);
}

async function getJson(path) {
  const response = await fetch(path, { headers: headers() });
  if (!response.ok) throw await failure(response);
  return response.json();
}

// The events of a streamed answer, as parsed JSON.
async function* events(response) {
  const decoder = new TextDecoder();
  let unread = '';
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return;
    unread += decoder.decode(value, { stream: true });
    const parts = unread.split('\n\n');
    unread = parts.pop();
    for (const part of parts) {
      if (part.startsWith('data: ') && part !== 'data: [DONE]') yield JSON.parse(part.slice(6));
    }
  }
}

const errorText = (error) => (error instanceof TypeError ? UNREACHABLE : error.message);

function showError(text) {
  byId('error').textContent = text;
  byId('error').hidden = !text;
}
