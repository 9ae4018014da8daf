// SPDX-License-Identifier: Apache-2.0
//
// ReplicaComparison.swift
// Compares the log of one group in two data directories, entry by entry, in memory that does not grow with the log.

public import Model
internal import NIOCore
internal import Records

/// What two replicas must agree on of one entry.
struct EntryDigest: Hashable {
    var index: LogIndex
    var term: Term
    var kind: FrameKind
    var baseOffset: Offset
    var recordCount: Int32
    var storedBytes: Int
    /// The checksum of the payload as it is stored.
    var checksum: UInt32
}

/// How the logs of two replicas of one group compare.
public struct ReplicaComparison: Sendable, Hashable {
    /// The first entry that is not the same.
    public struct Difference: Sendable, Hashable {
        /// The entry.
        public let index: LogIndex
        /// Its terms here and there.
        public let terms: [Term]

        /// What is not the same, for people.
        public var reason: String {
            terms[0] == terms[1]
                ? "the same term \(terms[0]) and another content"
                : "of term \(terms[0]) here and of term \(terms[1]) there"
        }
    }

    /// The last entry here.
    public let last: LogIndex
    /// The last entry there.
    public let otherLast: LogIndex
    /// The first and the last entry that both have and that were compared; nil when they have none in common.
    public internal(set) var range: ClosedRange<LogIndex>?
    /// How many were the same.
    public internal(set) var equal = 0
    /// Entries inside the range that only one of them has, because of damage.
    public internal(set) var holes = 0
    /// Where they part; nothing behind it was compared.
    public internal(set) var difference: Difference?

    /// Takes over entries of both up to where the shorter list ends; returns that end, nil when a list is empty or they part.
    mutating func add(_ here: [EntryDigest], _ there: [EntryDigest]) -> LogIndex? {
        guard let end = here.last.map(\.index).flatMap({ a in there.last.map { min(a, $0.index) } }) else { return nil }
        var (left, right) = (here[...], there[...])
        while let a = left.first, let b = right.first, a.index <= end, b.index <= end {
            if a.index != b.index {
                holes += 1
                if a.index < b.index { left.removeFirst() } else { right.removeFirst() }
                continue
            }
            range = (range?.lowerBound ?? a.index)...a.index
            guard a == b else {
                difference = Difference(index: a.index, terms: [a.term, b.term])
                return nil
            }
            equal += 1
            left.removeFirst()
            right.removeFirst()
        }
        return end
    }
}

extension StoreReader {
    /// Compares the log of `group` here with the log of the same group, as it is known there, in another directory.
    ///
    /// What frames say of their payloads is compared; whether the payloads are what was written ``verify(_:progress:)``
    /// finds out. Entries that are not committed may differ between replicas.
    ///
    /// - Cost: the headers of both logs where both have entries.
    public func compare(
        _ group: InspectedGroup, with other: StoreReader, _ theirs: InspectedGroup
    ) throws(StoreError) -> ReplicaComparison {
        try compare(group, with: other, theirs, atOnce: 1 << 16)
    }

    /// The same, with `count` entries of each replica in memory.
    func compare(
        _ group: InspectedGroup, with other: StoreReader, _ theirs: InspectedGroup, atOnce count: Int
    ) throws(StoreError) -> ReplicaComparison {
        var comparison = ReplicaComparison(last: lastIndex(of: group), otherLast: other.lastIndex(of: theirs))
        // Each replica compacts for itself: what is compared begins where both have their entries one by one.
        let compacted = max(try lastCompacted(of: group), try other.lastCompacted(of: theirs))
        var last = max(max(group.meta.firstIndex, theirs.meta.firstIndex).previous, compacted)
        // Of two logs that begin alike everything is walked; else what lies at the very start without records is left out.
        let beginAlike = group.meta.firstIndex == theirs.meta.firstIndex
        var offset = beginAlike ? nil : max(group.meta.firstOffset, theirs.meta.firstOffset)
        while true {
            let here = try digests(of: group, after: last, from: offset, count)
            let there = try other.digests(of: theirs, after: last, from: offset, count)
            guard let end = comparison.add(here, there) else { return comparison }
            last = end
            offset = here.last { $0.index <= end && $0.recordCount > 0 }?.baseOffset ?? offset
        }
    }

    /// The next `count` entries of a log.
    ///
    /// `offset` is not behind the first of them, and lets the walk pass over those before; nil begins at the start.
    private func digests(
        of group: InspectedGroup, after last: LogIndex, from offset: Offset?, _ count: Int
    ) throws(StoreError) -> [EntryDigest] {
        var found: [EntryDigest] = []
        func add(_ digest: EntryDigest) -> Bool {
            if digest.index > last { found.append(digest) }
            return found.count < count
        }
        if group.isPartition {
            _ = try walk(group, WalkOptions(depth: .headers, from: offset)) {
                $0.isCompacted || add(EntryDigest($0.header))
            }
            return found
        }
        var isFull = false
        var seen = last
        try pointers(of: group) { entry in
            seen = max(seen, entry.index)
            guard case .inline(let bytes) = entry.pointer.content else { return true }
            isFull = !add(
                EntryDigest(
                    index: entry.index, term: entry.pointer.term,
                    kind: FrameKind(rawValue: entry.pointer.kind) ?? .command, baseOffset: .zero, recordCount: 0,
                    storedBytes: bytes.count, checksum: CRC32C.checksum(ByteBuffer(bytes: bytes))))
            return !isFull
        }
        for frame in journal.frames[group.id] ?? [] where frame.header.index > seen && !isFull {
            isFull = !add(EntryDigest(frame.header))
        }
        return found
    }
}

extension EntryDigest {
    init(_ header: FrameHeader) {
        self.init(
            index: header.index, term: header.term, kind: header.kind, baseOffset: header.baseOffset,
            recordCount: header.recordCount, storedBytes: Int(header.storedLength), checksum: header.payloadCRC)
    }
}
