// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupDescribeResponse.swift
// ConsumerGroupDescribe (key 69) response, versions 0 and 1; flexible from version 0.

public import Model

/// Groups under the consumer protocol with their members.
public struct ConsumerGroupDescribeResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.consumerGroupDescribe

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
        try reader.begin(.consumerGroupDescribe, version: version)
        throttleTimeMilliseconds = try reader.int32()
        groups = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.consumerGroupDescribe, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(groups, version: version)
        writer.taggedFields()
    }
}

extension ConsumerGroupDescribeResponse {
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
        /// The epoch of the target assignment.
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
        /// The member's name across restarts; null for a dynamic member.
        public var instanceID: String?
        /// Where the member runs.
        public var rackID: String?
        /// The member's epoch.
        public var memberEpoch: Int32
        /// The name the client gives itself.
        public var clientID: String
        /// The address the member's connection came from.
        public var clientHost: String
        /// The topics that the member names.
        public var subscribedTopicNames: [String]
        /// Its expression for names of further topics.
        public var subscribedTopicRegex: String?
        /// What the member has.
        public var assignment: Assignment
        /// What the member is meant to have.
        public var targetAssignment: Assignment
        /// 0 for the classic protocol, 1 for the consumer protocol, -1 when unknown; from version 1 on.
        public var memberType: Int8

        /// Creates a value; what is not named is at its default.
        public init(
            memberID: String, instanceID: String? = nil, rackID: String? = nil, memberEpoch: Int32, clientID: String,
            clientHost: String, subscribedTopicNames: [String] = [], subscribedTopicRegex: String? = nil,
            assignment: Assignment, targetAssignment: Assignment, memberType: Int8 = -1
        ) {
            self.memberID = memberID
            self.instanceID = instanceID
            self.rackID = rackID
            self.memberEpoch = memberEpoch
            self.clientID = clientID
            self.clientHost = clientHost
            self.subscribedTopicNames = subscribedTopicNames
            self.subscribedTopicRegex = subscribedTopicRegex
            self.assignment = assignment
            self.targetAssignment = targetAssignment
            self.memberType = memberType
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            memberID = try reader.string()
            instanceID = try reader.nullableString()
            rackID = try reader.nullableString()
            memberEpoch = try reader.int32()
            clientID = try reader.string()
            clientHost = try reader.string()
            subscribedTopicNames = try reader.stringArray()
            subscribedTopicRegex = try reader.nullableString()
            assignment = try Assignment(from: &reader, version: version)
            targetAssignment = try Assignment(from: &reader, version: version)
            memberType = try version >= 1 ? reader.int8() : -1
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(memberID)
            writer.nullableString(instanceID)
            writer.nullableString(rackID)
            writer.int32(memberEpoch)
            writer.string(clientID)
            writer.string(clientHost)
            writer.stringArray(subscribedTopicNames)
            writer.nullableString(subscribedTopicRegex)
            assignment.encode(to: &writer, version: version)
            targetAssignment.encode(to: &writer, version: version)
            if version >= 1 { writer.int8(memberType) }
            writer.taggedFields()
        }
    }

    /// Partitions of several topics.
    public struct Assignment: WireCoded {
        /// The partitions.
        public var topicPartitions: [TopicPartitions]

        /// Creates a value; what is not named is at its default.
        public init(
            topicPartitions: [TopicPartitions] = []
        ) {
            self.topicPartitions = topicPartitions
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            topicPartitions = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.array(topicPartitions, version: version)
            writer.taggedFields()
        }
    }

    /// A topic and some of its partitions.
    public struct TopicPartitions: WireCoded {
        /// The topic's id.
        public var topicID: TopicID
        /// The topic's name.
        public var topicName: String
        /// The partitions.
        public var partitions: [Int32]

        /// Creates a value; what is not named is at its default.
        public init(
            topicID: TopicID, topicName: String, partitions: [Int32] = []
        ) {
            self.topicID = topicID
            self.topicName = topicName
            self.partitions = partitions
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            topicID = try reader.topicID()
            topicName = try reader.string()
            partitions = try reader.int32Array()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.topicID(topicID)
            writer.string(topicName)
            writer.int32Array(partitions)
            writer.taggedFields()
        }
    }
}
