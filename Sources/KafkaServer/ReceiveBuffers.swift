// SPDX-License-Identifier: Apache-2.0
//
// ReceiveBuffers.swift
// Sizes the reads of one connection, so that a large request arrives in memory of its own and is not copied together.

internal import NIOCore
internal import Synchronization

/// The receive buffers of one connection.
///
/// Reads adapt to what the client sends, until ``FrameDecoder`` knows what comes: then one read takes exactly the rest of
/// the request and the size of the next one. Confined to the connection's loop; the lock and the atomic are never contended.
final class ReceiveBuffers: RecvByteBufferAllocator {
    private let exact = Atomic(0)
    private let adaptive = Mutex(SocketTuning.receiveBuffers)

    /// Has the next reads take at most `byteCount` bytes; 0 lets them adapt again.
    func limit(to byteCount: Int) { exact.store(byteCount, ordering: .relaxed) }

    func nextBufferSize() -> Int? {
        guard exact.load(ordering: .relaxed) == 0 else { return nil }
        return adaptive.withLock { $0.nextBufferSize() }
    }

    func buffer(allocator: ByteBufferAllocator) -> ByteBuffer {
        let byteCount = exact.load(ordering: .relaxed)
        guard byteCount > 0 else { return adaptive.withLock { $0.buffer(allocator: allocator) } }
        // Capacities are powers of two, and a read fills all of it: the bytes in front are put out of reach.
        var buffer = allocator.buffer(capacity: byteCount)
        let start = buffer.capacity - byteCount
        buffer.moveWriterIndex(to: start)
        buffer.moveReaderIndex(to: start)
        return buffer
    }

    /// Returns true always: otherwise the channel would take its last buffer again without asking.
    func record(actualReadBytes: Int) -> Bool {
        if exact.load(ordering: .relaxed) == 0 {
            adaptive.withLock { _ = $0.record(actualReadBytes: actualReadBytes) }
        }
        return true
    }
}
