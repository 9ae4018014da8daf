# SPDX-License-Identifier: Apache-2.0
"""Loopback ports for brokers that must find theirs free again after a restart.

They lie below the range from which the kernel takes the ports of outgoing connections: a port of that range is free
when it is looked at and some client's a moment later. No port is handed out twice by one process; processes side by
side begin at different places.
"""

import os
import socket

FIRST, END = 10_000, 32_000
_next = FIRST + os.getpid() * 97 % (END - FIRST)


def _all_free(ports):
    held = []
    try:
        for port in ports:
            held.append(socket.socket())
            # As the broker does: a connection of a former listener that still waits out its time is no hindrance.
            held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held[-1].bind(("127.0.0.1", port))
        return True
    except OSError:
        return False
    finally:
        for probe in held:
            probe.close()


def free_ports(count, stride=0, repeats=1):
    """The first of `count` free ports in a row, free also at every `stride` above them, `repeats` times in all."""
    global _next
    span = count + stride * (repeats - 1)
    for _ in range(END - FIRST):
        first = _next if _next + span <= END else FIRST
        _next = first + count
        if _all_free([first + k * stride + n for k in range(repeats) for n in range(count)]):
            return first
    raise RuntimeError("no free ports")


def free_port():
    return free_ports(1)
