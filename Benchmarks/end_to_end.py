#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The end-to-end benchmark: librdkafka against its own mock cluster and against the broker, in one run.

Every figure is a median of several runs made close together, and the goals are ratios within the run, because the
machine's own speed changes from hour to hour. Writes results/<time>/report.md and report.json.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from tables import cell, table, tables

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path += [str(ROOT / "Tests/Integration"), str(ROOT / "Tests/Integration/cluster")]

from ports import free_port  # noqa: E402


def run_json(*command, timeout=600):
    answer = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=timeout)
    if answer.returncode != 0:
        raise RuntimeError(f"{command} exited with {answer.returncode}: {answer.stdout} {answer.stderr}")
    return json.loads(answer.stdout.strip().splitlines()[-1])


def device_bytes_written(path):
    """Bytes the disk under `path` was told to write, from its sector counter."""
    device = os.stat(path).st_dev
    stat = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat")
    return int(stat.read_text().split()[6]) * 512 if stat.exists() else 0


class Broker:
    def __init__(self, work, binary, environment=None):
        self.data = pathlib.Path(work) / "data"
        shutil.rmtree(self.data, ignore_errors=True)
        self.port, self.admin_port = free_port(), free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.command = [str(binary), "start", "--data", str(self.data), "--listen", self.address,
                        "--admin", f"127.0.0.1:{self.admin_port}"]
        self.log = open(pathlib.Path(work) / "broker.log", "ab")
        self.environment = {**os.environ, "GOULETTE_LOG__LEVEL": "warning", **(environment or {})}

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, env=self.environment)
        deadline = time.monotonic() + 60
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the broker did not start; see {self.log.name}")
            time.sleep(0.005)  # Another process: it is asked again until it answers, up to the deadline.
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/health/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith(name) and line[len(name)] in " {")

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field="VmHWM"):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split(field + ":")[1].split()[0]) * 1024

    def wait_still(self, still_for=1.0, timeout=60):
        """Until the broker has written nothing for so long: what it does behind its answers is done."""
        deadline, since, before = time.monotonic() + timeout, time.monotonic(), None
        while time.monotonic() < since + still_for:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the broker still writes after {timeout} s")
            time.sleep(0.05)  # The kernel counts what a process writes, and tells nobody: it is asked again.
            written = pathlib.Path(f"/proc/{self.process.pid}/io").read_text().split("\nwrite_bytes: ")[1].split()[0]
            if written != before:
                since, before = time.monotonic(), written

    def create(self, topic, partitions):
        subprocess.run([self.command[0], "topic", "create", topic, "-p", str(partitions), "-b", self.address],
                       check=True, capture_output=True)


