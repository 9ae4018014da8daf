# SPDX-License-Identifier: Apache-2.0
"""goulette dev-cluster: one command, three brokers, one Control-C."""

import re
import signal
import subprocess
import threading
import time

from brokers import GOULETTE, wait_until
from ports import free_ports


def test_dev_cluster_starts_and_stops(tmp_path):
    port = free_ports(3, stride=100, repeats=3)
    lines = []
    process = subprocess.Popen(
        [GOULETTE, "dev-cluster", "--data", tmp_path / "dev", "--ports-from", str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
    reader.start()
    try:
        wait_until(
            lambda: process.poll() is not None or any("3 brokers are ready" in line for line in lines),
            "the cluster is ready")
        assert process.poll() is None, "".join(lines)
        text = "".join(lines)
        assert f"kcat -b 127.0.0.1:{port} -t greetings -P" in text
        pids = re.findall(r"\d: (\d+)", re.search(r"processes (.*)", text).group(1))
        assert len(pids) == 3
        bootstrap = ",".join(f"127.0.0.1:{port + n}" for n in range(3))
        created = subprocess.run(
            [GOULETTE, "topic", "create", "t", "-p", "3", "-b", bootstrap], capture_output=True, text=True, timeout=60)
        assert created.returncode == 0, created.stderr
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, "".join(lines)
        print(f"stopped in {time.monotonic() - began:.1f} s")
    finally:
        if process.poll() is None:
            process.kill()
    reader.join(10)
    assert sum("stopped" in line for line in lines) >= 3, "".join(lines)
