# SPDX-License-Identifier: Apache-2.0
"""Share groups (KIP-932) with librdkafka's share consumer: records that are accepted, released, rejected, kept too long,
held by a member that dies, and left open by a broker that dies."""

import pytest
from confluent_kafka import AcknowledgeType, Producer, ShareConsumer
from confluent_kafka.admin import AdminClient, NewTopic

from share_groups import ShareMember, redelivered_after_acceptance, until

BEGIN = {
    "GOULETTE_SHARE_GROUPS__AUTO_OFFSET_RESET": "earliest", "GOULETTE_SHARE_GROUPS__HEARTBEAT_INTERVAL": "500ms"}
SHORT = {**BEGIN, "GOULETTE_SHARE_GROUPS__RECORD_LOCK_DURATION": "2s"}


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


@pytest.fixture
def share_broker(new_broker):
    def make(environment=BEGIN):
        return new_broker(environment=environment).start()

    return make


def create(broker, topic, partitions=1):
    client = AdminClient({"bootstrap.servers": broker.bootstrap})
    client.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)


def send(broker, topic, first, last, partition=0):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "linger.ms": 0, "batch.num.messages": 5})
    for number in range(first, last):
        producer.produce(topic, b"%d" % number, partition=partition)
    assert producer.flush(30) == 0


def consumer(broker, group, **options):
    return ShareConsumer({
        "bootstrap.servers": broker.bootstrap, "group.id": group, "share.acknowledgement.mode": "explicit", **options})


def poll(share, count=1, seconds=30):
    """Messages of one poll that brought some."""
    found = []

    def some():
        found.extend(share.poll(0.5))
        return len(found) >= count

    until(some, lambda: f"{len(found)} of {count} messages", seconds)
    assert all(message.error() is None for message in found), [message.error() for message in found]
    return found


def commit(share):
    outcome = share.commit_sync(30)
    assert outcome and not any(outcome.values()), outcome


@pytest.mark.conforms("librdkafka", "share groups (KIP-932)")
def test_two_consumers_share_a_partition(share_broker, members):
    broker = share_broker()
    create(broker, "jobs")
    pair = [members(broker.bootstrap, "workers", "jobs", **{"max.poll.records": 5}) for _ in range(2)]
    until(lambda: all(member.has("begun") for member in pair), "both have begun")
    for first in range(0, 300, 20):
        send(broker, "jobs", first, first + 20)
    wanted = {str(number) for number in range(300)}
    until(lambda: {value for one in pair for value in one.values("accepted")} == wanted,
          lambda: f"{[len(one.values('accepted')) for one in pair]} {[one.events[-3:] for one in pair]}")
    got = [value for one in pair for value in one.values("got")]
    assert len(got) == len(set(got)) == 300, "nobody kept a record too long, so each came once"
    assert all(one.values("got") for one in pair), "both worked"
    for member in pair:
        member.close()
    assert broker.metric('goulette_share_records_total{outcome="accepted"}') == 300
    assert broker.metric("goulette_share_sessions") == 0
    assert broker.metric("goulette_share_records_locked") == 0


@pytest.mark.conforms("librdkafka", "share groups (KIP-932)")
def test_released_records_come_again_and_rejected_ones_do_not(share_broker):
    broker = share_broker()
    create(broker, "jobs")
    send(broker, "jobs", 0, 3)
    share = consumer(broker, "workers")
    share.subscribe(["jobs"])
    seen = {}
    for delivery in range(1, 6):
        found = poll(share, 3 if delivery == 1 else 1)
        for message in found:
            number = int(message.value())
            assert message.delivery_count() == delivery, (number, message.delivery_count())
            seen[number] = delivery
            share.acknowledge(
                message, (AcknowledgeType.RELEASE, AcknowledgeType.REJECT, AcknowledgeType.ACCEPT)[number])
        commit(share)
    # The first was released five times, as often as it may be delivered at all.
    assert seen == {0: 5, 1: 1, 2: 1}
    send(broker, "jobs", 3, 4)
    (message,) = poll(share)
    assert message.value() == b"3" and message.delivery_count() == 1
    share.acknowledge(message)
    commit(share)
    share.close()
    assert broker.metric('goulette_share_records_total{outcome="archived_by_delivery_count"}') == 1
    assert broker.metric('goulette_share_records_total{outcome="rejected"}') == 1
    assert broker.metric("goulette_share_records_in_flight") == 0


@pytest.mark.conforms("librdkafka", "share groups (KIP-932)")
def test_a_lock_ends_and_others_get_the_record(share_broker, members):
    broker = share_broker(SHORT)
    create(broker, "jobs")
    slow = members(broker.bootstrap, "workers", "jobs", "hold")
    send(broker, "jobs", 0, 3)
    until(lambda: slow.has("holding"), lambda: slow.events)
    held = slow.values("got")
    other = members(broker.bootstrap, "workers", "jobs")
    until(lambda: set(other.values("accepted")) == {"0", "1", "2"}, lambda: other.events)
    assert {value: other.deliveries()[value] for value in held} == {value: 2 for value in held}
    assert broker.metric("goulette_share_locks_expired_total") == len(held)


@pytest.mark.conforms("librdkafka", "share groups (KIP-932)")
def test_a_killed_consumer_gives_its_records_back(share_broker, members):
    broker = share_broker()
    create(broker, "jobs")
    victim = members(broker.bootstrap, "workers", "jobs", "hold")
    send(broker, "jobs", 0, 5)
    until(lambda: victim.has("holding"), lambda: victim.events)
    victim.kill()
    other = members(broker.bootstrap, "workers", "jobs")
    # Its connection is gone, so nobody waits for the lock of 30 s.
    until(lambda: set(other.values("accepted")) == {str(number) for number in range(5)}, lambda: other.events, 20)
    assert broker.metric("goulette_share_locks_expired_total") == 0
    assert set(other.deliveries().values()) == {1}, "what was fetched and not processed does not count"


@pytest.mark.conforms("librdkafka", "share groups (KIP-932)")
def test_what_was_accepted_stays_so_when_the_broker_is_killed(share_broker, members):
    broker = share_broker()
    create(broker, "jobs")
    send(broker, "jobs", 0, 20)
    first = consumer(broker, "workers", **{"max.poll.records": 5})
    first.subscribe(["jobs"])
    found = poll(first)
    accepted = {int(message.value()) for message in found if int(message.value()) % 2 == 0}
    for message in found:
        kept = int(message.value()) in accepted
        first.acknowledge(message, AcknowledgeType.ACCEPT if kept else AcknowledgeType.RELEASE)
    commit(first)
    held = poll(first)
    assert held, "something is in a consumer's hands when the broker dies"
    broker.kill()
    broker.start()
    other = members(broker.bootstrap, "workers", "jobs")
    wanted = {str(number) for number in range(20) if number not in accepted}
    until(lambda: set(other.values("accepted")) >= wanted, lambda: (wanted - set(other.values("accepted"))))
    assert set(other.values("got")) == wanted, "what was accepted does not come again"
    assert not redelivered_after_acceptance([other])
    released = {str(int(message.value())) for message in found} & wanted
    assert all(other.deliveries()[value] == 2 for value in released), "how often it was delivered is kept"
