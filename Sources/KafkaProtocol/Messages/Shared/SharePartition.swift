// SPDX-License-Identifier: Apache-2.0
//
// SharePartition.swift
// How ShareFetch and ShareAcknowledge name records that a member is done with (KIP-932).

/// A partition and the acknowledgements of records in it.
public struct SharePartition: WireCoded {
    /// The partition.
    public var index: Int32
    /// What the member says of records that it acquired.
    public var acknowledgementBatches: [AcknowledgementBatch]

    /// Creates a value; what is not named is at its default.
    public init(index: Int32, acknowledgementBatches: [AcknowledgementBatch] = []) {
        self.index = index
        self.acknowledgementBatches = acknowledgementBatches
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        index = try reader.int32()
        acknowledgementBatches = try reader.array(version: version)
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.int32(index)
        writer.array(acknowledgementBatches, version: version)
        writer.taggedFields()
    }
}

/// What a member says of a range of records.
public struct AcknowledgementBatch: WireCoded {
    /// The first record.
    public var firstOffset: Int64
    /// The last record, included.
    public var lastOffset: Int64
    /// One type for each record, or one for all of them: 0 gap, 1 accept, 2 release, 3 reject, 4 renew.
    public var acknowledgeTypes: [Int8]

    /// Creates a value; what is not named is at its default.
    public init(firstOffset: Int64, lastOffset: Int64, acknowledgeTypes: [Int8] = []) {
        self.firstOffset = firstOffset
        self.lastOffset = lastOffset
        self.acknowledgeTypes = acknowledgeTypes
    }

    /// Reads what ``encode(to:version:)`` writes.
    public init(from reader: inout WireReader, version: Int16) throws(WireError) {
        firstOffset = try reader.int64()
        lastOffset = try reader.int64()
        acknowledgeTypes = try reader.int8Array()
        try reader.taggedFields()
    }

    /// Writes the fields that `version` has.
    public func encode(to writer: inout WireWriter, version: Int16) {
        writer.int64(firstOffset)
        writer.int64(lastOffset)
        writer.int8Array(acknowledgeTypes)
        writer.taggedFields()
    }
}