class Mock:
    """librdkafka's mock cluster in a process of its own: stores batches untouched, checks nothing, syncs nothing."""

    def __init__(self, loadclient, topic, partitions):
        self.process = subprocess.Popen([loadclient, "mock", topic, str(partitions)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.address = self.process.stdout.readline().strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)


def median(rows, key):
    return statistics.median(row[key] for row in rows)


class Suite:
    def __init__(self, options):
        self.options = options
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="goulette-bench-", dir=options.directory))
        self.loadclient, self.ceilings = self.work / "loadclient", self.work / "ceilings"
        self.binary = ROOT / ".build/release/goulette"
        flags = ["gcc", "-O2", "-Wall", "-o"]
        subprocess.run([*flags, self.loadclient, HERE / "client/loadclient.c", "-lrdkafka"], check=True)
        subprocess.run([*flags, self.ceilings, HERE / "client/ceilings.c", "-lpthread"], check=True)
        self.report = {"started": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
                       "cores": os.cpu_count(), "kernel": platform.release(), "runs": options.runs, "rows": [], "goals": []}

    def say(self, text):
        print(text, flush=True)

    # What the machine can do.

    def machine(self):
        runs = range(self.options.runs)
        self.report["machine"] = {
            "fdatasyncMicros1KiB": median([run_json(self.ceilings, "fdatasync", self.work, 3000, 1024) for _ in runs], "p50"),
            "fdatasyncMicros4KiB": median([run_json(self.ceilings, "fdatasync", self.work, 3000, 4096) for _ in runs], "p50"),
            "diskMBps": median([run_json(self.ceilings, "write", self.work, 1024) for _ in runs], "megabytesPerSecond"),
            "loopbackMBps": median([run_json(self.ceilings, "loopback", 4096) for _ in runs], "megabytesPerSecond"),
        }
        self.say(json.dumps(self.report["machine"]))

    # Produce.

    def produce(self, size, partitions, acks, payload):
        """Alternates mock and broker so that both see the same weather."""
        count = int(self.options.megabytes * 1e6 / size)
        ceiling, ours = [], []
        for _ in range(self.options.runs):
            with Mock(self.loadclient, "t", partitions) as mock:
                self.warm_up(mock.address, partitions, size, count, acks, payload)
                ceiling.append(run_json(self.loadclient, "produce", mock.address, "t", partitions, size, count, acks, payload))
            ours.append(self.produce_once(size, partitions, acks, payload, count))
        row = {
            "kind": "produce", "size": size, "partitions": partitions, "acks": acks, "payload": payload,
            "recordsPerSecond": statistics.median(r["records"] / r["seconds"] for r in ours),
            "megabytesPerSecond": statistics.median(r["bytes"] / r["seconds"] / 1e6 for r in ours),
            "ceilingRecordsPerSecond": statistics.median(r["records"] / r["seconds"] for r in ceiling),
            "ratio": statistics.median(c["seconds"] / o["seconds"] for c, o in zip(ceiling, ours)),
            "brokerCpuSecondsPerGB": statistics.median(o["brokerCpu"] / (o["bytes"] / 1e9) for o in ours),
            "clientCpuSecondsPerGB": statistics.median(o["cpuSeconds"] / (o["bytes"] / 1e9) for o in ours),
            "bytesWrittenPerPayloadByte": statistics.median(o["written"] / o["bytes"] for o in ours),
            "storedPerPayloadByte": statistics.median(o["stored"] / o["bytes"] for o in ours),
            "fsyncs": median(ours, "fsyncs"), "peakMemoryMiB": median(ours, "peak") / 2**20,
        }
        self.add(row)
        return row

    def warm_up(self, address, partitions, size, count, acks, payload):
        """A server runs for months: it has its memory, and its files exist. The same for both sides."""
        run_json(self.loadclient, "produce", address, "t", partitions, size, count // 4, acks, payload)

    def produce_once(self, size, partitions, acks, payload, count):
        with Broker(self.work, self.binary) as broker:
            broker.create("t", partitions)
            # The journal is filled with zeros once in the life of a data directory; that is not this run's cost.
            broker.wait_still()
            self.warm_up(broker.address, partitions, size, count, acks, payload)
            broker.wait_still()
            subprocess.run(["sync", "-f", self.work], check=True)
            stored = sum(f.stat().st_blocks * 512 for f in self.data_files())
            cpu, disk, syncs = broker.cpu_seconds(), device_bytes_written(self.work), broker.metric("goulette_store_flushes_total")
            row = run_json(self.loadclient, "produce", broker.address, "t", partitions, size, count, acks, payload)
            row["brokerCpu"] = broker.cpu_seconds() - cpu
            row["fsyncs"] = broker.metric("goulette_store_flushes_total") - syncs
            row["peak"] = broker.memory()
            # What stands in the journal only goes to its segments afterwards, and is this run's cost.
            broker.wait_still()
        subprocess.run(["sync", "-f", self.work], check=True)
        row["written"] = device_bytes_written(self.work) - disk
        row["stored"] = sum(f.stat().st_blocks * 512 for f in self.data_files()) - stored
        return row

    def data_files(self):
        return [f for f in (self.work / "data/groups").rglob("*.seg")]

    # Consume.

    def consume(self, size, partitions, cold):
        """The mock keeps 5 MiB a partition, so its ceiling is read from many partitions at once."""
        wide = 160
        per_partition = min(int(4.5 * 2**20 / (size + 12)), 40000)
        ceiling, ours = [], []
        settings = ["queued.min.messages=1000000", "fetch.message.max.bytes=1048576", "queued.max.messages.kbytes=1048576"]
        for _ in range(self.options.runs):
            with Mock(self.loadclient, "t", wide) as mock:
                count = per_partition * wide // 64 * 64
                run_json(self.loadclient, "produce", mock.address, "t", wide, size, count, -1, "random")
                ceiling.append(run_json(self.loadclient, "consume", mock.address, "t", wide, int(count * 0.95), *settings))
            ours.append(self.consume_once(size, partitions, int(self.options.megabytes * 1e6 / size), cold, settings))
        row = {
            "kind": "consume cold" if cold else "consume tail", "size": size, "partitions": partitions,
            "recordsPerSecond": statistics.median(r["records"] / r["seconds"] for r in ours),
            "megabytesPerSecond": statistics.median(r["bytes"] / r["seconds"] / 1e6 for r in ours),
            "ceilingRecordsPerSecond": statistics.median(r["records"] / r["seconds"] for r in ceiling),
            "ratio": statistics.median(
                (o["records"] / o["seconds"]) / (c["records"] / c["seconds"]) for c, o in zip(ceiling, ours)),
            "brokerCpuSecondsPerGB": statistics.median(o["brokerCpu"] / (o["bytes"] / 1e9) for o in ours),
            "clientCpuSecondsPerGB": statistics.median(o["cpuSeconds"] / (o["bytes"] / 1e9) for o in ours),
            "peakMemoryMiB": median(ours, "peak") / 2**20,
        }
        self.add(row)
        return row

    def consume_once(self, size, partitions, count, cold, settings):
        with Broker(self.work, self.binary) as broker:
            broker.create("t", partitions)
            run_json(self.loadclient, "produce", broker.address, "t", partitions, size, count, -1, "random")
            if cold:
                broker.__exit__()
                subprocess.run(["sync", "-f", self.work], check=True)
                pathlib.Path("/proc/sys/vm/drop_caches").write_text("1\n") if os.geteuid() == 0 else None
                broker.__enter__()
            cpu = broker.cpu_seconds()
            row = run_json(self.loadclient, "consume", broker.address, "t", partitions, count, *settings)
            row["brokerCpu"], row["peak"] = broker.cpu_seconds() - cpu, broker.memory()
        return row

    # One in flight, an idle broker, a cold start.

    def latency(self):
        rows = []
        for _ in range(self.options.runs):
            disk = run_json(self.ceilings, "fdatasync", self.work, 2000, 1024)["p50"]
            with Mock(self.loadclient, "t", 1) as mock:
                ceiling = run_json(self.loadclient, "latency", mock.address, "t", 1024, 5000, -1)
            with Broker(self.work, self.binary) as broker:
                broker.create("t", 1)
                ours = run_json(self.loadclient, "latency", broker.address, "t", 1024, 5000, -1)
            rows.append({**ours, "fdatasync": disk, "mock": ceiling["p50"], "allowed": 2 * disk + 100})
        row = {"kind": "one in flight", "p50": median(rows, "p50"), "p99": median(rows, "p99"), "p999": median(rows, "p999"),
               "fdatasyncP50": median(rows, "fdatasync"), "mockP50": median(rows, "mock"), "allowedP50": median(rows, "allowed")}
        self.add(row)
        return row

    def idle(self):
        with Broker(self.work, self.binary) as broker:
            broker.create("many", 1000)
            broker.wait_still()
            cpu, begin = broker.cpu_seconds(), time.monotonic()
            time.sleep(self.options.idle_seconds)  # This is what is measured: time in which nothing is asked.
            busy = (broker.cpu_seconds() - cpu) / (time.monotonic() - begin)
            row = {"kind": "idle, 1,000 partitions", "cores": busy, "residentMiB": broker.memory("VmRSS") / 2**20}
        self.add(row)
        return row

    def cold_start(self):
        """From exec on an empty directory to the first acknowledged record, by a client that retries every 2 ms."""
        seconds = []
        for _ in range(max(3, self.options.runs)):
            broker = Broker(self.work, self.binary)
            begin = time.monotonic()
            broker.process = subprocess.Popen(broker.command, stdout=broker.log, stderr=broker.log, env=broker.environment)
            while True:
                try:
                    socket.create_connection(("127.0.0.1", broker.port), 1).close()
                    break
                except OSError:
                    if time.monotonic() > begin + 60:
                        raise RuntimeError(f"the broker did not start; see {broker.log.name}") from None
                    time.sleep(0.002)  # As a client does that is there first; the limit ends it.
            run_json(self.loadclient, "produce", broker.address, "first", 1, 100, 1, -1, "pattern", "linger.ms=0")
            seconds.append(time.monotonic() - begin)
            broker.__exit__()
        row = {"kind": "cold start to first acknowledged record", "milliseconds": statistics.median(seconds) * 1000}
        self.add(row)
        return row

    # Report.

    def add(self, row):
        self.report["rows"].append(row)
        self.say(json.dumps({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}))

    def goal(self, name, value, limit, at_least):
        met = value >= limit if at_least else value <= limit
        self.report["goals"].append({"goal": name, "value": value, "limit": limit, "atLeast": at_least, "met": met})

    def write(self):
        name = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        folder = HERE / "results" / name
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps(self.report, indent=1) + "\n")
        (folder / "report.md").write_text(markdown(self.report))
        self.say(f"\n{markdown(self.report)}\nwritten to {folder}")


