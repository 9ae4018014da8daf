// SPDX-License-Identifier: Apache-2.0
//
// IndexStream.swift
// Records of the index one after another, read in small portions: whatever a group has, memory stays the same.

internal import Model
internal import RocksKV

/// Goes through records in the order of their keys.
struct IndexStream<Record> {
    private var waiting: [Record] = []
    private var position = 0
    private var isAtEnd = false
    /// Reads up to ``portion`` records behind the one that is passed; from the start without one.
    private let load: (Record?) throws(StoreError) -> [Record]

    /// Records that are read at a time.
    static var portion: Int { 512 }

    init(_ load: @escaping (Record?) throws(StoreError) -> [Record]) { self.load = load }

    /// The present record; nil at the end.
    mutating func peek() throws(StoreError) -> Record? {
        if position < waiting.count { return waiting[position] }
        guard !isAtEnd else { return nil }
        let last = waiting.last
        waiting = []
        position = 0
        do throws(StoreError) {
            waiting = try load(last)
        } catch {
            // What cannot be read once is not tried again for each frame.
            isAtEnd = true
            throw error
        }
        isAtEnd = waiting.count < Self.portion
        return waiting.first
    }

    /// Moves on.
    mutating func pop() { position += 1 }
}

extension IndexDatabase {
    /// The pointers of `group`, in order.
    func pointers(of group: GroupID, from first: LogIndex) -> IndexStream<IndexedPointer> {
        stream { last, body throws(IndexError) in
            try self.forEachPointer(of: group, from: last?.index.next ?? first, body)
        }
    }

    /// The offset index of `group`, in order.
    func offsetEntries(of group: GroupID) -> IndexStream<OffsetIndexEntry> {
        stream { last, body throws(IndexError) in
            try self.forEachOffsetIndexEntry(of: group, from: last.map { $0.offset + 1 } ?? .zero, body)
        }
    }

    /// The time index of `group`, in order.
    func timeEntries(of group: GroupID) -> IndexStream<TimeIndexEntry> {
        stream { last, body throws(IndexError) in
            try self.forEachTimeIndexEntry(of: group, behind: last, body)
        }
    }

    /// A stream of what `forEach` passes to its body, which it does in order, behind a record, until the body returns false.
    private func stream<Record>(
        _ forEach: @escaping (Record?, (Record) -> Bool) throws(IndexError) -> Void
    ) -> IndexStream<Record> {
        IndexStream { last throws(StoreError) in
            var portion: [Record] = []
            try indexed { () throws(IndexError) in
                try forEach(last) {
                    portion.append($0)
                    return portion.count < IndexStream<Record>.portion
                }
            }
            return portion
        }
    }

    /// Calls `body` with each entry of the time index behind `last`, in order, until it returns false.
    private func forEachTimeIndexEntry(
        of group: GroupID, behind last: TimeIndexEntry?, _ body: (TimeIndexEntry) -> Bool
    ) throws(IndexError) {
        let prefix = KeySpace.prefix(group)
        var range = KeyRange.prefix(prefix)
        if let last {
            let key = KeySpace.key(group, timestamp: last.maxTimestampSoFar, last.offset + 1)
            range = KeyRange(from: copy(key.span), upTo: KeyRange.successor(of: prefix))
        }
        try forEach(in: .timeIndex, over: range, fillsCache: false) { key, value throws(RecordDamage) in
            guard let time = KeySpace.time(of: key) else { throw .malformedKey }
            let frame = try FrameReference(decoding: value)
            return body(
                TimeIndexEntry(
                    maxTimestampSoFar: time.timestamp, offset: time.offset, index: frame.index, at: frame.at))
        }
    }

    /// All producer snapshots of `group`, oldest first.
    func producerSnapshots(of group: GroupID) throws(IndexError) -> [ProducerSnapshot] {
        var snapshots: [ProducerSnapshot] = []
        try forEach(in: .producers, over: KeySpace.range(of: group)) { key, value throws(RecordDamage) in
            guard let offset = KeySpace.number(of: key) else { throw .malformedKey }
            let stored = try ProducerSnapshotValue(decoding: value)
            snapshots.append(
                ProducerSnapshot(
                    offset: Offset(Int64(bitPattern: offset)), index: stored.index, bytes: stored.bytes))
            return true
        }
        return snapshots
    }

    /// The groups that have records in `family`, found by seeks: a group with many records costs no more than one with few.
    func owners(in family: IndexFamily) throws(IndexError) -> [GroupID] {
        var owners: [GroupID] = []
        var next: UInt64? = 0
        while let first = next {
            var found: GroupID?
            let start = KeySpace.prefix(GroupID(rawValue: first))
            try forEach(in: family, over: KeyRange(from: start, upTo: nil)) { key, _ throws(RecordDamage) in
                guard let group = KeySpace.group(of: key) else { throw .malformedKey }
                found = group
                return false
            }
            if let found { owners.append(found) }
            next = found.flatMap { $0.rawValue < .max ? $0.rawValue + 1 : nil }
        }
        return owners
    }
}
