# SPDX-License-Identifier: Apache-2.0
"""A group of three members, each a process, keeps reading everything after one of them is killed."""

import pathlib
import subprocess
import sys
import threading
import time

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


@pytest.mark.parametrize("client", ["confluent", "kafka-python", "aiokafka"])
def test_three_members_survive_one_being_killed(broker, client):
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([NewTopic("shared", 6, 1)])["shared"].result(10)
    seen, readers = [set(), set(), set()], []
    script = pathlib.Path(__file__).with_name("group_member.py")
    members = [
        subprocess.Popen([sys.executable, str(script), client, broker.bootstrap, "three", "shared"],
                         stdout=subprocess.PIPE, text=True) for _ in range(3)]

    def follow(number):
        for line in members[number].stdout:
            seen[number].add(line.strip())

    for number in range(3):
        readers.append(threading.Thread(target=follow, args=(number,), daemon=True))
        readers[-1].start()
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    try:
        until(lambda: describe(admin) == ("STABLE", 3, 6))
        send(producer, 0, 600)
        until(lambda: len(set.union(*seen)) == 600)
        assert all(seen), "each member has its share"
        members[0].kill()
        send(producer, 600, 1200)
        until(lambda: len(set.union(*seen)) == 1200)
        until(lambda: describe(admin) == ("STABLE", 2, 6))
    finally:
        for member in members:
            member.kill()
            member.wait()


def send(producer, first, last):
    for number in range(first, last):
        producer.produce("shared", b"%d" % number, partition=number % 6)
    assert producer.flush(30) == 0


def describe(admin):
    """State, members, partitions assigned."""
    group = admin.describe_consumer_groups(["three"])["three"].result(10)
    return group.state.name, len(group.members), sum(
        len(member.assignment.topic_partitions) for member in group.members)
