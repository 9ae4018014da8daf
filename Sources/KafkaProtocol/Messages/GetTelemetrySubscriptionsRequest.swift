// SPDX-License-Identifier: Apache-2.0
//
// GetTelemetrySubscriptionsRequest.swift
// GetTelemetrySubscriptions (key 71) request, version 0; flexible from version 0 (KIP-714).

public import Model

/// Asks which metrics the client is to push.
public struct GetTelemetrySubscriptionsRequest: KafkaRequestMessage {
    /// The API that this message belongs to.
    public static let apiKey = APIKey.getTelemetrySubscriptions
    /// What answers this request.
    public typealias Response = GetTelemetrySubscriptionsResponse

    /// The client's instance; zero when the broker is to choose an id.
    public var clientInstanceID: UniqueID

    /// Creates the message; what is not named is at its default.
    public init(clientInstanceID: UniqueID = .zero) {
        self.clientInstanceID = clientInstanceID
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        try reader.begin(.getTelemetrySubscriptions, version: version)
        clientInstanceID = try reader.uniqueID()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.begin(.getTelemetrySubscriptions, version: version)
        writer.uniqueID(clientInstanceID)
        writer.taggedFields()
    }
}
