# SPDX-License-Identifier: Apache-2.0
"""The clients of a run, by librdkafka: `workload.py ROLE PLAN LOG`; SIGTERM ends it in order."""

import faulthandler
import json
import os
import random
import signal
import sys
import threading
import time
import traceback

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import sandbox
from history import Log, identity_of, now, value_of

COMMON = {
    "log_level": 0, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 500, "retry.backoff.ms": 50,
    "retry.backoff.max.ms": 500, "topic.metadata.refresh.fast.interval.ms": 100, "metadata.max.age.ms": 5000,
    "socket.connection.setup.timeout.ms": 3000, "socket.timeout.ms": 10000, "broker.address.family": "v4",
}


class Client:
    """What the clients of all roles have: a plan, a log, their own random choices, and an end."""

    def __init__(self, name, plan, log, stop):
        self.name, self.plan, self.log, self.stop = name, plan, log, stop
        self.random = random.Random(f"{plan['seed']} {name}")
        self.bootstrap = plan["bootstrap"]
        self.partitions = [(topic, index) for topic, count in plan["topics"].items() for index in range(count)]

    def pause(self, seconds):
        """Until then, or the end."""
        return self.stop.wait(seconds)

    def guarded(self):
        while not self.stop.is_set():
            try:
                self.run()
            except KafkaException as error:
                self.log.note(self.name, error)
            except Exception:  # A client that fails by itself is a defect of the harness, and shown as one.
                self.log.note("defect", f"{self.name}: {traceback.format_exc()}")
            self.pause(0.2)


class Producing(Client):
    """Idempotent, acks=all; each life of it is a producer of its own in the history.

    One named "strict" has one request on the way. With several, librdkafka begins a new epoch when a later one is out
    of sequence because an earlier one was refused, and sends everything again that was not answered, in all partitions."""

    lives = 0

    def run(self):
        self.lives += 1
        self.producer_name = f"{self.name}.{self.lives}"
        self.producer = Producer({
            **COMMON, "bootstrap.servers": self.bootstrap, "enable.idempotence": True, "acks": "all",
            "max.in.flight.requests.per.connection": 1 if self.name.startswith("strict") else 5,
            "linger.ms": self.random.choice((0, 2, 20)), "message.timeout.ms": self.plan["message_timeout_ms"],
            "request.timeout.ms": 8000, "queue.buffering.max.messages": 2000, "error_cb": self.failed,
            "compression.type": self.random.choice(("none", "lz4", "zstd", "snappy", "gzip"))})
        self.waiting, self.next, self.fatal = {}, {}, None
        life = now() + self.random.uniform(20, 90)
        while not self.stop.is_set() and now() < life and not self.fatal:
            self.send(*self.random.choice(self.partitions))
            self.producer.poll(0)
            self.pause(self.random.expovariate(self.plan["rate"] / self.burst))
        # Those that are on the way get their time; what is then not answered stays unknown.
        self.producer.flush(self.plan["message_timeout_ms"] / 1000 + 20 if not self.fatal else 5)
        for (topic, partition, number), began in self.waiting.items():
            self.log.write("produce", began, None, "info", topic, partition, self.producer_name, number, None, "no end")

    burst = 8

    def send(self, topic, partition):
        for _ in range(self.random.randrange(1, 2 * self.burst)):
            number = self.next.get((topic, partition), 0)
            key = topic, partition, number
            size = self.random.choice((30, 100, 300, 1000, 4000))
            self.waiting[key] = now()
            try:
                self.producer.produce(
                    topic, value_of(self.producer_name, number, size), partition=partition,
                    on_delivery=lambda error, message, key=key: self.delivered(key, error, message))
                self.next[topic, partition] = number + 1
            except BufferError:
                del self.waiting[key]
                self.producer.poll(0.05)
                return

    def delivered(self, key, error, message):
        began = self.waiting.pop(key)
        if error is None:
            self.log.write("produce", began, now(), "ok", *key[:2], self.producer_name, key[2], message.offset(), None)
            return
        # A client with retries never knows that a record is in no log.
        self.log.write("produce", began, now(), "info", *key[:2], self.producer_name, key[2], None, error.name())
        if error.fatal():
            self.fatal = error

    def failed(self, error):
        if error.fatal():
            self.fatal = error
            self.log.note("fatal", f"{self.producer_name}: {error}")


