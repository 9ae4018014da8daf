// SPDX-License-Identifier: Apache-2.0
//
// ProductionStore+Verify.swift
// Compares what the production store recovered, or reads, with what it was asked for and what it promised.

internal import LogStore
internal import Model
internal import NIOCore
internal import Raft
internal import Records

extension ProductionStore {
    // MARK: - Recovery

    /// Checks a log that was just recovered against `durable`, which is what it must hold at least.
    ///
    /// Returns what it holds: one of the states it went through since (S2 to S5).
    func verify(_ log: any GroupLog, _ group: Int, durable: GroupImage) -> Result<GroupImage, Problem> {
        let name = "group \(group)"
        let asked = unreported[group]
        let base = log.firstIndex.previous
        let bases = asked.steps.map { step in
            if case .install(let source, _) = step { source.base.index } else { durable.base.index }
        }
        let isCompacted = base > durable.base.index && base <= asked.compactsThrough
        guard base == durable.base.index || asked.bases.contains(base) || bases.contains(base) || isCompacted else {
            return .failure(Problem("R6: \(name) begins behind \(base), durable was \(durable.base.index)"))
        }
        let entries: [EntryBytes]
        switch readAll(log) {
        case .success(let found): entries = found
        case .failure(let error): return .failure(Problem("S10: \(name) cannot be read: \(error)"))
        }
        var found = Result<GroupImage, Problem>.failure(Problem(""))
        switch chain(of: entries, from: Raft.Position(index: base, term: log.termBeforeFirst), group, durable) {
        case .failure(let problem): return .failure(problem)
        case .success(let chain): found = match(log, chain, asked, durable, name)
        }
        guard case .success(var image) = found else { return found }
        if base > image.base.index { image.apply(.trim(base)) }
        let state = Raft.HardState(term: log.hardState.term, votedFor: log.hardState.votedFor)
        guard state == durable.hardState || asked.hardStates.contains(state) || isImplied(state, log, durable) else {
            return .failure(Problem("R2: \(name) has \(state), durable was \(durable.hardState)"))
        }
        image.apply(.hardState(state))
        guard log.floor.map({ Raft.Position(index: $0.index, term: $0.term) }) == durable.floor else {
            return .failure(Problem("R2: \(name) has a floor \(String(describing: log.floor))"))
        }
        if let problem = compareFacts(log, image, name) { return .failure(problem) }
        if let problem = verifyPointers(group, log) { return .failure(problem) }
        return .success(image)
    }

    /// Rule R2: a log with a later term than the stored one implies that term, and no vote in it.
    private func isImplied(_ state: Raft.HardState, _ log: any GroupLog, _ durable: GroupImage) -> Bool {
        state.votedFor == nil && state.term == log.lastTerm && state.term > durable.hardState.term
    }

    /// The checksum at the end of `entries`, each of which must be what its leader stored.
    private func chain(
        of entries: [EntryBytes], from base: Raft.Position, _ group: Int, _ durable: GroupImage
    ) -> Result<UInt64, Problem> {
        guard var chain = knownChain(at: base, group, durable) else {
            return .failure(Problem("S4: group \(group) begins behind \(base.index), where nothing was"))
        }
        var next = base.index.next
        var offset = entries.first?.baseOffset
        for bytes in entries {
            guard bytes.index == next, bytes.baseOffset == offset else {
                return .failure(Problem("S2: group \(group) has entry \(bytes.index) instead of \(next)"))
            }
            // An entry of a log that was closed meanwhile has got its stored form unseen.
            if let problem = ledgers[group].seal(bytes) { return .failure(Problem(problem)) }
            guard let record = ledgers[group].record(bytes.index, bytes.term) else { break }
            chain = Frame(record.entry, after: chain).chain
            next = next.next
            offset = bytes.baseOffset + Int(bytes.recordCount)
        }
        return .success(chain)
    }

    /// The checksum of the log up to a position, as the states since the last recovery had it.
    private func knownChain(at position: Raft.Position, _ group: Int, _ durable: GroupImage) -> UInt64? {
        var image = durable
        if image.term(at: position.index) == position.term { return image.chain(at: position.index) }
        for step in unreported[group].steps {
            image.apply(step)
            if image.term(at: position.index) == position.term { return image.chain(at: position.index) }
        }
        return nil
    }

