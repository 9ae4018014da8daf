// SPDX-License-Identifier: Apache-2.0
//
// ResponseWriter.swift
// Puts responses that leave together into as few buffers as possible.

import KafkaProtocol
import NIOCore

/// Gathers small pieces into one buffer and passes large ones through by reference.
///
/// Each buffer that NIO writes costs about 0.4 microseconds; copying 8 KiB costs about as much.
struct ResponseWriter {
    /// Pieces from this size on are not copied.
    static let passThroughBytesMin = 8 << 10
    /// When the gathered bytes reach this size they are handed over.
    static let gatheredBytesMax = 256 << 10
    /// A buffer that has grown beyond this is not kept for the next burst.
    static let keptBytesMax = 16 << 10

    private let allocator: ByteBufferAllocator
    private var gathered: ByteBuffer
    private var sent = 0

    init(allocator: ByteBufferAllocator) {
        self.allocator = allocator
        self.gathered = ByteBuffer()
    }

    /// Adds a response with its size prefix; whole buffers go to `write`.
    mutating func append(_ body: ResponseBody, write: (ByteBuffer) -> Void) {
        let byteCount = body.byteCount
        precondition(byteCount <= Int(Int32.max), "a response of \(byteCount) bytes has no size prefix")
        gathered.writeInteger(Int32(truncatingIfNeeded: byteCount))
        for piece in body.pieces {
            if piece.readableBytes >= Self.passThroughBytesMin {
                handOver(write)
                sent += piece.readableBytes
                write(piece)
            } else {
                gathered.writeImmutableBuffer(piece)
                if gathered.readableBytes >= Self.gatheredBytesMax { handOver(write) }
            }
        }
    }

    /// Hands over what is left; returns the bytes of all that was handed over since the last time.
    mutating func finish(write: (ByteBuffer) -> Void) -> Int {
        handOver(write)
        defer { sent = 0 }
        return sent
    }

    private mutating func handOver(_ write: (ByteBuffer) -> Void) {
        guard gathered.readableBytes > 0 else { return }
        sent += gathered.readableBytes
        write(gathered)
        // Costs nothing when the bytes have left already; otherwise the network keeps the old storage.
        if gathered.capacity <= Self.keptBytesMax { gathered.clear() } else { gathered = allocator.buffer(capacity: 0) }
    }
}
