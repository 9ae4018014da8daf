// SPDX-License-Identifier: Apache-2.0
//
// FrameDecoder.swift
// Cuts the stream of a connection into requests: a pure value, fed with what the socket delivers.
// A request that lies whole in what was read is a slice of it. One that spans reads is put together in a buffer of its own:
// in that of its first bytes when there is room behind them, with a copy otherwise.

import NIOCore

/// Why a connection's bytes cannot be a sequence of requests.
enum FrameError: Error, Equatable, Sendable {
    case negativeSize(Int32)
    case tooLarge(Int32, limit: Int)
    /// The first bytes are those of another protocol.
    case foreignProtocol(String)
}

/// Assembles requests.
struct FrameDecoder: Sendable {
    /// What is allocated for a request before its bytes have come: room for a batch of Kafka's default maximum, 1 MiB, and
    /// what stands around it.
    ///
    /// Larger requests grow by doubling as they arrive, so that a size alone claims no memory.
    static let allocationMax = 2 << 20

    /// From this size on a request is worth a read of its own.
    static let largeBytesMin = 64 << 10
    private static let prefixLength = 4

    private let bytesMax: Int
    private let allocator: ByteBufferAllocator
    private var prefix: UInt32 = 0
    private var prefixBytes = 0
    private var partial: ByteBuffer?
    private var missing = 0
    /// The size of a request of which no byte has come.
    private var announced: Int?
    private var wasLarge = false
    private var isFirst = true

    init(bytesMax: Int, allocator: ByteBufferAllocator) {
        self.bytesMax = bytesMax
        self.allocator = allocator
    }

    /// Whether a request has begun and is not complete.
    var isPartial: Bool { prefixBytes > 0 || partial != nil || announced != nil }

    /// What the next read should take at most, so that it ends where a request ends; 0 when that is not known or not worth it.
    var nextReadBytes: Int {
        guard let rest = rest else { return wasLarge && prefixBytes == 0 ? Self.prefixLength : 0 }
        guard rest >= Self.largeBytesMin else { return 0 }
        return rest > Self.allocationMax ? Self.allocationMax : rest + Self.prefixLength
    }

    /// How many bytes should be there before a read is worth while; never more than are still to come.
    var lowWater: Int { rest.map { $0 >= Self.largeBytesMin ? min($0, Self.allocationMax) : 1 } ?? 1 }

    /// The bytes that the begun request lacks.
    private var rest: Int? { partial == nil ? announced : missing }

    /// The next request in what was kept and `chunk`, without its size; nil when `chunk` is used up.
    mutating func next(from chunk: inout ByteBuffer) throws(FrameError) -> ByteBuffer? {
        if partial != nil { return continuePartial(from: &chunk) }
        let known = announced.take()
        guard let size = known == nil ? try readSize(from: &chunk) : known else { return nil }
        if let frame = chunk.readSlice(length: size) {
            wasLarge = size >= Self.largeBytesMin
            return frame
        }
        if chunk.readableBytes == 0 {
            announced = size
            return nil
        }
        wasLarge = size >= Self.largeBytesMin
        missing = size - chunk.readableBytes
        if chunk.readableBytes >= Self.largeBytesMin, chunk.writableBytes >= missing {
            partial = chunk
            chunk = ByteBuffer()
            return nil
        }
        missing = size
        partial = allocator.buffer(capacity: min(size, Self.allocationMax))
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

    private mutating func readSize(from chunk: inout ByteBuffer) throws(FrameError) -> Int? {
        if prefixBytes == 0, let size = chunk.readInteger(as: UInt32.self) { return try check(size) }
        while prefixBytes < 4 {
            guard let byte = chunk.readInteger(as: UInt8.self) else { return nil }
            prefix = prefix << 8 | UInt32(byte)
            prefixBytes += 1
        }
        let size = prefix
        prefix = 0
        prefixBytes = 0
        return try check(size)
    }

    private mutating func check(_ size: UInt32) throws(FrameError) -> Int {
        let signed = Int32(bitPattern: size)
        if isFirst, let name = Self.foreignProtocol(size) { throw .foreignProtocol(name) }
        if signed < 0 { throw .negativeSize(signed) }
        if signed > bytesMax { throw .tooLarge(signed, limit: bytesMax) }
        isFirst = false
        return Int(signed)
    }

    /// What the first four bytes look like when they are no size we accept.
    private static func foreignProtocol(_ prefix: UInt32) -> String? {
        switch prefix {
        case 0x4745_5420, 0x504F_5354, 0x4845_4144, 0x5055_5420, 0x4F50_5449, 0x5052_4920: "HTTP"
        case 0x1603_0000...0x1603_04FF: "TLS"
        default: nil
        }
    }
}