    /// The state since `durable` that ends like the log.
    private func match(
        _ log: any GroupLog, _ chain: UInt64, _ asked: Unreported, _ durable: GroupImage, _ name: String
    ) -> Result<GroupImage, Problem> {
        var image = durable
        if image.last == log.lastIndex, image.lastChain == chain { return .success(image) }
        for step in asked.steps {
            image.apply(step)
            if image.last == log.lastIndex, image.lastChain == chain { return .success(image) }
        }
        return .failure(
            Problem(
                "S3: \(name) recovered to \(log.lastIndex)/\(log.lastTerm), durable was \(durable.summary), "
                    + "asked for was \(image.summary)"))
    }

    /// What the log says of itself besides its entries (S2, A10).
    private func compareFacts(_ log: any GroupLog, _ image: GroupImage, _ name: String) -> Problem? {
        // A log of commands behind installed state knows of no earlier entry of the term that goes on.
        let starts = log.termStarts.filter { $0.firstIndex > image.base.index && $0.term > image.base.term }
            .map { Raft.TermStart(term: $0.term, start: $0.firstIndex) }
        let expected = image.termStarts
        if starts != expected { return Problem("S2: \(name) knows the terms \(starts), its entries say \(expected)") }
        if log.lastTerm != (image.term(at: image.last) ?? .zero) {
            return Problem("S2: \(name) ends in \(log.lastTerm), its last entry says otherwise")
        }
        let configurations = recordedConfigurations(of: log)
        let current = configurations.last?.configuration
        if image.configuration.index > image.base.index, current != image.configuration.configuration {
            return Problem("A10: \(name) recovered \(String(describing: current)), its log says \(image.configuration)")
        }
        return nil
    }

    /// The configurations that the log holds.
    func recordedConfigurations(of log: any GroupLog) -> [(index: LogIndex, configuration: Raft.Configuration)] {
        log.configurations.compactMap { record in
            Raft.Configuration(decoding: record.bytes).map { (record.index, $0) }
        }
    }

    /// S1: where a pointer points, the frame is; told by the bytes, not by the store's own reader.
    private func verifyPointers(_ group: Int, _ log: any GroupLog) -> Problem? {
        guard let store, !plan.isCommands(group) else { return nil }
        let id = plan.id(of: group)
        var places: [(LogIndex, FramePlace)] = []
        do throws(IndexError) {
            try store.metadata.forEachPointer(of: id, from: log.firstIndex) { entry in
                if let place = entry.pointer.place { places.append((entry.index, place)) }
                return true
            }
        } catch { return Problem("S1: the pointers of group \(group) cannot be read: \(error)") }
        for (index, place) in places {
            let position = Int(place.at.position)
            guard let bytes = disk.bytes(of: path(id, place.at.segment)),
                let frame = StoredFrame(bytes, at: position), frame.index == index.rawValue,
                frame.group == id.rawValue, frame.isWhole(bytes)
            else { return Problem("S1: group \(group) has a pointer for \(index), but no frame at \(position)") }
        }
        // Those of sealed segments go; of the last segment with any, none is missing between others.
        let active = places.filter { $0.1.at.segment == places.last?.1.at.segment }.map(\.0)
        for (index, next) in zip(active, active.dropFirst()) where next != index.next {
            return Problem("S1: group \(group) has pointers for \(index) and \(next), and none in between")
        }
        return nil
    }

    /// Up to which change of the index the store has noted that it is durable.
    var markedSequence: UInt64? {
        disk.bytes(of: "/store/index.synced").flatMap { bytes in
            [0, 4_096].filter { $0 + 40 <= bytes.count }
                .map { (StoredFrame.word(bytes, $0 + 16, 8), StoredFrame.word(bytes, $0 + 24, 8)) }
                .max { $0.0 < $1.0 }?.1
        }
    }

    /// The path of a segment.
    func path(_ id: GroupID, _ base: LogIndex) -> String {
        let digits = String(base.rawValue)
        return "/store/groups/\(id.rawValue)/" + String(repeating: "0", count: 20 - digits.utf8.count) + digits + ".seg"
    }

    // MARK: - Reading

    /// Reads everything a log holds, through its reader.
    func readAll(_ log: any GroupLog) -> Result<[EntryBytes], StoreError> {
        var entries: [EntryBytes] = []
        var next = log.firstIndex
        while next <= log.lastIndex {
            var answer: Result<[StoredEntry], StoreError>?
            log.readEntries(from: next, through: log.lastIndex, maxBytes: 1 << 16) { answer = $0 }
            while answer == nil {
                let didRead = steps?.run(.read) ?? false
                guard didRead || loop.hasWork else { return .failure(.closed) }
                loop.turn()
            }
            switch answer {
            case .success(let more) where !more.isEmpty:
                entries += more.map(EntryBytes.init)
                next = next + more.count
            case .failure(let error): return .failure(error)
            default: return .failure(.outOfRange(first: next, last: log.lastIndex))
            }
        }
        return .success(entries)
    }

