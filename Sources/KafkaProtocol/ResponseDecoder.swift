// SPDX-License-Identifier: Apache-2.0
//
// ResponseDecoder.swift
// The bytes of a response to its value, for clients.

public import NIOCore

/// Turns frames without their size prefix into responses.
public enum ResponseDecoder {
    /// Reads the correlation id of `frame`, by which a client finds the request it belongs to.
    public static func correlationID(of frame: ByteBuffer) throws(WireError) -> Int32 {
        var reader = WireReader(frame)
        return try reader.int32()
    }

    /// Decodes the answer to a request that was sent in `version`.
    ///
    /// Bytes after the last field are accepted: a newer server may know fields that we do not.
    public static func decode<Response: KafkaResponseMessage>(
        _: Response.Type, from frame: ByteBuffer, version: Int16
    ) throws(WireError) -> Response {
        var reader = WireReader(frame)
        _ = try ResponseHeader(from: &reader, key: Response.apiKey, version: version)
        return try Response(from: &reader, version: version)
    }
}
