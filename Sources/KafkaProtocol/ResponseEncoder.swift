// SPDX-License-Identifier: Apache-2.0
//
// ResponseEncoder.swift
// Response values to bytes (server) and back (client).

public import NIOCore

/// Turns responses into frames without their size prefix.
public enum ResponseEncoder {
    /// Encodes the header and `response` in `version`.
    ///
    /// Cost: one buffer for all small fields; record slices from ``WireWriter/passThroughBytesMin`` on are not copied.
    public static func encode<Response: KafkaResponseMessage>(
        _ response: Response, version: Int16, correlationID: Int32
    ) -> ResponseBody {
        var writer = WireWriter()
        ResponseHeader(correlationID: correlationID).encode(to: &writer, key: Response.apiKey, version: version)
        response.encode(to: &writer, version: version)
        return ResponseBody(pieces: writer.finish())
    }

    /// The answer to an ApiVersions request of a version that is not served (KIP-511).
    ///
    /// Version 0 with error 35 and our range of key 18; the request's body is never looked at.
    public static func unsupportedApiVersions(correlationID: Int32) -> ResponseBody {
        encode(ApiVersionsResponse.unsupportedVersion(), version: 0, correlationID: correlationID)
    }
}

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
