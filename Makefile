# SPDX-License-Identifier: Apache-2.0
#
# make run     build and start a broker on 127.0.0.1:9092
# make test    everything CI checks: style, unit tests, and real Kafka clients against the built broker
# make bench   the end-to-end benchmark suite; writes Benchmarks/results/

SWIFT_FLAGS ?=
DATA ?= goulette-data
ARGS ?=
BIN = .build/release

.PHONY: run build test unit integration lint bench clean

run: build
	exec $(BIN)/goulette start --data $(DATA) $(ARGS)

build:
	tools/setup
	swift build -c release $(SWIFT_FLAGS) --product goulette
	swift build -c release $(SWIFT_FLAGS) --product logstore-inspect

test: lint unit integration

lint:
	tools/setup --tests
	tools/lint

unit:
	tools/setup --tests
	swift build --build-tests $(SWIFT_FLAGS)
	swift test --skip-build $(SWIFT_FLAGS) --parallel

integration: build
	tools/setup --tests
	.venv/bin/pytest Tests/Integration -q -x --durations=5

bench: build
	tools/setup --tests
	.venv/bin/python Benchmarks/end_to_end.py $(ARGS)

clean:
	rm -rf .build .venv
