# A thin front of the CMake presets: `cmake --preset release && cmake --build --preset release` does the same build.

SHELL := /bin/bash
BUILD := build/release
GPU   ?= $(shell scripts/pick-gpu.sh)
JOBS  ?= $(shell nproc)
CMAKE_ARGS ?=

.PHONY: help setup build configure demo test test-all coverage mutants bench gpu asan tsan asan-units test-newer fuzz soak format format-check lint lint-changed lint-commands docs docs-site \
  docs-check install package package-moe moe cross-aarch64 cross-windows test-package clean

help:
	@echo "make demo        set up, build, and measure the embedded model on the best device"
	@echo "make test        set up, build, and run the tests"
	@echo "make test-all    the same with the slow tests, fuzzing, and ThreadSanitizer over what has threads"
	@echo "make bench       measure libggml-moe against stock llama.cpp (an hour; BENCH=\"--pairs 1 --only Q4_K\" for less)"
	@echo "make coverage    the lines that tests run, as a page in build/coverage/html"
	@echo "make mutants     put small faults into the code and list those that no test notices (N=40 PATHS=src/lab SEED=1)"
	@echo "make build       set up and build into $(BUILD)/bin"
	@echo "make gpu GPU=…   fetch a prebuilt GPU module: vulkan or cuda"
	@echo "make install     install into PREFIX (default /usr/local)"
	@echo "make package     a .tar.gz and a .deb in build/package, for every processor of this kind"
	@echo "make test-package  install both on a bare system and use them there; as root"
	@echo "make moe         libggml-moe alone, with its fast tests (LLAMA=folder of llama.cpp's source)"
	@echo "make package-moe  libggml-moe alone as a .tar.gz in build/package (LLAMA=folder: for that llama.cpp)"
	@echo "make cross-aarch64 cross-windows  the same for 64-bit Arm, under QEMU; for Windows, under Wine"
	@echo "make asan tsan   run the tests under sanitizers (TESTS='^hub' for some); asan-units: what takes minutes"
	@echo "make test-newer  build libggml-moe for a newer llama.cpp (Debian sid's packages) and test it there; as root"
	@echo "make fuzz        fuzz what reads files and requests, each for FUZZ_SECONDS (default 60); FUZZ=\"http schema\" for some"
	@echo "make soak        64 clients of every kind against a server, for SOAK_SECONDS (default 600)"
	@echo "make format lint clang-format in place (format-check: says what is not formatted); clang-tidy (lint-changed SINCE=COMMIT)"
	@echo "make docs        regenerate docs/CLI.md and the picture of the README"
	@echo "make docs-check  links, commands, figures, the picture and the rooms, without a build"
	@echo "make docs-site   the documentation as a website (mkdocs), in build/docs-site/html"

setup:
	@scripts/setup.sh

$(BUILD)/build.ninja: CMakePresets.json
	@cmake --preset release -DSHIMMY_GPU="$(GPU)" $(CMAKE_ARGS) > $(BUILD).configure.log 2>&1 \
	  || { cat $(BUILD).configure.log; echo "make: configuring failed: the reason is above"; exit 1; }

configure: setup
	@mkdir -p build
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja

build: configure
	@scripts/build.sh $(BUILD) $(JOBS)

# The program and its plugin are all that it runs: no tests, no other tools. Mostly it is a first build: ccache need not run the
# preprocessor to find out whether another folder's file has been compiled.
demo: configure
	@CCACHE_DEPEND=1 scripts/build.sh $(BUILD) $(JOBS) shimmy ggml-moe
	@scripts/demo.sh $(BUILD)

test: build
	@ctest --preset fast

test-all: build
	@scripts/setup.sh slow-tests
	@ctest --preset release
	@scripts/fuzz.sh 60
	@$(MAKE) --no-print-directory tsan TESTS='^(hub|publish|serve|moe)\.'
	@$(MAKE) --no-print-directory cross-windows

coverage: setup
	@scripts/coverage.sh $(JOBS) '$(or $(TESTS),.)'

mutants: setup
	@scripts/mutants.py --count $(or $(N),40) --seed $(or $(SEED),1) $(if $(PATHS),--paths $(PATHS))

bench: build
	@cmake --build --preset release --parallel $(JOBS) --target bench-tools
	@bench/run.py --bin $(BUILD)/bin $(BENCH)

