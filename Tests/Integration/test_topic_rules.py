# SPDX-License-Identifier: Apache-2.0
"""What a topic demands of batches: its codec, the broker's time, and bounds of the producer's time."""

import asyncio
import struct
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError as AsyncInvalidTimestamp
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Consumer, KafkaError, Producer)
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import InvalidTimestampError

from test_wire import fetch
from wire import Wire

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
NUMBERS = {"uncompressed": 0, "none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def create(broker, *topics):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in admin.create_topics([NewTopic(name, 1, 1, config=config) for name, config in topics]).values():
        future.result(10)


def stored_codecs(broker, topic):
    """The codecs of the batches that a fetch returns."""
    with Wire(broker.bootstrap) as wire:
        (answer,) = fetch(wire, 12, topic, None).responses
        data, found = bytes(answer.partitions[0].records), set()
    while data:
        found.add(struct.unpack(">h", data[21:23])[0] & 7)
        data = data[12 + struct.unpack(">i", data[8:12])[0]:]
    return found


@pytest.mark.conforms("librdkafka", "compression.type of a topic")
@pytest.mark.conforms("kafka-python", "compression.type of a topic")
def test_every_codec_becomes_every_other(broker):
    values = [b"value-%d " % number * 20 for number in range(100)]
    pairs = [(codec, target) for codec in CODECS for target in ["producer", "uncompressed", *CODECS[1:]]]
    create(broker, *((f"{codec}-to-{target}", {"compression.type": target}) for codec, target in pairs))
    for codec in CODECS:
        producer = Producer({"bootstrap.servers": broker.bootstrap, "compression.type": codec, "linger.ms": 50})
        python = KafkaProducer(bootstrap_servers=broker.bootstrap, linger_ms=50,
                               compression_type=None if codec == "none" else codec)
        for topic in (f"{codec}-to-{target}" for producers, target in pairs if producers == codec):
            for value in values:
                producer.produce(topic, value, partition=0)
            assert producer.flush(30) == 0
            for value in values:
                python.send(topic, value, partition=0)
            python.flush(30)
        python.close()
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe([f"{codec}-to-{target}" for codec, target in pairs])
    found, deadline = {}, time.monotonic() + 60
    while sum(map(len, found.values())) < len(pairs) * 200 and time.monotonic() < deadline:
        for message in consumer.consume(2000, 0.5):
            found.setdefault(message.topic(), []).append(message.value())
    consumer.close()
    for codec, target in pairs:
        topic = f"{codec}-to-{target}"
        assert found[topic] == values * 2, topic
        assert stored_codecs(broker, topic) == {NUMBERS[codec if target == "producer" else target]}, topic
    # kafka-python reads what the broker packed.
    topics = [TopicPartition(f"gzip-to-{target}", 0) for target in CODECS[1:]]
    reader = KafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=20000)
    reader.assign(topics)
    read = {}
    for _ in range(len(topics) * 200):
        message = next(reader)
        read.setdefault(message.topic, []).append(message.value)
    reader.close()
    assert all(read[topic.topic] == values * 2 for topic in topics)


@pytest.mark.conforms("librdkafka", "LogAppendTime")
@pytest.mark.conforms("kafka-python", "LogAppendTime")
@pytest.mark.conforms("aiokafka", "LogAppendTime")
def test_the_brokers_time(broker):
    create(broker, ("stamped", {"message.timestamp.type": "LogAppendTime", "message.timestamp.before.max.ms": "1000"}),
           ("kept", {}))
    begin = int(time.time() * 1000)
    told = []
    for codec in CODECS:
        producer = Producer({"bootstrap.servers": broker.bootstrap, "compression.type": codec})
        for topic in ("stamped", "kept"):
            for number in range(10):
                producer.produce(topic, b"v", partition=0, timestamp=1000 + number,
                                 on_delivery=lambda error, message: told.append((error, message)))
        assert producer.flush(20) == 0
    python = KafkaProducer(bootstrap_servers=broker.bootstrap)
    stored = python.send("stamped", b"v", partition=0, timestamp_ms=1000).get(10)
    python.close()
    end = int(time.time() * 1000)
    assert begin <= stored.timestamp <= end
    assert all(error is None for error, _ in told)
    assert {m.timestamp()[0] for _, m in told if m.topic() == "stamped"} == {TIMESTAMP_LOG_APPEND_TIME}
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe(["stamped", "kept"])
    found, deadline = [], time.monotonic() + 30
    while len(found) < 101 and time.monotonic() < deadline:
        found += consumer.consume(101, 0.5)
    consumer.close()
    stamps = {topic: [m.timestamp() for m in found if m.topic() == topic] for topic in ("stamped", "kept")}
    assert len(stamps["stamped"]) == 51 and len(stamps["kept"]) == 50
    assert all(kind == TIMESTAMP_LOG_APPEND_TIME and begin <= stamp <= end for kind, stamp in stamps["stamped"])
    assert stamps["kept"] == [(TIMESTAMP_CREATE_TIME, 1000 + number) for _ in CODECS for number in range(10)]

    async def read():
        async with AIOKafkaConsumer("stamped", bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest") as consumer:
            return await asyncio.wait_for(consumer.getone(), 20)

    message = asyncio.run(read())
    assert message.timestamp_type == 1 and begin <= message.timestamp <= end


@pytest.mark.conforms("librdkafka", "bounds of timestamps")
@pytest.mark.conforms("kafka-python", "bounds of timestamps")
@pytest.mark.conforms("aiokafka", "bounds of timestamps")
def test_bounds_of_the_producers_time(broker):
    create(broker, ("bounded", {"message.timestamp.before.max.ms": "60000", "message.timestamp.after.max.ms": "60000"}))
    now = int(time.time() * 1000)
    outcomes = {}
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0})
    for distance in (-120_000, -30_000, 0, 30_000, 120_000):
        producer.produce("bounded", b"v", partition=0, timestamp=now + distance,
                         on_delivery=lambda error, _, distance=distance: outcomes.update({distance: error and error.code()}))
        assert producer.flush(20) == 0
    refused = KafkaError.INVALID_TIMESTAMP
    assert outcomes == {-120_000: refused, -30_000: None, 0: None, 30_000: None, 120_000: refused}
    python = KafkaProducer(bootstrap_servers=broker.bootstrap)
    assert python.send("bounded", b"v", partition=0, timestamp_ms=now - 30_000).get(10).offset == 3
    for distance in (-120_000, 120_000):
        with pytest.raises(InvalidTimestampError):
            python.send("bounded", b"v", partition=0, timestamp_ms=now + distance).get(10)
    python.close()

    async def send():
        async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap) as producer:
            with pytest.raises(AsyncInvalidTimestamp):
                await producer.send_and_wait("bounded", b"v", partition=0, timestamp_ms=now + 120_000)
            return await producer.send_and_wait("bounded", b"v", partition=0, timestamp_ms=now)

    assert asyncio.run(send()).offset == 4
