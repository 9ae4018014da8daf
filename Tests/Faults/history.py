# SPDX-License-Identifier: Apache-2.0
"""What clients did: one operation a line, written when it ended, with the times of its beginning and its end.

    ["produce", began, ended, outcome, topic, partition, producer, number, offset, error]
    ["poll", began, ended, reader, session, topic, partition, high watermark, [[offset, producer, number], ...]]
    ["damaged", at, reader, topic, partition, offset, what]
    ["end", began, ended, topic, partition, log end]
    ["commit", began, ended, outcome, group, member, [[topic, partition, offset], ...], error]
    ["committed", began, ended, group, [[topic, partition, offset], ...]]
    ["topic", began, ended, outcome, who, action, name, argument, answer]
    ["note", at, who, text]

Times are the machine's monotonic clock, the same in all processes. An outcome is `ok`, `fail` (it certainly did not
happen) or `info` (nobody knows); an operation that never ended is `info` at the end of its process.
"""

import hashlib
import json
import threading
import time
import zlib

now = time.monotonic


class Log:
    """One file, for the threads of one process."""

    def __init__(self, path):
        self.lock = threading.Lock()
        self.file = open(path, "w", buffering=1 << 16)

    def write(self, *operation):
        line = json.dumps(operation, separators=(",", ":"))
        with self.lock:
            self.file.write(line + "\n")

    def note(self, who, text):
        self.write("note", now(), who, str(text))

    def close(self):
        with self.lock:
            self.file.close()


def read(directory):
    """All operations in all files of a directory, file after file."""
    for path in sorted(directory.glob("*.log")):
        with open(path) as file:
            for line in file:
                yield json.loads(line)


def value_of(producer, number, size):
    """A record that shows where it comes from and whether it is whole."""
    head = b"%s %d " % (producer.encode(), number)
    body = head + hashlib.shake_128(head).digest(max(1, size - len(head)))  # does not compress
    return body + b" %08x" % zlib.crc32(body)


def identity_of(value):
    """(producer, number) of a record, or ValueError when it is not as it was made."""
    body, check = value[:-9], value[-9:]
    if check != b" %08x" % zlib.crc32(body):
        raise ValueError("its checksum differs")
    producer, number, _ = body.split(b" ", 2)
    return producer.decode(), int(number)
