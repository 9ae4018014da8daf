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


def overwrite(broker, topic, rounds=6, keys=300, size=1000, waits=True, **settings):
    """Fills segments with keys that are written again and again, by another producer; waits for a pass."""
    before = metric(broker, "goulette_store_compactions_total")
    target = producer(broker, **settings)
    failures = []
    for number in range(rounds * keys):
        target.produce(topic, key=b"filler %d" % (number % keys), value=random.randbytes(size), partition=0,
                       on_delivery=lambda error, _: error and failures.append(error))
        target.poll(0)
    assert target.flush(60) == 0 and not failures, failures
    if waits:
        wait_for(lambda: metric(broker, "goulette_store_compactions_total") > before)


def test_what_was_aborted_displaces_nothing(broker):
    """Also where the marker stands behind the first record of a transaction that is open: as far as that, all is decided."""
    create(broker, "undecided")
    first, second = (producer(broker, **{"transactional.id": name}) for name in ("first", "second"))
    for target in (first, second):
        target.init_transactions(30)
    plain = producer(broker)
    plain.produce("undecided", key=b"kept", value=b"old", partition=0)
    assert plain.flush(30) == 0
    first.begin_transaction()
    first.produce("undecided", key=b"kept", value=b"aborted", partition=0)
    assert first.flush(30) == 0
    overwrite(broker, "undecided", waits=False)
    second.begin_transaction()
    second.produce("undecided", key=b"open", value=b"open", partition=0)
    assert second.flush(30) == 0
    before = metric(broker, "goulette_store_compacted_records_total")
    first.abort_transaction(30)
    wait_for(lambda: metric(broker, "goulette_store_compacted_records_total") > before)
    # Committed is what stands before the open transaction.
    assert [value for _, key, value in read_all(broker, "undecided") if key == b"kept"] == [b"old"]
    second.commit_transaction(30)
    overwrite(broker, "undecided")
    assert [value for _, key, value in read_all(broker, "undecided") if key == b"kept"] == [b"old"]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_batches_of_each_codec_are_compacted(broker, codec):
    create(broker, "packed")
    writer = Writer(broker, "packed", keys=100)
    target = producer(broker, **{"compression.type": codec})
    for _ in range(4):
        writer.write(target, 2000)
        target.flush(30)
    overwrite(broker, "packed", **{"compression.type": codec})
    records = [record for record in read_all(broker, "packed") if not record[1].startswith(b"filler")]
    writer.check(records)
    assert len(records) < len(writer.acknowledged) / 2
    broker.kill()
    broker.start()
    # Another pass may have made it less meanwhile.
    again = [record for record in read_all(broker, "packed") if not record[1].startswith(b"filler")]
    writer.check(again)
    assert set(again) <= set(records)


def test_producers_go_on_where_nothing_of_theirs_is_left(broker):
    """Sequence numbers, epochs and transactions are known after a restart though every record went."""
    create(broker, "state", delete_retention_ms="1000")
    plain = producer(broker)
    transactional = producer(broker, **{"transactional.id": "t"})
    transactional.init_transactions(30)
    offsets, errors = [], []

    def write(target, value):
        target.produce("state", key=b"theirs", value=value, partition=0, on_delivery=lambda error, message: (
            errors.append(error) if error else offsets.append(message.offset())))
        assert target.flush(30) == 0

    for number in range(3):
        write(plain, b"plain %d" % number)
        transactional.begin_transaction()
        write(transactional, b"aborted %d" % number)
        transactional.abort_transaction(30)
    transactional.begin_transaction()
    write(transactional, b"committed")
    transactional.commit_transaction(30)
    write(producer(broker), b"of somebody else")
    deadline = time.monotonic() + 60
    while theirs(broker) != [b"of somebody else"]:
        assert time.monotonic() < deadline, theirs(broker)
        overwrite(broker, "state")
    for ending in (broker.stop, broker.kill):
        ending()
        broker.start()
        before = read_end(broker, "state")
        write(plain, b"plain again")
        assert offsets[-1] == before, "nothing is in between, and nothing was taken for a duplicate"
        transactional.begin_transaction()
        write(transactional, b"aborted again")
        transactional.abort_transaction(30)
        transactional.begin_transaction()
        write(transactional, b"committed again")
        transactional.commit_transaction(30)
        assert not errors, errors
        values = theirs(broker)
        assert values[-2:] == [b"plain again", b"committed again"]
        assert not any(value.startswith(b"aborted") for value in values)
    broker.stop()
    broker.verify()


def theirs(broker):
    return [value for _, key, value in read_all(broker, "state") if key == b"theirs"]


def read_end(broker, topic):
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "marks"})
    try:
        return consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)[1]
    finally:
        consumer.close()


def test_positions_in_a_log_with_gaps(broker):
    """An offset that is gone leads to the next record there is, and so does a time."""
    create(broker, "gaps")
    target = producer(broker)
    times = {}
    began = int(time.time() * 1000) - 10_000_000
    for number in range(6000):
        # Not in order, as clocks are not.
        at = began + number * 1000 + random.randrange(5000)
        target.produce("gaps", key=b"key %d" % random.randrange(40), value=random.randbytes(600), partition=0, timestamp=at,
                       on_delivery=lambda _, message, at=at: times.setdefault(message.offset(), at))
        target.poll(0)
    target.flush(30)
    wait_for(lambda: compacted(broker))
    overwrite(broker, "gaps")
    wait_for(lambda: metric(broker, "goulette_store_compactions_waiting") == 0)
    left = [record[0] for record in read_all(broker, "gaps")]
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": "gaps", "enable.auto.commit": False,
        "auto.offset.reset": "error"})
    gaps = [offset for offset in range(0, left[-1], 97) if offset not in set(left)]
    assert len(gaps) > 10, "hardly anything is gone"
    for offset in random.sample(gaps, 10):
        consumer.assign([TopicPartition("gaps", 0, offset)])
        message = None
        deadline = time.monotonic() + 30
        while message is None:
            assert time.monotonic() < deadline, f"nothing was read from {offset} on"
            message = consumer.poll(1)
        assert message.error() is None and message.offset() == next(one for one in left if one > offset)
    for at in [began - 1, *(began + random.randrange(6_000_000) for _ in range(30))]:
        found = consumer.offsets_for_times([TopicPartition("gaps", 0, at)], timeout=10)[0].offset
        # What was written behind those has the present time.
        assert found == next(one for one in left if times.get(one, began + 10_000_000) >= at), at
    consumer.close()


def test_how_much_is_new_is_told(broker):
    create(broker, "counted")
    create(broker, "plain", cleanup_policy="delete")

    def ratio(topic):
        with urllib.request.urlopen(f"http://127.0.0.1:{broker.admin_port}/metrics", timeout=5) as page:
            lines = [line for line in page.read().decode().splitlines()
                     if line.startswith(f'goulette_partition_dirty_ratio{{topic="{topic}"')]
        return float(lines[0].rsplit(" ", 1)[1]) if lines else None

    target = producer(broker)
    target.produce("counted", key=b"k", value=b"v", partition=0)
    target.flush(30)
    wait_for(lambda: ratio("counted") == 1)
    overwrite(broker, "counted")
    wait_for(lambda: ratio("counted") is not None and 0 < ratio("counted") < 1)
    assert ratio("plain") is None


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
