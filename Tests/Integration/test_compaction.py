# SPDX-License-Identifier: Apache-2.0
"""Compacted topics as clients see them: the newest of each key under its offset, deletions, restarts, kill -9."""

import random
import threading
import time
import urllib.request

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from conftest import Broker

SETTINGS = {"GOULETTE_STORAGE__RETENTION_CHECK_INTERVAL": "200ms"}
COMPACTED = {
    "cleanup.policy": "compact", "segment.bytes": str(1 << 20), "min.cleanable.dirty.ratio": "0.2",
    "delete.retention.ms": "60000",
}


@pytest.fixture
def broker(tmp_path):
    broker = Broker(tmp_path, environment=SETTINGS).start()
    yield broker
    broker.kill()


def create(broker, name, **changes):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    config = {**COMPACTED, **{key.replace("_", "."): value for key, value in changes.items()}}
    admin.create_topics([NewTopic(name, 1, 1, config=config)])[name].result(20)
    return admin


def producer(broker, **settings):
    return Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 5, "enable.idempotence": True, **settings})


def metric(broker, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{broker.admin_port}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name + " ") or line.startswith(name + "{"))


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def read_all(broker, topic):
    """Every record from the beginning to the end: offset, key, value."""
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": f"read-{random.random()}", "enable.auto.commit": False,
        "enable.partition.eof": True, "auto.offset.reset": "earliest",
    })
    consumer.assign([TopicPartition(topic, 0, 0)])
    records = []
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, "the end was not reached"
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            break
        records.append((message.offset(), message.key(), message.value()))
    consumer.close()
    return records


class Writer:
    """Writes keyed records, and knows which were acknowledged under which offset."""

    def __init__(self, broker, topic, keys=200, seed=1):
        self.broker, self.topic, self.keys = broker, topic, keys
        self.random = random.Random(seed)
        self.acknowledged = {}
        self.latest = {}
        self.maybe = {}
        self.number = 0

    def write(self, target, count, deletes=0.05):
        for _ in range(count):
            self.number += 1
            key = f"key {self.random.randrange(self.keys)}".encode()
            value = None
            if self.random.random() >= deletes:
                value = f"{self.number} ".encode() + self.random.randbytes(400)
            self.maybe.setdefault(key, []).append((self.number, value))
            target.produce(self.topic, key=key, value=value, partition=0, on_delivery=self.note(key, value, self.number))
            target.poll(0)

    def note(self, key, value, number):
        def delivered(error, message):
            if error is None:
                self.acknowledged[message.offset()] = (key, value)
                self.latest[key] = max(self.latest.get(key, (-1, None, 0)), (message.offset(), value, number), key=lambda x: x[0])
        return delivered

    def check(self, records):
        """Nothing newest lost, nothing changed under its offset."""
        table = {}
        offsets = [offset for offset, _, _ in records]
        assert offsets == sorted(set(offsets))
        for offset, key, value in records:
            if offset in self.acknowledged:
                assert self.acknowledged[offset] == (key, value), f"offset {offset} holds another record"
            table[key] = (offset, value)
        for key, (offset, value, number) in self.latest.items():
            found = table.get(key)
            if found is None:
                assert value is None, f"{key} is lost"
                continue
            # What was not acknowledged may be there too, and then is newer.
            later = [one for number_, one in self.maybe[key] if number_ > number]
            assert found == (offset, value) or (found[0] > offset and found[1] in later), f"{key} is stale"


def compacted(broker, at_least=1):
    return metric(broker, "goulette_store_compactions_total") >= at_least


@pytest.mark.conforms("librdkafka", "compacted topics")
def test_the_newest_of_each_key_stays(broker):
    create(broker, "table")
    writer = Writer(broker, "table")
    target = producer(broker)
    for _ in range(4):
        writer.write(target, 5000)
        target.flush(30)
    wait_for(lambda: compacted(broker))
    before = metric(broker, "goulette_store_compactions_total")
    writer.write(target, 5000)
    target.flush(30)
    wait_for(lambda: compacted(broker, before + 1))
    records = read_all(broker, "table")
    writer.check(records)
    assert len(records) < len(writer.acknowledged) / 2
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "marks"})
    low, high = consumer.get_watermark_offsets(TopicPartition("table", 0), timeout=10)
    assert low == 0 and high == len(writer.acknowledged), "offsets are kept"
    consumer.close()
    broker.stop()
    broker.verify()
    broker.start()
    writer.check(read_all(broker, "table"))


def test_deletions_go_after_their_time(broker):
    create(broker, "gone", delete_retention_ms="1000")
    target = producer(broker)
    for number in range(2000):
        target.produce("gone", key=b"k%d" % number, value=random.randbytes(1000), partition=0)
        target.poll(0)
    for number in range(2000):
        target.produce("gone", key=b"k%d" % number, value=None, partition=0)
        target.poll(0)
    target.flush(30)
    # Segments are as long as what is stored of them: what is written must not compress well, or none is ever full.
    deadline = time.monotonic() + 60
    while True:
        for number in range(1500):
            target.produce("gone", key=b"other", value=random.randbytes(1000), partition=0)
            target.poll(0)
        target.flush(30)
        left = {key for _, key, _ in read_all(broker, "gone")}
        if left == {b"other"}:
            break
        assert time.monotonic() < deadline, f"{len(left)} keys are left"
        time.sleep(1)


def test_what_a_compacted_topic_refuses(broker):
    admin = create(broker, "strict")
    errors = []
    target = producer(broker, **{"enable.idempotence": False, "retries": 0})
    target.produce("strict", value=b"without a key", on_delivery=lambda error, _: errors.append(error))
    target.flush(20)
    assert errors[0] is not None and errors[0].code() == KafkaError.INVALID_RECORD
    target.produce("strict", key=b"k", value=b"v")
    target.flush(20)
    with pytest.raises(KafkaException) as raised:
        list(admin.delete_records([TopicPartition("strict", 0, 1)]).values())[0].result(20)
    assert raised.value.args[0].code() == KafkaError.POLICY_VIOLATION
    create(broker, "both", cleanup_policy="compact,delete")
    target.produce("both", key=b"k", value=b"v", partition=0)
    target.flush(20)
    assert list(admin.delete_records([TopicPartition("both", 0, 1)]).values())[0].result(20).low_watermark == 1


def test_size_and_age_count_where_both_are_asked_for(broker):
    create(broker, "bounded", cleanup_policy="compact,delete", retention_bytes=str(3 << 20))
    target = producer(broker)
    for number in range(12000):
        target.produce("bounded", key=b"unique %d" % number, value=random.randbytes(1000), partition=0)
        target.poll(0)
    target.flush(30)
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "marks"})
    wait_for(lambda: consumer.get_watermark_offsets(TopicPartition("bounded", 0), timeout=10)[0] > 0)
    consumer.close()


def test_a_broker_that_is_killed_loses_nothing_newest(broker):
    create(broker, "killed")
    writer = Writer(broker, "killed", keys=300)
    passes = 0
    for life in range(4):
        target = producer(broker)
        ended = threading.Event()

        def run():
            while not ended.is_set():
                writer.write(target, 300)
                target.flush(0.2)

        thread = threading.Thread(target=run)
        thread.start()
        time.sleep(6 + life * 0.37)
        passes += metric(broker, "goulette_store_compactions_total")
        broker.kill()
        ended.set()
        thread.join(60)
        broker.start()
        target.flush(30)
        writer.check(read_all(broker, "killed"))
    assert passes > 0
