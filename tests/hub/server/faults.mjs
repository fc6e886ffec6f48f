// What a test lets go wrong: rules of { host, method, path, skip, times } that answer in place of the server, or spoil
// what it answers.
//   { status, headers, json }  answers so, and does nothing
//   { hold: true }             (beside `status`) takes the whole request, and answers only after /_control/release
//   { drop_after_bytes: N }    closes the connection once N bytes of the request came
//   { lose_reply: true }       does what was asked and closes the connection
//   { hang_after_bytes: N }    stops reading once N bytes of the request came, and never answers
//   { hang: true }             does what was asked and never answers
//   { send_bytes: N }          sends N bytes of the answer's body and closes the connection
//   { corrupt: true }          changes the first byte of the answer's body
export class Faults {
  constructor() { this.rules = []; }

  add(rule) { this.rules.push({ skip: 0, times: 1, ...rule }); }

  // The rule for this request, if one is due.
  take(host, method, target) {
    for (const rule of this.rules) {
      const fits = (rule.host ?? host) === host && (rule.method ?? method) === method && new RegExp(rule.path ?? '.').test(target);
      if (!fits || rule.times === 0) continue;
      if (rule.skip > 0) {
        --rule.skip;
        continue;
      }
      --rule.times;
      return rule;
    }
    return undefined;
  }
}
