// SPDX-License-Identifier: Apache-2.0
//
// Partition+Maintenance.swift
// What happens to a partition from time to time: deleted records, retention, expiry, snapshots of producer state.

import KafkaProtocol
package import LogStore
import Logging
package import Model
import Records
import Replication
package import Settings

extension Partition {
    /// Applies a change of the topic's configuration to frames and segments from now on.
    package func configure(_ configuration: TopicConfiguration) {
        self.configuration = configuration
        log.configure(Self.logSettings(configuration))
    }

    /// What the log needs to know of a topic's configuration.
    package static func logSettings(_ configuration: TopicConfiguration) -> GroupLogSettings {
        // Only closed segments are compacted: what must be by some time is in one by then.
        let lag = configuration.cleanup.compacts ? configuration.compaction.lagMillisecondsMax : .max
        return GroupLogSettings(
            segmentBytes: configuration.segmentBytes, segmentMilliseconds: min(configuration.segmentMilliseconds, lag))
    }

    /// Time-driven work: rolls and deletes old segments, forgets silent producers, snapshots producer state.
    package func maintain(now: WallTime) {
        guard failure == nil else { return }
        let start = log.logStartOffset
        let deletes = configuration.cleanup.deletes
        do {
            try log.applyRetention(
                now: now,
                retentionMilliseconds: !deletes || configuration.retentionMilliseconds < 0
                    ? nil : configuration.retentionMilliseconds,
                retentionBytes: !deletes || configuration.retentionBytes < 0 ? nil : Int(configuration.retentionBytes),
                upTo: highWatermark, committed: replica.committed)
        } catch {
            environment.logger.warning(
                "Retention could not be applied",
                metadata: ["topic": "\(handle.topic)", "partition": "\(handle.index)", "error": "\(error)"])
        }
        if log.logStartOffset > start {
            noteCompaction()
            wakeFetches(force: true)
        }
        producers.expire(now: now)
        refreshStable()
        snapshotProducers()
        compact(now: now)
        publish()
    }

    /// The group's core learns that its log begins later.
    func noteCompaction() {
        replica.whenIdle { [weak self] in self?.replica.noteCompaction() }
    }

    /// Records after which maintenance stores the producer state again.
    static let producerSnapshotRecords: Int64 = 100_000
    /// Committed bytes after which it is stored without waiting for maintenance: what a restart reads at most.
    static let producerSnapshotBytes = 256 << 20

    /// Stores the producer state when it can stand for enough of the log to be worth a write; always at a clean stop.
    ///
    /// A state without producers is stored too: it says that what is before it need not be read again.
    package func snapshotProducers(always: Bool = false) {
        guard failure == nil, rebuild == nil, !hasInexactProducers else { return }
        // Behind entries that are still being unpacked the state says nothing.
        let end = unpacking.isEmpty ? highWatermark : min(highWatermark, producersEnd)
        let records = end - producerSnapshotOffset
        guard
            records >= (always ? 1 : Self.producerSnapshotRecords)
                || records > 0 && committedSinceSnapshot >= Self.producerSnapshotBytes,
            producers.transactions.canCut(to: end)
        else { return }
        log.saveProducerSnapshot(producers.encodeSnapshot(upTo: end), at: end)
        producerSnapshotOffset = end
        committedSinceSnapshot = 0
    }
}

extension ProducerBatch {
    /// The producer's side of a batch that stands, or will stand, at `baseOffset`.
    init(_ batch: RecordBatch, baseOffset: Offset, maxTimestamp: Int64) {
        self.init(
            producerID: batch.header.producerID, epoch: batch.header.producerEpoch,
            baseSequence: batch.header.baseSequence, lastOffsetDelta: batch.header.lastOffsetDelta,
            baseOffset: baseOffset, maxTimestamp: maxTimestamp,
            // Compaction leaves batches without records: they say where a sequence was and begin no transaction.
            isTransactional: batch.isTransactional && batch.recordCount > 0)
    }
}

extension TopicCompression {
    /// The codec to store batches with; nil keeps the producer's.
    var targetCodec: CompressionCodec? {
        switch self {
        case .producer: nil
        case .uncompressed: CompressionCodec.none
        case .gzip: .gzip
        case .snappy: .snappy
        case .lz4: .lz4
        case .zstd: .zstd
        }
    }
}
