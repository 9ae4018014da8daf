# SPDX-License-Identifier: Apache-2.0
"""Starts the built broker as a user would, on loopback ports of its own and a directory of its own."""

import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from ports import free_port

pytest_plugins = ["conformance", "diagnosis"]

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "cluster"))

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("GOULETTE_BIN", ROOT / ".build/release"))
GOULETTE = BIN / "goulette"
INSPECT = BIN / "logstore-inspect"


class Broker:
    """One broker process; restarting keeps its data and its ports."""

    def __init__(self, directory, environment=None, arguments=()):
        self.directory = pathlib.Path(directory)
        self.data = self.directory / "data"
        self.port, self.admin_port = free_port(), free_port()
        self.environment = {"GOULETTE_GROUPS__INITIAL_REBALANCE_DELAY": "100ms", **(environment or {})}
        self.arguments = list(arguments)
        self.process = None
        self.log_path = self.directory / "broker.log"

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def command(self):
        return [
            str(GOULETTE), "start", "--data", str(self.data), "--listen", self.bootstrap,
            "--admin", f"127.0.0.1:{self.admin_port}", *self.arguments,
        ]

    def start(self, timeout=30, wait=True):
        """Starts the process, and unless told otherwise waits until it is ready."""
        log = open(self.log_path, "ab")
        environment = {**os.environ, **self.environment}
        self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, env=environment)
        log.close()
        if not wait:
            return self
        deadline = time.monotonic() + timeout
        while not self.ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the broker exited with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the broker was not ready after {timeout} s:\n{self.log_tail()}")
            time.sleep(0.02)  # Another process: it is asked again until it answers, and the deadline fails the test.
        return self

    def ready(self):
        try:
            return self.get("/health/ready")[0] == 200
        except OSError:
            return False

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name):
        """The sum of a metric's series."""
        total = 0.0
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(name) and line[len(name)] in " {":
                total += float(line.rsplit(" ", 1)[1])
        return total

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def stop(self, timeout=30):
        """SIGTERM, and the exit code."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout)
        return self.process.returncode if self.process else None

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def log_tail(self, lines=40):
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def inspect(self, *arguments):
        return subprocess.run(
            [str(INSPECT), *arguments[:1], str(self.data), *arguments[1:]], capture_output=True, text=True, timeout=300)

    def verify(self):
        """The inspector must find nothing wrong."""
        answer = self.inspect("verify")
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    def cli(self, *arguments, input=None):
        return subprocess.run(
            [str(GOULETTE), *arguments, "-b", self.bootstrap], capture_output=True, text=True, input=input, timeout=120)


@pytest.fixture
def broker(tmp_path):
    broker = Broker(tmp_path).start()
    yield broker
    if broker.process.poll() is None:
        assert broker.stop() == 0, broker.log_tail()
    broker.verify()


@pytest.fixture
def new_broker(tmp_path):
    """A factory for tests that start brokers in their own way."""
    made = []

    def make(name="broker", **options):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        made.append(Broker(directory, **options))
        return made[-1]

    yield make
    for broker in made:
        if broker.process and broker.process.poll() is None:
            broker.kill()


@pytest.fixture
def new_cluster(tmp_path):
    """A factory for clusters that are not started yet; every process is ended by its pid when the test is over."""
    from brokers import Cluster

    made = []

    def make(brokers=3, settings=None, name="cluster"):
        made.append(Cluster(tmp_path / name, brokers, settings))
        return made[-1]

    yield make
    for cluster in made:
        for member in cluster.running:
            member.kill()


@pytest.fixture
def cluster(new_cluster):
    """Three brokers that are ready; afterwards they stop in order and their data is verified."""
    cluster = new_cluster().start()
    yield cluster
    codes = cluster.stop()
    assert all(code == 0 for code in codes), cluster.log_tails()
    cluster.verify()
