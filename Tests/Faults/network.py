# SPDX-License-Identifier: Apache-2.0
"""One network namespace for each broker, joined by a switch that cuts, delays, loses, doubles and damages."""

import threading

from sandbox import Tool, compiled, run

CLIENTS = 0
"""The port of the clients, which are in the namespace of the run itself."""

NO_RULE = {"cut": 0, "loss": 0, "delay": 0, "jitter": 0, "double": 0, "damage": 0}


def address(number):
    """Of a broker, or of the clients."""
    return f"10.77.0.{number if number else 100}"


def namespace(number):
    return f"/run/netns/g{number}"


class Network:
    """Ports 1 to n are brokers; a rule holds for one direction between two ports."""

    def __init__(self, brokers, seed):
        self.lock = threading.Lock()
        self.ports = range(brokers + 1)
        for number in self.ports[1:]:
            run("ip", "netns", "add", f"g{number}")
        self.switch = Tool(
            compiled("wire"), seed, "/proc/self/ns/net", *(namespace(number) for number in self.ports[1:]))
        for number in self.ports:
            self.configure(number)
        self.rules = {}  # (from, to) -> {who set it: rule}

    def configure(self, number):
        inside = [] if number == CLIENTS else ["-n", f"g{number}"]
        if inside:
            run("ip", *inside, "link", "set", "lo", "up")
        run("ip", *inside, "link", "set", "wire", "address", hardware(number), "mtu", "9000", "up")
        run("ip", *inside, "address", "add", f"{address(number)}/24", "dev", "wire")
        for other in self.ports:
            # Nobody asks for addresses, so a cut between two is felt by these two only.
            if other != number:
                run("ip", *inside, "neigh", "add", address(other), "lladdr", hardware(other), "dev", "wire")

    def impose(self, owner, pairs, **rule):
        """Puts a rule on each (from, to); those of several owners add up, the worse value holds."""
        with self.lock:
            for pair in pairs:
                self.rules.setdefault(pair, {})[owner] = {**NO_RULE, **rule}
                self.apply(pair)

    def lift(self, owner):
        with self.lock:
            for pair, owners in self.rules.items():
                if owners.pop(owner, None):
                    self.apply(pair)

    def apply(self, pair):
        rules = list(self.rules[pair].values()) or [NO_RULE]
        worst = {key: max(rule[key] for rule in rules) for key in NO_RULE}
        self.switch.tell("set", *pair, *worst.values())

    def heal(self):
        with self.lock:
            self.rules.clear()
            self.switch.tell("heal")

    def counts(self):
        """Frames that passed, were cut, lost, delayed, doubled, damaged."""
        with self.lock:
            return dict(zip(("passed", "cut", "lost", "delayed", "doubled", "damaged"), self.switch.counts()))


def hardware(number):
    return f"02:00:00:00:00:{number:02x}"
