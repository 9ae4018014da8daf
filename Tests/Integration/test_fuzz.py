# SPDX-License-Identifier: Apache-2.0
"""Two hundred thousand mutated frames: the broker lives, keeps its data, serves real clients and gives memory back.

The corpus is what real clients send: they talk through a recording relay first.
"""

import asyncio
import os
import random
import struct
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from ports import free_port
from wire import otlp

FRAMES = int(os.environ.get("GOULETTE_FUZZ_FRAMES", "200000"))
CONNECTIONS = 16
BURST = 25
INTERESTING = [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00", b"\xff\xff",
               b"\x7f\xff", b"\xff" * 8, b"\x00", b"\xff", b"\xff\xff\xff\xff\x0f", b"\x80" * 10, b"\xc3\x28"]


def request(key, version, body):
    """A request with a flexible header."""
    return struct.pack(">hhih", key, version, 1, 4) + b"fuzz" + b"\0" + body


# What no client of this test sends: a page of partitions, resources, sessions of version 16 that begin, go on and end,
# clients' metrics.
HAND_MADE = [
    request(75, 0, b"\x02\x07corpus\0" + struct.pack(">i", 1) + b"\xff\0"),
    request(75, 0, b"\x01" + struct.pack(">i", 1) + b"\x01\x07corpus" + struct.pack(">i", 1) + b"\0\0"),
    request(74, 1, b"\x02\x02\0"),
    request(71, 0, bytes(17)),
    *[request(72, 0, bytes(range(1, 17)) + struct.pack(">i?bB", 1, True, 0, len(metrics) + 1) + metrics + b"\0")
      for metrics in (otlp(a=1.5, b_total=2),)],
    *[request(1, 16, struct.pack(">iiibii", 0, 0, 1 << 20, 0, session, epoch) + b"\x01\x01\x01\0")
      for session, epoch in ((0, 0), (1, 1), (1, -1))],
]


class Relay:
    """Passes bytes between clients and the broker and keeps a copy of each request frame."""

    def __init__(self, port, target):
        self.port, self.target, self.frames = port, target, []
        self.loop = asyncio.new_event_loop()
        started = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(started,), daemon=True)
        self.thread.start()
        started.wait(10)

    def run(self, started):
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", self.port))
        started.set()
        self.loop.run_forever()

    async def serve(self, reader, writer):
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self.target)
            back = asyncio.ensure_future(self.copy(upstream_reader, writer))
            while True:
                head = await reader.readexactly(4)
                body = await reader.readexactly(struct.unpack(">i", head)[0])
                if len(self.frames) < 5000:
                    self.frames.append(body)
                upstream_writer.write(head + body)
                await upstream_writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def copy(self, reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


def record_corpus(bootstrap, relay):
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic("corpus", 2, 1)])["corpus"].result(10)
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec, "enable.idempotence": True})
        for number in range(50):
            producer.produce("corpus", b"%d" % number * 5, b"key", headers={"h": b"v"})
        producer.flush(10)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "corpus", "auto.offset.reset": "earliest"})
    consumer.subscribe(["corpus"])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not consumer.consume(250, 1):
        pass
    consumer.commit(asynchronous=False)
    consumer.offsets_for_times([TopicPartition("corpus", 0, 1)], 5)
    consumer.close()
    admin.list_consumer_groups().result(10)
    admin.describe_consumer_groups(["corpus"])["corpus"].result(10)
    admin.describe_cluster().result(10)
    admin.delete_records([TopicPartition("corpus", 0, 1)])
    python_admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    python_admin.describe_topics(["corpus"])
    python_admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send("corpus", b"value").get(10)
    producer.close()
    consumer = KafkaConsumer("corpus", bootstrap_servers=bootstrap, group_id="python", auto_offset_reset="earliest",
                             consumer_timeout_ms=2000)
    next(consumer)
    consumer.close()
    return list(relay.frames) + HAND_MADE


