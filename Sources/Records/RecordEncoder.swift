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
            var writer = Writer(space: space)
            writer.number(Int64(body))
            writer.number(0)  // attributes: one byte 0, as a varint's would be
            writer.number(timestampDelta)
            writer.number(Int64(offsetDelta))
            writer.field(key)
            writer.field(value)
            writer.number(Int64(headers.count))
            for header in headers {
                writer.field(header.key)
                writer.field(header.value)
            }
            precondition(writer.position == total, "a record took \(writer.position) bytes instead of \(total)")
            return total
        }
    }

    /// A cursor over space that `bodyBytes` found to be enough; both count the same immutable parts.
    private struct Writer {
        let space: UnsafeMutableRawBufferPointer
        var position = 0

        @inline(__always)
        mutating func number(_ value: Int64) {
            position += Varint.write(Varint.zigzag(value), to: .init(rebasing: space[position...]))
        }

        mutating func field(_ bytes: ByteBuffer?) {
            guard let bytes else { return number(-1) }
            number(Int64(bytes.readableBytes))
            bytes.withUnsafeReadableBytes { copy($0) }
        }

        mutating func field(_ text: String) {
            var text = text
            number(Int64(text.utf8.count))
            text.withUTF8 { copy(UnsafeRawBufferPointer($0)) }
        }

        private mutating func copy(_ source: UnsafeRawBufferPointer) {
            UnsafeMutableRawBufferPointer(rebasing: space[position...]).copyMemory(from: source)
            position += source.count
        }
    }
}
