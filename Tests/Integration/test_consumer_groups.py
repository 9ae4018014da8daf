# SPDX-License-Identifier: Apache-2.0
"""Groups under the consumer protocol (KIP-848) with librdkafka: shares, takeovers, expressions, static members,
offsets, restarts of the broker and of the coordinator."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

SCRIPT = pathlib.Path(__file__).with_name("consumer_member.py")
INTERVAL, SESSION = 0.5, 6
"""Seconds between heartbeats and of a session, for tests that need not wait for Kafka's 5 and 45."""
FAST = {
    "GOULETTE_GROUPS__CONSUMER_HEARTBEAT_INTERVAL": "500ms", "GOULETTE_GROUPS__CONSUMER_SESSION_TIMEOUT": "6s"}


def until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not after {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.02)  # What other processes do is looked at again until it holds, up to the deadline.


class Member:
    """A process that reads; what it owns follows from what it printed."""

    def __init__(self, bootstrap, group, topics, **options):
        self.events, self.owned, self.read = [], set(), []
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), bootstrap, group, json.dumps(topics), json.dumps(options)],
            stdout=subprocess.PIPE, text=True, env=environment)
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        for line in self.process.stdout:
            event = json.loads(line)
            found = {tuple(each) for each in event.get("partitions", [])}
            if event["event"] == "assigned":
                self.owned = self.owned | found
            elif event["event"] in ("revoked", "lost"):
                self.owned = self.owned - found
            elif event["event"] == "read":
                self.read.append(event["value"])
            self.events.append(event)

    def when(self, name):
        """The times of the events of that name."""
        return [event["at"] for event in list(self.events) if event["event"] == name]

    def names(self):
        return [event["event"] for event in list(self.events) if event["event"] != "read"]

    def kill(self):
        """kill -9, and the time."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        return time.time()

    def close(self):
        """Leaves as a program does that ends."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        until(lambda: self.when("closed"), "closed")
        return self.when("closed")[0]


@pytest.fixture
def members():
    """A factory; every process is ended when the test is over."""
    made = []

    def make(*arguments, **options):
        made.append(Member(*arguments, **options))
        return made[-1]

    yield make
    for member in made:
        member.kill()


@pytest.fixture
def fast(new_broker):
    broker = new_broker(environment=FAST).start()
    yield broker
    assert broker.stop() == 0, broker.log_tail()
    broker.verify()


def create(admin, **topics):
    futures = admin.create_topics([NewTopic(name, count, 1) for name, count in topics.items()])
    for future in futures.values():
        future.result(20)


def every(**topics):
    return {(name, index) for name, count in topics.items() for index in range(count)}


def shared(members, wanted):
    """Whether each partition has exactly one reader."""
    owned = [partition for member in members for partition in member.owned]
    return len(owned) == len(set(owned)) and set(owned) == wanted


def send(bootstrap, topic, first, last, partitions):
    producer = Producer({"bootstrap.servers": bootstrap})
    for number in range(first, last):
        producer.produce(topic, b"%d" % number, partition=number % partitions)
    assert producer.flush(30) == 0


def describe(broker, group):
    answer = broker.cli("group", "describe", group, "-o", "json")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return json.loads(answer.stdout)


