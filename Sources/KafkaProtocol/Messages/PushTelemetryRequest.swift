// SPDX-License-Identifier: Apache-2.0
//
// PushTelemetryRequest.swift
// PushTelemetry (key 72) request, version 0; flexible from version 0 (KIP-714).

public import Model

/// Hands over the client's metrics.
public struct PushTelemetryRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.pushTelemetry
    /// What answers this request.
    public typealias Response = PushTelemetryResponse

    /// The client's instance.
    public var clientInstanceID: UniqueID
    /// The subscription that the metrics were gathered for.
    public var subscriptionID: Int32
    /// Whether the client ends and this is its last push.
    public var terminating: Bool
    /// The codec of the metrics, a number as in record batches.
    public var compressionType: Int8
    /// OpenTelemetry's `MetricsData`, in Protocol Buffers, compressed as said above.
    public var metrics: [UInt8]

    /// Creates the message; what is not named is at its default.
    public init(
        clientInstanceID: UniqueID, subscriptionID: Int32, terminating: Bool = false, compressionType: Int8 = 0,
        metrics: [UInt8] = []
    ) {
        self.clientInstanceID = clientInstanceID
        self.subscriptionID = subscriptionID
        self.terminating = terminating
        self.compressionType = compressionType
        self.metrics = metrics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.pushTelemetry, version: version)
        clientInstanceID = try reader.uniqueID()
        subscriptionID = try reader.int32()
        terminating = try reader.bool()
        compressionType = try reader.int8()
        metrics = try reader.bytes()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.pushTelemetry, version: version)
        writer.uniqueID(clientInstanceID)
        writer.int32(subscriptionID)
        writer.bool(terminating)
        writer.int8(compressionType)
        writer.bytes(metrics)
        writer.taggedFields()
    }
}
