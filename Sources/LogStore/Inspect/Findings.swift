// SPDX-License-Identifier: Apache-2.0
//
// Findings.swift
// How the inspector says that bytes are damaged, that something is unusual, or that bytes were left out.

public import Model

/// Bytes that were durable and are not what was written.
public struct Damage: Sendable, Hashable {
    /// What is damaged; the raw value is a name for programs and never changes.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// An entry that was durable is not where it must be: its header fails its checksum, or belongs elsewhere.
        case frame
        /// A whole header, whose payload fails its checksum.
        case payload
        /// A payload that passes its checksum and does not hold the batches that its header claims.
        case batch
        /// A segment that held durable entries is not there.
        case segmentMissing = "segment_missing"
        /// The footer of a sealed segment.
        case footer
        /// A pointer that contradicts its frame.
        case pointer
        /// An entry of the offset index that contradicts the frames.
        case offsetIndex = "offset_index"
        /// An entry of the time index that contradicts the frames.
        case timeIndex = "time_index"
        /// The start of a term that contradicts the frames.
        case termStart = "term_start"
        /// A producer snapshot that lies behind the log's end.
        case producerSnapshot = "producer_snapshot"
        /// Facts of a group that contradict its log or themselves.
        case group
        /// An entry of a state machine's log.
        case command
        /// Applied state that does not join its log.
        case state
        /// A block of the journal.
        case journal
        /// RocksDB cannot read its files, or a record of it has another layout.
        case database
    }

    /// What is damaged.
    public var kind: Kind
    /// The topic and partition; nil for internal groups and for files of the whole store.
    public var label: TopicPartition?
    /// The group; nil for files of the whole store.
    public var group: GroupID?
    /// The file, below the data directory.
    public var file: String
    /// Where the damaged frame or block begins; nil for records of the index, which have no fixed place.
    public var position: Int?
    /// The first entry that is affected, when it is known.
    public var index: LogIndex?
    /// The first offset that is affected, when it is known.
    public var offset: Offset?
    /// What is wrong.
    public var reason: String

    /// Whether `other` tells of the same bytes: a running broker may change how many follow them.
    func isSame(as other: Damage) -> Bool {
        kind == other.kind && group == other.group && file == other.file && position == other.position
            && index == other.index
    }
}

/// Bytes that were not decoded, and why.
///
/// Not damage by itself: damage that made something undecodable is reported besides.
public struct Skipped: Sendable, Hashable {
    /// What the bytes are; the raw value is a name for programs and never changes.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Frames that cannot be trusted, or found, because of damage.
        case undecodable
        /// Behind the last durable frame: what a crash left, or a broker is writing.
        case notDurable = "not_durable"
        /// Of the file's earlier life, as in every file that was used again.
        case formerLife = "former_life"
    }

    /// What the bytes are.
    public var kind: Kind
    /// The topic and partition; nil for internal groups and for files of the whole store.
    public var label: TopicPartition?
    /// The group; nil for files of the whole store.
    public var group: GroupID?
    /// The file, below the data directory.
    public var file: String
    /// Where the bytes begin.
    public var position: Int
    /// How many they are.
    public var bytes: Int
    /// What they are.
    public var reason: String
}

/// Something unusual that lost nothing: mostly what the next start of the broker puts right.
public struct StoreWarning: Sendable, Hashable {
    /// What is unusual; the raw value is a name for programs and never changes.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The store was not closed: a broker is running, or was killed.
        case notClosed = "not_closed"
        /// A group is marked as damaged.
        case markedDamaged = "marked_damaged"
        /// A group is marked as having forgotten a vote or entries.
        case markedAmnesiac = "marked_amnesiac"
        /// A truncation was decided and not finished.
        case cutPending = "cut_pending"
        /// A term lower than that of the log.
        case hardStateBehind = "hard_state_behind"
        /// A segment that others follow has no footer yet, or was not cut behind it.
        case footerPending = "footer_pending"
        /// A segment before the log's start, or behind its end.
        case leftoverSegment = "leftover_segment"
        /// A frame that the sparse indices should find and do not.
        case sparseGap = "sparse_gap"
        /// A directory of a group that does not exist.
        case orphanFiles = "orphan_files"
        /// Index records of a group that does not exist.
        case orphanRecords = "orphan_records"
        /// A file that is no part of a store.
        case unknownFile = "unknown_file"
        /// The journal ends in a block that a crash tore.
        case journalTorn = "journal_torn"
        /// Producer state that reflects entries which the log does not have.
        case producersAhead = "producers_ahead"
        /// Compacted segments whose keys were compared with entries that the log does not have.
        case compactedAhead = "compacted_ahead"
    }

    /// What is unusual.
    public var kind: Kind
    /// The topic and partition; nil for internal groups and for the whole store.
    public var label: TopicPartition?
    /// The group; nil for the whole store.
    public var group: GroupID?
    /// The file, below the data directory; nil when it is not about one.
    public var file: String?
    /// The sentence for the operator.
    public var text: String

    /// A warning about the whole store.
    public init(kind: Kind, file: String? = nil, text: String) {
        self.init(kind: kind, label: nil, group: nil, file: file, text: text)
    }

    init(kind: Kind, label: TopicPartition?, group: GroupID?, file: String?, text: String) {
        self.kind = kind
        self.label = label
        self.group = group
        self.file = file
        self.text = text
    }
}

/// What a look at some part of the store found.
public struct WalkFindings: Sendable {
    /// Bytes that were durable and are not what was written.
    public private(set) var damage: [Damage] = []
    /// Damage beyond ``listedMax``, counted only.
    public private(set) var unlistedDamage = 0
    /// Bytes that were not decoded.
    public private(set) var skipped: [Skipped] = []
    /// What is unusual.
    public private(set) var warnings: [StoreWarning] = []
    /// Frames that are whole.
    public var frames = 0
    /// Bytes of those frames.
    public var bytes = 0

    /// At most so many of each are kept, so that a wrecked store does not fill the memory.
    public static let listedMax = 10_000

    /// Nothing yet.
    public init() {}

    /// All damage, listed or not.
    public var damageCount: Int { damage.count + unlistedDamage }
    /// Whether nothing is damaged.
    public var isClean: Bool { damageCount == 0 }

    mutating func add(_ one: Damage) {
        if damage.count < Self.listedMax { damage.append(one) } else { unlistedDamage += 1 }
    }

    mutating func add(_ one: Skipped) { if skipped.count < Self.listedMax { skipped.append(one) } }

    mutating func add(_ one: StoreWarning) { if warnings.count < Self.listedMax { warnings.append(one) } }

    /// Adds what another look found.
    mutating func add(_ other: WalkFindings) {
        for one in other.damage { add(one) }
        unlistedDamage += other.unlistedDamage
        for one in other.skipped { add(one) }
        for one in other.warnings { add(one) }
        frames += other.frames
        bytes += other.bytes
    }

    /// Drops damage that an earlier look at the same bytes did not find.
    mutating func keepDamage(alsoIn earlier: WalkFindings) {
        damage.removeAll { one in !earlier.damage.contains { $0.isSame(as: one) } }
    }
}
