# SPDX-License-Identifier: Apache-2.0
"""A share group in a cluster whose brokers are killed, the leader of its partition first: every record is delivered, and
none again after its acceptance was confirmed."""

import pytest
from confluent_kafka import Producer

from share_groups import ShareMember, redelivered_after_acceptance, until

SETTINGS = {
    "share_groups.auto_offset_reset": "earliest", "share_groups.heartbeat_interval": "500ms",
    "share_groups.record_lock_duration": "5s"}


@pytest.mark.conforms("librdkafka", "share groups (KIP-932)")
def test_records_survive_the_leader_of_their_partition(new_cluster):
    cluster = new_cluster(settings=SETTINGS).start()
    cluster.create_topic("jobs", partitions=1)
    members = [
        ShareMember(cluster.bootstrap, "workers", "jobs", **{"max.poll.records": 10}) for _ in range(2)]
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 5, "enable.idempotence": True})
    sent = 0

    def accepted():
        return {int(value) for member in members for value in member.values("accepted")}

    try:
        for kill in range(3):
            for _ in range(100):
                producer.produce("jobs", b"%d" % sent, partition=0)
                producer.poll(0)
                sent += 1
            assert producer.flush(60) == 0
            until(lambda: len(accepted()) >= sent - 60, lambda: f"{len(accepted())} of {sent} accepted", 90)
            (leader,) = cluster.leaders("jobs")
            victim = cluster[leader]
            victim.kill()
            for _ in range(50):
                producer.produce("jobs", b"%d" % sent, partition=0)
                producer.poll(0)
                sent += 1
            assert producer.flush(60) == 0
            until(lambda: len(accepted()) >= sent - 60, lambda: f"{len(accepted())} of {sent} accepted", 90)
            victim.launch().wait_ready()
            cluster.wait_healthy()
        until(lambda: accepted() == set(range(sent)),
              lambda: f"missing {sorted(set(range(sent)) - accepted())[:20]}", 90)
        assert not redelivered_after_acceptance(members)
    finally:
        for member in members:
            member.kill()
