# SPDX-License-Identifier: Apache-2.0
"""Faults of the network. Each function says which rules it puts on which directions; all are lifted alike."""

from itertools import permutations

from network import CLIENTS


def isolate(ports, order, draw):
    """One broker without the others; clients still reach all."""
    one, others = order[0], order[1:]
    return [(one, other) for other in others] + [(other, one) for other in others], {"cut": 1}


def cut_off(ports, order, draw):
    """One broker without anybody."""
    one = order[0]
    return [pair for pair in permutations(ports, 2) if one in pair], {"cut": 1}


def one_way(ports, order, draw):
    """One broker is heard and hears nothing, or hears and is not heard; from some of the others or from all."""
    one, others = order[0], order[1:1 + draw % (len(order) - 1) + 1]
    outward = draw >> 8 & 1
    return [(one, other) if outward else (other, one) for other in others], {"cut": 1}


def split(ports, order, draw):
    """Two brokers do not see each other; the others see both."""
    a, b = order[:2]
    return [(a, b), (b, a)], {"cut": 1}


def latency(ports, order, draw):
    """One broker, or all, are 5 to 150 ms away, with as much jitter at most, which also changes the order."""
    delay = 5000 + draw % 145000
    return some_or_all(ports, order, draw), {"delay": delay, "jitter": (draw >> 20) % delay}


def loss(ports, order, draw):
    """One to 20 frames in a hundred do not arrive."""
    return some_or_all(ports, order, draw), {"loss": 10000 + draw % 190000}


def noise(ports, order, draw):
    """Frames come twice, or with a bit turned over, which checksums of the network have to find."""
    return some_or_all(ports, order, draw), {"double": 1000 + draw % 100000, "damage": 1000 + (draw >> 16) % 20000}


def some_or_all(ports, order, draw):
    pairs = permutations(ports, 2)
    return list(pairs) if draw >> 40 & 1 else [pair for pair in pairs if order[0] in pair]


SHAPES = {"isolate": isolate, "cut-off": cut_off, "one-way": one_way, "split": split, "latency": latency, "loss": loss,
          "noise": noise}
