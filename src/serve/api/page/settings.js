// The settings of a request. What is left empty is not sent: the server decides.
const NUMBERS = ['temperature', 'max_tokens'];

function settings() {
  const filled = NUMBERS.filter((name) => byId(name).value !== '');
  return Object.fromEntries(filled.map((name) => [name, Number(byId(name).value)]));
}

const systemPrompt = () => byId('system').value.trim();
