# Everything a person types: `make quickstart`, `make test`. Set-up happens by itself, once, inside .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
EXTRAS := compress,tflite,dev

.PHONY: setup quickstart test check format lock protos agent-wheel clean

$(STAMP): pyproject.toml constraints.txt
	@echo "== set-up: environment in $(VENV) (about 1.5 GB, a few minutes the first time)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $(STAMP)

setup: $(STAMP)

# The main job on this machine with the built-in example.
quickstart: setup
	$(BIN)/edgewright --home out/quickstart quickstart

# Everything that must pass: style, types, import rules, tests.
test: check
	$(BIN)/python -m pytest

check: setup
	@echo "== style, types, import rules"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Pins what is installed now: run in a fresh environment after changing pyproject.toml.
lock: setup
	$(BIN)/python scripts/lock.py > constraints.new && mv constraints.new constraints.txt

# The stubs are committed; grpcio-tools 1.62.3 (Python 3.7 to 3.12) makes stubs that every runtime from 3.8 to 3.13 loads.
protos:
	test -x .venv-protos/bin/python || $(PYTHON) -m venv .venv-protos
	.venv-protos/bin/python -m pip install -q 'grpcio-tools==1.62.3' 'setuptools<81'
	.venv-protos/bin/python -m grpc_tools.protoc -Iprotos --python_out=protos --pyi_out=protos \
		--grpc_python_out=protos protos/edgewright_contract/agent.proto

# One wheel with the agent and the contract, for boards.
agent-wheel: setup
	$(BIN)/python -m build --wheel --outdir dist/agent agent

clean:
	rm -rf $(VENV) out
