# SPDX-License-Identifier: Apache-2.0
"""Reads, transforms and writes in transactions while everything dies: is each input counted once?

    exactly_once.py --minutes 10 --seed 7

Three brokers on loopback. A feeder numbers records into the topic `in`. Workers, each a process with a transactional id of
its own, read them in one group, write one record for each into `out`, and commit both with the transaction. Meanwhile
brokers are killed (one, or all), and workers are killed, or stopped for longer than their session lasts, to come back as
zombies. At the end a fresh reader of committed records must find each input once in `out`, nothing of an aborted
transaction, and no transaction that is still open.
"""

import argparse
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "Integration"), str(HERE.parent / "Integration" / "cluster")]

PARTITIONS = 4
SESSION_MS = 6000
TRANSACTION_MS = 15000
STUCK_S = 45
"""A client that stands still for so long while a fresh one goes on is replaced: librdkafka 2.16 can lock itself up when
brokers die (a broker thread and a partition's lock)."""

CLIENT = {
    "log_level": 0, "retry.backoff.ms": 50, "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 300,
    "socket.connection.setup.timeout.ms": 2000, "topic.metadata.refresh.fast.interval.ms": 50}


# MARK: A worker, in a process of its own

def rewind(consumer):
    """Back to what the group has committed: the transaction that read further is gone."""
    from confluent_kafka import OFFSET_INVALID, OFFSET_BEGINNING

    for position in consumer.committed(consumer.assignment(), 20):
        if position.offset == OFFSET_INVALID:
            position.offset = OFFSET_BEGINNING
        consumer.seek(position)


def work(bootstrap, name, seed, progress):
    """Until it is killed, or its client says that it is of no use any more (the exit code is 3 then)."""
    from confluent_kafka import Consumer, KafkaException, Producer

    chance = random.Random(f"{seed}-{name}-{os.getpid()}")
    producer = Producer({
        **CLIENT, "bootstrap.servers": bootstrap, "transactional.id": name, "transaction.timeout.ms": TRANSACTION_MS})
    consumer = Consumer({
        **CLIENT, "bootstrap.servers": bootstrap, "group.id": "workers", "enable.auto.commit": False,
        "isolation.level": "read_committed", "auto.offset.reset": "earliest", "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": 1000, "max.poll.interval.ms": 30000})
    retry(lambda: producer.init_transactions(30))
    consumer.subscribe(["in"])
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    done = 0
    while not ending.is_set():
        messages = [message for message in consumer.consume(chance.randint(1, 60), 0.3) if message.error() is None]
        progress.touch()
        if not messages:
            continue
        try:
            producer.begin_transaction()
            spoiled = chance.random() < 0.1
            for message in messages:
                source = f"{message.partition()}:{message.offset()}"
                value = f"{'spoiled' if spoiled else 'counted'} {source} {message.value().decode()}"
                producer.produce("out", value.encode(), key=source)
            if spoiled:
                producer.flush(10)
                retry(lambda: producer.abort_transaction(30))
                rewind(consumer)
                continue
            positions = consumer.position(consumer.assignment())
            retry(lambda: producer.send_offsets_to_transaction(
                [p for p in positions if p.offset >= 0], consumer.consumer_group_metadata(), 20))
            retry(lambda: producer.commit_transaction(30))
            done += len(messages)
            progress.write_text(str(done))
        except KafkaException as failure:
            error = failure.args[0]
            if not error.txn_requires_abort():
                print(f"{name}: {error}", flush=True)
                os._exit(3)
            retry(lambda: producer.abort_transaction(30))
            rewind(consumer)
    consumer.close()


def retry(step, timeout=60):
    """A step of the transaction interface, again while the client says that it may be repeated."""
    from confluent_kafka import KafkaException

    deadline = time.monotonic() + timeout
    while True:
        try:
            return step()
        except KafkaException as failure:
            if not failure.args[0].retriable() or time.monotonic() > deadline:
                raise


