// SPDX-License-Identifier: Apache-2.0
//
// Varint.swift
// Base-128 varints, unsigned and zigzag, as records and flexible Kafka messages use them.

public import NIOCore

/// Reading, sizing and writing of variable-length integers.
///
/// Readers advance `position` and return nil, leaving `position` unspecified, when the bytes end inside the number or
/// when the number does not fit its type. Padded forms (`0x80 0x00`) are accepted, as Kafka does.
public enum Varint {
    /// The most bytes that a 32-bit number takes.
    public static let byteCountMax32 = 5
    /// The most bytes that a 64-bit number takes.
    public static let byteCountMax64 = 10

    // MARK: Reading

    /// Reads an unsigned 32-bit number.
    @inlinable public static func readUnsigned32(_ bytes: RawSpan, at position: inout Int) -> UInt32? {
        guard position >= 0, position < bytes.byteCount else { return nil }
        let first = bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
        position += 1
        if first < 0x80 { return UInt32(first) }
        return readUnsigned32(bytes, at: &position, after: first)
    }

    @inlinable static func readUnsigned32(_ bytes: RawSpan, at position: inout Int, after first: UInt8) -> UInt32? {
        var value = UInt32(first & 0x7F)
        var shift: UInt32 = 7
        while position < bytes.byteCount {
            let byte = bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
            position += 1
            if shift == 28, byte > 0x0F { return nil }
            value |= UInt32(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    /// Reads an unsigned 64-bit number.
    @inlinable public static func readUnsigned64(_ bytes: RawSpan, at position: inout Int) -> UInt64? {
        guard position >= 0, position < bytes.byteCount else { return nil }
        let first = bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
        position += 1
        if first < 0x80 { return UInt64(first) }
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while position < bytes.byteCount {
            let byte = bytes.unsafeLoad(fromUncheckedByteOffset: position, as: UInt8.self)
            position += 1
            if shift == 63, byte > 0x01 { return nil }
            value |= UInt64(byte & 0x7F) &<< shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    /// Reads a zigzag 32-bit number (Kafka's varint).
    @inlinable public static func read32(_ bytes: RawSpan, at position: inout Int) -> Int32? {
        guard let raw = readUnsigned32(bytes, at: &position) else { return nil }
        return Int32(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1)))
    }

    /// Reads a zigzag 64-bit number (Kafka's varlong).
    @inlinable public static func read64(_ bytes: RawSpan, at position: inout Int) -> Int64? {
        guard let raw = readUnsigned64(bytes, at: &position) else { return nil }
        return Int64(bitPattern: (raw &>> 1) ^ (0 &- (raw & 1)))
    }

    // MARK: Sizing

    /// The bit pattern that stands for `value` in zigzag order.
    @inlinable public static func zigzag(_ value: Int32) -> UInt32 {
        UInt32(bitPattern: (value &<< 1) ^ (value &>> 31))
    }

    /// The bit pattern that stands for `value` in zigzag order.
    @inlinable public static func zigzag(_ value: Int64) -> UInt64 {
        UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))
    }

    /// How many bytes the unsigned number takes, 1 to 10.
    @inlinable public static func byteCount(unsigned value: UInt64) -> Int {
        // 7 bits a byte, at least one byte: (bits + 6) / 7 with bits >= 1.
        (70 - (value | 1).leadingZeroBitCount) / 7
    }

    /// How many bytes the zigzag number takes, 1 to 10.
    @inlinable public static func byteCount(_ value: Int64) -> Int { byteCount(unsigned: zigzag(value)) }

    // MARK: Writing

    /// Appends an unsigned number and returns how many bytes it took.
    @discardableResult
    @inlinable public static func writeUnsigned(_ value: UInt64, to buffer: inout ByteBuffer) -> Int {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: byteCountMax64) { write(value, to: $0) }
    }

    /// Appends a zigzag number and returns how many bytes it took.
    ///
    /// 32-bit numbers have the same form.
    @discardableResult
    @inlinable public static func write(_ value: Int64, to buffer: inout ByteBuffer) -> Int {
        writeUnsigned(zigzag(value), to: &buffer)
    }

    /// Writes `value` at the start of `space`, which must hold ``byteCountMax64`` bytes or the number's own size.
    @inlinable static func write(_ value: UInt64, to space: UnsafeMutableRawBufferPointer) -> Int {
        precondition(space.count >= byteCount(unsigned: value), "no space for a varint")
        var rest = value
        var position = 0
        while rest >= 0x80 {
            space[position] = UInt8(truncatingIfNeeded: rest) | 0x80
            rest &>>= 7
            position += 1
        }
        space[position] = UInt8(truncatingIfNeeded: rest)
        return position + 1
    }
}
