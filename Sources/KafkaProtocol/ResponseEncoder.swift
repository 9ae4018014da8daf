// SPDX-License-Identifier: Apache-2.0
//
// ResponseEncoder.swift
// Response values to bytes, for the server.

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
