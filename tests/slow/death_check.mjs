// What the official clients make of a model's process that dies by SIGSEGV while it computes 16 streams, four for each
// client, and of two streams of another model: prints {streams: [{client, ended, error, status, message}], others}.
// usage: death_check.mjs NODE_MODULES SHIMMY_URL OLLAMA_URL MODEL OTHER_MODEL PID_OF_THE_MODEL
import { createRequire } from 'module';
const [modules, shimmy, ollama, model, other, pid] = process.argv.slice(2);
const require = createRequire(modules + '/');
const OpenAI = require('openai').OpenAI;
const Anthropic = require('@anthropic-ai/sdk').Anthropic;
const { Ollama } = require('ollama');

const messages = [{ role: 'user', content: 'Write a long story.' }];
const long = 400;  // tokens: nearly the whole context
const openai = new OpenAI({ baseURL: `${shimmy}/v1`, apiKey: 'none', maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: shimmy, apiKey: 'none', maxRetries: 0 });
const clients = {
  chat: (name) => openai.chat.completions.create({ model: name, messages, max_tokens: long, stream: true, ignore_eos: true }),
  responses: (name) => openai.responses.create({ model: name, input: messages[0].content, max_output_tokens: long, stream: true, ignore_eos: true }),
  messages: (name) => anthropic.messages.create({ model: name, messages, max_tokens: long, stream: true, temperature: 0 }),
  ollama: (name) => new Ollama({ host: ollama }).chat({ model: name, messages, stream: true, options: { num_predict: long } }),
};

// `begun` resolves with the first event that has text; `end` with how it ended.
function start(client, name) {
  const one = { client, ended: false };
  one.begun = new Promise((begin) => {
    one.end = (async () => {
      let events = 0;
      try {
        for await (const event of await clients[client](name)) if (++events === 4) begin();
        return { client, ended: true };
      } catch (error) {
        return { client, ended: false, error: error.constructor.name, status: error.status ?? null, message: error.message, type: error.error?.error?.type ?? error.type ?? null };
      } finally {
        one.ended = true;
        begin();
      }
    })();
  });
  return one;
}

const streams = Object.keys(clients).flatMap((client) => [1, 2, 3, 4].map(() => start(client, model)));
const others = [start('chat', other), start('messages', other)];
await Promise.all([...streams, ...others].map((one) => one.begun));
const running = streams.filter((one) => !one.ended).length;
process.kill(Number(pid), 'SIGSEGV');
const ends = await Promise.all(streams.map((one) => one.end));
const otherEnds = await Promise.all(others.map((one) => one.end));
const again = (await openai.chat.completions.create({ model, messages, max_tokens: 4 })).choices.length;
console.log(JSON.stringify({ running, streams: ends, others: otherEnds, again }));
