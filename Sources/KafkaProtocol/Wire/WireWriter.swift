// SPDX-License-Identifier: Apache-2.0
//
// WireWriter.swift
// Builds one message: the mirror image of WireReader. Large record slices are passed through instead of copied.

public import Model
public import NIOCore

/// Writes the fields of one message in wire order.
///
/// Small fields are gathered. Record slices of ``passThroughBytesMin`` bytes or more are remembered by
/// their place and handed out as pieces of their own by ``finish()``, sharing the storage they came with.
public struct WireWriter: Sendable {
    /// From this size on a record slice is passed through: below it, a copy is cheaper than one more piece to send.
    public static let passThroughBytesMin = 2048

    /// A record slice and how many gathered bytes stand before it.
    private struct Insertion: Sendable {
        let position: Int
        let slice: ByteBuffer
    }

    /// The gathered bytes.
    ///
    /// An array takes an integer several times faster than a `ByteBuffer`, which pays for the one copy that
    /// ``finish()`` makes.
    @usableFromInline var gathered: [UInt8] = []
    private var insertions: [Insertion] = []
    private var insertedBytes = 0
    /// Whether strings, bytes, records and arrays are compact and structs end with tagged fields.
    public var isFlexible: Bool

    /// Creates an empty writer with room for `capacity` bytes before it has to grow.
    public init(capacity: Int = 256, isFlexible: Bool = false) {
        self.isFlexible = isFlexible
        gathered.reserveCapacity(capacity)
    }

    /// Bytes written so far, including those passed through.
    public var byteCount: Int { gathered.count + insertedBytes }

    /// Switches to the forms of `version`, which every message does first.
    ///
    /// Writing a version that is not served is a programmer's error: requests were checked when they were decoded.
    public mutating func begin(_ key: APIKey, version: Int16) {
        let api = APIRegistry[key]
        precondition(api.served.contains(version), "\(key.name) version \(version) cannot be written")
        isFlexible = api.isFlexible(version)
    }

    /// Returns what was written, in order, as pieces that can be sent one after another.
    public consuming func finish() -> [ByteBuffer] {
        var buffer = ByteBuffer(bytes: gathered)
        guard !insertions.isEmpty else { return [buffer] }
        var pieces: [ByteBuffer] = []
        pieces.reserveCapacity(2 * insertions.count + 1)
        for insertion in insertions {
            let length = insertion.position - buffer.readerIndex
            if length > 0, let piece = buffer.readSlice(length: length) { pieces.append(piece) }
            pieces.append(insertion.slice)
        }
        if buffer.readableBytes > 0 { pieces.append(buffer) }
        return pieces
    }

    /// Returns what was written as one buffer; copies what would have been passed through.
    public consuming func finishContiguous() -> ByteBuffer {
        RecordSlices(finish()).contiguous()
    }

    /// Replaces the first four bytes, which the writer of a frame left free for its size.
    mutating func patchSize(_ size: Int32) {
        for index in 0..<4 { gathered[index] = UInt8(truncatingIfNeeded: size >> (24 - 8 * index)) }
    }

    /// Takes `slice` into the message: as a copy when it is small, by reference otherwise.
    private mutating func splice(_ slice: ByteBuffer) {
        if slice.readableBytes < Self.passThroughBytesMin {
            gathered.append(contentsOf: slice.readableBytesView)
        } else {
            insertions.append(Insertion(position: gathered.count, slice: slice))
            insertedBytes += slice.readableBytes
        }
    }
}

// MARK: - Integers

extension WireWriter {
    /// Writes a big-endian integer.
    @inlinable
    mutating func integer<Value: FixedWidthInteger>(_ value: Value) {
        gathered.append(addingCapacity: MemoryLayout<Value>.size) { bytes in
            var shift = Value.bitWidth - 8
            while shift >= 0 {
                bytes.append(UInt8(truncatingIfNeeded: value >> shift))
                shift &-= 8
            }
        }
    }

    /// Writes one byte.
    @inlinable public mutating func int8(_ value: Int8) { integer(value) }
    /// Writes two bytes, big-endian.
    @inlinable public mutating func int16(_ value: Int16) { integer(value) }
    /// Writes four bytes, big-endian.
    @inlinable public mutating func int32(_ value: Int32) { integer(value) }
    /// Writes eight bytes, big-endian.
    @inlinable public mutating func int64(_ value: Int64) { integer(value) }
    /// Writes one byte, 0 or 1.
    @inlinable public mutating func bool(_ value: Bool) { integer(UInt8(value ? 1 : 0)) }
    /// Writes an error code as two bytes.
    @inlinable public mutating func errorCode(_ value: KafkaErrorCode) { integer(value.rawValue) }

    /// Writes a topic id as 16 bytes.
    @inlinable
    public mutating func topicID(_ value: TopicID) {
        integer(value.high)
        integer(value.low)
    }

    /// Writes a UUID as 16 bytes.
    @inlinable
    public mutating func uniqueID(_ value: UniqueID) {
        integer(value.high)
        integer(value.low)
    }

