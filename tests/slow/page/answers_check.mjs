// What the page of `shimmy serve` makes of answers, which are made up here: mathematics, code, and markup that must stay text.
// Prints what was seen as JSON.   usage: answers_check.mjs PLAYWRIGHT URL [SCREENSHOTS]
import { answerWith, ask, launch, open } from './chat_page.mjs';
const [playwright, url, screenshots] = process.argv.slice(2);
const browser = await launch(playwright);

const NICE = String.raw`The roots of $ax^2 + bx + c$ with \(a \ne 0\), which cost $5 to $10 or US$20, are

$$
x = \frac{-b \pm \sqrt{b^2-4ac}}{2a}
$$

1. A matrix in a list:
   \[
   \begin{pmatrix} a & b \\ c & d \end{pmatrix}, \qquad x \in \mathbb{R}^n
   \]
2. and $$\sum_{n=1}^\infty \frac{1}{n^2} = \frac{\pi^2}{6}$$ in a line.

> $$\boxed{42}$$

A very long one: $$a_1 + a_2 + a_3 + a_4 + a_5 + a_6 + a_7 + a_8 + a_9 + a_{10} + a_{11} + a_{12} + a_{13} + a_{14} + a_{15} + a_{16} + a_{17} + a_{18}$$

This is no TeX: $\frac{$, and this is code: ${'`'}$x$${'`'}.

${'```'}python
# Adds up.
def total(numbers: list[int]) -> int:
    return sum(n for n in numbers if n > 10) + len("text")
${'```'}

${'```'}cpp
#include <vector>
int main() { std::vector<int> v{1, 2}; return v.size() > 1 ? 0 : 1; }  // a long comment that goes on and on, past the edge of any narrow window
${'```'}

${'```'}dockerfile
FROM debian:12
${'```'}

${'```'}
$y$ in no language
${'```'}

| size | value |
|---|---|
| $n^2$ | 4 |
`;

// Each of these would run, fetch or name something if it were taken for markup.
const HOSTILE = String.raw`<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"><svg onload="window.hacked = 3"><iframe srcdoc="<script>parent.hacked = 4</script>"></iframe>
<style>body { display: none }</style><a href="javascript:window.hacked = 5" id="send">x</a><form id="form"><input name="messages"></form>

