// The settings of a request, which the browser keeps (but for the key). What is left empty is not sent: the server decides.
const NUMBERS = ['temperature', 'top_p', 'top_k', 'min_p', 'repeat_penalty', 'max_tokens', 'seed'];

function settings() {
  const filled = NUMBERS.filter((name) => byId(name).value !== '');
  return Object.fromEntries(filled.map((name) => [name, Number(byId(name).value)]));
}

const systemPrompt = () => byId('system').value.trim();

byId('settings').addEventListener('change', () => keep('settings', Object.fromEntries(['system', ...NUMBERS].map((name) => [name, byId(name).value]))));
for (const [name, value] of Object.entries(kept('settings') ?? {})) {
  if (['system', ...NUMBERS].includes(name)) byId(name).value = value;
}
