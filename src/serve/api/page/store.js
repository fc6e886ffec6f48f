// What the browser keeps for this page. Where it keeps nothing (its storage is off or full), a value lasts as long as the page.
const STORE = 'shimmy.';
const unkept = new Map();  // key → JSON

function keep(key, value) {
  const json = JSON.stringify(value);
  try {
    localStorage.setItem(STORE + key, json);
    unkept.delete(key);
  } catch {
    unkept.set(key, json);
  }
}

function kept(key) {
  try {
    return JSON.parse(unkept.get(key) ?? localStorage.getItem(STORE + key));
  } catch {
    return null;
  }
}

function forget(key) {
  unkept.delete(key);
  try { localStorage.removeItem(STORE + key); } catch { /* it holds nothing */ }
}

function keptKeys(prefix) {
  let stored = [];
  try { stored = Object.keys(localStorage).filter((key) => key.startsWith(STORE)).map((key) => key.slice(STORE.length)); } catch { /* none */ }
  return [...new Set([...stored, ...unkept.keys()])].filter((key) => key.startsWith(prefix));
}