gpu: setup
	@mkdir -p build
	@cmake --preset release -DSHIMMY_GPU="$(GPU)" > /dev/null
	@echo "the $(GPU) module is in $(BUILD)/bin"

asan tsan: setup
	@cmake --preset $@ -DSHIMMY_GPU="$(GPU)" > /dev/null
	@cmake --build --preset $@ --parallel $(JOBS)
	@scripts/sanitized-tests.sh build/$@ '$(TESTS)'

# Rooms that read what comes from outside, and need little of llama.cpp.
units = base gguf library hub
asan-units: setup
	@cmake --preset asan -B build/asan-units -DSHIMMY_SANITIZE_LLAMA=OFF -DSHIMMY_MOE=OFF > /dev/null
	@cmake --build build/asan-units --parallel $(JOBS) --target $(units:%=%_tests)
	@scripts/sanitized-tests.sh build/asan-units '^($(subst $() ,|,$(units)))\.'

test-newer:
	@scripts/test-newer.sh

fuzz: build
	@scripts/fuzz.sh $${FUZZ_SECONDS:-60} $(FUZZ)

soak: build
	@bench/soak.py --bin $(BUILD)/bin --seconds $${SOAK_SECONDS:-600}

sources = git ls-files 'src/*.cpp' 'src/*.h' 'tests/*.cpp' 'tests/*.h' 'bench/*.cpp' 'moe/*.cpp' 'moe/*.h'

format:
	@$(sources) | xargs clang-format -i

format-check:
	@$(sources) | xargs clang-format --dry-run -Werror

# clang-tidy looks at files one by one, as their own commands compile them. The kernels of one instruction set are one
# algorithm, read with the scalar ones; Windows' files need its headers.
linted = ':!moe/src/kernels/isa_a*' ':!moe/src/kernels/isa_dotprod.cpp' ':!moe/src/kernels/isa_i8mm.cpp' ':!moe/src/*_windows.cpp'
tidy = xargs -r -P $(JOBS) -n 1 clang-tidy -p build/lint --quiet --extra-arg=-Wno-unknown-warning-option
lint: lint-commands
	@git ls-files 'src/*.cpp' 'moe/src/*.cpp' $(linted) | $(tidy)

# What differs from SINCE, the commit before by default.
lint-changed: lint-commands
	@git diff --name-only --diff-filter=d $(or $(SINCE),HEAD~1) -- 'src/*.cpp' 'moe/src/*.cpp' $(linted) | $(tidy)

lint-commands: setup
	@mkdir -p build
	@cmake --preset release -B build/lint -DSHIMMY_UNITY=OFF -DSHIMMY_GPU= > build/lint.configure.log

docs: build
	@$(BUILD)/bin/shimmy reference > docs/CLI.md
	@scripts/terminal-svg.py docs/demo.svg "shimmy plan --hardware" $(BUILD)/bin/shimmy plan --hardware --gpu-backend cpu

docs-check:
	@tests/structure/rooms.py .
	@tests/docs/links.py .
	@tests/docs/commands.py .
	@tests/docs/figures.py .
	@tests/docs/picture.py .

docs-site:
	@scripts/docs-site.sh

install: configure
	@scripts/build.sh $(BUILD) $(JOBS) installed
	@cmake --install $(BUILD) --prefix $(or $(PREFIX),/usr/local)

package: setup
	@mkdir -p build
	@cmake --preset portable -DSHIMMY_GPU="$(GPU)" $(CMAKE_ARGS) > build/portable.configure.log
	@scripts/build.sh build/portable $(JOBS) installed
	@scripts/package.sh build/portable $(TAG)

test-package:
	@scripts/test-package.sh $(SUITE)

moe: setup
	@cmake -S moe -B build/moe -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_MOE_LLAMA_DIR="$(or $(LLAMA),$$(scripts/fetch-llama.sh))"
	@cmake --build build/moe --parallel $(JOBS)
	@ctest --test-dir build/moe --label-exclude slow --output-on-failure

package-moe: setup
	@mkdir -p build
	@scripts/package-moe.sh $(LLAMA)

cross-aarch64:
	@JOBS=$(JOBS) scripts/cross-aarch64.sh

cross-windows:
	@JOBS=$(JOBS) scripts/cross-windows.sh

clean:
	@rm -rf build
