# make demo: a real model on a real benchmark. make test: every test. Both set up what they need.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# What was set up stays what it is, until GPU=1 or GPU=0 says otherwise.
KIND := $(if $(filter-out 0,$(or $(GPU),$(if $(wildcard .venv/.ready-gpu),1))),gpu,cpu)
PY := .venv/bin/python
READY := .venv/.ready-$(KIND)
TEST ?=

MODEL = smollm2_135m
ENGINE = vllm

.PHONY: help setup demo reproduce-table test check bench baseline lock clean

help: ## what there is to make
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 20

setup: $(READY) ## the environment in .venv: make setup; on a GPU machine make setup GPU=1, which stays (GPU=0: back)

$(READY): locks/$(KIND).txt $(wildcard locks/$(KIND)-torch.txt) pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "needs Python 3.11 (PYTHON=/path/to/python3.11)"; exit 1; }
	@test -x $(PY) || "$(PYTHON)" -m venv .venv
	@{ command -v uv >/dev/null && $(MAKE) -s with-uv; } || $(MAKE) -s with-pip
	@$(MAKE) -s bytecode
	@$(PY) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@command -v bwrap >/dev/null || $(MAKE) -s bubblewrap
	@rm -f .venv/.ready-*; touch $(READY)

# What pip knows from its environment, uv is told; what only pip's own files say, it cannot know.
UV_INSTALL = uv pip install --quiet --python $(PY) --no-deps --index-strategy unsafe-best-match \
  $(addprefix --extra-index-url ,$(PIP_EXTRA_INDEX_URL)) $(addprefix --find-links ,$(PIP_FIND_LINKS))

.PHONY: with-uv with-pip
with-uv:
	@echo "installing locks/$(KIND).txt into .venv with uv: a minute or two the first time"
	@{ test ! -f locks/$(KIND)-torch.txt || $(UV_INSTALL) -r locks/$(KIND)-torch.txt; } 2>.venv/uv-errors && \
	  $(UV_INSTALL) --require-hashes -r locks/$(KIND).txt 2>>.venv/uv-errors || \
	  { echo "uv could not (.venv/uv-errors says why): with pip"; $(MAKE) -s with-pip; }

with-pip:
	@echo "installing locks/$(KIND).txt into .venv: two to three minutes the first time"
	@test ! -f locks/$(KIND)-torch.txt || $(PY) -m pip install -qq --disable-pip-version-check --no-deps \
	  --no-compile -r locks/$(KIND)-torch.txt 2>.venv/pip-errors || { grep -v ^WARNING .venv/pip-errors; \
	  echo "torch's CPU build is not on the ordinary package index:"; \
	  echo "  make setup PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"; exit 1; }
	@set -o pipefail; $(PY) -m pip install --disable-pip-version-check --progress-bar off --no-compile --no-deps \
	  --require-hashes -r locks/$(KIND).txt 2>.venv/pip-errors | awk -v total="$$(grep -c == locks/$(KIND).txt)" \
	  '/^Collecting|already satisfied/ { if (++n % 20 == 0 || n == total) { printf "\r  %d of %d packages", n, total; fflush() } } \
	   /^Installing/ { printf ", installing"; fflush() } END { print "" }' || { \
	  grep -v ^WARNING .venv/pip-errors; exit 1; }

# Bytecode of what the first start would compile on one core, made on all; of the rest, most of which is never
# imported, none: it took most of pip's time. What fails here is compiled as it is imported.
STARTED = $(wildcard $(addprefix .venv/lib/python3.*/site-packages/,torch vllm transformers scipy sympy networkx numpy))

.PHONY: bytecode
bytecode:
	@$(PY) -m compileall -qq -j 0 -x '/(tests?|testing|models)/' $(STARTED) || true

.PHONY: bubblewrap
bubblewrap:
	@echo "installing bubblewrap, which isolates model-written code"
	@root=; [ "$$(id -u)" = 0 ] || root="sudo -n"; \
	  { $$root apt-get install -y -qq bubblewrap || { $$root apt-get update -qq && \
	    $$root apt-get install -y -qq bubblewrap; }; } >/dev/null 2>&1 || \
	  echo "could not: install bubblewrap yourself (apt-get install bubblewrap); HumanEval needs it"

demo: $(READY) ## HumanEval and sample items on the embedded small model, a few minutes
	@$(PY) -m ochat_eval task=demo

