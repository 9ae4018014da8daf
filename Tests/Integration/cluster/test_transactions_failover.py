# SPDX-License-Identifier: Apache-2.0
"""Transactions in a cluster whose coordinator is killed again and again: each happened as a whole or not at all."""

import json
import time

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from brokers import wait_until
from epoch_producer import NONE, EpochProducer


def coordinator(cluster, name):
    """The number of the broker that coordinates a transactional id."""
    def ask():
        answer = cluster.cli("transaction", "describe", name, "-o", "json")
        return json.loads(answer.stdout)["coordinator"] if answer.returncode == 0 else None

    return wait_until(ask, f"{name} has a coordinator")


def transactional(cluster, name):
    producer = Producer({
        "bootstrap.servers": cluster.bootstrap, "transactional.id": name, "linger.ms": 0,
        "transaction.timeout.ms": 60000, "message.timeout.ms": 50000})
    producer.init_transactions(60)
    return producer


def read(cluster, topic, partitions, isolation):
    """Every value up to the end of each partition."""
    consumer = Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": f"reader-{time.monotonic_ns()}",
        "isolation.level": isolation, "enable.auto.commit": False, "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    values, ends, deadline = [], set(), time.monotonic() + 120
    while len(ends) < partitions:
        assert time.monotonic() < deadline, f"{len(values)} values, ends of {sorted(ends)}"
        message = consumer.poll(0.5)
        if message is None:
            continue
        if message.error():
            ends.add(message.partition())
        else:
            ends.discard(message.partition())
            values.append(message.value().decode())
    consumer.close()
    return values


def test_transactions_survive_their_coordinator(cluster):
    cluster.create_topic("t", partitions=3)
    confirmed, unknown, number = set(), set(), 0
    for kill in range(3):
        producer = transactional(cluster, "x")
        for step in range(6):
            number += 1
            producer.begin_transaction()
            for partition in range(3):
                producer.produce("t", b"%d-%d" % (number, partition), partition=partition)
            victim = None
            if step == 3:
                victim = cluster[coordinator(cluster, "x")]
                producer.flush(30)
                victim.kill()
            try:
                producer.commit_transaction(90)
                confirmed.add(number)
            except KafkaException as error:
                unknown.add(number)
                if error.args[0].txn_requires_abort():
                    producer.abort_transaction(90)
                else:
                    producer = transactional(cluster, "x")
            if victim:
                victim.launch().wait_ready()
                cluster.wait_healthy()
    # Whoever comes next ends what was left open, and nothing hangs.
    transactional(cluster, "x")
    values = read(cluster, "t", 3, "read_committed")
    assert len(values) == len(set(values)), "a record is there twice"
    seen = {}
    for value in values:
        seen.setdefault(int(value.split("-")[0]), set()).add(value)
    assert all(len(parts) == 3 for parts in seen.values()), "a transaction is there in part"
    assert confirmed <= set(seen), f"confirmed and lost: {confirmed - set(seen)}"
    assert set(seen) <= confirmed | unknown
    assert len(confirmed) >= 12, (confirmed, unknown)


def test_epochs_of_transactions_survive_their_coordinator(cluster):
    """Each end raises the epoch once (KIP-890), however often its request is sent and whoever answers it."""
    cluster.create_topic("t", partitions=3)
    producer = EpochProducer(cluster.bootstrap, "x")
    assert producer.until(producer.init) == NONE
    kept = []
    for number in range(9):
        for partition in range(3):
            value = b"%d-%d" % (number, partition)
            assert producer.until(lambda: producer.produce("t", partition, value)) == NONE
        claim, commit, victim = (producer.id, producer.epoch), number % 4 != 3, None
        if number % 3 == 2:
            victim = cluster[coordinator(cluster, "x")]
            if number % 2:
                victim.kill()
        code, following = producer.until(lambda: producer.end(commit))
        assert (code, following) == (NONE, (claim[0], claim[1] + 1))
        if victim:
            if victim in cluster.running:
                victim.kill()
            assert producer.until(lambda: producer.end(commit, claim=claim)) == (NONE, following)
            victim.launch().wait_ready()
            cluster.wait_healthy()
        if commit:
            kept += [f"{number}-{partition}" for partition in range(3)]
    values = read(cluster, "t", 3, "read_committed")
    assert sorted(values) == sorted(kept)
    hanging = cluster.cli("transaction", "find-hanging", "--max-transaction-timeout", "0s")
    assert hanging.returncode == 0, hanging
