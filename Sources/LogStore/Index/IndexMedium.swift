// SPDX-License-Identifier: Apache-2.0
//
// IndexMedium.swift
// An index database in memory that outlives its users and knows what was synced: a power failure loses the end of what
// was not, and never anything out of order. For simulation.

package import Model
package import RocksKV
internal import Synchronization

/// The records of one index database, and how many of the latest commits a power failure would lose.
///
/// As with RocksDB, a commit is applied whole or not at all, a synced commit makes all commits before it durable, and
/// what survives is a prefix of all commits.
package final class IndexMedium: Sendable {
    /// One change of one record.
    struct Change: Sendable {
        let family: Int
        let key: [UInt8]
        /// The new value; nil removes the record.
        let value: [UInt8]?
    }

    /// What becomes of a commit.
    package enum Fate: Sendable {
        /// It succeeds.
        case done
        /// It succeeds, and is not durable though it was to be.
        case unsynced
        /// It fails and leaves nothing.
        case failed
        /// It fails, and may be found after a restart.
        case unknown
    }

    /// One column family, in the order of its keys.
    struct Table: Sendable {
        var keys: [[UInt8]] = []
        var values: [[UInt8]] = []

        /// The place of the first key that is not less than `key`.
        func place(of key: [UInt8]) -> Int {
            var (low, high) = (0, keys.count)
            while low < high {
                let middle = (low + high) / 2
                if IndexMedium.isLess(keys[middle], key) { low = middle + 1 } else { high = middle }
            }
            return low
        }

        /// The places of the keys in `range`.
        func places(in range: KeyRange) -> Range<Int> {
            let start = place(of: range.lower)
            return start..<max(start, range.upper.map(place(of:)) ?? keys.count)
        }

        mutating func apply(_ change: Change) {
            let place = place(of: change.key)
            let exists = place < keys.count && keys[place] == change.key
            switch (change.value, exists) {
            case (let value?, true): values[place] = value
            case (let value?, false):
                keys.insert(change.key, at: place)
                values.insert(value, at: place)
            case (nil, true):
                keys.remove(at: place)
                values.remove(at: place)
            case (nil, false): break
            }
        }
    }

    /// All records at one moment.
    package struct Image: Sendable {
        var tables: [Table] = IndexFamily.allCases.map { _ in Table() }
        /// The number of the last change.
        package internal(set) var sequence: UInt64 = 0

        mutating func apply(_ commit: [Change]) {
            for change in commit { tables[change.family].apply(change) }
            sequence += UInt64(commit.count)
        }

        /// Whether the index has facts of `group`.
        package func knows(_ group: GroupID) -> Bool {
            let table = tables[IndexFamily.groupMeta.rawValue]
            let key = KeySpace.prefix(group)
            let place = table.place(of: key)
            return place < table.keys.count && table.keys[place] == key
        }
    }

    private struct State: Sendable {
        var image = Image()
        var durable = Image()
        var unsynced: [[Change]] = []
    }

    private let state = Mutex(State())
    private let willCommit: @Sendable (Durability) -> Fate

    /// An empty database; `willCommit` decides what becomes of each commit.
    package init(willCommit: @escaping @Sendable (Durability) -> Fate = { _ in .done }) { self.willCommit = willCommit }

    private static func isLess(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        for place in 0..<min(a.count, b.count) where a[place] != b[place] { return a[place] < b[place] }
        return a.count < b.count
    }

    // MARK: Failing

    /// How many of the latest commits are not durable.
    package var unsyncedCommits: Int { state.withLock { $0.unsynced.count } }

    /// The power fails: of the commits that are not durable, the first `count` survive.
    package func losePower(keeping count: Int) {
        state.withLock { state in
            var image = state.durable
            for commit in state.unsynced.prefix(count) { image.apply(commit) }
            state = State(image: image, durable: image)
        }
    }

    /// What would be found after a power failure that loses everything it can.
    package var durable: Image { state.withLock { $0.durable } }

    /// Puts an older image back, as a copy of the folder would be.
    package func restore(_ image: Image) { state.withLock { $0 = State(image: image, durable: image) } }

    // MARK: Database

    var latestSequence: UInt64 { state.withLock { $0.image.sequence } }

    func commit(_ changes: [Change], _ durability: Durability) throws(RocksError) {
        let fate = willCommit(durability)
        state.withLock { state in
            guard fate != .failed else { return }
            if !changes.isEmpty {
                state.image.apply(changes)
                state.unsynced.append(changes)
            }
            guard fate == .done, durability == .synced else { return }
            state.durable = state.image
            state.unsynced.removeAll()
        }
        guard fate == .done || fate == .unsynced else { throw .io("a simulated failure") }
    }

    func value(of key: [UInt8], in family: ColumnFamily) throws(RocksError) -> [UInt8]? {
        state.withLock { state in
            let table = state.image.tables[family.position]
            let place = table.place(of: key)
            return place < table.keys.count && table.keys[place] == key ? table.values[place] : nil
        }
    }

    /// One column family as it is now.
    func table(_ family: ColumnFamily) -> Table { state.withLock { $0.image.tables[family.position] } }
}
