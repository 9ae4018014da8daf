# SPDX-License-Identifier: Apache-2.0
"""From a seed to what will happen when: settings, which kinds of faults are on, and their times, brokers and measures.

The schedule is a function of its arguments alone. What a run makes of it is not: processes and disks are real.
"""

import random

LANES = {
    # Several lanes at once, one fault of each at a time: so that kinds meet, and a seed can still be read.
    "process": {"kill": 6, "kill-all": 1, "pause": 6, "pause-two": 2, "rolling": 1, "power": 5, "power-all": 2},
    "network": {"isolate": 4, "cut-off": 2, "one-way": 4, "split": 3, "latency": 3, "loss": 3, "noise": 2},
    "disk": {"full": 2, "slow": 3, "write-errors": 2, "read-errors": 2, "flip": 2, "wipe": 3},
    "members": {"elect": 3, "drain": 3, "move": 6, "rebalance": 1, "partitions": 1},
}

KINDS = [kind for lane in LANES.values() for kind in lane]

DESTRUCTIVE = {"flip", "wipe"}
"""Kinds that destroy a copy that was promised. The atlas lets the next one begin when the last is made good."""


class Schedule:
    """`only` and `without` narrow the kinds; otherwise each is on with an even chance, the rarest kinds never alone."""

    def __init__(self, seed, seconds, brokers, only=None, without=()):
        self.seed, self.seconds, self.brokers = seed, seconds, brokers
        choose = random.Random(f"goulette {seed}")
        self.settings = self.choose_settings(choose)
        self.kinds = sorted(only) if only else self.choose_kinds(choose, without)
        self.events = []
        for lane, weights in LANES.items():
            enabled = {kind: weight for kind, weight in weights.items() if kind in self.kinds}
            # Each lane draws from its own numbers: switching one off leaves the others as they were.
            if enabled:
                self.events += self.fill(lane, enabled, random.Random(f"goulette {seed} {lane}"))
        self.events.sort(key=lambda event: event["at"])

    def choose_settings(self, choose):
        return {
            "cluster.heartbeat_interval": "100ms",
            "cluster.election_timeout": choose.choice(("500ms", "1s", "1500ms")),
            "cluster.failure_timeout": choose.choice(("2s", "4s")),
            "performance.event_loops": choose.choice((1, 1, 2)),
            "storage.journal": choose.choice(("auto", "auto", "on", "off")),
            "storage.journal_file_bytes": "8 MiB",
            "storage.checkpoint_interval": choose.choice(("200ms", "1s", "10s")),
            "storage.retention_check_interval": "500ms",
            "storage.compression": choose.choice(("zstd", "zstd", "none")),
            "storage.write_buffer_bytes": choose.choice(("8 MiB", "64 MiB")),
            "storage.read_cache_bytes": choose.choice(("0 B", "16 MiB")),
            "topics.segment_bytes": choose.choice((1 << 20, 2 << 20, 8 << 20)),
            "topics.min_insync_replicas": 2,
            "topics.auto_create": False,
        }

    def choose_kinds(self, choose, without):
        kinds = [kind for kind in KINDS if choose.random() < 0.5 and kind not in without]
        return kinds if len(kinds) >= 4 else [kind for kind in KINDS if kind not in without]

    def fill(self, lane, enabled, choose):
        events, time = [], choose.uniform(2, 8)
        while time < self.seconds - 3:
            kind = choose.choices(list(enabled), list(enabled.values()))[0]
            lasting = round(min(choose.uniform(1, 4) * choose.choice((1, 1, 1, 3)), self.seconds - time), 1)
            order = choose.sample(range(1, self.brokers + 1), self.brokers)
            events.append({"at": round(time, 1), "lane": lane, "kind": kind, "lasting": lasting, "order": order,
                           "draw": choose.getrandbits(48)})
            time += lasting + choose.uniform(1, 7)
        return events

    def as_json(self):
        return {"seed": self.seed, "seconds": self.seconds, "brokers": self.brokers, "kinds": self.kinds,
                "settings": self.settings, "events": self.events}
