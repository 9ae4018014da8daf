# SPDX-License-Identifier: Apache-2.0
"""Transactions with an epoch each (KIP-890): from the first record, which enrols its partition, to the next epoch."""

import pytest
from confluent_kafka import Consumer, TopicPartition
from kafka.protocol.metadata import ApiVersionsRequest, ApiVersionsResponse

from epoch_producer import (
    FENCED, INVALID_EPOCH, INVALID_TXN_STATE, NONE, OUT_OF_ORDER, TRANSACTION_ABORTABLE, EpochProducer)
from test_transactional_clients import create, read, transactional, write
from wire import Wire


@pytest.fixture
def producer(broker):
    create(broker, "t", partitions=3)
    producer = EpochProducer(broker.bootstrap, "two")
    assert producer.init() == NONE and producer.epoch == 0
    return producer


def committed(broker, group, topic="t"):
    # Who reads committed records would wait for the end of a transaction that is about to change the offset.
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": group, "isolation.level": "read_uncommitted"})
    (found,) = consumer.committed([TopicPartition(topic, 0)], 10)
    consumer.close()
    return found.offset


@pytest.mark.parametrize("version", [3, 4])
def test_the_version_is_told(broker, version):
    with Wire(broker.bootstrap) as wire:
        answer = wire.ask(ApiVersionsRequest(
            client_software_name="test", client_software_version="1"), ApiVersionsResponse, version)
    in_force = {feature.name: feature.max_version_level for feature in answer.finalized_features}
    assert in_force["transaction.version"] == 2
    supported = {feature.name: (feature.min_version, feature.max_version) for feature in answer.supported_features}
    # Old Java clients, which know version 3, do not take a lowest version of 0.
    assert supported.get("transaction.version") == (None if version == 3 else (0, 2))


def test_transactions_follow_without_a_pause(broker, producer):
    """Nothing is enrolled beforehand, and nothing is waited for: the end of the last transaction may still be told."""
    expected, claims = [], set()
    for number in range(30):
        claims.add((producer.id, producer.epoch))
        for partition in range(3):
            for step in range(2):
                assert producer.until(lambda: producer.produce(
                    "t", partition, b"%d-%d-%d" % (number, partition, step))) == NONE
        commit = number % 3 != 0
        before = (producer.id, producer.epoch)
        code, after = producer.end(commit)
        assert code == NONE and after == (before[0], before[1] + 1)
        if commit:
            expected += [f"{number}-{partition}-{step}" for partition in range(3) for step in range(2)]
    assert len(claims) == 30
    assert sorted(read(broker, "t", len(expected), partitions=3)) == sorted(expected)
    assert len(read(broker, "t", 180, "read_uncommitted", partitions=3)) == 180
    hanging = broker.cli("transaction", "find-hanging", "--max-transaction-timeout", "0s")
    assert hanging.returncode == 0, hanging


def test_a_record_does_not_wait_for_the_markers_in_vain(broker, producer):
    """The broker itself waits for the end of the last transaction: clients see no error, not even one that passes."""
    for number in range(20):
        assert producer.produce("t", 0, b"%d" % number) == NONE
        assert producer.end(True)[0] == NONE
    assert read(broker, "t", 20, partitions=3) == [str(number) for number in range(20)]


def test_a_late_record_does_not_land_in_the_next_transaction(broker, producer):
    """KAFKA-17754: a record of a transaction that has ended arrives in the middle of the next one."""
    first = (producer.id, producer.epoch)
    assert producer.produce("t", 0, b"first") == NONE
    assert producer.end(False)[0] == NONE
    assert producer.until(lambda: producer.produce("t", 1, b"second")) == NONE
    # Where the first transaction had records, and where it had none and the coordinator has to know.
    assert producer.produce("t", 0, b"late", sequence=1, claim=first) == INVALID_EPOCH
    assert producer.produce("t", 2, b"late", sequence=0, claim=first) == INVALID_EPOCH
    assert producer.produce("t", 2, b"late", sequence=0, claim=first, version=11) == INVALID_EPOCH
    assert producer.offsets("g", "t", 0, 1, claim=first) == INVALID_EPOCH
    assert producer.end(True)[0] == NONE
    assert read(broker, "t", 1, partitions=3) == ["second"]
    assert committed(broker, "g") < 0


def test_sequences_begin_anew(broker, producer):
    assert producer.produce("t", 0, b"x", sequence=3) == OUT_OF_ORDER
    assert producer.until(lambda: producer.produce("t", 0, b"a")) == NONE
    assert producer.produce("t", 0, b"a", sequence=0) == NONE, "a repetition"
    assert producer.end(True)[0] == NONE
    assert producer.until(lambda: producer.produce("t", 0, b"x", sequence=1)) == OUT_OF_ORDER
    assert producer.until(lambda: producer.produce("t", 0, b"b")) == NONE
    assert producer.end(True)[0] == NONE
    assert read(broker, "t", 2, partitions=3) == ["a", "b"]


