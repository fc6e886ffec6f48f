#!/usr/bin/env python3
"""64 clients of every kind use `shimmy serve` at once, and what the server holds must not grow.

    bench/soak.py --bin build/release/bin [--seconds 600] [--clients 64]

Clients that read whole answers and streams, that leave in the middle, read slowly, send what is no request, half a request
or more than can fit, and ask for another model while one of two can be loaded. Every answer has to be one that its request
allows. After a warm-up (a third of the time) memory, open files and threads of the server and of its models' processes are
taken twice a second; in the second half of the rest they may not be above those of the first half by more than the limits
below: medians of the server, which lives on, and maxima of the models' processes, which come and go. Exit status 1 where something was wrong; prints what was seen.
"""
import argparse
import collections
import http.client
import json
import os
import pathlib
import platform
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

# The second half may hold so much more than the first. Those of models are sums over the processes that are there.
LIMITS = {'server_mib': 16, 'server_files': 16, 'server_threads': 16, 'models_mib': 64, 'models_files': 32, 'models_threads': 16}
SAMPLE_S = 0.5
ANSWER_LIMIT_S = 120  # without an answer for so long, a client is stuck

MESSAGES = [{'role': 'user', 'content': 'Tell me a story.'}]


class Server:
    def __init__(self, bin_dir, model, folder):
        models = pathlib.Path(folder)
        for name in ('one', 'two'):
            shutil.copyfile(model, models / f'{name}.gguf')  # links to one file would be one model
        self.log = open(models / 'stderr', 'w+')
        self.process = subprocess.Popen(
            [bin_dir / 'shimmy', 'serve', '--model-dirs', folder, '--max-loaded', '1', '--device', 'cpu', '--ctx', '256', '--parallel', '8',
             '--bind', '127.0.0.1:0', '--ollama-bind', '127.0.0.1:0', '--no-warmup', '--json'],
            stdout=subprocess.PIPE, stderr=self.log, text=True)
        started = json.loads(self.process.stdout.readline())
        self.address = self.split(started['address'])
        self.ollama = self.split(started['ollama_address'])

    @staticmethod
    def split(address):
        host, port = address.rsplit(':', 1)
        return host, int(port)

    def models(self):
        """Process ids of the models' processes."""
        pids = []
        for task in pathlib.Path(f'/proc/{self.process.pid}/task').iterdir():
            try:
                pids += (task / 'children').read_text().split()
            except OSError:
                pass  # a thread that has ended
        return pids


def held_by(pid):
    """(MiB, files, threads) of a process; nothing for one that has ended."""
    try:
        status = pathlib.Path(f'/proc/{pid}/status').read_text()
        fields = dict(line.split(':', 1) for line in status.splitlines() if ':' in line)
        # Pages of the model's file are the kernel's to keep or drop.
        mib = (int(fields['RssAnon'].split()[0])) / 1024
        return mib, len(os.listdir(f'/proc/{pid}/fd')), int(fields['Threads'])
    except (OSError, KeyError):
        return 0.0, 0, 0


