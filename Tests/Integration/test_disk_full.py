# SPDX-License-Identifier: Apache-2.0
"""A disk of its own that fills up: what is refused, what goes on, what comes back, and what never gets lost."""

import hashlib
import os
import pathlib
import subprocess
import time

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from test_groups import commits

MIB = 1 << 20
RESERVE = 48 * MIB
JOURNAL = 32 * MIB
TOPIC = "filling"
ENVIRONMENT = {
    "GOULETTE_STORAGE__DISK_RESERVE_BYTES": str(RESERVE),
    "GOULETTE_STORAGE__JOURNAL_FILE_BYTES": str(JOURNAL // 4),
    "GOULETTE_STORAGE__RETENTION_CHECK_INTERVAL": "200ms",
    "GOULETTE_STORAGE__CHECKPOINT_INTERVAL": "1s",
}


@pytest.fixture(params=["ext4", "tmpfs"])
def disk(request, tmp_path):
    """A file system of 256 MiB under the broker's directory."""
    place = tmp_path / "broker"
    place.mkdir()
    if request.param == "tmpfs":
        command = ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(place)]
    else:
        image = tmp_path / "disk.img"
        image.touch()
        os.truncate(image, 256 * MIB)
        made = subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], capture_output=True, text=True)
        if made.returncode != 0:
            pytest.skip(f"no ext4 image can be made: {made.stderr.strip()}")
        command = ["mount", "-o", "loop", str(image), str(place)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"mounting a {request.param} was refused: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def free_bytes(disk):
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


class Filler:
    """Produces records that do not shrink, without retries, and remembers what was acknowledged and what was not."""

    def __init__(self, broker):
        # Without retries the broker's own answer reaches the application.
        self.producer = Producer({
            "bootstrap.servers": broker.bootstrap, "acks": "all", "retries": 0, "linger.ms": 5,
            "compression.type": "none", "message.timeout.ms": 20000,
        })
        self.acknowledged = {}
        self.errors = []

    def delivered(self, error, message):
        if error:
            self.errors.append(error)
        else:
            digest = hashlib.sha256(message.value()).digest()
            self.acknowledged[message.partition(), message.offset()] = digest

    def produce(self, count, size=10_000):
        for number in range(count):
            self.producer.produce(TOPIC, os.urandom(size), partition=number % 2, on_delivery=self.delivered)
        assert self.producer.flush(60) == 0

    def until_refused(self):
        """Returns when nothing is taken any more: near the reserve a batch is refused and a smaller one still fits."""
        for _ in range(600):
            before = len(self.acknowledged)
            self.produce(100 if not self.errors else 10)
            if len(self.acknowledged) == before:
                return
        pytest.fail("the disk never filled up")

    def until_taken(self, seconds=30):
        deadline = time.monotonic() + seconds
        while True:
            self.errors.clear()
            self.produce(2)
            if not self.errors:
                return
            assert time.monotonic() < deadline, f"produce is still refused: {self.errors[0]}"
            time.sleep(0.2)  # Producers are not told when room comes back: they ask again, up to the deadline.


def read_all(broker):
    """Every record that can be read, by partition and offset, as digests."""
    consumer = Consumer({
        "bootstrap.servers": broker.bootstrap, "group.id": "readers", "enable.auto.commit": False,
        "enable.partition.eof": True, "auto.offset.reset": "earliest",
    })
    consumer.assign([TopicPartition(TOPIC, part, OFFSET_BEGINNING) for part in (0, 1)])
    found, ended = {}, set()
    deadline = time.monotonic() + 60
    while len(ended) < 2:
        assert time.monotonic() < deadline, "reading does not end"
        message = consumer.poll(1)
        if message is None:
            continue
        if message.error():
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            ended.add(message.partition())
        else:
            found[message.partition(), message.offset()] = hashlib.sha256(message.value()).digest()
    consumer.close()
    return found


def check_acknowledged(broker, filler, low=(0, 0)):
    found = read_all(broker)
    for (partition, offset), digest in filler.acknowledged.items():
        if offset >= low[partition]:
            assert found.get((partition, offset)) == digest, f"{partition}/{offset} was acknowledged"


def check_refusing(broker, filler):
    assert {error.code() for error in filler.errors} == {KafkaError.KAFKA_STORAGE_ERROR}
    assert broker.process.poll() is None, broker.log_tail()
    assert broker.get("/health/live")[0] == 200
    status, text = broker.get("/health/ready")
    assert status == 200 and '"degraded"' in text and "reserve" in text, text
    # What the journal's ring has not taken yet is not free either.
    assert broker.metric("goulette_store_disk_free_bytes") < RESERVE * 1.1 + JOURNAL
    assert broker.metric("goulette_store_disk_reserve_reached") == 1
    assert broker.metric('goulette_errors_total{error="KAFKA_STORAGE_ERROR"}') > 0


def start(new_broker, **settings):
    broker = new_broker(environment={**ENVIRONMENT, **settings}).start()
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    topic = NewTopic(TOPIC, 2, 1, config={"segment.bytes": str(4 * MIB)})
    admin.create_topics([topic])[TOPIC].result(20)
    return broker, admin


def finish(broker, filler, low=(0, 0)):
    """Neither a stop nor a kill loses anything, and the inspector agrees."""
    broker.kill()
    broker.verify()
    broker.start()
    check_acknowledged(broker, filler, low)
    assert broker.stop() == 0, broker.log_tail()
    broker.verify()


def test_the_reserve_is_kept_and_deleted_records_make_room(disk, new_broker):
    broker, admin = start(new_broker)
    filler = Filler(broker)
    filler.until_refused()
    assert free_bytes(disk) > 0
    check_refusing(broker, filler)
    check_acknowledged(broker, filler)
    # The topic's own administration goes on.
    admin.create_topics([NewTopic("still", 1, 1)])["still"].result(20)
    ends = {}
    for partition in (0, 1):
        offsets = [offset for part, offset in filler.acknowledged if part == partition]
        ends[partition] = max(offsets) * 3 // 4
    deleted = admin.delete_records([TopicPartition(TOPIC, part, offset) for part, offset in ends.items()])
    for future in deleted.values():
        future.result(20)
    filler.until_taken()
    assert broker.metric("goulette_store_disk_reserve_reached") == 0
    assert "degraded" not in broker.get("/health/ready")[1]
    filler.produce(200)
    assert not filler.errors
    check_acknowledged(broker, filler, (ends[0], ends[1]))
    finish(broker, filler, (ends[0], ends[1]))


def test_retention_makes_room(disk, new_broker):
    broker, _ = start(new_broker)
    filler = Filler(broker)
    filler.until_refused()
    check_refusing(broker, filler)
    altered = broker.cli("topic", "alter", TOPIC, "-c", f"retention.bytes={16 * MIB}")
    assert altered.returncode == 0, altered.stderr
    filler.until_taken()
    broker.stop()
    broker.verify()


def wait_for_ballast(broker, expected):
    deadline = time.monotonic() + 20
    while broker.metric("goulette_store_ballast_bytes") != expected:
        assert time.monotonic() < deadline, broker.log_tail()
        time.sleep(0.05)  # A metric is asked for again until it changes, up to the deadline.


def fill_from_outside(disk, leave=0):
    """Takes the space from outside, as another program on the disk would."""
    foreign = pathlib.Path(disk) / "foreign"
    with open(foreign, "ab") as file:
        while free_bytes(disk) > leave:
            try:
                file.write(bytes(min(MIB, free_bytes(disk) - leave)))
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                break
    return foreign


def test_a_foreign_file_is_removed(disk, new_broker):
    broker, _ = start(new_broker)
    filler = Filler(broker)
    filler.produce(500)
    assert not filler.errors
    foreign = fill_from_outside(disk, leave=RESERVE // 4)
    deadline = time.monotonic() + 20
    while not filler.errors:
        assert time.monotonic() < deadline
        filler.produce(10)
    check_refusing(broker, filler)
    check_acknowledged(broker, filler)
    foreign.unlink()
    filler.until_taken()
    filler.produce(200)
    assert not filler.errors
    finish(broker, filler)


def test_the_last_byte_is_taken_from_outside(disk, new_broker):
    broker, admin = start(new_broker)
    admin.create_topics([NewTopic("spare", 1, 1)])["spare"].result(20)
    filler = Filler(broker)
    filler.produce(500)
    wait_for_ballast(broker, RESERVE // 8)
    assert "degraded" not in broker.get("/health/ready")[1]
    foreign = fill_from_outside(disk)
    wait_for_ballast(broker, 0)
    assert "ballast" in broker.get("/health/ready")[1]
    deadline = time.monotonic() + 20
    while not filler.errors:
        assert time.monotonic() < deadline
        filler.produce(2)
    check_refusing(broker, filler)
    # What is left is for the index database: offsets wait too, with an error that clients retry.
    # What checkpoints give back may let some through.
    coordinator_not_available = 15
    codes = set()
    for _ in range(20):
        codes |= commits(broker, TOPIC.encode(), 1000)
    assert coordinator_not_available in codes and codes <= {0, coordinator_not_available}
    check_acknowledged(broker, filler)
    # A topic can be deleted, which is a way out.
    admin.delete_topics(["spare"])["spare"].result(20)
    assert broker.process.poll() is None, broker.log_tail()
    foreign.unlink()
    filler.until_taken()
    wait_for_ballast(broker, RESERVE // 8)
    finish(broker, filler)


def test_the_ballast_is_what_a_start_lives_on(disk, new_broker):
    broker, admin = start(new_broker)
    admin.create_topics([NewTopic("spare", 1, 1)])["spare"].result(20)
    filler = Filler(broker)
    filler.produce(2000)
    assert not filler.errors
    wait_for_ballast(broker, RESERVE // 8)
    broker.kill()
    foreign = fill_from_outside(disk)
    broker.start()
    assert broker.metric("goulette_store_ballast_bytes") == 0
    acknowledged, filler = filler.acknowledged, Filler(broker)
    filler.acknowledged = acknowledged
    filler.produce(2)
    check_refusing(broker, filler)
    check_acknowledged(broker, filler)
    # A way out is open.
    admin.delete_topics(["spare"])["spare"].result(20)
    foreign.unlink()
    filler.until_taken()
    wait_for_ballast(broker, RESERVE // 8)
    finish(broker, filler)
