# SPDX-License-Identifier: Apache-2.0
"""Whether what clients saw of one topic's name has an order in which each operation took effect within its time.

The state is the number of partitions, or None while the topic does not exist. Operations whose outcome is unknown may
have taken effect at any time after they began, or never. After Wing and Gong, in the order of events: a set of possible
states, each with the operations that took effect and have not ended yet, and how many of the unknown ones were used up.
"""

STATES_MAX = 50_000


def apply(action, argument, answer, state):
    """(whether the answer is possible in this state, the next state)."""
    if action == "create":
        if answer == "exists":
            return state is not None, state
        return state is None, argument
    if action == "delete":
        if answer == "absent":
            return state is None, state
        return state is not None, None
    assert action == "read", action
    return state == argument, state


class Undecided(Exception):
    """More possibilities than are followed."""


def check(operations):
    """None when there is an order; otherwise the first operation that fits none. `operations` are
    (began, ended or None, action, argument, answer), where None is an outcome nobody knows."""
    events = []
    for number, (began, ended, *_) in enumerate(operations):
        events.append((began, 0, number))
        if ended is not None:
            events.append((ended, 1, number))
    classes, pending, available = {}, set(), []
    for operation in operations:
        if operation[1] is None:
            classes.setdefault(operation[2:], len(classes))
    available = [0] * len(classes)
    unknown = list(classes)
    configurations = {(None, frozenset(), (0,) * len(classes))}
    for _, is_end, number in sorted(events):
        operation = operations[number]
        if not is_end:
            if operation[1] is None:
                available[classes[operation[2:]]] += 1
            else:
                pending.add(number)
            continue
        configurations = reach(configurations, number, operations, pending, unknown, available)
        pending.discard(number)
        if not configurations:
            return operation
    return None


def reach(configurations, number, operations, pending, unknown, available):
    """All possibilities in which `number` has taken effect."""
    reached, seen, open_ones = set(), set(configurations), list(configurations)
    while open_ones:
        if len(seen) > STATES_MAX:
            raise Undecided
        state, effective, used = open_ones.pop()
        if number in effective:
            reached.add((state, effective - {number}, used))
            continue
        following = []
        for other in pending - effective:
            fits, after = apply(*operations[other][2:], state)
            if fits:
                following.append((after, effective | {other}, used))
        for index, (action, argument, _) in enumerate(unknown):
            fits, after = apply(action, argument, "done", state)
            if fits and used[index] < available[index]:
                following.append((after, effective, used[:index] + (used[index] + 1,) + used[index + 1:]))
        for configuration in following:
            if configuration not in seen:
                seen.add(configuration)
                open_ones.append(configuration)
    return without_wasteful(reached)


def without_wasteful(configurations):
    """One that used more unknown operations up than another, and is otherwise as it, can reach nothing more."""
    kept = {}
    for state, effective, used in sorted(configurations, key=lambda one: sum(one[2])):
        others = kept.setdefault((state, effective), [])
        if not any(all(a <= b for a, b in zip(other, used)) for other in others):
            others.append(used)
    return {(state, effective, used) for (state, effective), uses in kept.items() for used in uses}
