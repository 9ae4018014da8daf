// SPDX-License-Identifier: Apache-2.0
//
// ClusterCommand+Coding.swift
// The entries of the controller's log as bytes; integers big-endian, text and arrays behind a uint32 length.
//
//     version 3     version u8, time i64 (ms), actor text, kind u8, fields
//     version 2     the same, without where replicas begin that are taken in; read only
//     version 1     version u8, kind u8, fields (kinds 1 to 6; partitions without reassignments); read only

import LogStore
import Model

extension ClusterEntry {
    /// The version that is written.
    static let version: UInt8 = 3

    /// The entry as bytes.
    package func encoded() -> [UInt8] {
        var writer = BinaryWriter()
        writer.write(Self.version)
        writer.write(time.milliseconds)
        writer.write(actor)
        command.encode(to: &writer)
        return writer.bytes
    }

    /// Reads what ``encoded()`` wrote, in this release or an earlier one; anything else is refused.
    init(decoding bytes: [UInt8]) throws(BinaryCodingError) {
        var reader = BinaryReader(bytes)
        let version = try reader.readInteger(UInt8.self)
        var time = WallTime(milliseconds: 0)
        var actor = ""
        switch version {
        case 1: break
        case 2, 3:
            time = WallTime(milliseconds: try reader.readInteger(Int64.self))
            actor = try reader.readText()
        default: throw .unknownVersion(version)
        }
        self.init(time: time, actor: actor, command: try ClusterCommand(from: &reader, version: version))
        try reader.finish()
    }
}

extension ClusterCommand {
    /// The number of a command in the log; never used for another.
    private enum Kind: UInt8 {
        case initialize = 1
        case createTopic = 2
        case deleteTopic = 3
        case addPartitions = 4
        case setConfiguration = 5
        case allocateProducerIDs = 6
        case registerBroker = 7
        case unregisterBroker = 8
        case fenceBroker = 9
        case unfenceBroker = 10
        case drainBroker = 11
        case resumeBroker = 12
        case preferLeader = 13
        case updateAssignment = 14
        case beginReassignment = 15
        case stepReassignment = 16
        case cancelReassignment = 17
        case finishReassignment = 18
        case rejoinReplica = 19
        case settleBalance = 20
        case loseReplica = 21
        case configureGroup = 22
    }

    private var kind: Kind {
        switch self {
        case .initialize: .initialize
        case .createTopic: .createTopic
        case .deleteTopic: .deleteTopic
        case .addPartitions: .addPartitions
        case .setConfiguration: .setConfiguration
        case .allocateProducerIDs: .allocateProducerIDs
        case .registerBroker: .registerBroker
        case .unregisterBroker: .unregisterBroker
        case .fenceBroker: .fenceBroker
        case .unfenceBroker: .unfenceBroker
        case .drainBroker: .drainBroker
        case .resumeBroker: .resumeBroker
        case .preferLeader: .preferLeader
        case .updateAssignment: .updateAssignment
        case .beginReassignment: .beginReassignment
        case .stepReassignment: .stepReassignment
        case .cancelReassignment: .cancelReassignment
        case .finishReassignment: .finishReassignment
        case .rejoinReplica: .rejoinReplica
        case .settleBalance: .settleBalance
        case .loseReplica: .loseReplica
        case .configureGroup: .configureGroup
        }
    }

    /// Appends kind and fields.
    func encode(to writer: inout BinaryWriter) {
        writer.write(kind.rawValue)
        switch self {
        case .initialize(let clusterID): writer.write(clusterID)
        case .createTopic(let topic): topic.encode(to: &writer)
        case .deleteTopic(let id): id.encode(to: &writer)
        case .addPartitions(let id, let partitions):
            id.encode(to: &writer)
            partitions.encode(to: &writer)
        case .setConfiguration(let id, let configuration):
            id.encode(to: &writer)
            configuration.encode(to: &writer)
        case .configureGroup(let group, let configuration):
            writer.write(group)
            configuration.encode(to: &writer)
        case .allocateProducerIDs(let first, let count):
            writer.write(first)
            writer.write(count)
        case .registerBroker(let registration): registration.encode(to: &writer)
        case .unregisterBroker(let id, let storeID):
            writer.write(id.rawValue)
            writer.write(UInt8(storeID == nil ? 0 : 1))
            if let storeID { writer.write(storeID) }
        case .resumeBroker(let id): writer.write(id.rawValue)
        case .settleBalance: break
        case .fenceBroker(let id, let incarnation), .unfenceBroker(let id, let incarnation):
            writer.write(id.rawValue)
            writer.write(incarnation)
        case .drainBroker(let id, let mode):
            writer.write(id.rawValue)
            writer.write(mode.rawValue)
        case .preferLeader(let group, let node), .loseReplica(let group, let node):
            writer.write(group.rawValue)
            writer.write(node.rawValue)
        case .rejoinReplica(let group, let node, let floor):
            writer.write(group.rawValue)
            writer.write(node.rawValue)
            writer.write(floor)
        case .updateAssignment(let group, let replicas):
            writer.write(group.rawValue)
            replicas.encode(to: &writer)
        case .beginReassignment(let targets): targets.encode(to: &writer)
        case .stepReassignment(let group, let phase):
            writer.write(group.rawValue)
            writer.write(phase.rawValue)
        case .cancelReassignment(let group): writer.write(group.rawValue)
        case .finishReassignment(let group, let floor):
            writer.write(group.rawValue)
            writer.write(floor)
        }
    }