def mutate(frame, rng):
    body = bytearray(frame)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        kind = rng.randrange(6)
        at = rng.randrange(len(body)) if body else 0
        if kind == 0 and body:
            body[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and body:
            body[at] = rng.randrange(256)
        elif kind == 2:
            value = rng.choice(INTERESTING)
            body[at:at + len(value)] = value
        elif kind == 3:
            del body[at:at + rng.randrange(1, 9)]
        elif kind == 4:
            body[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            del body[at:]
    return bytes(body)


def framed(body, rng):
    """Mostly an honest length; now and then one that is negative, absurd or too long by a little."""
    roll = rng.random()
    if roll < 0.004:
        return struct.pack(">i", rng.choice((-1, -2**31, 2**31 - 1, 104857601))) + body
    if roll < 0.01:
        return struct.pack(">i", len(body) + rng.randrange(1, 50)) + body
    return struct.pack(">i", len(body)) + body


async def attack(port, corpus, frames, seed):
    rng = random.Random(seed)
    sent, connected = 0, time.monotonic()
    while sent < frames:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            connected = time.monotonic()
        except OSError:
            if time.monotonic() > connected + 60:
                return sent
            await asyncio.sleep(0.01)  # It may be full of connections for a moment; a broker that is gone ends the attack.
            continue
        drain = asyncio.ensure_future(discard(reader))
        try:
            while not reader.at_eof() and sent < frames:
                for _ in range(BURST):
                    writer.write(framed(mutate(rng.choice(corpus), rng), rng))
                sent += BURST
                await asyncio.wait_for(writer.drain(), 1)
                await asyncio.sleep(0)  # The reader's turn.
                if rng.random() < 0.05 or drain.done():
                    break
        except (ConnectionError, asyncio.TimeoutError):
            pass
        writer.transport.abort()
        drain.cancel()
    return sent


async def discard(reader):
    try:
        while await reader.read(65536):
            pass
    except (ConnectionError, asyncio.CancelledError):
        pass


def test_mutated_frames(new_broker):
    seed = int(os.environ.get("GOULETTE_SEED", "1"))
    relay_port = free_port()
    broker = new_broker(arguments=["--advertise", f"127.0.0.1:{relay_port}"],
                        environment={"GOULETTE_LISTENERS__MAX_CONNECTIONS_PER_IP": "1000"}).start()
    relay = Relay(relay_port, broker.port)
    bootstrap = f"127.0.0.1:{relay_port}"
    corpus = record_corpus(bootstrap, relay)
    kept = Producer({"bootstrap.servers": bootstrap})
    for number in range(1000):
        kept.produce("kept", b"%d" % number, partition=0)
    assert kept.flush(20) == 0
    # Deleting topics is a legal request that a mutation can leave intact; it is not in the corpus.
    corpus = [frame for frame in corpus if frame[:2] != b"\x00\x14"]
    before = broker.resident_bytes()

    async def everything():
        return await asyncio.gather(*[
            attack(broker.port, corpus, FRAMES // CONNECTIONS + 1, seed * 1000 + n) for n in range(CONNECTIONS)])

    sent = sum(asyncio.run(everything()))
    assert broker.process.poll() is None, broker.log_tail()
    assert sent >= FRAMES
    deadline = time.monotonic() + 60
    while broker.resident_bytes() > before + (192 << 20):
        assert time.monotonic() < deadline, f"{broker.resident_bytes() >> 20} MiB after, {before >> 20} before"
        time.sleep(0.5)  # Memory that closed connections held goes when the broker gets to it; up to the deadline.

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "after", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition("kept", 0, 0)])
    found, deadline = [], time.monotonic() + 30
    while len(found) < 1000 and time.monotonic() < deadline:
        found += [message.value() for message in consumer.consume(1000, 1)]
    consumer.close()
    assert found[:1000] == [b"%d" % number for number in range(1000)]
    print(f"{sent} frames, corpus of {len(corpus)}, memory {before >> 20} -> {broker.resident_bytes() >> 20} MiB")
    assert broker.stop() == 0, broker.log_tail()
    broker.verify()
