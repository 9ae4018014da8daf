// SPDX-License-Identifier: Apache-2.0
//
// ResponseBody.swift
// An encoded response: its header and body as pieces to be sent one after another, without the size prefix.

public import NIOCore

/// One encoded response frame without its four-byte size, which the server puts in front.
public struct ResponseBody: Sendable {
    /// The bytes in order; record batches are slices of the buffers that the log handed out.
    public var pieces: [ByteBuffer]

    /// Wraps `pieces`.
    public init(pieces: [ByteBuffer]) {
        self.pieces = pieces
    }

    /// Bytes of all pieces: the value of the size prefix.
    public var byteCount: Int { pieces.reduce(0) { $0 + $1.readableBytes } }

    /// All bytes in one buffer; copies only when there are several pieces.
    public func contiguous() -> ByteBuffer { RecordSlices(pieces).contiguous() }
}
