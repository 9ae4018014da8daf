# SPDX-License-Identifier: Apache-2.0
"""A cluster of three: it forms, replicates, survives the death of any one, and comes back."""

import json
import os
import signal
import time

import pytest
from confluent_kafka import Consumer, Producer

from brokers import wait_until
from load import Load, check, read_all
from ports import free_port

KILLS = int(os.environ.get("GOULETTE_CLUSTER_KILLS", "3"))


def fill(cluster, topic, count=300, size=100, partitions=1, **options):
    """Writes `count` records to each of the first partitions."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", **options})
    failures = []
    for number in range(count):
        for partition in range(partitions):
            producer.produce(
                topic, b"%d %s" % (number, b"v" * size), partition=partition,
                on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(60) == 0
    assert not failures, failures[:3]


def test_three_brokers_form_a_cluster(cluster):
    metadata = cluster.metadata()
    assert sorted(metadata.brokers) == [1, 2, 3]
    for member in cluster.members:
        status, text = member.get("/health")
        assert status == 200, text
        assert json.loads(text)["phase"] is None
    info = json.loads(cluster.cli("cluster", "info", "-o", "json").stdout)
    assert info["clusterId"] and [broker["id"] for broker in info["brokers"]] == [1, 2, 3]
    # All name the same cluster and the same controller.
    seen = {(m.cluster_id, m.controller_id) for m in (only(member).metadata() for member in cluster.members)}
    assert len(seen) == 1, seen


class only:
    """One broker of a cluster, asked alone."""

    def __init__(self, member):
        self.member = member

    def metadata(self):
        from confluent_kafka.admin import AdminClient

        return AdminClient({"bootstrap.servers": self.member.bootstrap}).list_topics(timeout=20)


def test_a_topic_has_three_replicas_and_is_read_from_any_broker(cluster):
    cluster.create_topic("orders", partitions=6)
    def partitions():
        return cluster.metadata("orders").topics["orders"].partitions.values()

    assert all(sorted(p.replicas) == [1, 2, 3] for p in partitions())
    # What a leader says of its replicas reaches the other brokers a little later.
    wait_until(lambda: all(len(p.isrs) == 3 for p in partitions()), "every broker knows that all are in sync", 10)
    wait_until(lambda: len(cluster.leaders("orders")) == 3, "leaders are spread", 30)
    fill(cluster, "orders", 500)
    found = read_all(cluster, "orders", 0)
    assert [int(value.split(b" ")[0]) for _, value in found] == list(range(500))


@pytest.mark.conforms("librdkafka", "groups on a cluster")
def test_a_group_reads_everything(cluster):
    cluster.create_topic("events", partitions=3)
    for partition in range(3):
        producer = Producer({"bootstrap.servers": cluster.bootstrap})
        for number in range(100):
            producer.produce("events", b"%d" % number, partition=partition)
        assert producer.flush(30) == 0
    consumer = Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": "readers", "auto.offset.reset": "earliest"})
    consumer.subscribe(["events"])
    found, deadline = 0, time.monotonic() + 60
    while found < 300:
        assert time.monotonic() < deadline, f"{found} of 300 records"
        found += sum(1 for message in consumer.consume(100, 1) if message.error() is None)
    consumer.commit(asynchronous=False)
    consumer.close()


@pytest.mark.conforms("librdkafka", "failover of a partition's leader")
def test_killing_a_leader_loses_nothing(cluster):
    partitions = 12
    cluster.create_topic("load", partitions=partitions)
    load = Load(cluster, "load", partitions)
    load.wait_for(500)
    gaps = []
    for round_number in range(KILLS):
        leaders = cluster.leaders("load")
        victim = cluster[max((n for n in leaders if n > 0), key=lambda n: leaders[n])]
        began = time.monotonic()
        victim.kill()
        # Every partition must go on without it.
        before = [len(acknowledged) for acknowledged in load.acknowledged]
        wait_until(
            lambda: all(len(a) > b + 20 for a, b in zip(load.acknowledged, before)),
            f"all partitions take writes without broker {victim.number}\n{cluster.log_tails()}")
        gaps.append(load.longest_gap(began))
        victim.launch().wait_ready()
        cluster.wait_healthy()
    load.stop()
    total = check(cluster, load)
    print(f"{KILLS} kills, {total} records, longest time without a write in a partition {sorted(gaps)} ms")
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    assert cluster.compare_replicas() >= partitions


def test_a_graceful_stop_hands_over(cluster):
    partitions = 12
    cluster.create_topic("load", partitions=partitions)
    load = Load(cluster, "load", partitions)
    load.wait_for(500)
    gaps = []
    for number in (1, 2, 3):
        member = cluster[number]
        began = time.monotonic()
        assert member.stop(60) == 0, member.log_tail()
        before = [len(acknowledged) for acknowledged in load.acknowledged]
        wait_until(
            lambda: all(len(a) > b + 20 for a, b in zip(load.acknowledged, before)),
            f"all partitions take writes without broker {number}\n{cluster.log_tails()}")
        gaps.append(load.longest_gap(began))
        member.launch().wait_ready()
        cluster.wait_healthy()
    load.stop()
    total = check(cluster, load)
    print(f"rolling restart, {total} records, longest time without a write in a partition {sorted(gaps)} ms")


def test_everything_is_there_after_a_restart_of_all(cluster):
    cluster.create_topic("kept", partitions=3)
    fill(cluster, "kept", 1000)
    before = read_all(cluster, "kept", 0)
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    assert cluster.compare_replicas() >= 3
    cluster.start()
    cluster.wait_healthy()
    assert read_all(cluster, "kept", 0) == before
    fill(cluster, "kept", 100)
    assert len(read_all(cluster, "kept", 0)) == 1100


@pytest.mark.parametrize("ports", ["others", "exchanged"])
def test_all_brokers_may_move_at_once(cluster, ports):
    """Nobody is where the controller remembers: there is nothing, or another broker."""
    cluster.create_topic("kept", partitions=3)
    fill(cluster, "kept", 1000)
    before = read_all(cluster, "kept", 0)
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    old = [member.peer_port for member in cluster.members]
    new = old[1:] + old[:1] if ports == "exchanged" else [free_port() for _ in old]
    for member, port in zip(cluster.members, new):
        member.peer_port = port
        member.port, member.admin_port = free_port(), free_port()
    cluster.write_configs()
    began = time.monotonic()
    cluster.start()
    cluster.wait_healthy()
    print(f"healthy at other addresses after {time.monotonic() - began:.1f} s")
    assert read_all(cluster, "kept", 0) == before
    # What they told each other of their new addresses suffices from now on.
    member = cluster[2]
    member.stop()
    member.peer_port = free_port()
    member.write_config([f"{other.number}@127.0.0.1:{other.peer_port}" for other in cluster.members])
    member.launch().wait_ready()
    cluster.wait_healthy()
    fill(cluster, "kept", 100)
    assert len(read_all(cluster, "kept", 0)) == 1100


def test_power_off_of_all_loses_no_acknowledged_record(cluster):
    cluster.create_topic("load", partitions=4)
    load = Load(cluster, "load", 4)
    load.wait_for(2000)
    for member in cluster.members:
        os.kill(member.process.pid, signal.SIGKILL)
    for member in cluster.members:
        member.process.wait(30)
    cluster.start()
    load.wait_for(500)
    load.stop()
    assert check(cluster, load) > 2500


def test_one_broker_alone_takes_no_writes_and_says_so(cluster):
    cluster.create_topic("few", partitions=1)
    fill(cluster, "few", 10)
    leader = cluster[next(iter(cluster.leaders("few")))]
    others = [member for member in cluster.members if member is not leader]
    for member in others:
        member.kill()
    producer = Producer({
        "bootstrap.servers": leader.bootstrap, "acks": "all", "message.timeout.ms": 4000, "request.timeout.ms": 2000})
    outcome = []
    producer.produce("few", b"lost", partition=0, on_delivery=lambda error, _: outcome.append(error))
    producer.flush(30)
    assert outcome and outcome[0] is not None, "a write without a majority was acknowledged"
    for member in others:
        member.launch()
    for member in others:
        member.wait_ready()
    cluster.wait_healthy()
    fill(cluster, "few", 10)
