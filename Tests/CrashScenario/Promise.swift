// SPDX-License-Identifier: Apache-2.0
//
// Promise.swift
// What may and must be found after a crash, as the facts before it say.

internal import LogStore
internal import Model

/// What one group has promised.
public struct GroupPromise: Sendable {
    /// An entry that was asked for.
    struct Asked: Sendable {
        var entry: EntryIdentity
        /// How many cuts there were before it.
        var generation: Int
    }

    /// A state of the producers.
    struct Snapshot: Sendable {
        var lastEntry: UInt64
        var generation: Int
    }

    /// What may stand at an index: all that was asked for and is not known to be cut.
    var asked: [UInt64: [Asked]] = [:]
    /// What must stand at an index: reported durable, and nobody asked to remove it.
    var durable: [UInt64: EntryIdentity] = [:]
    /// Where each cut began.
    var cuts: [UInt64] = []
    /// The hard state that was reported durable.
    var voted = HardStateRecord(term: .zero, votedFor: nil)
    /// What was asked for since.
    var voting: [HardStateRecord] = []
    /// The beginning of the log is at least this.
    var first: UInt64 = 1
    var logStart: Int64 = 0
    /// And at most this.
    var firstAsked: UInt64 = 1
    var logStartAsked: Int64 = 0
    /// Producers' states that may be found, with the last entry in each; the newest that must.
    var snapshots: [Int64: Snapshot] = [:]
    var savedOffset: Int64?
    var isDeleting = false
    var isDeleted = false
}

/// What a store has promised.
public struct Promise: Sendable {
    var groups: [GroupID: GroupPromise] = [:]
    /// How many facts there were.
    public private(set) var count = 0

    /// Nothing yet.
    public init() {}

    /// Takes one fact.
    public mutating func note(_ fact: Fact) {
        count += 1
        switch fact {
        case .created(let group): if groups[group] == nil { groups[group] = GroupPromise() }
        case .asked(let group, let index, let entry):
            change(group) { $0.asked[index, default: []].append(.init(entry: entry, generation: $0.cuts.count)) }
        case .flushed(let group, let index): change(group) { $0.flushed(index) }
        case .cut(let group, let from):
            change(group) { group in
                group.durable = group.durable.filter { $0.key < from }
                group.cuts.append(from)
                // It goes when it reflects anything that is cut.
                if let saved = group.savedOffset, let snapshot = group.snapshots[saved], snapshot.lastEntry >= from {
                    group.savedOffset = nil
                }
            }
        case .voting(let group, let state): change(group) { $0.voting.append(state) }
        case .voted(let group, let state):
            change(group) { group in
                group.voted = state
                if let place = group.voting.lastIndex(of: state) { group.voting.removeSubrange(...place) }
            }
        case .trimming(let group, let first, let logStart):
            change(group) { group in
                group.firstAsked = first
                group.logStartAsked = logStart
                group.durable = group.durable.filter { $0.key >= first }
            }
        case .trimmed(let group, let first, let logStart):
            change(group) { group in
                group.first = first
                group.logStart = logStart
            }
        case .saving(let group, let offset, let index):
            change(group) { $0.snapshots[offset] = .init(lastEntry: index, generation: $0.cuts.count) }
        case .saved(let group, let offset): change(group) { $0.savedOffset = offset }
        case .deleting(let group): change(group) { $0.isDeleting = true }
        case .deleted(let group): change(group) { $0.isDeleted = true }
        }
    }

    private mutating func change(_ group: GroupID, _ body: (inout GroupPromise) -> Void) {
        body(&groups[group, default: GroupPromise()])
    }
}

extension GroupPromise {
    /// Everything up to `last` is durable; what was cut before the last of them was asked for is gone for good (S4).
    fileprivate mutating func flushed(_ last: UInt64) {
        guard let generation = asked[last]?.last?.generation else { return }
        for (number, from) in cuts.enumerated() where number < generation {
            for index in asked.keys where index >= from {
                asked[index]?.removeAll { $0.generation <= number }
                if asked[index]?.isEmpty == true { asked.removeValue(forKey: index) }
            }
            snapshots = snapshots.filter { $0.value.lastEntry < from || $0.value.generation > number }
        }
        for index in firstAsked...max(firstAsked, last) where index <= last {
            durable[index] = asked[index]?.last?.entry
        }
    }
}

extension GroupPromise {
    /// What recovery found is what counts from now on: requests that were not carried out never will be, and everything that was
    /// found stays (S5).
    mutating func settle(first: UInt64, entries: [EntryIdentity]) {
        let found = Dictionary(uniqueKeysWithValues: zip(first..., entries))
        durable = found
        asked = found.mapValues { [Asked(entry: $0, generation: 0)] }
        cuts = []
        self.first = first
        firstAsked = first
        isDeleting = false
    }

    /// The same for the producers' state and the beginning of the log.
    mutating func settle(snapshot: (offset: Int64, index: UInt64)?, logStart: Int64) {
        snapshots = [:]
        savedOffset = snapshot?.offset
        if let snapshot { snapshots[snapshot.offset] = Snapshot(lastEntry: snapshot.index, generation: 0) }
        self.logStart = logStart
        logStartAsked = logStart
    }
}