def markdown(report):
    goals = [(goal["goal"], goal["value"], f"{'at least' if goal['atLeast'] else 'at most'} {cell(goal['limit'])}",
              "yes" if goal["met"] else "NO") for goal in report["goals"]]
    lines = ["# End-to-end benchmark", "", f"{report['started']}, {report['cores']} cores, kernel {report['kernel']}, medians "
             f"of {report['runs']} runs; client and broker share the machine. acks=-1 answers after a flush to disk.", ""]
    lines += table(("goal", "value", "limit", "met"), goals)
    lines += ["Machine: " + ", ".join(f"{k} {cell(v)}" for k, v in report["machine"].items()), ""]
    return "\n".join(lines + tables(report["rows"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=2000,
                        help="payload of one produce or consume run; short runs measure connecting as well")
    parser.add_argument("--idle-seconds", type=int, default=20)
    parser.add_argument("--directory", default=str(ROOT), help="where the scratch data goes")
    parser.add_argument("--quick", action="store_true", help="only the rows that the goals need")
    options = parser.parse_args()
    suite = Suite(options)
    try:
        suite.machine()
        bulk = suite.produce(1024, 1, -1, "random")
        suite.goal("produce, acks=all, 1 KiB, 1 partition: share of the client's ceiling", bulk["ratio"], 0.8, True)
        suite.goal("bytes written per payload byte, incompressible", bulk["bytesWrittenPerPayloadByte"], 1.1, False)
        logs = suite.produce(1024, 1, -1, "json")
        suite.goal("bytes written per payload byte, JSON logs", logs["bytesWrittenPerPayloadByte"], 0.5, False)
        if not options.quick:
            for size, partitions, acks in [(1024, 16, -1), (100, 1, -1), (100, 16, -1), (1024, 1, 1), (100, 1, 1), (1024, 16, 1)]:
                suite.produce(size, partitions, acks, "random")
        tail = suite.consume(1024, 1, cold=False)
        suite.goal("consume, tail, 1 KiB: share of the client's ceiling", tail["ratio"], 0.8, True)
        cold = suite.consume(1024, 1, cold=True)
        suite.goal("consume, cold, 1 KiB: share of the client's ceiling", cold["ratio"], 0.8, True)
        if not options.quick:
            for size, partitions in [(1024, 16), (100, 1), (100, 16)]:
                suite.consume(size, partitions, cold=False)
        one = suite.latency()
        suite.goal("one in flight: p50 microseconds", one["p50"], one["allowedP50"], False)
        idle = suite.idle()
        suite.goal("idle, 1,000 partitions: resident MiB", idle["residentMiB"], 100, False)
        suite.goal("idle, 1,000 partitions: share of a core", idle["cores"], 0.01, False)
        start = suite.cold_start()
        suite.goal("cold start to first acknowledged record: ms", start["milliseconds"], 300, False)
        suite.write()
    finally:
        shutil.rmtree(suite.work, ignore_errors=True)


if __name__ == "__main__":
    main()
