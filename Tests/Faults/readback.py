# SPDX-License-Identifier: Apache-2.0
"""The end of a run: everything healed, everything read, all replicas compared."""

import bisect
import hashlib
import json
import subprocess
import time

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient


from history import identity_of
from nodes import INSPECT


FOOTER_BYTES = 96
"""The last frame header of a sealed segment, which describes the segment."""


def wait_until(holds, timeout, pause=0.3):
    """Seconds it took, or None. Other processes are asked again and again; they tell nobody when they are well."""
    began = time.monotonic()
    while time.monotonic() - began < timeout:
        if holds():
            return round(time.monotonic() - began, 1)
        time.sleep(pause)
    return None


def read_partition(bootstrap, topic, partition, timeout):
    """All records up to the end that a broker names now, and complaints."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "readback", "enable.auto.commit": False, "log_level": 0,
        "auto.offset.reset": "error", "enable.partition.eof": True})
    records, damaged, deadline = [], [], time.monotonic() + timeout
    try:
        consumer.assign([TopicPartition(topic, partition, 0)])
        while time.monotonic() < deadline:
            for message in consumer.consume(2000, 0.5):
                if message.error() is not None:
                    if message.error().name() == "_PARTITION_EOF":
                        return records, damaged
                    continue
                try:
                    records.append((message.offset(), *identity_of(message.value())))
                except ValueError as error:
                    damaged.append(f"{topic}/{partition}@{message.offset()}: {error}")
    finally:
        consumer.close()
    return records, damaged + [f"{topic}/{partition} was not read to its end in {timeout} s, {len(records)} records"]


def topics_by_all(members, names):
    """{name: number of partitions or None} as every broker says; None while they do not agree or answer."""
    answers = []
    for member in members:
        try:
            client = AdminClient({"bootstrap.servers": member.bootstrap, "log_level": 0})
            topics = client.list_topics(timeout=10).topics
        except KafkaException:
            return None
        answers.append({name: len(topics[name].partitions) if name in topics else None for name in names})
    return answers[0] if all(answer == answers[0] for answer in answers) else None


def compare(members):
    """Segments that several brokers hold, byte by byte up to the shorter end: (compared, complaints by kind). Nobody runs.

    Segments are preallocated: zeros at the end do not count. Footers, which say what was before them, are told apart."""
    held = {}
    for member in members:
        for path in sorted((member.data / "groups").glob("*/*.seg")):
            held.setdefault(path.relative_to(member.data), []).append((member.number, path))
    compared, complaints = 0, {"replicas differ": [], "footers differ": []}
    for name, copies in held.items():
        contents = [(number, path.read_bytes().rstrip(b"\0")) for number, path in copies]
        if len(contents) < 2:
            continue
        compared += 1
        first_number, first = contents[0]
        for number, other in contents[1:]:
            length = min(len(first), len(other))
            if hashlib.blake2b(first[:length]).digest() != hashlib.blake2b(other[:length]).digest():
                at = next(i for i, (a, b) in enumerate(zip(first, other)) if a != b)
                is_footer = at >= max(len(first), len(other)) - FOOTER_BYTES and abs(len(first) - len(other)) < 8
                complaints["footers differ" if is_footer else "replicas differ"].append(
                    f"{name} differs between brokers {first_number} and {number} from byte {at} on")
    return compared, complaints


class Sessions:
    """Producer id and epoch of what lies at an offset, by the directory of a stopped broker."""

    def __init__(self, member):
        self.member, self.batches = member, {}

    def of(self, place, offset):
        if place not in self.batches:
            answer = subprocess.run(
                [str(INSPECT), "batches", str(self.member.data), "%s/%d" % place, "--limit", "0", "--json"],
                capture_output=True, text=True, timeout=600)
            self.batches[place] = sorted(
                (row["lastOffset"], row["producerId"], row["producerEpoch"]) for row in json.loads(answer.stdout))
        at = bisect.bisect_left(self.batches[place], (offset,))
        return self.batches[place][at][1:] if at < len(self.batches[place]) else None


def verify(member):
    """What the inspector finds wrong with a stopped broker's directory."""
    answer = subprocess.run([str(INSPECT), "verify", str(member.data)], capture_output=True, text=True, timeout=600)
    return [] if answer.returncode == 0 else [f"broker {member.number}: {answer.stdout[-3000:]}{answer.stderr[-1000:]}"]
