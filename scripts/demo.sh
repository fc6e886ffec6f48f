#!/usr/bin/env bash
# The main job on the embedded model: quantize it, run every quantization with all experts on the GPU and with
# --cpu-moe, measure the quality, show what that saves and costs, and write the documents.   usage: demo.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
shimmy=$1/bin/shimmy
out=build/demo

"$shimmy" gpu-info
echo
exec "$shimmy" lab run examples/tiny-moe.toml --out "$out" --device gpu
