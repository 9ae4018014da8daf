# SPDX-License-Identifier: Apache-2.0
"""What brokers said of their elections, against each other and against what their disks remember.

A broker that says it was elected in a term has voted for itself in it, and others may have believed it: two of a group
never say so for one term, and whatever happens to the broker, its disk remembers term and vote, or a later term.
"""

import json
import subprocess

from nodes import INSPECT


class Promises:
    def __init__(self, members):
        self.read_to = {member.number: 0 for member in members}
        self.elected = {}  # (group, term) -> broker
        self.of = {member.number: {} for member in members}  # group -> highest term the broker was elected in
        self.violations = []
        self.checked = 0

    def listen(self, member):
        """Reads on in the broker's log."""
        with open(member.log_path, "rb") as file:
            file.seek(self.read_to[member.number])
            text = file.read()
        whole = text.rfind(b"\n") + 1
        self.read_to[member.number] += whole
        for line in text[:whole].splitlines():
            if b'"msg":"Elected"' in line:
                said = json.loads(line[line.index(b"{"):])
                if "group" in said:
                    self.note(member.number, int(said["group"]), int(said["term"]))

    def note(self, number, group, term):
        before = self.elected.setdefault((group, term), number)
        if before != number:
            self.violations.append(f"group {group}: brokers {before} and {number} were both elected in term {term}")
        self.of[number][group] = max(term, self.of[number].get(group, 0))

    def forget(self, member):
        """Its disk was taken away; what it had promised counts for the others only."""
        self.listen(member)
        self.of[member.number] = {}

    def check(self, member):
        """The broker does not run: its disk must remember."""
        self.listen(member)
        answer = subprocess.run(
            [str(INSPECT), "raft", str(member.data), "--json"], capture_output=True, text=True, timeout=60)
        if answer.returncode != 0:
            return
        for row in json.loads(answer.stdout):
            term = self.of[member.number].get(row["id"])
            if term is None:
                continue
            self.checked += 1
            if row["term"] < term or row["term"] == term and row["vote"] != str(member.number):
                self.violations.append(
                    f"group {row['id']}: broker {member.number} was elected in term {term}; its disk has term "
                    f"{row['term']}, vote {row['vote']}")
