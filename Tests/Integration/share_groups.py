# SPDX-License-Identifier: Apache-2.0
"""What tests of share groups have in common: members in processes, and a look at what happened to every record."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

SCRIPT = pathlib.Path(__file__).with_name("share_member.py")


class ShareMember:
    """A process that reads as a member of a share group; what it said is in `events`."""

    def __init__(self, bootstrap, group, topic, mode="accept", **options):
        self.events = []
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), bootstrap, group, topic, mode, json.dumps(options)],
            stdout=subprocess.PIPE, text=True, env=environment)
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def values(self, event):
        return [each["value"] for each in list(self.events) if each["event"] == event]

    def deliveries(self):
        """How often each value was delivered, as the member was told last."""
        return {each["value"]: each["deliveries"] for each in list(self.events) if each["event"] == "got"}

    def has(self, event):
        return any(each["event"] == event for each in list(self.events))

    def kill(self):
        """kill -9."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def close(self):
        """Leaves as a program does that ends."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0


def until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not after {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.02)  # What other processes do is looked at again until it holds, up to the deadline.


def redelivered_after_acceptance(members):
    """Values that somebody got although a member had been told before that its acceptance holds."""
    accepted = {}
    for member in members:
        for event in list(member.events):
            if event["event"] == "accepted":
                accepted.setdefault(event["value"], event["at"])
    return {
        event["value"] for member in members for event in list(member.events)
        if event["event"] == "got" and event["at"] > accepted.get(event["value"], float("inf"))}
