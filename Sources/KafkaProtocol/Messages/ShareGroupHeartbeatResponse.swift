// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupHeartbeatResponse.swift
// ShareGroupHeartbeat (key 76) response, version 1; flexible from version 0.

/// What the member may read.
public struct ShareGroupHeartbeatResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.shareGroupHeartbeat

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// The member.
    public var memberID: String?
    /// The member's epoch.
    public var memberEpoch: Int32
    /// How often the member is to say that it lives.
    public var heartbeatIntervalMilliseconds: Int32
    /// What the member may read; null when it is unchanged.
    public var assignment: Assignment?

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
        memberID: String? = nil, memberEpoch: Int32 = 0, heartbeatIntervalMilliseconds: Int32 = 0,
        assignment: Assignment? = nil
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.memberID = memberID
        self.memberEpoch = memberEpoch
        self.heartbeatIntervalMilliseconds = heartbeatIntervalMilliseconds
        self.assignment = assignment
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.shareGroupHeartbeat, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        memberID = try reader.nullableString()
        memberEpoch = try reader.int32()
        heartbeatIntervalMilliseconds = try reader.int32()
        assignment = try reader.nullableStruct(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.shareGroupHeartbeat, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        writer.nullableString(memberID)
        writer.int32(memberEpoch)
        writer.int32(heartbeatIntervalMilliseconds)
        writer.nullableStruct(assignment, version: version)
        writer.taggedFields()
    }
}

extension ShareGroupHeartbeatResponse {
    /// What a member may read.
    public typealias Assignment = ConsumerGroupHeartbeatResponse.Assignment
}
