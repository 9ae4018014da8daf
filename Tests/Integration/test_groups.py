# SPDX-License-Identifier: Apache-2.0
"""A group of three members, each a process, keeps reading everything after one of them is killed."""

import pathlib
import socket
import struct
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
        time.sleep(0.05)  # What other processes do is looked at again until it holds, up to the deadline.


@pytest.mark.conforms("librdkafka", "a killed member's partitions move")
@pytest.mark.conforms("kafka-python", "a killed member's partitions move")
@pytest.mark.conforms("aiokafka", "a killed member's partitions move")
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


def commits(broker, topic, count):
    """Commits offset 1 to `count` for a group of its own, pipelined, and returns the error codes that came back."""

    def text(value):
        return struct.pack(">h", len(value)) + value

    def request(number):
        body = struct.pack(">hhi", 8, 7, number) + text(b"commits") + text(b"many") + struct.pack(">i", -1) + text(b"")
        body += struct.pack(">hi", -1, 1) + text(topic) + struct.pack(">iiqi", 1, 0, number, -1) + text(b"note")
        return struct.pack(">i", len(body)) + body

    codes = set()
    with socket.create_connection(("127.0.0.1", broker.port)) as connection:
        answers = connection.makefile("rb")
        for start in range(1, count + 1, 500):
            numbers = range(start, min(start + 500, count + 1))
            connection.sendall(b"".join(request(number) for number in numbers))
            for number in numbers:
                (size,) = struct.unpack(">i", answers.read(4))
                answer = answers.read(size)
                assert struct.unpack(">i", answer[:4])[0] == number
                codes.add(struct.unpack(">h", answer[-2:])[0])
    return codes


@pytest.mark.parametrize("kill", [True, False], ids=["kill", "stop"])
def test_a_hundred_thousand_commits_leave_a_short_log(broker, kill):
    assert broker.cli("topic", "create", "committed", "-p", "1").returncode == 0
    count = 100_000
    assert commits(broker, b"committed", count) == {0}
    bound = 8192
    assert broker.metric('goulette_command_log_entries{group="groups"}') <= bound
    # One is due every 4,096 entries; while it is on its way, more are added.
    assert broker.metric('goulette_command_log_compactions_total{group="groups"}') >= count // bound - 1
    if kill:
        broker.kill()
    else:
        assert broker.stop() == 0
    began = time.monotonic()
    broker.start()
    print(f"ready {time.monotonic() - began:.2f} s after the start")
    replayed = broker.metric('goulette_command_log_replayed_entries_total{group="groups"}')
    assert replayed <= bound, "a start reads the log's end, not its life"
    assert broker.metric('goulette_command_log_entries{group="groups"}') <= bound + 2
    described = broker.cli("group", "describe", "many")
    assert str(count) in described.stdout, described.stdout + described.stderr