[a](javascript:window.hacked=6) [b](JaVaScRiPt:window.hacked=7) [c](data:text/html,<script>window.hacked=8</script>) [d](vbscript:x) [h](steam://run/1) [i](/api/models) [j](#x) [k](file:///etc/passwd) ![e](https://evil.example/x.png) ![f](javascript:x)
[g](https://evil.example/"onmouseover="window.hacked=9) <https://evil.example/"><script>window.hacked=10</script>>

$\text{<img src=x onerror="window.hacked = 11">}$ $\href{javascript:window.hacked=12}{x}$ $\includegraphics{https://evil.example/x.png}$ $\url{javascript:window.hacked=13}$
$\htmlId{prompt}{x}$ $\class{message user}{x}$ $\id{send}{x}$ $\style{background:url(https://evil.example/x.png)}{x}$ $\data{onclick=window.hacked=14}{x}$
$\color{red"onmouseover="window.hacked=15}{x}$ $\unicode{x3c}$ $\def\a{\a\a}\a$ \(\label{prompt} x \ref{prompt}\) $\rule{99999em}{99999em}$

$$\begin{align} x \label{send} \\ \tag{"><script>window.hacked=16</script>} \end{align}$$

$$\begin{CD} A @>{<img src=x onerror=window.hacked=17>}>> B \end{CD}$$

$$<script>window.hacked=18</script>$$

$$\frac{<iframe srcdoc="x">$$

${'```'}"><script>window.hacked=19</script>
code
${'```'}

${'```'}html"onmouseover="window.hacked=20
<script>window.hacked = 21</script><!-- <img src=x onerror="window.hacked = 22"> --></pre></code><img src=x onerror="window.hacked = 23">
${'```'}

${'```'}html
<script>window.hacked = 24</script><img src=x onerror="window.hacked = 25"></span></code></pre><img src=x onerror="window.hacked = 26">
${'```'}

${'```'}markdown
[x](javascript:window.hacked=27) <img src=x onerror="window.hacked=28">
${'```'}
`;
const DEEP = [`$${'{'.repeat(4000)}$`, `$$${'\\frac{1}'.repeat(500)}$$`, '$'.repeat(20000), '\\('.repeat(10000), `${'> '.repeat(2000)}x`, '$$\n'.repeat(3000)].join('\n\n');

const views = [];
for (const [width, colorScheme] of [[1200, 'light'], [1200, 'dark'], [420, 'light'], [420, 'dark']]) {
  const view = { width, colorScheme, errors: [], foreign: [] };
  const context = await browser.newContext({ viewport: { width, height: 844 }, colorScheme, permissions: ['clipboard-read', 'clipboard-write'] });
  await context.route((address) => !address.href.startsWith(url) && address.protocol !== 'data:', (route) => {
    view.foreign.push(route.request().url());
    return route.abort();
  });
  const page = await open(context, url, view.errors);

  await answerWith(page, NICE);
  await ask(page, 'Explain.');
  Object.assign(view, await page.evaluate(() => {
    const text = document.querySelector('.message.assistant .text');
    const color = (selector) => getComputedStyle(text.querySelector(selector)).color;
    return { formulas: text.querySelectorAll('math').length, blocks: text.querySelectorAll('.formula math[display=block]').length,
      inLists: text.querySelectorAll('li math').length, inQuotes: text.querySelectorAll('blockquote math').length, inTables: text.querySelectorAll('td math').length,
      real: [...text.querySelectorAll('math')].some((math) => math.textContent.includes('ℝ')), first: text.querySelector('p').textContent,
      plain: [...text.querySelectorAll('p > code')].map((code) => code.textContent),
      languages: [...text.querySelectorAll('.code-head span')].map((name) => name.textContent),
      keyword: text.querySelector('.language-python .hljs-keyword').textContent, colored: color('.hljs-keyword') !== color('pre'),
      unnamed: text.querySelectorAll('.code:last-of-type code span').length,
      overflow: document.documentElement.scrollWidth > window.innerWidth };
  }));
  await page.click('.copy-code');
  view.copied = await page.evaluate(() => navigator.clipboard.readText());
  if (screenshots) {
    await page.evaluate(() => { document.getElementById('chat').style.height = 'auto'; });
    await page.screenshot({ path: `${screenshots}/answers-${width}-${colorScheme}.png`, fullPage: true });
    await page.evaluate(() => { document.getElementById('chat').style.height = ''; });
  }

  await answerWith(page, HOSTILE);
  await ask(page, HOSTILE);
  for (const element of await page.locator('.message .text *').all()) await element.dispatchEvent('mouseover');
  Object.assign(view, await page.evaluate(() => {
    const all = [...document.querySelectorAll('#log .text *')];
    return { hacked: window.hacked ?? 0, tags: [...new Set(all.map((element) => element.localName))].sort(),
      handlers: all.flatMap((element) => [...element.attributes].map(({ name }) => name)).filter((name) => /^on|^src|^id$|^name$|^data/.test(name)),
      links: all.filter((element) => element.hasAttribute('href')).map((element) => element.getAttribute('href')),
      largest: Math.max(...all.filter((element) => element.localName === 'mspace').map((element) => element.getBoundingClientRect().height)),
      urls: all.filter((element) => (element.getAttribute('style') ?? '').includes('url')).length,
      question: document.querySelectorAll('.message.user')[1].querySelectorAll('.text *').length };
  }));
  if (screenshots) await page.screenshot({ path: `${screenshots}/hostile-${width}-${colorScheme}.png` });

  await answerWith(page, DEEP);
  const start = Date.now();
  await ask(page, 'Go deep.');
  view.deepMs = Date.now() - start;
  // Even a script that got into the page would not run.
  const before = view.errors.length;
  await page.evaluate(() => { document.getElementById('empty').innerHTML = '<img src="data:," onerror="window.injected = 1">'; });
  await page.evaluate(() => { const script = document.createElement('script'); script.textContent = 'window.injected = 2'; document.body.append(script); });
  await page.waitForTimeout(200);
  view.injected = await page.evaluate(() => window.injected ?? 0);
  view.refused = view.errors.splice(before).length;
  views.push(view);
  await context.close();
}
await browser.close();
console.log(JSON.stringify(views));
