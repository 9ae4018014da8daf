// SPDX-License-Identifier: Apache-2.0
//
// MembershipRequests.swift
// What brokers tell the controller of themselves: registration (1001), heartbeats with load (1002), probes (1007); and
// where one begins that is taken in (1012).

import LogStore
package import Model

/// What a broker carries, as it reports it with every heartbeat.
package struct BrokerLoad: Equatable, Sendable {
    /// Replicas it runs.
    package var replicas: Int32 = 0
    /// Partitions it leads.
    package var leaders: Int32 = 0
    /// Records that its leaders took in a second.
    package var recordsPerSecond: Int64 = 0
    /// Bytes of its replicas.
    package var storedBytes: Int64 = 0
    /// The busiest partitions it leads, with their records in a second.
    package var busiest: [GroupLoad] = []

    /// How many partitions a report names.
    static let busiestMax = 256

    package init() {}
}

/// How much a partition's leader took lately.
package struct GroupLoad: Equatable, Sendable {
    package var group: GroupID
    package var recordsPerSecond: Int64

    package init(group: GroupID, recordsPerSecond: Int64) {
        self.group = group
        self.recordsPerSecond = recordsPerSecond
    }
}

/// A broker joins the cluster, or begins a new life in it.
struct RegisterRequest: PeerBody, Equatable {
    /// The cluster the broker belongs to; nil when it has not been in one.
    var clusterID: String?
    var registration: BrokerRegistration

    func encode(to writer: inout BinaryWriter) {
        writer.write(clusterID)
        registration.encode(to: &writer)
    }
}

extension RegisterRequest {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        clusterID = try reader.readOptionalText()
        registration = try BrokerRegistration(from: &reader, version: ClusterEntry.version)
    }
}

/// What the controller answers to registrations and heartbeats.
enum MembershipAnswer: PeerBody, Equatable {
    case accepted(clusterID: String)
    /// The leader of the controller's group is another broker, or not known.
    case notController(NodeID?)
    /// The broker, or this life of it, is not registered.
    case unknownBroker
    case refused(String)

    func encode(to writer: inout BinaryWriter) {
        switch self {
        case .accepted(let clusterID):
            writer.write(UInt8(0))
            writer.write(clusterID)
        case .notController(let leader):
            writer.write(UInt8(1))
            writer.write(leader)
        case .unknownBroker: writer.write(UInt8(2))
        case .refused(let reason):
            writer.write(UInt8(3))
            writer.write(reason)
        }
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        let code = try reader.readInteger(UInt8.self)
        switch code {
        case 0: self = .accepted(clusterID: try reader.readText())
        case 1: self = .notController(try reader.readOptionalNode())
        case 2: self = .unknownBroker
        case 3: self = .refused(try reader.readText())
        default: throw .unknownKind(code)
        }
    }
}

/// A broker lives.
struct BrokerHeartbeat: PeerBody, Equatable {
    var node: NodeID
    var incarnation: UInt64
    /// Its replicas are restored; it may lead.
    var isReady: Bool
    /// The last operation of the controller it has applied.
    var operation: UInt64
    var load: BrokerLoad

    func encode(to writer: inout BinaryWriter) {
        writer.write(node.rawValue)
        writer.write(incarnation)
        writer.write(UInt8(isReady ? 1 : 0))
        writer.write(operation)
        writer.write(load.replicas)
        writer.write(load.leaders)
        writer.write(load.recordsPerSecond)
        writer.write(load.storedBytes)
        writer.write(UInt32(load.busiest.count))
        for one in load.busiest {
            writer.write(one.group.rawValue)
            writer.write(one.recordsPerSecond)
        }
    }
}

extension BrokerHeartbeat {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        node = try reader.readNode()
        incarnation = try reader.readInteger(UInt64.self)
        isReady = try reader.readFlag()
        operation = try reader.readInteger(UInt64.self)
        load = BrokerLoad()
        load.replicas = try reader.readInteger(Int32.self)
        load.leaders = try reader.readInteger(Int32.self)
        load.recordsPerSecond = try reader.readInteger(Int64.self)
        load.storedBytes = try reader.readInteger(Int64.self)
        for _ in 0..<(try reader.readCount()) {
            let group = try reader.readGroup()
            load.busiest.append(GroupLoad(group: group, recordsPerSecond: try reader.readInteger(Int64.self)))
        }
    }
}

/// Whether a broker answers; nothing has to be said.
struct ProbeRequest: PeerBody, Equatable {
    func encode(to writer: inout BinaryWriter) {}
}

extension ProbeRequest {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {}
}

/// Who answers a probe, and how far it is.
package struct ProbeAnswer: PeerBody, Equatable {
    package var node: NodeID
    package var incarnation: UInt64
    /// What it knows of the cluster.
    package var word: ClusterWord
    /// The last operation of the controller it has applied.
    package var operation: UInt64
    package var isReady: Bool

    func encode(to writer: inout BinaryWriter) {
        writer.write(node.rawValue)
        writer.write(incarnation)
        writer.write(word.clusterID)
        writer.write(UInt32(word.groups.count))
        for group in word.groups {
            writer.write(group.group.rawValue)
            writer.write(group.term.rawValue)
            writer.write(group.last.rawValue)
        }
        writer.write(operation)
        writer.write(UInt8(isReady ? 1 : 0))
    }
}

extension ProbeAnswer {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        node = try reader.readNode()
        incarnation = try reader.readInteger(UInt64.self)
        word = ClusterWord(clusterID: try reader.readOptionalText())
        for _ in 0..<(try reader.readCount()) {
            word.groups.append(
                OwnGroupWord(
                    group: try reader.readGroup(), term: Term(try reader.readInteger(UInt64.self)),
                    last: LogIndex(try reader.readInteger(UInt64.self))))
        }
        operation = try reader.readInteger(UInt64.self)
        isReady = try reader.readFlag()
    }
}

/// Where a broker begins in the brokers' own groups that registered with an empty directory.
struct PlaceRequest: PeerBody, Equatable {
    var node: NodeID
    var incarnation: UInt64

    func encode(to writer: inout BinaryWriter) {
        writer.write(node.rawValue)
        writer.write(incarnation)
    }
}

extension PlaceRequest {
    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        node = try reader.readNode()
        incarnation = try reader.readInteger(UInt64.self)
    }
}

/// What the controller answers to that.
enum PlaceAnswer: PeerBody, Equatable {
    case ready([GroupID: JoinFloor])
    /// What an earlier broker of this number was a member of it still is.
    case leaving
    /// This life of the broker is not registered.
    case unknownBroker
    case notController(NodeID?)

    func encode(to writer: inout BinaryWriter) {
        switch self {
        case .ready(let floors):
            writer.write(UInt8(0))
            floors.encode(to: &writer)
        case .leaving: writer.write(UInt8(1))
        case .unknownBroker: writer.write(UInt8(2))
        case .notController(let leader):
            writer.write(UInt8(3))
            writer.write(leader)
        }
    }

    init(from reader: inout BinaryReader) throws(BinaryCodingError) {
        let code = try reader.readInteger(UInt8.self)
        switch code {
        case 0: self = .ready(try [GroupID: JoinFloor](from: &reader))
        case 1: self = .leaving
        case 2: self = .unknownBroker
        case 3: self = .notController(try reader.readOptionalNode())
        default: throw .unknownKind(code)
        }
    }
}
