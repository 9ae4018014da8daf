# SPDX-License-Identifier: Apache-2.0
"""A producer that numbers its records, and a reader that finds what is missing, twice or out of order."""

import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition


class Load:
    """Idempotent, acks=all; remembers each acknowledged record's offset and when acknowledgements came."""

    def __init__(self, cluster, topic, partitions, body=lambda: b"x" * 200):
        """`body` makes what follows a record's number."""
        self.topic, self.partitions, self.body = topic, partitions, body
        self.acknowledged = [dict() for _ in range(partitions)]
        self.next = [0] * partitions
        self.times = [[] for _ in range(partitions)]
        self.failures = []
        self.stop_event = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": cluster.bootstrap, "log_level": 0, "enable.idempotence": True, "acks": "all", "linger.ms": 2,
            "message.timeout.ms": 120000, "retry.backoff.ms": 50, "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200, "topic.metadata.refresh.fast.interval.ms": 50,
            "socket.connection.setup.timeout.ms": 2000, "queue.buffering.max.messages": 5000})
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stop_event.is_set():
            for partition in range(self.partitions):
                number = self.next[partition]
                try:
                    self.producer.produce(
                        self.topic, b"%d %s" % (number, self.body()), partition=partition,
                        on_delivery=lambda error, message, p=partition, n=number: self.delivered(error, message, p, n))
                    self.next[partition] += 1
                except BufferError:
                    self.producer.poll(0.01)
            self.producer.poll(0.002)
        self.left = self.producer.flush(120)

    def delivered(self, error, message, partition, number):
        if error is not None:
            self.failures.append(str(error))
        else:
            self.acknowledged[partition][number] = message.offset()
            self.times[partition].append(time.monotonic())

    def count(self):
        return sum(map(len, self.acknowledged))

    def wait_for(self, more, timeout=60):
        """Until so many more records are acknowledged."""
        wanted = self.count() + more
        deadline = time.monotonic() + timeout
        while self.count() < wanted:
            if time.monotonic() > deadline:
                raise AssertionError(f"only {self.count()} of {wanted} records acknowledged after {timeout} s")
            # The client's own thread counts; the deadline fails the test, never this pause.
            time.sleep(0.02)

    def longest_gap(self, since):
        """The longest time between two acknowledgements of one partition, in milliseconds: of the worst partition."""
        def gap(times):
            times = [since, *(t for t in times if t >= since)]
            return max((b - a for a, b in zip(times, times[1:])), default=0)

        return round(1000 * max(gap(list(times)) for times in self.times))

    def stop(self):
        self.stop_event.set()
        self.thread.join(180)
        assert not self.thread.is_alive(), "the producer did not end"
        assert self.left == 0, f"{self.left} records were never answered"
        assert not self.failures, self.failures[:3]


def read_all(cluster, topic, partition, timeout=60):
    """The records of a partition with their offsets, up to its end."""
    consumer = Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": "check", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "enable.partition.eof": True})
    consumer.assign([TopicPartition(topic, partition, 0)])
    found, deadline = [], time.monotonic() + timeout
    try:
        while True:
            assert time.monotonic() < deadline, f"{topic}/{partition} was not read in {timeout} s"
            for message in consumer.consume(10000, 0.5):
                if message.error() is None:
                    found.append((message.offset(), message.value()))
                elif message.error().name() == "_PARTITION_EOF":
                    return found
    finally:
        consumer.close()


def check(cluster, load):
    """Every record is there once and in order, and acknowledged ones at their offsets; returns how many there are."""
    total = 0
    for partition in range(load.partitions):
        found = read_all(cluster, load.topic, partition)
        numbers = [int(value.split(b" ", 1)[0]) for _, value in found]
        assert numbers == list(range(len(numbers))), (
            f"{load.topic}/{partition}: a record is missing, twice or out of order")
        at = {number: offset for number, (offset, _) in zip(numbers, found)}
        for number, offset in load.acknowledged[partition].items():
            assert at.get(number) == offset, (
                f"{load.topic}/{partition}: acknowledged record {number} is not at {offset}")
        total += len(found)
    return total
