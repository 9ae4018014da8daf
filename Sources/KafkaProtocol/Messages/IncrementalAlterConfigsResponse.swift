// SPDX-License-Identifier: Apache-2.0
//
// IncrementalAlterConfigsResponse.swift
// IncrementalAlterConfigs (key 44) response, versions 0 to 1; flexible from version 1.

/// Whether each resource was changed.
public struct IncrementalAlterConfigsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.incrementalAlterConfigs

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
        try reader.begin(.incrementalAlterConfigs, version: version)
        throttleTimeMilliseconds = try reader.int32()
        resources = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.incrementalAlterConfigs, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.array(resources, version: version)
        writer.taggedFields()
    }
}

extension IncrementalAlterConfigsResponse {
    /// The answer for one resource.
    public typealias Resource = ConfigResourceError
}
