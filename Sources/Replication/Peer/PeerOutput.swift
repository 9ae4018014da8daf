// SPDX-License-Identifier: Apache-2.0
//
// PeerOutput.swift
// Puts frames into as few buffers as possible; large payloads pass through as the slices they are.

internal import NIOCore
internal import Records

/// Frames on their way to a socket.
///
/// Small pieces are gathered: each buffer that NIO writes costs about as much as copying 8 KiB.
struct PeerOutput {
    /// Payloads from this size on are not copied.
    static let passThroughBytesMin = 8 << 10
    /// Gathered bytes that become a buffer of their own.
    static let gatheredBytesMax = 256 << 10
    /// What a buffer is made for: a vector of heartbeats, or some messages.
    private static let initialCapacity = 512

    private let allocator: ByteBufferAllocator
    private var gathered = ByteBuffer()
    private var ready: [ByteBuffer] = []
    /// The bytes of everything that was not taken yet.
    private(set) var byteCount = 0

    init(allocator: ByteBufferAllocator = ByteBufferAllocator()) { self.allocator = allocator }

    /// Whether there is nothing to take.
    var isEmpty: Bool { byteCount == 0 }

    /// Appends a frame: `head` writes its head, and returns what follows it.
    mutating func frame(_ type: PeerFrameType, head: (inout ByteBuffer) -> [ByteBuffer]) {
        if gathered.capacity == 0 { gathered = allocator.buffer(capacity: Self.initialCapacity) }
        let start = gathered.writerIndex
        gathered.writeRepeatingByte(0, count: PeerFrameHeader.lengthBytes + PeerFrameHeader.byteCount)
        let headStart = gathered.writerIndex
        let payloads = head(&gathered)
        let headLength = gathered.writerIndex - headStart
        let payloadLength = payloads.reduce(0) { $0 + $1.readableBytes }
        let length = PeerFrameHeader.byteCount + headLength + payloadLength
        seal(type, at: start, length: length, headLength: headLength)
        byteCount += PeerFrameHeader.lengthBytes + length
        for payload in payloads {
            if payload.readableBytes >= Self.passThroughBytesMin {
                handOver()
                ready.append(payload)
            } else {
                gathered.writeImmutableBuffer(payload)
            }
        }
        if gathered.readableBytes >= Self.gatheredBytesMax { handOver() }
    }

    /// Fills in the length and the header.
    private mutating func seal(_ type: PeerFrameType, at start: Int, length: Int, headLength: Int) {
        gathered.setInteger(UInt32(length), at: start, endianness: .little)
        let header = start + PeerFrameHeader.lengthBytes
        gathered.setInteger(PeerFrameHeader.magic, at: header, endianness: .little)
        gathered.setInteger(PeerFrameHeader.version, at: header + 2)
        gathered.setInteger(type.rawValue, at: header + 3)
        gathered.setInteger(UInt32(headLength), at: header + 8, endianness: .little)
        let checksum = PeerOutput.headChecksum(
            gathered.readableBytesSpan, at: header - gathered.readerIndex, headLength: headLength)
        gathered.setInteger(checksum, at: header + PeerFrameHeader.checkedBytes, endianness: .little)
    }

    /// The checksum of the header at `start` of `bytes` and of the head behind it.
    static func headChecksum(_ bytes: RawSpan, at start: Int, headLength: Int) -> UInt32 {
        let fields = CRC32C.checksum(bytes.extracting(start..<(start + PeerFrameHeader.checkedBytes)))
        let head = start + PeerFrameHeader.byteCount
        return CRC32C.checksum(bytes.extracting(head..<(head + headLength)), seed: fields)
    }

    private mutating func handOver() {
        guard gathered.readableBytes > 0 else { return }
        ready.append(gathered)
        gathered = allocator.buffer(capacity: Self.initialCapacity)
    }

    /// Takes everything, in order.
    mutating func take() -> [ByteBuffer] {
        if gathered.readableBytes > 0 {
            ready.append(gathered)
            gathered = ByteBuffer()
        }
        defer {
            ready = []
            byteCount = 0
        }
        return ready
    }
}
