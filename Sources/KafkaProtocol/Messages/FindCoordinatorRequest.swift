// SPDX-License-Identifier: Apache-2.0
//
// FindCoordinatorRequest.swift
// FindCoordinator (key 10) request, versions 0 to 6; flexible from version 3.

/// Asks for the broker that coordinates a group.
public struct FindCoordinatorRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.findCoordinator
    /// What answers this request.
    public typealias Response = FindCoordinatorResponse

    /// The group or transactional id, up to version 3.
    public var key: String
    /// What the keys are, see ``CoordinatorType``.
    public var keyType: Int8
    /// The groups or transactional ids, from version 4 on.
    public var coordinatorKeys: [String]

    /// Creates the message; what is not named is at its default.
    public init(key: String = "", keyType: Int8 = 0, coordinatorKeys: [String] = []) {
        self.key = key
        self.keyType = keyType
        self.coordinatorKeys = coordinatorKeys
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.findCoordinator, version: version)
        key = try version <= 3 ? reader.string() : ""
        keyType = try version >= 1 ? reader.int8() : 0
        coordinatorKeys = try version >= 4 ? reader.stringArray() : []
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.findCoordinator, version: version)
        if version <= 3 { writer.string(key) }
        if version >= 1 { writer.int8(keyType) }
        if version >= 4 { writer.stringArray(coordinatorKeys) }
        writer.taggedFields()
    }
}
