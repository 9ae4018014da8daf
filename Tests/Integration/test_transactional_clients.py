# SPDX-License-Identifier: Apache-2.0
"""Transactions as librdkafka, aiokafka and kafka-python know them: all or nothing, across zombies, time-outs and kills."""

import asyncio
import json
import threading
import time

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as AioPartition
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic


def create(broker, *topics, partitions=1):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    for future in admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics]).values():
        future.result(20)
    return admin


def transactional(broker, name="x", **settings):
    producer = Producer({
        "bootstrap.servers": broker.bootstrap, "transactional.id": name, "linger.ms": 0, **settings})
    producer.init_transactions(30)
    return producer


def read(broker, topic, count, isolation="read_committed", partitions=1, seconds=30):
    """The values of a topic up to the end that the isolation level shows, at least `count` of them."""
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": f"reader-{topic}-{isolation}-{time.monotonic_ns()}",
        "isolation.level": isolation, "enable.auto.commit": False, "enable.partition.eof": True,
        "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    values, ends, deadline = [], set(), time.monotonic() + seconds
    while len(ends) < partitions or len(values) < count:
        assert time.monotonic() < deadline, f"{len(values)} of {count} after {seconds} s: {values[-3:]}"
        message = consumer.poll(0.2)
        if message is None:
            continue
        if message.error():
            ends.add(message.partition())
            continue
        ends.discard(message.partition())
        values.append(message.value().decode())
    consumer.close()
    return values


def write(producer, topic, values, partition=0):
    for value in values:
        producer.produce(topic, value.encode(), partition=partition)
    assert producer.flush(30) == 0


@pytest.mark.conforms("librdkafka", "transactions")
def test_committed_records_are_read_and_aborted_ones_are_not(broker):
    create(broker, "t", partitions=3)
    producer = transactional(broker)
    expected = []
    for number in range(20):
        producer.begin_transaction()
        values = [f"{number}-{partition}" for partition in range(3)]
        for partition, value in enumerate(values):
            write(producer, "t", [value], partition)
        if number % 3 == 0:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
            expected += values
    assert sorted(read(broker, "t", len(expected), partitions=3)) == sorted(expected)
    # Whoever does not ask for committed records sees all.
    assert len(read(broker, "t", 60, "read_uncommitted", partitions=3)) == 60
    assert broker.metric("goulette_transactions_committed_total") == 13
    assert broker.metric("goulette_transactions_aborted_total") == 7


def test_an_open_transaction_is_not_read(broker):
    create(broker, "t")
    producer = transactional(broker)
    plain = Producer({"bootstrap.servers": broker.bootstrap})
    producer.begin_transaction()
    write(producer, "t", ["open"])
    write(plain, "t", ["behind"])
    assert read(broker, "t", 0) == []
    assert read(broker, "t", 2, "read_uncommitted") == ["open", "behind"]
    producer.commit_transaction(30)
    assert read(broker, "t", 2) == ["open", "behind"]


@pytest.mark.conforms("librdkafka", "transactions, fenced and timed out")
def test_a_zombie_is_fenced(broker):
    create(broker, "t")
    old = transactional(broker)
    old.begin_transaction()
    write(old, "t", ["old"])
    new = transactional(broker)
    new.begin_transaction()
    write(new, "t", ["new"])
    with pytest.raises(KafkaException) as refused:
        old.produce("t", b"zombie", partition=0)
        old.flush(10)
        old.commit_transaction(30)
    assert refused.value.args[0].fatal() or refused.value.args[0].txn_requires_abort()
    new.commit_transaction(30)
    assert read(broker, "t", 1) == ["new"]


