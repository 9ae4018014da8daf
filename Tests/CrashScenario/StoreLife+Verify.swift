// SPDX-License-Identifier: Apache-2.0
//
// StoreLife+Verify.swift
// Opens what a crash left and compares it with what was promised, invariant by invariant.

internal import LogStore
public import Model
internal import NIOCore
internal import Records

/// What was found after a crash.
public struct Findings: Sendable {
    /// Where each log ends.
    public var ends: [GroupID: End] = [:]
    /// Which invariant does not hold, and where.
    public var problems: [String] = []

    /// The end of one log.
    public struct End: Hashable, Sendable {
        /// Its last entry.
        public var index: LogIndex
        /// The offset after its last record.
        public var offset: Offset
    }
}

extension StoreLife {
    /// Opens the store, looks at every group, and leaves the store open without logs.
    ///
    /// From then on what was found is what is promised.
    public func verify() throws -> Findings {
        let store = try open()
        var findings = Findings()
        // A crash loses nothing that was synced.
        if store.isAmnesiac { findings.problems.append("A9: the store takes itself for amnesiac") }
        let present = Set(try store.groups())
        for (id, promise) in promise.groups.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            guard present.contains(id) else {
                // S9: a group is there, or it was told to go.
                if !promise.isDeleting { findings.problems.append("S9: \(id) is gone") }
                self.promise.note(.deleted(id))
                continue
            }
            if promise.isDeleted { findings.problems.append("S4: \(id) is back") }
            if id == .controller {
                try verify(try commands(store), promise, &findings)
            } else {
                try verifyPointers(id, store, &findings)
                try verify(try partition(id, store), promise, &findings)
            }
        }
        try verifyFiles(present, &findings)
        loop.turn()
        // S8: with no log open nothing is held.
        if store.bufferBalance != 0 { findings.problems.append("S8: \(store.bufferBalance) bytes are held") }
        return findings
    }

    private func verify(_ log: PartitionLog, _ promise: GroupPromise, _ findings: inout Findings) throws {
        if let damage = log.damage { findings.problems.append("S1: \(damage)") }
        if log.logStartOffset.rawValue < promise.logStart
            || log.logStartOffset.rawValue
                > max(
                    promise.logStart, promise.logStartAsked)
        {
            findings.problems.append("R6: \(log.id) begins at \(log.logStartOffset), not \(promise.logStart)")
        }
        verifySnapshot(log, promise, &findings)
        try verifyEntries(log, promise, &findings)
        let snapshot = log.producerSnapshot.map { ($0.offset.rawValue, $0.index.rawValue) }
        self.promise.groups[log.id]?.settle(snapshot: snapshot, logStart: log.logStartOffset.rawValue)
        log.close()
    }

    private func verify(_ log: CommandLog, _ promise: GroupPromise, _ findings: inout Findings) throws {
        try verifyEntries(log, promise, &findings)
        log.close()
    }

    private func verifyEntries(
        _ log: some GroupLog, _ promise: GroupPromise, _ findings: inout Findings
    ) throws {
        let id = log.id
        func problem(_ text: String) { findings.problems.append(text) }
        findings.ends[id] = Findings.End(index: log.lastIndex, offset: log.logEndOffset)
        let first = log.firstIndex.rawValue
        if first < promise.first || first > max(promise.first, promise.firstAsked) {
            problem("R6: \(id) begins with entry \(first), not \(promise.first)")
        }
        if !isAllowed(log.hardState, log.lastTerm, promise) {
            problem("R2: \(id) has \(log.hardState), promised was \(promise.voted)")
        }
        let entries = try readEntries(log)
        var offset = entries.first?.baseOffset
        var term = log.termBeforeFirst
        for (number, entry) in entries.enumerated() {
            let index = first + UInt64(number)
            if entry.index.rawValue != index { problem("S2: \(id) has entry \(entry.index) instead of \(index)") }
            if entry.term < term { problem("S2: \(id) falls to \(entry.term) at entry \(index)") }
            if entry.baseOffset != offset { problem("S2: \(id) has a gap before entry \(index)") }
            offset = entry.baseOffset + Int(entry.recordCount)
            term = entry.term
            let found = EntryIdentity(term: entry.term.rawValue, crc: CRC32C.checksum(entry.payload))
            if let durable = promise.durable[index], durable != found {
                problem("S3: \(id) has \(found) at entry \(index), durable was \(durable)")
            }
            if promise.asked[index]?.contains(where: { $0.entry == found }) != true {
                problem("S4: \(id) has \(found) at entry \(index), which was cut or never asked for")
            }
        }
        if entries.count != max(0, log.lastIndex.next - log.firstIndex) {
            problem("S2: \(id) has \(entries.count) entries from \(first) to \(log.lastIndex)")
        }
        self.promise.groups[id]?.settle(
            first: first,
            entries: entries.map { EntryIdentity(term: $0.term.rawValue, crc: CRC32C.checksum($0.payload)) })
        let last = promise.durable.keys.filter { $0 >= first }.max() ?? 0
        if last > log.lastIndex.rawValue { problem("S3: \(id) ends at \(log.lastIndex), durable was \(last)") }
    }

    /// The state that was durable, or a later one; or what the last entry's term implies (rule R2).
    private func isAllowed(_ state: HardStateRecord, _ lastTerm: Term, _ promise: GroupPromise) -> Bool {
        if state == promise.voted || promise.voting.contains(state) { return true }
        return state.votedFor == nil && state.term == lastTerm && state.term > promise.voted.term
    }

    private func readEntries(_ log: some GroupLog) throws -> [StoredEntry] {
        var entries: [StoredEntry] = []
        while log.firstIndex + entries.count <= log.lastIndex {
            var answer: Result<[StoredEntry], StoreError>?
            log.readEntries(from: log.firstIndex + entries.count, through: log.lastIndex, maxBytes: 1 << 20) {
                answer = $0
            }
            try loop.turn { answer != nil }
            guard let more = try answer?.get(), !more.isEmpty else { return entries }
            entries += more
        }
        return entries
    }

    private func verifySnapshot(_ log: PartitionLog, _ promise: GroupPromise, _ findings: inout Findings) {
        guard let snapshot = log.producerSnapshot else {
            if promise.savedOffset != nil { findings.problems.append("R7: \(log.id) forgot its producers") }
            return
        }
        let offset = snapshot.offset
        if promise.snapshots[offset.rawValue] == nil {
            findings.problems.append("S4: \(log.id) has producers at \(offset), which was cut or never asked for")
        }
        if offset.rawValue < promise.savedOffset ?? 0 || offset > log.logEndOffset {
            findings.problems.append("R7: \(log.id) has producers at \(offset), ends at \(log.logEndOffset)")
        }
        if snapshot.bytes != Array("producers at \(offset)".utf8) {
            findings.problems.append("R7: \(log.id) has other producers at \(offset)")
        }
    }

    /// S1: where a pointer points, the frame is; told by the bytes, not by the store's own reader.
    ///
    /// Called when the journal was replayed, which brings frames to their places.
    private func verifyPointers(_ id: GroupID, _ store: LogStore, _ findings: inout Findings) throws {
        var places: [(LogIndex, FramePlace)] = []
        let first = try store.metadata.groupMeta(of: id)?.firstIndex ?? .zero
        let cut = try store.metadata.groupMeta(of: id)?.cut?.from
        try store.metadata.forEachPointer(of: id, from: first) { entry in
            if let place = entry.pointer.place, cut.map({ entry.index < $0 }) ?? true {
                places.append((entry.index, place))
            }
            return true
        }
        for (index, place) in places {
            let digits = String(place.at.segment.rawValue)
            let name = String(repeating: "0", count: 20 - digits.count) + digits
            let path = "\(settings.directory)/groups/\(id.rawValue)/\(name).seg"
            var bytes = ByteBuffer()
            let stored = Int(place.storedLength)
            guard let file = try? system.open(path, .read),
                try file.read(96, at: Int(place.at.position), into: &bytes) == 96,
                let lead = bytes.getInteger(at: 76, endianness: .little, as: UInt16.self).map({ Int($0) }),
                try file.read(lead + stored, at: Int(place.at.position) + 96, into: &bytes) == lead + stored,
                bytes.getInteger(at: 8, endianness: .little, as: UInt64.self) == id.rawValue,
                bytes.getInteger(at: 32, endianness: .little, as: UInt64.self) == index.rawValue,
                bytes.getInteger(at: 72, endianness: .little, as: UInt32.self) == place.payloadCRC,
                let payload = bytes.getSlice(at: 96 + lead, length: stored),
                CRC32C.checksum(payload) == place.payloadCRC
            else {
                findings.problems.append(
                    "S1: \(id) has a pointer for \(index), but no frame at \(name):\(place.at.position)")
                continue
            }
        }
    }

    /// Nothing of a group that does not exist lies about.
    private func verifyFiles(_ present: Set<GroupID>, _ findings: inout Findings) throws {
        for name in try system.list(settings.directory + "/groups") {
            if let number = UInt64(name), !present.contains(GroupID(rawValue: number)) {
                findings.problems.append("S9: the files of group \(name) are left")
            }
        }
    }
}
