// SPDX-License-Identifier: Apache-2.0
//
// DeadlineHeap.swift
// Which group's timer is due next, for many groups whose deadlines mostly move away again.

import Model

/// A binary min-heap of deadlines by group, with at most one valid deadline for each.
///
/// A deadline that moves later keeps its place and is moved when it comes up; one that moves earlier is entered again
/// and the old entry is skipped. Cost: O(log n) for each change.
struct DeadlineHeap: Sendable {
    private struct Entry: Sendable {
        var deadline: Instant
        var group: String
    }

    private var entries: [Entry] = []
    /// The deadline of the one valid entry of each group.
    private var scheduled: [String: Instant] = [:]

    /// The earliest deadline; a lower bound when groups were removed.
    var earliest: Instant? { entries.first?.deadline }

    /// Makes sure that `group` comes up no later than `deadline`.
    mutating func schedule(_ group: String, at deadline: Instant) {
        if let present = scheduled[group], present <= deadline { return }
        scheduled[group] = deadline
        entries.append(Entry(deadline: deadline, group: group))
        siftUp(from: entries.count - 1)
    }

    /// Takes the earliest group whose deadline is not after `now`; nil when none is due.
    mutating func popDue(now: Instant) -> String? {
        while let first = entries.first, first.deadline <= now {
            removeFirst()
            guard scheduled[first.group] == first.deadline else { continue }
            scheduled[first.group] = nil
            return first.group
        }
        return nil
    }

    /// Forgets a group.
    mutating func remove(_ group: String) { scheduled[group] = nil }

    private mutating func removeFirst() {
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].deadline < entries[least].deadline { least = child }
            }
            if least == parent { return }
            entries.swapAt(parent, least)
            parent = least
        }
    }

    private mutating func siftUp(from start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            if entries[parent].deadline <= entries[child].deadline { return }
            entries.swapAt(parent, child)
            child = parent
        }
    }
}
