# SPDX-License-Identifier: Apache-2.0
#
# make run     build and start a broker on 127.0.0.1:9092
# make test    everything CI checks: style, unit tests, simulated clusters, real Kafka clients against the built broker
# make simulate   clusters under faults, on a model of the store and on the store itself; make mutations plants bugs
# make faults  real brokers under real faults (root), see Tests/Faults; make faults-planted plants bugs
# make exactly-once  transactions under kills of brokers and clients
# make bench   the end-to-end benchmark suite, make bench-cluster three brokers, make bench-compaction compacted topics
#              under kill -9; they write Benchmarks/results/

SWIFT_FLAGS ?=
DATA ?= goulette-data
ARGS ?=
SOAK_SECONDS ?= 40
# Tests that go step by step with deadlines; those that keep the processor busy run after them.
STEPWISE = ^(Admin|Broker|Discovery|KafkaClient|KafkaServer|Telemetry)Tests
# A crash shows its own thread at once; all threads of a thousand tests take ten minutes.
TEST_BACKTRACE = threads=crashed,images=none,interactive=no,color=no
BIN = .build/release

.PHONY: run build test unit integration lint simulate mutations faults faults-planted exactly-once bench bench-cluster bench-compaction clean

run: build
	exec $(BIN)/goulette start --data $(DATA) $(ARGS)

build:
	tools/setup
	swift build -c release $(SWIFT_FLAGS) --product goulette
	swift build -c release $(SWIFT_FLAGS) --product logstore-inspect

test: lint unit simulate integration

lint:
	tools/setup --tests
	tools/lint

unit:
	tools/setup --tests
	swift build --build-tests $(SWIFT_FLAGS)
	SWIFT_BACKTRACE=$(TEST_BACKTRACE) swift test --skip-build $(SWIFT_FLAGS) --parallel --filter '$(STEPWISE)'
	SWIFT_BACKTRACE=$(TEST_BACKTRACE) swift test --skip-build $(SWIFT_FLAGS) --parallel --skip '$(STEPWISE)'

simulate:
	swift build -c release $(SWIFT_FLAGS) --product simulator
	$(BIN)/simulator soak --count 1000000 --seconds $(SOAK_SECONDS)
	$(BIN)/simulator soak --from 1 --count 150 --storage production
	$(BIN)/simulator soak --count 1000000 --seconds $(SOAK_SECONDS) --storage production
	$(BIN)/simulator soak --from 1 --count 120 --storage compacted

mutations:
	GOULETTE_MUTATIONS=1 swift build -c release $(SWIFT_FLAGS) --scratch-path .build/mutations --product simulator
	.build/mutations/release/simulator mutations

faults: build
	tools/setup --tests
	GOULETTE_BIN=$(BIN) .venv/bin/python Tests/Faults/faults.py $(ARGS)

exactly-once: build
	tools/setup --tests
	GOULETTE_BIN=$(BIN) .venv/bin/python Tests/Faults/exactly_once.py $(ARGS)

faults-planted:
	tools/setup --tests
	GOULETTE_MUTATIONS=1 swift build -c release $(SWIFT_FLAGS) --scratch-path .build/mutations --product goulette
	GOULETTE_MUTATIONS=1 swift build -c release $(SWIFT_FLAGS) --scratch-path .build/mutations --product logstore-inspect
	GOULETTE_BIN=.build/mutations/release .venv/bin/python Tests/Faults/planted.py $(ARGS)

integration: build
	tools/setup --tests
	.venv/bin/pytest Tests/Integration Tests/Faults -q -x -m "not long" --durations=5 --conformance .build/conformance.json
	.venv/bin/python tools/conformance --check .build/conformance.json

bench: build
	tools/setup --tests
	.venv/bin/python Benchmarks/end_to_end.py $(ARGS)

bench-cluster: build
	tools/setup --tests
	.venv/bin/python Benchmarks/cluster.py $(ARGS)

bench-compaction: build
	tools/setup --tests
	.venv/bin/python Benchmarks/compaction.py $(ARGS)

clean:
	rm -rf .build .venv
