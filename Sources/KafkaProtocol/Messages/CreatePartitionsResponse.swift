// SPDX-License-Identifier: Apache-2.0
//
// CreatePartitionsResponse.swift
// CreatePartitions (key 37) response, versions 0 to 3; flexible from version 2.

/// Whether each topic was changed.
public struct CreatePartitionsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.createPartitions

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
        try reader.begin(.createPartitions, version: version)
        throttleTimeMilliseconds = try reader.int32()
        topics = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.createPartitions, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(topics, version: version)
        writer.taggedFields()
    }
}

extension CreatePartitionsResponse {
    /// The answer for one topic.
    public struct Topic: WireCoded {
        /// The topic's name.
        public var name: String
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?

        /// Creates a value; what is not named is at its default.
        public init(name: String, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil) {
            self.name = name
            self.errorCode = errorCode
            self.errorMessage = errorMessage
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            writer.taggedFields()
        }
    }
}