@pytest.mark.conforms("librdkafka", "consumer protocol of groups (KIP-848)")
def test_three_members_share_and_take_over(fast, members):
    admin = AdminClient({"bootstrap.servers": fast.bootstrap})
    create(admin, shared=6)
    wanted = every(shared=6)
    first = members(fast.bootstrap, "three", ["shared"])
    until(lambda: first.owned == wanted, "the first reads everything")
    others = [members(fast.bootstrap, "three", ["shared"]) for _ in range(2)]
    three = [first, *others]
    until(lambda: shared(three, wanted) and all(len(each.owned) == 2 for each in three), "equal shares")
    assert "lost" not in sum((each.names() for each in three), [])
    send(fast.bootstrap, "shared", 0, 600, 6)
    until(lambda: sum(len(each.read) for each in three) >= 600, "everything is read")
    assert sorted(sum((each.read for each in three), []), key=int) == [str(number) for number in range(600)]

    group = admin.describe_consumer_groups(["three"])["three"].result(10)
    assert group.state == ConsumerGroupState.STABLE
    assert len(group.members) == 3
    assert sum(len(each.assignment.topic_partitions) for each in group.members) == 6
    assert group.partition_assignor == "uniform"
    listed = {each.group_id: each for each in admin.list_consumer_groups().result().valid}
    assert listed["three"].state == ConsumerGroupState.STABLE and listed["three"].type.name == "CONSUMER"

    described = describe(fast, "three")
    assert described["state"] == "Stable" and described["type"] == "consumer"
    assert described["assignor"] == "uniform" and len(described["members"]) == 3
    until(lambda: [each["committedOffset"] for each in describe(fast, "three")["partitions"]] == [100] * 6, "committed")
    assert "consumer" in fast.cli("group", "list").stdout

    killed = first.kill()
    until(lambda: shared(others, wanted), "the others take over")
    took = time.time() - killed
    assert SESSION - INTERVAL - 0.5 <= took <= SESSION + 4 * INTERVAL + 3, took
    send(fast.bootstrap, "shared", 600, 1200, 6)
    until(lambda: {str(number) for number in range(1200)} <= set(sum((each.read for each in three), [])), "all read")
    assert others[0].close() and others[1].close()
    until(lambda: describe(fast, "three")["state"] == "Empty", "the group is empty")


def test_an_expression_picks_up_a_new_topic(fast, members):
    admin = AdminClient({"bootstrap.servers": fast.bootstrap})
    create(admin, **{"log-a": 2, "other": 2})
    member = members(fast.bootstrap, "matching", ["^log-.*"])
    until(lambda: member.owned == every(**{"log-a": 2}), lambda: member.events)
    create(admin, **{"log-b": 3, "not-log-c": 1})
    until(lambda: member.owned == every(**{"log-a": 2, "log-b": 3}), lambda: member.events)
    send(fast.bootstrap, "log-b", 0, 9, 3)
    until(lambda: len(member.read) == 9, "what is in the new topic is read")
    admin.delete_topics(["log-a"])["log-a"].result(10)
    until(lambda: member.owned == every(**{"log-b": 3}), lambda: member.events)


def test_partitions_that_are_added_are_shared_out(fast, members):
    from confluent_kafka.admin import NewPartitions
    admin = AdminClient({"bootstrap.servers": fast.bootstrap})
    create(admin, growing=2)
    both = [members(fast.bootstrap, "growing", ["growing"]) for _ in range(2)]
    until(lambda: shared(both, every(growing=2)), "shared")
    admin.create_partitions([NewPartitions("growing", 6)])["growing"].result(10)
    until(lambda: shared(both, every(growing=6)) and all(len(each.owned) == 3 for each in both), "shared anew")


@pytest.mark.conforms("librdkafka", "static members (KIP-848)")
def test_a_static_member_restarts_without_a_rebalance(fast, members):
    admin = AdminClient({"bootstrap.servers": fast.bootstrap})
    create(admin, static=4)
    make = lambda name: members(fast.bootstrap, "static", ["static"], **{"group.instance.id": name})
    one, two = make("one"), make("two")
    until(lambda: shared([one, two], every(static=4)) and len(one.owned) == len(two.owned) == 2, "shared")
    before, owned, seen = describe(fast, "static"), set(two.owned), len(one.events)
    two.close()
    began = time.time()
    again = make("two")
    until(lambda: again.owned == owned, "it has its partitions again")
    print(f"a static member had its partitions {again.when('assigned')[-1] - began:.2f} s after its process began")
    assert describe(fast, "static")["epoch"] == before["epoch"], "no new assignment"
    assert [event["event"] for event in one.events[seen:] if event["event"] != "read"] == [], "the other saw nothing"

    # One that is already there keeps its name to itself.
    third = make("two")
    until(lambda: any(event.get("code") == "UNRELEASED_INSTANCE_ID" or event.get("code") == "_FATAL"
                      for event in list(third.events)), lambda: third.events)
    third.kill()
    again.kill()
    until(lambda: one.owned == every(static=4), "after its session the other takes over")


