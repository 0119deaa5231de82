# pod: `make run` builds the one file and runs a container with it; `make test` gets what the tests need and runs them.
# Everything the build needs beyond Python, pip, apt-get and a C compiler goes to build/ (packaging/tools.py).

PYTHON ?= python3
PYTEST_ARGS ?=
TOOLS = $(PYTHON) packaging/tools.py

.PHONY: help run dev test test-long test-faults test-sanitized test-vm soak bench fuzz fuzz-long lint format clean

help:
	@echo 'make run        build pod.pyz and run a container from the image inside it'
	@echo 'make test       build, get what the tests need, run them as you'
	@echo 'make pod.pyz    the one file, both architectures'
	@echo 'make dev        build the extensions and the helper in place, for work on the sources'
	@echo 'make test-long  the tests that take minutes too (two builds compared, other Pythons, arm64)'
	@echo 'make test-vm    other kernels in virtual machines: a table kernel, feature, what carries it'
	@echo 'make soak       what must not leak, ten times as often as in make test'
	@echo 'make test-faults  every system call of its commands gone wrong: SIGKILL, a full disk, … (docs/reliability.md)'
	@echo 'make test-sanitized  tests/ext with everything in C under address and undefined-behaviour sanitizers'
	@echo 'make fuzz       everything in C that reads what strangers wrote, by libFuzzer: FUZZ_SECONDS=10 for each target'
	@echo 'make fuzz-long  mutated input under sanitizers, with processes and threads: FUZZ_ROUNDS=20000'
	@echo 'make bench      pod beside its peers, one table'
	@echo 'make lint       ruff, mypy, clang-format'
	@echo 'make format     ruff format of imports, clang-format'

run: pod.pyz
	@echo '+ ./pod.pyz run --rm pod.local/busybox echo hello'
	@./pod.pyz run --rm pod.local/busybox echo hello
	@echo 'That was a container from the image inside pod.pyz: own namespaces, no root, nothing downloaded.'

.PHONY: pod.pyz
pod.pyz:
	@$(TOOLS) build -- packaging/build.py --output pod.pyz

dev:
	@$(TOOLS) build -- setup.py --quiet build_ext --inplace

test: pod.pyz dev
	@$(TOOLS) test -- -m tests.support.suite -m 'not slow and not other_kind' $(PYTEST_ARGS)

test-long: pod.pyz dev
	@$(TOOLS) test -- -m tests.support.suite $(PYTEST_ARGS)

soak: pod.pyz dev
	@POD_SOAK_EXECS=10000 POD_SOAK_RUNS=10000 $(TOOLS) test -- -m tests.support.suite tests/soak $(PYTEST_ARGS)

# Every system call of pod's commands gone wrong, as you, or as both users: an hour and a half with two processors.
test-faults: pod.pyz dev
	@results=$$(mktemp -d /var/tmp/pod-faults.XXXXXX); chmod 1777 $$results; \
	POD_FAULTS=all POD_FAULTS_RESULTS=$$results/of $(TOOLS) test -- -m tests.support.suite --dist load tests/faults $(PYTEST_ARGS); \
	$(TOOLS) test -- -m tests.support.fault_report $$results/of.*; status=$$?; rm -r $$results; exit $$status

# tests/ext with the extension modules and the static programs under address and undefined-behaviour sanitizers.
test-sanitized: dev
	@$(TOOLS) test -- -m tests.support.sanitized $(PYTEST_ARGS)

# Other kernels, systemd, cgroup v2: virtual machines (qemu), as root the first time; VM_SUITES names some of
# bullseye, bookworm, trixie.
VM_SUITES ?=
test-vm: pod.pyz
	@$(TOOLS) test -- -m tests.vm $(VM_SUITES)

bench: pod.pyz
	@$(TOOLS) test -- -m tests.bench

# libFuzzer (clang), two targets at once; FUZZ_TARGETS names some (tests/fuzz/targets.py). What it finds: build/fuzz/found.
FUZZ_SECONDS ?= 10
FUZZ_TARGETS ?=
fuzz: dev
	@$(TOOLS) test -- -m tests.fuzz $(FUZZ_SECONDS) $(FUZZ_TARGETS)

# Mutated archives and what the root emulator reads, longer than in the tests: FUZZ_ROUNDS, FUZZ_SEED.
FUZZ_ROUNDS ?= 20000
FUZZ_SEED ?= 1
FUZZERS = tests/unit/test_parsers_fuzz.py tests/ext/test_fuzz.py tests/ext/test_emulator_parts.py tests/ext/test_emulator_fuzz.py \
	tests/hostile/test_compose_files.py tests/commands/test_root_emulation_ids.py
fuzz-long: dev
	@POD_FUZZ_ROUNDS=$(FUZZ_ROUNDS) POD_FUZZ_SEED=$(FUZZ_SEED) $(TOOLS) test -- -m pytest -q -s $(FUZZERS)

lint: lint-ruff lint-mypy lint-format

.PHONY: lint-ruff lint-mypy lint-format
lint-ruff:
	@$(TOOLS) test -- -m ruff check --output-format concise .

lint-mypy: dev
	@$(TOOLS) test -- -m mypy

lint-format:
	@$(TOOLS) test -- packaging/check_format.py

format:
	@$(TOOLS) test -- -m ruff check --fix .
	@$(TOOLS) test -- packaging/check_format.py --fix

clean:
	rm -rf build pod.pyz ext/*.so ext/*.c ext/pod-helper ext/pod-netd ext/_build.py packaging/pod/_images
