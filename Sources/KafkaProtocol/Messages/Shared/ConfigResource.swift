// SPDX-License-Identifier: Apache-2.0
//
// ConfigResource.swift
// How requests name what they configure.

/// A resource and what is to happen to its configuration keys.
public struct ConfigResource<Config: WireCoded>: WireCoded {
    /// The resource's type, see ``ConfigResourceType``.
    public var resourceType: Int8
    /// The resource's name.
    public var resourceName: String
    /// The configuration keys.
    public var configs: [Config]

    /// Creates a value; what is not named is at its default.
    @inlinable
    public init(resourceType: Int8, resourceName: String, configs: [Config] = []) {
        self.resourceType = resourceType
        self.resourceName = resourceName
        self.configs = configs
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        resourceType = try reader.int8()
        resourceName = try reader.string()
        configs = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.int8(resourceType)
        writer.string(resourceName)
        writer.array(configs, version: version)
        writer.taggedFields()
    }
}
