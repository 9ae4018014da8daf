// SPDX-License-Identifier: Apache-2.0
//
// ControlRecord.swift
// The records of control batches: how a transaction ended.

public import Model
public import NIOCore

/// The marker that ends a producer's transaction in one partition.
public struct ControlRecord: Hashable, Sendable {
    /// What a control record says.
    ///
    /// Other types belong to Kafka's own metadata log.
    public enum Kind: Int16, Sendable {
        case abort = 0
        case commit = 1
    }

    /// How the transaction ended.
    public var kind: Kind
    /// The epoch of the transaction coordinator that wrote the marker.
    public var coordinatorEpoch: Int32

    /// Makes a marker.
    @inlinable public init(kind: Kind, coordinatorEpoch: Int32) {
        self.kind = kind
        self.coordinatorEpoch = coordinatorEpoch
    }

    /// Reads the marker from a record of a control batch; nil when it is of another kind.
    ///
    /// - Throws: ``RecordError/malformedRecord(index:_:)`` when key or value are too short.
    public init?(_ record: Record) throws(RecordError) {
        guard let key = record.key, let type = key.getInteger(at: key.readerIndex + 2, as: Int16.self) else {
            throw .malformedRecord(index: 0, .control)
        }
        guard let kind = Kind(rawValue: type) else { return nil }
        guard let value = record.value, let epoch = value.getInteger(at: value.readerIndex + 2, as: Int32.self) else {
            throw .malformedRecord(index: 0, .control)
        }
        self.init(kind: kind, coordinatorEpoch: epoch)
    }

    /// Reads the marker that `batch` holds; nil when it holds something else.
    ///
    /// - Throws: ``RecordError/malformedRecord(index:_:)`` and what reading a record throws.
    public init?(of batch: RecordBatch) throws(RecordError) {
        guard batch.isControl, !batch.isCompressed else { return nil }
        var records = RecordIterator(decompressed: batch.payload, header: batch.header)
        guard let record = try records.next() else { return nil }
        try self.init(record)
    }

    /// The control batch that ends the transaction of `producer`, whose sequence is ignored: it is -1 in markers.
    public func batch(
        producerID: ProducerID, producerEpoch: Int16, time: WallTime
    ) throws(RecordError) -> ByteBuffer {
        let producer = ProducerFields(id: producerID, epoch: producerEpoch, baseSequence: -1)
        let attributes = RecordBatchAttributes(isTransactional: true, isControl: true)
        var builder = RecordBatchBuilder(header: RecordBatchHeader(attributes: attributes, producer: producer))
        var key = ByteBuffer()
        key.writeMultipleIntegers(Int16(0), kind.rawValue)
        var value = ByteBuffer()
        value.writeMultipleIntegers(Int16(0), coordinatorEpoch)
        builder.append(key: key, value: value, timestamp: time.milliseconds)
        return try builder.build()
    }
}
