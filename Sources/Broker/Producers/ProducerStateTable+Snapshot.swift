// SPDX-License-Identifier: Apache-2.0
//
// ProducerStateTable+Snapshot.swift
// The table as bytes. The caller stores them with a checksum and the offset they belong to.
//
//     version u8 | producer count u32 | producers by rising id:
//         id i64 | epoch i16 | has forgotten u8 | last write i64 | coordinator epoch i32 (from version 2 on)
//         batch count u8 | batches, oldest first:
//             first sequence i32 | last sequence i32 | base offset i64 | timestamp i64
//     from version 2 on:
//     open transaction count u32 | by rising id: id i64 | first offset i64 | started i64
//     aborted transaction count u32 | by rising last offset:
//         id i64 | first offset i64 | last offset i64 | stable offset i64

import DequeModule
import Model

extension ProducerStateTable {
    /// The version that is written; those before it are read too.
    ///
    /// Version 1 knows no transactions.
    static let snapshotVersion: UInt8 = 2

    /// The state of the log up to `offset`, which is usually where it ends.
    ///
    /// With batches at or beyond `offset` in the table, the bytes become the table again once the log from `offset` on
    /// is replayed; a producer that has nothing before `offset` is left out. Markers before `offset` must be committed.
    func encodeSnapshot(upTo offset: Offset) -> [UInt8] {
        var past = self
        _ = past.truncate(to: offset)
        return past.encoded()
    }

    private func encoded() -> [UInt8] {
        var writer = BinaryWriter(
            capacity: 13 + producers.count * (24 + ProducerEntry.batchesMax * 24) + transactions.aborted.count * 32)
        writer.write(Self.snapshotVersion)
        writer.write(UInt32(producers.count))
        for (id, entry) in producers.sorted(by: { $0.key < $1.key }) {
            writer.write(id)
            writer.write(entry.epoch)
            writer.write(UInt8(entry.hasForgotten ? 1 : 0))
            writer.write(entry.lastWrite.milliseconds)
            writer.write(entry.coordinatorEpoch)
            writer.write(UInt8(entry.count))
            for position in 0..<entry.count {
                let batch = entry[position]
                writer.write(batch.firstSequence)
                writer.write(batch.lastSequence)
                writer.write(batch.baseOffset)
                writer.write(batch.timestamp)
            }
        }
        transactions.encode(to: &writer)
        return writer.bytes
    }

    /// The table that `encodeSnapshot` wrote, in this version or an older one; anything else is refused.
    init(decoding bytes: [UInt8], settings: Settings = Settings()) throws(BinaryCodingError) {
        self.init(settings: settings)
        var reader = BinaryReader(bytes)
        let version = try reader.readInteger(UInt8.self)
        guard (1...Self.snapshotVersion).contains(version) else { throw .unknownVersion(version) }
        var previousID: Int64 = -1
        for _ in 0..<(try reader.readCount()) {
            let start = reader.position
            let id = try reader.readInteger(Int64.self)
            guard id > previousID else { throw .malformed(at: start) }
            previousID = id
            restore(try Self.decodeEntry(from: &reader, version: version), of: id)
        }
        if version >= 2 { try transactions.decode(from: &reader) }
        try reader.finish()
    }

    private static func decodeEntry(
        from reader: inout BinaryReader, version: UInt8
    ) throws(BinaryCodingError) -> ProducerEntry {
        let start = reader.position
        let epoch = try reader.readInteger(Int16.self)
        let hasForgotten = try reader.readFlag()
        let lastWrite = try WallTime(from: &reader)
        let coordinatorEpoch = try version >= 2 ? reader.readInteger(Int32.self) : -1
        let count = Int(try reader.readInteger(UInt8.self))
        guard epoch >= 0, count <= ProducerEntry.batchesMax else { throw .malformed(at: start) }
        var entry = ProducerEntry(epoch: epoch, lastWrite: lastWrite, hasForgotten: hasForgotten)
        entry.coordinatorEpoch = coordinatorEpoch
        for _ in 0..<count {
            let start = reader.position
            let first = try reader.readInteger(Int32.self)
            let last = try reader.readInteger(Int32.self)
            let offset = try reader.readInteger(Int64.self)
            let timestamp = try reader.readInteger(Int64.self)
            let batch = RememberedBatch(
                firstSequence: first, lastSequence: last, baseOffset: offset, timestamp: timestamp)
            let follows = entry.newest.map { $0.lastOffset < offset } ?? (offset >= 0)
            guard first >= 0, last >= 0, follows, offset < .max - Int64(Int32.max) else { throw .malformed(at: start) }
            entry.append(batch, epoch: epoch, at: lastWrite)
        }
        return entry
    }
}

extension TransactionTable {
    fileprivate func encode(to writer: inout BinaryWriter) {
        writer.write(UInt32(open.count))
        for (id, transaction) in open.sorted(by: { $0.key < $1.key }) {
            writer.write(id)
            writer.write(transaction.firstOffset)
            writer.write(transaction.startedAt.milliseconds)
        }
        writer.write(UInt32(aborted.count))
        for one in aborted {
            writer.write(one.producerID)
            writer.write(one.firstOffset)
            writer.write(one.lastOffset)
            writer.write(one.stableOffset)
        }
    }

    fileprivate mutating func decode(from reader: inout BinaryReader) throws(BinaryCodingError) {
        var open: [Int64: OpenTransaction] = [:]
        for _ in 0..<(try reader.readCount()) {
            let start = reader.position
            let id = try reader.readInteger(Int64.self)
            let first = try reader.readInteger(Int64.self)
            let startedAt = try WallTime(from: &reader)
            guard id >= 0, first >= 0, open[id] == nil else { throw .malformed(at: start) }
            open[id] = OpenTransaction(firstOffset: first, startedAt: startedAt)
        }
        var aborted: [AbortedTransaction] = []
        for _ in 0..<(try reader.readCount()) {
            let start = reader.position
            let one = AbortedTransaction(
                producerID: try reader.readInteger(Int64.self), firstOffset: try reader.readInteger(Int64.self),
                lastOffset: try reader.readInteger(Int64.self), stableOffset: try reader.readInteger(Int64.self))
            guard one.producerID >= 0, one.firstOffset >= 0, one.firstOffset < one.lastOffset, one.lastOffset < .max,
                aborted.last.map({ $0.lastOffset < one.lastOffset }) ?? true
            else { throw .malformed(at: start) }
            aborted.append(one)
        }
        restore(open: open, aborted: aborted)
    }
}
