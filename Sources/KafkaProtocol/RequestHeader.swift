// SPDX-License-Identifier: Apache-2.0
//
// RequestHeader.swift
// What stands before every request body. Flexible versions add tagged fields; the client id stays a classic string.

public import NIOCore

/// The header of a request, version 1 or 2.
public struct RequestHeader: Hashable, Sendable {
    /// The API key as sent, known to us or not.
    public var apiKey: Int16
    /// The API version as sent, served or not.
    public var version: Int16
    /// The number that the response repeats.
    public var correlationID: Int32
    /// The name the client gives itself.
    public var clientID: String?

    /// Creates a header.
    public init(apiKey: Int16, version: Int16, correlationID: Int32, clientID: String?) {
        self.apiKey = apiKey
        self.version = version
        self.correlationID = correlationID
        self.clientID = clientID
    }

    /// The API, when we know it.
    public var key: APIKey? { APIKey(rawValue: apiKey) }

    /// Whether we serve this version of this API.
    public var isServed: Bool { isKnown && key.map { APIRegistry.isServed($0) } ?? false }

    /// Whether we can read this version of this API.
    private var isKnown: Bool { key.map { APIRegistry[$0].served.contains(version) } ?? false }

    /// Reads the header of `frame`, a request without its size prefix, and leaves the body as the readable bytes.
    public static func read(from frame: inout ByteBuffer) throws(WireError) -> RequestHeader {
        var reader = WireReader(frame)
        let header = try RequestHeader(from: &reader)
        frame.moveReaderIndex(forwardBy: reader.position)
        return header
    }

    /// Reads a header.
    ///
    /// The tagged fields of a version that is not known are left unread: nothing tells whether it has them.
    public init(from reader: inout WireReader) throws(WireError) {
        reader.isFlexible = false
        apiKey = try reader.int16()
        version = try reader.int16()
        correlationID = try reader.int32()
        clientID = try reader.nullableString()
        guard isKnown, let key else { return }
        reader.isFlexible = APIRegistry[key].isFlexible(version)
        try reader.taggedFields()
    }

    /// Writes the header.
    public func encode(to writer: inout WireWriter) {
        writer.isFlexible = false
        writer.int16(apiKey)
        writer.int16(version)
        writer.int32(correlationID)
        writer.nullableString(clientID)
        writer.isFlexible = key.map { APIRegistry[$0].isFlexible(version) } ?? false
        writer.taggedFields()
    }
}
