# SPDX-License-Identifier: Apache-2.0
"""kafka-python and aiokafka at their defaults, each codec, idempotence, groups, timestamps, administration."""

import asyncio
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import TopicAlreadyExistsError

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]


@pytest.mark.conforms("kafka-python", "produce and consume, each codec")
@pytest.mark.conforms("kafka-python", "consumer groups")
@pytest.mark.parametrize("codec", CODECS)
def test_kafka_python_round_trip(broker, codec):
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, compression_type=codec)
    futures = [producer.send("events", b"value-%d" % n, key=b"k", partition=0) for n in range(2000)]
    producer.flush(60)
    assert [future.get(10).offset for future in futures] == list(range(2000))
    producer.close()
    consumer = KafkaConsumer(
        "events", bootstrap_servers=broker.bootstrap, group_id="readers", auto_offset_reset="earliest",
        consumer_timeout_ms=20000)
    found = []
    for message in consumer:
        found.append(message.value)
        if len(found) == 2000:
            break
    consumer.close()
    assert found == [b"value-%d" % n for n in range(2000)]


@pytest.mark.conforms("kafka-python", "idempotent producer")
@pytest.mark.conforms("kafka-python", "offsets by time")
@pytest.mark.conforms("kafka-python", "topics, partitions, configuration")
def test_kafka_python_idempotence_timestamps_and_admin(broker):
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics([NewTopic("managed", 2, 1)])
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics([NewTopic("managed", 2, 1)])
    assert "managed" in admin.list_topics()
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, enable_idempotence=True)
    base = int(time.time() * 1000) - 10_000
    for number in range(500):
        producer.send("managed", b"%d" % number, partition=1, timestamp_ms=base + number)
    producer.flush(30)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap)
    partition = TopicPartition("managed", 1)
    assert consumer.offsets_for_times({partition: base + 250})[partition].offset == 250
    assert consumer.end_offsets([partition])[partition] == 500
    assert consumer.beginning_offsets([partition])[partition] == 0
    consumer.assign([partition])
    consumer.seek(partition, 250)
    assert next(consumer).value == b"250"
    consumer.close()
    admin.delete_topics(["managed"])
    assert "managed" not in admin.list_topics()
    admin.close()


@pytest.mark.conforms("aiokafka", "produce and consume, each codec")
@pytest.mark.conforms("aiokafka", "idempotent producer")
@pytest.mark.conforms("aiokafka", "consumer groups")
@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("idempotent", [False, True])
def test_aiokafka_round_trip(broker, codec, idempotent):
    async def run():
        async with AIOKafkaProducer(
                bootstrap_servers=broker.bootstrap, compression_type=codec, enable_idempotence=idempotent) as producer:
            results = await asyncio.gather(*[
                await producer.send("events", b"value-%d" % n, partition=0) for n in range(2000)])
            assert sorted(result.offset for result in results) == list(range(2000))
        async with AIOKafkaConsumer(
                "events", bootstrap_servers=broker.bootstrap, group_id="readers",
                auto_offset_reset="earliest") as consumer:
            found = [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(2000)]
        assert found == [b"value-%d" % n for n in range(2000)]

    asyncio.run(run())
