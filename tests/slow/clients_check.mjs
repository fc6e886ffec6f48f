// The official clients against `shimmy serve`: prints what they got as JSON.
// usage: clients_check.mjs NODE_MODULES SHIMMY_URL OLLAMA_URL MODEL TOOLS_URL TOOLS_OLLAMA_URL
// The last two serve the same model with the chat template of Mistral Nemo, which has tools.
import { createRequire } from 'module';
const [modules, shimmy, ollama, model, toolsShimmy, toolsOllama] = process.argv.slice(2);
const require = createRequire(modules + '/');
const OpenAI = require('openai').OpenAI;
const Anthropic = require('@anthropic-ai/sdk').Anthropic;
const { Ollama } = require('ollama');

const question = [{ role: 'user', content: 'Explain gradient descent in simple terms.' }];
const greedy = { temperature: 0, repeat_penalty: 1 };
const weather = { type: 'object', properties: { city: { type: 'string', enum: ['Berlin', 'Paris'] } }, required: ['city'] };
const result = {};

const openai = new OpenAI({ baseURL: `${shimmy}/v1`, apiKey: 'none' });
result.models = (await openai.models.list()).data.map((one) => one.id);
const chat = await openai.chat.completions.create({ model, messages: question, max_tokens: 24, ...greedy });
result.chat = chat.choices[0].message.content;
result.usage = chat.usage;
result.streamed = '';
for await (const chunk of await openai.chat.completions.create({ model, messages: question, max_tokens: 24, stream: true, ...greedy }))
  result.streamed += chunk.choices[0]?.delta?.content ?? '';
const response = await openai.responses.create({ model, input: question[0].content, max_output_tokens: 24, temperature: 0 });
result.response = response.output_text;
const shape = { type: 'json_schema', json_schema: { name: 'weather', schema: weather } };
const typed = await openai.chat.completions.create({ model, messages: question, max_tokens: 64, ...greedy, response_format: shape });
result.typed = typed.choices[0].message.content;
result.error = await openai.chat.completions.create({ model: 'nobody', messages: question }).catch((error) => error.status);

const anthropic = new Anthropic({ baseURL: shimmy, apiKey: 'none' });
const message = await anthropic.messages.create({ model, messages: question, max_tokens: 24, temperature: 0 });
result.message = message.content.map((block) => block.text ?? '').join('');
result.messageStreamed = await anthropic.messages.stream({ model, messages: question, max_tokens: 24, temperature: 0 }).finalText();
result.nTokens = (await anthropic.messages.countTokens({ model, messages: question })).input_tokens;

const client = new Ollama({ host: ollama });
const options = { ...greedy, num_predict: 24 };
result.tags = (await client.list()).models.map((one) => one.name);
result.ollamaChat = (await client.chat({ model, messages: question, options })).message.content;
result.ollamaStreamed = '';
for await (const part of await client.chat({ model, messages: question, options, stream: true })) result.ollamaStreamed += part.message.content;
result.ollamaGenerated = (await client.generate({ model, prompt: question[0].content, options })).response;
result.ollamaRunning = (await client.ps()).models.map((one) => one.name);
result.ollamaFamily = (await client.show({ model })).details.family;
result.ollamaError = await client.chat({ model: 'nobody', messages: question }).catch((error) => error.message);
// Tools. The model knows nothing of them: the beginning of a call is put into its mouth, the grammar does the rest.
const prefilled = [...question, { role: 'assistant', content: '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "' }];
const tool = { name: 'get_weather', description: 'The weather in a city' };
const openaiTools = [{ type: 'function', function: { ...tool, parameters: weather } }];
const asked = { model, messages: prefilled, max_tokens: 120, ...greedy, tool_choice: 'required', tools: openaiTools };
const withTools = new OpenAI({ baseURL: `${toolsShimmy}/v1`, apiKey: 'none' });
result.tool = (await withTools.chat.completions.create(asked)).choices[0].message.tool_calls?.[0]?.function ?? null;
result.toolStreamed = { name: '', arguments: '' };
for await (const chunk of await withTools.chat.completions.create({ ...asked, stream: true })) {
  for (const call of chunk.choices[0]?.delta?.tool_calls ?? []) {
    if (call.index > 0) continue;  // it may begin another
    result.toolStreamed.name += call.function?.name ?? '';
    result.toolStreamed.arguments += call.function?.arguments ?? '';
  }
}
const used = await new Anthropic({ baseURL: toolsShimmy, apiKey: 'none' }).messages.create({
  model, messages: prefilled, max_tokens: 120, temperature: 0, tool_choice: { type: 'any' }, tools: [{ ...tool, input_schema: weather }],
});
result.toolAnthropic = used.content.find((block) => block.type === 'tool_use') ?? null;
const ollamaUsed = await new Ollama({ host: toolsOllama }).chat({ model, messages: prefilled, options: { ...options, num_predict: 120 }, tools: openaiTools, tool_choice: 'required' });
result.toolOllama = ollamaUsed.message.tool_calls?.[0]?.function ?? null;

console.log(JSON.stringify(result));
