# SPDX-License-Identifier: Apache-2.0
"""Requests in versions of the test's choice on a socket, encoded and decoded by kafka-python's message classes, or by hand."""

import socket
import struct
import uuid


class Wire:
    """One connection; what is sent is answered before the next is sent."""

    def __init__(self, bootstrap, client_id="wire"):
        host, port = bootstrap.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.client_id, self.correlation = client_id, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def exchange(self, frame):
        """Sends a frame without its size; the answer without its size, b"" when the connection ended instead."""
        self.socket.sendall(struct.pack(">i", len(frame)) + frame)
        size = self.read(4)
        return self.read(struct.unpack(">i", size)[0]) if size else b""

    def read(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                return b""
            data += part
        return data

    def ask(self, request, response, version):
        """Asks with a request of kafka-python, and reads the answer by its class."""
        self.correlation += 1
        request.API_VERSION = version
        request.with_header(correlation_id=self.correlation, client_id=self.client_id)
        answer = self.exchange(bytes(request.encode(header=True)))
        assert answer, f"{request.name} v{version} ended the connection"
        assert struct.unpack(">i", answer[:4])[0] == self.correlation
        return response.decode(answer, version=version, header=True)

    def ask_flexible(self, key, version, body):
        """Asks with a body made by hand, of an API with tagged fields; the answer's body."""
        self.correlation += 1
        name = self.client_id.encode()
        header = struct.pack(">hhih", key, version, self.correlation, len(name)) + name + b"\0"
        answer = self.exchange(header + body)
        assert answer, f"API {key} v{version} ended the connection"
        assert struct.unpack(">i", answer[:4])[0] == self.correlation and answer[4] == 0
        return answer[5:]


def varint(value):
    data = b""
    while value > 0x7F:
        data, value = data + bytes([value & 0x7F | 0x80]), value >> 7
    return data + bytes([value])


def batch(values, codec=0, timestamp=1_000_000, producer=(-1, -1, -1), transactional=False):
    """A record batch (version 2) of values, as bytes; `codec` 4 is zstd, with what that makes of it.

    `producer` is its id, its epoch and the sequence of the first record."""
    import zstandard

    def signed(value):
        return varint(value << 1 if value >= 0 else (-value << 1) - 1)

    records = b""
    for number, value in enumerate(values):
        record = b"\0" + signed(0) + signed(number) + signed(-1) + signed(len(value)) + value + signed(0)
        records += signed(len(record)) + record
    if codec == 4:
        records = zstandard.ZstdCompressor().compress(records)
    attributes = codec | (0x10 if transactional else 0)
    body = struct.pack(
        ">hiqqqhii", attributes, len(values) - 1, timestamp, timestamp, *producer, len(values)) + records
    head = struct.pack(">iBI", 0, 2, crc32c(body))
    return struct.pack(">qi", 0, len(head) + len(body)) + head + body


def crc32c(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


# Client telemetry (KIP-714), which kafka-python does not know.

def get_subscription(wire, instance=uuid.UUID(int=0)):
    body = wire.ask_flexible(71, 0, instance.bytes + b"\0")
    throttle, error = struct.unpack(">ih", body[:6])
    found = {"error": error, "instance": uuid.UUID(bytes=body[6:22]), "subscription": struct.unpack(">i", body[22:26])[0]}
    codecs = body[26] - 1
    found["codecs"] = list(body[27:27 + codecs])
    rest = body[27 + codecs:]
    found["interval"], found["max_bytes"], found["delta"], names = struct.unpack(">ii?B", rest[:10])
    found["metrics"], rest = [], rest[10:]
    for _ in range(names - 1):
        length = rest[0] - 1
        found["metrics"].append(rest[1:1 + length].decode())
        rest = rest[1 + length:]
    return found


def push(wire, instance, subscription, metrics=b"", terminating=False, codec=0):
    body = instance.bytes + struct.pack(">i?b", subscription, terminating, codec)
    answer = wire.ask_flexible(72, 0, body + varint(len(metrics) + 1) + metrics + b"\0")
    return struct.unpack(">ih", answer[:6])[1]


def otlp(**metrics):
    """`MetricsData`: gauges by name; names that end in `_total` are what was added."""
    def message(number, content):
        return varint(number << 3 | 2) + varint(len(content)) + content

    def metric(name, value):
        point = message(1, b"\x21" + struct.pack("<d", value))
        data = message(7, point + b"\x10\x01\x18\x01") if name.endswith("_total") else message(5, point)
        return message(2, message(1, name.encode()) + data)

    return message(1, message(2, b"".join(metric(name, value) for name, value in metrics.items())))