class Worker:
    """A worker's process, and its successors."""

    def __init__(self, cluster, name, seed, home):
        self.cluster, self.name, self.seed, self.home = cluster, name, seed, home
        self.progress = home / f"{name}.progress"
        self.paused_until = None
        self.deaths = 0
        self.start()

    def start(self):
        self.progress.touch()
        log = open(self.home / f"{self.name}.log", "ab")
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", self.name, "--bootstrap", self.cluster.bootstrap, "--seed",
             str(self.seed), "--progress", str(self.progress)], stdout=log, stderr=log)
        log.close()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.paused_until = None

    def pause(self, seconds):
        os.kill(self.process.pid, signal.SIGSTOP)
        self.paused_until = time.monotonic() + seconds

    def look(self):
        """Wakes, restarts or replaces it; says whether it had locked itself up."""
        now = time.monotonic()
        if self.paused_until is not None:
            if now >= self.paused_until:
                os.kill(self.process.pid, signal.SIGCONT)
                self.paused_until = None
                self.progress.touch()
            return False
        if self.process.poll() is not None:
            self.deaths += 1
            self.start()
        elif time.time() - self.progress.stat().st_mtime > STUCK_S:
            self.kill()
            self.start()
            return True
        return False

    def stop(self):
        if self.paused_until is not None:
            os.kill(self.process.pid, signal.SIGCONT)
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()


# MARK: The run

