// SPDX-License-Identifier: Apache-2.0
//
// IncrementalAlterConfigsRequest.swift
// IncrementalAlterConfigs (key 44) request, versions 0 to 1; flexible from version 1.

/// Changes single configuration keys of resources.
public struct IncrementalAlterConfigsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.incrementalAlterConfigs
    /// What answers this request.
    public typealias Response = IncrementalAlterConfigsResponse

    /// The resources.
    public var resources: [Resource]
    /// Whether to check only and change nothing.
    public var validateOnly: Bool

    /// Creates the message; what is not named is at its default.
    public init(resources: [Resource] = [], validateOnly: Bool = false) {
        self.resources = resources
        self.validateOnly = validateOnly
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.incrementalAlterConfigs, version: version)
        resources = try reader.array(version: version)
        validateOnly = try reader.bool()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.incrementalAlterConfigs, version: version)
        writer.array(resources, version: version)
        writer.bool(validateOnly)
        writer.taggedFields()
    }
}

extension IncrementalAlterConfigsRequest {
    /// One resource and its configuration.
    public typealias Resource = ConfigResource<Config>

    /// One configuration key.
    public struct Config: WireCoded {
        /// The key.
        public var name: String
        /// What to do to the key, see ``ConfigOperation``.
        public var operation: Int8
        /// The value; null when there is none.
        public var value: String?

        /// Creates a value; what is not named is at its default.
        public init(name: String, operation: Int8, value: String? = nil) {
            self.name = name
            self.operation = operation
            self.value = value
        }

        /// Reads what ``encode(to:version:)`` writes.
        public init(from reader: inout WireReader, version: Int16) throws(WireError) {
            name = try reader.string()
            operation = try reader.int8()
            value = try reader.nullableString()
            try reader.taggedFields()
        }

        /// Writes the fields that `version` has.
        public func encode(to writer: inout WireWriter, version: Int16) {
            writer.string(name)
            writer.int8(operation)
            writer.nullableString(value)
            writer.taggedFields()
        }
    }
}
