// SPDX-License-Identifier: Apache-2.0
//
// RecordFields.swift
// Where the parts of one record lie. The only code that parses records: validation, iteration and search share it.

/// The layout of one record inside decompressed bytes.
///
/// Lengths are -1 for null.
struct RecordFields {
    var timestampDelta: Int64 = 0
    var offsetDelta: Int32 = 0
    var headerCount: Int32 = 0
    var keyStart = 0
    var keyLength = -1
    var valueStart = 0
    var valueLength = -1
    var headersStart = 0
    /// Where the next record begins.
    var end = 0

    /// Parses the record at `start` and checks that its fields fill it exactly, headers included.
    ///
    /// No allocation; every read is checked against the bytes. The record's own attributes byte has no meaning and
    /// is not looked at, as in Kafka.
    @inline(__always)
    static func parse(_ bytes: RawSpan, at start: Int) throws(RecordError.RecordFault) -> RecordFields {
        var fields = RecordFields()
        var position = start
        guard start < bytes.byteCount else { throw .missing }
        guard let length = Varint.read32(bytes, at: &position) else { throw .varint }
        guard length > 0, Int(length) <= bytes.byteCount - position else { throw .length }
        fields.end = position + Int(length)
        position += 1  // attributes
        guard let timestampDelta = Varint.read64(bytes, at: &position) else { throw .varint }
        guard let offsetDelta = Varint.read32(bytes, at: &position) else { throw .varint }
        fields.timestampDelta = timestampDelta
        fields.offsetDelta = offsetDelta
        (fields.keyStart, fields.keyLength) = try field(bytes, at: &position, end: fields.end)
        (fields.valueStart, fields.valueLength) = try field(bytes, at: &position, end: fields.end)
        guard let headerCount = Varint.read32(bytes, at: &position) else { throw .varint }
        fields.headerCount = headerCount
        fields.headersStart = position
        if headerCount != 0 { try skipHeaders(bytes, at: &position, fields: fields) }
        // A number may have been read beyond the record's end; then the position is past it.
        guard position == fields.end else { throw .fields }
        return fields
    }

    /// Reads the length of a nullable field and steps over it.
    @inline(__always)
    static func field(
        _ bytes: RawSpan, at position: inout Int, end: Int
    ) throws(RecordError.RecordFault) -> (start: Int, length: Int) {
        guard let length = Varint.read32(bytes, at: &position) else { throw .varint }
        let start = position
        if length < 0 {
            guard length == -1 else { throw .fields }
            return (start, -1)
        }
        guard Int(length) <= end - position else { throw .fields }
        position += Int(length)
        return (start, Int(length))
    }

    private static func skipHeaders(
        _ bytes: RawSpan, at position: inout Int, fields: RecordFields
    ) throws(RecordError.RecordFault) {
        // A header takes at least two bytes, so an absurd count is refused before the loop.
        guard fields.headerCount > 0, Int(fields.headerCount) <= (fields.end - position) / 2 else { throw .header }
        for _ in 0..<fields.headerCount {
            guard try field(bytes, at: &position, end: fields.end).length >= 0 else { throw .header }
            _ = try field(bytes, at: &position, end: fields.end)
        }
    }
}
