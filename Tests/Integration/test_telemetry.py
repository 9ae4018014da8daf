# SPDX-License-Identifier: Apache-2.0
"""Clients' metrics (KIP-714): librdkafka pushes as it does by default, Prometheus gets it, and what is wrong is refused."""

import gzip
import struct
import subprocess
import time
import uuid

import lz4.frame
import pytest
import zstandard
from confluent_kafka import Consumer, Producer

from ports import free_port
from test_fuzz import Relay
from wire import Wire, get_subscription, otlp, push

THROTTLED, UNKNOWN_SUBSCRIPTION, TOO_LARGE, INVALID_RECORD, INVALID_REQUEST, UNSUPPORTED_CODEC = 89, 117, 118, 87, 42, 76


@pytest.fixture
def pushed(new_broker):
    """A broker that asks for all metrics, often."""
    port = free_port()
    broker = new_broker(arguments=["--advertise", f"127.0.0.1:{port}"], environment={
        "GOULETTE_TELEMETRY__METRICS": "*", "GOULETTE_TELEMETRY__PUSH_INTERVAL": "300ms",
        "GOULETTE_TELEMETRY__MAX_BYTES": "2 KiB", "GOULETTE_TELEMETRY__MAX_INSTANCES": "20"}).start()
    relay = Relay(port, broker.port)
    yield broker, relay, f"127.0.0.1:{port}"
    assert broker.stop() == 0, broker.log_tail()
    broker.verify()


def sample(broker, name, *labels):
    """The value of one series; None when there is none."""
    for line in broker.get("/metrics")[1].splitlines():
        if line.startswith(name + "{") and all(label in line for label in labels):
            return float(line.rsplit(" ", 1)[1])
    return None


def wait_for(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)  # The client pushes when it wants to: it is looked again, and the deadline fails the test.


def pushes(relay):
    """Of each push, its client's instance and whether it was the last."""
    found = []
    for frame in list(relay.frames):
        key, _, _, length = struct.unpack(">hhih", frame[:10])
        if key == 72:
            body = frame[10 + max(0, length) + 1:]
            found.append((uuid.UUID(bytes=body[:16]), body[20] == 1))
    return found


@pytest.mark.conforms("librdkafka", "client telemetry (KIP-714)")
def test_librdkafka_pushes_its_metrics(pushed):
    broker, relay, bootstrap = pushed
    broker_text = broker.get("/metrics")[1]
    assert "goulette_client_" not in broker_text
    producer = Producer({"bootstrap.servers": bootstrap, "client.id": "till-7"})
    consumer = Consumer({"bootstrap.servers": bootstrap, "client.id": "reader \"1\"", "group.id": "g",
                         "auto.offset.reset": "earliest"})
    consumer.subscribe(["events"])
    producer.produce("events", b"value")
    assert producer.flush(20) == 0
    software = 'client_software="confluent-kafka-python"'
    wait_for(lambda: (producer.poll(0), consumer.poll(0.1)) and sample(
        broker, "goulette_client_producer_record_queue_time_max", 'client_id="till-7"', software) is not None,
        "the producer's metrics appear")
    wait_for(lambda: (producer.poll(0), consumer.poll(0.1)) and sample(
        broker, "goulette_client_consumer_connection_creation_total", r'client_id="reader \"1\""', software) is not None,
        "the consumer's metrics appear")
    text = broker.get("/metrics")[1]
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert broker.metric("goulette_telemetry_instances") == 2
    assert sample(broker, "goulette_telemetry_pushes_total", 'error="NONE"') >= 2
    assert broker.metric("goulette_requests_malformed_total") == 0
    consumer.close()
    del producer, consumer
    # Not every client gets to it before its connections go.
    wait_for(lambda: any(last for _, last in pushes(relay)), "who ends says good-bye")
    # Each keeps its instance all along.
    assert len({instance for instance, _ in pushes(relay)}) == 2
    assert sample(broker, "goulette_telemetry_pushes_total", 'error="THROTTLING_QUOTA_EXCEEDED"') is None


@pytest.mark.parametrize("codec,pack", [
    (0, bytes), (1, gzip.compress), (3, lz4.frame.compress), (4, zstandard.ZstdCompressor().compress)],
    ids=["none", "gzip", "lz4", "zstd"])
def test_each_codec(pushed, codec, pack):
    broker, _, bootstrap = pushed
    with Wire(bootstrap, "hand") as wire:
        told = get_subscription(wire)
        assert told["error"] == 0 and told["interval"] == 300 and told["max_bytes"] == 2048 and told["delta"]
        assert sorted(told["codecs"]) == [0, 1, 2, 3, 4] and told["metrics"] == ["*"]
        data = otlp(**{"org.apache.kafka.producer.record.queue": 2.5, "my.sent_total": 4})
        assert push(wire, told["instance"], told["subscription"], pack(data), codec=codec) == 0
        # One that ends need not wait.
        assert push(wire, told["instance"], told["subscription"], pack(data), codec=codec, terminating=True) == 0
        assert push(wire, told["instance"], told["subscription"], terminating=True) == INVALID_REQUEST
    assert sample(broker, "goulette_client_producer_record_queue", 'client_id="hand"', 'client_software="unknown"') == 2.5
    assert sample(broker, "goulette_client_my_sent_total", 'client_id="hand"') == 8


def test_what_is_wrong_is_refused(pushed):
    broker, _, bootstrap = pushed
    with Wire(bootstrap) as wire:
        told = get_subscription(wire)
        instance, subscription = told["instance"], told["subscription"]
        assert instance.int != 0 and get_subscription(wire)["instance"] != instance
        assert get_subscription(wire, instance)["error"] == THROTTLED
        assert push(wire, uuid.UUID(int=0), subscription) == INVALID_REQUEST
        assert push(wire, instance, subscription + 1) == UNKNOWN_SUBSCRIPTION
        # Who was told that its subscription is not known may ask at once.
        again = get_subscription(wire, instance)
        assert again["error"] == 0 and again["subscription"] == subscription
        assert push(wire, instance, subscription, codec=9) == UNSUPPORTED_CODEC
        assert get_subscription(wire, instance)["error"] == 0
        assert push(wire, instance, subscription, bytes(2049)) == TOO_LARGE
        bomb = zstandard.ZstdCompressor().compress(bytes(8 << 20))
        assert len(bomb) < 2048
        # A last push that is refused does not end the client.
        assert push(wire, instance, subscription, bomb, codec=4, terminating=True) == TOO_LARGE
        assert push(wire, instance, subscription, b"\x0b", terminating=True) == INVALID_RECORD
        assert push(wire, instance, subscription, b"no zstd", codec=4, terminating=True) == INVALID_RECORD
        assert push(wire, instance, subscription, terminating=True) == THROTTLED
    with Wire(bootstrap) as wire:
        known = int(broker.metric("goulette_telemetry_instances"))
        for _ in range(20 - known):
            assert get_subscription(wire)["error"] == 0
        assert get_subscription(wire)["error"] == THROTTLED
    assert broker.metric("goulette_telemetry_instances") == 20
    assert sample(broker, "goulette_telemetry_pushes_total", 'error="INVALID_RECORD"') == 2


def test_nothing_is_asked_for_by_default(broker):
    with Wire(broker.bootstrap) as wire:
        told = get_subscription(wire)
        assert told["error"] == 0 and told["metrics"] == [] and told["interval"] == 300_000
