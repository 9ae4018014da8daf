// SPDX-License-Identifier: Apache-2.0
//
// RecordScanner.swift
// Steps over the records of a decompressed payload and holds them to the batch's header.

internal import Model

/// The position in a payload.
///
/// The bytes are passed to each step, so the scanner can be kept beside their owner.
///
/// What it checks of every record: framing, rising offset deltas that stay within the batch; and at the end that
/// neither bytes nor records are missing or left over.
struct RecordScanner: Sendable {
    let header: RecordBatchHeader
    /// Records that were stepped over.
    private(set) var index = 0
    private var position = 0
    private var lastDelta: Int32 = -1

    init(header: RecordBatchHeader) { self.header = header }

    /// The next record's layout, or nil after the last.
    @inline(__always)
    mutating func next(_ bytes: RawSpan) throws(RecordError) -> RecordFields? {
        guard index < Int(header.recordCount) else {
            let trailing = bytes.byteCount - position
            guard trailing == 0 else { throw .malformedRecord(index: index, .trailingBytes(trailing)) }
            return nil
        }
        let fields: RecordFields
        do {
            fields = try RecordFields.parse(bytes, at: position)
        } catch {
            throw .malformedRecord(index: index, error)
        }
        guard fields.offsetDelta > lastDelta, fields.offsetDelta <= header.lastOffsetDelta else {
            throw .malformedRecord(index: index, .offsetDelta(fields.offsetDelta))
        }
        lastDelta = fields.offsetDelta
        position = fields.end
        index += 1
        return fields
    }
}

extension RecordBatchHeader {
    /// The time of a record of this batch.
    @inline(__always)
    func timestamp(of fields: RecordFields) -> Int64 {
        switch attributes.timestampType {
        case .createTime: baseTimestamp &+ fields.timestampDelta
        case .logAppendTime: maxTimestamp
        }
    }

    /// The offset of a record of this batch.
    @inline(__always)
    func offset(of fields: RecordFields) -> Offset {
        Offset(baseOffset.rawValue &+ Int64(fields.offsetDelta))
    }
}
