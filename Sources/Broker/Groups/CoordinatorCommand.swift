// SPDX-License-Identifier: Apache-2.0
//
// CoordinatorCommand.swift
// The entries of the coordinator's Raft log. Applying one depends on nothing but the state before it, so that
// every replica gets the same result.

import Model

/// A change of the coordinator's replicated state.
enum CoordinatorCommand: Hashable, Sendable {
    /// Replaces what is stored of a group.
    case groupMetadata(group: String, snapshot: GroupSnapshot)
    /// Removes a group with everything it has: an operator asked for it.
    case deleteGroup(group: String)
    /// Removes a group unless it has members or offsets by then: nobody uses it any more.
    case removeIdleGroup(group: String)
    /// Sets offsets; a group that does not exist comes into being.
    case commitOffsets(OffsetCommitBatch)
    /// Removes offsets: an operator asked for it.
    case deleteOffsets(group: String, partitions: [TopicPartition])
    /// Removes offsets unless they were committed again: their time is up.
    case expireOffsets(group: String, offsets: [ExpiredOffset])
    /// Removes the offsets of topics that were deleted, from every group.
    case forgetTopics([String])
    /// Replaces what is stored of a transactional id; when it is prepared, offsets that wait hold or are dropped.
    case transaction(id: String, TransactionRecord)
    /// Adds offsets to an open transaction.
    case pendingOffsets(PendingOffsetBatch)
    /// Removes transactional ids that nobody uses any more.
    case expireTransactions([ExpiredTransactionalID])
    /// Changes a group under the consumer protocol, if it is at the revision the change was made for.
    case consumerGroup(ConsumerGroupChange)
    /// Changes the members of a share group, if it is at the revision the change was made for.
    case shareGroup(ShareGroupChange)
    /// Changes how far share groups are in partitions.
    case shareState(ShareStateCommand)
}

/// The offsets of one OffsetCommit request.
struct OffsetCommitBatch: Hashable, Sendable {
    /// One partition's offset.
    struct Entry: Hashable, Sendable {
        /// Whose offset.
        var partition: TopicPartition
        /// The next offset to read.
        var offset: Int64
        /// The leader epoch the client knows, or -1.
        var leaderEpoch: Int32 = -1
        /// The client's note; null on the wire is the empty string here.
        var metadata: String = ""
    }

    /// The group.
    var group: String
    /// When the leader took the request.
    var committedAt: WallTime
    /// When the offsets lapse, if the client asked for a retention of its own.
    var expiresAt: WallTime?
    /// The offsets.
    var entries: [Entry]
}

// MARK: - Encoding

extension CoordinatorCommand {
    /// The version that is written, and the only one that is read.
    static let version: UInt8 = 1

    private enum Kind: UInt8 {
        case groupMetadata = 1
        case deleteGroup = 2
        case removeIdleGroup = 3
        case commitOffsets = 4
        case deleteOffsets = 5
        case expireOffsets = 6
        case forgetTopics = 7
        case transaction = 8
        case pendingOffsets = 9
        case expireTransactions = 10
        case consumerGroup = 13
        case shareGroup = 14
        case shareState = 15
    }

    private var kind: Kind {
        switch self {
        case .groupMetadata: .groupMetadata
        case .deleteGroup: .deleteGroup
        case .removeIdleGroup: .removeIdleGroup
        case .commitOffsets: .commitOffsets
        case .deleteOffsets: .deleteOffsets
        case .expireOffsets: .expireOffsets
        case .forgetTopics: .forgetTopics
        case .transaction: .transaction
        case .pendingOffsets: .pendingOffsets
        case .expireTransactions: .expireTransactions
        case .consumerGroup: .consumerGroup
        case .shareGroup: .shareGroup
        case .shareState: .shareState
        }
    }

