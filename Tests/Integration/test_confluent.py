# SPDX-License-Identifier: Apache-2.0
"""librdkafka through confluent-kafka: defaults, codecs, idempotence, groups, timestamps, administration."""

import time

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType)


def produce(broker, topic, count, first=0, **settings):
    offsets = {}

    def delivered(error, message):
        assert error is None, error
        offsets[(message.partition(), message.offset())] = message.value()

    producer = Producer({"bootstrap.servers": broker.bootstrap, **settings})
    for number in range(first, first + count):
        while True:
            try:
                producer.produce(topic, b"value-%d" % number, b"key-%d" % number, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(60) == 0
    assert len(offsets) == count
    return offsets


def consume(broker, topic, count, group="readers", timeout=60, **settings):
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": group, "auto.offset.reset": "earliest", **settings})
    consumer.subscribe([topic])
    found, deadline = [], time.monotonic() + timeout
    while len(found) < count and time.monotonic() < deadline:
        for message in consumer.consume(1000, 0.5):
            assert message.error() is None, message.error()
            found.append(message)
    consumer.close()
    return found


@pytest.mark.conforms("librdkafka", "produce and consume, each codec")
@pytest.mark.conforms("librdkafka", "idempotent producer")
@pytest.mark.conforms("librdkafka", "consumer groups")
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("idempotent", [False, True])
def test_round_trip(broker, codec, idempotent):
    offsets = produce(broker, "events", 5000, **{"compression.type": codec, "enable.idempotence": idempotent})
    found = consume(broker, "events", 5000)
    assert {(m.partition(), m.offset()): m.value() for m in found} == offsets
    assert [m.value() for m in found] == [b"value-%d" % n for n in range(5000)]


@pytest.mark.conforms("librdkafka", "offsets by time")
def test_seek_by_timestamp(broker):
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    base = int(time.time() * 1000) - 100_000
    for number in range(1000):
        producer.produce("timed", b"%d" % number, partition=0, timestamp=base + number * 10)
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "timed"})
    for wanted in (0, 1, 499, 999):
        (found,) = consumer.offsets_for_times([TopicPartition("timed", 0, base + wanted * 10)], 10)
        assert found.offset == wanted
    (found,) = consumer.offsets_for_times([TopicPartition("timed", 0, base + 495)], 10)
    assert found.offset == 50
    (found,) = consumer.offsets_for_times([TopicPartition("timed", 0, base + 10**6)], 10)
    assert found.offset == -1
    assert consumer.get_watermark_offsets(TopicPartition("timed", 0), 10) == (0, 1000)
    consumer.close()


@pytest.mark.conforms("librdkafka", "topics, partitions, configuration")
@pytest.mark.conforms("librdkafka", "deletion of records")
@pytest.mark.conforms("librdkafka", "groups, listed and described")
def test_administration(broker):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic("managed", 2, 1, config={"retention.ms": "3600000"})])["managed"].result(10)
    with pytest.raises(KafkaException) as raised:
        admin.create_topics([NewTopic("managed", 2, 1)])["managed"].result(10)
    assert raised.value.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS
    for config in ({"retention.ms": "soon"}, {"no.such.setting": "1"}, {"cleanup.policy": "squash"}):
        with pytest.raises(KafkaException) as raised:
            admin.create_topics([NewTopic("refused", 1, 1, config=config)])["refused"].result(10)
        assert raised.value.args[0].code() == KafkaError.INVALID_CONFIG

    admin.create_partitions([NewPartitions("managed", 5)])["managed"].result(10)
    assert len(admin.list_topics("managed", timeout=10).topics["managed"].partitions) == 5

    resource = ConfigResource(ResourceType.TOPIC, "managed")
    described = admin.describe_configs([resource])[resource].result(10)
    assert described["retention.ms"].value == "3600000" and described["max.message.bytes"].value == "1048588"
    change = ConfigResource(ResourceType.TOPIC, "managed", incremental_configs=[
        ConfigEntry("max.message.bytes", "2048", incremental_operation=AlterConfigOpType.SET)])
    admin.incremental_alter_configs([change])[change].result(10)
    described = admin.describe_configs([resource])[resource].result(10)
    assert described["max.message.bytes"].value == "2048" and described["retention.ms"].value == "3600000"
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    errors = []
    producer.produce("managed", bytes(5000), on_delivery=lambda error, _: errors.append(error))
    producer.flush(10)
    assert errors[0].code() == KafkaError.MSG_SIZE_TOO_LARGE

    produce(broker, "trimmed", 100, **{"batch.num.messages": 10})
    result = admin.delete_records([TopicPartition("trimmed", 0, 40)])
    assert list(result.values())[0].result(10).low_watermark == 40
    assert [m.offset() for m in consume(broker, "trimmed", 60, group="trim")] == list(range(40, 100))

    cluster = admin.describe_cluster().result(10)
    assert [node.port for node in cluster.nodes] == [broker.port]
    offsets = admin.list_offsets({TopicPartition("trimmed", 0): OffsetSpec.latest()})
    assert list(offsets.values())[0].result(10).offset == 100

    groups = admin.list_consumer_groups().result(10)
    assert "trim" in [group.group_id for group in groups.valid]
    assert admin.describe_consumer_groups(["trim"])["trim"].result(10).state.name == "EMPTY"
    admin.delete_consumer_groups(["trim"])["trim"].result(10)
    admin.delete_topics(["managed"])["managed"].result(10)
    assert "managed" not in admin.list_topics(timeout=10).topics


@pytest.mark.conforms("librdkafka", "a killed broker comes back")
def test_groups_offsets_and_topics_survive_a_kill(broker):
    produce(broker, "kept", 1000)
    assert len(consume(broker, "kept", 600, group="resume", **{"enable.auto.commit": False})) >= 600
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "resume"})
    consumer.commit(offsets=[TopicPartition("kept", 0, 600, metadata="note")], asynchronous=False)
    consumer.close()
    broker.kill()
    broker.start()
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "resume"})
    (committed,) = consumer.committed([TopicPartition("kept", 0)], 10)
    consumer.close()
    assert (committed.offset, committed.metadata) == (600, "note")
    rest = consume(broker, "kept", 400, group="resume")
    assert [m.offset() for m in rest] == list(range(600, 1000))


@pytest.mark.conforms("librdkafka", "a killed broker comes back")
@pytest.mark.conforms("librdkafka", "idempotent producer")
def test_idempotent_producer_carries_on_across_a_kill(broker):
    """The same producer instance retries over a restart: its sequence numbers must be known again."""
    delivered = []
    producer = Producer({
        "bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "message.timeout.ms": 60000,
        "retry.backoff.ms": 50, "reconnect.backoff.max.ms": 200, "linger.ms": 1})
    for number in range(20000):
        producer.produce("once", b"%d" % number, partition=0,
                         on_delivery=lambda error, message: delivered.append((error, message.offset())))
        if number == 10000:
            producer.poll(0.01)
            broker.kill()
            broker.start()
        producer.poll(0)
    assert producer.flush(60) == 0
    assert all(error is None for error, _ in delivered)
    assert sorted(offset for _, offset in delivered) == list(range(20000))
    found = consume(broker, "once", 20000)
    assert [m.value() for m in found] == [b"%d" % n for n in range(20000)]
