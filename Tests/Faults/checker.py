# SPDX-License-Identifier: Apache-2.0
"""What a history must not show. Each analysis adds violations under its name; README.md says what each one means."""

import bisect
import collections

import linearizable

SHOWN = 10
"""Violations of one kind that the report spells out."""

LATE_SECONDS = 1.0
"""How long a reader may show what a former leader answered: a request waits for half a second at most."""


class Findings:
    def __init__(self):
        self.counts = collections.Counter()
        self.shown = collections.defaultdict(list)

    def add(self, kind, text):
        self.counts[kind] += 1
        if len(self.shown[kind]) < SHOWN:
            self.shown[kind].append(text)


class Running:
    """The largest value that was certain before a time: from (time, value) pairs in any order."""

    def __init__(self, pairs):
        self.times, self.largest = [], []
        for time, value in sorted(pairs):
            if not self.largest or value > self.largest[-1]:
                self.times.append(time)
                self.largest.append(value)

    def before(self, time):
        at = bisect.bisect_left(self.times, time)
        return self.largest[at - 1] if at else None


class Checker:
    """`final` is {(topic, partition): [(offset, producer, number), ...]}, read when all was healed.

    `sessions(place, offset)` names producer id and epoch of the batch there, for what was sent anew by a client."""

    def __init__(self, operations, final, final_topics=None, sessions=None):
        self.findings = Findings()
        self.numbers = collections.Counter()
        self.final = final
        self.final_topics = final_topics
        self.sessions = sessions or (lambda place, offset: None)
        self.by_kind = collections.defaultdict(list)
        for operation in operations:
            self.by_kind[operation[0]].append(operation[1:])
            self.numbers[operation[0]] += 1

    def run(self):
        self.prepare()
        self.check_records()
        self.check_order()
        self.check_polls()
        self.check_ends()
        self.check_group()
        self.check_topics()
        for at, reader, topic, partition, offset, what in self.by_kind["damaged"]:
            self.findings.add("damaged", f"{topic}/{partition}@{offset} at {at:.3f}, read by {reader}: {what}")
        for _, who, text in self.by_kind["note"]:
            if who in ("defect", "fatal"):
                self.findings.add("harness" if who == "defect" else "producer failed", text)
        return self.findings

    def prepare(self):
        """Acknowledged, unknown and final records, by partition and identity."""
        self.acknowledged = collections.defaultdict(dict)  # place -> {(producer, number): offset}
        # Those that the client takes for written because of the answer to a later batch: it does not know where.
        self.implied = collections.defaultdict(set)
        self.unknown = collections.defaultdict(set)
        self.acknowledged_at = collections.defaultdict(list)
        for _, ended, outcome, topic, partition, producer, number, offset, _ in self.by_kind["produce"]:
            place = topic, partition
            self.numbers[f"produce {outcome}"] += 1
            if outcome == "ok" and offset is None:
                self.implied[place].add((producer, number))
            elif outcome == "ok":
                self.acknowledged[place][producer, number] = offset
                self.acknowledged_at[place].append((ended, offset + 1))
            else:
                self.unknown[place].add((producer, number))
        self.at = {place: {offset: (producer, number) for offset, producer, number in records}
                   for place, records in self.final.items()}
        self.identities = {place: set(found.values()) for place, found in self.at.items()}
        self.numbers["final records"] = sum(map(len, self.final.values()))

    def check_records(self):
        """Lost, unseen, inconsistent, duplicate, phantom."""
        for place, records in self.final.items():
            name, last = "%s/%d" % place, records[-1][0] if records else -1
            for identity, offset in self.acknowledged[place].items():
                found = self.at[place].get(offset)
                if found == identity:
                    continue
                if found is not None:
                    self.findings.add("inconsistent", f"{name}@{offset}: acknowledged {identity}, finally {found}")
                if identity not in self.identities[place]:
                    kind = "lost" if offset <= last else "unseen"
                    self.findings.add(kind, f"{name}@{offset}: {identity} was acknowledged; the log ends at {last}")
            for identity in self.implied[place] - self.identities[place]:
                self.findings.add("lost", f"{name}: {identity} was acknowledged, without an offset")
            places = collections.defaultdict(list)
            for offset, producer, number in records:
                places[producer, number].append(offset)
            for identity, offsets in places.items():
                if len(offsets) > 1:
                    self.judge_duplicate(place, identity, offsets)
                sent = self.acknowledged[place], self.implied[place], self.unknown[place]
                if not any(identity in known for known in sent):
                    self.findings.add("phantom", f"{name}@{offsets[0]}: {identity} was never sent")
        for place in self.acknowledged.keys() - self.final.keys():
            self.findings.add("unseen", f"{place} was not read at the end")

    def judge_duplicate(self, place, identity, offsets):
        """A client that began a new epoch has sent as new what it had no answer for: no broker can tell."""
        sessions = {self.sessions(place, offset) for offset in offsets}
        if len(sessions) == len(offsets) and not identity[0].startswith("strict"):
            self.numbers["sent again in a new epoch"] += 1
        else:
            self.findings.add("duplicate", f"{place}: {identity} at {offsets}, sessions {sorted(map(str, sessions))}")

    def check_order(self):
        """A producer's acknowledged records stand in the order in which it sent them; late unknown ones are counted."""
        for place, acknowledged in self.acknowledged.items():
            sequences = collections.defaultdict(list)
            for (producer, number), offset in acknowledged.items():
                sequences[producer].append((number, offset))
            for producer, pairs in sequences.items():
                pairs.sort()
                for (a, at_a), (b, at_b) in zip(pairs, pairs[1:]):
                    if at_b <= at_a:
                        self.findings.add("reordered", f"{place}: {producer} {a} at {at_a}, {b} at {at_b}")

    def check_polls(self):
        """What each reader saw agrees with the end, goes up, leaves nothing out, and stays below its high watermark."""
        last, highs = {}, {}
        for _, ended, reader, session, topic, partition, high, records in self.by_kind["poll"]:
            place, key = (topic, partition), (reader, session, topic, partition)
            self.numbers["records polled"] += len(records)
            final = self.at.get(place, {})
            end = self.final[place][-1][0] if self.final.get(place) else -1
            for offset, producer, number in records:
                found = final.get(offset)
                if found != (producer, number):
                    kind = "inconsistent" if offset <= end else "vanished"
                    self.findings.add(
                        kind, f"{topic}/{partition}@{offset}: {reader} read {producer} {number} before {ended:.3f},"
                        f" finally {found}; the log ends at {end}")
                # Members of a group go back, and leave out, what they may after a rebalance.
                before = None if reader.startswith("group") else last.get(key)
                if before is not None and offset <= before:
                    self.findings.add("non-monotonic poll", f"{key}: {offset} after {before}")
                elif before is not None and offset > before + 1:
                    missing = [o for o in range(before + 1, offset) if o in final]
                    if missing:
                        self.findings.add("skipped", f"{key}: {missing[0]} to {missing[-1]} left out")
                last[key] = offset
            self.check_high(key, high, records, highs, ended)

    def check_high(self, key, high, records, highs, moment):
        if high is None or high < 0:
            return
        # librdkafka also takes it from a former leader's late answer, whose records may be polled in several parts; it
        # asks again when half a second has passed at the latest.
        least, since = highs.get(key, (0, None))
        kind = "past the high watermark" if records[-1][0] >= high else "high watermark back" if high < least else None
        since = (moment if since is None else since) if kind else None
        if kind and moment > since + LATE_SECONDS:
            self.findings.add(kind, f"{key}: {high} after {least}, with records to {records[-1][0]}")
        highs[key] = max(least, high), since

    def check_ends(self):
        """An answer to where the log ends covers all that was acknowledged, read or answered before the question."""
        known = collections.defaultdict(list)
        for place, pairs in self.acknowledged_at.items():
            known[place] += pairs
        for _, ended, _, _, topic, partition, _, records in self.by_kind["poll"]:
            known[topic, partition].append((ended, records[-1][0] + 1))
        for _, ended, topic, partition, end in self.by_kind["end"]:
            known[topic, partition].append((ended, end))
        least = {place: Running(pairs) for place, pairs in known.items()}
        for began, _, topic, partition, end in self.by_kind["end"]:
            place = topic, partition
            floor = least[place].before(began)
            if floor is not None and end < floor:
                self.findings.add("log end back", f"{topic}/{partition}: {end} asked at {began:.3f}, {floor} before")
            records = self.final.get(place)
            if records and end > records[-1][0] + 1:
                self.findings.add("log end too far", f"{topic}/{partition}: {end} at {began:.3f}, finally "
                                  f"{records[-1][0] + 1}")

    def check_group(self):
        """Committed offsets do not go back, somebody committed them, and all before them was handed out."""
        certain, possible = collections.defaultdict(list), collections.defaultdict(list)
        for began, ended, outcome, _, _, offsets, _ in self.by_kind["commit"]:
            self.numbers[f"commit {outcome}"] += 1
            for topic, partition, offset in offsets:
                possible[topic, partition].append((offset, began))
                if outcome == "ok":
                    certain[topic, partition].append((ended, offset))
        answers = collections.defaultdict(list)
        for began, ended, _, offsets in self.by_kind["committed"]:
            for topic, partition, offset in offsets:
                answers[topic, partition].append((began, ended, offset))
        for place, asked in answers.items():
            least = Running(certain[place] + [(ended, offset) for _, ended, offset in asked])
            by_offset = {}
            for offset, began in possible.get(place, ()):
                by_offset[offset] = min(began, by_offset.get(offset, began))
            for began, ended, offset in asked:
                floor = least.before(began)
                if floor is not None and offset < floor:
                    self.findings.add("group offset back", f"{place}: {offset} asked at {began:.3f}, {floor} before")
                if offset > 0 and by_offset.get(offset, float("inf")) > ended:
                    self.findings.add("group offset from nowhere", f"{place}: {offset} at {began:.3f}")
        self.check_handed_out(possible)

    def check_handed_out(self, possible):
        handed = collections.defaultdict(set)
        for _, _, reader, _, topic, partition, _, records in self.by_kind["poll"]:
            if reader.startswith("group"):
                handed[topic, partition].update(offset for offset, _, _ in records)
        for place, commits in possible.items():
            last = max(offset for offset, _ in commits)
            missing = [offset for offset in self.at.get(place, {}) if offset < last and offset not in handed[place]]
            if missing:
                self.findings.add("not handed out", f"{place}: {len(missing)} offsets from {min(missing)} below {last}")

    def check_topics(self):
        names = collections.defaultdict(list)
        for began, ended, outcome, _, action, name, argument, answer in self.by_kind["topic"]:
            self.numbers[f"topic {outcome}"] += 1
            known = outcome == "ok"
            names[name].append((began, ended if known else None, action, argument, answer if known else "done"))
        for name, count in (self.final_topics or {}).items():
            if name in names:
                latest = max(max(op[0], op[1] or 0) for op in names[name])
                names[name].append((latest + 1, latest + 2, "read", count, "done"))
        for name, operations in names.items():
            try:
                wrong = linearizable.check(operations)
            except linearizable.Undecided:
                self.numbers["topics undecided"] += 1
                continue
            if wrong:
                self.findings.add("topics not linearizable", f"{name}: no order explains {wrong}")
