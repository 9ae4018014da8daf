// SPDX-License-Identifier: Apache-2.0
//
// CoordinatorRecord.swift
// How the coordinator's state lies in the `groups` column family: one record per group, one per member of a group under
// the consumer protocol or of a share group, one per partition that a share group reads, one per committed offset.
//
//     key     prefix | kind u8 | group length u16 | group [ | topic length u16 | topic | partition i32 ]
//                                                         [ | member length u16 | member ]
//                                                         [ | topic id 16 bytes | partition i32 ]
//     value   version u8 | fields
//
// A transactional id has a record like a group, and one for each offset that waits for the end of its transaction:
//
//     key     prefix | kind u8 | id length u16 | id [ | group length u16 | group | topic length u16 | topic | partition i32 ]
//
// The prefix is the Raft group's id in eight bytes, so that several coordinators can share the column family.

import Model

/// One change to the `groups` column family; it belongs into the batch that moves the applied index.
struct CoordinatorWrite: Hashable, Sendable {
    /// The whole key.
    var key: [UInt8]
    /// The new value; nil removes the key.
    var value: [UInt8]?
}

/// The name of a stored record.
enum CoordinatorKey: Hashable, Sendable {
    /// What is stored of a group.
    case group(String)
    /// One committed offset.
    case offset(group: String, TopicPartition)
    /// What is stored of a transactional id.
    case transaction(String)
    /// An offset that waits for the end of a transaction.
    case pendingOffset(transactionalID: String, group: String, TopicPartition)

    /// What is stored of a group under the consumer protocol as a whole.
    case consumerGroup(String)
    /// A member of such a group.
    case consumerMember(group: String, member: String)
    /// What is stored of a share group as a whole.
    case shareGroup(String)
    /// A member of such a group.
    case shareMember(group: String, member: String)
    /// How far such a group is in a partition.
    case shareState(ShareKey)

    private static let groupKind: UInt8 = 1
    private static let offsetKind: UInt8 = 2
    private static let transactionKind: UInt8 = 8
    private static let pendingOffsetKind: UInt8 = 9
    private static let consumerGroupKind: UInt8 = 13
    private static let consumerMemberKind: UInt8 = 14
    private static let shareGroupKind: UInt8 = 15
    private static let shareMemberKind: UInt8 = 16
    private static let shareStateKind: UInt8 = 17
    /// The longest group id or topic name that has a key, in bytes; what Kafka's own strings can hold.
    static let nameBytesMax = Int(Int16.max)

    /// The prefix of every key of the coordinator that is replicated by `shard`.
    static func prefix(of shard: GroupID) -> [UInt8] {
        var writer = BinaryWriter()
        writer.write(shard.rawValue)
        return writer.bytes
    }

    /// The key's bytes behind `prefix`.
    func encoded(prefix: [UInt8]) -> [UInt8] {
        var writer = BinaryWriter(prefix)
        switch self {
        case .group(let group):
            writer.write(Self.groupKind)
            Self.write(group, to: &writer)
        case .offset(let group, let partition):
            writer.write(Self.offsetKind)
            Self.write(group, to: &writer)
            Self.write(partition.topic, to: &writer)
            writer.write(partition.partition.rawValue)
        case .transaction(let id):
            writer.write(Self.transactionKind)
            Self.write(id, to: &writer)
        case .pendingOffset(let id, let group, let partition):
            writer.write(Self.pendingOffsetKind)
            Self.write(id, to: &writer)
            Self.write(group, to: &writer)
            Self.write(partition.topic, to: &writer)
            writer.write(partition.partition.rawValue)
        case .consumerGroup(let group):
            writer.write(Self.consumerGroupKind)
            Self.write(group, to: &writer)
        case .consumerMember(let group, let member):
            writer.write(Self.consumerMemberKind)
            Self.write(group, to: &writer)
            Self.write(member, to: &writer)
        case .shareGroup(let group):
            writer.write(Self.shareGroupKind)
            Self.write(group, to: &writer)
        case .shareMember(let group, let member):
            writer.write(Self.shareMemberKind)
            Self.write(group, to: &writer)
            Self.write(member, to: &writer)
        case .shareState(let key):
            writer.write(Self.shareStateKind)
            Self.write(key.groupID, to: &writer)
            key.topicID.encode(to: &writer)
            writer.write(key.partition)
        }
        return writer.bytes
    }

