"""Generate the corpus: the training samples, the held-out samples and eval.txt.

Deterministic: the same seed gives the same text on every machine.
"""
import argparse
import random
from pathlib import Path

import skill_arithmetic
import skill_explain
import skill_python
import skill_verse
from skills import is_held_out

SKILLS = {
    "python": skill_python,
    "arithmetic": skill_arithmetic,
    "verse": skill_verse,
    "explain": skill_explain,
}
# Exact sums need the most practice and have the shortest answers.
TRAINING_MIX = {"python": 1.0, "arithmetic": 1.8, "verse": 0.8, "explain": 1.0}
HELD_OUT_PERCENT = 8
# The combinations of the five built-in prompts; none of them is trained on.
FIVE_PROMPT_KEYS = {
    "python|Write a Python function to {task}.|compute the nth Fibonacci number",
    "arithmetic|distance|60|2.5",
    "verse|the stars|Emily Dickinson",
    "explain|Explain {t} in simple terms.|gradient descent",
    "explain|Explain {t} in simple terms.|quantum computing",
}
TRAIN_SEED, EVAL_SEED = 1, 2


def held_out(sample):
    return sample.key in FIVE_PROMPT_KEYS or is_held_out(sample.key, HELD_OUT_PERCENT)


def training_samples(count, seed=TRAIN_SEED):
    """An endless-looking stream, cut at count; repeats are possible but rare."""
    rng = random.Random(seed)
    names, weights = zip(*TRAINING_MIX.items())
    samples = []
    while len(samples) < count:
        sample = SKILLS[rng.choices(names, weights)[0]].sample(rng)
        if not held_out(sample):
            samples.append(sample)
    return samples


def evaluation_samples(per_skill, seed=EVAL_SEED):
    """Distinct held-out samples, the same number of each skill, shuffled."""
    rng = random.Random(seed)
    samples = []
    for skill in SKILLS.values():
        chosen = {}
        while len(chosen) < per_skill:
            sample = skill.sample(rng)
            if held_out(sample):
                chosen[sample] = None
        samples += chosen
    rng.shuffle(samples)
    return samples


def plain_text(sample):
    """The markerless form: prompt, blank line, answer, blank line.

    Programs that read a text file for perplexity do not parse chat markers, so
    the model also learns this form and eval.txt uses it.
    """
    return f"{sample.prompt}\n\n{sample.answer}\n\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--eval-out", type=Path, required=True)
    parser.add_argument("--eval-per-skill", type=int, default=260)
    args = parser.parse_args()
    skill_python.self_check()
    samples = evaluation_samples(args.eval_per_skill)
    args.eval_out.write_text("".join(map(plain_text, samples)), encoding="utf-8")
    print(f"{args.eval_out}: {len(samples)} samples, {args.eval_out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
