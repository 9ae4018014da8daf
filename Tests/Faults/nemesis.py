# SPDX-License-Identifier: Apache-2.0
"""Carries out a schedule: one thread a lane; every fault is noted with what was done and when it was over."""

import contextlib
import os
import random
import signal
import threading
import time
import traceback

import faults_network
from promises import Promises
from schedule import DESTRUCTIVE


class Atlas:
    """Which copies are destroyed and not made good yet. One at a time: two of three are always whole.

    Copies that are only behind, away, or rolled back to what was flushed are not destroyed: any number may be so."""

    def __init__(self):
        self.lock = threading.Lock()
        self.destroyed, self.is_replaced = None, False

    def claim(self, number):
        with self.lock:
            if self.destroyed is not None:
                return False
            self.destroyed, self.is_replaced = number, False
            return True

    def replaced(self):
        """From now on a healthy cluster means that the copy was made again."""
        self.is_replaced = True

    def made_good(self):
        with self.lock:
            self.destroyed = None


class Nemesis:
    def __init__(self, cluster, schedule, topics):
        self.cluster, self.schedule, self.topics = cluster, schedule, topics
        self.atlas = Atlas()
        self.promises = Promises(cluster.members)
        self.done = []  # what happened, for the report
        self.defects = []
        self.stop = threading.Event()
        self.owned = {member.number: threading.Lock() for member in cluster.members}
        self.began = None

    def run(self):
        """Until the schedule's time is over; afterwards nothing is under way any more."""
        self.began = time.monotonic()
        lanes = {}
        for event in self.schedule.events:
            lanes.setdefault(event["lane"], []).append(event)
        threads = [threading.Thread(target=self.lane, args=(events,), name=lane) for lane, events in lanes.items()]
        threads.append(threading.Thread(target=self.watch, name="watch"))
        for thread in threads:
            thread.start()
        self.count_time()
        self.stop.set()
        for thread in threads:
            thread.join()

    def count_time(self):
        """Returns when the schedule's time is over. Seconds in which the machine let nothing run are not counted."""
        last = self.began
        while self.clock() < self.schedule.seconds:
            # The schedule is a matter of time, and how long a pause really took tells what the machine stole.
            time.sleep(0.1)
            moment = time.monotonic()
            if moment > last + 5:
                self.stolen += moment - last
            last = moment

    stolen = 0.0

    def clock(self):
        return time.monotonic() - self.began - self.stolen

    def watch(self):
        """Sees exits nobody asked for, starts those brokers again, and sees destroyed copies made good."""
        while not self.stop.wait(0.5):
            for member in self.cluster.members:
                with self.owning([member.number]) as owned:
                    if owned:
                        member.note_exit()
                        if not member.is_running() and member.exits and time.monotonic() > member.exits[-1]["at"] + 2:
                            self.start_again(member)
            self.look_after_destroyed()

    def start_again(self, member):
        """A broker that ended by itself is started again by whoever watches it."""
        last = member.exits[-1]
        if last.get("handled"):
            return
        last["handled"] = True
        if last["excuse"]:
            member.disk.remount()
        member.launch()

    def replace(self, member):
        """What docs/OPERATING.md says of a broker whose data is damaged: an empty disk, and in again."""
        member.kill()
        self.promises.forget(member)
        member.disk.wipe()
        member.rejoin(self.cluster.peers)
        member.launch()
        self.atlas.replaced()

    def look_after_destroyed(self):
        number = self.atlas.destroyed
        if number is None or not self.atlas.is_replaced or time.monotonic() < self.look_again:
            return
        self.look_again = time.monotonic() + 3
        member = self.cluster[number]
        if member.is_running() and member.ready() and self.healthy():
            self.note("made-good", [number])
            self.atlas.made_good()

    look_again = 0.0

    def healthy(self):
        answer = self.cluster.brokers_command("cluster", "health", "--timeout", "5s", timeout=15)
        return answer is not None and answer.returncode == 0

    def lane(self, events):
        for event in events:
            while self.clock() < event["at"] and not self.stop.wait(min(1.0, max(0.01, event["at"] - self.clock()))):
                pass
            if self.stop.is_set():
                return
            try:
                self.perform(event)
            except Exception:
                self.defects.append(f"{event}: {traceback.format_exc()}")

    def note(self, kind, brokers, **more):
        self.done.append({"at": round(self.clock(), 2), "kind": kind, "brokers": brokers, **more})

    def wait(self, event):
        self.stop.wait(event["lasting"])

    @contextlib.contextmanager
    def owning(self, numbers):
        """Faults of processes and disks have a broker to themselves; one that is busy is left alone."""
        held = [number for number in numbers if self.owned[number].acquire(blocking=False)]
        try:
            yield len(held) == len(numbers)
        finally:
            for number in held:
                self.owned[number].release()

    def perform(self, event):
        kind, order = event["kind"], event["order"]
        if event["lane"] == "network":
            return self.network(event)
        if event["lane"] == "members":
            return MEMBERS[kind](self, event)
        if kind == "slow":
            return self.slow(event)
        few = {"kill-all": len(order), "power-all": len(order), "rolling": len(order), "pause-two": 2}
        numbers = sorted(order[:few.get(kind, 1)])
        with self.owning(numbers) as owned:
            if not owned:
                return self.note(kind, numbers, skipped="busy")
            if kind in DESTRUCTIVE and not self.atlas.claim(numbers[0]):
                return self.note(kind, numbers, skipped="another copy is destroyed")
            FAULTS[kind](self, event, [self.cluster[number] for number in numbers])

    def network(self, event):
        shape = faults_network.SHAPES[event["kind"]]
        pairs, rule = shape(self.cluster.network.ports, event["order"], event["draw"])
        owner = f"{event['kind']} {event['at']}"
        self.cluster.network.impose(owner, pairs, **rule)
        self.note(event["kind"], event["order"][:2], lasting=event["lasting"], **rule)
        self.wait(event)
        self.cluster.network.lift(owner)

    # Processes

    def kill(self, event, members):
        for member in members:
            member.kill()
        self.note(event["kind"], [m.number for m in members], lasting=event["lasting"])
        for member in members:
            self.promises.check(member)
        self.wait(event)
        for member in members:
            member.launch()

    def pause(self, event, members):
        # Past the election timeout, so that others lead when it wakes.
        lasting = event["lasting"] + 1.5
        members = [member for member in members if member.is_running()]
        for member in members:
            member.pause()
        self.note(event["kind"], [m.number for m in members], lasting=lasting)
        self.stop.wait(lasting)
        for member in members:
            member.resume()

    def rolling(self, event, members):
        for member in members:
            if not member.is_running():
                continue
            hears = member.hears_signals()
            code = member.stop(90)
            self.note("rolling", [member.number], code=code)
            # In the first moments of a process, before its own code runs, the system ends it by the signal.
            if code != 0 and (hears or code != -signal.SIGTERM):
                self.defects.append(f"broker {member.number} ended with {code} when it was asked to stop")
            member.launch()
            self.stop.wait(event["lasting"])

    def power(self, event, members):
        """Off at one moment for all of them; each disk loses its own part of what was not flushed."""
        for member in members:
            os.kill(member.process.pid, signal.SIGSTOP) if member.is_running() else None
        choose = random.Random(event["draw"])
        for member in members:
            member.kill()
        lost = {}
        for member in members:
            lost[member.number] = member.disk.power_off(choose.getrandbits(48), choose.choice((0, 0, 300, 700, 950)))
        self.note(event["kind"], [m.number for m in members], lasting=event["lasting"], sectors=lost)
        for member in members:
            self.promises.check(member)
        self.wait(event)
        for member in members:
            member.launch()

    # Disks

    def full(self, event, members):
        member = members[0]
        leave = (event["draw"] % 80) << 20
        self.note("full", [member.number], lasting=event["lasting"] + 3, leave=leave)
        # A follower takes what its leader has, also below its reserve, and preallocates its segments: whatever is left now
        # may be gone in seconds, and then its store stops. What it had acknowledged must be there all the same.
        with member.excused("its disk was full"):
            member.disk.fill(leave)
            self.stop.wait(event["lasting"] + 3)
            member.disk.unfill()

    def slow(self, event):
        """One disk or all; nobody is owned, as power is to fail meanwhile: what is not flushed yet is much then."""
        microseconds = 500 + event["draw"] % 20000
        members = [self.cluster[number] for number in event["order"][:1 if event["draw"] >> 20 & 1 else None]]
        for member in members:
            member.disk.slow(microseconds)
        self.note("slow", sorted(m.number for m in members), lasting=event["lasting"], microseconds=microseconds)
        self.wait(event)
        for member in members:
            member.disk.slow(0)

    def disk_errors(self, event, members):
        """Some requests fail. The broker has to end, or to answer with errors; what it has flushed stays."""
        member = members[0]
        what = "writes" if event["kind"] == "write-errors" else "reads"
        rate = (1000, 100000, 1000000)[event["draw"] % 3]
        self.note(event["kind"], [member.number], lasting=event["lasting"], rate=rate)
        with member.excused("its disk failed"):
            member.disk.errors(**{what: rate})
            self.wait(event)
            # The file system is as unsure as the broker by now: it is mounted anew, under a new process.
            member.kill()
        member.disk.remount()
        member.launch()

    def flip(self, event, members):
        member = members[0]
        member.kill()
        sealed = self.sealed_segments(member)
        choose = random.Random(event["draw"])
        flipped = []
        for path, length in choose.sample(sealed, min(len(sealed), 3)):
            at, bit = choose.randrange(length), choose.randrange(8)
            with open(path, "r+b") as file:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 1 << bit]))
            flipped.append([str(path.relative_to(member.data)), at, bit])
        self.note("flip", [member.number], flipped=flipped)
        self.wait(event)
        with member.excused("its data is damaged"):
            member.launch()
            # It stays damaged until an operator puts another disk in.
            self.stop.wait(event["lasting"] + 5)
        self.replace(member)
        self.note("replace", [member.number])

    def sealed_segments(self, member):
        """Those behind which the same partition has another one; without the zeros they may end with."""
        found = []
        for directory in (member.data / "groups").glob("*"):
            for path in sorted(directory.glob("*.seg"))[:-1]:
                length = len(path.read_bytes().rstrip(b"\0"))
                found += [(path, length)] if length else []
        return found

    def wipe(self, event, members):
        member = members[0]
        self.note("wipe", [member.number], lasting=event["lasting"])
        member.kill()
        self.wait(event)
        self.replace(member)

    # Membership, by the command line, as an operator would

    def operate(self, event, *words, command=None):
        answer = (command or self.cluster.brokers_command)(*words)
        self.note(event["kind"], [], words=" ".join(words), code=None if answer is None else answer.returncode)

    def elect(self, event):
        self.operate(event, "partition", "elect-leader")

    def drain(self, event):
        number = str(event["order"][0])
        for verb in ("drain", "resume"):
            via = next((m for m in self.cluster.running if str(m.number) != number), self.cluster.members[0])
            self.operate(event, "broker", verb, number, "--timeout", "10s",
                         command=lambda *words: self.cluster.admin(*words, via=via))
            self.wait(event)

    def move(self, event):
        choose = random.Random(event["draw"])
        topic = choose.choice(sorted(self.topics))
        place = f"{topic}/{choose.randrange(self.topics[topic])}"
        to = ",".join(map(str, event["order"][:3]))
        self.operate(event, "partition", "move", place, "--to", to, "--timeout", "15s")

    def rebalance(self, event):
        self.operate(event, "partition", "rebalance", command=self.cluster.admin)

    def partitions(self, event):
        """A topic grows: of those whose content nobody checks."""
        self.operate(event, "topic", "create", f"more-{event['at']}", "-p", "3", "-r", "3")


FAULTS = {
    "kill": Nemesis.kill, "kill-all": Nemesis.kill, "pause": Nemesis.pause, "pause-two": Nemesis.pause,
    "rolling": Nemesis.rolling, "power": Nemesis.power, "power-all": Nemesis.power, "full": Nemesis.full,
    "write-errors": Nemesis.disk_errors, "read-errors": Nemesis.disk_errors,
    "flip": Nemesis.flip, "wipe": Nemesis.wipe,
}
MEMBERS = {"elect": Nemesis.elect, "drain": Nemesis.drain, "move": Nemesis.move, "rebalance": Nemesis.rebalance,
           "partitions": Nemesis.partitions}
