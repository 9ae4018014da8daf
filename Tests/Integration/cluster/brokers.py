# SPDX-License-Identifier: Apache-2.0
"""Three brokers as a user would start them: a short file each, loopback ports of their own, one directory each."""

import json
import os
import pathlib
import signal
import subprocess
import time

from conftest import GOULETTE, INSPECT, Broker
from ports import free_port

GIVE_UP = 60
"""Seconds after which waiting for a cluster is a failure."""


def wait_until(holds, what, timeout=GIVE_UP, pause=0.05):
    """Asks other processes again and again; the deadline fails the test with what was asked for."""
    deadline = time.monotonic() + timeout
    while True:
        answer = holds()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not after {timeout} s: {what}")
        # Other processes tell nobody when they are there: they are asked again until the deadline.
        time.sleep(pause)


class Member(Broker):
    """One broker of a cluster, configured by a file."""

    def __init__(self, directory, number, settings):
        super().__init__(directory)
        self.number = number
        self.peer_port = free_port()
        self.settings = settings
        self.environment = {}

    @property
    def config(self):
        return self.directory / "goulette.yaml"

    def write_config(self, peers):
        sections = {
            "node": {"id": self.number},
            "listeners": {"kafka": self.bootstrap},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
            "storage": {"directory": str(self.data), "disk_reserve_bytes": "64 MiB"},
            "cluster": {"peers": peers, "failure_timeout": "2s"},
            "groups": {"initial_rebalance_delay": "100ms"},
            "topics": {"default_replication_factor": 3},
        }
        for key, value in self.settings.items():
            section, name = key.split(".")
            sections.setdefault(section, {})[name] = value
        lines = []
        for section, keys in sections.items():
            lines.append(f"{section}:")
            # JSON is YAML.
            lines += [f"  {name}: {json.dumps(value)}" for name, value in keys.items()]
        self.config.write_text("\n".join(lines) + "\n")

    def command(self):
        return [str(GOULETTE), "start", "--config", str(self.config)]

    def launch(self):
        """Starts the process without waiting for it to be ready: alone it cannot be."""
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            self.command(), stdout=log, stderr=log, env={**os.environ, **self.environment})
        log.close()
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, timeout=GIVE_UP):
        def holds():
            assert self.is_running(), f"broker {self.number} exited:\n{self.log_tail()}"
            return self.ready()

        try:
            wait_until(holds, f"broker {self.number} is ready", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None
        return self

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def segments(self):
        """What the inspector says of each partition's files; the broker must not run."""
        return {p.relative_to(self.data): p for p in sorted(self.data.glob("groups/*/*.seg"))}


class Cluster:
    """Brokers 1 to n that are each other's peers."""

    def __init__(self, directory, brokers=3, settings=None):
        self.members = []
        for number in range(1, brokers + 1):
            home = pathlib.Path(directory) / f"broker-{number}"
            home.mkdir(parents=True, exist_ok=True)
            self.members.append(Member(home, number, settings or {}))
        self.write_configs()

    def write_configs(self):
        peers = [f"{member.number}@127.0.0.1:{member.peer_port}" for member in self.members]
        for member in self.members:
            member.write_config(peers)

    def __getitem__(self, number):
        return next(member for member in self.members if member.number == number)

    @property
    def bootstrap(self):
        return ",".join(member.bootstrap for member in self.members)

    @property
    def running(self):
        return [member for member in self.members if member.is_running()]

    def start(self):
        for member in self.members:
            if not member.is_running():
                member.launch()
        for member in self.members:
            member.wait_ready()
        return self

    def stop(self):
        """SIGTERM to all, one after the other as a person would, and their exit codes."""
        for member in self.running:
            member.process.send_signal(signal.SIGTERM)
        return [member.process.wait(60) if member.process else None for member in self.members]

    def cli(self, *arguments, input=None, timeout=120):
        return subprocess.run(
            [str(GOULETTE), *arguments, "-b", self.bootstrap], capture_output=True, text=True, input=input,
            timeout=timeout)

    def metadata(self, topic=None):
        from confluent_kafka.admin import AdminClient

        client = AdminClient({"bootstrap.servers": self.bootstrap})
        return client.list_topics(topic=topic, timeout=20)

    def create_topic(self, name, partitions=12, replicas=3, **config):
        options = [word for key, value in config.items() for word in ("-c", f"{key.replace('_', '.')}={value}")]
        answer = self.cli("topic", "create", name, "-p", str(partitions), "-r", str(replicas), *options)
        assert answer.returncode == 0, answer.stderr
        self.wait_healthy()

    def healthy(self):
        return self.cli("cluster", "health", "-o", "json", "--timeout", "10s").returncode == 0

    def wait_healthy(self, timeout=GIVE_UP):
        def holds():
            answer = self.cli("cluster", "health", "--timeout", "10s")
            holds.said = answer.stdout + answer.stderr
            return answer.returncode == 0

        try:
            wait_until(holds, "the cluster is healthy", timeout, pause=0.2)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{holds.said}") from None

    def leaders(self, topic):
        """How many partitions of `topic` each broker leads."""
        count = {}
        for partition in self.metadata(topic).topics[topic].partitions.values():
            count[partition.leader] = count.get(partition.leader, 0) + 1
        return count

    def log_tails(self, lines=30):
        return "\n".join(f"--- broker {m.number}\n{m.log_tail(lines)}" for m in self.members)

    def compare_replicas(self):
        """Every segment that several brokers hold is the same on them up to the shorter end; nobody runs.

        Segments are preallocated, so zeros at the end do not count. Returns how many were compared."""
        assert not self.running
        held = {}
        for member in self.members:
            for name, path in member.segments().items():
                held.setdefault(name, []).append((member.number, path.read_bytes().rstrip(b"\0")))
        compared = 0
        for name, copies in held.items():
            if len(copies) < 2:
                continue
            compared += 1
            first_number, first = copies[0]
            for number, other in copies[1:]:
                length = min(len(first), len(other))
                assert first[:length] == other[:length], f"{name} differs between brokers {first_number} and {number}"
        for member in self.members[1:]:
            answer = self.members[0].inspect("compare", str(member.data))
            assert answer.returncode == 0, f"broker {member.number}: {answer.stdout}{answer.stderr}"
        return compared

    def verify(self):
        for member in self.members:
            answer = subprocess.run(
                [str(INSPECT), "verify", str(member.data)], capture_output=True, text=True, timeout=300)
            assert answer.returncode == 0, f"broker {member.number}: {answer.stdout}{answer.stderr}"
