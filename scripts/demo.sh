#!/usr/bin/env bash
# The main job on the embedded model: quantize it, run every quantization with all experts on the GPU and with
# --cpu-moe, show what that saves and costs, and write the documents.   usage: demo.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
shimmy=$1/bin/shimmy
out=build/demo

"$shimmy" gpu-info
echo
"$shimmy" lab run examples/tiny-moe.toml --out "$out" --device gpu

echo
echo "Quality of the same files (a part of the evaluation text), then the model cards, which need it:"
mkdir -p "$out/quality"
"$shimmy" quality --base models/tiny-moe/tiny-moe-f16.gguf --text models/tiny-moe/eval.txt --chunks 8 --device cpu \
  --json "$out"/models/*.gguf > "$out/quality/tiny-moe.json"
exec "$shimmy" lab report examples/tiny-moe.toml --out "$out"