    /// Reads a key that begins with `prefix`.
    init(decoding bytes: [UInt8], prefix: [UInt8]) throws(BinaryCodingError) {
        guard bytes.starts(with: prefix) else { throw .malformed(at: 0) }
        var reader = BinaryReader(bytes)
        _ = try reader.take(prefix.count)
        let kind = try reader.readInteger(UInt8.self)
        let kinds = [
            Self.groupKind, Self.offsetKind, Self.transactionKind, Self.pendingOffsetKind, Self.consumerGroupKind,
            Self.consumerMemberKind, Self.shareGroupKind, Self.shareMemberKind, Self.shareStateKind,
        ]
        guard kinds.contains(kind) else { throw .unknownKind(kind) }
        let name = try Self.readName(from: &reader)
        switch kind {
        case Self.groupKind: self = .group(name)
        case Self.consumerGroupKind: self = .consumerGroup(name)
        case Self.consumerMemberKind: self = .consumerMember(group: name, member: try Self.readName(from: &reader))
        case Self.transactionKind: self = .transaction(name)
        case Self.shareGroupKind: self = .shareGroup(name)
        case Self.shareMemberKind: self = .shareMember(group: name, member: try Self.readName(from: &reader))
        case Self.shareStateKind:
            let topic = try TopicID(from: &reader)
            let partition = try reader.readInteger(Int32.self)
            self = .shareState(ShareKey(groupID: name, topicID: topic, partition: partition))
        case Self.pendingOffsetKind:
            let group = try Self.readName(from: &reader)
            self = .pendingOffset(transactionalID: name, group: group, try Self.readPartition(from: &reader))
        default: self = .offset(group: name, try Self.readPartition(from: &reader))
        }
        try reader.finish()
    }

    private static func readName(from reader: inout BinaryReader) throws(BinaryCodingError) -> String {
        try reader.readText(byteCount: Int(try reader.readInteger(UInt16.self)))
    }

    private static func readPartition(from reader: inout BinaryReader) throws(BinaryCodingError) -> TopicPartition {
        let topic = try readName(from: &reader)
        return TopicPartition(topic: topic, partition: PartitionIndex(rawValue: try reader.readInteger(Int32.self)))
    }

    private static func write(_ name: String, to writer: inout BinaryWriter) {
        precondition(name.utf8.count <= nameBytesMax, "a name of \(name.utf8.count) bytes has no key")
        writer.write(UInt16(name.utf8.count))
        writer.writeRaw(name.utf8)
    }
}

/// The values of stored records.
enum CoordinatorValue {
    /// The version that is written, and the only one that is read.
    static let version: UInt8 = 1

    /// A group's record.
    static func encode(_ snapshot: GroupSnapshot) -> [UInt8] {
        var writer = BinaryWriter([version])
        snapshot.encode(to: &writer)
        return writer.bytes
    }

    /// An offset's record.
    static func encode(_ committed: CommittedOffset) -> [UInt8] {
        var writer = BinaryWriter([version])
        writer.write(committed.offset)
        writer.write(committed.leaderEpoch)
        writer.write(committed.metadata)
        writer.write(committed.committedAt.milliseconds)
        WallTime.encode(committed.expiresAt, to: &writer)
        return writer.bytes
    }

    /// The record of a group under the consumer protocol.
    static func encode(_ header: ConsumerGroupHeader) -> [UInt8] {
        var writer = BinaryWriter([version])
        header.encode(to: &writer)
        return writer.bytes
    }

    /// The record of a member of such a group.
    static func encode(_ member: ConsumerGroupMember) -> [UInt8] {
        var writer = BinaryWriter([version])
        member.encode(to: &writer)
        return writer.bytes
    }

    /// A record with the fields that `write` appends.
    static func encode(_ write: (inout BinaryWriter) -> Void) -> [UInt8] {
        var writer = BinaryWriter([version])
        write(&writer)
        return writer.bytes
    }

    /// Reads the record of a group under the consumer protocol.
    static func decodeHeader(_ bytes: [UInt8]) throws(BinaryCodingError) -> ConsumerGroupHeader {
        var reader = try body(of: bytes)
        let header = try ConsumerGroupHeader.decode(from: &reader)
        try reader.finish()
        return header
    }

    /// Reads the record of a member of such a group.
    static func decodeMember(_ bytes: [UInt8]) throws(BinaryCodingError) -> ConsumerGroupMember {
        var reader = try body(of: bytes)
        let member = try ConsumerGroupMember.decode(from: &reader)
        try reader.finish()
        return member
    }

    /// Reads a group's record.
    static func decodeSnapshot(_ bytes: [UInt8]) throws(BinaryCodingError) -> GroupSnapshot {
        var reader = try body(of: bytes)
        let snapshot = try GroupSnapshot(from: &reader)
        try reader.finish()
        return snapshot
    }

    /// Reads an offset's record.
    static func decodeOffset(_ bytes: [UInt8]) throws(BinaryCodingError) -> CommittedOffset {
        var reader = try body(of: bytes)
        let offset = try reader.readInteger(Int64.self)
        let epoch = try reader.readInteger(Int32.self)
        let metadata = try reader.readText()
        let committedAt = try WallTime(from: &reader)
        let committed = CommittedOffset(
            offset: offset, leaderEpoch: epoch, metadata: metadata, committedAt: committedAt,
            expiresAt: try WallTime.decodeOptional(from: &reader))
        try reader.finish()
        return committed
    }

    static func body(of bytes: [UInt8]) throws(BinaryCodingError) -> BinaryReader {
        var reader = BinaryReader(bytes)
        let found = try reader.readInteger(UInt8.self)
        guard found == version else { throw .unknownVersion(found) }
        return reader
    }
}
