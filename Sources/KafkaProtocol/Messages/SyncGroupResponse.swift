// SPDX-License-Identifier: Apache-2.0
//
// SyncGroupResponse.swift
// SyncGroup (key 14) response, versions 0 to 5; flexible from version 4.

/// The member's share of the work.
public struct SyncGroupResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.syncGroup

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What the members use the group for, such as `consumer`.
    public var protocolType: String?
    /// The chosen protocol.
    public var protocolName: String?
    /// The member's share, in the layout of its protocol type.
    public var assignment: [UInt8]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, protocolType: String? = nil,
        protocolName: String? = nil, assignment: [UInt8]
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.protocolType = protocolType
        self.protocolName = protocolName
        self.assignment = assignment
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.syncGroup, version: version)
        throttleTimeMilliseconds = try version >= 1 ? reader.int32() : 0
        errorCode = try reader.errorCode()
        protocolType = try version >= 5 ? reader.nullableString() : nil
        protocolName = try version >= 5 ? reader.nullableString() : nil
        assignment = try reader.bytes()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.syncGroup, version: version)
        if version >= 1 { writer.int32(throttleTimeMilliseconds) }
        writer.errorCode(errorCode)
        if version >= 5 {
            writer.nullableString(protocolType)
            writer.nullableString(protocolName)
        }
        writer.bytes(assignment)
        writer.taggedFields()
    }
}
