# SPDX-License-Identifier: Apache-2.0
"""The inspector on real directories: beside a broker under load, on damage, on a terminal, and what programs read."""

import fcntl
import hashlib
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import threading
import time

import pytest

from brokers import Cluster
from conftest import INSPECT, ROOT

COMMANDS = (
    ["overview"], ["partitions"], ["segments", "seen/0"], ["batches", "seen/0"], ["records", "seen/0"],
    ["records", "seen/0", "--show-values"], ["index", "seen/0"], ["raft"], ["raft", "seen/0"], ["raft", "controller"],
    ["verify"], ["verify", "--fast"], ["metadata"], ["metadata", "--topic", "seen"],
)

FINDING = {"kind", "topic", "partition", "group", "file"}

# What programs may rely on: docs/INSPECTOR.md lists the same keys.
KEYS = {
    "overview": {"directory", "formatVersion", "node", "cluster", "createdAt", "closedCleanly", "closedAt", "openBy",
                 "partitions", "topics", "stateMachines", "highestTerm", "journal", "files", "columnFamilies",
                 "largestPartitions", "warnings"},
    "partitions": {"partition", "topic", "partitionIndex", "group", "logStartOffset", "endOffset", "firstIndex",
                   "lastIndex", "term", "segments", "frames", "frameBytes", "fileBytes", "compressionRatio",
                   "oldestTimestamp", "newestTimestamp", "isDamaged"},
    "segments": {"firstIndex", "lastIndex", "baseOffset", "endOffset", "frames", "frameBytes", "fileBytes", "end",
                 "oldestTimestamp", "newestTimestamp", "keysThrough", "committedThrough", "file"},
    "batches": {"baseOffset", "lastOffset", "leaderEpoch", "records", "bytes", "codec", "producerId", "producerEpoch",
                "baseSequence", "isTransactional", "isControl", "baseTimestamp", "maxTimestamp", "timestampType",
                "index", "frameCodec", "file", "position", "isInJournal", "crc"},
    "records": {"topic", "partition", "offset", "timestamp", "timestampMilliseconds", "key", "headers", "keyBytes",
                "valueBytes", "leaderEpoch"},
    "index": {"kind", "key", "offset", "index", "timestamp", "segment", "position", "bytes"},
    "raft": {"group", "id", "term", "vote", "voters", "firstIndex", "lastIndex", "appliedIndex", "state"},
    "metadata": {"cluster", "brokers", "topics", "groups", "partitions", "operations"},
    "verify": {"clean", "depth", "partitions", "stateMachines", "frames", "bytes", "damaged", "damage", "skipped",
               "warnings"},
}


