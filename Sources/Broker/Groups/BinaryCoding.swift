// SPDX-License-Identifier: Apache-2.0
//
// BinaryCoding.swift
// Bounds-checked big-endian reading and writing of byte arrays, for what the coordinator stores.

/// Why stored bytes cannot be read.
enum BinaryCodingError: Error, Hashable, Sendable {
    /// The bytes end before the field does.
    case truncated(at: Int)
    /// Bytes follow the last field.
    case trailingBytes(count: Int)
    /// Written by a later release, or not by us.
    case unknownVersion(UInt8)
    /// The version is known, the kind of record is not.
    case unknownKind(UInt8)
    /// Text that is not UTF-8, a flag that is neither 0 nor 1, or a number out of its range.
    case malformed(at: Int)
}

/// Appends fields to a byte array.
struct BinaryWriter {
    /// What was written so far.
    private(set) var bytes: [UInt8]

    /// Continues after `prefix`; `capacity` bytes are expected to follow.
    init(_ prefix: [UInt8] = [], capacity: Int = 0) {
        bytes = prefix
        if capacity > 0 { bytes.reserveCapacity(prefix.count + capacity) }
    }

    /// Appends an integer, most significant byte first.
    mutating func write<T: FixedWidthInteger>(_ value: T) {
        for shift in stride(from: T.bitWidth - 8, through: 0, by: -8) {
            bytes.append(UInt8(truncatingIfNeeded: value &>> T(truncatingIfNeeded: shift)))
        }
    }

    /// Appends a length of four bytes and the text.
    mutating func write(_ text: String) {
        write(UInt32(text.utf8.count))
        bytes.append(contentsOf: text.utf8)
    }

    /// Appends a flag, and the text when there is one.
    mutating func write(_ text: String?) {
        write(UInt8(text == nil ? 0 : 1))
        if let text { write(text) }
    }

    /// Appends a length of four bytes and the bytes.
    mutating func write(_ data: [UInt8]) {
        write(UInt32(data.count))
        bytes.append(contentsOf: data)
    }

    /// Appends bytes as they are.
    mutating func writeRaw(_ data: some Sequence<UInt8>) { bytes.append(contentsOf: data) }
}

/// Takes fields off a byte array; never reads past its end and never allocates for a count it has not seen bytes for.
struct BinaryReader {
    private let bytes: [UInt8]
    /// Where the next field begins.
    private(set) var position: Int

    /// Starts at the first byte.
    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        self.position = 0
    }

    /// How many bytes are left.
    var remaining: Int { bytes.count - position }

    /// Takes an integer of at most 64 bits, most significant byte first.
    mutating func readInteger<T: FixedWidthInteger>(_ type: T.Type) throws(BinaryCodingError) -> T {
        let width = T.bitWidth / 8
        guard remaining >= width else { throw .truncated(at: position) }
        var value: UInt64 = 0
        for index in position..<position + width { value = value &<< 8 | UInt64(bytes[index]) }
        position += width
        return T(truncatingIfNeeded: value)
    }

    /// Takes text written with its length.
    mutating func readText() throws(BinaryCodingError) -> String {
        let count = try readInteger(UInt32.self)
        return try readText(byteCount: Int(count))
    }

    /// Takes text of a known length.
    mutating func readText(byteCount: Int) throws(BinaryCodingError) -> String {
        let start = position
        guard byteCount <= remaining else { throw .truncated(at: start) }
        position += byteCount
        do {
            return String(copying: try UTF8Span(validating: bytes.span.extracting(start..<position)))
        } catch {
            throw .malformed(at: start)
        }
    }

    /// Takes text that may be absent.
    mutating func readOptionalText() throws(BinaryCodingError) -> String? {
        try readFlag() ? try readText() : nil
    }

    /// Takes a byte that is 0 or 1.
    mutating func readFlag() throws(BinaryCodingError) -> Bool {
        let start = position
        switch try readInteger(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw .malformed(at: start)
        }
    }

    /// Takes bytes written with their length.
    mutating func readBytes() throws(BinaryCodingError) -> [UInt8] {
        let count = try readInteger(UInt32.self)
        return Array(try take(Int(count)))
    }

    /// Takes the number of elements that follow, each of at least one byte.
    mutating func readCount() throws(BinaryCodingError) -> Int {
        let start = position
        let count = Int(try readInteger(UInt32.self))
        guard count <= remaining else { throw .truncated(at: start) }
        return count
    }

    /// Says that nothing may be left.
    func finish() throws(BinaryCodingError) {
        guard remaining == 0 else { throw .trailingBytes(count: remaining) }
    }

    /// Takes `count` bytes as they are.
    mutating func take(_ count: Int) throws(BinaryCodingError) -> ArraySlice<UInt8> {
        guard count <= remaining else { throw .truncated(at: position) }
        defer { position += count }
        return bytes[position..<position + count]
    }
}
