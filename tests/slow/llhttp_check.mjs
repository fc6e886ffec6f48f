// What llhttp, the HTTP parser of Node.js, says of each request in tests/http/requests.json: prints [{name, messages, error}].
// It is strict: none of its leniencies is on. It comes as WebAssembly with the package undici.
// usage: llhttp_check.mjs NODE_MODULES REQUESTS
import { readFileSync } from 'fs';
import { createRequire } from 'module';
const [modules, file] = process.argv.slice(2);
const code = createRequire(import.meta.url)(`${modules}/undici/lib/llhttp/llhttp-wasm.js`);
const REQUEST = 1;  // llhttp_type_t
const PAUSED_UPGRADE = 22;

let messages = 0;
const nothing = () => 0;
const env = {
  wasm_on_message_begin: nothing, wasm_on_url: nothing, wasm_on_status: nothing, wasm_on_header_field: nothing,
  wasm_on_header_value: nothing, wasm_on_headers_complete: nothing, wasm_on_body: nothing,
  wasm_on_message_complete: () => { ++messages; return 0; },
};
const llhttp = new WebAssembly.Instance(new WebAssembly.Module(code), { env }).exports;
llhttp._initialize?.();

function bytesOf(parts) {
  return Buffer.concat(parts.map((part) => typeof part === 'string' ? Buffer.from(part, 'latin1')
    : Buffer.from(part[0].repeat(part[1]), 'latin1')));
}

function judge(bytes) {
  messages = 0;
  const parser = llhttp.llhttp_alloc(REQUEST);
  const at = llhttp.malloc(bytes.length + 1);
  new Uint8Array(llhttp.memory.buffer, at, bytes.length).set(bytes);
  let error = llhttp.llhttp_execute(parser, at, bytes.length);
  if (error === 0) error = llhttp.llhttp_finish(parser);
  llhttp.llhttp_free(parser);
  llhttp.free(at);
  return { messages, error: error === PAUSED_UPGRADE ? 0 : error };
}

const requests = JSON.parse(readFileSync(file, 'utf8'));
console.log(JSON.stringify(requests.map(({ name, request }) => ({ name, ...judge(bytesOf(request)) }))));
