# SPDX-License-Identifier: Apache-2.0
"""Configurations of single groups (resources of type GROUP) with librdkafka: what can be set, and what it does."""

import time

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ConfigSource, ResourceType

from share_groups import ShareMember
from test_consumer_groups import create, every, members, shared, until  # noqa: F401 (a fixture)

SESSION = "consumer.session.timeout.ms"
HEARTBEAT = "consumer.heartbeat.interval.ms"


def admin(broker):
    return AdminClient({"bootstrap.servers": broker.bootstrap})


def alter(client, group, *changes, **options):
    """Changes are (name, operation, value)."""
    entries = [ConfigEntry(name, value, incremental_operation=operation) for name, operation, value in changes]
    resource = ConfigResource(ResourceType.GROUP, group, incremental_configs=entries)
    client.incremental_alter_configs([resource], **options)[resource].result(20)


def put(client, group, **values):
    alter(client, group, *((name.replace("_", "."), AlterConfigOpType.SET, value) for name, value in values.items()))


def describe(client, group):
    resource = ConfigResource(ResourceType.GROUP, group)
    return client.describe_configs([resource])[resource].result(20)


def own(client, group):
    """What is set on the group itself."""
    entries = describe(client, group).values()
    return {each.name: each.value for each in entries if each.source == ConfigSource.GROUP_CONFIG.value}


@pytest.mark.conforms("librdkafka", "configuration of groups")
def test_a_group_is_configured(broker):
    client = admin(broker)
    assert own(client, "g") == {} and len(describe(client, "g")) == 7
    alter(client, "g", (SESSION, AlterConfigOpType.SET, "9000"), validate_only=True)
    assert own(client, "g") == {}
    put(client, "g", consumer_session_timeout_ms="9000", share_isolation_level="read_committed")
    put(client, "g", share_auto_offset_reset="by_duration:P1DT12H")
    wanted = {SESSION: "9000", "share.isolation.level": "read_committed",
              "share.auto.offset.reset": "by_duration:P1DT12H"}
    assert own(client, "g") == wanted and own(client, "h") == {}
    heartbeat = describe(client, "g")[HEARTBEAT]
    assert heartbeat.value == "5000" and heartbeat.source == ConfigSource.DEFAULT_CONFIG.value
    assert not heartbeat.is_read_only

    for changes, code in (
            ([(SESSION, AlterConfigOpType.SET, "5000")], KafkaError.INVALID_CONFIG),
            ([(SESSION, AlterConfigOpType.SET, "soon")], KafkaError.INVALID_CONFIG),
            ([(SESSION, AlterConfigOpType.APPEND, "1")], KafkaError.INVALID_CONFIG),
            ([("no.such.thing", AlterConfigOpType.SET, "1")], KafkaError.INVALID_CONFIG)):
        with pytest.raises(KafkaException) as raised:
            alter(client, "g", *changes)
        assert raised.value.args[0].code() == code, changes
    assert own(client, "g") == wanted

    alter(client, "g", (SESSION, AlterConfigOpType.DELETE, None))
    del wanted[SESSION]
    assert own(client, "g") == wanted
    broker.kill()
    broker.start()
    client = admin(broker)
    assert own(client, "g") == wanted
    replaced = ConfigResource(ResourceType.GROUP, "g", set_config={"share.record.lock.duration.ms": "20000"})
    client.alter_configs([replaced])[replaced].result(20)
    assert own(client, "g") == {"share.record.lock.duration.ms": "20000"}


def test_a_member_is_removed_by_its_groups_time(new_broker, members):  # noqa: F811
    """The broker's 45 s hold for the other group."""
    broker = new_broker(environment={"GOULETTE_GROUPS__CONSUMER_HEARTBEAT_INTERVAL": "500ms"}).start()
    client = admin(broker)
    create(client, jobs=4)
    wanted = every(jobs=4)
    put(client, "quick", consumer_session_timeout_ms="3000", consumer_heartbeat_interval_ms="300")
    groups = {group: [members(broker.bootstrap, group, ["jobs"]) for _ in range(2)] for group in ("quick", "slow")}
    for pair in groups.values():
        until(lambda pair=pair: shared(pair, wanted) and all(len(each.owned) == 2 for each in pair),
              lambda pair=pair: [each.names() for each in pair])
    killed = {group: pair[0].kill() for group, pair in groups.items()}
    survivor = groups["quick"][1]
    until(lambda: survivor.owned == wanted, lambda: survivor.names())
    took = survivor.when("assigned")[-1] - killed["quick"]
    assert 2 <= took < 20, took
    # As soon as the quick one is through, the other has waited long enough to have shown the same.
    assert time.time() - killed["slow"] < 40, "the machine is too busy for this test"
    assert len(groups["slow"][1].owned) == 2


def test_share_groups_begin_where_each_says(broker):
    client = admin(broker)
    create(client, queue=1)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(10):
        producer.produce("queue", b"%d" % number)
    assert producer.flush(30) == 0
    put(client, "all", share_auto_offset_reset="earliest")
    every_value = [str(number) for number in range(10)]
    both = [ShareMember(broker.bootstrap, group, "queue") for group in ("all", "new")]
    try:
        until(lambda: both[0].values("accepted") == every_value, lambda: both[0].events)
        # What comes later tells when the other has begun.
        def later():
            producer.produce("queue", b"later")
            producer.flush(30)
            return both[1].values("accepted")
        until(later, lambda: both[1].events)
        assert set(both[1].values("got")) == {"later"}
    finally:
        for member in both:
            member.kill()


def test_every_broker_of_a_cluster_knows(new_cluster):
    cluster = new_cluster().start()
    put(AdminClient({"bootstrap.servers": cluster.bootstrap}), "g", share_session_timeout_ms="9000")
    wanted = {"share.session.timeout.ms": "9000"}
    for member in cluster.members:
        until(lambda member=member: own(admin(member), "g") == wanted, "known")
    leader = cluster.members[0]
    leader.kill()

    def again():
        try:
            # Of a client of its own: one that knows the controller that was killed waits for that one.
            change = ("share.heartbeat.interval.ms", AlterConfigOpType.SET, "700")
            alter(admin(cluster.members[1]), "g", change, request_timeout=2)
            return True
        except KafkaException:
            return False

    until(again, "another controller")
    wanted["share.heartbeat.interval.ms"] = "700"
    leader.start()
    for member in cluster.members:
        until(lambda member=member: own(admin(member), "g") == wanted, "known")
