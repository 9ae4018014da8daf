// SPDX-License-Identifier: Apache-2.0
//
// PartitionError.swift
// What an answer says of a partition when it has only an error to tell.

/// How the request ended for one partition.
public struct PartitionError: WireCoded {
    /// The partition.
    public var index: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode

    /// Creates a value; what is not named is at its default.
    public init(index: Int32, errorCode: KafkaErrorCode = .none) {
        self.index = index
        self.errorCode = errorCode
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        index = try reader.int32()
        errorCode = try reader.errorCode()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.int32(index)
        writer.errorCode(errorCode)
        writer.taggedFields()
    }
}
