// SPDX-License-Identifier: Apache-2.0
//
// PartitionExplainedError.swift
// What an answer says of a partition when it has an error and a sentence to tell.

/// How the request ended for one partition, with the reason as a sentence.
public struct PartitionExplainedError: WireCoded {
    /// The partition.
    public var index: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// What went wrong, as a sentence.
    public var errorMessage: String?

    /// Creates a value; what is not named is at its default.
    public init(index: Int32, errorCode: KafkaErrorCode = .none, errorMessage: String? = nil) {
        self.index = index
        self.errorCode = errorCode
        self.errorMessage = errorMessage
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        index = try reader.int32()
        errorCode = try reader.errorCode()
        errorMessage = try reader.nullableString()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.int32(index)
        writer.errorCode(errorCode)
        writer.nullableString(errorMessage)
        writer.taggedFields()
    }
}
