#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cluster's benchmark: `goulette dev-cluster` on this machine, as it comes, with every topic on three brokers.

All brokers and the client share the machine's cores and its disk, so throughput is a lower bound; processor time per
GB, flushes, and times without writes are what carries over. Writes results/<time>-cluster/report.md and report.json.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from end_to_end import HERE, ROOT, run_json
from ports import free_ports
from tables import tables

PORT_STRIDE = 100


class Member:
    """One broker of the cluster, by its process id and its admin server."""

    def __init__(self, directory, number, port, binary):
        self.home, self.number, self.port, self.binary = directory / f"broker-{number}", number, port, binary
        self.pid, self.process = None, None

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port + 2 * PORT_STRIDE}{path}", timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.get("/metrics").splitlines()
                   if line.startswith(name) and line[len(name)] in " {")

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field="VmRSS"):
        return int(pathlib.Path(f"/proc/{self.pid}/status").read_text().split(field + ":")[1].split()[0]) * 1024

    def signal(self, number):
        """Ends the process and waits until it is gone; it may be somebody else's child."""
        os.kill(self.pid, number)
        deadline = time.monotonic() + 120
        while self.is_running():
            if time.monotonic() > deadline:
                raise RuntimeError(f"broker {self.number} did not end")
            time.sleep(0.005)  # Somebody else's child: only /proc tells when it is gone; the deadline ends it.

    def is_running(self):
        if self.process is not None:
            return self.process.poll() is None
        try:
            return pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except FileNotFoundError:
            return False

    def start(self, **environment):
        """Runs it again, with the command that dev-cluster prints when one of its brokers dies."""
        log = open(self.home / "restarted.log", "ab")
        self.process = subprocess.Popen(
            [self.binary, "start", "--config", self.home / "goulette.yaml"], stdout=log, stderr=log,
            env={**os.environ, **environment})
        self.pid = self.process.pid


class DevCluster:
    def __init__(self, work, brokers=3):
        self.directory = pathlib.Path(work) / "dev"
        shutil.rmtree(self.directory, ignore_errors=True)
        self.binary = ROOT / ".build/release/goulette"
        first = free_ports(brokers, stride=PORT_STRIDE, repeats=3)
        self.members = [Member(self.directory, n + 1, first + n, self.binary) for n in range(brokers)]
        self.bootstrap = ",".join(f"127.0.0.1:{m.port}" for m in self.members)
        self.command = [self.binary, "dev-cluster", "--data", self.directory, "--ports-from", str(first), "--no-color"]
        self.lines = []

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        formed = threading.Event()

        def read():
            for line in self.process.stdout:
                self.lines.append(line)
                for number, pid in re.findall(r"(\d): (\d+)", line) if "processes " in line else []:
                    self.members[int(number) - 1].pid = int(pid)
                if "Control-C stops" in line:
                    formed.set()
            formed.set()

        threading.Thread(target=read, daemon=True).start()
        if not formed.wait(120) or self.process.poll() is not None:
            raise RuntimeError("the cluster did not form:\n" + "".join(self.lines[-20:]))
        self.wait_healthy()
        return self

    def __exit__(self, *_):
        for member in self.members:
            if member.process is not None and member.process.poll() is None:
                member.process.send_signal(signal.SIGTERM)
        self.process.send_signal(signal.SIGINT)
        for process in [self.process, *(m.process for m in self.members if m.process)]:
            process.wait(120)

    def cli(self, *arguments, timeout=900):
        answer = subprocess.run([self.binary, *arguments, "-b", self.bootstrap], capture_output=True, text=True,
                                timeout=timeout)
        if answer.returncode != 0:
            raise RuntimeError(f"{arguments}: {answer.stdout}{answer.stderr}")
        return answer.stdout

    def wait_healthy(self, timeout=600):
        deadline = time.monotonic() + timeout
        while subprocess.run([self.binary, "cluster", "health", "--timeout", "20s", "-b", self.bootstrap],
                             capture_output=True).returncode != 0:
            if time.monotonic() > deadline:
                raise RuntimeError("the cluster did not become healthy")
            time.sleep(0.1)  # Another process: it is asked again until it is well, up to the deadline.

    def create(self, topic, partitions):
        """In portions, as a person with a script would: a request has a deadline."""
        self.cli("topic", "create", topic, "-p", str(min(partitions, 1000)), "-r", "3", "--timeout", "300s")
        for total in range(2000, partitions + 1, 1000):
            self.cli("topic", "alter", topic, "-p", str(total), "--timeout", "300s")
        self.wait_healthy()

    def leaders(self, topic):
        from confluent_kafka.admin import AdminClient
        count = {}
        for partition in AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(topic, 20).topics[topic].partitions.values():
            count[partition.leader] = count.get(partition.leader, 0) + 1
        return count

    def sum(self, measure):
        return sum(measure(member) for member in self.members)


