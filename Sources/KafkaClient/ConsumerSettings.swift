// SPDX-License-Identifier: Apache-2.0
//
// ConsumerSettings.swift
// How a consumer asks for records, and what it hands out.

import KafkaProtocol
public import Model
public import Records

/// How a consumer behaves.
public struct ConsumerSettings: Sendable {
    /// What to do when a position is not in the log, because the records there were removed.
    public enum OutOfRange: Sendable {
        /// Report an error.
        case fail
        /// Go on at the first record that is kept.
        case start
        /// Go on at the end.
        case end
    }

    /// How long the broker may wait for the first byte.
    public var waitMilliseconds: Int32 = 500
    /// How much the broker gathers before it answers, while the wait lasts.
    public var bytesMin: Int32 = 1
    /// The most that one answer carries; one batch may exceed it.
    public var bytesMax: Int32 = 8 << 20
    /// The most that one answer carries for a partition; one batch may exceed it.
    public var partitionBytesMax: Int32 = 2 << 20
    /// How much may wait to be taken before fetching stops.
    public var bufferBytesMax = 32 << 20
    /// Whether records of open and aborted transactions stay hidden.
    public var readsCommittedOnly = false
    /// Whether the checksum of each batch is compared.
    public var verifiesChecksums = true
    /// What to do when a position is not in the log.
    public var outOfRange = OutOfRange.fail

    /// Creates settings with every default.
    public init() {}

    /// What fetches and searches for offsets ask for.
    var isolation: IsolationLevel { readsCommittedOnly ? .readCommitted : .readUncommitted }
}

/// Where to read in a partition.
public struct ReadRange: Equatable, Sendable {
    /// The first offset to read.
    public var from: Offset
    /// The first offset not to read; nil reads on for ever.
    public var upTo: Offset?

    /// Describes a range.
    public init(from: Offset, upTo: Offset? = nil) {
        self.from = from
        self.upTo = upTo
    }
}

/// Whole batches of one partition, in order and without gaps between chunks.
public struct FetchedChunk: Sendable {
    /// The partition.
    public let partition: TopicPartition
    /// The batches as the broker stores them.
    ///
    /// The first may begin before, and the last may end after, what was asked for.
    public let batches: [RecordBatch]
    /// The records that were asked for.
    public let range: ReadRange
    /// Where the next chunk begins.
    public let nextOffset: Offset
    /// The offset after the last record that consumers may read.
    public let highWatermark: Offset
    /// The size of the batches on the wire.
    public let byteCount: Int

    /// Runs `body` for each record that was asked for, in order; control records are left out.
    ///
    /// - Returns: How many records there were.
    @discardableResult
    public func forEachRecord(
        context: CompressionContext, _ body: (Record, RecordBatch) throws(RecordError) -> Void
    ) throws(RecordError) -> Int {
        var count = 0
        for batch in batches where !batch.isControl {
            var records = try batch.records(context: context)
            while let record = try records.next() {
                guard record.offset >= range.from else { continue }
                if let upTo = range.upTo, record.offset >= upTo { return count }
                try body(record, batch)
                count += 1
            }
        }
        return count
    }

    /// How many records that were asked for lie in the chunk, from the headers alone; compaction makes it too high.
    public var recordCountMax: Int {
        batches.reduce(0) { sum, batch in
            guard !batch.isControl else { return sum }
            let before = max(0, range.from - batch.baseOffset)
            let after = range.upTo.map { max(0, batch.nextOffset - $0) } ?? 0
            return sum + max(0, min(batch.recordCount, Int(batch.nextOffset - batch.baseOffset - before - after)))
        }
    }
}