    /// Takes kind and fields; version 1 knew topics and producer ids only.
    init(from reader: inout BinaryReader, version: UInt8) throws(BinaryCodingError) {
        let code = try reader.readInteger(UInt8.self)
        guard let kind = Kind(rawValue: code), version >= 2 || kind.rawValue <= Kind.allocateProducerIDs.rawValue
        else { throw .unknownKind(code) }
        switch kind {
        case .initialize: self = .initialize(clusterID: try reader.readText())
        case .createTopic: self = .createTopic(try TopicRecord(from: &reader, version: version))
        case .deleteTopic: self = .deleteTopic(try TopicID(from: &reader))
        case .addPartitions:
            let id = try TopicID(from: &reader)
            self = .addPartitions(topic: id, try [PartitionRecord](from: &reader, version: version))
        case .setConfiguration:
            self = .setConfiguration(topic: try TopicID(from: &reader), try [String: String](from: &reader))
        case .allocateProducerIDs:
            self = .allocateProducerIDs(
                first: try reader.readInteger(Int64.self), count: try reader.readInteger(Int64.self))
        default: self = try Self.readBrokerCommand(kind, from: &reader, version: version)
        }
    }

    private static func readBrokerCommand(
        _ kind: Kind, from reader: inout BinaryReader, version: UInt8
    ) throws(BinaryCodingError) -> ClusterCommand {
        switch kind {
        case .registerBroker: return .registerBroker(try BrokerRegistration(from: &reader, version: version))
        case .unregisterBroker:
            let id = try reader.readNode()
            let isRetired = version >= 3 ? try reader.readFlag() : false
            return .unregisterBroker(id, retiring: isRetired ? try reader.readInteger(UInt64.self) : nil)
        case .fenceBroker:
            return .fenceBroker(try reader.readNode(), incarnation: try reader.readInteger(UInt64.self))
        case .unfenceBroker:
            return .unfenceBroker(try reader.readNode(), incarnation: try reader.readInteger(UInt64.self))
        case .drainBroker: return .drainBroker(try reader.readNode(), try reader.readCase(DrainMode.self))
        case .resumeBroker: return .resumeBroker(try reader.readNode())
        case .settleBalance: return .settleBalance
        case .configureGroup:
            return .configureGroup(try reader.readText(), try [String: String](from: &reader))
        default: return try readAssignmentCommand(kind, from: &reader, version: version)
        }
    }

    private static func readAssignmentCommand(
        _ kind: Kind, from reader: inout BinaryReader, version: UInt8
    ) throws(BinaryCodingError) -> ClusterCommand {
        switch kind {
        case .preferLeader: return .preferLeader(try reader.readGroup(), try reader.readNode())
        case .updateAssignment: return .updateAssignment(try reader.readGroup(), try [NodeID](from: &reader))
        case .beginReassignment: return .beginReassignment(try [ReassignmentTarget](from: &reader))
        case .stepReassignment:
            return .stepReassignment(
                try reader.readGroup(), from: try reader.readCase(Reassignment.Phase.self))
        case .cancelReassignment: return .cancelReassignment(try reader.readGroup())
        case .loseReplica: return .loseReplica(try reader.readGroup(), try reader.readNode())
        case .finishReassignment:
            return .finishReassignment(try reader.readGroup(), floor: try reader.readFloor(version: version))
        case .rejoinReplica:
            return .rejoinReplica(
                try reader.readGroup(), try reader.readNode(), floor: try reader.readFloor(version: version))
        default: throw .unknownKind(kind.rawValue)
        }
    }
}
