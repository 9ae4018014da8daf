# SPDX-License-Identifier: Apache-2.0
"""What an operator meets: exit codes, the inspector, metrics, health, the command line."""

import json
import os
import shutil
import signal
import subprocess
import time

from confluent_kafka import Producer

from conftest import GOULETTE, INSPECT


def fill(broker, topic, count=2000, size=1000):
    producer = Producer({"bootstrap.servers": broker.bootstrap, "batch.num.messages": 50})
    for number in range(count):
        producer.produce(topic, b"%d " % number + os.urandom(size), partition=0)
    assert producer.flush(60) == 0


def test_wrong_configuration_names_the_line(tmp_path):
    config = tmp_path / "goulette.yaml"
    config.write_text("node:\n  id: 1\nstorage:\n  directorry: /nowhere\n")
    answer = subprocess.run([GOULETTE, "start", "--config", config], capture_output=True, text=True, timeout=20)
    assert answer.returncode == 78
    assert ":4" in answer.stderr and "directorry" in answer.stderr and "directory" in answer.stderr


def test_second_broker_on_a_directory_is_refused(broker):
    command = broker.command()
    command[command.index("--listen") + 1] = "127.0.0.1:0"
    command[command.index("--admin") + 1] = "127.0.0.1:0"
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert answer.returncode == 75, answer.stderr
    assert "locked" in answer.stderr


def test_a_flipped_byte_in_a_sealed_segment_is_named(new_broker):
    broker = new_broker().start()
    topic = broker.cli("topic", "create", "flip", "-p", "1", "-c", "segment.bytes=1048576")
    assert topic.returncode == 0, topic.stderr
    fill(broker, "flip", count=6000)
    assert broker.stop() == 0
    broker.verify()
    segments = sorted(p for p in broker.data.glob("groups/*/*.seg") if p.stat().st_size > 500_000)
    assert len(segments) >= 2, "the topic has sealed segments"
    damaged = segments[0]
    with open(damaged, "r+b") as file:
        file.seek(200_000)
        byte = file.read(1)
        file.seek(200_000)
        file.write(bytes([byte[0] ^ 0x10]))
    answer = broker.inspect("verify")
    assert answer.returncode == 21, answer.stdout + answer.stderr
    text = answer.stdout + answer.stderr
    assert "flip" in text and "offset" in text and damaged.name in text
    report = json.loads(broker.inspect("verify", "--json").stdout)
    (finding,) = report["damage"]
    assert finding["topic"] == "flip" and finding["partition"] == 0 and finding["offset"] >= 0


def test_inspector_reads_a_running_broker_and_changes_nothing(broker):
    fill(broker, "seen")
    for command in (["overview"], ["partitions"], ["batches", "seen/0"], ["records", "seen/0"],
                    ["index", "seen/0"], ["raft"], ["verify"]):
        answer = broker.inspect(*command)
        assert answer.returncode == 0, (command, answer.stdout, answer.stderr)
        assert answer.stdout.strip()
        as_json = broker.inspect(*command, "--json")
        assert as_json.returncode == 0, (command, as_json.stderr)
        # Not splitlines(): a record's value may hold characters that Python takes for line ends.
        lines = as_json.stdout.strip("\n").split("\n")
        for line in lines if command[0] == "records" else [as_json.stdout]:
            json.loads(line)


def test_metrics_are_what_promtool_accepts(broker):
    fill(broker, "measured")
    status, text = broker.get("/metrics")
    assert status == 200
    checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert broker.get("/health/live")[0] == 200 and broker.get("/health/ready")[0] == 200
    assert broker.get("/nothing")[0] == 404
    assert broker.metric("goulette_topic_records_total") >= 2000


