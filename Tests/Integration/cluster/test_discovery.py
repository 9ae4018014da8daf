# SPDX-License-Identifier: Apache-2.0
"""Brokers that find each other in a real etcd instead of a list of addresses."""

import shutil
import subprocess
import urllib.request

import pytest

from brokers import wait_until
from ports import free_port

ETCD = shutil.which("etcd")


@pytest.fixture
def etcd(tmp_path):
    client, peer = free_port(), free_port()
    log = open(tmp_path / "etcd.log", "wb")
    process = subprocess.Popen(
        [ETCD, "--data-dir", tmp_path / "etcd", "--listen-client-urls", f"http://127.0.0.1:{client}",
         "--advertise-client-urls", f"http://127.0.0.1:{client}", "--listen-peer-urls", f"http://127.0.0.1:{peer}",
         "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
         "--initial-cluster", f"default=http://127.0.0.1:{peer}"], stdout=log, stderr=log)
    log.close()

    def answers():
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{client}/health", timeout=2).status == 200
        except OSError:
            return False

    try:
        wait_until(answers, "etcd answers", 30)
        yield f"127.0.0.1:{client}"
    finally:
        process.kill()
        process.wait(30)


@pytest.mark.skipif(ETCD is None, reason="etcd-server is not installed")
def test_a_cluster_forms_through_etcd(new_cluster, etcd):
    cluster = new_cluster(settings={
        "cluster.discovery": "etcd", "cluster.discovery_endpoints": [etcd], "cluster.discovery_interval": "200ms",
        "cluster.peers": [1, 2, 3]})
    for member in cluster.members:
        member.settings = {**member.settings, "listeners.peer": f"127.0.0.1:{member.peer_port}"}
        member.write_config([1, 2, 3])
    cluster.start()
    cluster.create_topic("found", partitions=3)
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    cluster.verify()


