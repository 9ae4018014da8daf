// SPDX-License-Identifier: Apache-2.0
//
// FindCoordinatorResponse.swift
// FindCoordinator (key 10) response, versions 0 to 3; flexible from version 3.

/// The coordinating broker.
public struct FindCoordinatorResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.findCoordinator

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// The coordinating broker, -1 when there is none.
    public var nodeID: Int32
    /// The host to connect to.
    public var host: String
    /// The port to connect to.
    public var port: Int32

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
        nodeID: Int32, host: String, port: Int32
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.nodeID = nodeID
        self.host = host
        self.port = port
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.findCoordinator, version: version)
        throttleTimeMilliseconds = try version >= 1 ? reader.int32() : 0
        errorCode = try reader.errorCode()
        errorMessage = try version >= 1 ? reader.nullableString() : nil
        nodeID = try reader.int32()
        host = try reader.string()
        port = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.findCoordinator, version: version)
        if version >= 1 { writer.int32(throttleTimeMilliseconds) }
        writer.errorCode(errorCode)
        if version >= 1 { writer.nullableString(errorMessage) }
        writer.int32(nodeID)
        writer.string(host)
        writer.int32(port)
        writer.taggedFields()
    }
}
