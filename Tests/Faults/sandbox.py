# SPDX-License-Identifier: Apache-2.0
"""Namespaces of our own for network, mounts and processes: what a run makes goes when it ends, however it ends."""

import ctypes
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
INSIDE = "GOULETTE_FAULTS_INSIDE"


def obstacle():
    """Why no run is possible here, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for device in ("/dev/net/tun", "/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(device):
            return f"{device} is missing"
    made = subprocess.run([*COMMAND, "true"], capture_output=True, text=True)
    if made.returncode != 0:
        return f"namespaces cannot be made: {made.stderr.strip()}"
    return None


# The child of unshare is the first process of its namespace: when it ends, the kernel ends all others there.
COMMAND = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]


def run_inside(arguments, **options):
    """Runs this interpreter with `arguments` in a sandbox; it ends when this process does."""
    # Outside nothing is mounted there, so nothing is left in it.
    with tempfile.TemporaryDirectory(prefix="goulette-faults-") as work:
        return subprocess.run(
            [*COMMAND, sys.executable, *arguments], env={**os.environ, INSIDE: work}, preexec_fn=dies_with_parent,
            **options)


def prepare():
    """To be called first inside: a file system in memory for what the run makes, and the loopback device."""
    work = pathlib.Path(os.environ[INSIDE])
    # Somebody who ends the run wants its clean-up, not only the kernel's.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run("mount", "-t", "tmpfs", "-o", "size=12g", "tmpfs", str(work))
    pathlib.Path("/run/netns").mkdir(exist_ok=True)
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    run("ip", "link", "set", "lo", "up")
    return work


def run(*command, check=True):
    """A system command; its words when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout.strip()


def compiled(name):
    """The program made of NAME.c, beside the time of its sources in a directory for such things."""
    source = HERE / f"{name}.c"
    changed = max(file.stat().st_mtime_ns for file in (source, HERE / "tool.h"))
    place = pathlib.Path(tempfile.gettempdir()) / f"goulette-faults-{os.getuid()}"
    place.mkdir(mode=0o700, exist_ok=True)
    program = place / f"{name}-{changed}"
    if not program.exists():
        # Not by process number: two runs side by side count their processes apart.
        made = pathlib.Path(tempfile.mkdtemp(dir=place)) / name
        run("gcc", "-O2", "-Wall", "-o", str(made), str(source))
        made.rename(program)
        made.parent.rmdir()
    return program


def dies_with_parent():
    """In a child between fork and exec: it ends when the run does, even outside a sandbox."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Tool:
    """A helper program that is told what to do line by line, and answers each."""

    def __init__(self, *command):
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.expect("ok")

    def expect(self, wanted):
        answer = self.process.stdout.readline().strip()
        if answer != wanted:
            raise RuntimeError(f"{self.process.args[0]} answered {answer!r}")

    def tell(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.expect("ok")

    def counts(self):
        self.process.stdin.write("counts\n")
        return [int(word) for word in self.process.stdout.readline().split()]

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
