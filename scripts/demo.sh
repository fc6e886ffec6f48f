#!/usr/bin/env bash
# The main job on the embedded model: quantize it, run every quantization with all experts on the GPU and with
# --cpu-moe, measure the quality, show what that saves and costs, write the documents, and say what to try next.
#   usage: demo.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
shimmy=$1/bin/shimmy
out=build/demo
model=models/tiny-moe/tiny-moe-f16.gguf

"$shimmy" gpu-info
echo
"$shimmy" lab run examples/tiny-moe.toml --out "$out" --device gpu

cat <<NEXT

The report with charts: $out/report.html

What to try next (the program is $shimmy; \`make install PREFIX=\$HOME/.local\` puts it into ~/.local/bin):
  $shimmy generate $model --prompt "Explain gradient descent in simple terms."
  $shimmy plan --shape phi-3.5-moe --quant Q4_K_M --vram 8GiB    # what a 42B model needs, without a download
  $shimmy serve --model $model    # then open http://127.0.0.1:11435
  $shimmy list    # models on this machine that it can run
docs/TUTORIAL.md runs a 42B model on an 8 GB card.
NEXT
