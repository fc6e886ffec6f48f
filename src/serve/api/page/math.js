// TeX in an answer as MathML, which needs no fonts of ours: $…$ and \(…\) in a line, $$…$$ and \[…\] on their own.
const MAX_TEX = 5000;  // characters of a formula; a longer one stays text
const MAX_SIZE = [30, 400];  // of a space or a line in a formula, in em and pt
const BLOCK_PAIRS = [['$$', '$$'], ['\\[', '\\]']];
const PAIRS = [...BLOCK_PAIRS, ['\\(', '\\)'], ['$', '$']];

// What was drawn before: while an answer comes, all of it is drawn again and again.
class Drawn {
  #texts = new Map();

  of(key, draw) {
    if (this.#texts.size > 500) this.#texts.clear();
    if (!this.#texts.has(key)) this.#texts.set(key, draw());
    return this.#texts.get(key);
  }
}

// A formula can name an element or link to one: no name may be that of an element of this page.
function withoutNames(html) {
  const template = document.createElement('template');
  template.innerHTML = html;
  for (const element of template.content.querySelectorAll('[id], [href]')) {
    element.removeAttribute('id');
    element.removeAttribute('href');
  }
  return template.innerHTML;
}

const formulas = new Drawn();

// What is no TeX stays as it was written.
function formula({ content, markup, block }) {
  return formulas.of(`${markup} ${block} ${content}`, () => {
    try {
      const math = withoutNames(temml.renderToString(content, { displayMode: block, throwOnError: true, trust: false, maxSize: MAX_SIZE }));
      return block ? `<div class="formula">${math}</div>` : math;
    } catch {
      const [open, close] = PAIRS.find(([one]) => one === markup);
      const source = `<code>${markdown.utils.escapeHtml(open + content + close)}</code>`;
      return block ? `<p>${source}</p>` : source;
    }
  });
}

function addMath(state, type, [open], content) {
  const token = state.push(type, 'math', 0);
  token.content = content;
  token.markup = open;
  token.block = BLOCK_PAIRS.some(([one]) => one === open);
  return token;
}

// A dollar is money where it stands before a space, or the next one behind a space or before a digit: "$5 to $10".
function isMoney(source, start, end) {
  return /\s/.test(source[start]) || /\s/.test(source[end - 1]) || /\d/.test(source[end + 1] ?? '');
}

function mathInLine(state, silent) {
  const pair = PAIRS.find(([open]) => state.src.startsWith(open, state.pos));
  if (!pair) return false;
  const [open, close] = pair, start = state.pos + open.length;
  let end = state.src.indexOf(close, start);
  while (close[0] === '$' && end > 0 && state.src[end - 1] === '\\') end = state.src.indexOf(close, end + 1);
  if (end <= start || end - start > MAX_TEX || end + close.length > state.posMax) return false;
  const content = state.src.slice(start, end);
  if (!content.trim() || (open === '$' && isMoney(state.src, start, end))) return false;
  if (!silent) addMath(state, 'math_in_line', pair, content);
  state.pos = end + close.length;
  return true;
}

// Lines from one that begins with the opening mark to one that ends with the closing one.
function mathBlock(state, startLine, endLine, silent) {
  const lineText = (line) => state.src.slice(state.bMarks[line] + state.tShift[line], state.eMarks[line]).trimEnd();
  const pair = BLOCK_PAIRS.find(([open]) => lineText(startLine).startsWith(open));
  if (!pair || state.sCount[startLine] - state.blkIndent >= 4) return false;
  const [open, close] = pair, lines = [];
  for (let line = startLine, length = 0; line < endLine && length <= MAX_TEX; ++line) {
    const text = line === startLine ? lineText(line).slice(open.length) : lineText(line);
    if (line > startLine && text && state.sCount[line] < state.blkIndent) return false;  // the list ends before it
    const at = text.indexOf(close);
    length += text.length;
    lines.push(at < 0 ? text : text.slice(0, at));
    if (at < 0) continue;
    if (at + close.length < text.length || !lines.join('').trim()) return false;
    if (silent) return true;
    addMath(state, 'math_block', pair, lines.join('\n')).map = [startLine, line + 1];
    state.line = line + 1;
    return true;
  }
  return false;
}

function withMath(markdown) {
  markdown.inline.ruler.before('escape', 'math_in_line', mathInLine);
  markdown.block.ruler.before('fence', 'math_block', mathBlock, { alt: ['paragraph', 'reference', 'blockquote', 'list'] });
  markdown.renderer.rules.math_in_line = (tokens, i) => formula(tokens[i]);
  markdown.renderer.rules.math_block = (tokens, i) => formula(tokens[i]);
}