reproduce-table: $(READY) ## the three published tables: MODEL=… [ENGINE=…] [LIMIT=…] [DATA=sample] [JUDGE=…] [OPTIONS="NAME=VALUE …"]
	@test -n "$(MODEL)" || { echo "MODEL is empty: name a file of conf/model, ORG/NAME or a folder"; exit 2; }
	@$(PY) -m ochat_eval task=all "engine=$(ENGINE)" \
	  $(if $(findstring /,$(MODEL)),model=hf "model.path=$(MODEL)","model=$(MODEL)") \
	  $(if $(LIMIT),"limit=$(LIMIT)") $(if $(DATA),"data=$(DATA)") $(if $(JUDGE),"judge=$(JUDGE)") $(OPTIONS)

.PHONY: chromium
chromium:
	@echo "installing Chromium, in which the tests open the report and the chat page"
	@root=; [ "$$(id -u)" = 0 ] || root="sudo -n"; \
	  { $$root apt-get install -y -qq chromium || { $$root apt-get update -qq && \
	    $$root apt-get install -y -qq chromium; }; } >/dev/null 2>&1 || \
	  echo "could not: install it yourself (apt-get install chromium); its tests are skipped without"

# Tests of one file share a process, for the fixtures of their module.
export PYTHONDONTWRITEBYTECODE :=# a shell that sets it would have every process compile all files
PYTEST = $(PY) -m pytest --dist loadfile --no-loadscope-reorder

.PHONY: lint
lint: $(READY)
	@$(PY) -m ruff check ochat_eval tasks tests docs
	@$(PY) -m ruff format --check ochat_eval tasks tests docs
	@$(PY) -m mypy ochat_eval tasks
	@.venv/bin/lint-imports >.venv/lint-imports || { cat .venv/lint-imports; exit 1; }

check: lint ## the linters, the type checker and the quick tests, for while you work: about a minute
	@$(PYTEST) -n 2 -m "not (vllm or browser or sandbox or slow)" $(TEST)

test: lint ## all of check, and every other test: make test TEST="-k gsm8k"
	@command -v chromium >/dev/null || $(MAKE) -s chromium
	@$(MAKE) -s .venv-others/.ready || echo "could not: the tests that need it are skipped"
	@$(PYTEST) -n 3 $(TEST)  # one more than cores: a third of the time tests wait

OTHERS := .venv-others/bin/python

.venv-others/.ready: locks/others.txt locks/schemas.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "needs Python 3.11 (PYTHON=/path/to/python3.11)"; exit 1; }
	@test -x $(OTHERS) || "$(PYTHON)" -m venv .venv-others
	@echo "installing trackers and viewers into .venv-others, for the tests: about two minutes, 0.8 GB"
	@for lock in "others" "schemas --ignore-requires-python"; do set -- $$lock; \
	  $(OTHERS) -m pip install -qq --disable-pip-version-check --no-compile --no-deps --require-hashes -r locks/$$1.txt $$2 \
	  2>.venv-others/pip-errors || { grep -v ^WARNING .venv-others/pip-errors; exit 1; }; done
	@$(OTHERS) -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

DOCS := .venv-docs/bin

.venv-docs/.ready: locks/docs.txt
	@command -v "$(PYTHON)" >/dev/null || { echo "needs Python 3.11 (PYTHON=/path/to/python3.11)"; exit 1; }
	@test -x $(DOCS)/python || "$(PYTHON)" -m venv .venv-docs
	@echo "installing locks/docs.txt into .venv-docs"
	@$(DOCS)/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r locks/docs.txt 2>.venv-docs/pip-errors || { \
	  grep -v ^WARNING .venv-docs/pip-errors; exit 1; }
	@touch $@

.PHONY: docs
docs: .venv-docs/.ready ## the guide as a site in build/site, with an environment of its own; a dead link fails
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/mkdocs build --strict --quiet
	@echo build/site/index.html

.PHONY: pictures
pictures: $(READY) ## remake every picture of docs/, without a model; needs Chromium
	@command -v chromium >/dev/null || $(MAKE) -s chromium
	@$(PY) docs/pictures.py

bench: $(READY) ## what the harness costs, each as a ratio from one run; about 15 minutes on 2 cores, quiet machine [WHAT=decide] [RECORD=FILE]
	@$(PY) -m ochat_eval bench $(WHAT) $(if $(RECORD),--record "$(RECORD)")

