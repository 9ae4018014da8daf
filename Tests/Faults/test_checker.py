# SPDX-License-Identifier: Apache-2.0
"""The checker on histories made by hand: nothing wrong is called wrong, and each wrong thing by its name."""

import pytest

import linearizable
from checker import Checker
from history import identity_of, value_of
from schedule import DESTRUCTIVE, KINDS, LANES, Schedule

PLACE = ("orders", 0)


def produced(number, offset, began=1.0, ended=2.0, outcome="ok", producer="p"):
    return ("produce", began, ended, outcome, *PLACE, producer, number, offset, None)


def polled(records, high=None, began=3.0, ended=4.0, reader="r", session=1):
    return ("poll", began, ended, reader, session, *PLACE, records[-1][0] + 1 if high is None else high, records)


LOG = [(offset, "p", offset) for offset in range(5)]
SENT = [produced(number, number) for number in range(5)]


def kinds(operations, final=LOG, topics=None):
    return set(Checker(operations, {PLACE: final}, topics).run().counts)


def test_a_good_history_has_no_violations():
    assert kinds([
        *SENT, polled(LOG), ("end", 5.0, 5.1, *PLACE, 5), ("commit", 5.0, 5.2, "ok", "g", "m", [[*PLACE, 5]], ""),
        polled(LOG, reader="group m"), ("committed", 6.0, 6.1, "g", [[*PLACE, 5]]),
        produced(7, None, outcome="info"), produced(8, None, ended=None, outcome="info"),
    ]) == set()


def test_an_old_high_watermark_for_a_moment_is_a_late_answer():
    assert kinds([*SENT, polled(LOG[:3], high=2), polled(LOG[3:4], high=3, ended=4.1), polled(LOG[4:])]) == set()


def test_a_record_of_unknown_outcome_may_be_there_or_not():
    assert kinds([*SENT, produced(5, None, outcome="info")], [*LOG, (5, "p", 5)]) == set()


def test_a_record_may_be_acknowledged_without_its_offset():
    assert kinds([*SENT[:4], produced(4, None)]) == set()
    assert kinds([*SENT, produced(5, None)]) == {"lost"}


BAD = {
    "lost": ([*SENT, produced(9, 3, producer="q")], LOG),
    "unseen": (SENT, LOG[:4]),
    "inconsistent": ([*SENT, polled([(2, "p", 4)])], LOG),
    "duplicate": (SENT, [*LOG, (5, "p", 2)]),
    "phantom": (SENT, [*LOG, (5, "q", 2)]),
    "reordered": ([produced(1, 0), produced(0, 1)], [(0, "p", 1), (1, "p", 0)]),
    "vanished": ([*SENT, polled([(5, "p", 5)])], LOG),
    "non-monotonic poll": ([*SENT, polled(LOG[:3]), polled(LOG[1:])], LOG),
    "skipped": ([*SENT, polled(LOG[:2]), polled(LOG[3:])], LOG),
    "past the high watermark": ([*SENT, polled(LOG[:4], high=3), polled(LOG[4:], high=3, ended=6.0)], LOG),
    "high watermark back": (
        [*SENT, polled(LOG[:2], high=5), polled(LOG[2:3], high=4), polled(LOG[3:4], high=4, ended=6.0)], LOG),
    "log end back": ([*SENT, ("end", 2.5, 2.6, *PLACE, 4)], LOG),
    "log end too far": ([*SENT, ("end", 2.5, 2.6, *PLACE, 6)], LOG),
    "group offset back": (
        [*SENT, polled(LOG, reader="group m"), ("commit", 1.0, 2.0, "ok", "g", "m", [[*PLACE, 3]], ""),
         ("committed", 3.0, 3.1, "g", [[*PLACE, 0]])], LOG),
    "group offset from nowhere": ([*SENT, ("committed", 3.0, 3.1, "g", [[*PLACE, 3]])], LOG),
    "not handed out": (
        [*SENT, polled(LOG[2:], reader="group m"), ("commit", 1.0, 2.0, "ok", "g", "m", [[*PLACE, 5]], "")], LOG),
    "damaged": ([*SENT, ("damaged", 1.0, "r", *PLACE, 3, "its checksum differs")], LOG),
    "harness": ([*SENT, ("note", 1.0, "defect", "a client failed")], LOG),
    "topics not linearizable": (
        [("topic", 1.0, 2.0, "ok", "a", "create", "t", 1, "done"), ("topic", 3.0, 4.0, "ok", "a", "delete", "t", None,
                                                                   "absent")], []),
}


@pytest.mark.parametrize("kind", BAD)
def test_each_violation_is_found(kind):
    operations, final = BAD[kind]
    assert kind in kinds(operations, final)


def test_what_a_client_sent_again_in_a_new_epoch_is_not_the_brokers_fault():
    twice = [*LOG, (5, "p", 2)]

    def found(epochs, producer="p"):
        sent = [produced(number, number, producer=producer) for number in range(5)]
        log = [(offset, producer, number) for offset, _, number in twice]
        return set(Checker(sent, {PLACE: log}, None, lambda place, offset: epochs.get(offset, (0, 0))).run().counts)

    assert found({5: (0, 1)}) == set()
    assert found({}) == {"duplicate"}
    assert found({5: (0, 1)}, producer="strict.1") == {"duplicate"}


def test_a_topic_that_comes_back_at_the_end_is_found():
    deleted = [("topic", 1.0, 2.0, "ok", "a", "create", "t", 3, "done"),
               ("topic", 3.0, 4.0, "ok", "a", "delete", "t", None, "done")]
    assert kinds(deleted, [], {"t": None}) == set()
    assert kinds(deleted, [], {"t": 3}) == {"topics not linearizable"}


def test_unknown_operations_explain_what_follows_them_only():
    unknown = (2.0, None, "create", 2, "done")
    read = (3.0, 4.0, "read", 2, "done")
    assert linearizable.check([unknown, read]) is None
    assert linearizable.check([(5.0, None, "create", 2, "done"), read]) == read
    # Once used up it is gone.
    again = [unknown, read, (5.0, 6.0, "delete", None, "done"), (7.0, 8.0, "read", 2, "done")]
    assert linearizable.check(again) == again[-1]


def test_concurrent_operations_may_take_effect_in_any_order():
    assert linearizable.check([(1.0, 4.0, "create", 1, "exists"), (2.0, 3.0, "create", 2, "done")]) is None
    assert linearizable.check([(1.0, 1.5, "create", 1, "exists"), (2.0, 3.0, "create", 2, "done")]) is not None


def test_a_changed_value_is_not_taken_for_a_record():
    value = value_of("p.1", 7, 100)
    assert identity_of(value) == ("p.1", 7)
    for position in range(len(value)):
        with pytest.raises(ValueError):
            identity_of(value[:position] + bytes([value[position] ^ 1]) + value[position + 1:])


def test_a_schedule_is_a_function_of_its_seed():
    assert Schedule(7, 300, 3).as_json() == Schedule(7, 300, 3).as_json()
    assert Schedule(7, 300, 3).events != Schedule(8, 300, 3).events
    seen = {event["kind"] for seed in range(40) for event in Schedule(seed, 300, 3).events}
    assert seen == set(KINDS)
    assert DESTRUCTIVE <= set(LANES["disk"])
    for event in Schedule(7, 300, 5).events:
        assert sorted(event["order"]) == [1, 2, 3, 4, 5] and event["at"] + event["lasting"] <= 300.1
