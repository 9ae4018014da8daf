// SPDX-License-Identifier: Apache-2.0
//
// LeaderHint.swift
// Who leads instead of the broker that was asked, and how to reach it (KIP-951).

/// A leader and its epoch.
public struct LeaderAndEpoch: WireCoded {
    /// The leader, -1 when there is none.
    public var leaderID: Int32
    /// The leader epoch, -1 when unknown.
    public var leaderEpoch: Int32

    /// Creates a value; what is not named is at its default.
    public init(leaderID: Int32 = -1, leaderEpoch: Int32 = -1) {
        self.leaderID = leaderID
        self.leaderEpoch = leaderEpoch
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        leaderID = try reader.int32()
        leaderEpoch = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.int32(leaderID)
        writer.int32(leaderEpoch)
        writer.taggedFields()
    }
}

/// A broker that an answer names as a leader.
public struct NodeEndpoint: WireCoded {
    /// The broker.
    public var nodeID: Int32
    /// The host to connect to.
    public var host: String
    /// The port to connect to.
    public var port: Int32
    /// The rack, when known.
    public var rack: String?

    /// Creates a value; what is not named is at its default.
    public init(nodeID: Int32, host: String, port: Int32, rack: String? = nil) {
        self.nodeID = nodeID
        self.host = host
        self.port = port
        self.rack = rack
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        nodeID = try reader.int32()
        host = try reader.string()
        port = try reader.int32()
        rack = try reader.nullableString()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.int32(nodeID)
        writer.string(host)
        writer.int32(port)
        writer.nullableString(rack)
        writer.taggedFields()
    }
}
