#!/usr/bin/env bash
# Fuzzes what reads untrusted bytes with libFuzzer under ASan and UBSan, each target for SECONDS. Only the sources that a
# target reaches are instrumented; the rest are the release build's libraries.
# usage: fuzz.sh SECONDS [gguf] [load] [toml] [result] [http] [request] [schema] [template] [sse] [hub] [check] [task]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1; shift
[ $# -gt 0 ] || set -- gguf load toml result http request schema template sse hub check task
command -v clang++ >/dev/null || { echo "fuzz: clang++ with libFuzzer is needed: apt-get install clang libclang-rt-dev" >&2; exit 1; }

lib=build/release/bin
[ -e "$lib/libllama-server-impl.so" ] || { echo "fuzz: run make build first" >&2; exit 1; }
llama=$(sed -n 's/^SHIMMY_LLAMA_DIR:PATH=//p' build/release/CMakeCache.txt)
out=build/fuzz
places=(-DSHIMMY_SHAPES_DIR="\"$PWD/shapes\"" -DSHIMMY_VOCAB_DIR="\"$llama/models\"" -DSHIMMY_LIBRARY_FOLDER='""')
# toml++ calls unreachable what some characters beyond ASCII do reach; the switch there has nothing for them.
flags=(-std=c++20 -g -O1 "${places[@]}" -fsanitize=fuzzer,address,undefined -fno-sanitize=unreachable -Isrc -Itests/fuzz -I"$llama/include" -I"$llama/ggml/include"
  -isystem "$llama/vendor" -isystem "$llama/common" -isystem "$llama/src" -isystem "$llama/tools/server" -isystem "$llama/tools/mtmd")
libraries=(-L"$lib" -lggml-base -lcrypto -lfmt -Wl,-rpath,"$PWD/$lib")
llama_libraries=(-lllama-server-impl -lllama-common -lllama -lggml)
bounds=(src/serve/bounds/*.cpp src/serve/http/{http_error,json_limits,request}.cpp)
base=(src/base/{digest,files,json,last_words}.cpp src/base/text/{base64,text,units,utf8}.cpp src/base/process/interrupt.cpp)
reader=(src/gguf/{active_share,expert_tensors,file_type,gguf_file,metadata,model_info,parse,problems,purpose}.cpp "${base[@]}")
tasks=(src/eval/{answer,json_forms,llama_forms,read_task,task}.cpp src/base/text/text_file.cpp)
campaigns=("${reader[@]}" src/gguf/shape.cpp src/base/host/data_dir.cpp src/base/process/subprocess.cpp src/base/process/spawn.cpp
  src/lab/campaign/{axes,campaign,languages,tasks}.cpp src/lab/plan/{plan,result}.cpp "${tasks[@]}" src/library/names.cpp src/engine/load/placement.cpp src/engine/layout/quantization.cpp)
loader=(src/engine/device/{device,modelled_device,rpc}.cpp src/engine/llama/log.cpp
  src/engine/load/{llama_args,load_options,load_params,memory,placement,routing_recorder}.cpp
  src/engine/predict/{choose_placement,companions,estimate,fit,layer_split,share_layers,shortage}.cpp src/base/host/{bandwidth,cache_dir,cgroup,data_dir,host}.cpp
  src/base/process/{spawn,subprocess}.cpp)

# Seeds are those of tests/fuzz/corpus/TARGET; what is found beyond them stays in build/fuzz/TARGET.
run() {  # TARGET SOURCE… -- LIBFUZZER_OPTION… -- LIBRARY…
  local target=$1 sources=(tests/fuzz/$1_fuzz.cpp) options=(); shift
  while [ "$1" != -- ]; do sources+=("$1"); shift; done; shift
  while [ "$1" != -- ]; do options+=("$1"); shift; done; shift
  mkdir -p "$out/$target"
  clang++ "${flags[@]}" "${sources[@]}" "$@" "${libraries[@]}" -o "$out/${target}_fuzz"
  echo "fuzz: $target"
  "$out/${target}_fuzz" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -verbosity=0 -print_funcs=0 -print_final_stats=1 \
    -artifact_prefix="$out/$target-" "${options[@]}" "$out/$target" ${seeds:-tests/fuzz/corpus/$target} \
    2> >(grep -vi ' # Uses: \|recommended dictionary\|^stat::new' >&2)
}

for target in "$@"; do
  seeds=
  case $target in
    gguf)  # the front of real files, where the header and the first keys are
      seeds=$out/gguf-seeds
      mkdir -p "$seeds"
      for seed in "$llama"/models/ggml-vocab-{gpt-2,phi-3}.gguf models/tiny-moe/tiny-moe-f16.gguf; do
        head -c 4096 "$seed" > "$seeds/$(basename "$seed" .gguf)"
      done
      run gguf "${reader[@]}" -- -max_len=8192 -- ;;
    load)  # a header in every run: the seeds say which keys change
      seeds=$out/load-seeds
      mkdir -p "$seeds"
      head -c 64 /dev/urandom > "$seeds/any"
      run load "${reader[@]}" "${loader[@]}" -- -max_len=256 -detect_leaks=0 -- -Imoe/include -isystem "$llama/ggml/src" "${llama_libraries[@]}" -lggml-rpc -lmtmd -ldl ;;
    toml) run toml "${campaigns[@]}" -- -max_len=2048 -- "${llama_libraries[@]}" ;;
    result) run result "${campaigns[@]}" -- -max_len=4096 -- "${llama_libraries[@]}" ;;
    http) run http src/serve/http/{connection,head,http_error,json_limits,request}.cpp "${base[@]}" -- -max_len=4096 \
      -dict=tests/fuzz/http.dict -- build/release/llama.cpp/vendor/cpp-httplib/libcpp-httplib.a -lssl ;;
    request) run request "${bounds[@]}" "${base[@]}" src/serve/api/{keep_alive,ollama_request}.cpp \
      src/serve/forms/{begun_answer,responses}.cpp src/serve/prompt/tool_choice.cpp -- -max_len=4096 -dict=tests/fuzz/request.dict -- "${llama_libraries[@]}" ;;
    schema) run schema "${bounds[@]}" "${base[@]}" "$llama"/common/{json-schema,json-schema-to-grammar}.cpp "$llama/src/llama-grammar.cpp" -- \
      -max_len=2048 -close_fd_mask=3 -dict=tests/fuzz/schema.dict -- "${llama_libraries[@]}" ;;
    template) run template "${bounds[@]}" "${base[@]}" src/serve/prompt/{chat,tool_choice}.cpp \
      "$llama"/common/{chat,chat-auto-parser-generator,chat-auto-parser-helpers,chat-diff-analyzer,chat-peg-parser,peg-parser}.cpp \
      "$llama"/common/{jinja,parsers}/*.cpp "$llama/src/llama-grammar.cpp" -- -max_len=4096 -close_fd_mask=3 -dict=tests/fuzz/request.dict \
      -- -DSHIMMY_TEMPLATES="\"$llama/models/templates\"" "${llama_libraries[@]}" ;;
    task) run task "${tasks[@]}" "${base[@]}" src/lab/http/{request,workload}.cpp -- -max_len=2048 -- ;;
    # What the network would say is the input: http::send() is the fuzzer's own.
    hub) run hub src/hub/api/*.cpp src/hub/http/*.cpp src/hub/download/cache.cpp src/base/http/http.cpp src/base/version.cpp "${base[@]}" -- -max_len=4096 -- \
      -DSHIMMY_VERSION='"fuzz"' -Wl,--wrap=_ZN6shimmy4http4sendERKNS0_7RequestE -lcurl ;;
    check) run check src/check/{code,words}.cpp src/check/sandbox/*.cpp src/base/process/{descriptor,spawn,subprocess}.cpp \
      "${base[@]}" -- -max_len=4096 -- -lseccomp ;;
    sse) run sse src/base/http/sse.cpp -- -max_len=1024 -- ;;
    *) echo "fuzz: there is no target $target" >&2; exit 2 ;;
  esac
done
