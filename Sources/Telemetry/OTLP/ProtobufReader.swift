// SPDX-License-Identifier: Apache-2.0
//
// ProtobufReader.swift
// The fields of a Protocol Buffers message, one after the other, without copying them and without a schema.

/// Why bytes are no message.
public enum OTLPError: Error, Equatable, Sendable {
    /// A field's value lies partly past the end of its message.
    case cutOff
    /// A variable-length number of more than ten bytes.
    case malformedVarint
    /// A field without a number.
    case malformedTag
    /// A wire type that does not exist, or groups, which nobody writes any more.
    case unknownWireType(UInt8)
    /// A field that has to be text and is not UTF-8.
    case malformedText
}

/// One field of a message: its number and its value as it was written.
struct ProtobufField: Equatable {
    enum Value: Equatable {
        case varint(UInt64)
        case fixed64(UInt64)
        case fixed32(UInt32)
        /// Text, bytes or a message: where it lies in the whole input.
        case bytes(Range<Int>)
    }

    var number: UInt64
    var value: Value
}

/// Walks the fields of one message; messages inside it get readers of their own on the same bytes.
///
/// Every step consumes at least a byte, so the work is bounded by the input's length; nothing is allocated.
struct ProtobufReader {
    private let input: [UInt8]
    private var position: Int
    private let end: Int

    /// Reads all of `input`.
    init(_ input: [UInt8]) {
        self.init(input, input.indices)
    }

    /// Reads the message that lies at `range` of `input`, as a field of this reader said.
    init(_ input: [UInt8], _ range: Range<Int>) {
        self.input = input
        position = range.lowerBound
        end = range.upperBound
    }

    /// The next field; nil behind the last one.
    mutating func next() throws(OTLPError) -> ProtobufField? {
        guard position < end else { return nil }
        let tag = try varint()
        let number = tag >> 3
        guard number > 0 else { throw .malformedTag }
        switch UInt8(tag & 7) {
        case 0: return ProtobufField(number: number, value: .varint(try varint()))
        case 1: return ProtobufField(number: number, value: .fixed64(try fixed(8)))
        case 2:
            let length = try varint()
            guard length <= UInt64(end - position) else { throw .cutOff }
            let range = position..<position + Int(length)
            position = range.upperBound
            return ProtobufField(number: number, value: .bytes(range))
        case 5: return ProtobufField(number: number, value: .fixed32(UInt32(truncatingIfNeeded: try fixed(4))))
        case let type: throw .unknownWireType(type)
        }
    }

    /// The text at `range`, as a field of this reader said.
    func text(_ range: Range<Int>) throws(OTLPError) -> String {
        guard let text = String(validating: input[range], as: UTF8.self) else { throw .malformedText }
        return text
    }

    private mutating func varint() throws(OTLPError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else { throw .cutOff }
            let byte = input[position]
            position += 1
            // Of a tenth byte only one bit fits; what does not is dropped, as other decoders do.
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw .malformedVarint
    }

    /// A little-endian number of `count` bytes.
    private mutating func fixed(_ count: Int) throws(OTLPError) -> UInt64 {
        guard end - position >= count else { throw .cutOff }
        defer { position += count }
        return input[position..<position + count].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
