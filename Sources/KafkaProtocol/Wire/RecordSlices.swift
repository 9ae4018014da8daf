// SPDX-License-Identifier: Apache-2.0
//
// RecordSlices.swift
// Record batches that lie in several buffers, as a read from the log returns them.

public import NIOCore

/// Consecutive record batches in pieces that together form one `records` field.
public struct RecordSlices: Sendable {
    /// The pieces in order; each is a run of bytes, their ends need not be ends of batches.
    public let slices: [ByteBuffer]
    /// Bytes of all pieces.
    public let byteCount: Int

    /// No records: what an answer carries instead of null.
    public static let empty = RecordSlices([])

    /// Wraps `slices` without copying them.
    public init(_ slices: [ByteBuffer]) {
        self.slices = slices
        self.byteCount = slices.reduce(0) { $0 + $1.readableBytes }
    }

    /// Wraps one buffer without copying it; null becomes empty.
    public init(_ slice: ByteBuffer?) {
        self.init(slice.map { [$0] } ?? [])
    }

    /// Whether there are no bytes.
    public var isEmpty: Bool { byteCount == 0 }

    /// All bytes in one buffer; copies only when there are several pieces.
    public func contiguous() -> ByteBuffer {
        guard slices.count != 1 else { return slices[0] }
        var whole = ByteBufferAllocator().buffer(capacity: byteCount)
        for slice in slices { whole.writeImmutableBuffer(slice) }
        return whole
    }
}

extension RecordSlices: Equatable {
    /// Compares the bytes, however they are cut.
    public static func == (a: Self, b: Self) -> Bool {
        a.byteCount == b.byteCount && a.contiguous() == b.contiguous()
    }
}
