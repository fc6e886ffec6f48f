"""Measure a GGUF file: its answers (through llama.cpp) and its routing (in torch).

The answers come from llama.cpp's llama-completion, greedy, with the chat template
of the file, so any quantization can be measured.
"""
import argparse
import math
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F

import corpus
import skill_explain
import skill_verse
from model import Config, Model
from tokenizer import Tokenizer

END_MARK = " [end of text]"


class Runner:
    """Greedy answers from llama-completion, one process per prompt."""

    def __init__(self, program, model):
        self.command = [str(program), "-m", str(model), "--jinja", "-cnv", "-st", "--temp", "0", "-n", "200",
                        "-t", "1", "--no-warmup", "--simple-io", "--no-display-prompt"]

    def answer(self, prompt):
        """Returns (answer, whether the model ended it).

        On a busy machine the program sometimes exits before its last words are
        written, so an answer without an end is asked for again.
        """
        for _ in range(20):
            text = self.output(prompt)
            if END_MARK in text:
                break
        return text.split(END_MARK)[0].strip("\n"), END_MARK in text

    def output(self, prompt):
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:
            file.write(prompt)
            file.flush()
            result = subprocess.run([*self.command, "-f", file.name], capture_output=True, check=True)
        return result.stdout.decode("utf-8", "replace").strip("\n")


def held_out_samples(skill, count):
    """Up to count held-out samples with distinct prompts."""
    rng, samples = random.Random(3), {}
    for _ in range(200 * count):
        sample = corpus.SKILLS[skill].sample(rng)
        if corpus.held_out(sample) and len(samples) < count:
            samples.setdefault(sample.prompt, sample)
    return list(samples.values())


def code_of(answer):
    match = re.search(r"```python\n(.*?)\n```", answer, re.S)
    return match.group(1) if match else ""


def same_result(sample, answer):
    """Arithmetic: the last number, which closes the answer."""
    def last(text):
        return re.findall(r"\d+(?:\.\d+)?", text)[-1:]
    return last(answer) == last(sample.answer)


def same_code(sample, answer):
    """Composed functions have one spelling, so equal text is equal meaning."""
    return code_of(answer) == code_of(sample.answer)


def known_sentences(sample, answer):
    """Explanations: every sentence must be one written for that topic."""
    topic = skill_explain.TOPICS[sample.key.split("|")[2]]
    allowed = {s for values in topic.values() if isinstance(values, list) for s in values}
    left = answer
    for sentence in allowed:
        left = left.replace(sentence, "")
    return bool(answer) and not left.strip()


def on_topic(sample, answer):
    """Verse: two or more images of the topic and none of another, in the form's number of lines."""
    topic = sample.key.split("|")[1]
    found = {name for name in skill_verse.TOPICS for i in images_of(name) if i in answer.lower()}
    own = sum(i in answer.lower() for i in images_of(topic))
    lines = [text.count("\n") for text in (answer, sample.answer)]
    return own >= 2 and found == {topic} and abs(lines[0] - lines[1]) <= 1


def images_of(topic):
    """The images of two words or more; single adjectives are shared between topics."""
    images = [i.replace("^", "").lower() for values in skill_verse.TOPICS[topic].values() for i in values]
    return [i for i in images if " " in i]


CHECKS = [
    ("arithmetic", "arithmetic|", same_result, "right result"),
    ("python", "python|list|", same_code, "right code, unseen combination"),
    ("explain", "explain|", known_sentences, "only sentences of the topic"),
    ("verse", "verse|", on_topic, "on topic and in form, unseen combination"),
]


def measure_skills(runner, count):
    for skill, prefix, check, meaning in CHECKS:
        samples = [s for s in held_out_samples(skill, 4 * count) if s.key.startswith(prefix)][:count]
        answers = [runner.answer(s.prompt) for s in samples]
        right = [check(s, a) for s, (a, _) in zip(samples, answers)]
        ended = sum(end for _, end in answers)
        print(f"{skill}: {sum(right)} of {len(right)} ({meaning}), {ended} ended by themselves")
        for s, (a, _), ok in zip(samples, answers, right):
            if not ok:
                print(f"    wrong: {s.prompt!r}\n        {a!r}", file=sys.stderr)


