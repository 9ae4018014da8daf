# SPDX-License-Identifier: Apache-2.0
"""How long the classic protocol's steps take, beside what Kafka's rules say they take; prints a table (`-s`)."""

import time

from confluent_kafka.admin import AdminClient

from test_consumer_groups import create, every, members, shared, until  # noqa: F401 (a fixture)

DELAY = 3.0
"""`group.initial.rebalance.delay.ms`, Kafka's default."""
HEARTBEAT, SESSION = 0.5, 6.0
ROOM = 3.0
"""Seconds for processes that start and a machine that is busy."""


class Table:
    """What was measured, with the bounds that the rules set."""

    def __init__(self):
        self.rows = []

    def add(self, step, rule, seconds, least, most):
        self.rows.append((step, rule, seconds, least, most))

    def check(self):
        print(f"\n{'step':<46} {'rule':<52} {'s':>7}   bounds")
        for step, rule, seconds, least, most in self.rows:
            print(f"{step:<46} {rule:<52} {seconds:7.3f}   {least:.1f} to {most:.1f}")
        wrong = [row for row in self.rows if not row[3] <= row[2] <= row[4]]
        assert not wrong, wrong


def quiet(member, seen):
    """Whether nothing happened to a member's partitions since it had `seen` events."""
    return not [event for event in member.events[seen:] if event["event"] in ("assigned", "revoked", "lost")]


def test_steps_take_what_the_rules_say(new_broker, members):  # noqa: F811
    broker = new_broker(environment={"GOULETTE_GROUPS__INITIAL_REBALANCE_DELAY": "3s"}).start()
    create(AdminClient({"bootstrap.servers": broker.bootstrap}), steps=6)
    wanted, table = every(steps=6), Table()

    def make(name=None):
        options = {"group.protocol": "classic", "session.timeout.ms": int(SESSION * 1000),
                   "heartbeat.interval.ms": int(HEARTBEAT * 1000), "partition.assignment.strategy": "range"}
        if name:
            options["group.instance.id"] = name
        return members(broker.bootstrap, "steps", ["steps"], **options)

    one = make()
    until(lambda: one.owned == wanted, "assigned")
    table.add("first join of an empty group", "the delay, 3 s", one.when("assigned")[0] - one.when("begun")[0],
              DELAY, DELAY + ROOM)

    two = make()
    until(lambda: shared([one, two], wanted) and len(two.owned) == 3, "shared")
    table.add("join of a stable group", "a heartbeat, no delay", two.when("assigned")[-1] - two.when("begun")[0],
              0, HEARTBEAT + ROOM)

    left = two.close()
    until(lambda: one.owned == wanted, "taken over")
    table.add("leave", "a heartbeat", one.when("assigned")[-1] - left, 0, HEARTBEAT + ROOM)

    two = make()
    until(lambda: shared([one, two], wanted) and len(two.owned) == 3, "shared")
    killed = two.kill()
    until(lambda: one.owned == wanted, "taken over")
    table.add("kill -9", "the session, 6 s, from the last heartbeat; a heartbeat", one.when("assigned")[-1] - killed,
              SESSION - HEARTBEAT - 0.2, SESSION + HEARTBEAT + ROOM)

    fixed = make("fixed")
    until(lambda: shared([one, fixed], wanted) and len(fixed.owned) == 3, "shared")
    owned, seen = set(fixed.owned), len(one.events)
    fixed.close()
    again = make("fixed")
    until(lambda: again.owned == owned, "assigned again")
    table.add("static member restarts", "at once, no rebalance", again.when("assigned")[-1] - again.when("begun")[0],
              0, ROOM)
    assert quiet(one, seen), "the others noticed a static member's restart"

    killed = again.kill()
    until(lambda: one.owned == wanted, "taken over")
    table.add("static member stays away", "the session, 6 s", one.when("assigned")[-1] - killed,
              SESSION - HEARTBEAT - 0.2, SESSION + HEARTBEAT + ROOM)

    one.close()
    began = time.time()
    both = [make(), make()]
    until(lambda: shared(both, wanted) and all(len(each.owned) == 3 for each in both), "shared")
    first = min(each.when("assigned")[0] for each in both)
    table.add("two join an empty group together", "the delay, once more after a late one",
              first - min(each.when("begun")[0] for each in both), DELAY, 2 * DELAY + ROOM)
    for each in both:
        assert len(each.when("assigned")) == 1, "one rebalance for both"
    assert time.time() - began < 2 * DELAY + 2 * ROOM
    for each in both:
        each.close()
    table.check()
