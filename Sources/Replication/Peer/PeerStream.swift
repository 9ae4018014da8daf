// SPDX-License-Identifier: Apache-2.0
//
// PeerStream.swift
// Cuts the stream of a connection between brokers into frames: a pure value, fed with what the socket delivers.
// A frame that lies whole in what was read is a slice of it; a large one is read into memory of its own.

internal import NIOCore
internal import Synchronization

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Assembles frames.
struct PeerStream: Sendable {
    /// What is allocated for a frame before its bytes have come.
    ///
    /// Larger frames grow by doubling as they arrive, so that a length alone claims no memory.
    static let allocationMax = 2 << 20
    /// From this size on a frame is worth a read of its own.
    static let largeBytesMin = 64 << 10

    private let allocator: ByteBufferAllocator
    /// Small until the introductions are made.
    var bytesMax: Int
    private var prefix = ByteBuffer()
    private var partial: ByteBuffer?
    private var missing = 0
    /// The length of a frame of which no byte has come.
    private var announced: Int?
    private var isFirst = true

    init(bytesMax: Int, allocator: ByteBufferAllocator = ByteBufferAllocator()) {
        self.bytesMax = bytesMax
        self.allocator = allocator
    }

    /// The bytes that the begun frame lacks; nil between frames.
    private var rest: Int? { partial == nil ? announced : missing }

    /// What the next read should take at most, so that it ends where a frame ends; 0 when that is not worth it.
    var nextReadBytes: Int {
        guard let rest, rest >= Self.largeBytesMin else { return 0 }
        return rest > Self.allocationMax ? Self.allocationMax : rest + PeerFrameHeader.lengthBytes
    }

    /// How many bytes should be there before a read is worth while; never more than are still to come.
    var lowWater: Int {
        guard let rest, rest >= Self.largeBytesMin else { return 1 }
        return min(rest, Self.allocationMax)
    }

    /// The next frame in what was kept and `chunk`, without its length; nil when `chunk` is used up.
    mutating func next(from chunk: inout ByteBuffer) throws(PeerFrameError) -> ByteBuffer? {
        if partial != nil { return continuePartial(from: &chunk) }
        let known = announced.take()
        guard let length = known == nil ? try readLength(from: &chunk) : known else { return nil }
        if let frame = chunk.readSlice(length: length) { return frame }
        if chunk.readableBytes == 0 {
            announced = length
            return nil
        }
        missing = length - chunk.readableBytes
        if chunk.readableBytes >= Self.largeBytesMin, chunk.writableBytes >= missing {
            partial = chunk
            chunk = ByteBuffer()
            return nil
        }
        missing = length
        partial = allocator.buffer(capacity: min(length, Self.allocationMax))
        return continuePartial(from: &chunk)
    }

    private mutating func continuePartial(from chunk: inout ByteBuffer) -> ByteBuffer? {
        // Taken out while it is written to, so that it stays the only reference and is not copied.
        guard var frame = partial.take() else { return nil }
        if var available = chunk.readSlice(length: min(missing, chunk.readableBytes)) {
            missing -= frame.writeBuffer(&available)
        }
        guard missing > 0 else { return frame }
        partial = frame
        return nil
    }

    private mutating func readLength(from chunk: inout ByteBuffer) throws(PeerFrameError) -> Int? {
        if prefix.readableBytes == 0, let length = chunk.readInteger(endianness: .little, as: UInt32.self) {
            return try check(length)
        }
        while prefix.readableBytes < PeerFrameHeader.lengthBytes {
            guard let byte = chunk.readInteger(as: UInt8.self) else { return nil }
            prefix.writeInteger(byte)
        }
        let length = prefix.readInteger(endianness: .little, as: UInt32.self)
        prefix.clear()
        return try check(length ?? 0)
    }

    private mutating func check(_ length: UInt32) throws(PeerFrameError) -> Int {
        guard length <= bytesMax else {
            if isFirst, let name = Self.foreignProtocol(length.byteSwapped) { throw .foreign(name) }
            throw .tooLarge(Int(length), limit: bytesMax)
        }
        isFirst = false
        guard length >= PeerFrameHeader.byteCount else { throw .truncated }
        return Int(length)
    }

    /// What the first four bytes look like when they are no length.
    private static func foreignProtocol(_ prefix: UInt32) -> String? {
        switch prefix {
        case 0x4745_5420, 0x504F_5354, 0x4845_4144, 0x5055_5420, 0x4F50_5449, 0x5052_4920: "HTTP"
        case 0x1603_0000...0x1603_04FF: "TLS"
        // A Kafka request's length, big-endian, is no length of a hello.
        case 0x0000_0001...0x0000_FFFF: "Kafka"
        default: nil
        }
    }
}

/// The receive buffers of one connection between brokers.
///
/// Reads adapt to what comes, until ``PeerStream`` knows how much of a large frame is missing: then one read takes exactly
/// that and the length of the next frame. Confined to the connection's loop; lock and atomic are never contended.
final class PeerReceiveBuffers: RecvByteBufferAllocator {
    /// Peers are few, so their buffers may be large; small while little comes.
    private static let adaptiveSizes = AdaptiveRecvByteBufferAllocator(
        minimum: 4 << 10, initial: 16 << 10, maximum: 256 << 10)

    /// How many bytes make a socket readable.
    static let lowWater = ChannelOptions.Types.SocketOption(
        level: SocketOptionLevel(SOL_SOCKET), name: SocketOptionName(SO_RCVLOWAT))

    private let exact = Atomic(0)
    private let adaptive = Mutex(PeerReceiveBuffers.adaptiveSizes)

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
