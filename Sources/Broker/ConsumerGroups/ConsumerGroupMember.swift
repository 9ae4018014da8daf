// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupMember.swift
// One member of a group under the consumer protocol (KIP-848): what it asked for, what it is meant to have, and how
// far it is on the way there.

import Model

/// A member, as it is stored.
///
/// Invariants: `assigned` and `revoking` are disjoint; `revoking` is empty unless the state is `unrevoked`.
struct ConsumerGroupMember: Hashable, Sendable {
    /// How far a member is on the way to its target.
    enum State: UInt8, Hashable, Sendable {
        /// It has its target of its epoch.
        case stable = 1
        /// It has to give partitions up before it can enter the next epoch.
        case unrevoked = 2
        /// Others have not given up yet what it is meant to have.
        case unreleased = 3
    }

    /// The epoch of a static member that left and will come back.
    static let departedEpoch: Int32 = -2

    /// The member's id.
    let id: String
    /// The static name (KIP-345); nil for a dynamic member.
    var instanceID: String?
    /// Where it runs, if it says so.
    var rackID: String?
    /// The client id of its last request that had news.
    var clientID: String
    /// Where that came from.
    var clientHost: String
    /// How long it may take to give partitions up.
    var rebalanceTimeoutMilliseconds: Int32
    /// The topics it names, in order, each once.
    var topicNames: [String]
    /// The expression over topic names that it subscribes to; nil without.
    var pattern: String?
    /// The assignor that it prefers; nil when it does not care.
    var assignor: String?
    /// The epoch it was told last; ``departedEpoch`` while it is away.
    var epoch: Int32 = 0
    /// The epoch before that: an answer may have been lost.
    var previousEpoch: Int32 = 0
    /// How far it is.
    var state: State = .stable
    /// What it may read.
    var assigned = PartitionSet()
    /// What it has to give up, and may still be reading.
    var revoking = PartitionSet()
    /// What it is meant to have in the group's epoch.
    var target = PartitionSet()

    /// Everything that no one else may be given.
    var held: PartitionSet { assigned.union(revoking) }

    /// The same member under another id: a static member that came back.
    func renamed(_ id: String) -> ConsumerGroupMember {
        var member = ConsumerGroupMember(
            id: id, instanceID: instanceID, rackID: rackID, clientID: clientID, clientHost: clientHost,
            rebalanceTimeoutMilliseconds: rebalanceTimeoutMilliseconds, topicNames: topicNames, pattern: pattern,
            assignor: assignor)
        member.assigned = assigned
        member.target = target
        return member
    }

    // MARK: Coding

    /// Appends the member's fields.
    func encode(to writer: inout BinaryWriter) {
        writer.write(id)
        writer.write(instanceID)
        writer.write(rackID)
        writer.write(clientID)
        writer.write(clientHost)
        writer.write(rebalanceTimeoutMilliseconds)
        writer.write(UInt32(topicNames.count))
        for name in topicNames { writer.write(name) }
        writer.write(pattern)
        writer.write(assignor)
        writer.write(epoch)
        writer.write(previousEpoch)
        writer.write(state.rawValue)
        assigned.encode(to: &writer)
        revoking.encode(to: &writer)
        target.encode(to: &writer)
    }

    /// Takes a member's fields.
    static func decode(from reader: inout BinaryReader) throws(BinaryCodingError) -> ConsumerGroupMember {
        let id = try reader.readText()
        let instanceID = try reader.readOptionalText()
        let rackID = try reader.readOptionalText()
        let clientID = try reader.readText()
        let clientHost = try reader.readText()
        let rebalanceTimeout = try reader.readInteger(Int32.self)
        var topicNames: [String] = []
        for _ in 0..<(try reader.readCount()) { topicNames.append(try reader.readText()) }
        let pattern = try reader.readOptionalText()
        var member = ConsumerGroupMember(
            id: id, instanceID: instanceID, rackID: rackID, clientID: clientID, clientHost: clientHost,
            rebalanceTimeoutMilliseconds: rebalanceTimeout, topicNames: topicNames, pattern: pattern,
            assignor: try reader.readOptionalText())
        member.epoch = try reader.readInteger(Int32.self)
        member.previousEpoch = try reader.readInteger(Int32.self)
        let start = reader.position
        guard let state = State(rawValue: try reader.readInteger(UInt8.self)) else { throw .malformed(at: start) }
        member.state = state
        member.assigned = try PartitionSet(from: &reader)
        member.revoking = try PartitionSet(from: &reader)
        member.target = try PartitionSet(from: &reader)
        return member
    }
}
