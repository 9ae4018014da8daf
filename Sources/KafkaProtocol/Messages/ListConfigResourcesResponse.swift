// SPDX-License-Identifier: Apache-2.0
//
// ListConfigResourcesResponse.swift
// ListConfigResources (key 74) response, versions 0 to 1; flexible from version 0.

/// The resources that have a configuration.
public struct ListConfigResourcesResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.listConfigResources

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The resources.
    public var configResources: [Resource]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, configResources: [Resource] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.configResources = configResources
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.listConfigResources, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        configResources = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.listConfigResources, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.array(configResources, version: version)
        writer.taggedFields()
    }
}

extension ListConfigResourcesResponse {
    /// One resource.
    public struct Resource: WireCoded {
        /// The resource's name.
        public var resourceName: String
        /// The resource's type, see ``ConfigResourceType``; from version 1 on, before it is a set of client metrics.
        public var resourceType: Int8

        /// Creates a value; what is not named is at its default.
        public init(resourceName: String, resourceType: Int8 = ConfigResourceType.clientMetrics.rawValue) {
            self.resourceName = resourceName
            self.resourceType = resourceType
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            resourceName = try reader.string()
            resourceType = try version >= 1 ? reader.int8() : ConfigResourceType.clientMetrics.rawValue
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(resourceName)
            if version >= 1 { writer.int8(resourceType) }
            writer.taggedFields()
        }
    }
}