class Suite:
    def __init__(self, options):
        self.options = options
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="goulette-bench-", dir=options.directory))
        self.loadclient = self.work / "loadclient"
        subprocess.run(["gcc", "-O2", "-o", self.loadclient, HERE / "client/loadclient.c", "-lrdkafka"], check=True)
        self.report = {"started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
                       "cores": os.cpu_count(), "kernel": platform.release(), "runs": options.runs, "rows": []}

    def add(self, row):
        self.report["rows"].append(row)
        print(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}), flush=True)

    def produce(self):
        """Large batches in turn and small keyed records, on a few partitions and on many."""
        for partitions in (1, 100, 1000):
            with DevCluster(self.work) as cluster:
                cluster.create("t", partitions)
                for name, keyed, size in [("1 KiB in turn", False, 1024), ("100 B keyed", True, 100)]:
                    count = int(self.options.megabytes * 1e6 / size) // (1 if size == 1024 else 4)
                    rows = [self.produce_once(cluster, 0 if keyed else partitions, size, count)
                            for _ in range(self.options.runs + 1)][1:]
                    self.add({"kind": "produce, acks=all, three replicas", "load": name, "partitions": partitions,
                              **{key: statistics.median(row[key] for row in rows) for key in rows[0]}})
                if partitions == 1:
                    one = run_json(self.loadclient, "latency", cluster.bootstrap, "t", 1024, 5000, -1)
                    self.add({"kind": "one in flight, three replicas, microseconds",
                              **{key: one[key] for key in ("p50", "p99", "p999", "max")}})

    def produce_once(self, cluster, partitions, size, count):
        names = {"flushes": "goulette_store_flushes_total", "peerBytes": "goulette_peer_sent_bytes_total",
                 "peerMessages": "goulette_peer_messages_total"}
        before = {key: cluster.sum(lambda m: m.metric(name)) for key, name in names.items()}
        cpu = cluster.sum(Member.cpu_seconds)
        row = run_json(self.loadclient, "produce", cluster.bootstrap, "t", partitions, size, count, -1, "random")
        cpu = cluster.sum(Member.cpu_seconds) - cpu
        after = {key: cluster.sum(lambda m: m.metric(name)) - before[key] for key, name in names.items()}
        seconds, gigabytes = row["seconds"], row["bytes"] / 1e9
        return {"recordsPerSecond": row["records"] / seconds, "megabytesPerSecond": row["bytes"] / seconds / 1e6,
                "brokersCpuSecondsPerGB": cpu / gigabytes, "clientCpuSecondsPerGB": row["cpuSeconds"] / gigabytes,
                "flushesPerSecond": after["flushes"] / seconds, "peerMessagesPerSecond": after["peerMessages"] / seconds,
                "peerBytesPerPayloadByte": after["peerBytes"] / row["bytes"],
                "peakMemoryMiB": max(m.memory("VmHWM") for m in cluster.members) / 2**20}

    def idle(self):
        """What replicas cost that nobody uses: one broker's share of a core and its memory."""
        for partitions in self.options.idle_partitions:
            with DevCluster(self.work) as cluster:
                began = time.monotonic()
                cluster.create("idle", partitions)
                created = time.monotonic() - began
                # What creation leaves to be done, such as the first checkpoints and retention, has come and gone by then.
                time.sleep(15)
                cpu, began = cluster.sum(Member.cpu_seconds), time.monotonic()
                time.sleep(self.options.idle_seconds)  # This is what is measured: time in which nothing is asked.
                busy = (cluster.sum(Member.cpu_seconds) - cpu) / (time.monotonic() - began) / len(cluster.members)
                self.add({"kind": "idle, three replicas each", "partitions": partitions, "createdInSeconds": created,
                          "coresPerBroker": busy, "residentMiBPerBroker": cluster.sum(Member.memory) / 3 / 2**20})

    def failover(self):
        """The leader of most partitions is killed, or stopped in order, again and again under a checked load."""
        from load import Load, check
        for how, number in (("kill -9", signal.SIGKILL), ("SIGTERM", signal.SIGTERM)):
            with DevCluster(self.work) as cluster:
                cluster.create("load", 12)
                load = Load(cluster, "load", 12)
                load.wait_for(2000)
                gaps = [self.end_one(cluster, load, number) for _ in range(self.options.kills)]
                load.stop()
                total = check(cluster, load)
                gaps.sort()
                self.add({"kind": "longest time without an acknowledgement in one of 12 partitions, ms", "ended by": how,
                          "times": len(gaps), "p50": statistics.median(gaps), "max": gaps[-1], "recordsChecked": total,
                          "lostOrTwice": 0})

    def end_one(self, cluster, load, number):
        leaders = cluster.leaders("load")
        victim = cluster.members[max((n for n in leaders if n > 0), key=lambda n: leaders[n]) - 1]
        before = [len(acknowledged) for acknowledged in load.acknowledged]
        began = time.monotonic()
        victim.signal(number)
        while not all(len(a) > b + 50 for a, b in zip(load.acknowledged, before)) or time.monotonic() < began + 4:
            if time.monotonic() > began + 60:
                raise RuntimeError("a partition takes no writes\n" + "".join(cluster.lines[-30:]))
            time.sleep(0.05)  # The producer's thread counts; the limit above ends it.
        gap = load.longest_gap(began)
        victim.start()
        cluster.wait_healthy()
        print(f"broker {victim.number}: {gap} ms", flush=True)
        return gap

    def recovery(self):
        """A broker loses its disk and gets its replicas back from the others."""
        with DevCluster(self.work) as cluster:
            cluster.create("t", 12)
            count = int(self.options.megabytes * 1e6 / 1024)
            run_json(self.loadclient, "produce", cluster.bootstrap, "t", 12, 1024, count, -1, "random")
            cluster.wait_healthy()
            victim = cluster.members[2]
            victim.signal(signal.SIGTERM)
            shutil.rmtree(victim.home / "data")
            began = time.monotonic()
            victim.start(GOULETTE_CLUSTER__JOIN="true")
            cluster.wait_healthy()
            seconds = time.monotonic() - began
            self.add({"kind": "a wiped broker, 12 partitions", "gigabytes": count * 1024 / 1e9, "seconds": seconds,
                      "secondsPerGB": seconds / (count * 1024 / 1e9)})

    def write(self):
        folder = HERE / "results" / (datetime.datetime.now().strftime("%Y%m%d-%H%M%S") + "-cluster")
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps(self.report, indent=1) + "\n")
        (folder / "report.md").write_text(markdown(self.report))
        print(f"\n{markdown(self.report)}\nwritten to {folder}")


def markdown(report):
    lines = ["# Cluster benchmark", "", f"{report['started']}, {report['cores']} cores, kernel {report['kernel']}, medians of "
             f"{report['runs']} runs; three brokers and the client share the machine.", ""]
    return "\n".join(lines + tables(report["rows"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["produce", "idle", "failover", "recovery"],
                        help="produce, idle, failover, recovery; all of them by default")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=1000, help="payload of one produce run and of the wiped broker")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--idle-seconds", type=int, default=20)
    parser.add_argument("--idle-partitions", type=int, nargs="*", default=[10, 100, 1000, 10000])
    parser.add_argument("--directory", default=str(ROOT), help="where the scratch data goes")
    options = parser.parse_args()
    suite = Suite(options)
    try:
        for part in options.parts:
            getattr(suite, part)()
        suite.write()
    finally:
        shutil.rmtree(suite.work, ignore_errors=True)


if __name__ == "__main__":
    main()
