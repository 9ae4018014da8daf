// SPDX-License-Identifier: Apache-2.0
//
// RequestEncoder.swift
// Request values to complete frames, for clients.

public import NIOCore

/// Turns requests into frames with their size prefix, ready to be sent.
public enum RequestEncoder {
    /// Encodes size, header and `request` in `version`; the pieces are to be sent one after another.
    ///
    /// Cost: one buffer for all small fields; record slices from ``WireWriter/passThroughBytesMin`` on are not copied.
    public static func encode<Request: KafkaRequestMessage>(
        _ request: Request, version: Int16, correlationID: Int32, clientID: String?
    ) -> [ByteBuffer] {
        let header = RequestHeader(
            apiKey: Request.apiKey.rawValue, version: version, correlationID: correlationID, clientID: clientID)
        var writer = WireWriter()
        writer.int32(0)
        header.encode(to: &writer)
        request.encode(to: &writer, version: version)
        let bodyBytes = writer.byteCount - MemoryLayout<Int32>.size
        writer.patchSize(Int32(bodyBytes))
        return writer.finish()
    }
}
