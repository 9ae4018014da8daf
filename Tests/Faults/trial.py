# SPDX-License-Identifier: Apache-2.0
"""One seed: a cluster, its clients, its faults, and the verdict. Runs in a sandbox."""

import collections
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import traceback

import history
import readback
import sandbox
from checker import Checker
from nemesis import Nemesis
from nodes import Nodes

TOPICS = {"orders": 4, "events": 3}
REGISTERS = 4
ROLES = ("producers", "readers", "group", "admins")
HEALTHY_WITHIN = 120
"""Seconds after the last fault in which the cluster must be healthy, and writable everywhere."""
MESSAGE_TIMEOUT = 60


class Trial:
    def __init__(self, schedule, out, plant=None, keep=False):
        self.schedule, self.out, self.plant, self.keep = schedule, out.resolve(), plant, keep
        self.violations = collections.defaultdict(list)
        self.report = {"plan": schedule.as_json(), "plant": plant}
        self.clients = []

    def run(self):
        for old in ("history", "data"):
            shutil.rmtree(self.out / old, ignore_errors=True)
        self.out.mkdir(parents=True, exist_ok=True)
        work = sandbox.prepare()
        # A broker's log tells of one run.
        for old in self.out.glob("broker-*"):
            shutil.rmtree(old)
        self.cluster = Nodes(self.out, work, self.schedule.brokers, self.schedule.settings, self.schedule.seed)
        try:
            self.steps()
        except Exception:
            self.violations["harness"].append(traceback.format_exc())
        finally:
            self.end_clients(0)
            self.report["disks"] = {m.number: m.disk.counts() for m in self.cluster.members}
            self.keep_data()
            self.cluster.end()
        return self.conclude()

    def steps(self):
        if self.plant:
            for member in self.cluster.members:
                member.environment["GOULETTE_MUTATION"] = self.plant
        self.cluster.start()
        self.cluster.wait_healthy()
        for topic, count in TOPICS.items():
            self.cluster.create_topic(topic, partitions=count)
        self.begin_clients()
        self.nemesis = nemesis = Nemesis(self.cluster, self.schedule, TOPICS)
        self.say(f"faults for {self.schedule.seconds} s: {', '.join(self.schedule.kinds)}")
        nemesis.run()
        self.report["faults"] = nemesis.done
        self.report["network"] = self.cluster.network.counts()
        self.violations["harness"] += nemesis.defects
        self.heal()
        ended = self.end_clients(MESSAGE_TIMEOUT + 60)
        if not ended:
            self.violations["liveness"].append("clients did not end in time")
        self.read_back()

    def say(self, text):
        print(time.strftime("%H:%M:%S"), text, flush=True)

    # Clients

    def begin_clients(self):
        choose = random.Random(f"goulette {self.schedule.seed} clients")
        plan = {
            "seed": self.schedule.seed, "bootstrap": self.cluster.bootstrap, "topics": TOPICS, "registers": REGISTERS,
            "message_timeout_ms": MESSAGE_TIMEOUT * 1000, "rate": choose.choice((50, 100, 200)),
            "assignor": choose.choice(("range", "roundrobin", "cooperative-sticky"))}
        logs = self.out / "history"
        logs.mkdir()
        (self.out / "plan.json").write_text(json.dumps(plan))
        for role in ROLES:
            with open(logs / f"{role}.stderr", "w") as stderr:
                self.clients.append(subprocess.Popen(
                    [sys.executable, str(sandbox.HERE / "workload.py"), role, str(self.out / "plan.json"),
                     str(logs / f"{role}.log")], stderr=stderr))

    def end_clients(self, timeout):
        for client in self.clients:
            if client.poll() is None:
                client.send_signal(signal.SIGTERM)
        deadline, in_order = time.monotonic() + timeout, True
        for client in self.clients:
            try:
                in_order &= client.wait(max(0.1, deadline - time.monotonic())) == 0
            except subprocess.TimeoutExpired:
                # Where it hangs goes to its standard error.
                client.send_signal(signal.SIGUSR1)
                # It says nothing when it is done, and ends only by what follows.
                time.sleep(1)
                client.kill()
                client.wait()
                stuck = self.locked_up(client.args[2])
                in_order &= stuck
                self.report.setdefault("clients that locked up", []).extend([client.args[2]] if stuck else [])
                self.say(f"a client did not end: {client.args[2]}{', locked up in librdkafka' if stuck else ''}")
        self.clients = []
        return in_order

    def locked_up(self, role):
        """Whether a client stands where librdkafka waits for nobody but itself, so that no broker can be the reason.

        Either all that it still did was to close consumers; or a thread never returned from a question that is answered
        from memory, under a lock of librdkafka's and with the interpreter's own, which stops all other threads.
        """
        source = (sandbox.HERE / "workload.py").read_text().splitlines()
        threads = [
            [(source[int(number) - 1], name) for number, name in re.findall(r'workload.py", line (\d+) in (\w+)', stack)]
            for stack in (self.out / f"history/{role}.stderr").read_text().split("\n\n")]
        if any("cached=True" in frames[0][0] for frames in threads if frames):
            return True
        stands = [line for frames in threads for line, name in frames if name == "run"]
        return bool(stands) and all(".close()" in line for line in stands)

    # Liveness

    def heal(self):
        self.say("healing")
        healed = time.monotonic()
        self.cluster.network.heal()
        for member in self.cluster.members:
            member.disk.slow(0)
            member.disk.unfill()
            member.note_exit()
            if member.is_running():
                os.kill(member.process.pid, signal.SIGCONT)
            else:
                member.launch()
        took = {}
        took["ready"] = readback.wait_until(self.all_ready, HEALTHY_WITHIN)
        took["healthy"] = readback.wait_until(self.cluster.healthy, HEALTHY_WITHIN)
        took["in sync"] = readback.wait_until(self.all_in_sync, HEALTHY_WITHIN)
        if None not in took.values():
            took["writable"] = readback.wait_until(lambda: self.written_since(healed), HEALTHY_WITHIN)
        for what, seconds in took.items():
            if seconds is None:
                self.violations["liveness"].append(
                    f"not {what} {HEALTHY_WITHIN} s after the last fault: {self.state()}")
        self.report["healing"] = took

    def all_ready(self):
        """Starts those again that a fault had still ended; ends without an excuse are violations."""
        for member in self.cluster.members:
            member.note_exit()
            # A broker that ends at once each time is started again only so often.
            if not member.is_running() and len(member.exits) < 20:
                member.launch()
        return all(member.is_running() and member.ready() for member in self.cluster.members)

    def all_in_sync(self):
        try:
            topics = self.cluster.metadata().topics
        except Exception:
            return False
        return all(len(p.isrs) == 3 and p.leader > 0 for name in TOPICS for p in topics[name].partitions.values())

    def written_since(self, moment):
        """Whether every partition took a record that was sent after that."""
        places = set()
        with open(self.out / "history/producers.log") as file:
            for line in file:
                if line.startswith('["produce"') and line.endswith("]\n"):
                    _, began, _, outcome, topic, partition, *_ = json.loads(line)
                    if outcome == "ok" and began > moment:
                        places.add((topic, partition))
        return len(places) == sum(TOPICS.values())

    def state(self):
        answer = self.cluster.brokers_command("cluster", "health", "--timeout", "5s", timeout=20)
        under = self.cluster.brokers_command("partition", "list", "--under-replicated", timeout=20)
        return " ".join(f"{(one.stdout + one.stderr).strip()}" for one in (answer, under) if one)[:2000]

    # The end

    def read_back(self):
        self.say("reading everything")
        final = {}
        for topic, count in TOPICS.items():
            for partition in range(count):
                records, complaints = readback.read_partition(self.cluster.bootstrap, topic, partition, 60)
                final[topic, partition] = records
                self.violations["damaged"] += complaints
        names = [f"register-{number}" for number in range(REGISTERS)]
        topics = {}

        def agreed():
            topics.update(readback.topics_by_all(self.cluster.members, names) or {})
            return topics

        if readback.wait_until(agreed, 30) is None:
            self.violations["liveness"].append("brokers do not agree on topics")
        self.cluster.watch()
        self.say("stopping and comparing")
        for member in self.cluster.members:
            code = member.stop(90)
            if code != 0:
                self.violations["exit"].append(f"broker {member.number} ended with {code} when it was asked to stop")
        promises = self.nemesis.promises
        for member in self.cluster.members:
            promises.check(member)
        self.violations["broken promises"] += promises.violations[:20]
        self.report["promises"] = {"elections": len(promises.elected), "checked on disk": promises.checked}
        compared, complaints = readback.compare(self.cluster.members)
        self.report["segments compared"] = compared
        for kind, texts in complaints.items():
            self.violations[kind] += texts
        for member in self.cluster.members:
            self.violations["verify"] += readback.verify(member)
        self.check(final, topics)

    def check(self, final, topics):
        self.say("checking")
        sessions = readback.Sessions(self.cluster.members[0])
        checker = Checker(history.read(self.out / "history"), final, topics, sessions.of)
        findings = checker.run()
        for kind, texts in findings.shown.items():
            self.violations[kind] += texts
        self.report["violation counts"] = dict(findings.counts)
        self.report["operations"] = dict(checker.numbers)

    def keep_data(self):
        if not (any(self.violations.values()) or self.keep):
            return
        (self.out / "data").mkdir()
        for member in self.cluster.members:
            if member.is_running():
                member.kill()
            sandbox.run("cp", "-a", "--sparse=always", str(member.data), str(self.out / "data" / str(member.number)),
                        check=False)

    def conclude(self):
        for member in self.cluster.members:
            for one in member.exits:
                if not one["excuse"]:
                    self.violations["exit"].append(f"broker {member.number} ended by itself with {one['code']}")
            self.report.setdefault("exits", {})[member.number] = [
                {"code": one["code"], "excuse": one["excuse"]} for one in member.exits]
        found = {kind: texts for kind, texts in self.violations.items() if texts}
        self.report["violations"] = found
        self.report["verdict"] = "violations" if found else "valid"
        (self.out / "report.json").write_text(json.dumps(self.report, indent=1))
        (self.out / "summary.txt").write_text(self.summary(found))
        if not found and not self.keep:
            shutil.rmtree(self.out / "history", ignore_errors=True)
        return 1 if found else 0

    def summary(self, found):
        done = collections.Counter(one["kind"] for one in self.report.get("faults", []) if "skipped" not in one)
        numbers = self.report.get("operations", {})
        lines = [
            f"seed {self.schedule.seed}: {self.report['verdict'].upper()}"
            + (f" with {self.plant}" if self.plant else ""),
            f"  {self.schedule.seconds} s, {self.schedule.brokers} brokers; "
            + ", ".join(f"{kind} {count}" for kind, count in sorted(done.items())),
            f"  records: {numbers.get('produce ok', 0)} acknowledged, {numbers.get('produce info', 0)} unknown, "
            f"{numbers.get('final records', 0)} there, {numbers.get('records polled', 0)} polled; commits "
            f"{numbers.get('commit ok', 0)}+{numbers.get('commit info', 0)}, topics {numbers.get('topic ok', 0)}+"
            f"{numbers.get('topic info', 0)}, ends {numbers.get('end', 0)}, group offsets "
            f"{numbers.get('committed', 0)}",
            f"  healing {self.report.get('healing')}, segments compared {self.report.get('segments compared')}",
        ]
        for kind, texts in found.items():
            count = self.report.get("violation counts", {}).get(kind, len(texts))
            lines += [f"  {kind.upper()} ({count})"] + [f"    {text[:400]}" for text in texts[:3]]
        return "\n".join(lines) + "\n"