@pytest.mark.conforms("librdkafka", "transactions with offsets")
def test_offsets_are_part_of_the_transaction(broker):
    create(broker, "in", "out")
    write(Producer({"bootstrap.servers": broker.bootstrap}), "in", [str(n) for n in range(30)])
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": "copier", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "isolation.level": "read_committed"})
    consumer.subscribe(["in"])
    producer = transactional(broker)
    done, aborted = [], False
    deadline = time.monotonic() + 60
    while len(done) < 30:
        assert time.monotonic() < deadline, len(done)
        message = consumer.poll(1)
        if message is None or message.error():
            continue
        producer.begin_transaction()
        producer.produce("out", message.value(), partition=0)
        producer.send_offsets_to_transaction(
            [TopicPartition("in", 0, message.offset() + 1)], consumer.consumer_group_metadata(), 30)
        if len(done) == 10 and not aborted:
            aborted = True
            producer.abort_transaction(30)
            committed = consumer.committed([TopicPartition("in", 0)], 10)[0].offset
            assert committed == 10
            consumer.seek(TopicPartition("in", 0, committed))
            continue
        producer.commit_transaction(30)
        done.append(message.value())
    assert consumer.committed([TopicPartition("in", 0)], 10)[0].offset == 30
    consumer.close()
    assert read(broker, "out", 30) == [str(n) for n in range(30)]


@pytest.mark.conforms("librdkafka", "transactions, fenced and timed out")
def test_a_transaction_that_is_open_for_too_long_is_aborted(broker):
    create(broker, "t")
    slow = transactional(broker, **{"transaction.timeout.ms": 1000})
    slow.begin_transaction()
    write(slow, "t", ["slow"])
    plain = Producer({"bootstrap.servers": broker.bootstrap})
    write(plain, "t", ["behind"])
    assert read(broker, "t", 1) == ["behind"]
    assert broker.metric("goulette_transactions_timed_out_total") == 1
    with pytest.raises(KafkaException):
        slow.commit_transaction(20)


def test_a_restart_in_the_middle_changes_nothing(new_broker):
    broker = new_broker().start()
    create(broker, "t")
    producer = transactional(broker)
    producer.begin_transaction()
    write(producer, "t", ["before"])
    assert broker.stop() == 0
    broker.start()
    write(producer, "t", ["after"])
    producer.commit_transaction(60)
    assert read(broker, "t", 2) == ["before", "after"]
    assert broker.stop() == 0
    broker.verify()


@pytest.mark.conforms("librdkafka", "transactions, with kills of the broker")
def test_kills_around_the_end_of_transactions(new_broker):
    """After each kill -9 the transaction has happened as a whole or not at all, and what was confirmed has happened."""
    broker = new_broker().start()
    create(broker, "t", partitions=2)
    confirmed, begun = set(), 0
    for round in range(6):
        producer = transactional(broker)
        for step in range(5):
            number, begun = begun, begun + 1
            producer.begin_transaction()
            write(producer, "t", [f"{number}a"], 0)
            write(producer, "t", [f"{number}b"], 1)
            if step < 4:
                producer.commit_transaction(30)
                confirmed.add(number)
                continue
            # The end is on its way while the broker dies.
            ending = threading.Thread(target=lambda: swallow(producer), daemon=True)
            ending.start()
            time.sleep(0.002 * round)  # What is tested is the moment of the kill; each is a valid one.
            broker.kill()
            broker.start()
            ending.join(60)
        del producer
    # Whoever comes next ends what was left open.
    transactional(broker)
    values = read(broker, "t", 2 * len(confirmed), partitions=2, seconds=60)
    assert len(values) == len(set(values)), "a record is there twice"
    halves = [{int(value[:-1]) for value in values if value[-1] == half} for half in "ab"]
    assert halves[0] == halves[1], "a transaction is there in part"
    assert confirmed <= halves[0], "a confirmed transaction is lost"
    broker.stop()
    broker.verify()


def swallow(producer):
    try:
        producer.commit_transaction(30)
    except KafkaException:
        pass


