// SPDX-License-Identifier: Apache-2.0
//
// AlterConfigsRequest.swift
// AlterConfigs (key 33) request, versions 0 to 2; flexible from version 2.

/// Replaces the whole configuration of resources.
public struct AlterConfigsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.alterConfigs
    /// What answers this request.
    public typealias Response = AlterConfigsResponse

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
        try reader.begin(.alterConfigs, version: version)
        resources = try reader.array(version: version)
        validateOnly = try reader.bool()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.alterConfigs, version: version)
        writer.array(resources, version: version)
        writer.bool(validateOnly)
        writer.taggedFields()
    }
}

extension AlterConfigsRequest {
    /// One resource and its configuration.
    public typealias Resource = ConfigResource<Config>

    /// One configuration key.
    public typealias Config = ConfigValue
}
