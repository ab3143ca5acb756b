# tracefwd: bare `make` lists what there is. Each target does its own set-up; see packaging/setup for what a fresh Debian needs.
SHELL := /bin/bash
SWIFT_FLAGS ?=
VENV := .venv
ACCEPTANCE_READY := $(VENV)/.ready
PHOENIX_VENV := .venv-phoenix
VENDORS_VENV := .venv-vendors
DEBUG := .build/debug/tracefwd
RELEASE := .build/release/tracefwd
STATIC := .build-static/release/tracefwd

.PHONY: help setup build release release-static run test test-unit test-acceptance test-phoenix test-vendors test-systemd lint format docs man bench \
  bench-compare bench-budgets bench-isolation bench-backlog bench-cel bench-redaction bench-pricing bench-rules fuzz simulate crash deb install clean

help: ## Lists the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: ## Installs what a build needs (libraries' headers, sqlite3, Python's venv), where it is missing.
	@packaging/setup

build: setup ## Builds the debug binary.
	swift build $(SWIFT_FLAGS)

release: setup ## Builds the release binary.
	swift build -c release --product tracefwd $(SWIFT_FLAGS)

release-static: setup ## Builds the release binary that packages carry: Swift's runtime linked in, all addresses bound at start.
	swift build -c release --static-swift-stdlib --scratch-path .build-static --product tracefwd -Xlinker -z -Xlinker now $(SWIFT_FLAGS)

run: build ## Starts the daemon below ./.run, sends a few spans through it, and stays up until Ctrl-C.
	@packaging/try $(DEBUG)

test: test-unit test-acceptance ## Runs the unit tests and the acceptance tests (a real Phoenix: make test-phoenix).

test-unit: setup ## Runs the Swift tests.
	@packaging/test-unit $(SWIFT_FLAGS)

$(ACCEPTANCE_READY): Tests/acceptance/requirements.txt
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

test-acceptance: build $(ACCEPTANCE_READY) ## Drives the real binary from outside, with real parts.
	$(VENV)/bin/python Tests/acceptance/intake_check.py --tool "$(abspath $(DEBUG)) debug-parse" --count 3000
	TRACEFWD_BINARY=$(abspath $(DEBUG)) $(VENV)/bin/python -m pytest -q Tests/acceptance

$(PHOENIX_VENV)/.ready: Tests/acceptance/requirements-phoenix.txt
	python3 -m venv $(PHOENIX_VENV)
	$(PHOENIX_VENV)/bin/pip install --quiet --disable-pip-version-check -r Tests/acceptance/requirements-phoenix.txt
	@touch $@

test-phoenix: build $(PHOENIX_VENV)/.ready ## Sends spans to a real Phoenix and reads them back.
	TRACEFWD_BINARY=$(abspath $(DEBUG)) unshare --net sh -c \
	  'ip link set lo up && exec $(PHOENIX_VENV)/bin/python -m pytest -q -m real_phoenix Tests/acceptance/test_phoenix.py'

$(VENDORS_VENV)/.ready: Tests/vendors/requirements.txt
	python3 -m venv $(VENDORS_VENV)
	@# One of them needs others that it is not used with; langfuse's old models stand beside its new package.
	@pip="$(VENDORS_VENV)/bin/pip install --quiet --disable-pip-version-check"; exec 2> $(VENDORS_VENV)/pip.log; \
	if $$pip -r $< && $$pip --no-deps respan-tracing && $$pip --no-deps --target $(VENDORS_VENV)/langfuse-3 langfuse==3.5.0; \
	then touch $@; fi

test-vendors: $(VENDORS_VENV)/.ready ## Reads what we write with the platforms' own packages, and compares it with what those write (PyPI).
	@if [ -e $< ]; then $(VENDORS_VENV)/bin/python -m pytest -q -rs Tests/vendors; \
	else echo "test-vendors skipped: the packages cannot be installed, is PyPI reachable? See $(VENDORS_VENV)/pip.log"; fi