class Soak:
    def __init__(self, server, seconds, n_clients):
        self.server = server
        self.end = time.monotonic() + seconds
        self.counts = collections.Counter()
        self.faults = []
        self.lock = threading.Lock()
        kinds = [self.whole, self.stream, self.leaves, self.reads_slowly, self.is_no_request, self.half_a_request,
                 self.cannot_fit, self.ollama, self.swaps]
        self.threads = [threading.Thread(target=self.run, args=(kinds[i % len(kinds)], random.Random(i))) for i in range(n_clients)]

    def run(self, kind, rng):
        while time.monotonic() < self.end:
            try:
                kind(rng)
                with self.lock:
                    self.counts[kind.__name__] += 1
            except Exception as error:  # whatever a client meets that it should not
                self.fault(f'{kind.__name__}: {type(error).__name__}: {error}')

    def fault(self, text):
        with self.lock:
            self.counts['faults'] += 1
            if len(self.faults) < 20:
                self.faults.append(text[:300])

    def ask(self, path, body, allowed, address=None, read=True):
        connection = http.client.HTTPConnection(*(address or self.server.address), timeout=ANSWER_LIMIT_S)
        try:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            connection.request('POST', path, data, {'Content-Type': 'application/json'})
            answer = connection.getresponse()
            text = answer.read() if read else b''
            if answer.status not in allowed:
                raise ValueError(f'{path}: {answer.status} {text[:200]!r}')
            return text
        finally:
            connection.close()

    def model(self, rng):
        return 'one' if rng.random() < 0.9 else 'two'

    # ---- clients ----

    def whole(self, rng):
        path = rng.choice(['/v1/chat/completions', '/v1/messages'])
        text = self.ask(path, {'model': self.model(rng), 'messages': MESSAGES, 'max_tokens': 8}, {200})
        json.loads(text)

    def stream(self, rng):
        text = self.ask('/v1/chat/completions', {'model': self.model(rng), 'messages': MESSAGES, 'max_tokens': 16, 'stream': True}, {200})
        if not text.endswith(b'data: [DONE]\n\n'):
            raise ValueError(f'a stream without an end: {text[-200:]!r}')

    def connect(self, receive_bytes=0):
        one = socket.socket()
        if receive_bytes:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        one.settimeout(ANSWER_LIMIT_S)
        one.connect(self.server.address)
        return one

    def send_stream(self, one, rng, more):
        body = json.dumps({'model': self.model(rng), 'messages': MESSAGES, 'stream': True, 'ignore_eos': True, **more}).encode()
        one.sendall(b'POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s' % (len(body), body))

    def leaves(self, rng):
        with self.connect() as one:
            self.send_stream(one, rng, {'max_tokens': 200})
            if rng.random() < 0.7:
                one.recv(rng.randrange(1, 2000))

    def reads_slowly(self, rng):
        with self.connect(2048) as one:
            self.send_stream(one, rng, {'max_tokens': 30, 'logprobs': True, 'top_logprobs': 20})
            last = b''
            while data := one.recv(4096):
                last = (last + data)[-2000:]
                if b'[DONE]' in last:
                    return
                time.sleep(0.02)
            raise ValueError(f'a slow stream without an end: {last[-200:]!r}')

    def is_no_request(self, rng):
        bad = rng.choice([b'nonsense\r\n\r\n', b'GET / HTTP/9.9\r\n\r\n', b'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n',
                          b'POST /v1/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
                          b'GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n', b'GET / HTTP/1.1\nHost: a\n\n\r\n\r\n'])
        with self.connect() as one:
            one.sendall(bad)
            one.shutdown(socket.SHUT_WR)
            answer = b''
            while data := one.recv(4096):
                answer += data
            if not answer.startswith(b'HTTP/1.1 400'):
                raise ValueError(f'{bad!r}: {answer[:100]!r}')
        self.ask('/v1/chat/completions', rng.choice([b'{bad', b'[]', b'{"messages": 3}', b'\xff', b'{"x":' + b'[' * 1000,
                 json.dumps({'messages': MESSAGES, 'grammar': 'root ::= ' + '(' * 1000}).encode(),
                 json.dumps({'messages': MESSAGES, 'response_format': {'type': 'json_schema', 'json_schema': {'schema': {'not': {}}}}}).encode()]), {400})

        time.sleep(0.05)

    def half_a_request(self, rng):
        with self.connect() as one:
            one.sendall(rng.choice([b'GET /he', b'POST /v1/completions HTTP/1.1\r\nHo',
                                    b'POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{"pro']))
            time.sleep(rng.random() * 0.3)

    def cannot_fit(self, rng):
        size = rng.choice([2000, 20_000, 200_000, 2_000_000])
        self.ask('/v1/completions', {'model': 'one', 'prompt': 'word ' * (size // 5)}, {400})
        time.sleep(0.2)

    def ollama(self, rng):
        body = {'model': self.model(rng), 'messages': MESSAGES, 'options': {'num_predict': 8}}
        lines = self.ask('/api/chat', body, {200}, self.server.ollama).splitlines()
        if not json.loads(lines[-1]).get('done'):
            raise ValueError(f'no last line: {lines[-1][:200]!r}')

    def swaps(self, rng):
        self.ask('/v1/completions', {'model': 'two', 'prompt': 'a', 'max_tokens': 2}, {200})
        self.ask(f'/api/models/{rng.choice(["one", "two"])}/unload', b'', {200, 409})
        time.sleep(2.0)

    # ---- the whole ----

    def sample(self):
        server = held_by(self.server.process.pid)
        models = [held_by(pid) for pid in self.server.models()]
        sums = [sum(column) for column in zip(*models)] or [0.0, 0, 0]
        return dict(zip(('server_mib', 'server_files', 'server_threads', 'models_mib', 'models_files', 'models_threads'), [*server, *sums]))

    def go(self, warm_up_s):
        for thread in self.threads:
            thread.start()
        samples = []
        warm = time.monotonic() + warm_up_s
        while time.monotonic() < self.end and self.server.process.poll() is None:
            time.sleep(SAMPLE_S)
            if time.monotonic() > warm:
                samples.append(self.sample())
        for thread in self.threads:
            thread.join(ANSWER_LIMIT_S + 30)
        if any(thread.is_alive() for thread in self.threads):
            self.fault('a client got neither an answer nor an end')
        return samples


def judge(samples, faults, kept_mib):
    half = len(samples) // 2
    figures = {}
    for key, limit in {**LIMITS, 'server_mib': LIMITS['server_mib'] + kept_mib}.items():
        # Nothing of a model that is just being swapped.
        parts = [[s[key] for s in part if s[key] > 0] for part in (samples[:half], samples[half:])]
        if not all(parts):
            faults.append(f'{key}: no samples')
            continue
        before, after = map(max if key.startswith('models') else statistics.median, parts)
        limit = round(limit, 1)
        figures[key] = {'first': round(before, 1), 'second': round(after, 1), 'most': round(max(parts[0] + parts[1]), 1), 'limit': limit}
        if after > before + limit:
            faults.append(f'{key} grew from {before:.1f} to {after:.1f}: {limit} more are allowed')
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--bin', type=pathlib.Path, required=True)
    parser.add_argument('--model', type=pathlib.Path, default=pathlib.Path(__file__).parent.parent / 'models/tiny-moe/tiny-moe-f16.gguf')
    parser.add_argument('--seconds', type=float, default=600)
    parser.add_argument('--clients', type=int, default=64)
    parser.add_argument('--thread-bytes', type=float, default=0, help='what a sanitizer keeps of every thread that has been (AddressSanitizer: 300); a connection has one')
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.bin, options.model, folder)
        soak = Soak(server, options.seconds, options.clients)
        samples = soak.go(options.seconds / 3)
        # Between the medians of two halves of two thirds of the time lies a third of what was done.
        kept_mib = options.thread_bytes * sum(soak.counts.values()) / 3 / 2**20
        figures = judge(samples, soak.faults, kept_mib)
        rest = soak.sample()
        if server.process.poll() is not None:
            soak.faults.append(f'the server ended: {server.process.returncode}')
        server.process.terminate()
        if server.process.wait(60) != 0:
            soak.faults.append(f'exit status {server.process.returncode}')
        server.log.seek(0)
        log = server.log.read()
        ended = [line for line in log.splitlines() if 'process ended' in line]
        soak.faults += ended[:5]
    print(json.dumps({'date': time.strftime('%Y-%m-%d'), 'machine': platform.machine(), 'cores': os.cpu_count(), 'seconds': options.seconds,
                      'clients': options.clients, 'done': dict(soak.counts), 'loads': log.count('was unloaded'), 'held': figures,
                      'afterwards': {key: round(value, 1) for key, value in rest.items()}, 'faults': soak.faults}, indent=2))
    return 1 if soak.faults else 0


if __name__ == '__main__':
    sys.exit(main())
