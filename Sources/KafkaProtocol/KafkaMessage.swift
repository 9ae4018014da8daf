// SPDX-License-Identifier: Apache-2.0
//
// KafkaMessage.swift
// What every message and every struct inside a message can do: be read and be written in a given version.

/// A struct with a wire layout that depends on the version of the message it belongs to.
///
/// Fields that a version lacks are read as their defaults and not written.
public protocol WireCoded: Equatable, Sendable {
    /// Reads the fields that `version` has, in wire order.
    init(from reader: inout WireReader, version: Int16) throws(WireError)
    /// Writes the fields that `version` has, in wire order.
    func encode(to writer: inout WireWriter, version: Int16)
}

/// The body of a request.
public protocol KafkaRequestMessage: WireCoded {
    /// The message that answers this one.
    associatedtype Response: KafkaResponseMessage
    /// The API that this request calls.
    static var apiKey: APIKey { get }
}

/// The body of a response.
public protocol KafkaResponseMessage: WireCoded {
    /// The API that this message answers.
    static var apiKey: APIKey { get }
}
