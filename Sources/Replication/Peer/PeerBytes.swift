// SPDX-License-Identifier: Apache-2.0
//
// PeerBytes.swift
// Integers, varints and texts of frames. Little-endian; every read is checked against the end.

internal import Model
internal import NIOCore

extension RawSpan {
    /// The integer at `position`, which moves behind it.
    func read<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type, _ position: inout Int
    ) throws(PeerFrameError) -> Value {
        let size = MemoryLayout<Value>.size
        guard position >= 0, byteCount - position >= size else { throw .truncated }
        // Inside the span, as was checked; every bit pattern is an integer.
        let value = unsafe unsafeLoadUnaligned(fromByteOffset: position, as: Value.self)
        position += size
        return Value(littleEndian: value)
    }

    /// The integer at `position`, of the type that is wanted.
    func read<Value: FixedWidthInteger & BitwiseCopyable>(_ position: inout Int) throws(PeerFrameError) -> Value {
        try read(Value.self, &position)
    }

    /// Seven bits a byte, the lowest first; the form must be the shortest.
    func readVarint(_ position: inout Int) throws(PeerFrameError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try read(UInt8.self, &position)
            guard shift < 63 || byte <= 1 else { throw .malformed("a number of more than 64 bits") }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 {
                guard byte != 0 || shift == 0 else { throw .malformed("a number with superfluous bytes") }
                return value
            }
            shift += 7
        }
    }

    /// A count, of things that take at least `bytesMin` bytes each: more than can be there are refused before anything is
    /// allocated for them.
    func readCount(bytesMin: Int, _ position: inout Int) throws(PeerFrameError) -> Int {
        let count = Int(try read(UInt32.self, &position))
        guard count <= (byteCount - position) / bytesMin else { throw .malformed("\(count) elements") }
        return count
    }

    /// A length and as many bytes of text.
    func readText(_ position: inout Int) throws(PeerFrameError) -> String {
        let length = Int(try read(UInt16.self, &position))
        guard length <= PeerBytes.textBytesMax else { throw .malformed("a text of \(length) bytes") }
        guard byteCount - position >= length else { throw .truncated }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(length)
        for _ in 0..<length { bytes.append(try read(UInt8.self, &position)) }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed("a text that is not UTF-8") }
        return text
    }

    /// A term, which must fit the leader epoch that clients see.
    func readTerm(_ position: inout Int) throws(PeerFrameError) -> Term {
        let raw = try read(UInt64.self, &position)
        return try PeerBytes.term(raw)
    }

    /// An index, with room for arithmetic above it.
    func readIndex(_ position: inout Int) throws(PeerFrameError) -> LogIndex {
        let raw = try read(UInt64.self, &position)
        return try PeerBytes.index(raw)
    }
}

/// Bounds of values that the code behind the codec relies on.
enum PeerBytes {
    /// The longest text: names of hosts and clusters.
    static let textBytesMax = 1024
    /// The most bytes of a varint.
    static let varintBytesMax = 10

    static func term(_ raw: UInt64) throws(PeerFrameError) -> Term {
        guard raw <= UInt64(Int32.max) else { throw .malformed("term \(raw)") }
        return Term(raw)
    }

    static func index(_ raw: UInt64) throws(PeerFrameError) -> LogIndex {
        guard raw <= UInt64(Int64.max) else { throw .malformed("index \(raw)") }
        return LogIndex(raw)
    }
}

extension ByteBuffer {
    /// Appends an integer.
    mutating func write<Value: FixedWidthInteger>(_ value: Value) {
        writeInteger(value, endianness: .little)
    }

    /// Appends a number in as few bytes as it needs.
    mutating func writeVarint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        writeInteger(UInt8(truncatingIfNeeded: rest))
    }

    /// Appends a text, cut to what may be read.
    mutating func writeText(_ text: String) {
        let bytes = text.utf8.count <= PeerBytes.textBytesMax ? text : String(text.prefix(PeerBytes.textBytesMax / 4))
        write(UInt16(bytes.utf8.count))
        writeString(bytes)
    }
}
