// Code in an answer: its colors, and a button that copies it.
const MAX_HIGHLIGHTED = 50000;  // characters; longer code stays plain, since it is drawn again with every piece that comes

const highlighted = new Drawn();

// Only in a language that the answer names: guessing is slow and often wrong. '' leaves the code as it is.
function highlight(code, language) {
  if (!hljs.getLanguage(language) || code.length > MAX_HIGHLIGHTED) return '';
  return highlighted.of(`${language}\n${code}`, () => hljs.highlight(code, { language, ignoreIllegals: true }).value);
}

function withCode(markdown) {
  markdown.set({ highlight });
  const fence = markdown.renderer.rules.fence;
  markdown.renderer.rules.fence = (tokens, i, options, env, self) => {
    const language = markdown.utils.escapeHtml(tokens[i].info.trim().split(/\s+/)[0]);
    return `<div class="code"><div class="code-head"><span>${language}</span>`
      + `<button type="button" class="copy-code">Copy</button></div>${fence(tokens, i, options, env, self)}</div>`;
  };
}

byId('log').addEventListener('click', async ({ target }) => {
  if (!target.matches('.copy-code')) return;
  await copyText(target.closest('.code').querySelector('code').textContent);
  target.textContent = 'Copied';
  setTimeout(() => { target.textContent = 'Copy'; }, 1500);
});