def test_range_gives_the_same_numbers_of_both_topics(fast, members):
    admin = AdminClient({"bootstrap.servers": fast.bootstrap})
    create(admin, left=4, right=4)
    make = lambda: members(fast.bootstrap, "ranges", ["left", "right"], **{"group.remote.assignor": "range"})
    both = [make(), make()]
    until(lambda: shared(both, every(left=4, right=4)) and all(len(each.owned) == 4 for each in both), "shared")
    for member in both:
        numbers = {name: {index for topic, index in member.owned if topic == name} for name in ("left", "right")}
        assert numbers["left"] == numbers["right"] and numbers["left"] in ({0, 1}, {2, 3})
    assert describe(fast, "ranges")["assignor"] == "range"
    wrong = members(fast.bootstrap, "ranges", ["left"], **{"group.remote.assignor": "unheard-of"})
    until(lambda: wrong.when("error"), "an assignor that does not exist is refused")


@pytest.mark.conforms("librdkafka", "a killed broker comes back")
def test_members_and_offsets_outlive_the_broker(fast, members):
    admin = AdminClient({"bootstrap.servers": fast.bootstrap})
    create(admin, lasting=4)
    both = [members(fast.bootstrap, "lasting", ["lasting"]) for _ in range(2)]
    until(lambda: shared(both, every(lasting=4)) and all(len(each.owned) == 2 for each in both), "shared")
    send(fast.bootstrap, "lasting", 0, 100, 4)
    until(lambda: sum(len(each.read) for each in both) == 100, "read")
    before = describe(fast, "lasting")
    fast.kill()
    fast.start()
    send(fast.bootstrap, "lasting", 100, 200, 4)
    until(lambda: len(set(sum((each.read for each in both), []))) == 200, "read on")
    after = describe(fast, "lasting")
    assert after["epoch"] == before["epoch"] and after["state"] == "Stable", "nobody had to join again"
    assert {each["member"] for each in after["members"]} == {each["member"] for each in before["members"]}
    assert "lost" not in sum((each.names() for each in both), [])
    for member in both:
        member.close()
    consumer = Consumer({"bootstrap.servers": fast.bootstrap, "group.id": "lasting", "group.protocol": "consumer"})
    committed = consumer.committed([TopicPartition("lasting", index) for index in range(4)], 10)
    consumer.close()
    assert [each.offset for each in committed] == [50] * 4


def test_an_empty_group_changes_its_kind(fast, members):
    admin = AdminClient({"bootstrap.servers": fast.bootstrap})
    create(admin, kinds=2)
    classic = {"group.protocol": "classic", "session.timeout.ms": 6000}
    old = members(fast.bootstrap, "kinds", ["kinds"], **classic)
    until(lambda: old.owned == every(kinds=2), "a classic member")
    refused = members(fast.bootstrap, "kinds", ["kinds"])
    until(lambda: refused.when("error"), "no member of the other kind while it is in use")
    refused.kill()
    send(fast.bootstrap, "kinds", 0, 10, 2)
    until(lambda: len(old.read) == 10, "read")
    old.close()
    new = members(fast.bootstrap, "kinds", ["kinds"])
    until(lambda: new.owned == every(kinds=2), lambda: new.events)
    assert describe(fast, "kinds")["type"] == "consumer"
    send(fast.bootstrap, "kinds", 10, 20, 2)
    until(lambda: len(new.read) == 10, "what was committed under the other protocol counts")
    late = members(fast.bootstrap, "kinds", ["kinds"], **classic)
    until(lambda: any(event.get("code") == "INCONSISTENT_GROUP_PROTOCOL" for event in list(late.events)), lambda: late.events)
    late.kill()
    new.close()
    back = members(fast.bootstrap, "kinds", ["kinds"], **classic)
    until(lambda: back.owned == every(kinds=2), "and back")
    assert describe(fast, "kinds")["type"] == "classic"


def test_a_group_is_deleted_when_it_is_empty(fast, members):
    admin = AdminClient({"bootstrap.servers": fast.bootstrap})
    create(admin, gone=1)
    member = members(fast.bootstrap, "gone", ["gone"])
    until(lambda: member.owned == every(gone=1), "assigned")
    with pytest.raises(Exception, match="NON_EMPTY_GROUP"):
        admin.delete_consumer_groups(["gone"])["gone"].result(10)
    member.close()
    admin.delete_consumer_groups(["gone"])["gone"].result(10)
    assert "gone" not in {each.group_id for each in admin.list_consumer_groups().result().valid}


