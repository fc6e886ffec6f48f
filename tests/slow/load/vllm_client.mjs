// A closed loop of chat requests through OpenAI's own client, measured as vLLM's `bench serve` does.
// usage: node vllm_client.mjs NODE_MODULES URL MODEL N_CLIENTS N_REQUESTS MAX_TOKENS PROMPT
import { createRequire } from 'node:module';
const [modules, url, model, clients, requests, maxTokens, prompt] = process.argv.slice(2);
const { OpenAI } = createRequire(`${modules}/`)('openai');
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const ttft = [], tpot = [], itl = [], e2e = [];
let nTokens = 0, nBegun = 0, nDone = 0;

async function ask() {
  const sent = performance.now();
  let first, last, tokens = 0;
  const stream = await openai.chat.completions.create({
    model, messages: [{ role: 'user', content: prompt }], max_tokens: Number(maxTokens), temperature: 0,
    stream: true, stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    const now = performance.now();
    tokens = chunk.usage?.completion_tokens ?? tokens;
    if (!chunk.choices[0]?.delta?.content) continue;
    if (first === undefined) first = now; else itl.push(now - last);
    last = now;
  }
  ttft.push(first - sent);
  e2e.push(last - sent);
  if (tokens > 1) tpot.push((last - first) / (tokens - 1));
  nTokens += tokens;
  nDone += 1;
}

const percentile = (values, share) => {
  const sorted = [...values].sort((a, b) => a - b), at = share * (sorted.length - 1), low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
};
const distribution = (values) => ({ mean: values.reduce((a, b) => a + b, 0) / values.length, p50: percentile(values, 0.5),
  p90: percentile(values, 0.9), p99: percentile(values, 0.99) });
const begin = performance.now();
await Promise.all(Array.from({ length: Number(clients) }, async () => {
  while (nBegun++ < Number(requests)) await ask();
}));
const durationMs = performance.now() - begin;
console.log(JSON.stringify({ n_requests: nDone, n_output_tokens: nTokens, duration_ms: durationMs,
  requests_per_s: nDone * 1000 / durationMs, total_tps: nTokens * 1000 / durationMs,
  ttft_ms: distribution(ttft), tpot_ms: distribution(tpot), gap_ms: distribution(itl), e2e_ms: distribution(e2e) }));