    /// The command as bytes: version, kind, fields; integers big-endian, text and arrays behind a uint32 length.
    func encoded() -> [UInt8] {
        var writer = BinaryWriter()
        writer.write(Self.version)
        writer.write(kind.rawValue)
        switch self {
        case .groupMetadata(let group, let snapshot):
            writer.write(group)
            snapshot.encode(to: &writer)
        case .deleteGroup(let group), .removeIdleGroup(let group):
            writer.write(group)
        case .commitOffsets(let batch):
            batch.encode(to: &writer)
        case .deleteOffsets(let group, let partitions):
            writer.write(group)
            writer.write(UInt32(partitions.count))
            for partition in partitions { partition.encode(to: &writer) }
        case .expireOffsets(let group, let offsets):
            writer.write(group)
            writer.write(UInt32(offsets.count))
            for one in offsets {
                one.partition.encode(to: &writer)
                writer.write(one.committedAt.milliseconds)
            }
        case .forgetTopics(let topics):
            writer.write(UInt32(topics.count))
            for topic in topics { writer.write(topic) }
        case .transaction(let id, let record):
            writer.write(id)
            record.encode(to: &writer)
        case .pendingOffsets(let offsets):
            offsets.encode(to: &writer)
        case .expireTransactions(let ids):
            writer.write(UInt32(ids.count))
            for one in ids {
                writer.write(one.id)
                writer.write(one.changedAt.milliseconds)
            }
        case .consumerGroup(let change):
            change.encode(to: &writer)
        case .shareGroup(let change):
            change.encode(to: &writer)
        case .shareState(let command):
            command.encode(to: &writer)
        }
        return writer.bytes
    }

    /// Reads what `encoded()` wrote; anything else is refused, nothing is guessed.
    init(decoding bytes: [UInt8]) throws(BinaryCodingError) {
        var reader = BinaryReader(bytes)
        let version = try reader.readInteger(UInt8.self)
        guard version == Self.version else { throw .unknownVersion(version) }
        let code = try reader.readInteger(UInt8.self)
        guard let kind = Kind(rawValue: code) else { throw .unknownKind(code) }
        self = try Self.decode(kind, from: &reader)
        try reader.finish()
    }

    private static func decode(
        _ kind: Kind, from reader: inout BinaryReader
    ) throws(BinaryCodingError) -> CoordinatorCommand {
        switch kind {
        case .groupMetadata:
            return .groupMetadata(group: try reader.readText(), snapshot: try GroupSnapshot(from: &reader))
        case .deleteGroup: return .deleteGroup(group: try reader.readText())
        case .removeIdleGroup: return .removeIdleGroup(group: try reader.readText())
        case .commitOffsets: return .commitOffsets(try OffsetCommitBatch(from: &reader))
        case .deleteOffsets:
            let group = try reader.readText()
            var partitions: [TopicPartition] = []
            for _ in 0..<(try reader.readCount()) { partitions.append(try TopicPartition(from: &reader)) }
            return .deleteOffsets(group: group, partitions: partitions)
        case .expireOffsets:
            let group = try reader.readText()
            var offsets: [ExpiredOffset] = []
            for _ in 0..<(try reader.readCount()) {
                let partition = try TopicPartition(from: &reader)
                offsets.append(ExpiredOffset(partition: partition, committedAt: try WallTime(from: &reader)))
            }
            return .expireOffsets(group: group, offsets: offsets)
        case .forgetTopics:
            var topics: [String] = []
            for _ in 0..<(try reader.readCount()) { topics.append(try reader.readText()) }
            return .forgetTopics(topics)
        case .transaction: return .transaction(id: try reader.readText(), try TransactionRecord(from: &reader))
        case .pendingOffsets: return .pendingOffsets(try PendingOffsetBatch(from: &reader))
        case .expireTransactions:
            var ids: [ExpiredTransactionalID] = []
            for _ in 0..<(try reader.readCount()) {
                let id = try reader.readText()
                ids.append(ExpiredTransactionalID(id: id, changedAt: try WallTime(from: &reader)))
            }
            return .expireTransactions(ids)
        case .consumerGroup: return .consumerGroup(try ConsumerGroupChange.decode(from: &reader))
        case .shareGroup: return .shareGroup(try ShareGroupChange.decode(from: &reader))
        case .shareState: return .shareState(try ShareStateCommand(from: &reader))
        }
    }
}

extension CoordinatorCommand {
    /// Commands that together do the same, each with at most `offsetsMax` expired offsets.
    func parts(offsetsMax: Int) -> [CoordinatorCommand] {
        guard case .expireOffsets(let group, let offsets) = self, offsets.count > offsetsMax else { return [self] }
        return stride(from: 0, to: offsets.count, by: offsetsMax).map { start in
            .expireOffsets(group: group, offsets: Array(offsets[start..<min(start + offsetsMax, offsets.count)]))
        }
    }
}
