// SPDX-License-Identifier: Apache-2.0
//
// CreateTopicsResponse.swift
// CreateTopics (key 19) response, versions 2 to 7; flexible from version 5.

public import Model

/// Whether each topic was created, and how.
public struct CreateTopicsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.createTopics

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each topic.
    public var topics: [Topic]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, topics: [Topic] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.topics = topics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.createTopics, version: version)
        throttleTimeMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.createTopics, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension CreateTopicsResponse {
    /// The answer for one topic.
    public struct Topic: WireCoded {
        /// The topic's name.
        public var name: String
        /// The id of the new topic, from version 7 on; zero when none was created.
        public var topicID: TopicID
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?
        /// Why the configuration is not told.
        public var topicConfigErrorCode: KafkaErrorCode
        /// The number of partitions, -1 when it is not told.
        public var partitionCount: Int32
        /// The number of replicas, -1 when it is not told.
        public var replicationFactor: Int16
        /// The topic's effective configuration; null when it is not told.
        public var configs: [Config]?

        /// Creates a value; what is not named is at its default.
        public init(
            name: String, topicID: TopicID = .zero, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil,
            topicConfigErrorCode: KafkaErrorCode = .none, partitionCount: Int32 = -1, replicationFactor: Int16 = -1,
            configs: [Config]? = nil
        ) {
            self.name = name
            self.topicID = topicID
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.topicConfigErrorCode = topicConfigErrorCode
            self.partitionCount = partitionCount
            self.replicationFactor = replicationFactor
            self.configs = configs
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            topicID = try version >= 7 ? reader.topicID() : .zero
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            partitionCount = try version >= 5 ? reader.int32() : -1
            replicationFactor = try version >= 5 ? reader.int16() : -1
            configs = try version >= 5 ? reader.nullableArray(version: version) : nil
            topicConfigErrorCode = .none
            try reader.taggedFields { (tag, reader) throws(WireError) in
                switch tag {
                case 0: topicConfigErrorCode = try reader.errorCode()
                default: return false
                }
                return true
            }
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            if version >= 7 { writer.topicID(topicID) }
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            if version >= 5 {
                writer.int32(partitionCount)
                writer.int16(replicationFactor)
                writer.nullableArray(configs, version: version)
            }
            var tagged = TaggedFields()
            if topicConfigErrorCode != .none { tagged.append(tag: 0) { $0.errorCode(topicConfigErrorCode) } }
            writer.taggedFields(tagged)
        }
    }

    /// One configuration key.
    public struct Config: WireCoded {
        /// The key.
        public var name: String
        /// The value; null when there is none.
        public var value: String?
        /// Whether the value cannot be changed.
        public var isReadOnly: Bool
        /// Where the value comes from, see ``ConfigSource``.
        public var source: Int8
        /// Whether the value is a secret and therefore null.
        public var isSensitive: Bool

        /// Creates a value; what is not named is at its default.
        public init(
            name: String, value: String? = nil, isReadOnly: Bool = false, source: Int8 = -1, isSensitive: Bool = false
        ) {
            self.name = name
            self.value = value
            self.isReadOnly = isReadOnly
            self.source = source
            self.isSensitive = isSensitive
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            value = try reader.nullableString()
            isReadOnly = try reader.bool()
            source = try reader.int8()
            isSensitive = try reader.bool()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.nullableString(value)
            writer.bool(isReadOnly)
            writer.int8(source)
            writer.bool(isSensitive)
            writer.taggedFields()
        }
    }
}
