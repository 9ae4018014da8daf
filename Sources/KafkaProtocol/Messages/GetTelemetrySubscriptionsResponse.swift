// SPDX-License-Identifier: Apache-2.0
//
// GetTelemetrySubscriptionsResponse.swift
// GetTelemetrySubscriptions (key 71) response, version 0; flexible from version 0 (KIP-714).

public import Model

/// Which metrics the client is to push, how often and how.
public struct GetTelemetrySubscriptionsResponse: KafkaResponseMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.getTelemetrySubscriptions

    /// How long the client was held back to keep its quota.
    public var throttleTimeMilliseconds: Int32
    /// What went wrong, if anything.
    public var errorCode: KafkaErrorCode
    /// The client's instance: the id that it named, or the one that was chosen for it.
    public var clientInstanceID: UniqueID
    /// What the client names in its pushes; another one when what is asked for has changed.
    public var subscriptionID: Int32
    /// The codecs that a push may be compressed by, the best first; the numbers are those of record batches.
    public var acceptedCompressionTypes: [Int8]
    /// The time between two pushes.
    public var pushIntervalMilliseconds: Int32
    /// The largest push as it is sent.
    public var telemetryMaxBytes: Int32
    /// Whether sums are to be what was added since the last push, not since the start.
    public var deltaTemporality: Bool
    /// What the names of the wanted metrics begin with; `*` alone is all, an empty list is none.
    public var requestedMetrics: [String]

    /// Creates the message; what is not named is at its default.
    public init(
        throttleTimeMilliseconds: Int32 = 0, errorCode: KafkaErrorCode = .none, clientInstanceID: UniqueID = .zero,
        subscriptionID: Int32 = 0, acceptedCompressionTypes: [Int8] = [], pushIntervalMilliseconds: Int32 = 0,
        telemetryMaxBytes: Int32 = 0, deltaTemporality: Bool = false, requestedMetrics: [String] = []
    ) {
        self.throttleTimeMilliseconds = throttleTimeMilliseconds
        self.errorCode = errorCode
        self.clientInstanceID = clientInstanceID
        self.subscriptionID = subscriptionID
        self.acceptedCompressionTypes = acceptedCompressionTypes
        self.pushIntervalMilliseconds = pushIntervalMilliseconds
        self.telemetryMaxBytes = telemetryMaxBytes
        self.deltaTemporality = deltaTemporality
        self.requestedMetrics = requestedMetrics
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.getTelemetrySubscriptions, version: version)
        throttleTimeMilliseconds = try reader.int32()
        errorCode = try reader.errorCode()
        clientInstanceID = try reader.uniqueID()
        subscriptionID = try reader.int32()
        acceptedCompressionTypes = try reader.int8Array()
        pushIntervalMilliseconds = try reader.int32()
        telemetryMaxBytes = try reader.int32()
        deltaTemporality = try reader.bool()
        requestedMetrics = try reader.stringArray()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.getTelemetrySubscriptions, version: version)
        writer.int32(throttleTimeMilliseconds)
        writer.errorCode(errorCode)
        writer.uniqueID(clientInstanceID)
        writer.int32(subscriptionID)
        writer.int8Array(acceptedCompressionTypes)
        writer.int32(pushIntervalMilliseconds)
        writer.int32(telemetryMaxBytes)
        writer.bool(deltaTemporality)
        writer.stringArray(requestedMetrics)
        writer.taggedFields()
    }
}