def test_command_line_round_trip(broker):
    created = broker.cli("topic", "create", "words", "-p", "3", "-c", "retention.ms=3600000")
    assert created.returncode == 0, created.stderr
    again = broker.cli("topic", "create", "words")
    assert again.returncode == 1 and "TOPIC_ALREADY_EXISTS" in again.stderr
    produced = broker.cli("produce", "words", input="".join(f"word {n}\n" for n in range(100)))
    assert produced.returncode == 0, produced.stderr
    consumed = broker.cli("consume", "words", "--offset", "start", "-e")
    assert sorted(consumed.stdout.split("\n")[:-1]) == sorted(f"word {n}" for n in range(100)), consumed.stderr
    listed = json.loads(broker.cli("topic", "list", "-o", "json").stdout)
    assert "words" in json.dumps(listed)
    described = broker.cli("topic", "describe", "words", "-o", "json")
    assert described.returncode == 0 and "3600000" in described.stdout
    grouped = broker.cli("consume", "words", "-g", "readers", "-n", "100")
    assert grouped.returncode == 0 and len(grouped.stdout.splitlines()) == 100, grouped.stderr
    assert "readers" in broker.cli("group", "list").stdout
    assert broker.cli("group", "describe", "readers").returncode == 0
    assert broker.cli("topic", "alter", "words", "-c", "segment.ms=60000").returncode == 0
    assert broker.cli("topic", "delete", "words", "-y").returncode == 0
    assert "words" not in broker.cli("topic", "list").stdout
    unreachable = subprocess.run(
        [GOULETTE, "topic", "list", "-b", "127.0.0.1:1"], capture_output=True, text=True, timeout=60)
    assert unreachable.returncode == 69, unreachable.stderr


