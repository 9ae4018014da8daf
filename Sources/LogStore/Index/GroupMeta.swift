// SPDX-License-Identifier: Apache-2.0
//
// GroupMeta.swift
// What is known of a group as a whole: where its log begins, a cut that must be finished, how it was closed, its name.

public import Model

/// The durable facts of one group.
///
/// A group exists on this broker exactly when it has one.
public struct GroupMeta: Hashable, Sendable {
    /// The first entry that is kept; 1 in a new log.
    ///
    /// Never falls (rule R6).
    public var firstIndex = LogIndex(1)
    /// The term of the entry before ``firstIndex``; 0 when there is none.
    public var previousTerm = Term.zero
    /// The offset of the first record that is kept, or will be written.
    public var firstOffset = Offset.zero
    /// The first offset that clients may read, at or after ``firstOffset``.
    ///
    /// Never falls (rule R6).
    public var logStartOffset = Offset.zero
    /// A truncation that was decided and may not be finished (rule R3).
    public var cut: CutMarker?
    /// Where the log ended when it was closed cleanly; to be cleared before the first append after opening.
    public var closed: CleanEnd?
    /// The partition's name, for people and tools; nil for internal groups.
    public var label: GroupLabel?
    /// Memberships by index, in Raft's own encoding.
    public var configurations: [UInt8] = []
    /// The replica may have forgotten a vote or an entry it acknowledged: it replicates, but neither votes nor campaigns.
    public var isAmnesiac = false
    /// A frame that was durable fails its checksum: the replica does not campaign until it is repaired.
    public var isDamaged = false
    /// Where a replica began that joined a group; written when the group is made, and the same ever after.
    public var floor: JoinFloor?
    /// The checksum that the next frame continues, where the log holds no frame to tell it; else whatever it was.
    public var chain: UInt32?
    /// The first entry of which the index may know nothing although it knows later ones: replay found that frames are missing
    /// there between what the index had and the journal.
    ///
    /// Recovery reads the log from there, and takes the note away.
    public var unindexedFrom: LogIndex?

    /// The facts of a new, empty log.
    public init() {}
}

/// The newest change of members that was complete when a replica joined its group.
public struct JoinFloor: Hashable, Sendable {
    /// The term of the leader that committed it.
    public var term: Term
    /// Its entry.
    public var index: LogIndex

    /// A floor.
    public init(term: Term, index: LogIndex) {
        self.term = term
        self.index = index
    }
}

/// A decided truncation: everything at or after a position goes.
public struct CutMarker: Hashable, Sendable {
    /// The first entry that goes.
    public var from: LogIndex
    /// Where that entry's frame begins.
    public var at: SegmentPosition
    /// Counts the cuts of the group.
    public var number: UInt64

    /// A cut.
    public init(from: LogIndex, at: SegmentPosition, number: UInt64) {
        self.from = from
        self.at = at
        self.number = number
    }
}

/// The end of a log that was closed cleanly, so that opening it scans nothing.
public struct CleanEnd: Hashable, Sendable {
    /// The last entry.
    public var lastIndex: LogIndex
    /// Its term.
    public var lastTerm: Term
    /// Where the next frame goes.
    public var end: SegmentPosition
    /// The next record's offset.
    public var nextOffset: Offset
    /// The checksum that the next frame's chain continues.
    public var lastFrameChecksum: UInt32

    /// A clean end.
    public init(
        lastIndex: LogIndex, lastTerm: Term, end: SegmentPosition, nextOffset: Offset, lastFrameChecksum: UInt32
    ) {
        self.lastIndex = lastIndex
        self.lastTerm = lastTerm
        self.end = end
        self.nextOffset = nextOffset
        self.lastFrameChecksum = lastFrameChecksum
    }
}

/// The partition a group holds.
public struct GroupLabel: Hashable, Sendable {
    /// The topic's id.
    public var topicID: TopicID
    /// The topic's name.
    public var topic: String
    /// The partition.
    public var partition: PartitionIndex

    /// A label.
    public init(topicID: TopicID, topic: String, partition: PartitionIndex) {
        self.topicID = topicID
        self.topic = topic
        self.partition = partition
    }
}

extension GroupMeta: StoredValue {
    static let version: UInt8 = 1

    private enum Flag {
        static let cut: UInt8 = 1
        static let closed: UInt8 = 2
        static let label: UInt8 = 4
        static let amnesiac: UInt8 = 8
        static let damaged: UInt8 = 16
        static let floor: UInt8 = 32
        static let chain: UInt8 = 64
        static let unindexed: UInt8 = 128
    }

