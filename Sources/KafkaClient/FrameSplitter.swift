// SPDX-License-Identifier: Apache-2.0
//
// FrameSplitter.swift
// Cuts a stream of bytes into frames by their four-byte sizes. Knows nothing of what is in them.

public import NIOCore

/// Collects bytes as they arrive and hands out whole frames without their size prefix.
///
/// A frame that arrived in one piece is a slice of it; a frame that arrived in several is gathered in a buffer that is
/// reserved once, at its full size.
public struct FrameSplitter: Sendable {
    /// A size prefix that no peer may send.
    public struct InvalidSize: Error, Equatable, Sendable {
        /// What the prefix said.
        public let size: Int32
    }

    private let frameBytesMax: Int
    private var pending = ByteBuffer()
    private var isGathering = false

    /// Creates a splitter that refuses frames above `frameBytesMax`.
    public init(frameBytesMax: Int) { self.frameBytesMax = frameBytesMax }

    /// Bytes that do not make a frame yet.
    public var pendingBytes: Int { pending.readableBytes }

    /// Takes bytes in; call ``next()`` until it returns nil before taking in more.
    public mutating func append(_ bytes: ByteBuffer) {
        if pending.readableBytes == 0 {
            pending = bytes
            isGathering = false
        } else {
            pending.writeImmutableBuffer(bytes)
        }
    }

    /// The next whole frame, or nil when more bytes are needed.
    public mutating func next() throws(InvalidSize) -> ByteBuffer? {
        guard pending.readableBytes > 0 else { return nil }
        guard let size = pending.getInteger(at: pending.readerIndex, as: Int32.self) else {
            gather(reserving: 4)
            return nil
        }
        guard size >= 0, Int(size) <= frameBytesMax else { throw InvalidSize(size: size) }
        guard pending.readableBytes >= 4 + Int(size) else {
            gather(reserving: 4 + Int(size))
            return nil
        }
        pending.moveReaderIndex(forwardBy: 4)
        let frame = pending.readSlice(length: Int(size))
        // What is left shares its storage with the frame; it must be copied before it can grow.
        isGathering = false
        return frame
    }

    /// Moves the bytes of an unfinished frame into a buffer of their own with room for all of it.
    private mutating func gather(reserving capacity: Int) {
        guard !isGathering || pending.storageCapacity < capacity else { return }
        var own = ByteBufferAllocator().buffer(capacity: max(capacity, pending.readableBytes))
        own.writeImmutableBuffer(pending)
        pending = own
        isGathering = true
    }
}
