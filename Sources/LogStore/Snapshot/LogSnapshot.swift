// SPDX-License-Identifier: Apache-2.0
//
// LogSnapshot.swift
// What a snapshot of a group consists of: its segment files, or the state of its state machine, and the facts beside them.

public import Model

/// A description of everything a group holds up to an entry.
///
/// The content is fetched by file and range; the description proves it: the checksum of a segment's last frame covers,
/// through the chain of frames, every byte before it.
public struct LogSnapshot: Sendable, Hashable {
    /// The group.
    public let group: GroupID
    /// The last entry it covers; committed.
    public let index: LogIndex
    /// The term of that entry.
    public let term: Term
    /// The memberships along the log, oldest first; the first is the one in effect where the log begins.
    public let configurations: [ConfigurationRecord]
    /// The first entry it holds; behind `index` when it holds none.
    package let firstIndex: LogIndex
    let previousTerm: Term
    let firstOffset: Offset
    let logStartOffset: Offset
    /// The checksum that the frame behind it continues, when no segment of it can tell.
    let chain: UInt32?
    let termStarts: [TermStart]
    let producers: ProducerSnapshot?
    let content: SnapshotContent

    /// How many files there are to fetch.
    public var fileCount: Int {
        switch content {
        case .segments(let segments): segments.count
        case .state: 1
        }
    }

    /// The bytes of one file.
    public func byteCount(ofFile number: Int) -> Int {
        switch content {
        case .segments(let segments): segments[number].byteCount
        case .state(_, let byteCount, _): byteCount
        }
    }

    init(
        group: GroupID, index: LogIndex, term: Term, configurations: [ConfigurationRecord], firstIndex: LogIndex,
        previousTerm: Term, firstOffset: Offset, logStartOffset: Offset, chain: UInt32?,
        termStarts: [TermStart], producers: ProducerSnapshot?, content: SnapshotContent
    ) {
        self.group = group
        self.index = index
        self.term = term
        self.configurations = configurations
        self.firstIndex = firstIndex
        self.previousTerm = previousTerm
        self.firstOffset = firstOffset
        self.logStartOffset = logStartOffset
        self.chain = chain
        self.termStarts = termStarts
        self.producers = producers
        self.content = content
    }

    /// The bytes of all files.
    public var byteCount: Int { (0..<fileCount).reduce(0) { $0 + byteCount(ofFile: $1) } }
}

/// What is to be fetched.
enum SnapshotContent: Sendable, Hashable {
    /// Segment files, oldest first.
    case segments([SnapshotSegment])
    /// The keys of a state machine in one piece.
    case state(StateFamily, byteCount: Int, checksum: UInt32)
}

/// A segment file, whole or up to the snapshot's last entry.
struct SnapshotSegment: Sendable, Hashable {
    /// The name of the file: the first entry, with a generation when compaction wrote it.
    let name: LogIndex
    /// The first entry.
    var base: LogIndex { Segment.base(of: name) }
    /// Whether compaction wrote it.
    var isCompacted: Bool { Segment.generation(of: name) > 0 }
    /// The term of that entry, which with the group and the base makes the salt.
    let term: Term
    /// The last entry.
    let lastIndex: LogIndex
    /// The bytes to fetch: all frames, and the footer of a closed segment.
    let byteCount: Int
    /// Whether a footer closes it.
    let isSealed: Bool
    /// The checksum of the last frame; of the footer where compaction wrote the file.
    let checksum: UInt32
}

// MARK: - Coding

extension LogSnapshot: StoredValue {
    static let version: UInt8 = 2

