// SPDX-License-Identifier: Apache-2.0
//
// BatchFixtures.swift
// Bytes and batches that several suites use.

import Model
import NIOCore

@testable import Records

/// Builders of test data.
enum Fixture {
    /// A buffer from hexadecimal text; blanks are ignored.
    static func hex(_ text: String) -> ByteBuffer {
        let digits = text.filter { !$0.isWhitespace }
        precondition(digits.count % 2 == 0, "odd count of hex digits")
        var buffer = ByteBuffer()
        var rest = digits[...]
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { preconditionFailure("no hex: \(rest.prefix(2))") }
            buffer.writeInteger(byte)
            rest = rest.dropFirst(2)
        }
        return buffer
    }

    static func bytes(_ text: String) -> ByteBuffer { ByteBuffer(string: text) }

    /// What one record is made of.
    struct Content: Equatable {
        var key: String?
        var value: String?
        var timestamp: Int64
        var headers: [RecordHeader] = []
    }

    /// Records with null and empty fields, headers and times that go back and forth.
    static func contents(count: Int) -> [Content] { (0..<count).map(content) }

    private static func content(_ index: Int) -> Content {
        let headers = [RecordHeader(key: "trace", value: bytes("abc")), RecordHeader(key: "", value: nil)]
        let value = String(repeating: "value ", count: index % 7) + "\(index)"
        return Content(
            key: index % 3 == 0 ? nil : "key-\(index)", value: index % 5 == 4 ? nil : value,
            timestamp: 1_700_000_000_000 + Int64(index * 5 % 7), headers: index % 4 == 2 ? headers : [])
    }

    static func batch(
        _ contents: [Content], codec: CompressionCodec = .none, producer: ProducerFields = .none
    ) throws -> RecordBatch {
        var builder = RecordBatchBuilder(codec: codec, producer: producer)
        for content in contents {
            builder.append(
                key: content.key.map(bytes), value: content.value.map(bytes), timestamp: content.timestamp,
                headers: content.headers)
        }
        return try RecordBatch(try builder.build())
    }

    static func contents(of batch: RecordBatch) throws -> [Content] {
        try batch.allRecords().map {
            Content(
                key: $0.key.map { String(buffer: $0) }, value: $0.value.map { String(buffer: $0) },
                timestamp: $0.timestamp, headers: $0.headers)
        }
    }

    /// The same bytes with one bit turned.
    static func flipping(bit: Int, of buffer: ByteBuffer) -> ByteBuffer {
        var copy = buffer
        let index = copy.readerIndex + bit / 8
        let byte = copy.getInteger(at: index, as: UInt8.self) ?? 0
        copy.setInteger(byte ^ (1 << (bit % 8)), at: index)
        return copy
    }

    /// The batch of `bytes` with `change` made to its header, and length and checksum made right again.
    static func resealing(_ bytes: ByteBuffer, _ change: (inout RecordBatchHeader) -> Void) throws -> ByteBuffer {
        var copy = bytes
        var header = try RecordBatchHeader.parse(copy.readableBytesSpan)
        change(&header)
        header.seal(&copy)
        return copy
    }

    /// A batch whose payload is exactly `payload`, with a right checksum.
    static func batch(payload: ByteBuffer, _ change: (inout RecordBatchHeader) -> Void) throws -> ByteBuffer {
        var buffer = ByteBuffer()
        RecordBatchHeader.reserve(in: &buffer)
        buffer.writeImmutableBuffer(payload)
        var header = RecordBatchHeader()
        change(&header)
        header.seal(&buffer)
        return buffer
    }
}

extension SeededRandom {
    /// A number below `bound`.
    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// Bytes with some repetition, so that codecs find something.
    mutating func compressibleBytes(_ count: Int) -> ByteBuffer {
        var buffer = ByteBuffer()
        let words = (0..<16).map { _ in UInt32(truncatingIfNeeded: next()) }
        while buffer.readableBytes < count {
            buffer.writeInteger(below(4) == 0 ? UInt32(truncatingIfNeeded: next()) : words[below(16)])
        }
        buffer.moveWriterIndex(to: count)
        return buffer
    }
}
