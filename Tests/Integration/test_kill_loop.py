# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load, again and again: every acknowledged record is there once, in order, at its offset."""

import os
import random
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

ROUNDS = int(os.environ.get("GOULETTE_KILL_ROUNDS", "5"))
PARTITIONS = 4


class Load:
    """An idempotent producer that numbers its records per partition and remembers what was acknowledged."""

    def __init__(self, broker):
        self.acknowledged = [dict() for _ in range(PARTITIONS)]
        self.next = [0] * PARTITIONS
        self.failures = []
        self.stop = threading.Event()
        self.producer = Producer({
            "bootstrap.servers": broker.bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 1,
            "message.timeout.ms": 120000, "retry.backoff.ms": 20, "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100, "queue.buffering.max.messages": 2000})
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop.is_set():
            for partition in range(PARTITIONS):
                number = self.next[partition]
                try:
                    self.producer.produce(
                        "load", b"%d %s" % (number, bytes(random.randrange(1500))), partition=partition,
                        on_delivery=lambda error, message, p=partition, n=number: self.delivered(error, message, p, n))
                    self.next[partition] += 1
                except BufferError:
                    pass
            self.producer.poll(0.001)
        self.producer.flush(120)

    def wait_for_progress(self):
        """Until a record is acknowledged that was not yet when this began.

        A client that lost its only broker asks for a producer id every 500 ms and for metadata every second
        (librdkafka 2.16), so a broker that lives for less never sees load.
        """
        before = sum(map(len, self.acknowledged))
        deadline = time.monotonic() + 60
        while sum(map(len, self.acknowledged)) == before:
            assert time.monotonic() < deadline, "nothing is acknowledged after a kill"
            time.sleep(0.005)  # The producer's thread is looked at again, up to the deadline.

    def delivered(self, error, message, partition, number):
        if error is not None:
            self.failures.append(str(error))
        else:
            self.acknowledged[partition][number] = message.offset()


def test_nothing_acknowledged_is_lost(new_broker):
    seed = int(os.environ.get("GOULETTE_SEED", time.time()))
    print("seed", seed)
    random.seed(seed)
    broker = new_broker(environment={"GOULETTE_TOPICS__NUM_PARTITIONS": str(PARTITIONS)}).start()
    load = Load(broker)
    for number in range(ROUNDS):
        # Every fifth kill may hit a broker that still starts, or a client that still looks for it.
        if number % 5 != 4:
            load.wait_for_progress()
        time.sleep(random.uniform(0, 0.8))  # The moment of the kill is what is drawn by lot.
        broker.kill()
        broker.verify()
        broker.start(wait=number % 5 != 3)
    load.wait_for_progress()
    load.stop.set()
    load.thread.join(180)
    assert not load.failures, load.failures[:3]

    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "check", "auto.offset.reset": "earliest",
                         "enable.partition.eof": True})
    total = 0
    for partition in range(PARTITIONS):
        consumer.assign([TopicPartition("load", partition, 0)])
        found, done = [], False
        while not done:
            for message in consumer.consume(10000, 1):
                if message.error() is not None:
                    done = True
                else:
                    found.append((int(message.value().split(b" ", 1)[0]), message.offset()))
        numbers = [number for number, _ in found]
        assert numbers == list(range(len(numbers))), "a record is missing, twice or out of order"
        offsets = dict(found)
        for number, offset in load.acknowledged[partition].items():
            assert offsets[number] == offset, "an acknowledged record is not at its offset"
        total += len(found)
    consumer.close()
    print(f"{ROUNDS} kills, {total} records")
    assert total > 100 * ROUNDS
    assert broker.stop() == 0
    broker.verify()
