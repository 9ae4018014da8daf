// SPDX-License-Identifier: Apache-2.0
//
// RecordBatchAttributes.swift
// The 16 attribute bits of a batch.

/// Who set the timestamps of a batch.
public enum TimestampType: UInt8, Sendable, CaseIterable {
    /// The producer, for each record.
    case createTime = 0
    /// The broker: `maxTimestamp` holds for every record of the batch.
    case logAppendTime = 1
}

/// Codec in bits 0-2, timestamp type in bit 3, transactional in 4, control in 5, delete horizon in 6; the rest is zero.
public struct RecordBatchAttributes: RawRepresentable, Hashable, Sendable {
    /// The bits as they stand in the header.
    public var rawValue: UInt16
    /// Takes any bits, also those without meaning.
    @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

    /// Makes attributes from their parts.
    @inlinable public init(
        codec: CompressionCodec = .none, timestampType: TimestampType = .createTime, isTransactional: Bool = false,
        isControl: Bool = false
    ) {
        rawValue =
            UInt16(codec.rawValue) | UInt16(timestampType.rawValue) << 3 | (isTransactional ? 0x10 : 0)
            | (isControl ? 0x20 : 0)
    }

    /// The number of the codec, which may be one that does not exist (5 to 7).
    @inlinable public var codecNumber: UInt8 { UInt8(truncatingIfNeeded: rawValue & 0x07) }

    /// The codec; nil when its number does not exist.
    @inlinable public var codec: CompressionCodec? { CompressionCodec(rawValue: codecNumber) }

    /// Who set the timestamps.
    @inlinable public var timestampType: TimestampType { rawValue & 0x08 == 0 ? .createTime : .logAppendTime }
    /// Whether the records belong to a transaction.
    @inlinable public var isTransactional: Bool { rawValue & 0x10 != 0 }
    /// Whether the batch holds a control record instead of data.
    @inlinable public var isControl: Bool { rawValue & 0x20 != 0 }

    /// The bit that says so of ``hasDeleteHorizon``.
    static let deleteHorizonBit: UInt16 = 0x40

    /// Whether `baseTimestamp` holds the time from which tombstones may go, which compaction sets.
    @inlinable public var hasDeleteHorizon: Bool { rawValue & 0x40 != 0 }

    /// The bits that have no meaning yet.
    @inlinable public var unknownBits: UInt16 { rawValue & 0xFF80 }

    /// These attributes with another codec.
    @inlinable public func with(codec: CompressionCodec) -> RecordBatchAttributes {
        RecordBatchAttributes(rawValue: rawValue & ~0x07 | UInt16(codec.rawValue))
    }

    /// These attributes with another timestamp type.
    @inlinable public func with(timestampType: TimestampType) -> RecordBatchAttributes {
        RecordBatchAttributes(rawValue: rawValue & ~0x08 | UInt16(timestampType.rawValue) << 3)
    }
}
