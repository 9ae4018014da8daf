# SPDX-License-Identifier: Apache-2.0
"""Brokers that come back with nothing: they are taken in again, and never begin as if they had only been away."""

import json
import shutil

import pytest
from brokers import wait_until
from load import Load, check, read_all
from test_cluster import fill
from test_growth import replicas


def wipe(member):
    """The disk is gone; the log begins anew with it."""
    shutil.rmtree(member.data)
    member.log_path.write_text("")


def phase(member):
    return json.loads(member.get("/health")[1])["phase"]


def holds_all(cluster, partitions):
    """Whether every broker has files of every partition."""
    return all(len(list(member.data.glob("groups/*/*.seg"))) >= partitions for member in cluster.members)


def test_founders_that_lost_their_disks_are_taken_in_under_load(cluster):
    partitions = 6
    cluster.create_topic("load", partitions=partitions)
    load = Load(cluster, "load", partitions)
    load.wait_for(1000)
    # One after the other, whoever leads the controller among them; nobody is told to join.
    for number in (1, 2, 3):
        member = cluster[number]
        member.kill()
        wipe(member)
        member.launch().wait_ready()
        assert "asking to be taken in" in member.log_path.read_text(), member.log_tail()
        cluster.wait_healthy()
        load.wait_for(200)
    load.stop()
    total = check(cluster, load)
    print(f"three wiped brokers, {total} records")
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    assert holds_all(cluster, partitions)
    assert cluster.compare_replicas() >= partitions


def test_a_broker_without_data_waits_for_the_others(cluster):
    cluster.create_topic("kept", partitions=3)
    fill(cluster, "kept", 500)
    before = read_all(cluster, "kept", 0)
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    wipe(cluster[1])
    cluster[1].launch()
    wait_until(lambda: "Waiting for brokers" in cluster[1].log_path.read_text(), "it says what it waits for", 30)
    assert phase(cluster[1]) == "membership"
    # One other is most of three, and knows of the cluster; but alone it cannot take anybody in.
    cluster[2].launch()
    wait_until(lambda: "asking to be taken in" in cluster[1].log_path.read_text(), "it found the cluster", 30)
    assert phase(cluster[1]) == "membership"
    cluster.start()
    cluster.wait_healthy()
    assert read_all(cluster, "kept", 0) == before
    # The disks of the others may be lost now.
    cluster[2].kill()
    wipe(cluster[2])
    cluster[2].launch().wait_ready()
    cluster.wait_healthy()
    assert read_all(cluster, "kept", 0) == before


def test_a_single_replica_moves_away_and_back(cluster):
    created = cluster.cli("topic", "create", "single", "-p", "1", "-r", "1")
    assert created.returncode == 0, created.stderr
    home = replicas(cluster, "single")[0][0]
    away = home % 3 + 1
    written = 0
    for place in (home, away, home, away, home):
        if replicas(cluster, "single")[0] != [place]:
            moved = cluster.cli("partition", "move", "single/0", "--to", str(place), timeout=180)
            assert moved.returncode == 0, moved.stdout + moved.stderr
        fill(cluster, "single", 300)
        written += 300
        assert len(read_all(cluster, "single", 0)) == written
    cluster[home].kill()
    cluster[home].launch().wait_ready()
    cluster.wait_healthy()
    assert len(read_all(cluster, "single", 0)) == written


def test_a_damaged_replica_is_repaired_from_its_peers(cluster):
    partitions = 3
    cluster.create_topic("load", partitions=partitions)
    fill(cluster, "load", 2000, partitions=partitions)
    member = cluster[2]
    found = cluster.metadata("load").topics["load"].partitions
    place = next(number for number, partition in found.items() if partition.replicas[0] == member.number)
    assert member.stop(60) == 0, member.log_tail()
    damaged = sorted(member.data.glob("groups/*"), key=lambda path: int(path.name))[place]
    for path in damaged.glob("*.seg"):
        content = bytearray(path.read_bytes())
        content[len(bytes(content).rstrip(b"\0")) // 2] ^= 0xFF
        path.write_bytes(content)
    member.launch().wait_ready()
    cluster.wait_healthy()
    # Nobody knows before it is read; so the broker is to lead, and to be asked.
    wait_until(lambda: cluster.cli("partition", "elect-leader").returncode == 0, "the leaders to be the preferred ones")
    assert len(read_all(cluster, "load", place)) == 2000, "others have what it cannot read"
    wait_until(lambda: member.metric("goulette_replicas_set_aside_total") == 1, "the damaged log is put aside", 60)
    cluster.wait_healthy()
    fill(cluster, "load", 300, partitions=partitions)
    assert [path.name.split("-")[0] for path in member.data.glob("damaged/*")] == [damaged.name]
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    assert holds_all(cluster, partitions)
    assert cluster.compare_replicas() >= partitions
    cluster.start()
    for partition in range(partitions):
        assert len(read_all(cluster, "load", partition)) == 2300


@pytest.mark.parametrize("stopped", [1, 3])
def test_a_founder_that_is_late_is_taken_in(new_cluster, stopped):
    cluster = new_cluster()
    for member in cluster.members:
        if member.number != stopped:
            member.launch()
    for member in cluster.members:
        if member.number != stopped:
            member.wait_ready()
    cluster.cli("topic", "create", "early", "-p", "3", "-r", "2")
    cluster[stopped].launch().wait_ready()
    cluster.create_topic("later", partitions=3)
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    cluster.verify()


def test_a_start_that_waits_for_others_stops_in_order(new_cluster):
    cluster = new_cluster()
    alone = cluster[1].launch()
    wait_until(lambda: "Waiting for brokers" in alone.log_path.read_text(), "it waits with an empty directory", 30)
    assert alone.stop(30) == 0, alone.log_tail()
    cluster.start()
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    # With data it waits for a controller instead.
    alone.launch()
    wait_until(lambda: phase_or_none(alone) == "controller", "it waits for the others", 30)
    assert alone.stop(30) == 0, alone.log_tail()
    assert "Stopped before the start was complete" in alone.log_tail()
    overview = alone.inspect("overview")
    assert overview.returncode == 0 and "state           closed" in overview.stdout, overview.stdout + overview.stderr
    cluster.start()


def phase_or_none(member):
    try:
        return phase(member)
    except OSError:
        return None
