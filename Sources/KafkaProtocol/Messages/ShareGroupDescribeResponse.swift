// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupDescribeResponse.swift
// ShareGroupDescribe (key 77) response, version 1; flexible from version 0.

/// Share groups with their members.
public struct ShareGroupDescribeResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.shareGroupDescribe

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each group.
    public var groups: [Group]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, groups: [Group] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.groups = groups
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.shareGroupDescribe, version: version)
        throttleTimeMilliseconds = try reader.int32()
        groups = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.shareGroupDescribe, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(groups, version: version)
        writer.taggedFields()
    }
}

extension ShareGroupDescribeResponse {
    /// Partitions of several topics.
    public typealias Assignment = ConsumerGroupDescribeResponse.Assignment

    /// One group.
    public struct Group: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?
        /// The group.
        public var groupID: String
        /// The state of the group.
        public var groupState: String
        /// The epoch of the group.
        public var groupEpoch: Int32
        /// The epoch of the assignment.
        public var assignmentEpoch: Int32
        /// The assignor in use.
        public var assignorName: String
        /// The members.
        public var members: [Member]
        /// What the client may do with the group, a bit for each operation.
        public var authorizedOperations: Int32

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, errorMessage: String? = nil, groupID: String, groupState: String = "",
            groupEpoch: Int32 = 0, assignmentEpoch: Int32 = 0, assignorName: String = "", members: [Member] = [],
            authorizedOperations: Int32 = authorizedOperationsOmitted
        ) {
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.groupID = groupID
            self.groupState = groupState
            self.groupEpoch = groupEpoch
            self.assignmentEpoch = assignmentEpoch
            self.assignorName = assignorName
            self.members = members
            self.authorizedOperations = authorizedOperations
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            groupID = try reader.string()
            groupState = try reader.string()
            groupEpoch = try reader.int32()
            assignmentEpoch = try reader.int32()
            assignorName = try reader.string()
            members = try reader.array(version: version)
            authorizedOperations = try reader.int32()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            writer.string(groupID)
            writer.string(groupState)
            writer.int32(groupEpoch)
            writer.int32(assignmentEpoch)
            writer.string(assignorName)
            writer.array(members, version: version)
            writer.int32(authorizedOperations)
            writer.taggedFields()
        }
    }

    /// One member.
    public struct Member: WireCoded {
        /// The member.
        public var memberID: String
        /// Where the member runs.
        public var rackID: String?
        /// The member's epoch.
        public var memberEpoch: Int32
        /// The name the client gives itself.
        public var clientID: String
        /// The address the member's connection came from.
        public var clientHost: String
        /// The topics that the member reads.
        public var subscribedTopicNames: [String]
        /// What the member may read.
        public var assignment: Assignment

        /// Creates a value; what is not named is at its default.
        public init(
            memberID: String, rackID: String? = nil, memberEpoch: Int32, clientID: String, clientHost: String,
            subscribedTopicNames: [String] = [], assignment: Assignment
        ) {
            self.memberID = memberID
            self.rackID = rackID
            self.memberEpoch = memberEpoch
            self.clientID = clientID
            self.clientHost = clientHost
            self.subscribedTopicNames = subscribedTopicNames
            self.assignment = assignment
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            memberID = try reader.string()
            rackID = try reader.nullableString()
            memberEpoch = try reader.int32()
            clientID = try reader.string()
            clientHost = try reader.string()
            subscribedTopicNames = try reader.stringArray()
            assignment = try Assignment(from: &reader, version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(memberID)
            writer.nullableString(rackID)
            writer.int32(memberEpoch)
            writer.string(clientID)
            writer.string(clientHost)
            writer.stringArray(subscribedTopicNames)
            assignment.encode(to: &writer, version: version)
            writer.taggedFields()
        }
    }
}
