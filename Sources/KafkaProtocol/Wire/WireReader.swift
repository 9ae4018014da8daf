// SPDX-License-Identifier: Apache-2.0
//
// WireReader.swift
// A cursor over one message: big-endian integers, strings, bytes and records, in the classic and the compact forms.
// Reads through bounds-checked spans only; no input makes it trap or allocate more than the input's size warrants.

public import Model
public import NIOCore

/// Reads the fields of one message in wire order.
///
/// The message is the readable part of a `ByteBuffer`, which may be a slice of a larger frame. Layouts do not recurse,
/// so nesting is bounded by the code that calls the reader.
///
/// Invariant: `0 <= position <= byteCount`.
public struct WireReader: Sendable {
    /// Longest string in bytes, classic or compact; the classic length field could not say more.
    public static let stringBytesMax = Int(Int16.max)
    /// Array elements that one message may hold in all, unless the creator says otherwise.
    public static let elementsMaxDefault = 1 << 24

    @usableFromInline let buffer: ByteBuffer
    /// Bytes of the whole message.
    public let byteCount: Int
    /// Bytes read so far.
    @inlinable public var position: Int { cursor }
    @usableFromInline var cursor: Int
    /// Whether strings, bytes, records and arrays are compact and structs end with tagged fields.
    public var isFlexible: Bool
    let elementsMax: Int
    var elementsLeft: Int

    /// Creates a reader at the first readable byte of `buffer`; the buffer itself is not advanced.
    ///
    /// - Parameter elementsMax: how many array elements, of all arrays together, are accepted.
    public init(_ buffer: ByteBuffer, isFlexible: Bool = false, elementsMax: Int = WireReader.elementsMaxDefault) {
        self.buffer = buffer
        self.byteCount = buffer.readableBytes
        self.cursor = 0
        self.isFlexible = isFlexible
        self.elementsMax = elementsMax
        self.elementsLeft = elementsMax
    }

    /// Bytes not read yet.
    @inlinable public var remaining: Int { byteCount - cursor }

    /// Checks that `version` of `key` is served and switches to its forms, which every message does first.
    public mutating func begin(_ key: APIKey, version: Int16) throws(WireError) {
        let api = APIRegistry[key]
        guard api.served.contains(version) else { throw .unsupportedVersion(key, version) }
        isFlexible = api.isFlexible(version)
    }

    /// Throws when bytes are left over.
    public func expectEnd() throws(WireError) {
        guard remaining == 0 else { throw .trailingBytes(remaining) }
    }
}

// MARK: - Integers

extension WireReader {
    /// Reads a big-endian integer.
    @inlinable
    mutating func integer<Value: FixedWidthInteger>(_: Value.Type) throws(WireError) -> Value {
        let size = MemoryLayout<Value>.size
        guard remaining >= size else { throw .truncated(needed: size, remaining: remaining) }
        defer { cursor &+= size }
        return peek(Value.self)
    }

    /// The big-endian integer at the cursor.
    @inlinable
    func peek<Value: FixedWidthInteger>(_: Value.Type) -> Value {
        // A span of known length: its subscripts need no further check and become one load and a byte swap.
        let bytes = buffer.readableBytesUInt8Span.extracting(cursor..<cursor &+ MemoryLayout<Value>.size)
        var value: Value = 0
        for index in bytes.indices { value = value << 8 | Value(truncatingIfNeeded: bytes[index]) }
        return value
    }

    /// Reads one byte as a signed integer.
    @inlinable public mutating func int8() throws(WireError) -> Int8 { try integer(Int8.self) }
    /// Reads two bytes as a signed integer.
    @inlinable public mutating func int16() throws(WireError) -> Int16 { try integer(Int16.self) }
    /// Reads four bytes as a signed integer.
    @inlinable public mutating func int32() throws(WireError) -> Int32 { try integer(Int32.self) }
    /// Reads eight bytes as a signed integer.
    @inlinable public mutating func int64() throws(WireError) -> Int64 { try integer(Int64.self) }
    /// Reads one byte as a truth value; everything but 0 is true.
    @inlinable public mutating func bool() throws(WireError) -> Bool { try integer(UInt8.self) != 0 }

