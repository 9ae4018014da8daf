// SPDX-License-Identifier: Apache-2.0
//
// FindCoordinatorResponse.swift
// FindCoordinator (key 10) response, versions 0 to 6; flexible from version 3.

/// The coordinating broker.
public struct FindCoordinatorResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.findCoordinator

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything; this and what follows up to version 3.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// The coordinating broker, -1 when there is none.
    public var nodeID: Int32
    /// The host to connect to.
    public var host: String
    /// The port to connect to.
    public var port: Int32
    /// The answer for each key, from version 4 on.
    public var coordinators: [Coordinator]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
        nodeID: Int32 = -1, host: String = "", port: Int32 = -1, coordinators: [Coordinator] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.nodeID = nodeID
        self.host = host
        self.port = port
        self.coordinators = coordinators
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.findCoordinator, version: version)
        throttleTimeMilliseconds = try version >= 1 ? reader.int32() : 0
        errorCode = try version <= 3 ? reader.errorCode() : .none
        errorMessage = try (1...3).contains(version) ? reader.nullableString() : nil
        nodeID = try version <= 3 ? reader.int32() : -1
        host = try version <= 3 ? reader.string() : ""
        port = try version <= 3 ? reader.int32() : -1
        coordinators = try version >= 4 ? reader.array(version: version) : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.findCoordinator, version: version)
        if version >= 1 { writer.int32(throttleTimeMilliseconds) }
        if version >= 4 {
            writer.array(coordinators, version: version)
            return writer.taggedFields()
        }
        writer.errorCode(errorCode)
        if version >= 1 { writer.nullableString(errorMessage) }
        writer.int32(nodeID)
        writer.string(host)
        writer.int32(port)
        writer.taggedFields()
    }
}

extension FindCoordinatorResponse {
    /// The coordinator of one key.
    public struct Coordinator: WireCoded {
        /// The group or transactional id.
        public var key: String
        /// The coordinating broker, -1 when there is none.
        public var nodeID: Int32
        /// The host to connect to.
        public var host: String
        /// The port to connect to.
        public var port: Int32
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?

        /// Creates a value; what is not named is at its default.
        public init(
            key: String, nodeID: Int32 = -1, host: String = "", port: Int32 = -1, errorCode: KafkaErrorCode = .none,
            errorMessage: String? = nil
        ) {
            self.key = key
            self.nodeID = nodeID
            self.host = host
            self.port = port
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            key = try reader.string()
            nodeID = try reader.int32()
            host = try reader.string()
            port = try reader.int32()
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(key)
            writer.int32(nodeID)
            writer.string(host)
            writer.int32(port)
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            writer.taggedFields()
        }
    }
}