class Reading(Client):
    """Reads all partitions from the start while faults run, and now and then some of it again."""

    session = 0

    def run(self):
        consumer = Consumer({
            **COMMON, "bootstrap.servers": self.bootstrap, "group.id": f"reader-{self.name}",
            "enable.auto.commit": False, "auto.offset.reset": "error", "fetch.wait.max.ms": 100, "check.crcs": True,
            "queued.max.messages.kbytes": 8192, "isolation.level": self.random.choice(
                ("read_uncommitted", "read_committed"))})
        try:
            self.session += 1
            consumer.assign([TopicPartition(topic, index, 0) for topic, index in self.partitions])
            life = now() + self.random.uniform(15, 60)
            while not self.stop.is_set() and now() < life:
                self.poll(consumer)
        finally:
            consumer.close()

    def poll(self, consumer):
        began = now()
        found = {}
        for message in consumer.consume(500, 0.2):
            if message.error() is not None:
                self.log.note(self.name, f"{message.topic()}/{message.partition()}: {message.error()}")
                if message.error().code() == KafkaError._AUTO_OFFSET_RESET:
                    # An offset that was there is out of range: the checker looks at what it was.
                    self.log.write("damaged", now(), self.name, message.topic(), message.partition(), message.offset(),
                                   "out of range")
                continue
            try:
                found.setdefault((message.topic(), message.partition()), []).append(
                    (message.offset(), *identity_of(message.value())))
            except ValueError as error:
                self.log.write("damaged", now(), self.name, message.topic(), message.partition(), message.offset(),
                               str(error))
        ended = now()
        for (topic, partition), records in found.items():
            _, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            self.log.write("poll", began, ended, self.name, self.session, topic, partition, high, records)


class Asking(Client):
    """Asks where logs end, of whom it takes for the leader: it learns of new ones only when the old one says so."""

    def run(self):
        consumer = Consumer({
            **COMMON, "bootstrap.servers": self.bootstrap, "group.id": self.name, "enable.auto.commit": False,
            "metadata.max.age.ms": 600000, "topic.metadata.refresh.interval.ms": -1})
        try:
            life = now() + self.random.uniform(20, 80)
            while not self.pause(self.random.uniform(0.02, 0.2)) and now() < life:
                topic, partition = self.random.choice(self.partitions)
                began = now()
                try:
                    low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=3)
                    # librdkafka 2.16 asks twice, and when the question for the end failed it may call the beginning the
                    # end (rd_kafka_query_watermark_offsets: the second answer clears the error of the first).
                    if low < high:
                        self.log.write("end", began, now(), topic, partition, high)
                except KafkaException:
                    pass  # A question without an answer says nothing.
        finally:
            consumer.close()


