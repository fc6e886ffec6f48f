#!/usr/bin/env python3
"""What a change of `shimmy serve` costs: time to first token and decode rate through two programs, in turns.

    bench/serve_cost.py OLD NEW MODEL [--rounds 9] [--requests 6] [--tokens 400] [--threads 0]

Both servers run at once and only one of them works at a time; a request goes to each in turn, so that what else the
machine does meets both alike. Prints the median and the best of each, and the median and quartiles of the differences within a pair.
"""
import argparse
import http.client
import json
import statistics
import subprocess
import time


class Server:
    def __init__(self, program, model, threads):
        self.process = subprocess.Popen(
            [program, 'serve', '--model', model, '--device', 'cpu', '--ctx', '512', '--bind', '127.0.0.1:0',
             '--threads', str(threads), '--json'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.host, self.port = json.loads(self.process.stdout.readline())['address'].rsplit(':', 1)
        self.connection = http.client.HTTPConnection(self.host, int(self.port), timeout=120)

    def ask(self, n_tokens):
        """(ms to the first token, tokens per second from the first token on), as the client sees them."""
        body = json.dumps({'messages': [{'role': 'user', 'content': 'Tell me a story.'}], 'stream': True, 'temperature': 0,
                           'max_tokens': n_tokens, 'ignore_eos': True, 'cache_prompt': False})
        start = time.perf_counter()
        self.connection.request('POST', '/v1/chat/completions', body, {'Content-Type': 'application/json'})
        answer = self.connection.getresponse()
        first = last = None
        n = 0
        for line in answer:
            if not line.startswith(b'data: {') or b'"content":"' not in line:
                continue
            last = time.perf_counter()
            first = first or last
            n += 1
        return (first - start) * 1e3, (n - 1) / (last - first)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def main():
    parser = argparse.ArgumentParser()
    for name in ('old', 'new', 'model'):
        parser.add_argument(name)
    parser.add_argument('--rounds', type=int, default=9)
    parser.add_argument('--requests', type=int, default=6)
    parser.add_argument('--tokens', type=int, default=400)
    parser.add_argument('--threads', type=int, default=0, help='of each server; 0: one per core')
    options = parser.parse_args()
    pairs = []
    for _ in range(options.rounds):
        servers = [Server(options.old, options.model, options.threads), Server(options.new, options.model, options.threads)]
        for server in servers:
            server.ask(options.tokens)  # warm
        for i in range(options.requests):
            order = (0, 1) if i % 2 == 0 else (1, 0)
            got = {which: servers[which].ask(options.tokens) for which in order}
            pairs.append((got[0], got[1]))
        for server in servers:
            server.stop()
    for name, index, unit in (('TTFT', 0, 'ms'), ('decode', 1, 'tokens/s')):
        old = [a[index] for a, _ in pairs]
        new = [b[index] for _, b in pairs]
        change = sorted(b - a if index == 0 else (b / a - 1) * 100 for a, b in zip(old, new))
        q1, q2, q3 = statistics.quantiles(change, n=4)
        best = min if index == 0 else max
        print(f'{name}: {statistics.median(old):.2f} → {statistics.median(new):.2f} {unit} '
              f'(best {best(old):.2f} → {best(new):.2f}); within a pair '
              f'{q2:+.2f} {"ms" if index == 0 else "%"} (quartiles {q1:+.2f} to {q3:+.2f}), {len(pairs)} pairs')


main()