    func encode(into writer: inout RecordWriter) {
        writer.integer(Self.version)
        writer.integer(flags)
        writer.integer(firstIndex.rawValue)
        writer.integer(previousTerm.rawValue)
        writer.integer(firstOffset.rawValue)
        writer.integer(logStartOffset.rawValue)
        if let cut {
            writer.integer(cut.from.rawValue)
            cut.at.encode(into: &writer)
            writer.integer(cut.number)
        }
        if let closed {
            writer.integer(closed.lastIndex.rawValue)
            writer.integer(closed.lastTerm.rawValue)
            closed.end.encode(into: &writer)
            writer.integer(closed.nextOffset.rawValue)
            writer.integer(closed.lastFrameChecksum)
        }
        if let label {
            writer.integer(label.topicID.high)
            writer.integer(label.topicID.low)
            writer.integer(label.partition.rawValue)
            writer.counted(Array(label.topic.utf8))
        }
        if let floor {
            writer.integer(floor.term.rawValue)
            writer.integer(floor.index.rawValue)
        }
        if let chain { writer.integer(chain) }
        if let unindexedFrom { writer.integer(unindexedFrom.rawValue) }
        writer.counted(configurations)
    }

    private var flags: UInt8 {
        (cut == nil ? 0 : Flag.cut) | (closed == nil ? 0 : Flag.closed) | (label == nil ? 0 : Flag.label)
            | (isAmnesiac ? Flag.amnesiac : 0) | (isDamaged ? Flag.damaged : 0) | (floor == nil ? 0 : Flag.floor)
            | (chain == nil ? 0 : Flag.chain) | (unindexedFrom == nil ? 0 : Flag.unindexed)
    }

    init(decoding bytes: RawSpan) throws(RecordDamage) {
        var reader = RecordReader()
        try reader.version(of: Self.self, from: bytes)
        let flags = try reader.integer(UInt8.self, from: bytes)
        firstIndex = LogIndex(rawValue: try reader.integer(from: bytes))
        previousTerm = Term(rawValue: try reader.integer(from: bytes))
        firstOffset = Offset(rawValue: try reader.integer(from: bytes))
        logStartOffset = Offset(rawValue: try reader.integer(from: bytes))
        if flags & Flag.cut != 0 { cut = try CutMarker(&reader, from: bytes) }
        if flags & Flag.closed != 0 { closed = try CleanEnd(&reader, from: bytes) }
        if flags & Flag.label != 0 { label = try GroupLabel(&reader, from: bytes) }
        if flags & Flag.floor != 0 {
            floor = JoinFloor(
                term: Term(rawValue: try reader.integer(from: bytes)),
                index: LogIndex(rawValue: try reader.integer(from: bytes)))
        }
        if flags & Flag.chain != 0 { chain = try reader.integer(from: bytes) }
        if flags & Flag.unindexed != 0 { unindexedFrom = LogIndex(rawValue: try reader.integer(from: bytes)) }
        configurations = try reader.counted(from: bytes)
        isAmnesiac = flags & Flag.amnesiac != 0
        isDamaged = flags & Flag.damaged != 0
        try reader.finish(bytes)
    }
}

extension CutMarker {
    fileprivate init(_ reader: inout RecordReader, from bytes: RawSpan) throws(RecordDamage) {
        from = LogIndex(rawValue: try reader.integer(from: bytes))
        at = try SegmentPosition(&reader, from: bytes)
        number = try reader.integer(from: bytes)
    }
}

extension CleanEnd {
    fileprivate init(_ reader: inout RecordReader, from bytes: RawSpan) throws(RecordDamage) {
        lastIndex = LogIndex(rawValue: try reader.integer(from: bytes))
        lastTerm = Term(rawValue: try reader.integer(from: bytes))
        end = try SegmentPosition(&reader, from: bytes)
        nextOffset = Offset(rawValue: try reader.integer(from: bytes))
        lastFrameChecksum = try reader.integer(from: bytes)
    }
}

extension GroupLabel {
    fileprivate init(_ reader: inout RecordReader, from bytes: RawSpan) throws(RecordDamage) {
        topicID = TopicID(high: try reader.integer(from: bytes), low: try reader.integer(from: bytes))
        partition = PartitionIndex(rawValue: try reader.integer(from: bytes))
        topic = String(decoding: try reader.counted(from: bytes), as: UTF8.self)
    }
}
