// SPDX-License-Identifier: Apache-2.0
//
// DescribeConfigsResponse.swift
// DescribeConfigs (key 32) response, versions 1 to 4; flexible from version 4.

/// The configuration of each resource.
public struct DescribeConfigsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeConfigs

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// The answer for each resource.
    public var resources: [Resource]

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, resources: [Resource] = []) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.resources = resources
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeConfigs, version: version)
        throttleTimeMilliseconds = try reader.int32()
        resources = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeConfigs, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(resources, version: version)
        writer.taggedFields()
    }
}

extension DescribeConfigsResponse {
    /// One resource and its configuration.
    public struct Resource: WireCoded {
        /// What went wrong, if anything.
        public var errorCode: KafkaErrorCode
        /// What went wrong, as a sentence.
        public var errorMessage: String?
        /// The resource's type, see ``ConfigResourceType``.
        public var resourceType: Int8
        /// The resource's name.
        public var resourceName: String
        /// The configuration keys.
        public var configs: [Config]

        /// Creates a value; what is not named is at its default.
        public init(
            errorCode: KafkaErrorCode = .none, errorMessage: String? = nil, resourceType: Int8, resourceName: String,
            configs: [Config] = []
        ) {
            self.errorCode = errorCode
            self.errorMessage = errorMessage
            self.resourceType = resourceType
            self.resourceName = resourceName
            self.configs = configs
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            errorCode = try reader.errorCode()
            errorMessage = try reader.nullableString()
            resourceType = try reader.int8()
            resourceName = try reader.string()
            configs = try reader.array(version: version)
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.errorCode(errorCode)
            writer.nullableString(errorMessage)
            writer.int8(resourceType)
            writer.string(resourceName)
            writer.array(configs, version: version)
            writer.taggedFields()
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
        /// The values of the key at every source, the effective one first.
        public var synonyms: [Synonym]
        /// The value's type, see ``ConfigType``.
        public var type: Int8
        /// What the key does.
        public var documentation: String?

        /// Creates a value; what is not named is at its default.
        public init(
            name: String, value: String? = nil, isReadOnly: Bool = false, source: Int8 = -1, isSensitive: Bool = false,
            synonyms: [Synonym] = [], type: Int8 = 0, documentation: String? = nil
        ) {
            self.name = name
            self.value = value
            self.isReadOnly = isReadOnly
            self.source = source
            self.isSensitive = isSensitive
            self.synonyms = synonyms
            self.type = type
            self.documentation = documentation
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            value = try reader.nullableString()
            isReadOnly = try reader.bool()
            source = try reader.int8()
            isSensitive = try reader.bool()
            synonyms = try reader.array(version: version)
            type = try version >= 3 ? reader.int8() : 0
            documentation = try version >= 3 ? reader.nullableString() : nil
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.nullableString(value)
            writer.bool(isReadOnly)
            writer.int8(source)
            writer.bool(isSensitive)
            writer.array(synonyms, version: version)
            if version >= 3 {
                writer.int8(type)
                writer.nullableString(documentation)
            }
            writer.taggedFields()
        }
    }

    /// A value of the key at one source.
    public struct Synonym: WireCoded {
        /// The key it is set by.
        public var name: String
        /// The value; null when there is none.
        public var value: String?
        /// Where the value comes from, see ``ConfigSource``.
        public var source: Int8

        /// Creates a value; what is not named is at its default.
        public init(name: String, value: String? = nil, source: Int8) {
            self.name = name
            self.value = value
            self.source = source
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            value = try reader.nullableString()
            source = try reader.int8()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.nullableString(value)
            writer.int8(source)
            writer.taggedFields()
        }
    }
}
