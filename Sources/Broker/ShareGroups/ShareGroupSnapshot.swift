// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupSnapshot.swift
// What the replicas agree on about a share group (KIP-932), and the changes of its members.

import Model

/// What is agreed about a share group as a whole.
struct ShareGroupHeader: Hashable, Sendable {
    /// Counts the changes of the group; a change applies only to the state it was made for.
    var revision: UInt64 = 0
    /// The group's epoch: rises whenever the assignment is computed anew.
    var epoch: Int32 = 0
    /// What the subscribed topics looked like then; a difference calls for a new assignment.
    var topicsHash: UInt64 = 0

    /// Appends the header's fields.
    func encode(to writer: inout BinaryWriter) {
        writer.write(revision)
        writer.write(epoch)
        writer.write(topicsHash)
    }

    /// Takes a header's fields.
    static func decode(from reader: inout BinaryReader) throws(BinaryCodingError) -> ShareGroupHeader {
        var header = ShareGroupHeader()
        header.revision = try reader.readInteger(UInt64.self)
        let start = reader.position
        header.epoch = try reader.readInteger(Int32.self)
        guard header.epoch >= 0 else { throw .malformed(at: start) }
        header.topicsHash = try reader.readInteger(UInt64.self)
        return header
    }
}

/// A member of a share group, as it is stored.
struct ShareGroupMember: Hashable, Sendable {
    /// The member's id, which it chose itself.
    let id: String
    /// Where it runs, if it says so.
    var rackID: String?
    /// The client id of its last request that had news.
    var clientID: String
    /// Where that came from.
    var clientHost: String
    /// The topics it reads, in order, each once.
    var topicNames: [String] = []
    /// The epoch it was told last.
    var epoch: Int32 = 0
    /// The epoch before that: an answer may have been lost.
    var previousEpoch: Int32 = 0
    /// What it reads in the group's epoch; others may read the same.
    var assigned = PartitionSet()

    /// Appends the member's fields.
    func encode(to writer: inout BinaryWriter) {
        writer.write(id)
        writer.write(rackID)
        writer.write(clientID)
        writer.write(clientHost)
        writer.write(UInt32(topicNames.count))
        for name in topicNames { writer.write(name) }
        writer.write(epoch)
        writer.write(previousEpoch)
        assigned.encode(to: &writer)
    }

    /// Takes a member's fields.
    static func decode(from reader: inout BinaryReader) throws(BinaryCodingError) -> ShareGroupMember {
        let id = try reader.readText()
        let rackID = try reader.readOptionalText()
        let clientID = try reader.readText()
        var member = ShareGroupMember(
            id: id, rackID: rackID, clientID: clientID, clientHost: try reader.readText())
        for _ in 0..<(try reader.readCount()) { member.topicNames.append(try reader.readText()) }
        member.epoch = try reader.readInteger(Int32.self)
        member.previousEpoch = try reader.readInteger(Int32.self)
        member.assigned = try PartitionSet(from: &reader)
        return member
    }
}

/// A share group as it is stored.
struct ShareGroupSnapshot: Hashable, Sendable {
    /// The group as a whole.
    var header = ShareGroupHeader()
    /// Everyone, by id.
    var members: [String: ShareGroupMember] = [:]
    /// How far the group is in each partition that it reads or has read.
    var states: [TopicID: [Int32: ShareState]] = [:]
}

/// A change of a share group's members: the entry of the log that one request, or one passing of time, leads to.
///
/// Partitions that become assigned get a state, if they have none.
struct ShareGroupChange: Hashable, Sendable {
    /// The group.
    var group: String
    /// The group as a whole, with the revision that the change leads to.
    var header: ShareGroupHeader
    /// Members that are new or different, by id.
    var updated: [ShareGroupMember]
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
    static func decode(from reader: inout BinaryReader) throws(BinaryCodingError) -> ShareGroupChange {
        let group = try reader.readText()
        let header = try ShareGroupHeader.decode(from: &reader)
        var change = ShareGroupChange(group: group, header: header, updated: [], removed: [])
        for _ in 0..<(try reader.readCount()) { change.updated.append(try ShareGroupMember.decode(from: &reader)) }
        for _ in 0..<(try reader.readCount()) { change.removed.append(try reader.readText()) }
        return change
    }
}
