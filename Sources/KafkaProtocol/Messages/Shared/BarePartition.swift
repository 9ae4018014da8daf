// SPDX-License-Identifier: Apache-2.0
//
// BarePartition.swift
// A partition in an array of structs, of which a request says nothing more.

/// A partition, where the layout has a struct around its number.
public struct BarePartition: WireCoded {
    /// The partition.
    public var index: Int32

    /// Creates a value.
    public init(index: Int32) {
        self.index = index
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        index = try reader.int32()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.int32(index)
        writer.taggedFields()
    }
}
