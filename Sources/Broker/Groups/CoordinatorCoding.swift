// SPDX-License-Identifier: Apache-2.0
//
// CoordinatorCoding.swift
// Fields that commands and stored records share: snapshots, commits, partitions, times.

import Model

extension GroupSnapshot {
    /// Appends the snapshot's fields.
    func encode(to writer: inout BinaryWriter) {
        writer.write(protocolType)
        writer.write(generation)
        writer.write(protocolName)
        writer.write(leaderID)
        writer.write(changedAt.milliseconds)
        writer.write(UInt32(members.count))
        for member in members { member.encode(to: &writer) }
    }

    /// Takes a snapshot's fields.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        protocolType = try reader.readOptionalText()
        let start = reader.position
        generation = try reader.readInteger(Int32.self)
        guard generation >= 0 else { throw .malformed(at: start) }
        protocolName = try reader.readOptionalText()
        leaderID = try reader.readOptionalText()
        changedAt = try WallTime(from: &reader)
        members = []
        var ids: Set<String> = []
        for _ in 0..<(try reader.readCount()) {
            let start = reader.position
            let member = try Member(from: &reader)
            guard ids.insert(member.id).inserted else { throw .malformed(at: start) }
            members.append(member)
        }
    }
}

extension GroupSnapshot.Member {
    /// Appends the member's fields.
    func encode(to writer: inout BinaryWriter) {
        writer.write(id)
        writer.write(instanceID)
        writer.write(clientID)
        writer.write(clientHost)
        writer.write(sessionTimeoutMilliseconds)
        writer.write(rebalanceTimeoutMilliseconds)
        writer.write(UInt32(protocols.count))
        for one in protocols {
            writer.write(one.name)
            writer.write(one.metadata)
        }
        writer.write(assignment)
    }

    /// Takes a member's fields.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        id = try reader.readText()
        instanceID = try reader.readOptionalText()
        clientID = try reader.readText()
        clientHost = try reader.readText()
        sessionTimeoutMilliseconds = try reader.readInteger(Int32.self)
        rebalanceTimeoutMilliseconds = try reader.readInteger(Int32.self)
        protocols = []
        for _ in 0..<(try reader.readCount()) {
            let name = try reader.readText()
            protocols.append(GroupProtocol(name: name, metadata: try reader.readBytes()))
        }
        assignment = try reader.readBytes()
    }
}

extension OffsetCommitBatch {
    /// Appends the batch; consecutive entries of a topic share its name.
    func encode(to writer: inout BinaryWriter) {
        writer.write(group)
        writer.write(committedAt.milliseconds)
        WallTime.encode(expiresAt, to: &writer)
        let runs = entries.chunked { $0.partition.topic == $1.partition.topic }
        writer.write(UInt32(runs.count))
        for run in runs {
            writer.write(run.first?.partition.topic ?? "")
            writer.write(UInt32(run.count))
            for entry in run {
                writer.write(entry.partition.partition.rawValue)
                writer.write(entry.offset)
                writer.write(entry.leaderEpoch)
                writer.write(entry.metadata)
            }
        }
    }

    /// Takes a batch.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        group = try reader.readText()
        committedAt = try WallTime(from: &reader)
        expiresAt = try WallTime.decodeOptional(from: &reader)
        entries = []
        for _ in 0..<(try reader.readCount()) {
            let topic = try reader.readText()
            for _ in 0..<(try reader.readCount()) {
                let index = PartitionIndex(rawValue: try reader.readInteger(Int32.self))
                let offset = try reader.readInteger(Int64.self)
                let epoch = try reader.readInteger(Int32.self)
                let metadata = try reader.readText()
                entries.append(
                    Entry(
                        partition: TopicPartition(topic: topic, partition: index), offset: offset,
                        leaderEpoch: epoch, metadata: metadata))
            }
        }
    }
}

extension Array {
    /// The longest runs of neighbours that `belongTogether`, in order.
    fileprivate func chunked(_ belongTogether: (Element, Element) -> Bool) -> [ArraySlice<Element>] {
        var runs: [ArraySlice<Element>] = []
        var start = startIndex
        for index in indices.dropFirst() where !belongTogether(self[index - 1], self[index]) {
            runs.append(self[start..<index])
            start = index
        }
        if start < endIndex { runs.append(self[start...]) }
        return runs
    }
}

extension TopicPartition {
    /// Appends topic and partition.
    func encode(to writer: inout BinaryWriter) {
        writer.write(topic)
        writer.write(partition.rawValue)
    }

    /// Takes topic and partition.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        let topic = try reader.readText()
        self.init(topic: topic, partition: PartitionIndex(rawValue: try reader.readInteger(Int32.self)))
    }
}

extension WallTime {
    /// Takes a time.
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        self.init(milliseconds: try reader.readInteger(Int64.self))
    }

    /// Appends a flag, and the time when there is one.
    static func encode(_ time: WallTime?, to writer: inout BinaryWriter) {
        writer.write(UInt8(time == nil ? 0 : 1))
        if let time { writer.write(time.milliseconds) }
    }

    /// Takes a time that may be absent.
    static func decodeOptional(from reader: inout BinaryReader) throws(BinaryCodingError) -> WallTime? {
        try reader.readFlag() ? try WallTime(from: &reader) : nil
    }
}
