# SPDX-License-Identifier: Apache-2.0
"""A disk for each broker: ext4 on a loop device on a file whose writes are lost with the power until flushed."""

import contextlib
import subprocess
import threading

from sandbox import Tool, compiled, run

DISK_BYTES = 1 << 30
"""Room for the records of five minutes and for the topics that are made meanwhile, whose segments are preallocated: only the
fault called full fills a disk."""


class Disk:
    """Mounted at `place`; the process that uses it must be dead before power fails."""

    def __init__(self, work, place, size=DISK_BYTES):
        self.lock = threading.Lock()
        self.place = place
        self.place.mkdir(parents=True, exist_ok=True)
        self.file = work / f"{place.name}.disk"
        self.file.touch()
        self.is_filled = False
        self.tool = Tool(compiled("disk"), work / f"{place.name}.image", size, self.file)
        self.format()

    def format(self):
        """A new file system: all that was there is gone."""
        loop = self.attach()
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-J", "size=16", "-E", "lazy_itable_init=0,nodiscard", loop)
        self.mount(loop)

    def attach(self):
        return run("losetup", "--direct-io=on", "--show", "-f", str(self.file))

    def mount(self, loop=None):
        loop = loop or self.attach()
        try:
            # As most installations have it; a file system that cannot write its journal refuses to go on.
            run("mount", "-o", "errors=remount-ro,nodiscard", loop, str(self.place))
        finally:
            # While it is mounted this only says that it goes with the mount.
            run("losetup", "-d", loop)

    def unmount(self):
        run("umount", str(self.place))

    def power_off(self, seed, kept):
        """What was not flushed is gone, but for `kept` sectors in a thousand; then what is left is mounted again."""
        with self.lock:
            before = self.counts()
            self.tool.tell("off", seed, kept)
            self.unmount()
            self.tool.tell("on")
            self.mount()
            if not self.is_filled:
                self.remove_ballast()
            after = self.counts()
            return {key: after[key] - before[key] for key in ("lost", "kept")}

    def remount(self):
        """As power_off, for a file system that met errors: what the device did not take is not there either."""
        return self.power_off(0, 0)

    def errors(self, writes=0, reads=0):
        """So many requests in a million fail."""
        with self.lock:
            self.tool.tell("errors", writes, reads)

    def slow(self, microseconds):
        with self.lock:
            self.tool.tell("slow", microseconds)

    def wipe(self):
        with self.lock:
            self.unmount()
            self.format()

    def fill(self, leave):
        """Somebody else's file takes all space but `leave` bytes."""
        self.is_filled = True
        free = int(run("stat", "-f", "-c", "%a", str(self.place))) * int(run("stat", "-f", "-c", "%S", str(self.place)))
        if free > leave:
            subprocess.run(
                ["fallocate", "-l", str(free - leave), str(self.place / "ballast-of-others")], capture_output=True)

    def unfill(self):
        """Frees the space for good: neither a power failure nor a file system that met errors brings the file back."""
        self.is_filled = False
        self.remove_ballast()

    def remove_ballast(self):
        with contextlib.suppress(OSError):  # On a file system that refuses to write it is removed after the next mount.
            (self.place / "ballast-of-others").unlink(missing_ok=True)
            run("sync", "-f", str(self.place), check=False)

    def counts(self):
        return dict(zip(("reads", "writes", "flushes", "failed", "lost", "kept"), self.tool.counts()))

    def end(self):
        run("umount", "-l", str(self.place), check=False)
        self.tool.end()