def test_another_coordinator_goes_on_with_every_epoch(new_cluster, members):
    cluster = new_cluster(settings={
        "groups.consumer_heartbeat_interval": "500ms", "groups.consumer_session_timeout": "20s"}).start()
    cluster.create_topic("failing", partitions=6)
    three = [members(cluster.bootstrap, "failing", ["failing"]) for _ in range(3)]
    until(lambda: shared(three, every(failing=6)) and all(len(each.owned) == 2 for each in three), "shared")
    send(cluster.bootstrap, "failing", 0, 120, 6)
    until(lambda: sum(len(each.read) for each in three) == 120, "read")
    before = json.loads(cluster.cli("group", "describe", "failing", "-o", "json").stdout)
    coordinator = cluster[before["coordinator"]]
    seen = [len(each.events) for each in three]
    killed = time.time()
    coordinator.kill()

    def described():
        answer = cluster.cli("group", "describe", "failing", "-o", "json")
        found = json.loads(answer.stdout) if answer.returncode == 0 else {}
        return found if found.get("coordinator", before["coordinator"]) != before["coordinator"] else None

    after = until(described, "another coordinator")
    print(f"another coordinator described the group {time.time() - killed:.2f} s after the first was killed")
    send(cluster.bootstrap, "failing", 120, 240, 6)
    until(lambda: len(set(sum((each.read for each in three), []))) == 240, "read on")
    assert after["epoch"] == before["epoch"]
    assert {each["member"] for each in after["members"]} == {each["member"] for each in before["members"]}
    for member, count in zip(three, seen):
        changes = {event["event"] for event in member.events[count:]} & {"assigned", "revoked", "lost"}
        assert not changes, member.events[count:]


@pytest.mark.parametrize("interval,session", [
    pytest.param(0.5, 6, id="fast"), pytest.param(5, 45, id="defaults", marks=pytest.mark.long)])
def test_times(new_broker, members, interval, session):
    """How long things take; asserted is only what the protocol promises, with room for a busy machine."""
    room = 4
    broker = new_broker(environment={
        "GOULETTE_GROUPS__CONSUMER_HEARTBEAT_INTERVAL": f"{int(interval * 1000)}ms",
        "GOULETTE_GROUPS__CONSUMER_SESSION_TIMEOUT": f"{session}s"}).start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    create(admin, timed=6)
    wanted, rows = every(timed=6), []
    one = members(broker.bootstrap, "timed", ["timed"])
    until(lambda: one.owned == wanted, "assigned")
    rows.append(("join of an empty group to assignment", one.when("assigned")[0] - one.when("begun")[0], room))
    two = members(broker.bootstrap, "timed", ["timed"])
    until(lambda: shared([one, two], wanted) and len(two.owned) == 3, "shared")
    rows.append(("second join to its assignment", two.when("assigned")[-1] - two.when("begun")[0], 2 * interval + room))
    left = two.close()
    until(lambda: one.owned == wanted, "reassigned")
    rows.append(("clean leave to the takeover", one.when("assigned")[-1] - left, interval + room))
    two = members(broker.bootstrap, "timed", ["timed"])
    until(lambda: shared([one, two], wanted) and len(two.owned) == 3, "shared")
    killed = two.kill()
    until(lambda: one.owned == wanted, "reassigned", session + 30)
    rows.append(("kill -9 to the takeover", one.when("assigned")[-1] - killed, session + interval + room))
    static = members(broker.bootstrap, "timed", ["timed"], **{"group.instance.id": "s"})
    until(lambda: shared([one, static], wanted) and len(static.owned) == 3, "shared")
    owned = set(static.owned)
    static.close()
    again = members(broker.bootstrap, "timed", ["timed"], **{"group.instance.id": "s"})
    until(lambda: again.owned == owned, "assigned again")
    rows.append(("static restart to its assignment", again.when("assigned")[-1] - again.when("begun")[0], room))
    print(f"\nheartbeats every {interval} s, sessions of {session} s")
    for name, seconds, limit in rows:
        print(f"  {name:<40} {seconds:7.3f} s   at most {limit:.1f} s")
    assert all(seconds <= limit for _, seconds, limit in rows), rows
