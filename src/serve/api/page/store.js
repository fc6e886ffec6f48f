// Small things that the browser keeps for this page, as JSON. Where it keeps nothing (its storage is off or full), nothing is kept.
const STORE = 'shimmy.';

function keep(key, value) {
  try { localStorage.setItem(STORE + key, JSON.stringify(value)); } catch { /* it keeps nothing */ }
}

function kept(key) {
  try { return JSON.parse(localStorage.getItem(STORE + key)); } catch { return null; }
}

function forget(key) {
  try { localStorage.removeItem(STORE + key); } catch { /* it holds nothing */ }
}

function keptKeys(prefix) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(STORE + prefix)).map((key) => key.slice(STORE.length));
  } catch {
    return [];
  }
}