    /// Reads a topic id, 16 bytes; all zero means none.
    @inlinable
    public mutating func topicID() throws(WireError) -> TopicID {
        TopicID(high: try integer(UInt64.self), low: try integer(UInt64.self))
    }

    /// Reads a UUID, 16 bytes; all zero means none.
    @inlinable
    public mutating func uniqueID() throws(WireError) -> UniqueID {
        UniqueID(high: try integer(UInt64.self), low: try integer(UInt64.self))
    }

    /// Reads an error code; a code that is not in our table counts as ``KafkaErrorCode/unknownServerError``.
    @inlinable
    public mutating func errorCode() throws(WireError) -> KafkaErrorCode {
        KafkaErrorCode(rawValue: try int16()) ?? .unknownServerError
    }

    /// Reads a base-128 integer of at most 32 bits, least significant group first.
    @inlinable
    public mutating func unsignedVarint() throws(WireError) -> UInt32 {
        var value: UInt32 = 0
        for shift in stride(from: UInt32(0), through: 28, by: 7) {
            let byte = try integer(UInt8.self)
            // The fifth byte holds the last four bits.
            guard shift < 28 || byte <= 0x0F else { throw .varintOverflow }
            value |= UInt32(byte & 0x7F) &<< shift
            if byte < 0x80 { break }
        }
        return value
    }
}

// MARK: - Strings, bytes, records

extension WireReader {
    /// Reads a string that may be null.
    public mutating func nullableString() throws(WireError) -> String? {
        let length = try isFlexible ? compactLength() : Self.checkedLength(Int(int16()))
        guard let length else { return nil }
        guard length <= Self.stringBytesMax else { throw .invalidLength(length) }
        let range = try advance(by: length)
        return try Self.string(buffer.readableBytesUInt8Span.extracting(range))
    }

    /// Reads a string.
    public mutating func string() throws(WireError) -> String {
        guard let string = try nullableString() else { throw .unexpectedNull }
        return string
    }

    /// Reads bytes that may be null, as a copy: what is kept for long must not keep the frame alive.
    public mutating func nullableBytes() throws(WireError) -> [UInt8]? {
        guard let length = try byteLength() else { return nil }
        let range = try advance(by: length)
        return buffer.getBytes(at: buffer.readerIndex + range.lowerBound, length: length)
    }

    /// Reads bytes, as a copy.
    public mutating func bytes() throws(WireError) -> [UInt8] {
        guard let bytes = try nullableBytes() else { throw .unexpectedNull }
        return bytes
    }

    /// Reads record batches as a slice that shares the frame's storage; null and empty stay distinct.
    public mutating func nullableRecords() throws(WireError) -> ByteBuffer? {
        guard let length = try byteLength() else { return nil }
        let range = try advance(by: length)
        return buffer.getSlice(at: buffer.readerIndex + range.lowerBound, length: length)
    }

    /// Reads the length of bytes or records; nil means null.
    private mutating func byteLength() throws(WireError) -> Int? {
        try isFlexible ? compactLength() : Self.checkedLength(Int(int32()))
    }

    /// Reads a compact length, which is stored plus one; nil means null.
    mutating func compactLength() throws(WireError) -> Int? {
        let stored = try unsignedVarint()
        return stored == 0 ? nil : Int(stored) - 1
    }

    /// Interprets a classic length: -1 means null, anything lower is wrong.
    static func checkedLength(_ length: Int) throws(WireError) -> Int? {
        guard length >= -1 else { throw .invalidLength(length) }
        return length == -1 ? nil : length
    }

    /// Skips `count` bytes and returns where they stood.
    mutating func advance(by count: Int) throws(WireError) -> Range<Int> {
        guard count <= remaining else { throw .truncated(needed: count, remaining: remaining) }
        let start = cursor
        cursor += count
        return start..<cursor
    }

    /// Makes a string of `bytes` if they are valid UTF-8.
    private static func string(_ bytes: Span<UInt8>) throws(WireError) -> String {
        do {
            return String(copying: try UTF8Span(validating: bytes))
        } catch {
            throw .invalidUTF8
        }
    }
}
