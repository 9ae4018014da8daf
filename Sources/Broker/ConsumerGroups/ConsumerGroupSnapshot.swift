// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupSnapshot.swift
// What the replicas agree on about a group under the consumer protocol, and the changes that lead there.

import Model

/// What is agreed about a group as a whole.
struct ConsumerGroupHeader: Hashable, Sendable {
    /// Counts the changes of the group; a change applies only to the state it was made for.
    var revision: UInt64 = 0
    /// The group's epoch: rises whenever the target assignment is computed anew.
    var epoch: Int32 = 0
    /// The assignor that computed the target assignment.
    var assignor = ServerAssignor.uniform.rawValue
    /// What the subscribed topics looked like then; a difference calls for a new assignment.
    var topicsHash: UInt64 = 0
    /// When the last member left, if none is there.
    var changedAt = WallTime(milliseconds: 0)

    /// Appends the header's fields.
    func encode(to writer: inout BinaryWriter) {
        writer.write(revision)
        writer.write(epoch)
        writer.write(assignor)
        writer.write(topicsHash)
        writer.write(changedAt.milliseconds)
    }

    /// Takes a header's fields.
    static func decode(from reader: inout BinaryReader) throws(BinaryCodingError) -> ConsumerGroupHeader {
        var header = ConsumerGroupHeader()
        header.revision = try reader.readInteger(UInt64.self)
        let start = reader.position
        header.epoch = try reader.readInteger(Int32.self)
        guard header.epoch >= 0 else { throw .malformed(at: start) }
        header.assignor = try reader.readText()
        header.topicsHash = try reader.readInteger(UInt64.self)
        header.changedAt = try WallTime(from: &reader)
        return header
    }
}

/// A group as it is stored.
struct ConsumerGroupSnapshot: Hashable, Sendable {
    /// The group as a whole.
    var header = ConsumerGroupHeader()
    /// Everyone, by id.
    var members: [String: ConsumerGroupMember] = [:]

    /// The topics that members name; nil when an expression may stand for more.
    var subscribedTopics: Set<String>? {
        if members.values.contains(where: { $0.pattern != nil }) { return nil }
        return members.values.reduce(into: Set()) { $0.formUnion($1.topicNames) }
    }
}

/// A change of one group: the entry of the log that one request, or one passing of time, leads to.
struct ConsumerGroupChange: Hashable, Sendable {
    /// The group.
    var group: String
    /// The group as a whole, with the revision that the change leads to.
    var header: ConsumerGroupHeader
    /// Members that are new or different, by id.
    var updated: [ConsumerGroupMember]
    /// Members that are gone, by id.
    var removed: [String]

    /// Appends the change.
    func encode(to writer: inout BinaryWriter) {
        writer.write(group)
        header.encode(to: &writer)
        writer.write(UInt32(updated.count))
        for member in updated { member.encode(to: &writer) }
        writer.write(UInt32(removed.count))
        for member in removed { writer.write(member) }
    }

    /// Takes a change.
    static func decode(from reader: inout BinaryReader) throws(BinaryCodingError) -> ConsumerGroupChange {
        let group = try reader.readText()
        let header = try ConsumerGroupHeader.decode(from: &reader)
        var change = ConsumerGroupChange(group: group, header: header, updated: [], removed: [])
        for _ in 0..<(try reader.readCount()) { change.updated.append(try ConsumerGroupMember.decode(from: &reader)) }
        for _ in 0..<(try reader.readCount()) { change.removed.append(try reader.readText()) }
        return change
    }
}