def test_a_lost_answer_to_the_end_is_asked_for_again(broker, producer):
    claim = (producer.id, producer.epoch)
    assert producer.produce("t", 0, b"a") == NONE
    code, following = producer.end(True)
    assert (code, following) == (NONE, (claim[0], claim[1] + 1))
    assert producer.until(lambda: producer.end(True, claim=claim)) == (NONE, following)
    assert producer.end(False, claim=claim)[0] == INVALID_TXN_STATE, "it was a commit"
    # A client that does not know whether anything is open may abort; it gets another epoch.
    assert producer.end(True)[0] == INVALID_TXN_STATE
    code, after = producer.end(False)
    assert (code, after) == (NONE, (claim[0], claim[1] + 2))
    assert producer.end(True, claim=claim)[0] == FENCED
    assert read(broker, "t", 1, partitions=3) == ["a"]


def test_offsets_enrol_their_group(broker, producer):
    assert producer.offsets("g", "t", 0, 7) == NONE
    assert committed(broker, "g") < 0
    assert producer.end(True)[0] == NONE
    assert committed(broker, "g") == 7
    assert producer.offsets("g", "t", 0, 9) == NONE, "waits for the end of the last transaction"
    assert producer.until(lambda: producer.produce("t", 0, b"x")) == NONE
    assert producer.end(False)[0] == NONE
    assert committed(broker, "g") == 7


def test_a_new_producer_fences_the_old_one(broker, producer):
    assert producer.produce("t", 0, b"old") == NONE
    new = EpochProducer(broker.bootstrap, "two")
    assert new.until(new.init) == NONE and new.id == producer.id and new.epoch > producer.epoch
    assert producer.produce("t", 0, b"zombie") == INVALID_EPOCH
    assert producer.produce("t", 1, b"zombie") == INVALID_EPOCH
    assert producer.end(True)[0] in (FENCED, INVALID_TXN_STATE)
    assert new.until(lambda: new.produce("t", 0, b"new")) == NONE
    assert new.end(True)[0] == NONE
    assert read(broker, "t", 1, partitions=3) == ["new"]


def test_both_versions_live_side_by_side(broker, producer):
    """librdkafka goes on with one epoch for all its transactions, also under an id that had the other kind before."""
    first = transactional(broker, "one")
    for number in range(5):
        first.begin_transaction()
        assert producer.until(lambda: producer.produce("t", 0, b"two-%d" % number)) == NONE
        write(first, "t", [f"one-{number}"])
        assert producer.end(True)[0] == NONE
        first.commit_transaction(30)
    taken_over = transactional(broker, "two")
    assert producer.produce("t", 0, b"zombie") == INVALID_EPOCH
    for number in range(3):
        taken_over.begin_transaction()
        write(taken_over, "t", [f"over-{number}"])
        taken_over.commit_transaction(30)
    again = EpochProducer(broker.bootstrap, "two")
    assert again.until(again.init) == NONE
    assert again.until(lambda: again.produce("t", 0, b"back")) == NONE
    assert again.end(True)[0] == NONE
    values = read(broker, "t", 14, partitions=3)
    assert sorted(values) == sorted(
        [f"{kind}-{n}" for kind in ("one", "two") for n in range(5)] + [f"over-{n}" for n in range(3)] + ["back"])


def test_the_first_version_does_not_enrol(broker, producer):
    """Before version 12 a record must belong to the transaction already; the errors are those that old clients know."""
    assert producer.produce("t", 0, b"x", version=10) == INVALID_TXN_STATE
    assert producer.produce("t", 0, b"x", version=11) == TRANSACTION_ABORTABLE
    assert read(broker, "t", 0, "read_uncommitted", partitions=3) == []


def test_a_transaction_that_is_open_for_too_long_is_aborted(broker):
    create(broker, "t")
    slow = EpochProducer(broker.bootstrap, "slow", timeout_ms=1000)
    assert slow.init() == NONE
    assert slow.produce("t", 0, b"slow") == NONE
    plain = transactional(broker, "plain")
    plain.begin_transaction()
    write(plain, "t", ["behind"])
    plain.commit_transaction(30)
    assert read(broker, "t", 1) == ["behind"]
    assert slow.produce("t", 0, b"more") == INVALID_EPOCH
    assert slow.end(True)[0] == INVALID_TXN_STATE


def test_a_restart_and_a_kill_in_the_middle(new_broker):
    broker = new_broker().start()
    create(broker, "t", partitions=2)
    producer = EpochProducer(broker.bootstrap, "two")
    assert producer.init() == NONE
    expected = []
    for number in range(4):
        assert producer.until(lambda: producer.produce("t", 0, b"%da" % number)) == NONE
        broker.kill() if number % 2 else broker.stop()
        broker.start()
        assert producer.until(lambda: producer.produce("t", 1, b"%db" % number)) == NONE
        claim = (producer.id, producer.epoch)
        assert producer.end(True)[0] == NONE
        broker.kill()
        broker.start()
        assert producer.until(lambda: producer.end(True, claim=claim)) == (NONE, (producer.id, producer.epoch))
        expected += [f"{number}a", f"{number}b"]
    assert sorted(read(broker, "t", len(expected), partitions=2)) == expected
    assert broker.stop() == 0
    broker.verify()
