// SPDX-License-Identifier: Apache-2.0
//
// ResponseHeader.swift
// What stands before every response body: the correlation id, in flexible versions followed by tagged fields.

/// The header of a response, version 0 or 1.
public struct ResponseHeader: Hashable, Sendable {
    /// The number of the request that is answered.
    public var correlationID: Int32

    /// Creates a header.
    public init(correlationID: Int32) {
        self.correlationID = correlationID
    }

    /// Whether the header of a response has tagged fields.
    ///
    /// ApiVersions never has them, whatever its version: a client cannot know how to read the answer before it has it.
    public static func isFlexible(_ key: APIKey, version: Int16) -> Bool {
        key != .apiVersions && APIRegistry[key].isFlexible(version)
    }

    /// Reads the header of a response to `version` of `key`.
    public init(from reader: inout WireReader, key: APIKey, version: Int16) throws(WireError) {
        correlationID = try reader.int32()
        reader.isFlexible = Self.isFlexible(key, version: version)
        try reader.taggedFields()
    }

    /// Writes the header of a response to `version` of `key`.
    public func encode(to writer: inout WireWriter, key: APIKey, version: Int16) {
        writer.int32(correlationID)
        writer.isFlexible = Self.isFlexible(key, version: version)
        writer.taggedFields()
    }
}