def show_prompts(runner, path):
    """Print the answers to the prompts of prompts.toml and check them."""
    import tomllib
    for prompt in tomllib.loads(path.read_text(encoding="utf-8"))["prompt"]:
        answer, ended = runner.answer(prompt["text"])
        right = ended and all(re.search(p, answer) for p in prompt["expect"])
        if prompt["id"] == "fibonacci":
            right = right and fibonacci_works(answer)
        print(f"[{prompt['id']}: {'right' if right else 'WRONG'}]\n{answer}\n")


def fibonacci_works(answer):
    scope = {}
    try:
        exec(code_of(answer), scope)  # the model's own function, as the check demands
        return [scope["fibonacci"](n) for n in range(8)] == [0, 1, 1, 2, 3, 5, 8, 13]
    except Exception:
        return False


def read_parameters(path, gguf_py):
    """The tensors of an F16 file as float32."""
    sys.path.insert(0, str(gguf_py))
    import gguf
    return {t.name: torch.from_numpy(t.data.astype("float32")) for t in gguf.GGUFReader(path).tensors}


@torch.no_grad()
def measure_text(model, tokenizer, path):
    """Perplexity as llama-perplexity defines it, and the share of every expert.

    Each chunk of n_ctx tokens has its first token replaced by BOS, and the second
    half of the chunk is scored.
    """
    c = model.config
    tokens = torch.tensor([tokenizer.bos, *tokenizer.encode(path.read_text(encoding="utf-8"))])
    chunks = tokens[:len(tokens) // c.n_ctx * c.n_ctx].view(-1, c.n_ctx).clone()
    chunks[:, 0] = tokenizer.bos
    losses, counts = [], 0
    for rows in chunks.split(4):
        logits, _, count = model.forward(rows)
        logits = logits.view(len(rows), c.n_ctx, -1)[:, c.n_ctx // 2:-1]
        targets = rows[:, c.n_ctx // 2 + 1:]
        losses.append(F.cross_entropy(logits.reshape(-1, c.n_vocab), targets.reshape(-1), reduction="none"))
        counts = counts + count
    losses = torch.cat(losses)
    error = losses.std() / math.sqrt(len(losses))
    ppl = losses.mean().exp()
    print(f"perplexity {ppl:.4f} +/- {ppl * error:.4f} over {len(chunks)} chunks")
    for layer, share in enumerate(counts / counts.sum(1, keepdim=True), start=c.n_layer_dense_lead):
        print(f"layer {layer}: smallest share {share.min():.4f}, largest {share.max():.4f}, even {1 / c.n_expert:.4f}")


@torch.no_grad()
def measure_routing(model, tokenizer):
    """The three busiest experts of every layer for each skill, over held-out chats."""
    c = model.config
    for skill in corpus.SKILLS:
        samples = held_out_samples(skill, 60)
        tokens = torch.tensor([t for s in samples for t in tokenizer.encode_chat([(s.prompt, s.answer)])])
        counts = model.forward(tokens[:len(tokens) // c.n_ctx * c.n_ctx].view(-1, c.n_ctx))[2]
        shares, experts = (counts / counts.sum(1, keepdim=True)).topk(3)
        layers = ["  ".join(f"{e}: {s:.2f}" for e, s in zip(*row)) for row in zip(experts.tolist(), shares.tolist())]
        print(f"{skill}: busiest experts by layer " + " | ".join(layers))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--completion", type=Path, required=True, help="llama.cpp's llama-completion program")
    parser.add_argument("--prompts", type=Path, help="print the answers to these prompts")
    parser.add_argument("--held-out", type=int, default=0, help="held-out questions per skill")
    parser.add_argument("--text", type=Path, help="perplexity and routing over this text (F16 files only)")
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--gguf-py", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    runner = Runner(args.completion, args.model)
    if args.prompts:
        show_prompts(runner, args.prompts)
    if args.held_out:
        measure_skills(runner, args.held_out)
    if args.text:
        model = Model(Config(), read_parameters(args.model, args.gguf_py))
        tokenizer = Tokenizer.load(args.tokenizer)
        measure_text(model, tokenizer, args.text)
        measure_routing(model, tokenizer)


if __name__ == "__main__":
    main()
