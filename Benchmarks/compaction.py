#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compaction's benchmark: what a pass costs, what it takes from producers, and what is there after kill -9 under load.

Brokers and clients share the machine. Throughput is compared within a run, in turns; processor time is that of the
thread that compacts, or of the whole broker where nothing else happens. In the last part every record is checked: a
wrong one ends the program. Writes results/<time>-compaction/report.md and report.json.
"""

import argparse
import array
import datetime
import json
import os
import pathlib
import platform
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from end_to_end import HERE, ROOT, run_json
from tables import tables

from brokers import GOULETTE, Cluster  # noqa: E402 (the path to it comes with end_to_end)

PARTITIONS = 3
SETTINGS = {"storage.retention_check_interval": "500ms", "log.level": "warning"}
METRICS = {"passes": "compactions_total", "moved": "compaction_bytes_total", "written": "compaction_written_bytes_total",
           "removed": "compacted_records_total"}


def process_cpu(member):
    fields = pathlib.Path(f"/proc/{member.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def thread_cpu(member, name="store-compact"):
    """Seconds of the thread that compacts."""
    for task in pathlib.Path(f"/proc/{member.process.pid}/task").iterdir():
        if (task / "comm").read_text().strip() == name:
            return int((task / "schedstat").read_text().split()[0]) / 1e9
    raise RuntimeError(f"no thread {name}")


def stored(member):
    """Bytes on disk of all logs, with what a pass is writing."""
    total = 0
    for pattern in ("groups/*/*.seg", "compacting/*"):
        for path in member.data.glob(pattern):
            try:
                total += path.stat().st_blocks * 512
            except FileNotFoundError:
                pass
    return total


def counters(member):
    text = member.get("/metrics")[1].splitlines()
    return {key: sum(float(line.rsplit(" ", 1)[1]) for line in text if line.startswith(f"goulette_store_{name} "))
            for key, name in METRICS.items()}


def wait_rest(cluster, still_for=3.0, timeout=300):
    """Until no pass has moved a byte for so long; returns when the last one did."""
    deadline, last, since = time.monotonic() + timeout, None, time.monotonic()
    while time.monotonic() < since + still_for:
        if time.monotonic() > deadline:
            raise RuntimeError("compaction does not come to rest")
        now = [counters(member)["moved"] for member in cluster.members]
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.02)  # Another process: it is asked again, up to the deadline.
    return since


class Meter:
    """Looks at the brokers again and again: counters and processor time over all their lives, the most bytes on disk."""

    def __init__(self, cluster):
        self.cluster, self.ended = cluster, threading.Event()
        self.past, self.now = {}, {}
        self.disk_max, self.samples, self.watches_disk = {m.number: 0 for m in cluster.members}, [], False
        self.lock = threading.Lock()
        self.began = time.monotonic()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.ended.wait(0.1):
            for member in self.cluster.members:
                if self.watches_disk:
                    size = stored(member)
                    self.disk_max[member.number] = max(self.disk_max[member.number], size)
                    self.samples.append((round(time.monotonic() - self.began, 1), member.number, size))
                try:
                    with self.lock:
                        self.now[member.number] = {**counters(member), "cpu": thread_cpu(member)}
                except (OSError, RuntimeError):
                    pass  # It is dead at the moment.

    def killed(self, member):
        """Keeps what the life that ended had done, as far as it was seen."""
        with self.lock:
            for key, value in self.now.pop(member.number, {}).items():
                self.past[key] = self.past.get(key, 0) + value

    def total(self):
        with self.lock:
            rows = [self.past, *self.now.values()]
            return {key: sum(row.get(key, 0) for row in rows) for key in [*METRICS, "cpu"]}

    def stop(self):
        self.ended.set()
        self.thread.join(30)


class KeyedLoad:
    """Writes keyed records at a steady rate, idempotent, acks=all; knows key, value and offset of each by its number."""

    TOMBSTONES = 0.02

    def __init__(self, cluster, topic, keys, size, rate, seed):
        from confluent_kafka import Producer
        self.topic, self.keys, self.size, self.rate = topic, keys, size, rate
        self.random = random.Random(seed)
        self.pool = random.Random(seed + 1).randbytes(64 << 20)
        self.key_of, self.offset_of, self.deletes = array.array("i"), array.array("q"), set()
        self.acknowledged, self.failures, self.ended = 0, [], threading.Event()
        self.producer = Producer({
            "bootstrap.servers": cluster.bootstrap, "log_level": 0, "enable.idempotence": True, "acks": "all", "linger.ms": 5,
            "message.timeout.ms": 300000, "retry.backoff.ms": 50, "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200, "topic.metadata.refresh.fast.interval.ms": 50,
            "queue.buffering.max.messages": 100000})
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def key(self, number):
        return b"key %d" % self.key_of[number]

    def value(self, number):
        if number in self.deletes:
            return None
        at = number * self.size % (len(self.pool) - self.size)
        return number.to_bytes(8, "big") + self.pool[at:at + self.size - 8]

    def partition(self, number):
        return self.key_of[number] % PARTITIONS

    def run(self):
        began = time.monotonic()
        while not self.ended.is_set():
            ahead = len(self.key_of) / self.rate - (time.monotonic() - began)
            if ahead > 0.01:
                self.producer.poll(ahead)
                continue
            number = len(self.key_of)
            # Each key once, then any of them.
            self.key_of.append(number if number < self.keys else self.random.randrange(self.keys))
            self.offset_of.append(-1)
            if number >= self.keys and self.random.random() < self.TOMBSTONES:
                self.deletes.add(number)
            while True:
                try:
                    self.producer.produce(
                        self.topic, key=self.key(number), value=self.value(number), partition=self.partition(number),
                        on_delivery=lambda error, message, n=number: self.delivered(error, message, n))
                    break
                except BufferError:
                    # The brokers are down: the rate counts again from here.
                    self.producer.poll(0.01)
                    began = time.monotonic() - number / self.rate
            self.producer.poll(0)
        self.left = self.producer.flush(300)

    def delivered(self, error, message, number):
        if error is not None:
            self.failures.append(str(error))
        else:
            self.offset_of[number] = message.offset()
            self.acknowledged += 1

    def stop(self):
        self.ended.set()
        self.thread.join(360)
        assert not self.thread.is_alive() and self.left == 0, "records were never answered"
        assert not self.failures, self.failures[:3]
        assert self.acknowledged == len(self.key_of)

    def live(self):
        """The newest number of each key, and the bytes of those that have a value."""
        newest = {key: number for number, key in enumerate(self.key_of)}
        there = [number for number in newest.values() if number not in self.deletes]
        return newest, sum(len(self.key(number)) + self.size for number in there)


def read_through(cluster, topic, timeout=120):
    """(partition, offset, key, value) of everything there is, each partition up to its end, and those ends."""
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": "check", "enable.auto.commit": False, "log_level": 0,
        "auto.offset.reset": "error", "enable.partition.eof": True, "reconnect.backoff.max.ms": 200,
        "fetch.error.backoff.ms": 50})
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    found, ends, deadline = [], {}, time.monotonic() + timeout
    try:
        while len(ends) < PARTITIONS:
            assert time.monotonic() < deadline, f"{topic} was not read in {timeout} s"
            for message in consumer.consume(10000, 0.2):
                if message.error() is None:
                    found.append((message.partition(), message.offset(), message.key(), message.value()))
                elif message.error().name() == "_PARTITION_EOF":
                    ends[message.partition()] = message.offset()
                else:
                    assert message.error().retriable() or message.error().code() < 0, message.error()
    finally:
        consumer.close()
    return found, ends


class Reader:
    """Reads the topic from the beginning again and again while segments are replaced under it."""

    def __init__(self, cluster, load):
        self.cluster, self.load, self.ended = cluster, load, threading.Event()
        self.passes, self.records, self.seen, self.wrong = 0, 0, {}, []
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            while not self.ended.wait(1):
                found, _ = read_through(self.cluster, self.load.topic)
                before = {}
                for partition, offset, key, value in found:
                    assert offset > before.get(partition, -1), f"{offset} is read behind {before[partition]}"
                    before[partition] = offset
                    if value is not None:
                        number = int.from_bytes(value[:8], "big")
                        assert self.load.key(number) == key and self.load.value(number) == value, f"{offset} is damaged"
                        assert self.seen.setdefault((partition, offset), number) == number, f"{offset} has changed"
                self.passes, self.records = self.passes + 1, self.records + len(found)
        except Exception as error:  # Told by the thread that waits for this one.
            self.wrong.append(error)

    def stop(self):
        self.ended.set()
        self.thread.join(180)
        assert not self.wrong, self.wrong
        for (partition, offset), number in self.seen.items():
            assert (self.load.partition(number), self.load.offset_of[number]) == (partition, offset), (
                f"record {number} was read at {offset} and acknowledged at {self.load.offset_of[number]}")


def check(cluster, load):
    """The newest of each key, each record where it was acknowledged, no offset lost; returns how many records there are."""
    found, ends = read_through(cluster, load.topic)
    number_at = {(load.partition(n), offset): n for n, offset in enumerate(load.offset_of)}
    assert len(number_at) == len(load.key_of), "two records have one offset"
    written = [0] * PARTITIONS
    for number in range(len(load.key_of)):
        written[load.partition(number)] += 1
    assert ends == dict(enumerate(written)), f"the logs end at {ends}, {written} records were written"
    table, before = {}, {}
    for partition, offset, key, value in found:
        assert offset > before.get(partition, -1)
        before[partition] = offset
        number = number_at[partition, offset]
        assert (key, value) == (load.key(number), load.value(number)), f"{partition}/{offset} holds another record"
        table[key] = number
    for number in load.live()[0].values():
        there = table.pop(load.key(number), None)
        assert there == number or there is None and number in load.deletes, (
            f"{load.key(number)} is {there}, acknowledged was {number}")
    assert not table
    return len(found)


class Suite:
    def __init__(self, options):
        self.options = options
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="goulette-bench-", dir=options.directory))
        self.loadclient = self.work / "loadclient"
        subprocess.run(["gcc", "-O2", "-o", self.loadclient, HERE / "client/loadclient.c", "-lrdkafka"], check=True)
        self.report = {"started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"), "runs": options.runs,
                       "cores": os.cpu_count(), "kernel": platform.release(), "rows": [], "disk": {}}

    def add(self, row):
        self.report["rows"].append(row)
        print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}), flush=True)

    def cluster(self, brokers, **settings):
        home = self.work / "cluster"
        shutil.rmtree(home, ignore_errors=True)
        return Cluster(home, brokers, {**SETTINGS, **{k.replace("__", "."): v for k, v in settings.items()}}).start()

    def create(self, cluster, topic, policy, segment):
        cluster.create_topic(topic, PARTITIONS, len(cluster.members), cleanup_policy=policy, segment_bytes=segment << 20,
                             delete_retention_ms=5000)

    def load(self, cluster, topic, payload):
        return run_json(self.loadclient, "produce", cluster.bootstrap, topic, 0, 1024, self.options.megabytes * 1000, -1,
                        payload)

    # What a pass costs.

    def passes(self):
        """A topic with everything in it becomes a compacted one, and nothing else happens."""
        for payload, rate in (("random", "128 MiB"), ("random", "0 B"), ("json", "0 B")):
            rows = [self.pass_once(payload, rate) for _ in range(self.options.runs)]
            self.add({"kind": "passes alone", "payload": payload, "limit a second": rate if rate != "0 B" else "none",
                      **{key: statistics.median(row[key] for row in rows) for key in rows[0]}})

    def pass_once(self, payload, rate):
        cluster = self.cluster(1, storage__compaction_rate_bytes=rate)
        member = cluster.members[0]
        try:
            self.create(cluster, "t", "delete", 4)
            self.load(cluster, "t", payload)
            wait_rest(cluster)
            before, cpu, own = stored(member), process_cpu(member), thread_cpu(member)
            answer = cluster.cli("topic", "alter", "t", "-c", "cleanup.policy=compact")
            assert answer.returncode == 0, answer.stderr
            deadline = time.monotonic() + 60
            while not counters(member)["moved"]:
                assert time.monotonic() < deadline, "nothing is compacted"
                time.sleep(0.005)  # Another process: it looks for work every half second.
            began = time.monotonic()
            seconds = wait_rest(cluster) - began
            done = counters(member)
            return {"gigabytes": before / 1e9, "seconds": seconds, "MBpsOfLog": before / 1e6 / seconds,
                    "MBpsReadAndWritten": done["moved"] / 1e6 / seconds,
                    "cpuSecondsPerGBOfLog": (thread_cpu(member) - own) / (before / 1e9),
                    "brokerCpuSecondsPerGBOfLog": (process_cpu(member) - cpu) / (before / 1e9),
                    "storedAfter": stored(member) / before}
        finally:
            cluster.stop()

    # What it takes from producers.

    def throughput(self):
        """Full speed into a plain topic and a compacted one, in turns."""
        for brokers in (1, 3):
            cluster = self.cluster(brokers)
            speeds = {"delete": [], "compact": []}
            work = []
            try:
                for run in range(self.options.runs + 1):
                    for policy in ("delete", "compact") if run % 2 else ("compact", "delete"):
                        self.create(cluster, f"{policy}-{run}", policy, 8)
                        before = sum(counters(member)["moved"] for member in cluster.members)
                        row = self.load(cluster, f"{policy}-{run}", "random")
                        moved = sum(counters(member)["moved"] for member in cluster.members) - before
                        if run:  # The first round warms everything up.
                            speeds[policy].append(row["bytes"] / row["seconds"] / 1e6)
                        if run and policy == "compact":
                            work.append(moved / brokers / row["bytes"])
                        wait_rest(cluster)
            finally:
                cluster.stop()
            self.add({"kind": "produce at full speed, acks=all", "brokers and replicas": brokers,
                      "MBps": statistics.median(speeds["delete"]), "MBpsCompacted": statistics.median(speeds["compact"]),
                      "ratio": statistics.median(c / d for c, d in zip(speeds["compact"], speeds["delete"])),
                      "bytesCompactedMeanwhilePerByte": statistics.median(work)})

    # What is there after kills.

    def kills(self):
        for brokers in (1, 3):
            cluster = self.cluster(brokers)
            try:
                self.kills_of(cluster)
            finally:
                cluster.stop()

    def kills_of(self, cluster):
        options, brokers = self.options, len(cluster.members)
        self.create(cluster, "load", "compact", 2)
        meter = Meter(cluster)
        load = KeyedLoad(cluster, "load", options.keys, options.size, options.rate, options.seed)
        reader = Reader(cluster, load)
        chosen = random.Random(options.seed)
        began, kills, inside = time.monotonic(), 0, 0
        while time.monotonic() < began + options.seconds:
            meter.watches_disk = meter.watches_disk or load.acknowledged > options.keys
            inside += self.kill_one(cluster, chosen.choice(cluster.members), meter, chosen)
            kills += 1
        seconds = time.monotonic() - began
        load.stop()
        reader.stop()
        wait_rest(cluster)
        newest, live = load.live()
        left = check(cluster, load)
        if brokers > 1:
            # Each replica compacts for itself: every partition is read from another leader too.
            for member in cluster.members:
                member.stop(60)
                assert check(cluster, load) > 0
                member.launch().wait_ready()
                cluster.wait_healthy()
        meter.stop()
        total, rest = meter.total(), max(map(stored, cluster.members))
        self.report["disk"][f"{brokers}"] = meter.samples
        assert cluster.stop() == [0] * brokers
        cluster.verify()
        moved = total["moved"] / 1e9
        self.add({
            "kind": "load and kill -9", "brokers and replicas": brokers, "keys": options.keys, "seconds": seconds,
            "recordsAcknowledged": len(load.key_of), "MBpsAcknowledged": len(load.key_of) * options.size / seconds / 1e6,
            "kills": kills, "killsWhileSegmentsWereWritten": inside, "passes": int(total["passes"]),
            "recordsRemovedByAll": int(total["removed"]), "recordsLeft": left,
            "readThroughsMeanwhile": reader.passes, "recordsReadMeanwhile": reader.records})
        self.add({
            "kind": "the same: cost and disk of one replica", "brokers and replicas": brokers, "liveMB": live / 1e6,
            "everWritten": len(load.key_of) * options.size / live, "diskMax": max(meter.disk_max.values()) / live,
            "diskAtRest": rest / live, "GBReadAndWritten": moved / brokers, "cpuSecondsPerGBReadAndWritten": total["cpu"] / moved,
            "newestLost": 0, "offsetsChanged": 0, "verified": "clean"})

    def kill_one(self, cluster, victim, meter, chosen):
        """Lets it run a while, then kills it, if possible in the middle of a segment; returns whether that was so."""
        time.sleep(chosen.uniform(0.3, 0.7) * self.options.interval)  # The life that is ended.
        deadline, is_inside = time.monotonic() + 0.5 * self.options.interval, False
        while not is_inside and time.monotonic() < deadline:
            is_inside = any((victim.data / "compacting").glob("*"))
            time.sleep(0.001)  # A file appears, and nobody says so.
        victim.kill()
        meter.killed(victim)
        time.sleep(chosen.uniform(0, 0.5))  # The others go on without it.
        victim.launch().wait_ready()
        if len(cluster.members) > 1:
            cluster.wait_healthy()
        return is_inside

    def write(self):
        folder = HERE / "results" / (datetime.datetime.now().strftime("%Y%m%d-%H%M%S") + "-compaction")
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps(self.report, indent=1) + "\n")
        (folder / "report.md").write_text(markdown(self.report))
        print(f"\n{markdown(self.report)}\nwritten to {folder}")


def markdown(report):
    lines = ["# Compaction benchmark", "", f"{report['started']}, {report['cores']} cores, kernel {report['kernel']}, medians "
             f"of {report['runs']} runs; brokers and clients share the machine. Disk is told in bytes of live data.", ""]
    return "\n".join(lines + tables(report["rows"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["passes", "throughput", "kills"],
                        help="passes, throughput, kills; all of them by default")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=500, help="payload of one run of the first two parts")
    parser.add_argument("--seconds", type=int, default=90, help="how long brokers are killed")
    parser.add_argument("--interval", type=float, default=4, help="seconds from kill to kill, about")
    parser.add_argument("--keys", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--rate", type=int, default=5000, help="records a second while brokers are killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--directory", default=str(ROOT), help="where the scratch data goes")
    options = parser.parse_args()
    print(f"the broker is {GOULETTE}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # What was started ends with this, too.
    suite = Suite(options)
    try:
        for part in options.parts:
            getattr(suite, part)()
        suite.write()
    finally:
        shutil.rmtree(suite.work, ignore_errors=True)


if __name__ == "__main__":
    main()
