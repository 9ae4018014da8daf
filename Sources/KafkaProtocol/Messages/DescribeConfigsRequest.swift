// SPDX-License-Identifier: Apache-2.0
//
// DescribeConfigsRequest.swift
// DescribeConfigs (key 32) request, versions 1 to 4; flexible from version 4.

/// Asks for configuration values.
public struct DescribeConfigsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.describeConfigs
    /// What answers this request.
    public typealias Response = DescribeConfigsResponse

    /// The resources.
    public var resources: [Resource]
    /// Whether to tell the values that the effective one overrides.
    public var includeSynonyms: Bool
    /// Whether to tell what the keys do.
    public var includeDocumentation: Bool

    /// Creates the message; what is not named is at its default.
    public init(resources: [Resource] = [], includeSynonyms: Bool = false, includeDocumentation: Bool = false) {
        self.resources = resources
        self.includeSynonyms = includeSynonyms
        self.includeDocumentation = includeDocumentation
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.describeConfigs, version: version)
        resources = try reader.array(version: version)
        includeSynonyms = try reader.bool()
        includeDocumentation = try version >= 3 ? reader.bool() : false
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.describeConfigs, version: version)
        writer.array(resources, version: version)
        writer.bool(includeSynonyms)
        if version >= 3 { writer.bool(includeDocumentation) }
        writer.taggedFields()
    }
}

extension DescribeConfigsRequest {
    /// One resource and its configuration.
    public struct Resource: WireCoded {
        /// The resource's type, see ``ConfigResourceType``.
        public var resourceType: Int8
        /// The resource's name.
        public var resourceName: String
        /// The keys wanted; null means all.
        public var keys: [String]?

        /// Creates a value; what is not named is at its default.
        public init(resourceType: Int8, resourceName: String, keys: [String]? = nil) {
            self.resourceType = resourceType
            self.resourceName = resourceName
            self.keys = keys
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            resourceType = try reader.int8()
            resourceName = try reader.string()
            keys = try reader.nullableStringArray()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.int8(resourceType)
            writer.string(resourceName)
            writer.nullableStringArray(keys)
            writer.taggedFields()
        }
    }
}
