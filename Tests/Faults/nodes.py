# SPDX-License-Identifier: Apache-2.0
"""Brokers in namespaces of their own, on disks of their own; otherwise those of the integration tests."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Tests/Integration"), str(ROOT / "Tests/Integration/cluster")]

from brokers import GOULETTE, INSPECT, Cluster, Member  # noqa: E402, F401
from disks import Disk  # noqa: E402
from network import Network, address, namespace  # noqa: E402

BACKTRACE_SECONDS = 40
"""A crash is seen when its stack was printed; that takes half a minute on a busy machine."""
ENDING_SECONDS = 10
"""A broker that ends in order, because its store failed, first closes what still can be closed."""


class Node(Member):
    """A broker that is alone behind its port of the switch."""

    def __init__(self, directory, number, settings, work):
        super().__init__(directory, number, settings)
        self.port, self.admin_port, self.peer_port = 9092, 9600, 9192
        # Short stacks: a full one takes half a minute, in which the broker seems to live.
        self.environment = {
            "SWIFT_BACKTRACE": "enable=yes,threads=crashed,images=none,registers=none,limit=24,color=no,"
                               "symbolicate=fast"}
        self.disk = Disk(work, work / f"disk-{number}")
        self.data = self.disk.place / "data"
        self.intended = False  # whether it should be running
        self.exits = []  # exits nobody asked for
        self.excuses = []  # [until when or None, why an exit of a process that ran before then is no surprise]
        self.launched, self.log_began = 0.0, 0

    @property
    def address(self):
        return address(self.number)

    @property
    def bootstrap(self):
        return f"{self.address}:9092"

    def write_config(self, peers):
        self.settings = {
            "admin.listen": f"{self.address}:9600", "listeners.peer": f"{self.address}:9192", **self.settings}
        super().write_config(peers)

    def command(self):
        # A session of its own: what prints the stack of a crashed broker goes with it.
        return ["setsid", "nsenter", f"--net={namespace(self.number)}", "--", *super().command()]

    def launch(self):
        self.note_exit()
        self.intended = True
        self.launched = time.monotonic()
        self.log_began = self.log_bytes()
        return super().launch()

    def log_bytes(self):
        return self.log_path.stat().st_size if self.log_path.exists() else 0

    def hears_signals(self):
        """Whether this process has said anything yet: it does so only once it ends in order when it is asked to."""
        return self.log_bytes() > self.log_began

    def kill(self):
        self.note_exit()
        self.intended = False
        if self.process:
            super().kill()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def stop(self, timeout=60):
        self.note_exit()
        self.intended = False
        return super().stop(timeout)

    def note_exit(self):
        """Remembers when the broker ended by itself."""
        if self.intended and self.process and self.process.poll() is not None:
            self.intended = False
            code = self.process.returncode
            self.exits.append({"code": code, "at": time.monotonic(), "excuse": self.excuse(code)})

    def excuse(self, code):
        """Why this process may have ended now: a fault lasts, or was over only after the process had begun, a moment ago.

        A process that began after the fault has no excuse, nor has one that lived on for longer than ending takes."""
        moment = time.monotonic() - (BACKTRACE_SECONDS if code < 0 else ENDING_SECONDS)
        return next((why for end, why in self.excuses if end is None or end > max(moment, self.launched)), None)

    @contextlib.contextmanager
    def excused(self, why):
        excuse = [None, why]
        self.excuses.append(excuse)
        try:
            yield
            self.note_exit()
        finally:
            excuse[0] = time.monotonic()

    def get(self, path, timeout=5):
        try:
            with urllib.request.urlopen(f"http://{self.address}:9600{path}", timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def rejoin(self, peers):
        """On an empty disk, in its own place; what follows starts are to be told is no matter to a wiped one."""
        self.settings["cluster.join"] = True
        self.write_config(peers)


class Nodes(Cluster):
    """A cluster of nodes, with the network between them."""

    def __init__(self, out, work, brokers, settings, seed):
        self.network = Network(brokers, seed)
        self.out, self.members = out, []
        for number in range(1, brokers + 1):
            home = out / f"broker-{number}"
            home.mkdir(parents=True, exist_ok=True)
            self.members.append(Node(home, number, dict(settings), work))
        self.write_configs()

    @property
    def peers(self):
        return [f"{member.number}@{member.address}:9192" for member in self.members]

    def write_configs(self):
        for member in self.members:
            member.write_config(self.peers)

    def admin(self, *arguments, via=None, timeout=30):
        """A command that asks a broker's admin server; None when it does not answer in time."""
        via = via or next(iter(self.running), self.members[0])
        return self.words(*arguments, "--admin", f"{via.address}:9600", timeout=timeout)

    def brokers_command(self, *arguments, timeout=30):
        return self.words(*arguments, "-b", self.bootstrap, timeout=timeout)

    def words(self, *arguments, timeout):
        try:
            return subprocess.run([str(GOULETTE), *arguments], capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return None

    def watch(self):
        for member in self.members:
            member.note_exit()

    def end(self):
        """Ends every broker, whatever state it is in, and the disks and the switch."""
        for member in self.members:
            if member.process and member.process.poll() is None:
                os.kill(member.process.pid, signal.SIGCONT)
                member.process.kill()
                member.process.wait()
        for member in self.members:
            member.disk.end()
        self.network.switch.end()