def fill(broker, topic, count=2000, size=100):
    lines = "".join(f"k{n}:{n:0{size}d}\n" for n in range(count))
    done = subprocess.run(
        ["kcat", "-b", broker.bootstrap, "-t", topic, "-P", "-K:", "-H", "source=test"], input=lines, text=True,
        capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr


def fingerprint(root):
    """Names, kinds, sizes, times and contents."""
    prints = {}
    for path in sorted(root.rglob("*")):
        status = path.stat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        prints[str(path.relative_to(root))] = (status.st_mode, status.st_size, status.st_mtime_ns, content)
    return prints


def test_the_inspector_never_changes_a_directory(new_broker):
    broker = new_broker().start()
    fill(broker, "seen")
    broker.kill()
    before = fingerprint(broker.data)
    for command in COMMANDS:
        for extra in ([], ["--json"]):
            answer = broker.inspect(*command, *extra)
            assert answer.returncode == 0, (command, answer.stdout, answer.stderr)
            assert fingerprint(broker.data) == before, command


def test_the_inspector_beside_a_broker_under_load(new_broker):
    broker = new_broker(environment={"GOULETTE_STORAGE__RETENTION_CHECK_INTERVAL": "200ms",
                                     "GOULETTE_STORAGE__CHECKPOINT_INTERVAL": "200ms"}).start()
    assert broker.cli("topic", "create", "seen", "-p", "3", "-c", "segment.bytes=1048576",
                      "-c", "retention.bytes=2097152").returncode == 0
    stop = threading.Event()

    def load():
        while not stop.is_set():
            fill(broker, "seen", count=20000, size=300)

    def topics():
        number = 0
        while not stop.is_set():
            number += 1
            broker.cli("topic", "create", f"brief{number}")
            broker.cli("topic", "delete", f"brief{number}", "-y")

    fill(broker, "seen")
    threads = [threading.Thread(target=load), threading.Thread(target=topics)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 15
        runs = 0
        while time.monotonic() < deadline or runs < 3:
            answer = broker.inspect("verify")
            assert answer.returncode == 0, answer.stdout + answer.stderr
            for command in (["overview"], ["partitions"], ["segments", "seen/0"], ["raft"], ["metadata"]):
                answer = broker.inspect(*command)
                assert answer.returncode == 0, (command, answer.stdout, answer.stderr)
            runs += 1
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    broker.kill()
    broker.verify()
    broker.start()
    assert broker.stop() == 0
    broker.verify()


def test_json_has_the_documented_keys(new_broker):
    broker = new_broker().start()
    fill(broker, "seen")
    assert broker.stop() == 0
    documented = (ROOT / "docs/INSPECTOR.md").read_text()
    for command, keys in KEYS.items():
        arguments = [command] + (["seen/0"] if command in ("segments", "batches", "records", "index") else [])
        output = broker.inspect(*arguments, "--json").stdout
        if command == "records":
            first = json.loads(output.split("\n")[0])
        else:
            parsed = json.loads(output)
            first = parsed[0] if isinstance(parsed, list) else parsed
        assert set(first) == keys, command
        for key in keys:
            assert f"`{key}`" in documented, (command, key)
    entries = json.loads(broker.inspect("raft", "seen/0", "--json").stdout)
    assert entries["group"]["name"] == "seen/0" and entries["entries"][0]["kind"] == "noop"
    # The form that the documents promise: one row a line.
    assert len(broker.inspect("batches", "seen/0", "--json").stdout.split("\n")) > 2


def test_records_are_filtered_and_formatted(new_broker):
    broker = new_broker().start()
    fill(broker, "seen", count=300)
    assert broker.stop() == 0

    def lines(*arguments):
        answer = broker.inspect("records", "seen/0", *arguments)
        assert answer.returncode == 0, answer.stderr
        return answer.stdout.split("\n")[:-1]

    assert lines("-f", "%p/%o %k %V\\n", "--from", "10", "--to", "12") == [f"0/{n} k{n} 100" for n in (10, 11, 12)]
    assert lines("--key", "k7", "-f", "%o\\n") == ["7"]
    assert lines("--header", "source=test", "-f", "%o\\n", "--limit", "0") == [str(n) for n in range(300)]
    assert lines("--header", "source=other", "-f", "%o\\n") == []
    assert lines("--grep", "0000123", "-f", "%k\\n") == ["k123"]
    assert lines("--at", "2999-01-01", "-f", "%o\\n") == []
    assert len(lines("--at", "-1h", "-f", "%o\\n")) == 300
    hidden, shown = "\n".join(lines()), "\n".join(lines("--show-values"))
    assert "0000123" not in hidden and "100 B" in hidden and "0000123" in shown
    assert "k123".encode().hex() in "\n".join(lines("--hex"))
    assert "value" not in json.loads(lines("--json")[0])
    assert json.loads(lines("--json", "--show-values")[0])["value"] == "0" * 100
    limited = broker.inspect("records", "seen/0", "--limit", "5")
    assert len(limited.stdout.splitlines()) == 6 and "--limit 0" in limited.stderr


def plain(text, *names):
    """Output without what differs from run to run: ids, entries, times and ports are replaced by as many letters."""
    for name in names:
        text = text.replace(name, "I" * len(name))
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d\.\d{3})?", lambda found: "T" * len(found[0]), text)
    return re.sub(r"entry \d+ of", "entry N of", text)


METADATA = """\
cluster           IIIIIIIIIIIIIIIIIIIIII
applied           entry N of term 1
last operation    5
next group        1028
next producer id  0
balance           not due

TOPIC   ID                      PARTITIONS  CONFIGURATION
orders  IIIIIIIIIIIIIIIIIIIIII           2  retention.ms=86400000
other   IIIIIIIIIIIIIIIIIIIIII           1  -

PARTITION  GROUP  REPLICAS  PREFERRED  TERM HERE  REJOINING  CHANGE
orders/0    1024  1                 1          1  -          -
orders/1    1025  1                 1          1  -          -
other/0     1026  1                 1          1  -          -

OPERATION  TIME                     ACTOR       COMMAND      ABOUT
        1  TTTTTTTTTTTTTTTTTTTTTTT  controller  initialize   IIIIIIIIIIIIIIIIIIIIII
        2  TTTTTTTTTTTTTTTTTTTTTTT  client      createTopic  orders IIIIIIIIIIIIIIIIIIIIII: group 1024 on 1; \
group 1025 on 1 retention.ms=86400000
        3  TTTTTTTTTTTTTTTTTTTTTTT  client      createTopic  other IIIIIIIIIIIIIIIIIIIIII: group 1026 on 1
        4  TTTTTTTTTTTTTTTTTTTTTTT  client      createTopic  brief IIIIIIIIIIIIIIIIIIIIII: group 1027 on 1
        5  TTTTTTTTTTTTTTTTTTTTTTT  client      deleteTopic  IIIIIIIIIIIIIIIIIIIIII
"""


def test_metadata_of_a_directory(new_broker):
    broker = new_broker().start()
    assert broker.cli("topic", "create", "orders", "-p", "2", "-c", "retention.ms=86400000").returncode == 0
    assert broker.cli("topic", "create", "other").returncode == 0
    assert broker.cli("topic", "create", "brief").returncode == 0
    assert broker.cli("topic", "delete", "brief", "-y").returncode == 0
    beside = broker.inspect("metadata", "--json").stdout
    assert broker.stop() == 0

    def metadata(*arguments):
        answer = broker.inspect("metadata", "--json", *arguments)
        assert answer.returncode == 0 and answer.stderr == "", answer.stderr
        return json.loads(answer.stdout)

    found = metadata()
    assert found == json.loads(beside)
    # The other parts of the object have columns of their own, which are documented as well.
    documented = (ROOT / "docs/INSPECTOR.md").read_text()
    for row in (found["cluster"], found["topics"][0], found["partitions"][0], found["operations"][0]):
        assert not [key for key in row if f"`{key}`" not in documented]
    ids = [found["operations"][n]["about"].split(" ")[n in (1, 3)].rstrip(":") for n in (0, 1, 3)]
    text = broker.inspect("metadata").stdout
    assert plain(text, *ids, *(topic["id"] for topic in found["topics"])) == METADATA

    assert found["topics"][0]["configuration"] == {"retention.ms": "86400000"}
    assert [p["partition"] for p in metadata("--topic", "orders")["partitions"]] == ["orders/0", "orders/1"]
    assert [o["operation"] for o in metadata("--topic", "orders")["operations"]] == [2]
    assert [o["operation"] for o in metadata("--operations", "2")["operations"]] == [4, 5]
    assert [o["operation"] for o in metadata("--operations", "0")["operations"]] == [1, 2, 3, 4, 5]
    assert len(metadata("--broker", "1")["partitions"]) == 3
    for name, value in (("--topic", "nothing"), ("--broker", "7")):
        unknown = broker.inspect("metadata", name, value)
        assert unknown.returncode == 1 and value in unknown.stderr and unknown.stdout == ""
    assert broker.inspect("metadata", "--operations", "-1").returncode == 64


BROKERS = """\
BROKER  STATE   SINCE             CLIENTS          BROKERS          RACK  REPLICAS  LOST
     1  active  TTTTTTTTTTTTTTTT  127.0.0.1:PPPPP  127.0.0.1:PPPPP  -            4  -
     2  active  TTTTTTTTTTTTTTTT  127.0.0.1:PPPPP  127.0.0.1:PPPPP  -            4  -
     3  active  TTTTTTTTTTTTTTTT  127.0.0.1:PPPPP  127.0.0.1:PPPPP  -            4  -
"""


def test_metadata_of_a_cluster(tmp_path):
    cluster = Cluster(tmp_path).start()
    try:
        cluster.create_topic("seen", partitions=4)
        beside = cluster[2].inspect("metadata", "--json")
        assert beside.returncode == 0, beside.stderr
    finally:
        cluster.stop()
    found = json.loads(beside.stdout)
    assert {broker["broker"] for broker in found["brokers"]} == {1, 2, 3}
    assert found["brokers"][1]["address"] == cluster[2].bootstrap
    documented = (ROOT / "docs/INSPECTOR.md").read_text()
    assert not [key for key in found["brokers"][0] if f"`{key}`" not in documented]
    assert all(sorted(p["replicas"]) == [1, 2, 3] and p["term"] >= 1 for p in found["partitions"])
    stored = [json.loads(member.inspect("metadata", "--json").stdout) for member in cluster.members]
    for one in stored:
        assert one["topics"] == found["topics"] and one["cluster"]["clusterId"] == found["cluster"]["clusterId"]
    only = json.loads(cluster[1].inspect("metadata", "--broker", "2", "--json").stdout)
    assert [broker["broker"] for broker in only["brokers"]] == [2] and len(only["partitions"]) == 4
    assert {"registerBroker", "unfenceBroker"} <= {operation["command"] for operation in only["operations"]}
    text = cluster[1].inspect("metadata").stdout
    table = text.split("\n\n")[1] + "\n"
    assert re.sub(r":\d{5}", ":PPPPP", plain(table)) == BROKERS


def test_metadata_that_cannot_be_read(new_broker):
    broker = new_broker().start()
    for number in range(40):
        assert broker.cli("topic", "create", f"topic-{number}", "-c", "retention.ms=86400000").returncode == 0
    assert broker.stop() == 0
    # What was in RocksDB's log goes to tables with the next start.
    assert broker.start().stop() == 0
    # Tables name their column family.
    tables = [path for path in (broker.data / "rocksdb").glob("*.sst") if b"controller" in path.read_bytes()]
    assert tables
    for table in tables:
        content = bytearray(table.read_bytes())
        for place in range(0, len(content) // 2, 64):
            content[place] ^= 0x55
        table.write_bytes(content)
    damaged = broker.inspect("metadata")
    assert damaged.returncode == 21 and "rocksdb" in damaged.stderr, (damaged.stdout, damaged.stderr)


def on_a_terminal(command, columns=100, environment=None):
    """What a command prints on a terminal of that width."""
    primary, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        command, stdout=secondary, stderr=secondary, env={**os.environ, "TERM": "xterm", **(environment or {})})
    os.close(secondary)
    output = b""
    while True:
        try:
            piece = os.read(primary, 65536)
        except OSError:
            break
        if not piece:
            break
        output += piece
    process.wait(60)
    os.close(primary)
    return output.decode()


def visible(text):
    """Without colours and redrawn progress."""
    lines = [re.sub(r"\x1b\[[0-9;]*[mK]", "", line).split("\r")[-1] for line in text.replace("\r\n", "\n").split("\n")]
    return lines


def test_no_line_wraps_and_colours_are_for_terminals(new_broker):
    broker = new_broker().start()
    fill(broker, "seen", count=1200)
    long = "a-topic-with-a-name-that-is-as-long-as-the-names-of-topics-are-in-large-organisations.v1"
    fill(broker, long, count=50)
    assert broker.stop() == 0
    for command in COMMANDS + (["batches", f"{long}/0"], ["segments", f"{long}/0"]):
        full = [str(INSPECT), command[0], str(broker.data), *command[1:]]
        text = on_a_terminal(full)
        for line in visible(text):
            assert len(line) <= 100, (command, line)
        piped = subprocess.run(full, capture_output=True, text=True, timeout=60)
        assert "\x1b" not in piped.stdout, command
        assert "\x1b" not in on_a_terminal([*full, "--no-color"]).replace("\x1b[K", ""), command
        assert "\x1b" not in on_a_terminal(full, environment={"NO_COLOR": "1"}).replace("\x1b[K", ""), command
    assert "\x1b[32mclean\x1b[0m" in on_a_terminal([str(INSPECT), "verify", str(broker.data)])
    names = subprocess.run([str(INSPECT), "partitions", str(broker.data)], capture_output=True, text=True).stdout
    assert f"{long}/0" in names


def test_damage_is_reported_and_the_rest_is_shown(new_broker):
    broker = new_broker().start()
    assert broker.cli("topic", "create", "seen", "-c", "segment.bytes=1048576").returncode == 0
    for _ in range(4):
        fill(broker, "seen", count=3000, size=300)
    assert broker.stop() == 0
    whole = broker.inspect("records", "seen/0", "--limit", "0", "-f", "%o\\n").stdout.splitlines()
    entries = json.loads(broker.inspect("raft", "seen/0", "--limit", "0", "--json").stdout)["entries"]
    frame = next(entry for entry in entries if entry["recordCount"] > 0 and entry["bytes"] > 200)
    path = broker.data / frame["file"]
    content = bytearray(path.read_bytes())
    content[frame["position"] + 96 + 50] ^= 1
    path.write_bytes(content)
    report = json.loads(broker.inspect("verify", "--json").stdout)
    (damage,) = report["damage"]
    assert set(damage) == FINDING | {"offset", "index", "position", "reason"}
    assert damage["kind"] == "payload" and damage["topic"] == "seen" and damage["partition"] == 0
    assert damage["file"] == frame["file"] and damage["position"] == frame["position"]
    assert damage["offset"] == frame["baseOffset"] and damage["index"] == frame["index"]
    (skipped,) = report["skipped"]
    assert set(skipped) == FINDING | {"position", "bytes", "reason"} and skipped["kind"] == "undecodable"
    answer = broker.inspect("records", "seen/0", "--limit", "0", "-f", "%o\\n")
    assert answer.returncode == 21 and "skipped" in answer.stderr and frame["file"] in answer.stderr
    lost = {str(n) for n in range(frame["baseOffset"], frame["baseOffset"] + frame["recordCount"])}
    assert answer.stdout.splitlines() == [offset for offset in whole if offset not in lost]
    assert broker.inspect("verify", "--partition", "controller").returncode == 0
    assert broker.inspect("verify", "--partition", "seen/0").returncode == 21
    assert broker.inspect("verify", "--fast").returncode == 0


def test_what_is_no_store_is_refused(new_broker, tmp_path):
    def inspect(*arguments, **options):
        return subprocess.run([str(INSPECT), *arguments], capture_output=True, text=True, timeout=60, **options)

    nothing = inspect("overview", str(tmp_path / "nothing"))
    assert nothing.returncode == 1 and "no such directory" in nothing.stderr
    empty = inspect("verify", str(tmp_path))
    assert empty.returncode == 1 and "not a data directory" in empty.stderr
    for usage in (["verify"], ["overview", str(tmp_path), "--colour"], ["nonsense"],
                  ["records", str(tmp_path), "a/0", "-f", "%y"], ["batches", str(tmp_path), "a/0", "--at", "soon"],
                  ["records", str(tmp_path), "a/0", "--from", "-1"]):
        assert inspect(*usage).returncode == 64, usage
    broker = new_broker().start()
    fill(broker, "seen")
    assert broker.stop() == 0
    unknown = broker.inspect("batches", "seen/9")
    assert unknown.returncode == 1 and "no such partition" in unknown.stderr
    if os.geteuid() == 0 and shutil.which("setpriv"):
        os.chmod(broker.data, 0o700)
        denied = inspect("overview", str(broker.data), preexec_fn=lambda: os.setuid(65534))
        assert denied.returncode == 1 and "not allowed" in denied.stderr, denied.stderr
    shutil.rmtree(broker.data / "rocksdb")
    lost = broker.inspect("verify")
    assert lost.returncode == 21 and "index database is not there" in lost.stderr


def test_a_closed_pipe_is_no_error(new_broker):
    broker = new_broker().start()
    fill(broker, "seen", count=20000)
    assert broker.stop() == 0
    process = subprocess.Popen(
        [str(INSPECT), "records", str(broker.data), "seen/0", "--limit", "0"], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0 and process.stderr.read() == b""


@pytest.mark.parametrize("command", ["verify", "partitions"])
def test_memory_does_not_grow_with_the_store(new_broker, command):
    broker = new_broker().start()
    sizes = []
    for rounds in (1, 6):
        for _ in range(rounds):
            done = broker.cli("bench", "produce", "seen", "--count", "60000", "--size", "1000")
            assert done.returncode == 0, done.stderr
        peak = subprocess.run(
            ["/usr/bin/env", "python3", "-c",
             "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
             "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
             str(INSPECT), command, str(broker.data)], capture_output=True, text=True, timeout=120)
        assert peak.returncode == 0, peak.stderr
        sizes.append(int(peak.stdout))
    assert sizes[1] < sizes[0] + 32 * 1024, sizes
