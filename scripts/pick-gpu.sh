#!/usr/bin/env bash
# Prints which prebuilt GPU module suits this machine: cuda where NVIDIA's CUDA 13 runtime is installed, else vulkan,
# which also drives NVIDIA cards, and llvmpipe where there is no GPU.
set -euo pipefail
# No pipe into `grep -q`: it would stop ldconfig with SIGPIPE, which pipefail takes for a failure.
libraries=$(ldconfig -p)
if [ -e /dev/nvidiactl ] && [[ $libraries == *libcublas.so.13* && $libraries == *libcudart.so.13* ]]; then
  echo cuda
else
  echo vulkan
fi
