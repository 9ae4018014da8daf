# SPDX-License-Identifier: Apache-2.0
"""Which versions real clients use, what kafka-python takes the broker for, and fetch sessions.

Clients talk through a relay that keeps every request: what was sent is read from the frames, not from a client's log.
"""

import asyncio
import struct
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka import TopicPartition as Partition
from kafka.admin import NewTopic as PythonTopic

from ports import free_port
from test_fuzz import Relay

PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR = 0, 1, 2, 3, 8, 9, 10
JOIN_GROUP, LEAVE_GROUP, DESCRIBE_GROUPS, LIST_GROUPS, API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS = 11, 13, 15, 16, 18, 19, 20


@pytest.fixture
def relayed(new_broker):
    """A broker that clients only reach through a relay."""
    port = free_port()
    broker = new_broker(arguments=["--advertise", f"127.0.0.1:{port}"]).start()
    relay = Relay(port, broker.port)
    yield broker, relay, f"127.0.0.1:{port}"
    assert broker.stop() == 0, broker.log_tail()
    broker.verify()


def versions(relay):
    """The highest version that was sent of each API."""
    highest = {}
    for frame in list(relay.frames):
        key, version = struct.unpack(">hh", frame[:4])
        highest[key] = max(version, highest.get(key, -1))
    return highest


def read(consumer, count, seconds=30):
    found, deadline = [], time.monotonic() + seconds
    while len(found) < count and time.monotonic() < deadline:
        found += [message.value() for message in consumer.consume(count, 1)]
    return found


@pytest.mark.conforms("librdkafka", "topic ids (KIP-516)")
def test_librdkafka_uses_topic_ids_and_leader_hints(relayed):
    broker, relay, bootstrap = relayed
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("events", 2, 1)])["events"].result(10)
    described = admin.list_topics("events", 10).topics["events"]
    assert len(described.partitions) == 2
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    for number in range(500):
        producer.produce("events", b"%d" % number, partition=0)
    assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.subscribe(["events"])
    assert read(consumer, 500) == [b"%d" % number for number in range(500)]
    consumer.commit(asynchronous=False)
    consumer.close()
    newest = admin.list_offsets({TopicPartition("events", 0): OffsetSpec.max_timestamp()})
    assert next(iter(newest.values())).result(10).offset >= 0
    sent = versions(relay)
    assert sent[FETCH] == 16 and sent[METADATA] == 13 and sent[PRODUCE] == 10, sent
    assert sent[LIST_OFFSETS] >= 7 and sent[OFFSET_FETCH] == 9, sent
    # A topic of the same name is another one: a consumer that knows the former one's id goes on with the new one.
    again = Consumer({"bootstrap.servers": bootstrap, "group.id": "again", "auto.offset.reset": "earliest",
                      "topic.metadata.refresh.interval.ms": 500})
    again.subscribe(["events"])
    assert len(read(again, 500)) == 500
    admin.delete_topics(["events"])["events"].result(10)
    admin.create_topics([NewTopic("events", 2, 1)])["events"].result(10)
    for number in range(10):
        producer.produce("events", b"new-%d" % number, partition=1)
    assert producer.flush(20) == 0
    found = read(again, 10)
    assert found == [b"new-%d" % number for number in range(10)]
    again.close()


