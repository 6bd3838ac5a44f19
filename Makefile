# Two environments: .venv has torch for the CPU, .venv-xla the torch-xla that torch-neuronx is built on.
PYTHON ?= python3
CPU := matrices/environments/cpu.txt
XLA := matrices/environments/xla.txt
NEIGHBOURS := matrices/environments/neighbours.txt
WORKERS ?= 2
PROFILE ?= quick
# ultralytics asks for the OpenCV that needs the libraries of a screen; the headless one takes its place
HEADLESS := install -q --no-deps --force-reinstall opencv-python-headless

.PHONY: matrix matrix-xla localize operators published survey survey-xla test test-slow test-xla test-xla-slow lint bench-collect power clean

matrix: .venv/ready  ## run a profile on this CPU and write matrices/tables (pytest's exit 1: some cells are wrong)
	.venv/bin/pytest conformance --profile $(PROFILE) -n $(WORKERS) -q --tb=no --no-summary || test $$? -eq 1
	.venv/bin/conformance matrix

published:  ## the tables of matrices/published: the smallest model of every system, on this CPU and through torch-xla
	$(MAKE) matrix matrix-xla PROFILE=systems
	.venv/bin/conformance matrix --output matrices/published

matrix-xla: .venv-xla/ready  ## the same cells through the real front end of torch-neuronx, added to the same tables
	.venv-xla/bin/pytest conformance --profile $(PROFILE) --target xla -n $(WORKERS) -q --tb=no --no-summary || test $$? -eq 1
	.venv-xla/bin/conformance matrix

# Both run those of matrices/judged.txt, and go on from the records that are there; copy these to one host to merge.
SURVEYED = torchvision,timm,transformers,ultralytics
JUDGED = --sdk 2.33.0 --hardware trn2 --batch 2 --workers $(WORKERS) --timeout 60 --output matrices/tables/judged

survey: .venv/ready  ## whole packages of architectures, linted; the small ones of every family on two compilers: hours
	.venv/bin/conformance survey --of $(SURVEYED) --smallest --sdk 2.29.1,2.33.0 --hardware inf2,trn2 --workers $(WORKERS)
	.venv/bin/conformance survey --of $(SURVEYED) $(JUDGED) --match "$$(paste -sd, matrices/judged.txt)" --target openvino,onnxruntime
	.venv/bin/conformance survey --render

survey-xla: .venv-xla/ready  ## the small ones through the real front end of torch-neuronx
	.venv-xla/bin/conformance survey --of $(SURVEYED) $(JUDGED) --match "$$(paste -sd, matrices/judged.txt)" --target xla

MEASURED = conformance operators --workers $(WORKERS) --output conformance/operators/measured
operators: .venv/ready .venv-xla/ready  ## every operator of torch through the compilers of this CPU: matrices/operators.md, hours at first
	.venv/bin/$(MEASURED) --target openvino,onnxruntime,inductor > /dev/null
	.venv-xla/bin/$(MEASURED) --target xla > /dev/null
	.venv/bin/$(MEASURED) --render > matrices/operators.md

test: .venv/ready  ## the tests of the machinery
	.venv/bin/pytest -n $(WORKERS) -q

test-slow: .venv/ready  ## every task of every system, every kind of host: minutes, of what changes seldom
	.venv/bin/pytest -n $(WORKERS) -q -m 'slow and not xla'

test-xla: .venv-xla/ready  ## those that need torch-xla
	.venv-xla/bin/pytest -n $(WORKERS) -q -m 'xla and not slow'

test-xla-slow: .venv-xla/ready  ## the rest of those
	.venv-xla/bin/pytest -n $(WORKERS) -q -m 'xla and slow'

lint: .venv/ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

bench-collect: .venv/ready  ## what collecting 20,000 cases costs, side by side with stock pytest
	.venv/bin/python benchmarks/collect.py

power: .venv/ready  ## plant faults in healthy models and see which gates notice: matrices/published/power.{md,json}, two hours
	.venv/bin/python -m benchmarks.power --workers $(WORKERS) --checkpoint matrices/records/power.jsonl

# Two environments, one table: the second command has what the first found, and what an earlier run of the same code did.
LOCALIZE = benchmarks.localize --workers $(WORKERS) --checkpoint matrices/localize.jsonl --output matrices
localize: .venv/ready .venv-xla/ready  ## plant faults, and see who finds what is to blame: matrices/localize.{md,jsonl}, an hour and more
	.venv-xla/bin/python -m $(LOCALIZE) --only-real
	.venv/bin/python -m $(LOCALIZE)

.venv/ready: pyproject.toml $(CPU) $(NEIGHBOURS)
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -q -c $(CPU) torch
	.venv/bin/pip install -q -c $(CPU) -e '.[cpu,power,dev]'
	.venv/bin/pip $(HEADLESS)
	.venv/bin/pip install -q --no-deps --upgrade --target .venv/neighbours -r $(NEIGHBOURS)
	touch $@

.venv-xla/ready: pyproject.toml $(XLA)
	$(PYTHON) -m venv .venv-xla
	.venv-xla/bin/pip install -q -c $(XLA) -e '.[models,zoo,xla,replay,operators,dev]'
	.venv-xla/bin/pip $(HEADLESS)
	touch $@

clean:
	rm -rf .venv .venv-xla matrices/records matrices/tables
