// SPDX-License-Identifier: Apache-2.0
//
// ReplicaRequests.swift
// What the controller tells brokers: start (1003) and stop (1004) a replica, hand a leadership over (1011); and what they
// ask it to carry out (1005).

import Model

/// How a request about one replica ended.
package enum ReplicaStatus: UInt8, Equatable, Sendable, CaseIterable {
    case started = 0
    case alreadyRunning = 1
    case stopped = 2
    case notRunning = 3
    /// The number is none that a partition can have.
    case invalidGroup = 4
    /// The log cannot be opened.
    case storageFailed = 5
    /// The metadata that this broker has applied says that the topic was deleted.
    case unknownTopic = 6
    /// The topic's configuration is one that this release does not know.
    case invalidConfiguration = 7
    /// The broker does not know itself registered with the data directory it has; the replica must wait.
    case notRegistered = 8
    /// Leadership went to another replica.
    case handedOver = 9
    /// This broker does not lead the group.
    case notLeader = 10
    /// The other replica did not catch up or answer in time.
    case timedOut = 11
    /// The group refused, for instance because its members are changing.
    case refused = 12

    /// Whether what was asked for is the case now.
    package var isFine: Bool {
        switch self {
        case .started, .alreadyRunning, .stopped, .notRunning, .handedOver: true
        default: false
        }
    }
}

/// The answer to a request about one replica.
package struct ReplicaAnswer: PeerBody, Equatable {
    package var status: ReplicaStatus
    /// What went wrong, for the log.
    package var message: String

    package init(_ status: ReplicaStatus, _ message: String = "") {
        self.status = status
        self.message = message
    }

    func encode(to writer: inout BinaryWriter) {
        writer.write(status.rawValue)
        writer.write(message)
    }
}

extension ReplicaAnswer {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        status = try reader.readCase(ReplicaStatus.self)
        message = try reader.readText()
    }
}

/// Start a replica of a partition.
struct StartReplicaRequest: PeerBody, Equatable {
    var start: ReplicaStart
    /// Configuration that was set on the topic.
    var configuration: [String: String]
    /// The controller's operation that made the replica necessary.
    var operation: UInt64
    /// Ask for leadership at once: the others run already.
    var campaigns: Bool

    func encode(to writer: inout BinaryWriter) {
        writer.write(start.group.rawValue)
        writer.write(start.topic)
        start.topicID.encode(to: &writer)
        writer.write(start.partition.rawValue)
        start.founders.encode(to: &writer)
        writer.write(UInt8(start.joins ? 1 : 0))
        writer.write(UInt8(start.isAlone ? 1 : 0))
        configuration.encode(to: &writer)
        writer.write(operation)
        writer.write(UInt8(campaigns ? 1 : 0))
    }
}

extension StartReplicaRequest {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        let group = try reader.readGroup()
        let topic = try reader.readText()
        let id = try TopicID(from: &reader)
        let partition = PartitionIndex(rawValue: try reader.readInteger(Int32.self))
        let founders = try [NodeID](from: &reader)
        start = ReplicaStart(
            group: group, topic: topic, topicID: id, partition: partition, founders: founders,
            joins: try reader.readFlag(), isAlone: try reader.readFlag())
        configuration = try [String: String](from: &reader)
        operation = try reader.readInteger(UInt64.self)
        campaigns = try reader.readFlag()
    }
}

/// Stop the replica of a partition and delete its log.
struct StopReplicaRequest: PeerBody, Equatable {
    var group: GroupID
    /// The controller's operation that made the replica superfluous.
    var operation: UInt64

    func encode(to writer: inout BinaryWriter) {
        writer.write(group.rawValue)
        writer.write(operation)
    }
}

extension StopReplicaRequest {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        group = try reader.readGroup()
        operation = try reader.readInteger(UInt64.self)
    }
}

/// Hand the leadership of a group over.
struct TransferRequest: PeerBody, Equatable {
    var group: GroupID
    var target: NodeID

    func encode(to writer: inout BinaryWriter) {
        writer.write(group.rawValue)
        writer.write(target.rawValue)
    }
}

extension TransferRequest {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        group = try reader.readGroup()
        target = try reader.readNode()
    }
}

/// Carry out a command in the name of another broker.
struct ProposalRequest: PeerBody, Equatable {
    var actor: String
    var command: ClusterCommand

    func encode(to writer: inout BinaryWriter) {
        writer.write(actor)
        command.encode(to: &writer)
    }
}

extension ProposalRequest {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        actor = try reader.readText()
        command = try ClusterCommand(from: &reader, version: ClusterEntry.version)
    }
}

/// What became of a command.
enum ProposalAnswer: PeerBody, Equatable {
    case applied
    case producerIDs(first: Int64, count: Int64)
    case notController(NodeID?)
    case refused(code: Int16, message: String)

    func encode(to writer: inout BinaryWriter) {
        switch self {
        case .applied: writer.write(UInt8(0))
        case .producerIDs(let first, let count):
            writer.write(UInt8(1))
            writer.write(first)
            writer.write(count)
        case .notController(let leader):
            writer.write(UInt8(2))
            writer.write(leader)
        case .refused(let code, let message):
            writer.write(UInt8(3))
            writer.write(code)
            writer.write(message)
        }
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        let code = try reader.readInteger(UInt8.self)
        switch code {
        case 0: self = .applied
        case 1:
            self = .producerIDs(
                first: try reader.readInteger(Int64.self), count: try reader.readInteger(Int64.self))
        case 2: self = .notController(try reader.readOptionalNode())
        case 3: self = .refused(code: try reader.readInteger(Int16.self), message: try reader.readText())
        default: throw .unknownKind(code)
        }
    }
}