class Grouped(Client):
    """A member of a group that commits what it has handed on."""

    session = 0

    def run(self):
        consumer = Consumer({
            **COMMON, "bootstrap.servers": self.bootstrap, "group.id": "workers", "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "session.timeout.ms": 8000, "heartbeat.interval.ms": 1000,
            "partition.assignment.strategy": self.plan["assignor"], "fetch.wait.max.ms": 100})
        try:
            self.session += 1
            consumer.subscribe(list(self.plan["topics"]))
            life = now() + self.random.uniform(20, 80)
            while not self.stop.is_set() and now() < life:
                self.work(consumer)
        finally:
            consumer.close()

    def work(self, consumer):
        began, found, done = now(), {}, {}
        for message in consumer.consume(200, 0.5):
            if message.error() is None:
                place = message.topic(), message.partition()
                found.setdefault(place, []).append((message.offset(), *identity_of(message.value())))
                done[place] = message.offset() + 1
        for place, records in found.items():
            self.log.write("poll", began, now(), f"group {self.name}", self.session, *place, None, records)
        if not done:
            return
        offsets = [TopicPartition(*place, offset) for place, offset in done.items()]
        said = [[*place, offset] for place, offset in done.items()]
        began = now()
        try:
            results = consumer.commit(offsets=offsets, asynchronous=False)
            for result, one in zip(results, said):
                outcome = "ok" if result.error is None else "info"
                self.log.write("commit", began, now(), outcome, "workers", self.name, [one], str(result.error or ""))
        except KafkaException as error:
            self.log.write("commit", began, now(), "info", "workers", self.name, said, error.args[0].name())


class Auditing(Client):
    """Asks for the group's committed offsets, without being a member."""

    def run(self):
        consumer = Consumer({**COMMON, "bootstrap.servers": self.bootstrap, "group.id": "workers",
                             "enable.auto.commit": False})
        try:
            while not self.pause(self.random.uniform(0.3, 1.5)):
                began = now()
                try:
                    found = consumer.committed([TopicPartition(*place) for place in self.partitions], timeout=8)
                except KafkaException:
                    continue
                known = [[one.topic, one.partition, max(one.offset, 0)] for one in found if one.error is None]
                self.log.write("committed", began, now(), "workers", known)
        finally:
            consumer.close()


class Administering(Client):
    """Creates and deletes topics of few names: a set whose history must be linearizable."""

    def run(self):
        self.admin = AdminClient({**COMMON, "bootstrap.servers": self.bootstrap})
        while not self.pause(self.random.expovariate(1.5)):
            name = f"register-{self.random.randrange(self.plan['registers'])}"
            if self.random.random() < 0.55:
                count = self.random.randrange(1, 5)
                self.attempt("create", name, count, lambda: self.admin.create_topics(
                    [NewTopic(name, count, 3)], operation_timeout=5, request_timeout=8)[name])
            else:
                self.attempt("delete", name, None, lambda: self.admin.delete_topics(
                    [name], operation_timeout=5, request_timeout=8)[name])

    KNOWN = {KafkaError.TOPIC_ALREADY_EXISTS: "exists", KafkaError.UNKNOWN_TOPIC_OR_PART: "absent"}

    def attempt(self, action, name, argument, ask):
        began = now()
        try:
            ask().result(15)
            outcome, answer = "ok", "done"
        except KafkaException as error:
            code = error.args[0].code()
            outcome, answer = ("ok", self.KNOWN[code]) if code in self.KNOWN else ("info", error.args[0].name())
        except TimeoutError:
            outcome, answer = "info", "no answer"
        self.log.write("topic", began, now(), outcome, self.name, action, name, argument, answer)


ROLES = {
    "producers": [Producing] * 3, "readers": [Reading, Reading, Asking], "group": [Grouped, Grouped, Grouped, Auditing],
    "admins": [Administering] * 2,
}


def main():
    sandbox.dies_with_parent()
    faulthandler.register(signal.SIGUSR1)
    role, plan_path, log_path = sys.argv[1:]
    with open(plan_path) as file:
        plan = json.load(file)
    log, stop = Log(log_path), threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # The first producer of several is the strict one.
    names = ["strict" if made is Producing and not index else f"{role}{index}"
             for index, made in enumerate(ROLES[role])]
    clients = [made(name, plan, log, stop) for name, made in zip(names, ROLES[role])]
    threads = [threading.Thread(target=client.guarded, name=client.name) for client in clients]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.2)  # Signals are heard here; the threads end by their event.
    log.close()
    os._exit(0)  # librdkafka's own threads have nothing left to say.


if __name__ == "__main__":
    main()
