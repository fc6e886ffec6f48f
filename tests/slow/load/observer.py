"""Stands between a load client and an OpenAI server, sees every request that passes, and says what the figures of vLLM's
`bench serve` are for them. Written from vLLM's own definitions (vllm/benchmarks/serve.py and lib/endpoint_request_func.py):

  TTFT  from the request to the first event of the answer that holds text (vLLM's own client: that holds a choice)
  ITL   from one event with text to the next
  E2E   from the request to the last event with text (there: `latency`)
  TPOT  (latency - ttft) / (output tokens - 1), for answers of more than one token
  throughput  completed requests, and their output tokens, per second from the first request to the last event

usage: observer.py UPSTREAM_HOST:PORT
Prints {"address"} at once. A request for /done ends it: it prints {"figures", "recording"}.
"""
import asyncio, json, sys, time

upstream_host, upstream_port = sys.argv[1].rsplit(":", 1)
recording = []  # of each completion: "sent_ms", "chunks": [[ms, text of the body's bytes]], in the order of arrival
done = asyncio.Event()
start = time.perf_counter()


def now_ms():
    return 1000.0 * (time.perf_counter() - start)


async def read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    return lines[0], {line.split(":", 1)[0].strip().lower(): line.split(":", 1)[1].strip() for line in lines[1:] if ":" in line}


async def pieces_of(reader, headers, forward):
    """Bytes of a body as they arrive; `forward` has been given them as they came over the wire, before."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            size_line = await reader.readline()
            size = int(size_line.split(b";")[0], 16)
            data = await reader.readexactly(size + 2)
            at = now_ms()
            forward(size_line + data)
            if size == 0:
                return
            yield at, data[:-2]
    else:
        while data := await reader.read(65536):
            at = now_ms()
            forward(data)
            yield at, data


async def serve(reader, writer):
    try:
        request, headers = await read_head(reader)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        sent_ms = now_ms()
        if " /done " in request:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            done.set()
            return
        up_reader, up_writer = await asyncio.open_connection(upstream_host, int(upstream_port))
        kept = [f"{name}: {value}" for name, value in headers.items() if name not in ("connection", "host", "expect")]
        head = [request, f"host: {upstream_host}:{upstream_port}", "connection: close", *kept]
        up_writer.write("\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body)
        status, answered = await read_head(up_reader)
        kept = [f"{name}: {value}" for name, value in answered.items() if name not in ("connection", "keep-alive")]
        writer.write("\r\n".join([status, "connection: close", *kept]).encode("latin-1") + b"\r\n\r\n")
        record = {"sent_ms": sent_ms, "chunks": []}
        if "/completions " in request:
            recording.append(record)
        async for at, data in pieces_of(up_reader, answered, writer.write):
            record["chunks"].append([at, data.decode("utf-8")])
        up_writer.close()
    finally:
        try:
            await writer.drain()
            writer.close()
        except ConnectionError:
            pass


def text_of(choice):
    part = choice.get("delta") or {}
    return (part.get("reasoning_content") or "") + (part.get("content") or "") + (choice.get("text") or "")


def timeline(record):
    """Times of events with text, and the server's count of output tokens."""
    times, tokens, rest = [], 0, ""
    for at, data in record["chunks"]:
        *events, rest = (rest + data).split("\n\n")
        for event in events:
            payload = event.removeprefix("data: ")
            if payload == "[DONE]" or not event.startswith("data: "):
                continue
            document = json.loads(payload)
            tokens = (document.get("usage") or {}).get("completion_tokens", tokens)
            if any(text_of(choice) for choice in document.get("choices", [])):
                times.append(at)
    return times, tokens


def percentile(values, share):
    """As numpy.percentile takes it by default: linear between the two nearest."""
    values = sorted(values)
    at = share * (len(values) - 1)
    low = int(at)
    return values[low] + (at - low) * (values[min(low + 1, len(values) - 1)] - values[low])


def distribution(values):
    return {"mean": sum(values) / len(values), "p50": percentile(values, 0.5), "p90": percentile(values, 0.9),
            "p99": percentile(values, 0.99), "min": min(values), "max": max(values)} if values else None


def figures():
    ttft, tpot, itl, e2e, n_tokens, last = [], [], [], [], 0, 0.0
    for record in recording:
        times, tokens = timeline(record)
        first_ms = times[0] - record["sent_ms"]
        latency_ms = times[-1] - record["sent_ms"]
        ttft.append(first_ms)
        e2e.append(latency_ms)
        itl += [later - earlier for earlier, later in zip(times, times[1:])]
        if tokens > 1:
            tpot.append((latency_ms - first_ms) / (tokens - 1))
        n_tokens += tokens
        last = max(last, times[-1])
    duration_s = (last - min(record["sent_ms"] for record in recording)) / 1000.0
    return {"n_requests": len(recording), "n_output_tokens": n_tokens, "duration_ms": 1000.0 * duration_s,
            "requests_per_s": len(recording) / duration_s, "total_tps": n_tokens / duration_s,
            "ttft_ms": distribution(ttft), "tpot_ms": distribution(tpot), "gap_ms": distribution(itl), "e2e_ms": distribution(e2e)}


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    print(json.dumps({"address": f"{host}:{port}"}), flush=True)
    await done.wait()
    print(json.dumps({"figures": figures(), "recording": recording}), flush=True)

asyncio.run(main())