.PHONY: gpu-check
gpu-check: $(READY) ## on a GPU, in ten minutes: engine=vllm against bare vLLM, the suite, its tail, memory: [MODEL=…] [RECORD=FILE]
	@$(PY) -m ochat_eval bench gpu-check \
	  $(if $(findstring /,$(MODEL)),model=hf "model.path=$(MODEL)","model=$(MODEL)") \
	  --record "$(or $(RECORD),results/recorded/bench_gpu-check.json)"

# Reruns differ in order, batches and threads. With other work on the machine, one thread that is
# bound to no core is much faster than vLLM's own choice.
BASELINE := $(PY) -m ochat_eval task=[mmlu,gsm8k,bbh_mc,bbh_cot,agieval,truthfulqa,humaneval,math] \
  model=smollm2_135m limit=25 max_tokens=256 engine.dtype=float32
RECORDED := smollm2_135m-cpu

baseline: $(READY) ## record the small model anew, four runs of 200 items, with OCHAT_EVAL_DATA; goes on where it stopped
	@export VLLM_CPU_OMP_THREADS_BIND=nobind OMP_NUM_THREADS=1; set -e; \
	  $(BASELINE) run=baseline; \
	  $(BASELINE) run=baseline-1 shuffle=1 engine.max_num_seqs=16; \
	  OMP_NUM_THREADS=2 $(BASELINE) run=baseline-2 shuffle=2 engine.max_num_seqs=64 engine.window=48; \
	  $(BASELINE) run=baseline-3 shuffle=3 engine.max_num_seqs=128 engine.window=100; \
	  $(PY) -m ochat_eval record baseline baseline-1 baseline-2 baseline-3 --as $(RECORDED)

lock: $(READY) ## solve locks/*.in again (cpu: with the index that has torch's CPU build)
	@$(PY) -m pip install -q uv
	@for kind in cpu gpu docs audit others; do \
	  without=""; [ ! -f locks/$$kind-without.txt ] || without="--override locks/$$kind-without.txt"; \
	  $(PY) -m uv pip compile locks/$$kind.in $$without --generate-hashes --python-version 3.11 \
	  --python-platform x86_64-manylinux_2_28 --no-annotate --no-header -q \
	  --index-strategy unsafe-best-match -o locks/$$kind.txt || exit 1; \
	  sed -i "1i # Made by 'make lock' from $$kind.in; installed with --no-deps and --require-hashes: what stands here is all there is." locks/$$kind.txt; done
	@$(PY) -m uv pip compile locks/schemas.in --no-deps --generate-hashes --python-version 3.12 \
	  --python-platform x86_64-manylinux_2_28 --no-annotate --no-header -q -o locks/schemas.txt
	@sed -i "1i # Made by 'make lock' from schemas.in; installed with --no-deps and --require-hashes." locks/schemas.txt
	@grep '^torch==' locks/cpu.txt | cut -d' ' -f1 >locks/.torch; sed -i '/^torch==/d' locks/cpu-torch.txt; cat locks/.torch >>locks/cpu-torch.txt
	@awk '/^[^ ]/ { torch = /^torch==/ } !torch' locks/cpu.txt >locks/.cpu; mv locks/.cpu locks/cpu.txt; rm locks/.torch

.venv-audit/.ready: locks/audit.txt
	@test -x .venv-audit/bin/python || "$(PYTHON)" -m venv .venv-audit
	@.venv-audit/bin/python -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r locks/audit.txt
	@touch $@

.PHONY: sbom audit
sbom: $(READY) .venv-audit/.ready ## what is installed, as CycloneDX, in build/sbom.json
	@mkdir -p build; .venv-audit/bin/cyclonedx-py environment --output-file build/sbom.json $(PY)
	@echo build/sbom.json

audit: .venv-audit/.ready ## known weaknesses of what is installed; asks the package index's database
	@for kind in cpu gpu docs audit others; do echo "locks/$$kind.txt"; \
	  .venv-audit/bin/pip-audit --requirement locks/$$kind.txt --no-deps --disable-pip --progress-spinner off || bad=1; done; [ -z "$$bad" ]

clean: ## remove the environment and what tools left behind (results stay)
	@rm -rf .venv .venv-docs .venv-audit .venv-others .venv-lm-eval .venv-inspect-ai build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
