// A stand-in for the Hugging Face Hub on loopback: two hosts, 127.0.0.1 for the Hub and localhost for its storage. The
// official client (../official_client.mjs) is what shows that it behaves like one.
//   usage: node main.mjs FOLDER ['{"setting": …}']    prints {"endpoint", "storage"} as one line
// POST /_control/settings {…}, /_control/fault {rule}, /_control/mend, /_control/expire, /_control/release {path}; GET /_control/log, /_control/state
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { Faults } from './faults.mjs';
import { HubApi } from './hub_api.mjs';
import { Rejected } from './repository.mjs';
import { bodyText, Storage } from './storage.mjs';

const settings = {
  tokens: { hf_test_write: { name: 'user', role: 'write' }, hf_test_read: { name: 'user', role: 'read' }, hf_test_other: { name: 'other', role: 'write' } },
  lfs_from_bytes: 10 << 20,
  multipart_from_bytes: 4 << 20,
  chunk_bytes: 1 << 20,
  url_ttl_ms: 15 * 60 * 1000,
  keep_upload_id: false,  // a second batch call for an unfinished object goes on with it
  page_size: 1000,
  upload_modes: {},
  ignored: [],
  renamed: {},            // old name -> new name
  private: [],            // which of `preload` are
  yaml_errors: [],
  yaml_warnings: [],
  ignore_ranges: false,   // the storage sends whole files
  preload: {},            // repository -> { path in it: file here }, as large files
  ...JSON.parse(process.argv[3] ?? '{}'),
};
fs.mkdirSync(process.argv[2], { recursive: true });
const storage = new Storage(process.argv[2], settings);
const hub = new HubApi(storage, settings);
const faults = new Faults();
const log = [];
const held = [];          // { path: of the rule, release: lets it be answered }
for (const [name, files] of Object.entries(settings.preload)) hub.preload(name, files);

// More than any commit of the tests: a body that is cut ends in half a line, wherever the network put the cut.
const KEPT_BODY_BYTES = 16 << 20;

// Notes the request as it comes in; large bodies are counted only.
function note(host, request) {
  const entry = { host, method: request.method, url: request.url, headers: request.headers, body_bytes: 0, body: '', sent_bytes: 0, status: null };
  log.push(entry);
  request.on('data', (piece) => {
    entry.body_bytes += piece.length;
    if (entry.body.length < KEPT_BODY_BYTES && host === 'hub') entry.body += piece.toString('latin1');
  });
  request.pause();
  return entry;
}

async function control(request, url) {
  const call = url.pathname.slice('/_control/'.length);
  if (call === 'log') return { json: log };
  if (call === 'state') {
    return {
      json: {
        uploads: [...storage.uploads].map(([id, upload]) => ({ id, oid: upload.oid, n_parts: upload.parts.size })),
        objects: Object.fromEntries(storage.objects),
        repositories: Object.fromEntries([...hub.repositories].map(([name, repository]) => [name, {
          private: repository.isPrivate, refs: Object.fromEntries(repository.refs), n_commits: repository.commits.size,
          commits: [...repository.commits.values()].map(({ oid, title, parent }) => ({ oid, title, parent })),
        }])),
      },
    };
  }
  const body = JSON.parse((await bodyText(request)) || '{}');
  if (call === 'settings') Object.assign(settings, body);
  else if (call === 'fault') faults.add(body);
  else if (call === 'mend') faults.rules = [];
  else if (call === 'expire') storage.expireAll();
  else if (call === 'release') for (const hold of held.splice(0)) hold.path === body.path ? hold.release() : held.push(hold);
  else throw new Rejected(404, call);
  return { json: {} };
}

async function readBytes(request, n_bytes) {
  let seen = 0;
  while (seen < n_bytes) {
    const piece = request.read();
    if (piece !== null) seen += piece.length;
    else if (request.readableEnded || request.destroyed) return;
    else await new Promise((resolve) => request.once('readable', resolve).once('end', resolve).once('close', resolve));
  }
}

async function send(request, response, reply, fault, entry) {
  let { source } = reply;
  const headers = { ...reply.headers };
  if (reply.json !== undefined) {
    source = Buffer.from(JSON.stringify(reply.json));
    headers['content-type'] ??= 'application/json';
    headers['content-length'] = String(source.length);
  }
  if (source === undefined) headers['content-length'] = '0';
  response.writeHead(reply.status ?? 200, headers);
  if (request.method === 'HEAD' || source === undefined) return response.end();
  const first = reply.first ?? 0;
  let end = reply.end ?? source.length;
  if (fault?.send_bytes !== undefined) end = Math.min(end, first + fault.send_bytes);
  const pieces = typeof source === 'string' ? (end > first ? fs.createReadStream(source, { start: first, end: end - 1, highWaterMark: 1 << 18 }) : []) : [source.subarray(first, end)];
  let corrupt = fault?.corrupt;
  const closed = new Promise((resolve) => response.once('close', resolve));
  for await (const piece of pieces) {
    const out = Buffer.from(piece);
    if (corrupt) out[0] ^= 0xff;
    corrupt = false;
    if (entry) entry.sent_bytes += out.length;
    if (!response.write(out)) await Promise.race([once(response, 'drain'), closed]);
    if (response.destroyed) return;
  }
  if (fault?.send_bytes !== undefined) request.socket.destroySoon();
  else response.end();
}

async function answer(host, request, response) {
  const url = new URL(request.url, hub.base);
  if (host === 'hub' && url.pathname.startsWith('/_control/')) return send(request, response, await control(request, url));
  const entry = note(host, request);
  const fault = faults.take(host, request.method, request.url);
  if (fault?.drop_after_bytes !== undefined) {
    await readBytes(request, fault.drop_after_bytes);
    return request.socket.destroy();
  }
  if (fault?.hang_after_bytes !== undefined) {
    await readBytes(request, fault.hang_after_bytes);
    entry.hangs = true;
    return undefined;
  }
  let reply;
  try {
    if (fault?.status) {
      for await (const _ of request);
      if (fault.hold) {
        entry.held = true;
        await new Promise((release) => held.push({ path: fault.path, release }));
      }
      reply = { status: fault.status, headers: fault.headers ?? {}, json: fault.json ?? { error: 'injected' } };
    } else {
      reply = await (host === 'hub' ? hub : storage).handle(request, url);
    }
  } catch (error) {
    if (!(error instanceof Rejected) && !(error instanceof SyntaxError)) {
      if (request.destroyed) return;  // the client went away
      throw error;
    }
    for await (const _ of request);
    const headers = { 'x-error-message': error.message, ...(error.code && { 'x-error-code': error.code }) };
    reply = { status: error.status ?? 400, headers, json: { error: error.message } };
  }
  entry.status = reply.status ?? 200;
  if (fault?.lose_reply) return request.socket.destroy();
  if (fault?.hang) {
    entry.hangs = true;
    return undefined;
  }
  await send(request, response, reply, fault, entry);
}

function listen(host, name) {
  const server = http.createServer((request, response) => {
    answer(host, request, response).catch((error) => {
      if (!request.destroyed) console.error(host, request.method, request.url, error);
      request.socket.destroy();
    });
  });
  server.requestTimeout = 0;
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(`http://${name}:${server.address().port}`)));
}

hub.base = await listen('hub', '127.0.0.1');
storage.base = await listen('storage', 'localhost');
console.log(JSON.stringify({ endpoint: hub.base, storage: storage.base }));
