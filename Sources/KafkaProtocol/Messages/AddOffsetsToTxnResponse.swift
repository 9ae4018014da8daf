// SPDX-License-Identifier: Apache-2.0
//
// AddOffsetsToTxnResponse.swift
// AddOffsetsToTxn (key 25) response, versions 0 to 4; flexible from version 3.

/// Whether the offsets may be committed in the transaction.
public struct AddOffsetsToTxnResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.addOffsetsToTxn

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode

    /// Creates the message; what is not named is at its default.
    public init(throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.addOffsetsToTxn, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.addOffsetsToTxn, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.taggedFields()
    }
}