@pytest.mark.conforms("aiokafka", "transactions")
@pytest.mark.conforms("aiokafka", "transactions with offsets")
def test_aiokafka(broker):
    create(broker, "t", "in")

    async def run():
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id="aio")
        await producer.start()
        async with producer.transaction():
            await producer.send_and_wait("t", b"kept", partition=0)
        with pytest.raises(RuntimeError):
            async with producer.transaction():
                await producer.send_and_wait("t", b"dropped", partition=0)
                raise RuntimeError("on purpose")
        await producer.begin_transaction()
        await producer.send_offsets_to_transaction({AioPartition("in", 0): 7}, "aio-group")
        await producer.commit_transaction()
        await producer.stop()
        consumer = AIOKafkaConsumer(
            "t", bootstrap_servers=broker.bootstrap, isolation_level="read_committed", group_id="aio-group",
            auto_offset_reset="earliest", enable_auto_commit=False)
        await consumer.start()
        message = await asyncio.wait_for(consumer.getone(), 30)
        assert await consumer.committed(AioPartition("in", 0)) == 7
        rest = await consumer.getmany(timeout_ms=500)
        await consumer.stop()
        return message.value, sum(len(batch) for batch in rest.values())

    assert asyncio.run(run()) == (b"kept", 0)
    assert len(read(broker, "t", 2, "read_uncommitted")) == 2


@pytest.mark.conforms("kafka-python", "transactions")
def test_kafka_python(broker):
    kafka = pytest.importorskip("kafka")
    create(broker, "t")
    producer = kafka.KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id="python")
    producer.init_transactions()
    for value, keep in [(b"kept", True), (b"dropped", False), (b"kept too", True)]:
        producer.begin_transaction()
        producer.send("t", value, partition=0).get(30)
        producer.commit_transaction() if keep else producer.abort_transaction()
    producer.close()
    assert read(broker, "t", 2) == ["kept", "kept too"]


def test_administration(broker):
    admin = create(broker, "t")
    producer = transactional(broker, "watched")
    producer.begin_transaction()
    write(producer, "t", ["open"])
    listed = broker.cli("transaction", "list", "-o", "json")
    assert listed.returncode == 0 and '"watched"' in listed.stdout and "Ongoing" in listed.stdout, listed
    described = broker.cli("transaction", "describe", "watched", "-o", "json")
    assert described.returncode == 0 and '"t"' in described.stdout, described
    aborted = broker.cli("transaction", "abort", "watched", "-y")
    assert aborted.returncode == 0, aborted
    with pytest.raises(KafkaException):
        producer.commit_transaction(20)
    assert read(broker, "t", 0) == []
    assert admin is not None


def test_nothing_hangs(broker):
    """What is open is known to its coordinator, and so neither found nor ended as something that hangs."""
    create(broker, "t", partitions=2)
    producer = transactional(broker, "busy")
    for commit in (True, False):
        producer.begin_transaction()
        write(producer, "t", ["a"], 0)
        write(producer, "t", ["b"], 1)
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)
    producer.begin_transaction()
    write(producer, "t", ["open"], 1)
    for arguments in ([], ["--topic", "t"], ["--topic", "t", "--partition", "1"], ["--broker-id", "1"]):
        found = broker.cli(
            "transaction", "find-hanging", "--max-transaction-timeout", "0s", "-o", "json", *arguments)
        assert found.returncode == 0 and json.loads(found.stdout) == [], (arguments, found)
    text = broker.cli("transaction", "find-hanging")
    assert text.returncode == 0 and text.stdout == "no transaction hangs\n", text
    missing = broker.cli("transaction", "find-hanging", "--topic", "t", "--partition", "7", "--timeout", "2s")
    assert missing.returncode == 1 and "UNKNOWN_TOPIC_OR_PARTITION" in missing.stderr, missing
    place = ["--topic", "t", "--partition", "1", "--yes"]
    refused = broker.cli("transaction", "abort", *place, "--start-offset", "4")
    assert refused.returncode == 1 and "does not hang" in refused.stderr, refused
    refused = broker.cli("transaction", "abort", *place, "--start-offset", "0")
    assert refused.returncode == 1 and "nothing to abort" in refused.stderr, refused
    producer.commit_transaction(30)
    assert read(broker, "t", 3, partitions=2).count("open") == 1
