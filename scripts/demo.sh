#!/usr/bin/env bash
# The main job on the embedded model: quantize it, run every quantization with all experts on the GPU and with
# --cpu-moe, and show what that saves and costs.   usage: demo.sh BUILD_DIR
set -euo pipefail
cd "$(dirname "$0")/.."
shimmy=$1/bin/shimmy
out=build/demo

"$shimmy" gpu-info
echo
exec "$shimmy" lab run examples/tiny-moe.toml --out "$out" --device gpu