    /// The bytes for peers and for the index database.
    public var bytes: [UInt8] { encoded }

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        for number in [
            group.rawValue, index.rawValue, term.rawValue, firstIndex.rawValue, previousTerm.rawValue,
            UInt64(bitPattern: firstOffset.rawValue), UInt64(bitPattern: logStartOffset.rawValue),
        ] { writer.integer(number) }
        writer.integer(UInt8(chain == nil ? 0 : 1))
        if let chain { writer.integer(chain) }
        writer.integer(UInt32(configurations.count))
        for record in configurations {
            writer.integer(record.index.rawValue)
            writer.counted(record.bytes)
        }
        writer.integer(UInt32(termStarts.count))
        for start in termStarts {
            writer.integer(start.term.rawValue)
            writer.integer(start.firstIndex.rawValue)
            writer.integer(start.firstOffset.rawValue)
        }
        writer.integer(UInt8(producers == nil ? 0 : 1))
        if let producers {
            writer.integer(producers.offset.rawValue)
            writer.integer(producers.index.rawValue)
            writer.counted(producers.bytes)
        }
        encodeContent(into: &writer)
    }

    private func encodeContent(into writer: inout RecordWriter) {
        switch content {
        case .segments(let segments):
            writer.integer(UInt8(0))
            writer.integer(UInt32(segments.count))
            for segment in segments {
                writer.integer(segment.name.rawValue)
                writer.integer(segment.term.rawValue)
                writer.integer(segment.lastIndex.rawValue)
                writer.integer(UInt64(segment.byteCount))
                writer.integer(UInt8(segment.isSealed ? 1 : 0))
                writer.integer(segment.checksum)
            }
        case .state(let family, let byteCount, let checksum):
            writer.integer(UInt8(1))
            writer.integer(family.snapshotNumber)
            writer.integer(UInt64(byteCount))
            writer.integer(checksum)
        }
    }

    /// Reads what ``bytes`` made; nil when it is anything else.
    public init?(_ bytes: [UInt8]) {
        // Bytes have no padding.
        guard let snapshot = try? LogSnapshot(decoding: unsafe bytes.span.bytes) else { return nil }
        self = snapshot
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        group = GroupID(rawValue: try reader.integer(from: bytes))
        index = LogIndex(rawValue: try reader.integer(from: bytes))
        term = Term(rawValue: try reader.integer(from: bytes))
        firstIndex = LogIndex(rawValue: try reader.integer(from: bytes))
        previousTerm = Term(rawValue: try reader.integer(from: bytes))
        firstOffset = Offset(rawValue: try reader.integer(from: bytes))
        logStartOffset = Offset(rawValue: try reader.integer(from: bytes))
        chain = try reader.integer(UInt8.self, from: bytes) == 1 ? try reader.integer(from: bytes) : nil
        var configurations: [ConfigurationRecord] = []
        for _ in 0..<(try reader.integer(UInt32.self, from: bytes)) {
            let index = LogIndex(rawValue: try reader.integer(from: bytes))
            configurations.append(ConfigurationRecord(index: index, bytes: try reader.counted(from: bytes)))
        }
        self.configurations = configurations
        var termStarts: [TermStart] = []
        for _ in 0..<(try reader.integer(UInt32.self, from: bytes)) {
            termStarts.append(
                TermStart(
                    term: Term(rawValue: try reader.integer(from: bytes)),
                    firstIndex: LogIndex(rawValue: try reader.integer(from: bytes)),
                    firstOffset: Offset(rawValue: try reader.integer(from: bytes))))
        }
        self.termStarts = termStarts
        if try reader.integer(UInt8.self, from: bytes) == 1 {
            producers = ProducerSnapshot(
                offset: Offset(rawValue: try reader.integer(from: bytes)),
                index: LogIndex(rawValue: try reader.integer(from: bytes)), bytes: try reader.counted(from: bytes))
        } else {
            producers = nil
        }
        content = try SnapshotContent(&reader, from: bytes)
        try reader.finish(bytes)
        guard isSound else { throw .unknownValue(field: "content", value: index.rawValue) }
    }

    /// Whether the parts fit together: segments without gaps, up to the last entry.
    private var isSound: Bool {
        guard firstIndex <= index.next, firstOffset <= logStartOffset else { return false }
        guard case .segments(let segments) = content else { return true }
        var next = firstIndex
        for segment in segments {
            guard segment.base == next, segment.lastIndex >= segment.base, segment.byteCount > 0,
                segment.isSealed || !segment.isCompacted
            else { return false }
            next = segment.lastIndex.next
        }
        return next == index.next && segments.dropLast().allSatisfy(\.isSealed)
    }
}

extension SnapshotContent {
    fileprivate init(_ reader: inout RecordReader, from bytes: RawSpan) throws(RecordDamage) {
        let kind = try reader.integer(UInt8.self, from: bytes)
        switch kind {
        case 0:
            var segments: [SnapshotSegment] = []
            for _ in 0..<(try reader.integer(UInt32.self, from: bytes)) {
                segments.append(
                    SnapshotSegment(
                        name: LogIndex(rawValue: try reader.integer(from: bytes)),
                        term: Term(rawValue: try reader.integer(from: bytes)),
                        lastIndex: LogIndex(rawValue: try reader.integer(from: bytes)),
                        byteCount: Int(clamping: try reader.integer(UInt64.self, from: bytes)),
                        isSealed: try reader.integer(UInt8.self, from: bytes) == 1,
                        checksum: try reader.integer(from: bytes)))
            }
            self = .segments(segments)
        case 1:
            let number = try reader.integer(UInt8.self, from: bytes)
            guard let family = StateFamily.allCases.first(where: { $0.snapshotNumber == number }) else {
                throw .unknownValue(field: "family", value: UInt64(number))
            }
            self = .state(
                family, byteCount: Int(clamping: try reader.integer(UInt64.self, from: bytes)),
                checksum: try reader.integer(from: bytes))
        default: throw .unknownValue(field: "content", value: UInt64(kind))
        }
    }
}

extension StateFamily {
    /// The family's number in a snapshot; never given to another.
    var snapshotNumber: UInt8 {
        switch self {
        case .controller: 1
        case .groups: 2
        case .transactions: 3
        }
    }
}
