// SPDX-License-Identifier: Apache-2.0
//
// ConfigResourceError.swift
// What an answer says of a resource whose configuration was to change.

/// How the request ended for one resource.
public struct ConfigResourceError: WireCoded {
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?
    /// The resource's type, see ``ConfigResourceType``.
    public var resourceType: Int8
    /// The resource's name.
    public var resourceName: String

    /// Creates a value; what is not named is at its default.
    public init(
        errorCode: KafkaErrorCode = .none, errorMessage: String? = nil, resourceType: Int8, resourceName: String
    ) {
        self.errorCode = errorCode
        self.errorMessage = errorMessage
        self.resourceType = resourceType
        self.resourceName = resourceName
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        resourceType = try reader.int8()
        resourceName = try reader.string()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        writer.int8(resourceType)
        writer.string(resourceName)
        writer.taggedFields()
    }
}
