// SPDX-License-Identifier: Apache-2.0
//
// ConfigValue.swift
// A configuration key as requests set it.

/// One configuration key and its value.
public struct ConfigValue: WireCoded {
    /// The key.
    public var name: String
    /// The value; null when there is none.
    public var value: String?

    /// Creates a value; what is not named is at its default.
    public init(name: String, value: String? = nil) {
        self.name = name
        self.value = value
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        name = try reader.string()
        value = try reader.nullableString()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.string(name)
        writer.nullableString(value)
        writer.taggedFields()
    }
}