test-systemd: $(ACCEPTANCE_READY) ## Boots a Debian with a real systemd and puts the package through its life (root; skipped where it cannot).
	@[ "$$(id -u)" -ne 0 ] || packaging/setup systemd-container debootstrap || true
	@if why=$$(python3 Tests/systemd/machine.py 2>&1); then \
	  $(MAKE) --no-print-directory deb && \
	  TRACEFWD_DEB=$$(ls -t .build/deb/*.deb | head -1) $(VENV)/bin/python -m pytest -q Tests/systemd; \
	else echo "test-systemd skipped: $$why"; fi

lint: ## Checks format and style, strictly, and that generated pages are up to date.
	swift format lint --strict --parallel --recursive Package.swift Sources Tests
	@if [ -x $(DEBUG) ]; then $(DEBUG) schema --markdown | diff -u Docs/configuration.md - || { echo "Docs/configuration.md is out of date: make docs"; exit 1; }; fi

format: ## Formats all Swift sources.
	swift format format -i --parallel --recursive Package.swift Sources Tests

docs: build ## Writes the generated pages: Docs/configuration.md.
	$(DEBUG) schema --markdown > Docs/configuration.md

man: build ## Writes the manual pages below .build/man, and lints them where mandoc is there.
	@mkdir -p .build/man && cp Docs/man/tracefwd.8 .build/man && $(DEBUG) schema --man > .build/man/tracefwd.yaml.5
	@if command -v mandoc > /dev/null; then mandoc -T lint -W warning .build/man/*; fi

bench: release ## Measures the release binary beside plain C and syslog-ng (25 minutes, 15 GiB below .bench/); writes .bench/result.json.
	@packaging/setup syslog-ng-core syslog-ng-mod-http || echo "syslog-ng cannot be installed here: its rows will say so"
	python3 Tests/bench/bench.py --binary $(RELEASE) $(BENCH)

bench-compare: release ## Compares the checkout with another revision, BASE=<rev>, in pairs; writes .bench/compare.json.
	python3 Tests/bench/compare.py $(or $(BASE),HEAD) --binary $(RELEASE)

bench-budgets: setup ## Counts the instructions and allocations of each step of a span's path, and says which budget is broken.
	@packaging/setup valgrind
	swift build -c release --product micro-bench $(SWIFT_FLAGS)
	python3 Tests/bench/budgets.py

bench-isolation: release ## Measures what eleven dead destinations cost the one that is well; writes .bench/isolation.json.
	python3 Tests/bench/isolation.py --binary $(RELEASE)

bench-backlog: release ## Fills the spool with SPANS=10000000 spans (some 11 GiB below .bench/), restarts, drains; writes .bench/backlog.json.
	python3 Tests/bench/backlog.py --binary $(RELEASE) --spans $(or $(SPANS),10000000)

bench-cel: setup ## Measures conditions of the usual kinds.
	swift run -c release $(SWIFT_FLAGS) cel-bench

bench-redaction: setup ## Measures redaction against its limit of 200 MB/s, beside memchr on the same texts.
	swift run -c release $(SWIFT_FLAGS) redaction-bench

bench-pricing: setup ## Measures what pricing a call takes.
	swift run -c release $(SWIFT_FLAGS) pricing-bench

bench-rules: setup ## Measures what routes, prices, transformation and redaction cost a span.
	swift run -c release $(SWIFT_FLAGS) rules-bench

fuzz: setup ## Fuzzes the parsers for a minute each (FUZZ_SECONDS=n for longer).
	TRACEFWD_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) swift test --filter 'AgreementTests|FuzzTests' $(SWIFT_FLAGS)

simulate: setup ## Simulates lives in which everything fails (SEEDS=n, FIRST_SEED=n; one again: SEED=n).
	SWIFT_DETERMINISTIC_HASHING=1 TRACEFWD_SEEDS=$(or $(SEEDS),2000) $(if $(FIRST_SEED),TRACEFWD_FIRST_SEED=$(FIRST_SEED)) \
	  $(if $(SEED),TRACEFWD_SEED=$(SEED)) swift test --filter SimulationTests $(SWIFT_FLAGS)

crash: release $(ACCEPTANCE_READY) ## Kills the daemon again and again and checks the books (ROUNDS=n SEED=n CRASH=--power-cuts).
	TRACEFWD_BINARY=$(abspath $(RELEASE)) PYTHONPATH=Tests/acceptance $(VENV)/bin/python -m crash \
	  --rounds $(or $(ROUNDS),300) $(if $(SEED),--seed $(SEED)) $(CRASH)

deb: release-static ## Writes .build/deb/tracefwd_<version>_<arch>.deb, and lints it where lintian is there.
	packaging/build-deb $(STATIC)

install: release ## Installs binary, units, pages and completions below $(DESTDIR) (best: make deb).
	packaging/install $(RELEASE) $(DESTDIR)/

clean: ## Removes what was built.
	rm -rf .build .build-static .cache .run .bench $(VENV) $(PHOENIX_VENV) $(VENDORS_VENV)