class Feeder(threading.Thread):
    """Numbers records into `in` until it is told to end."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        from confluent_kafka import Producer

        self.ending = threading.Event()
        self.sent = 0
        self.failures = []
        self.producer = Producer({
            **CLIENT, "bootstrap.servers": cluster.bootstrap, "enable.idempotence": True, "linger.ms": 5,
            "message.timeout.ms": 300000})

    def run(self):
        while not self.ending.is_set():
            self.producer.produce("in", b"%d" % self.sent, partition=self.sent % PARTITIONS, on_delivery=self.delivered)
            self.sent += 1
            # As fast as the workers manage, about: the run is about faults and not about throughput.
            self.producer.poll(0.005)
        self.left = self.producer.flush(120)

    def delivered(self, error, _):
        if error is not None:
            self.failures.append(str(error))


def read_to_end(cluster, topic, isolation):
    """All values with their places; nil when the reader stood still."""
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({
        **CLIENT, "bootstrap.servers": cluster.bootstrap, "group.id": "check", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "enable.partition.eof": True, "isolation.level": isolation})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found, waiting, last = [], set(range(PARTITIONS)), time.monotonic()
    while waiting:
        if time.monotonic() - last > 20:
            return None
        for message in consumer.consume(10000, 0.5):
            last = time.monotonic()
            if message.error() is None:
                found.append((message.partition(), message.offset(), message.value().decode()))
            elif message.error().name() == "_PARTITION_EOF":
                waiting.discard(message.partition())
    consumer.close()
    return found


def ends(cluster, isolation):
    """Where the partitions of both topics end for readers of an isolation level."""
    from confluent_kafka import IsolationLevel, TopicPartition
    from confluent_kafka.admin import AdminClient, OffsetSpec

    level = IsolationLevel.READ_COMMITTED if isolation == "read_committed" else IsolationLevel.READ_UNCOMMITTED
    asked = {
        TopicPartition(topic, partition): OffsetSpec.latest() for topic in ("in", "out") for partition in range(PARTITIONS)}
    # The client must outlive its answers.
    client = AdminClient({"bootstrap.servers": cluster.bootstrap})
    answers = client.list_offsets(asked, isolation_level=level, request_timeout=20)
    return {(p.topic, p.partition): answer.result(30).offset for p, answer in answers.items()}


class Run:
    def __init__(self, seed, minutes, workers, home):
        from brokers import Cluster

        self.chance = random.Random(seed)
        self.minutes = minutes
        self.cluster = Cluster(home, 3, {"topics.default_replication_factor": 3})
        self.counts = dict.fromkeys(["broker", "all brokers", "worker", "zombie", "stuck client", "stuck reader"], 0)
        self.cluster.start()
        for topic in ("in", "out"):
            self.cluster.create_topic(topic, partitions=PARTITIONS)
        self.workers = [Worker(self.cluster, f"worker-{number}", seed, home) for number in range(workers)]
        self.feeder = Feeder(self.cluster)

    def faults(self):
        """Something breaks every few seconds; brokers come back soon, workers at once or as zombies."""
        end = time.monotonic() + self.minutes * 60
        returning = []
        following = time.monotonic() + 5
        while time.monotonic() < end:
            now = time.monotonic()
            for member, at in list(returning):
                if now >= at:
                    member.launch()
                    returning.remove((member, at))
            for worker in self.workers:
                self.counts["stuck client"] += worker.look()
            if now >= following:
                self.strike(returning)
                following = now + self.chance.uniform(3, 12)
            # The loop looks at processes and at the clock: nothing tells it what it waits for.
            time.sleep(0.2)
        for member, _ in returning:
            member.launch()

    def strike(self, returning):
        now = time.monotonic()
        kind = self.chance.choices(["broker", "all brokers", "worker", "zombie"], [5, 1, 3, 3])[0]
        if kind in ("broker", "all brokers"):
            if returning:
                return
            victims = self.cluster.members if kind == "all brokers" else [self.chance.choice(self.cluster.members)]
            for victim in victims:
                victim.kill()
                returning.append((victim, now + self.chance.uniform(0.5, 6)))
        else:
            worker = self.chance.choice([w for w in self.workers if w.paused_until is None] or [None])
            if worker is None:
                return
            if kind == "worker":
                worker.kill()
            elif worker.process.poll() is None:
                worker.pause(SESSION_MS / 1000 + self.chance.uniform(1, 8))
        self.counts[kind] += 1

    def verdict(self):
        """What is wrong, in sentences; and how many inputs there were."""
        for member in self.cluster.members:
            # One that failed often lately is let in again after up to five minutes only (the failure detector's `steadyMax`).
            member.wait_ready(330)
        self.cluster.wait_healthy()
        self.feeder.ending.set()
        self.feeder.join(180)
        wrong = [f"the feeder: {failure}" for failure in self.feeder.failures[:3]]
        inputs = self.read("in", "read_uncommitted")
        wanted = {f"{partition}:{offset}" for partition, offset, _ in inputs}
        deadline = time.monotonic() + 180
        while True:
            for worker in self.workers:
                self.counts["stuck client"] += worker.look()
            outputs = self.read("out", "read_committed")
            missing = wanted - {value.split()[1] for _, _, value in outputs}
            if not missing or time.monotonic() > deadline:
                break
            time.sleep(1)  # Workers catch up; the deadline ends this.
        for worker in self.workers:
            worker.stop()
        seen = {}
        for partition, offset, value in self.read("out", "read_committed"):
            word, source, _ = value.split()
            if word != "counted":
                wrong.append(f"out/{partition} at {offset}: {value}, of an aborted transaction")
            seen.setdefault(source, []).append((partition, offset))
        twice = {source: places for source, places in seen.items() if len(places) > 1}
        if missing:
            wrong.append(f"{len(missing)} of {len(wanted)} inputs are not counted: {sorted(missing)[:5]}")
        if twice:
            wrong.append(f"{len(twice)} inputs are counted twice: {list(twice.items())[:5]}")
        if set(seen) - wanted:
            wrong.append(f"counted, and no input: {sorted(set(seen) - wanted)[:5]}")
        return wrong + self.hanging(), len(wanted)

    def hanging(self):
        """Transactions that hold readers up longer than they may last."""
        deadline = time.monotonic() + TRANSACTION_MS / 1000 + 45
        while True:
            stable, all_ends = ends(self.cluster, "read_committed"), ends(self.cluster, "read_uncommitted")
            behind = {f"{t}/{p}": (stable[t, p], end) for (t, p), end in all_ends.items() if stable[t, p] < end}
            if not behind:
                return []
            if time.monotonic() > deadline:
                return [f"transactions are still open: {behind}"]
            time.sleep(1)  # The coordinator aborts what its client left open; the deadline ends this.

    def read(self, topic, isolation):
        for _ in range(4):
            found = read_to_end(self.cluster, topic, isolation)
            if found is not None:
                return found
            self.counts["stuck reader"] += 1
        raise SystemExit(f"exactly-once: four readers in a row stood still in {topic}")

    def end(self):
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.process.kill()
        for member in self.cluster.running:
            member.kill()


def main():
    parser = argparse.ArgumentParser(description="Counts inputs in transactions under faults.")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--out", type=pathlib.Path)
    for hidden in ("--worker", "--bootstrap", "--progress"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker:
        return work(chosen.bootstrap, chosen.worker, chosen.seed, pathlib.Path(chosen.progress))
    seed = chosen.seed if chosen.seed is not None else int.from_bytes(os.urandom(4), "big")
    home = chosen.out or pathlib.Path(tempfile.mkdtemp(prefix="goulette-exactly-once-"))
    home.mkdir(parents=True, exist_ok=True)
    run = Run(seed, chosen.minutes, chosen.workers, home)
    try:
        run.feeder.start()
        run.faults()
        wrong, inputs = run.verdict()
    finally:
        run.end()
    # A worker that was killed is started again like one whose client gave up.
    deaths = sum(worker.deaths for worker in run.workers) - run.counts["worker"]
    print(json.dumps({
        "seed": seed, "inputs": inputs, "faults": run.counts, "clientsThatGaveUp": deaths, "wrong": wrong,
        "directory": str(home)}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
