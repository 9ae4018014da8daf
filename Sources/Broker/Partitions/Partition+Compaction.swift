// SPDX-License-Identifier: Apache-2.0
//
// Partition+Compaction.swift
// When a partition's log is compacted, and how far. Every replica does it for itself; the store does the work.

import LogStore
import Logging
import Model
import Replication
import Settings

extension Partition {
    /// Has the log compacted when the topic asks for it and enough is new.
    func compact(now: WallTime) {
        handle.publish(dirtyRatio: configuration.cleanup.compacts ? log.dirtyRatio : nil)
        guard configuration.cleanup.compacts, failure == nil else { return }
        let compaction = configuration.compaction
        log.compactIfDue(
            now: now,
            settings: CompactionSettings(
                dirtyRatioMin: compaction.dirtyRatioMin, lagMillisecondsMin: compaction.lagMillisecondsMin,
                lagMillisecondsMax: compaction.lagMillisecondsMax,
                deleteRetentionMilliseconds: compaction.deleteRetentionMilliseconds),
            bounds: compactionBounds)
    }

    /// How far the log may be compacted now; nil while the producers' state is not whole.
    ///
    /// What goes is reflected in the stored state of the producers, so nobody who builds that state anew reads what is gone.
    /// Records of transactions that are not decided stay, and those of aborted ones say nothing about a key.
    private func compactionBounds() -> CompactionBounds? {
        guard rebuild == nil, !hasInexactProducers else { return nil }
        snapshotProducers(always: true)
        let end = min(lastStableOffset, producerSnapshotOffset)
        let aborted = producers.transactions.aborted(before: end).map {
            AbortedRange(
                producer: ProducerID(rawValue: $0.producerID), first: Offset($0.firstOffset),
                marker: Offset($0.lastOffset))
        }
        return CompactionBounds(
            end: end, committed: replica.committed, aborted: aborted, lastBatches: producers.lastBatches(before: end))
    }

    /// Hears of what compaction has done.
    func followCompaction() {
        log.onSegmentsReplaced = { [weak self] in
            guard let self else { return }
            // Entries are not there one by one any more.
            noteCompaction()
            publish()
        }
        log.onMarkersRemoved = { [weak self] markers in
            self?.producers.transactions.forget(markersAt: Set(markers.lazy.filter(\.isAbort).map(\.offset.rawValue)))
        }
        log.onCompacted = { [weak self] outcome in self?.compacted(outcome) }
    }

    private func compacted(_ outcome: Result<CompactionStatistics, StoreError>) {
        switch outcome {
        case .success(let done):
            environment.logger.info(
                "A partition was compacted",
                metadata: [
                    "topic": "\(handle.topic)", "partition": "\(handle.index)", "read_bytes": "\(done.bytesRead)",
                    "written_bytes": "\(done.bytesWritten)", "removed_records": "\(done.recordsRemoved)",
                    "keys": "\(done.keys)",
                ])
            // Much may have come meanwhile.
            if done.segments > 0 { compact(now: environment.clock.wallTime()) }
        case .failure(let error):
            environment.logger.warning(
                "A partition could not be compacted",
                metadata: ["topic": "\(handle.topic)", "partition": "\(handle.index)", "error": "\(error)"])
        }
    }
}
