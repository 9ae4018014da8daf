// SPDX-License-Identifier: Apache-2.0
//
// ProducerStateTable+Snapshot.swift
// The table as bytes. The caller stores them with a checksum and the offset they belong to.
//
//     version u8 | producer count u32 | producers by rising id:
//         id i64 | epoch i16 | has forgotten u8 | last write i64 | batch count u8 | batches, oldest first:
//             first sequence i32 | last sequence i32 | base offset i64 | timestamp i64

import Model

extension ProducerStateTable {
    /// The version that is written, and the only one that is read.
    static let snapshotVersion: UInt8 = 1

    /// The state of the log up to `offset`, which is usually where it ends.
    ///
    /// With batches at or beyond `offset` in the table, the bytes become the table again once the log from `offset` on
    /// is replayed; a producer that has nothing before `offset` is left out.
    func encodeSnapshot(upTo offset: Offset) -> [UInt8] {
        let included = producers.keys.filter { isKnown($0, before: offset) }.sorted()
        var writer = BinaryWriter(capacity: 5 + included.count * (20 + ProducerEntry.batchesMax * 24))
        writer.write(Self.snapshotVersion)
        writer.write(UInt32(included.count))
        for id in included {
            guard var entry = producers[id] else { continue }
            _ = entry.truncate(to: offset)
            writer.write(id)
            writer.write(entry.epoch)
            writer.write(UInt8(entry.hasForgotten ? 1 : 0))
            writer.write(entry.lastWrite.milliseconds)
            writer.write(UInt8(entry.count))
            for position in 0..<entry.count {
                let batch = entry[position]
                writer.write(batch.firstSequence)
                writer.write(batch.lastSequence)
                writer.write(batch.baseOffset)
                writer.write(batch.timestamp)
            }
        }
        return writer.bytes
    }

    /// True unless every batch of the producer lies at or beyond `offset`.
    private func isKnown(_ id: Int64, before offset: Offset) -> Bool {
        guard let entry = producers[id] else { return false }
        return entry.count == 0 || entry[0].lastOffset < offset.rawValue
    }

    /// The table that `encodeSnapshot` wrote; anything else is refused.
    init(decoding bytes: [UInt8], settings: Settings = Settings()) throws(BinaryCodingError) {
        self.init(settings: settings)
        var reader = BinaryReader(bytes)
        let version = try reader.readInteger(UInt8.self)
        guard version == Self.snapshotVersion else { throw .unknownVersion(version) }
        var previousID: Int64 = -1
        for _ in 0..<(try reader.readCount()) {
            let start = reader.position
            let id = try reader.readInteger(Int64.self)
            guard id > previousID else { throw .malformed(at: start) }
            previousID = id
            restore(try Self.decodeEntry(from: &reader), of: id)
        }
        try reader.finish()
    }

    private static func decodeEntry(from reader: inout BinaryReader) throws(BinaryCodingError) -> ProducerEntry {
        let start = reader.position
        let epoch = try reader.readInteger(Int16.self)
        let hasForgotten = try reader.readFlag()
        let lastWrite = try WallTime(from: &reader)
        let count = Int(try reader.readInteger(UInt8.self))
        guard epoch >= 0, count <= ProducerEntry.batchesMax else { throw .malformed(at: start) }
        var entry = ProducerEntry(epoch: epoch, lastWrite: lastWrite, hasForgotten: hasForgotten)
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
