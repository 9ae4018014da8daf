# SPDX-License-Identifier: Apache-2.0
"""A fourth broker joins under load, one leaves, and an operator moves partitions and leaders by the command line."""

import json
import os
import subprocess
import time

import pytest
from brokers import GOULETTE, Member, wait_until
from load import Load, check

# What the topic holds when the fourth broker comes; more shows how long a move takes, fewer that it works.
MEGABYTES = int(os.environ.get("GOULETTE_GROWTH_MEGABYTES", "20"))


def admin(member, *arguments, timeout=180):
    """A command that asks a broker's admin server; as JSON when it prints any."""
    answer = subprocess.run(
        [str(GOULETTE), *arguments, "--admin", f"127.0.0.1:{member.admin_port}"], capture_output=True, text=True,
        timeout=timeout)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return json.loads(answer.stdout) if "-o" in arguments else answer.stdout


def brokers(member):
    return {broker["id"]: broker for broker in admin(member, "broker", "list", "-o", "json")}


def moved_bytes(cluster):
    """Bytes that brokers sent to each other since they were started."""
    return sum(member.metric("goulette_peer_sent_bytes_total") for member in cluster.running)


def replicas(cluster, topic):
    return {index: sorted(p.replicas) for index, p in cluster.metadata(topic).topics[topic].partitions.items()}


@pytest.fixture
def fourth(cluster):
    """A broker that joins the cluster; not started yet."""
    home = cluster.members[0].directory.parent / "broker-4"
    home.mkdir()
    member = Member(home, 4, {"cluster.join": True})
    member.settings["listeners.peer"] = f"127.0.0.1:{member.peer_port}"
    member.write_config([f"{other.number}@127.0.0.1:{other.peer_port}" for other in cluster.members])
    cluster.members.append(member)
    return member


def test_a_broker_joins_and_another_leaves_under_load(cluster, fourth):
    cluster.create_topic("load", partitions=6)
    load = Load(cluster, "load", 6, body=lambda: os.urandom(1000))
    load.wait_for(MEGABYTES * 1000, timeout=300)
    began, sent, records = time.monotonic(), moved_bytes(cluster), load.count()
    fourth.launch().wait_ready()
    wait_until(lambda: brokers(cluster[1]).get(4, {}).get("state") == "active", "broker 4 is active")
    moved = cluster.cli("partition", "move", "load/0", "--to", "4,2,3", timeout=180)
    assert moved.returncode == 0, moved.stdout + moved.stderr
    assert replicas(cluster, "load")[0] == [2, 3, 4]
    print(admin(cluster[2], "broker", "decommission", "1", "--timeout", "150s", timeout=200))
    # It runs on, and asks to be let in again; nothing must come of that.
    wait_until(lambda: "does not take this broker" in cluster[1].log_path.read_text(), "broker 1 is refused", 30)
    assert 1 not in brokers(cluster[2])
    assert all(1 not in ids for ids in replicas(cluster, "load").values())
    seconds, sent, during = time.monotonic() - began, moved_bytes(cluster) - sent, load.count() - records
    print(f"a fourth broker in, the first out: {seconds:.1f} s, {sent / 1e6:.0f} MB between brokers; the topic held "
          f"{records * 1e-3:.0f} MB, {during} records of 1 kB were acknowledged meanwhile")
    assert cluster[1].stop(60) == 0, cluster[1].log_tail()
    load.wait_for(1000)
    load.stop()
    survivors = [member for member in cluster.members if member.number != 1]
    cluster.members = survivors
    print(f"{check(cluster, load)} records, each once; {load.longest_gap(began)} ms at most without one in a partition")
    cluster.wait_healthy()
    assert cluster.stop() == [0, 0, 0], cluster.log_tails()
    print(f"{cluster.compare_replicas()} segments are equal on all that hold them")


def test_draining_before_a_restart(cluster):
    cluster.create_topic("t", partitions=6)
    admin(cluster[1], "broker", "drain", "2", "--timeout", "60s")
    assert 2 not in cluster.leaders("t")
    assert brokers(cluster[3])[2]["state"] == "draining"
    admin(cluster[3], "broker", "resume", "2", "--timeout", "60s")
    wait_until(lambda: brokers(cluster[1])[2]["state"] == "active", "broker 2 takes part again")
    elected = cluster.cli("partition", "elect-leader")
    assert elected.returncode == 0, elected.stderr
    wait_until(lambda: len(cluster.leaders("t")) == 3, "leaders are back", 30)


def test_a_plan_moves_partitions(cluster, tmp_path):
    created = cluster.cli("topic", "create", "single", "-p", "6", "-r", "1")
    assert created.returncode == 0, created.stderr
    proposed = cluster.cli("partition", "reassign", "plan", "single")
    assert proposed.returncode == 0 and "partitions" in json.loads(proposed.stdout), proposed.stderr
    # As uneven as can be: what an operator arranges stays.
    wanted = {index: [1] for index in replicas(cluster, "single")}
    file = tmp_path / "plan.json"
    file.write_text(json.dumps({"version": 1, "partitions": [
        {"topic": "single", "partition": index, "replicas": ids} for index, ids in wanted.items()]}))
    applied = cluster.cli("partition", "reassign", "apply", str(file), timeout=180)
    assert applied.returncode == 0, applied.stdout + applied.stderr
    wait_until(lambda: replicas(cluster, "single") == wanted, "the partitions are where the plan says", 30)
    wait_until(
        lambda: "no moves" in cluster.cli("partition", "reassign", "status").stdout, "no moves are under way", 30)
    # The controller plans once a second: several times while these are created.
    for number in range(3):
        cluster.create_topic(f"later-{number}", partitions=1)
    assert replicas(cluster, "single") == wanted


def test_who_leads_when_some_cannot_be_reached(cluster):
    cluster.create_topic("t", partitions=6)
    view = admin(cluster[1], "topic", "leader", "t", "--unreachable", "3", "-o", "json")
    assert view["reachable"] == [3] and view["failed"] == []
    cluster[3].kill()
    view = admin(cluster[1], "topic", "leader", "t", "--unreachable", "3", "-o", "json")
    assert view["failed"] == [3]
    assert all(partition["leader"] in (1, 2) for partition in view["partitions"])
    cluster[3].launch().wait_ready()
    cluster.wait_healthy()


def test_operations_are_listed_and_replayed(cluster, tmp_path):
    cluster.create_topic("seen", partitions=2)
    operations = admin(cluster[2], "cluster", "operations", "-o", "json")
    assert [entry["id"] for entry in operations] == list(range(1, len(operations) + 1))
    kinds = [entry["kind"] for entry in operations]
    assert kinds[0] == "initialize" and kinds.count("registerBroker") == 3 and "createTopic" in kinds
    file = tmp_path / "operations.json"
    exported = admin(cluster[2], "cluster", "operations", "--all", "-o", "json")
    file.write_text(json.dumps(exported))
    replayed = admin(cluster[2], "cluster", "operations", "--replay", str(file), "-o", "json")
    assert replayed["operations"] == len(exported)
    assert [broker["id"] for broker in replayed["brokers"]] == [1, 2, 3]
    served = cluster.metadata("seen").topics["seen"].partitions
    assert replayed["topics"] == [{"name": "seen", "replicas": [list(served[n].replicas) for n in (0, 1)]}]
    file.write_text(json.dumps(exported[1:]))
    broken = subprocess.run(
        [str(GOULETTE), "cluster", "operations", "--replay", str(file)], capture_output=True, text=True, timeout=60)
    assert broken.returncode == 1 and "operation 0 is followed by 2" in broken.stderr, broken.stderr