def test_bench_verifies_what_it_wrote(broker):
    answer = broker.cli("bench", "e2e", "measured", "--count", "20000", "--size", "200", "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["parameters"]["idempotent"] == "yes"


def test_a_copy_of_a_killed_brokers_directory_opens(new_broker, tmp_path):
    broker = new_broker().start()
    fill(broker, "copied")
    broker.kill()
    copy = new_broker("copy")
    shutil.copytree(broker.data, copy.data)
    copy.start()
    assert copy.stop() == 0
    copy.verify()


def test_retention_by_bytes_deletes_old_segments(new_broker):
    broker = new_broker(environment={"GOULETTE_STORAGE__RETENTION_CHECK_INTERVAL": "200ms"}).start()
    assert broker.cli("topic", "create", "short", "-p", "1", "-c", "segment.bytes=1048576",
                      "-c", "retention.bytes=3145728").returncode == 0
    fill(broker, "short", count=20000)
    deadline = time.monotonic() + 30
    while broker.metric("goulette_partition_log_start_offset") == 0:
        assert time.monotonic() < deadline, "retention never advanced the log start"
        time.sleep(0.1)  # A metric is asked for again until it changes, up to the deadline.


def test_sigterm_drains_and_exits_cleanly(broker):
    fill(broker, "drained")
    broker.process.send_signal(signal.SIGTERM)
    assert broker.process.wait(20) == 0, broker.log_tail()
    assert INSPECT.exists()


def wait_for_checkpoints(broker, more):
    """Until everything that was written before is in its segment and indexed: a checkpoint that began later is over."""
    wanted = broker.metric("goulette_store_checkpoint_seconds_count") + more
    deadline = time.monotonic() + 20
    while broker.metric("goulette_store_checkpoint_seconds_count") < wanted:
        assert time.monotonic() < deadline, "no checkpoint"
        fill(broker, "ticking", count=1, size=1)  # An idle store has nothing to check.


def test_damage_found_at_the_start_is_named_and_nothing_is_served(new_broker):
    broker = new_broker(environment={"GOULETTE_STORAGE__CHECKPOINT_INTERVAL": "100ms"}).start()
    fill(broker, "damaged", count=100)
    wait_for_checkpoints(broker, 2)
    broker.kill()
    (segment,) = [p for p in broker.data.glob("groups/*/*.seg") if p.stat().st_size > 90_000]
    content = segment.read_bytes()
    last = len(content.rstrip(b"\0")) - 40
    segment.write_bytes(content[:last] + bytes([content[last] ^ 0x40]) + content[last + 1:])
    answer = subprocess.run(broker.command(), capture_output=True, text=True, timeout=30)
    assert answer.returncode == 21, answer.stderr
    assert "damaged/0" in answer.stderr and "byte" in answer.stderr and segment.name in answer.stderr
    assert broker.inspect("verify").returncode == 21


def test_the_configuration_is_read_again(tmp_path, new_broker):
    config = tmp_path / "goulette.yaml"
    config.write_text("topics:\n  retention_ms: 1000000\n")
    broker = new_broker(arguments=["--config", str(config)]).start()
    assert broker.cli("topic", "create", "old").returncode == 0

    def retention(topic):
        described = json.loads(broker.cli("topic", "describe", topic, "--configs", "-o", "json").stdout)
        return next(s["value"] for s in described[0]["settings"] if s["name"] == "retention.ms")

    def reload_and_read_log(message):
        seen = broker.log_path.read_text().count(message)
        broker.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 20
        while broker.log_path.read_text().count(message) == seen:
            assert time.monotonic() < deadline and broker.process.poll() is None, broker.log_tail()
            time.sleep(0.02)  # Another process: it tells by its log, and the deadline fails the test.
        return [line for line in broker.log_path.read_text().splitlines() if message in line][-1]

    assert retention("old") == "1000000"
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10.yaml").write_text("topics:\n  retention_ms: 2000000\n  auto_create: false\n")
    config.write_text("log:\n  level: debug\nstorage:\n  compression_level: 3\n")
    line = reload_and_read_log("Configuration read again")
    assert "topics.retention_ms: 1000000 -> 2000000" in line and "log.level: info -> debug" in line
    assert "storage.compression_level: 1 -> 3" in line.split("after_restart")[1]
    assert retention("old") == "2000000"
    producer = Producer({"bootstrap.servers": broker.bootstrap, "message.timeout.ms": 2000})
    failures = []
    producer.produce("absent", b"x", on_delivery=lambda error, _: failures.append(error))
    producer.flush(10)
    assert failures and failures[0] is not None, "topics are not created any more"

    (tmp_path / "conf.d" / "20.yaml").write_text("topics:\n  retention_ms: 3000000\nlog:\n  levle: info\n")
    line = reload_and_read_log("nothing was changed")
    assert "20.yaml:4" in line and "log.level" in line
    assert retention("old") == "2000000"


def test_what_would_be_read_is_explained(tmp_path):
    config = tmp_path / "goulette.yaml"
    config.write_text("node:\n  rack: a\n")
    (tmp_path / "rack").write_text("b\n")
    answer = subprocess.run(
        [GOULETTE, "config", "explain", "node.rack", "--config", config, "-o", "json"], capture_output=True, text=True,
        timeout=20, env={**os.environ, "GOULETTE_NODE__RACK_FILE": str(tmp_path / "rack")})
    assert answer.returncode == 0, answer.stderr
    (key,) = json.loads(answer.stdout)
    assert key["value"] == "b" and [layer["value"] for layer in key["layers"]] == ["", "a", "b"]
    assert key["layers"][1]["from"].endswith("goulette.yaml:2")
    sample = subprocess.run([GOULETTE, "config", "sample"], capture_output=True, text=True, timeout=20)
    assert sample.returncode == 0 and "#directory:" in sample.stdout


def test_what_lies_on_disk(broker):
    fill(broker, "stored")
    (replica,) = json.loads(broker.cli("log", "dirs", "stored", "-o", "json").stdout)
    assert replica["partition"] == 0 and replica["bytes"] > 100_000 and replica["directory"] == str(broker.data)
    assert "stored/0" in broker.cli("log", "dirs").stdout
    assert "UNKNOWN_TOPIC_OR_PARTITION" in broker.cli("log", "dirs", "absent").stderr
    assert "broker 9" in broker.cli("log", "dirs", "--broker", "9").stderr
    assert broker.cli("log", "dirs", "stored", "-o", "yaml").stdout.startswith("- topic: stored\n  partition: 0\n")
    quorum = json.loads(broker.cli("cluster", "quorum", "-o", "json").stdout)
    assert quorum["leader"] == 1 and [member["broker"] for member in quorum["members"]] == [1]
    assert quorum["committed"] >= 1
