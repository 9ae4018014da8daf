// SPDX-License-Identifier: Apache-2.0
//
// RecordCoding.swift
// Writes and reads the values of the index database: big-endian, versioned, length-checked.

/// Why a stored value is not what its family holds.
public enum RecordDamage: Error, Hashable, Sendable {
    /// The value ends inside a field.
    case truncated
    /// Bytes follow the last field.
    case trailingBytes(Int)
    /// The version is not one this program knows: a newer program wrote it, or it is damaged.
    case unknownVersion(UInt8)
    /// A field has a value that none of its meanings has.
    case unknownValue(field: String, value: UInt64)
    /// The key is shorter than its family's keys are.
    case malformedKey
}

/// A value of the index database.
protocol StoredValue {
    /// The version byte that ``encode(into:)`` writes, and the newest one that ``init(decoding:)`` accepts.
    static var version: UInt8 { get }
    /// Appends the value, beginning with its version.
    func encode(into writer: inout RecordWriter)
    /// Reads a whole value; refuses one that is too short, too long or of another version.
    init(decoding bytes: RawSpan) throws(RecordDamage)
}

extension StoredValue {
    /// The value in an array of its own.
    var encoded: [UInt8] {
        var writer = RecordWriter()
        encode(into: &writer)
        return writer.bytes
    }
}

/// Collects the bytes of one value.
///
/// Keeps its memory when cleared, so that a batch encodes without allocating.
struct RecordWriter {
    private(set) var bytes: [UInt8] = []

    mutating func clear() { bytes.removeAll(keepingCapacity: true) }

    /// Appends `value`, most significant byte first.
    @inline(__always)
    mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(_ value: Value) {
        // Sound: reads exactly the bytes of a local integer, inside the closure.
        unsafe withUnsafeBytes(of: value.bigEndian) { unsafe bytes.append(contentsOf: $0) }
    }

    /// Appends bytes that run to the end of the value.
    mutating func rest(_ content: [UInt8]) { bytes.append(contentsOf: content) }

    /// Appends a length and as many bytes.
    mutating func counted(_ content: [UInt8]) {
        integer(UInt32(content.count))
        bytes.append(contentsOf: content)
    }
}

/// A position in the bytes of one value.
///
/// The bytes are passed to each call, because a struct may not keep a span.
struct RecordReader {
    var position = 0

    /// The next big-endian integer.
    @inline(__always)
    mutating func integer<Value: FixedWidthInteger & BitwiseCopyable>(
        _ type: Value.Type = Value.self, from bytes: RawSpan
    ) throws(RecordDamage) -> Value {
        guard bytes.byteCount - position >= MemoryLayout<Value>.size else { throw .truncated }
        // Sound: the range was checked (the call checks it again), and every bit pattern is a valid integer.
        let value = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: position, as: Value.self)
        position += MemoryLayout<Value>.size
        return Value(bigEndian: value)
    }

    /// The version byte, which must be `Value.version`.
    mutating func version<Value: StoredValue>(of type: Value.Type, from bytes: RawSpan) throws(RecordDamage) {
        let version = try integer(UInt8.self, from: bytes)
        guard version == Value.version else { throw .unknownVersion(version) }
    }

    /// The next `count` bytes.
    mutating func array(_ count: Int, from bytes: RawSpan) throws(RecordDamage) -> [UInt8] {
        guard count >= 0, bytes.byteCount - position >= count else { throw .truncated }
        let content = copy(bytes.extracting(position..<position + count))
        position += count
        return content
    }

    /// A length and as many bytes.
    mutating func counted(from bytes: RawSpan) throws(RecordDamage) -> [UInt8] {
        try array(Int(try integer(UInt32.self, from: bytes)), from: bytes)
    }

    /// All bytes that are left.
    mutating func rest(of bytes: RawSpan) -> [UInt8] {
        let content = copy(bytes.extracting(min(position, bytes.byteCount)..<bytes.byteCount))
        position = bytes.byteCount
        return content
    }

    /// Checks that nothing is left.
    func finish(_ bytes: RawSpan) throws(RecordDamage) {
        guard position == bytes.byteCount else { throw .trailingBytes(bytes.byteCount - position) }
    }
}

/// A copy of `bytes`.
func copy(_ bytes: RawSpan) -> [UInt8] {
    // Sound: the buffer is only read, inside the closure.
    unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) }
}

/// A copy of `bytes`.
func copy(_ bytes: Span<UInt8>) -> [UInt8] {
    var content: [UInt8] = []
    content.reserveCapacity(bytes.count)
    for position in bytes.indices { content.append(bytes[position]) }
    return content
}