    /// S10 for consumers: reads batches from an offset on; returns a broken rule.
    func consume(
        _ log: PartitionLog, _ group: Int, from offset: Offset, upTo end: Offset, image: GroupImage
    ) -> Problem? {
        var answer: Result<ReadResult, StoreError>?
        log.read(from: offset, upTo: end, maxBytes: 4_000) { answer = $0 }
        while answer == nil {
            let didRead = steps?.run(.read) ?? false
            guard didRead || loop.hasWork else { return nil }
            loop.turn()
        }
        // A read that fails says so; whether it may is the business of those who know of damage.
        guard case .success(let result) = answer else { return nil }
        var bytes = ByteBuffer()
        for slice in result.slices { bytes.writeImmutableBuffer(slice) }
        var expected = ByteBuffer()
        for frame in image.frames where expected.readableBytes < bytes.readableBytes {
            guard let record = ledgers[group].record(frame.entry.index, frame.entry.term), let stored = record.stored,
                stored.kind == .data, stored.baseOffset + Int(stored.recordCount) > offset
            else { continue }
            expected.writeImmutableBuffer(record.raw)
        }
        if bytes != expected {
            return Problem("S10: group \(group) serves other bytes from \(offset) on than were stored")
        }
        return nil
    }
}

/// A frame's header, read without the store's own code.
struct StoredFrame {
    let group: UInt64
    let index: UInt64
    let term: UInt64
    let salt: UInt64
    /// The checksum of the frame before, and this one's.
    let previous: UInt64
    let checksum: UInt64
    let position: Int
    let lead: Int
    let storedLength: Int
    let payloadCRC: UInt32

    /// Reads the header at `position`; nil when there is none.
    init?(_ bytes: [UInt8], at position: Int) {
        guard position + 96 <= bytes.count, Self.word(bytes, position, 4) == 0x3146_4C47 else { return nil }
        self.position = position
        group = Self.word(bytes, position + 8, 8)
        salt = Self.word(bytes, position + 16, 8)
        previous = Self.word(bytes, position + 68, 4)
        checksum = Self.word(bytes, position + 92, 4)
        term = Self.word(bytes, position + 24, 8)
        index = Self.word(bytes, position + 32, 8)
        storedLength = Int(Self.word(bytes, position + 60, 4))
        payloadCRC = UInt32(Self.word(bytes, position + 72, 4))
        lead = Int(Self.word(bytes, position + 76, 2))
    }

    /// The frames of entries that follow each other from the beginning of a segment.
    static func all(in bytes: [UInt8], of group: GroupID) -> [StoredFrame] {
        var frames: [StoredFrame] = []
        var position = 0
        while let frame = StoredFrame(bytes, at: position), frame.group == group.rawValue, bytes[position + 5] != 5,
            frames.last.map({ frame.previous == $0.checksum && frame.salt == $0.salt }) ?? true
        {
            frames.append(frame)
            position = frame.end
        }
        return frames
    }

    /// The sequence of the journal's block at `position`; nil when there is none.
    static func journalSequence(_ bytes: [UInt8], at position: Int) -> UInt64? {
        guard position + 64 <= bytes.count, word(bytes, position, 4) == 0x314A_4C47 else { return nil }
        return word(bytes, position + 16, 8)
    }

    /// The position behind the frame.
    var end: Int { position + (96 + lead + storedLength + 7) / 8 * 8 }

    /// Whether header and payload match their checksums.
    func isWhole(_ bytes: [UInt8]) -> Bool {
        let start = position + 96 + lead
        guard start + storedLength <= bytes.count else { return false }
        let header = CRC32C.checksum(ByteBuffer(bytes: bytes[position..<(position + 92)]))
        return UInt64(header) == Self.word(bytes, position + 92, 4)
            && CRC32C.checksum(ByteBuffer(bytes: bytes[start..<(start + storedLength)])) == payloadCRC
    }

    static func word(_ bytes: [UInt8], _ position: Int, _ count: Int) -> UInt64 {
        var value: UInt64 = 0
        for place in (0..<count).reversed() { value = value << 8 | UInt64(bytes[position + place]) }
        return value
    }
}
