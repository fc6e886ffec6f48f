"""Train the model on the generated corpus; seeded, and resumable from --work-dir."""
import argparse
import dataclasses
import math
import os
import random
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import corpus
from model import Config, Model, initial_parameters
from tokenizer import Tokenizer

SEED = 1
STEPS, STEP_TOKENS = 1600, 4096
SHORT, LONG_FROM = 256, 1500  # short sequences train faster; the last steps use the full context
PEAK_RATE, FINAL_RATE, WARMUP, HORIZON = 2e-3, 5e-5, 100, 2600
COOL_DOWN = [(1200, 1.0), (1500, 0.4), (STEPS, 0.0)]  # (step, factor on the rate), linear in between
BALANCE_WEIGHT = 0.01
PLAIN_SHARE = 0.3  # documents without chat markers, see corpus.plain_text
SAVE_EVERY = 100


def default_work_dir():
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "shimmy" / "tiny-moe"


def documents(tokenizer, samples, rng):
    """Group samples into documents: plain runs, or chats of one or two turns."""
    samples = iter(samples)
    def take(count):
        return [s for _, s in zip(range(count), samples)]
    while group := take(5 if rng.random() < PLAIN_SHARE / 4 else rng.choice([1, 1, 1, 2])):
        if len(group) > 2:
            yield [tokenizer.bos, *tokenizer.encode("".join(map(corpus.plain_text, group)))]
        else:
            yield tokenizer.encode_chat([(s.prompt, s.answer) for s in group])


def token_stream(tokenizer, count):
    """At least count training tokens, the same on every run."""
    samples = corpus.training_samples(count // 80)
    tokens = [t for doc in documents(tokenizer, samples, random.Random(SEED)) for t in doc]
    assert len(tokens) > count, "the corpus is too short for this many steps"
    return torch.tensor(tokens, dtype=torch.int64)


def learning_rate(step):
    """A linear warm-up and a slow cosine, brought to an early end by the cool-down."""
    if step < WARMUP:
        return PEAK_RATE * (step + 1) / WARMUP
    progress = min(1, (step - WARMUP) / (HORIZON - WARMUP))
    rate = FINAL_RATE + (PEAK_RATE - FINAL_RATE) * (1 + math.cos(math.pi * progress)) / 2
    return rate * float(np.interp(step, *zip(*COOL_DOWN)))


def batch(stream, step, n_ctx):
    """The step's tokens as rows [B, L + 1]; each row begins with the last token of the one before."""
    length = n_ctx if step >= LONG_FROM else SHORT
    start = step * STEP_TOKENS
    return torch.stack([stream[i:i + length + 1] for i in range(start, start + STEP_TOKENS, length)])


def make_optimizer(params):
    """Weight decay on matrices only."""
    groups = [{"params": [p for p in params.values() if p.dim() > 1], "weight_decay": 0.1},
              {"params": [p for p in params.values() if p.dim() == 1], "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)


def train_step(model, optimizer, tokens):
    """tokens [B, L + 1]; returns the loss and the expert counts."""
    logits, balance, counts = model.forward(tokens[:, :-1])
    loss = F.cross_entropy(logits, tokens[:, 1:].reshape(-1))
    (loss + BALANCE_WEIGHT * balance).backward()
    torch.nn.utils.clip_grad_norm_(model.params.values(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return loss.item(), counts


def save(path, model, optimizer, step):
    """Write to a side file first, so that an interruption never spoils a checkpoint."""
    side = path.with_suffix(".new")
    torch.save({"config": dataclasses.asdict(model.config), "params": model.params,
                "optimizer": optimizer.state_dict(), "step": step}, side)
    side.rename(path)


def resume(path, model, optimizer):
    if not path.exists():
        return 0
    saved = torch.load(path)
    for name, tensor in saved["params"].items():
        model.params[name].data.copy_(tensor)
    optimizer.load_state_dict(saved["optimizer"])
    return saved["step"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--work-dir", type=Path, default=default_work_dir())
    parser.add_argument("--precision", choices=["bf16", "f32"], default="bf16",
                        help="matrix products; f32 is for processors without bfloat16 instructions")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.work_dir.mkdir(parents=True, exist_ok=True)
    checkpoint = args.work_dir / "checkpoint.pt"

    tokenizer, config = Tokenizer.load(args.tokenizer), Config()
    assert len(tokenizer.tokens) == config.n_vocab
    dtype = torch.bfloat16 if args.precision == "bf16" else torch.float32
    model = Model(config, initial_parameters(config, SEED), dtype)
    optimizer = make_optimizer(model.params)
    first = resume(checkpoint, model, optimizer)
    stream = token_stream(tokenizer, STEPS * STEP_TOKENS + 1)
    print(f"{sum(p.numel() for p in model.params.values())} parameters, {len(stream)} tokens", flush=True)

    began = time.time()
    for step in range(first, STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step)
        loss, counts = train_step(model, optimizer, batch(stream, step, config.n_ctx))
        if step % 20 == 0:
            share = counts / counts.sum(1, keepdim=True)
            speed = (step - first + 1) * STEP_TOKENS / (time.time() - began)
            print(f"step {step} loss {loss:.4f} share {share.min():.3f}-{share.max():.3f} "
                  f"{speed:.0f} tokens/s", flush=True)
        if (step + 1) % SAVE_EVERY == 0 or step + 1 == STEPS:
            save(checkpoint, model, optimizer, step + 1)


if __name__ == "__main__":
    main()
