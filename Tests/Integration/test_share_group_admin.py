# SPDX-License-Identifier: Apache-2.0
"""Who is in a share group (KIP-932) and how far it is: members that come, leave and die, offsets that an operator sets,
groups that are deleted, and a broker that restarts."""

import json
import struct

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from share_groups import ShareMember, until
from wire import Wire, varint

FAST = {
    "GOULETTE_SHARE_GROUPS__AUTO_OFFSET_RESET": "earliest", "GOULETTE_SHARE_GROUPS__HEARTBEAT_INTERVAL": "300ms",
    "GOULETTE_SHARE_GROUPS__SESSION_TIMEOUT": "4s"}


@pytest.fixture
def members():
    """A factory; every process is ended when the test is over."""
    made = []

    def make(*arguments, **options):
        made.append(ShareMember(*arguments, **options))
        return made[-1]

    yield make
    for member in made:
        member.kill()


def fill(broker, topic, partitions, count):
    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    client.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(count):
        producer.produce(topic, b"%d" % number, partition=number % partitions)
    assert producer.flush(30) == 0


def describe(broker, group):
    answer = broker.cli("group", "describe", group, "-o", "json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def text(value):
    data = value.encode()
    return varint(len(data) + 1) + data


def alter(broker, group, topic, offsets):
    """AlterShareGroupOffsets v0: the error of the group, then those of the partitions."""
    partitions = b"".join(struct.pack(">iq", index, offset) + b"\0" for index, offset in offsets.items())
    topics = varint(2) + text(topic) + varint(len(offsets) + 1) + partitions + b"\0"
    with Wire(broker.bootstrap) as wire:
        answer = wire.ask_flexible(91, 0, text(group) + topics + b"\0")
    return struct.unpack(">h", answer[4:6])[0]


@pytest.mark.conforms("librdkafka", "share groups (KIP-932)")
def test_members_come_leave_and_die(new_broker, members):
    broker = new_broker(environment=FAST).start()
    fill(broker, "jobs", 2, 10)
    three = [members(broker.bootstrap, "workers", "jobs") for _ in range(3)]
    until(lambda: all(member.has("begun") for member in three), "all have begun")
    until(lambda: broker.metric("goulette_share_group_members") == 3, "three members")
    found = describe(broker, "workers")
    assert found["type"] == "share" and found["state"] == "Stable" and found["assignor"] == "simple"
    readers = [row["members"] for row in found["partitions"]]
    assert sorted(len(row) for row in readers) == [1, 2], "nobody is without a partition"
    assert "share" in broker.cli("group", "list").stdout
    assert "NON_EMPTY_GROUP" in broker.cli("group", "delete", "workers").stderr

    three[0].close()
    until(lambda: len(describe(broker, "workers")["members"]) == 2, lambda: describe(broker, "workers"))
    assert broker.metric("goulette_group_members_removed_total") == 1
    three[1].kill()
    until(lambda: len(describe(broker, "workers")["members"]) == 1, lambda: describe(broker, "workers"), 30)
    (last,) = describe(broker, "workers")["members"]
    assert all(row["members"] == [last["member"]] for row in describe(broker, "workers")["partitions"])

    broker.stop()
    broker.start()
    assert describe(broker, "workers")["members"][0]["member"] == last["member"], "it has not noticed"
    wanted = {str(number) for number in range(10, 20)}
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for number in range(10, 20):
        producer.produce("jobs", b"%d" % number)
    assert producer.flush(30) == 0
    until(lambda: wanted <= set(three[2].values("accepted")), lambda: three[2].events)


@pytest.mark.conforms("librdkafka", "share groups (KIP-932)")
def test_an_operator_sets_where_an_empty_group_goes_on(new_broker, members):
    broker = new_broker(environment=FAST).start()
    fill(broker, "jobs", 1, 10)
    first = members(broker.bootstrap, "workers", "jobs")
    until(lambda: len(first.values("accepted")) == 10, lambda: first.events)
    assert alter(broker, "workers", "jobs", {0: 4}) == 68, "it has members"
    first.close()
    until(lambda: describe(broker, "workers")["state"] == "Empty", lambda: describe(broker, "workers"))
    (row,) = describe(broker, "workers")["partitions"]
    assert (row["startOffset"], row["endOffset"], row["lag"]) == (10, 10, 0)
    assert alter(broker, "workers", "jobs", {0: 4}) == 0
    (row,) = describe(broker, "workers")["partitions"]
    assert (row["startOffset"], row["lag"]) == (4, 6)

    second = members(broker.bootstrap, "workers", "jobs")
    until(lambda: len(second.values("accepted")) >= 6, lambda: second.events)
    assert set(second.values("got")) == {str(number) for number in range(4, 10)}
    second.close()
    until(lambda: describe(broker, "workers")["state"] == "Empty", lambda: describe(broker, "workers"))
    assert broker.cli("group", "delete", "workers").returncode == 0
    third = members(broker.bootstrap, "workers", "jobs")
    until(lambda: len(set(third.values("accepted"))) == 10, lambda: third.events)