@pytest.mark.conforms("kafka-python", "the highest versions it knows")
@pytest.mark.conforms("kafka-python", "groups, listed and described")
def test_kafka_python_takes_us_for_one_release(relayed):
    broker, relay, bootstrap = relayed
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    assert admin._manager.broker_version == (4, 3)
    admin.create_topics([PythonTopic("events", 3, 1)])
    producer = KafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    for number in range(300):
        producer.send("events", b"%d" % number, partition=number % 3)
    producer.flush(30)
    consumer = KafkaConsumer("events", bootstrap_servers=bootstrap, group_id="g", auto_offset_reset="earliest",
                             consumer_timeout_ms=10000)
    assert sorted(int(next(consumer).value) for _ in range(300)) == list(range(300))
    consumer.commit()
    assert consumer.end_offsets([Partition("events", n) for n in range(3)]) == {
        Partition("events", n): 100 for n in range(3)}
    consumer.close()
    assert [group["group_id"] if isinstance(group, dict) else group[0] for group in admin.list_groups()] == ["g"]
    admin.describe_groups(["g"])
    admin.list_group_offsets(["g"])
    assert admin.describe_topics(["events"])[0]["name"] == "events"
    admin.delete_topics(["events"])
    admin.close()
    producer.close()
    sent = versions(relay)
    expected = {METADATA: 13, LIST_OFFSETS: 11, OFFSET_FETCH: 8, FIND_COORDINATOR: 6, LEAVE_GROUP: 5, LIST_GROUPS: 5,
                DESCRIBE_GROUPS: 6, API_VERSIONS: 4, CREATE_TOPICS: 7, DELETE_TOPICS: 6}
    assert {key: sent[key] for key in expected} == expected, sent
    assert broker.metric("goulette_requests_unsupported_total") == 0
    assert broker.metric("goulette_requests_malformed_total") == 0


@pytest.mark.conforms("kafka-python", "fetch sessions (KIP-227)")
def test_kafka_python_fetches_incrementally(relayed):
    broker, relay, bootstrap = relayed
    partitions = 50
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([PythonTopic("wide", partitions, 1)])
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=20000)
    consumer.assign([Partition("wide", n) for n in range(partitions)])
    for round in range(20):
        number = round * 7 % partitions
        producer.send("wide", b"%d" % round, partition=number).get(10)
        message = next(consumer)
        assert (message.partition, message.value) == (number, b"%d" % round)
    requests = "goulette_fetch_session_requests_total"
    assert broker.metric("goulette_fetch_sessions") == 1
    assert broker.metric("goulette_fetch_session_partitions") == partitions
    incremental = series(broker, requests, 'kind="incremental"')
    assert series(broker, requests, 'kind="full"') >= 1 and incremental >= 15
    # A fetch of fifty partitions takes more than a kilobyte; one that goes on with a session names what changed.
    fetches = [frame for frame in list(relay.frames) if struct.unpack(">h", frame[:2])[0] == FETCH]
    small = [frame for frame in fetches if len(frame) < 300]
    assert len(small) > len(fetches) / 2 and max(len(frame) for frame in fetches) > 1000
    # A partition that is paused is forgotten, and named again when it goes on.
    consumer.pause(Partition("wide", 3))
    producer.send("wide", b"paused", partition=3).get(10)
    producer.send("wide", b"other", partition=4).get(10)
    assert next(consumer).value == b"other"
    consumer.resume(Partition("wide", 3))
    assert next(consumer).value == b"paused"
    consumer.close()
    # What a restarted broker does not know any more is asked for in full once.
    broker.kill()
    broker.start()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", consumer_timeout_ms=20000)
    consumer.assign([Partition("wide", n) for n in range(partitions)])
    assert len([next(consumer) for _ in range(22)]) == 22
    consumer.close()
    producer.close()
    admin.close()


def series(broker, name, label):
    for line in broker.get("/metrics")[1].splitlines():
        if line.startswith(name + "{") and label in line:
            return float(line.rsplit(" ", 1)[1])
    return 0.0


@pytest.mark.conforms("aiokafka", "the highest versions it knows")
def test_aiokafka_stays_at_its_versions(relayed):
    broker, relay, bootstrap = relayed

    async def run():
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
            for number in range(100):
                await producer.send("events", b"%d" % number)
        async with AIOKafkaConsumer("events", bootstrap_servers=bootstrap, group_id="g",
                                    auto_offset_reset="earliest") as consumer:
            found = [(await asyncio.wait_for(consumer.getone(), 20)).value for _ in range(100)]
            await consumer.commit()
        assert found == [b"%d" % number for number in range(100)]

    asyncio.run(run())
    sent = versions(relay)
    assert sent[FETCH] <= 11 and sent[METADATA] <= 5 and sent[JOIN_GROUP] <= 5, sent
    assert broker.metric("goulette_requests_unsupported_total") == 0
