// SPDX-License-Identifier: Apache-2.0
//
// Record.swift
// One record as a view into decompressed bytes.

public import Model
public import NIOCore

/// A record's header: a key that is never null, and a value that may be.
public struct RecordHeader: Equatable, Sendable {
    /// Names the header; may be empty and may occur again.
    public var key: String
    /// What the header says; nil when it is null.
    public var value: ByteBuffer?

    /// Makes a header.
    public init(key: String, value: ByteBuffer?) {
        self.key = key
        self.value = value
    }
}

/// A record.
///
/// Key, value and headers are cut out of the batch's bytes when they are asked for.
public struct Record: Sendable {
    /// The place in the partition.
    public let offset: Offset
    /// The record's own time, or the batch's when the broker set it.
    public let timestamp: Int64
    private let source: ByteBuffer
    private let fields: RecordFields

    init(source: ByteBuffer, fields: RecordFields, offset: Offset, timestamp: Int64) {
        self.source = source
        self.fields = fields
        self.offset = offset
        self.timestamp = timestamp
    }

    /// The key; nil when it is null.
    public var key: ByteBuffer? { slice(fields.keyStart, fields.keyLength) }

    /// The value; nil when it is null, which compaction takes as a deletion.
    public var value: ByteBuffer? { slice(fields.valueStart, fields.valueLength) }

    /// Whether the key is not null.
    @inlinable public var hasKey: Bool { keyByteCount != nil }

    /// The length of the key without cutting it out; nil when it is null.
    public var keyByteCount: Int? { fields.keyLength < 0 ? nil : fields.keyLength }

    /// The length of the value without cutting it out; nil when it is null.
    public var valueByteCount: Int? { fields.valueLength < 0 ? nil : fields.valueLength }

    /// How many headers there are, without cutting them out.
    public var headerCount: Int { Int(fields.headerCount) }

    /// The headers in their order; keys that are no UTF-8 are repaired.
    public var headers: [RecordHeader] {
        guard fields.headerCount > 0 else { return [] }
        let bytes = source.readableBytesSpan
        var headers: [RecordHeader] = []
        headers.reserveCapacity(headerCount)
        var position = fields.headersStart
        for _ in 0..<fields.headerCount {
            // The headers were checked when the record was parsed, so neither read can fail.
            guard let key = try? RecordFields.field(bytes, at: &position, end: fields.end),
                let value = try? RecordFields.field(bytes, at: &position, end: fields.end)
            else { preconditionFailure("headers of the record at \(offset) changed after they were checked") }
            let name = source.getString(at: source.readerIndex + key.start, length: key.length) ?? ""
            headers.append(RecordHeader(key: name, value: slice(value.start, value.length)))
        }
        return headers
    }

    private func slice(_ start: Int, _ length: Int) -> ByteBuffer? {
        length < 0 ? nil : source.getSlice(at: source.readerIndex + start, length: length)
    }
}