    /// Writes a base-128 integer, least significant group first.
    @inlinable
    public mutating func unsignedVarint(_ value: UInt32) {
        gathered.append(addingCapacity: 5) { bytes in
            var rest = value
            while rest >= 0x80 {
                bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
                rest &>>= 7
            }
            bytes.append(UInt8(truncatingIfNeeded: rest))
        }
    }
}

// MARK: - Strings, bytes, records

extension WireWriter {
    /// Writes a string or null.
    ///
    /// A string above ``WireReader/stringBytesMax``, which only a composed error text can be, is cut at a character.
    public mutating func nullableString(_ value: String?) {
        guard let value else { return null(classicBytes: 2) }
        guard value.utf8.count <= WireReader.stringBytesMax else { return nullableString(Self.cut(value)) }
        if isFlexible {
            unsignedVarint(UInt32(value.utf8.count) + 1)
        } else {
            int16(Int16(value.utf8.count))
        }
        gathered.append(contentsOf: value.utf8)
    }

    /// Writes a string.
    public mutating func string(_ value: String) { nullableString(value) }

    /// Writes bytes or null.
    public mutating func nullableBytes(_ value: [UInt8]?) {
        guard let value else { return null(classicBytes: 4) }
        length(value.count)
        gathered.append(contentsOf: value)
    }

    /// Writes bytes.
    public mutating func bytes(_ value: [UInt8]) { nullableBytes(value) }

    /// Writes record batches or null.
    public mutating func nullableRecords(_ value: ByteBuffer?) {
        guard let value else { return null(classicBytes: 4) }
        length(value.readableBytes)
        splice(value)
    }

    /// Writes record batches; never null, because clients fail on a null record set in an answer.
    public mutating func records(_ value: RecordSlices) {
        length(value.byteCount)
        for slice in value.slices { splice(slice) }
    }

    /// Writes the length of bytes or records, or the count of an array.
    mutating func length(_ count: Int) {
        if isFlexible {
            unsignedVarint(UInt32(count) + 1)
        } else {
            int32(Int32(count))
        }
    }

    /// Writes null: compact 0, or -1 in a classic length of `classicBytes` bytes.
    private mutating func null(classicBytes: Int) {
        if isFlexible {
            unsignedVarint(0)
        } else if classicBytes == 2 {
            int16(-1)
        } else {
            int32(-1)
        }
    }

    /// The longest prefix of `value` that fits a string field.
    private static func cut(_ value: String) -> String {
        var bytes = 0
        return String(
            value.unicodeScalars.prefix { scalar in
                bytes += UTF8.width(scalar)
                return bytes <= WireReader.stringBytesMax
            })
    }
}

// MARK: - Arrays

extension WireWriter {
    /// Writes an array of structs.
    public mutating func array<Element: WireCoded>(_ elements: [Element], version: Int16) {
        length(elements.count)
        for element in elements { element.encode(to: &self, version: version) }
    }

    /// Writes an array of structs or null.
    public mutating func nullableArray<Element: WireCoded>(_ elements: [Element]?, version: Int16) {
        guard let elements else { return null(classicBytes: 4) }
        array(elements, version: version)
    }

    /// Writes a struct or null, behind a byte that says which.
    public mutating func nullableStruct<Element: WireCoded>(_ element: Element?, version: Int16) {
        int8(element == nil ? -1 : 1)
        element?.encode(to: &self, version: version)
    }

    /// Writes an array of small integers.
    public mutating func int8Array(_ elements: [Int8]) {
        length(elements.count)
        for element in elements { int8(element) }
    }

    /// Writes an array of strings.
    public mutating func stringArray(_ elements: [String]) {
        length(elements.count)
        for element in elements { string(element) }
    }

    /// Writes an array of strings or null.
    public mutating func nullableStringArray(_ elements: [String]?) {
        guard let elements else { return null(classicBytes: 4) }
        stringArray(elements)
    }

    /// Writes an array of 64-bit integers.
    public mutating func int64Array(_ elements: [Int64]) {
        length(elements.count)
        for element in elements { int64(element) }
    }

    /// Writes an array of 32-bit integers.
    public mutating func int32Array(_ elements: [Int32]) {
        length(elements.count)
        for element in elements { int32(element) }
    }

    /// Writes an array of 32-bit integers or null.
    public mutating func nullableInt32Array(_ elements: [Int32]?) {
        guard let elements else { return null(classicBytes: 4) }
        int32Array(elements)
    }
}

// MARK: - Tagged fields

extension WireWriter {
    /// Ends a struct that has no tagged fields; writes nothing in versions that are not flexible.
    public mutating func taggedFields() {
        if isFlexible { unsignedVarint(0) }
    }

    /// Ends a struct with `fields`; writes nothing in versions that are not flexible.
    public mutating func taggedFields(_ fields: TaggedFields) {
        guard isFlexible else { return }
        unsignedVarint(UInt32(fields.entries.count))
        for entry in fields.entries {
            unsignedVarint(entry.tag)
            unsignedVarint(UInt32(entry.bytes.count))
            gathered.append(contentsOf: entry.bytes)
        }
    }
}
