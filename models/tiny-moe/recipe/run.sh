#!/bin/sh
# Rebuild the model: corpus, tokenizer, training (about an hour on one core), export.
# usage: run.sh LLAMA_CPP_SOURCE [WORK_DIR]
# An interrupted run continues from the last checkpoint in WORK_DIR.
set -eu
llama_cpp=$1
work=${2:-${XDG_CACHE_HOME:-$HOME/.cache}/shimmy/tiny-moe}
python=${PYTHON:-python3}
recipe=$(cd "$(dirname "$0")" && pwd)
model=$(dirname "$recipe")
mkdir -p "$work"

# Large tensors come and go at every step. Keeping their memory, in huge pages,
# makes training about half again as fast with the GNU C library.
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=40000000000 MALLOC_TOP_PAD_=500000000
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1

"$python" "$recipe/corpus.py" --eval-out "$model/eval.txt"
"$python" "$recipe/tokenizer.py" --out "$work/tokenizer.json"
"$python" "$recipe/train.py" --tokenizer "$work/tokenizer.json" --work-dir "$work"
"$python" "$recipe/export_gguf.py" --gguf-py "$llama_cpp/gguf-py" \
    --tokenizer "$work/tokenizer.json" --checkpoint "$work/checkpoint.pt" \
    --out "$model/tiny-moe-f16.gguf"
