// SPDX-License-Identifier: Apache-2.0
//
// ConsumerProtocol.swift
// What consumers put into the opaque bytes of JoinGroup and SyncGroup when their protocol type is `consumer`.
// Other protocol types have layouts of their own: look at the type before decoding.

import NIOCore

/// The layouts of the `consumer` protocol type.
public enum ConsumerProtocol {
    /// The protocol type whose bytes follow these layouts.
    public static let protocolType = "consumer"
    /// The versions we know; a higher one is read as far as the highest of these goes.
    public static let versions: ClosedRange<Int16> = 0...3
}

/// A topic and some of its partitions.
public struct ConsumerTopicPartitions: WireCoded {
    /// The topic's name.
    public var name: String
    /// The partitions.
    public var partitions: [Int32]

    /// Creates a value; what is not named is at its default.
    public init(name: String, partitions: [Int32] = []) {
        self.name = name
        self.partitions = partitions
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        name = try reader.string()
        partitions = try reader.int32Array()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.string(name)
        writer.int32Array(partitions)
    }
}

/// What a consumer wants to read: the metadata of JoinGroup.
public struct ConsumerProtocolSubscription: WireCoded {
    /// The topics subscribed to.
    public var topics: [String]
    /// What the assignor added.
    public var userData: [UInt8]?
    /// The partitions held before the rebalance, for cooperative assignors.
    public var ownedPartitions: [ConsumerTopicPartitions]
    /// The generation in which they were held, -1 when unknown.
    public var generationID: Int32
    /// The consumer's rack.
    public var rackID: String?

    /// Creates a value; what is not named is at its default.
    public init(
        topics: [String] = [], userData: [UInt8]? = nil, ownedPartitions: [ConsumerTopicPartitions] = [],
        generationID: Int32 = -1, rackID: String? = nil
    ) {
        self.topics = topics
        self.userData = userData
        self.ownedPartitions = ownedPartitions
        self.generationID = generationID
        self.rackID = rackID
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        topics = try reader.stringArray()
        userData = try reader.nullableBytes()
        ownedPartitions = try version >= 1 ? reader.array(version: version) : []
        generationID = try version >= 2 ? reader.int32() : -1
        rackID = try version >= 3 ? reader.nullableString() : nil
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.stringArray(topics)
        writer.nullableBytes(userData)
        if version >= 1 { writer.array(ownedPartitions, version: version) }
        if version >= 2 { writer.int32(generationID) }
        if version >= 3 { writer.nullableString(rackID) }
    }
}

/// What a consumer is to read: the assignment of SyncGroup.
public struct ConsumerProtocolAssignment: WireCoded {
    /// The partitions assigned.
    public var assignedPartitions: [ConsumerTopicPartitions]
    /// What the assignor added.
    public var userData: [UInt8]?

    /// Creates a value; what is not named is at its default.
    public init(assignedPartitions: [ConsumerTopicPartitions] = [], userData: [UInt8]? = nil) {
        self.assignedPartitions = assignedPartitions
        self.userData = userData
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        assignedPartitions = try reader.array(version: version)
        userData = try reader.nullableBytes()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.array(assignedPartitions, version: version)
        writer.nullableBytes(userData)
    }
}

// MARK: - With the version in front

extension ConsumerProtocolSubscription {
    /// Decodes the metadata of one JoinGroup protocol.
    public init(decoding bytes: [UInt8]) throws(WireError) {
        var reader = WireReader(ByteBuffer(bytes: bytes))
        let version = try reader.consumerProtocolVersion()
        self = try Self(from: &reader, version: version)
    }

    /// The bytes to send as metadata.
    public func encoded(version: Int16) -> [UInt8] { ConsumerProtocol.encode(self, version: version) }
}

extension ConsumerProtocolAssignment {
    /// Decodes the assignment of one member; no bytes at all mean no partitions.
    public init(decoding bytes: [UInt8]) throws(WireError) {
        guard !bytes.isEmpty else {
            self.init()
            return
        }
        var reader = WireReader(ByteBuffer(bytes: bytes))
        let version = try reader.consumerProtocolVersion()
        self = try Self(from: &reader, version: version)
    }

    /// The bytes to send as an assignment.
    public func encoded(version: Int16) -> [UInt8] { ConsumerProtocol.encode(self, version: version) }
}

extension ConsumerProtocol {
    fileprivate static func encode<Message: WireCoded>(_ message: Message, version: Int16) -> [UInt8] {
        precondition(versions.contains(version), "consumer protocol version \(version) cannot be written")
        var writer = WireWriter()
        writer.int16(version)
        message.encode(to: &writer, version: version)
        return Array(writer.finishContiguous().readableBytesView)
    }
}

extension WireReader {
    /// Reads the version in front of consumer protocol bytes; a later one counts as the latest we know.
    fileprivate mutating func consumerProtocolVersion() throws(WireError) -> Int16 {
        let version = try int16()
        guard version >= ConsumerProtocol.versions.lowerBound else { throw .invalidLength(Int(version)) }
        return min(version, ConsumerProtocol.versions.upperBound)
    }
}
