// SPDX-License-Identifier: Apache-2.0
//
// RecordEncoder.swift
// The bytes of one record.

internal import NIOCore

/// A record's parts, ready to be written: the length stands first, so it is computed before.
struct RecordEncoder {
    let timestampDelta: Int64
    let offsetDelta: Int32
    let key: ByteBuffer?
    let value: ByteBuffer?
    let headers: [RecordHeader]

    /// The size after the length field.
    private var bodyBytes: Int {
        var bytes = 1 + Varint.byteCount(timestampDelta) + Varint.byteCount(Int64(offsetDelta))
        bytes += Self.fieldBytes(key?.readableBytes) + Self.fieldBytes(value?.readableBytes)
        bytes += Varint.byteCount(Int64(headers.count))
        for header in headers {
            bytes += Self.fieldBytes(header.key.utf8.count) + Self.fieldBytes(header.value?.readableBytes)
        }
        return bytes
    }

    private static func fieldBytes(_ length: Int?) -> Int {
        guard let length else { return 1 }
        return Varint.byteCount(Int64(length)) + length
    }

    /// Appends the record.
    func write(to buffer: inout ByteBuffer) {
        let body = bodyBytes
        precondition(body <= Int(Int32.max), "a record of \(body) bytes does not fit the format")
        let total = Varint.byteCount(Int64(body)) + body
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: total) { space in
            var position = 0
            func number(_ value: Int64) {
                position += Varint.write(Varint.zigzag(value), to: .init(rebasing: space[position...]))
            }
            func bytes(_ source: ByteBuffer?) {
                guard let source else { return number(-1) }
                number(Int64(source.readableBytes))
                source.withUnsafeReadableBytes { copy($0) }
            }
            func copy(_ source: UnsafeRawBufferPointer) {
                UnsafeMutableRawBufferPointer(rebasing: space[position...]).copyMemory(from: source)
                position += source.count
            }
            number(Int64(body))
            space[position] = 0  // attributes
            position += 1
            number(timestampDelta)
            number(Int64(offsetDelta))
            bytes(key)
            bytes(value)
            number(Int64(headers.count))
            for header in headers {
                var name = header.key
                number(Int64(name.utf8.count))
                name.withUTF8 { copy(UnsafeRawBufferPointer($0)) }
                bytes(header.value)
            }
            precondition(position == total, "a record took \(position) bytes instead of \(total)")
            return position
        }
    }
}
