# What is done with a checkout.  "make" alone lists it.

PYTHON ?= python3
PORT ?= 7007
VENV := .venv
BIN := $(VENV)/bin
REACTORS := epoll netproc poll select asyncio
# Pythons that the classifiers in setup.cfg name, beside the one of the environment.
OTHER_PYTHONS := 3.12 3.13
# What must hold on every reactor.
CONTRACT := $(addprefix netproc.test.real.test_,tcp unix foreign resets connecting datagrams seqpacket)
# Tests of Twisted that use the installed reactor.
GLOBAL_REACTOR := $(addprefix twisted.test.test_,tcp tcp_internals udp unix ssl process)

.PHONY: help serve dev-cert test reactors twisted-suite conformance stress scan check-dist check-versions check lint types coverage docs bench bench-quick clean

help:
	@echo "make serve [PORT=7007]  an echo server under twistd"
	@echo "make dev-cert           a certificate to try TLS with on this machine, and how to try it"
	@echo "make test               the test suite"
	@echo "make reactors           the contract of streams and the command line on each reactor"
	@echo "make twisted-suite      the tests of reactors that ship with Twisted, on the netproc reactor"
	@echo "make conformance        the scenarios, live, against the Emacs that is installed"
	@echo "make stress             2,000 stalled TLS handshakes and 100 honest clients; each half-close 200 times"
	@echo "make scan               sslscan and testssl.sh on a TLS server"
	@echo "make check              lint, types, docs and the coverage of the tests, on the netproc reactor"
	@echo "make check-dist         wheel, sdist and editable install, each in a fresh environment"
	@echo "make check-versions     the same for the oldest releases of what netproc needs, and for other Pythons"
	@echo "make bench              netproc beside plain Twisted, asyncio, uvloop, Emacs, socat and C; half an hour"
	@echo "make bench-quick        the same in two minutes: does it work?"
	@echo "make clean              remove what these made"

# -- environments: $(VENV)/with-EXTRA says that netproc[EXTRA] is installed ---------------------

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit("netproc needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/with-nothing: setup.cfg | $(BIN)/pip
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/with-%: setup.cfg | $(BIN)/pip
	$(BIN)/pip install --quiet --editable ".[$*]"
	@touch $@

# -- using it -----------------------------------------------------------------------------------

serve: $(VENV)/with-nothing
	$(BIN)/twistd -n netproc make --name echo --server t --host local --service $(PORT) --filter netproc.filters.echo

dev-cert: $(VENV)/with-nothing
	@$(BIN)/python -m netproc dev-cert

bench: $(VENV)/with-bench
	$(BIN)/python benchmarks/run.py

bench-quick: $(VENV)/with-bench
	$(BIN)/python benchmarks/run.py --quick

# -- testing it ---------------------------------------------------------------------------------

# Tests wait for other programs as much as they compute: two workers for each processor.
# The end of the output lists what was skipped, and which package is missing for it.
test: $(VENV)/with-test
	$(BIN)/trial -j$$((2 * $$($(BIN)/python -c 'import os; print(os.cpu_count())'))) netproc

# Side by side: they mostly wait.
reactors: $(VENV)/with-test
	$(MAKE) --jobs=3 --output-sync $(addprefix contract-on-,$(REACTORS)) commands-on-reactors

contract-on-%: $(VENV)/with-test
	$(BIN)/trial --temp-directory=_trial_temp_$* --reactor=$* $(CONTRACT)

commands-on-reactors: $(VENV)/with-test
	NETPROC_REACTORS="$(REACTORS)" $(BIN)/trial --temp-directory=_trial_temp_commands netproc.test.real.test_command

# "make coverage" runs all tests of ours on the netproc reactor.
twisted-suite: $(VENV)/with-test $(VENV)/with-twisted-tests
	$(BIN)/trial netproc.test.real.reactor_suite
	$(BIN)/trial --reactor=netproc $(GLOBAL_REACTOR)

conformance: $(VENV)/with-test
	$(BIN)/python -m netproc.test.conformance --emacs

stress: $(VENV)/with-test
	$(BIN)/python -m netproc.test.interop.stress
	NETPROC_TIMES=200 $(BIN)/trial --temp-directory=_trial_temp_stress $(CONTRACT) netproc.test.real.test_tls netproc.test.real.test_tls_failures

scan: $(VENV)/with-test
	$(BIN)/python -m netproc.test.interop.scan

check-dist: $(VENV)/with-check
	.ci/check-dist $(BIN)/python wheel sdist editable

check-versions: $(VENV)/with-check
	.ci/check-dist $(BIN)/python oldest $(OTHER_PYTHONS)

check: lint types docs coverage

lint: $(VENV)/with-check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	.ci/check-words docs README.rst CONTRIBUTING.rst benchmarks/README.rst netproc

types: $(VENV)/with-check $(VENV)/with-test $(VENV)/with-bench $(VENV)/with-docs
	$(BIN)/mypy

docs: $(VENV)/with-docs
	$(BIN)/sphinx-build -W --keep-going --quiet -b html docs docs/_build/html
	$(BIN)/towncrier build --draft --version next > docs/_build/news.rst

# On the netproc reactor: "make test" runs them on Twisted's.
# core/ has a test for every branch; the rest may leave out what only a broken system does.
coverage: $(VENV)/with-check $(VENV)/with-test
	$(BIN)/coverage run -m twisted.trial --temp-directory=_trial_temp_coverage --reactor=netproc netproc
	$(BIN)/coverage report --include='netproc/core/*' --fail-under=100
	$(BIN)/coverage report --skip-covered --fail-under=95

clean:
	rm -rf $(VENV) _trial_temp* .coverage* docs/_build build dist *.egg-info benchmarks/results
