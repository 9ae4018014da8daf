# SPDX-License-Identifier: Apache-2.0
"""kcat writes a text file of a million lines and reads the same bytes back, across a restart and a kill."""

import hashlib
import os
import subprocess

import pytest

LINES = int(os.environ.get("GOULETTE_KCAT_LINES", "1000000"))


def write_lines(path):
    """Log-like lines: the words vary, so that compression has something to do and something to fail at."""
    digest = hashlib.sha256()
    state = 0x2545F491
    with open(path, "wb") as file:
        for number in range(LINES):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            line = b"2026-01-01T00:00:%02d.%06d INFO service-%d request %08x took %d us\n" % (
                number // 16666 % 60, number % 1000000, state % 17, state, state % 90001)
            digest.update(line)
            file.write(line)
    return digest.hexdigest()


def read_back(broker, topic):
    consumer = subprocess.Popen(
        ["kcat", "-b", broker.bootstrap, "-C", "-t", topic, "-e", "-q", "-o", "beginning"], stdout=subprocess.PIPE)
    digest = hashlib.sha256()
    while chunk := consumer.stdout.read(1 << 20):
        digest.update(chunk)
    assert consumer.wait(60) == 0
    return digest.hexdigest()


@pytest.mark.conforms("kcat", "produce and consume")
@pytest.mark.conforms("kcat", "a killed broker comes back")
def test_a_million_lines_come_back(broker, tmp_path):
    source = tmp_path / "lines.txt"
    wanted = write_lines(source)
    subprocess.run(["kcat", "-b", broker.bootstrap, "-P", "-t", "logs", "-l", str(source)], check=True, timeout=300)
    assert read_back(broker, "logs") == wanted

    assert broker.stop() == 0, broker.log_tail()
    broker.verify()
    broker.start()
    assert read_back(broker, "logs") == wanted

    broker.kill()
    broker.start()
    assert read_back(broker, "logs") == wanted
