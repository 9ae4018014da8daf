// SPDX-License-Identifier: Apache-2.0
//
// PushTelemetryResponse.swift
// PushTelemetry (key 72) response, version 0; flexible from version 0 (KIP-714).

/// Whether the metrics were taken.
public struct PushTelemetryResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.pushTelemetry

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
        try reader.begin(.pushTelemetry, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.pushTelemetry, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.taggedFields()
    }
}
