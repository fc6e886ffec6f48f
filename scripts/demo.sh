#!/usr/bin/env bash
# The main job on the embedded model: quantize it, run every quantization with all experts on the GPU and with
# --cpu-moe, measure the quality, show what that saves and costs, write the documents. Then what libggml-moe is worth on
# this machine, on the shape of a real model, and what to try next.
#   usage: demo.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
shimmy=$1/bin/shimmy
out=build/demo
model=models/tiny-moe/tiny-moe-f16.gguf

"$shimmy" gpu-info
echo
"$shimmy" lab run examples/tiny-moe.toml --out "$out" --device gpu

# Stock llama.cpp and libggml-moe in turns, so that what else the machine does reaches both.
large=$out/deepseek-moe-16b-6-layers.gguf rates=$out/this-machine.txt
echo
echo "This machine: llama.cpp's own CPU code against libggml-moe (a minute)"
"$shimmy" synth --shape deepseek-moe-16b --layers 6 --quant Q4_K_M --out "$large" >/dev/null 2>&1
: >"$rates"
for backend in off on off on; do
  "$shimmy" bench "$large" -p 512 -n 32 -r 1 --device cpu --moe-backend $backend --json |
    sed -n "s/.*\"mean_tps\": \([0-9.]*\).*/$backend \1/p" >>"$rates"
done
rm -f "$large"
awk '{ sum[$1, NR % 2] += $2 }  # a line for the prompt, one for the answer, of each run
  END {
    printf "\n%-22s %18s %18s\n", "", "prompt, tokens/s", "answer, tokens/s"
    printf "%-22s %18.1f %18.1f\n", "llama.cpp", sum["off", 1] / 2, sum["off", 0] / 2
    printf "%-22s %18.1f %18.1f\n", "shimmy", sum["on", 1] / 2, sum["on", 0] / 2
    printf "%-22s %17.1f\303\227 %17.1f\303\227\n", "", sum["on", 1] / sum["off", 1], sum["on", 0] / sum["off", 0]
  }' "$rates"
cat <<CONDITIONS
6 of the 28 layers of DeepSeek-MoE 16B, Q4_K_M, random weights, on the CPU alone; a prompt of 512 tokens, 32 tokens of answer, mean of
two runs each. More types, shapes and lengths: \`make bench\`; a model of yours: \`$shimmy bench MODEL --moe-backend off\`, and without it.
CONDITIONS

cat <<NEXT

The report with charts: $out/report.html

What to try next (the program is $shimmy; \`make install PREFIX=\$HOME/.local\` puts it into ~/.local/bin):
  $shimmy generate $model --prompt "Explain gradient descent in simple terms."
  $shimmy plan --shape phi-3.5-moe --quant Q4_K_M --vram 8GiB    # what a 42B model needs, without a download
  $shimmy serve --model $model    # then open http://127.0.0.1:11435
  $shimmy list    # models on this machine that it can run
docs/TUTORIAL.md runs a 42B model on an 8 GB card.
NEXT
