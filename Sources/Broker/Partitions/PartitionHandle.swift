// SPDX-License-Identifier: Apache-2.0
//
// PartitionHandle.swift
// What any thread may know of a partition: who owns it, and the positions its owner last published.

package import Model
import Synchronization

/// A partition's address and its published positions.
///
/// Written by the owning shard only, read by everyone: metadata answers, metrics and the inspector of lag never hop to
/// the shard. Readers may see positions of slightly different moments, each of which was true.
package final class PartitionHandle: Sendable {
    package let topic: String
    package let index: PartitionIndex
    package let group: GroupID
    /// Which shard owns the partition: its number in ``Broker``'s list of shards.
    package let shard: Int

    private let epoch = Atomic<Int32>(-1)
    private let published = Atomic<Int64>(0)
    private let logStart = Atomic<Int64>(0)
    private let logEnd = Atomic<Int64>(0)
    private let bytes = Atomic<Int>(-1)
    /// The bits of a share; not a number where there is none.
    private let dirty = Atomic<UInt64>(Double.nan.bitPattern)

    package init(topic: String, index: PartitionIndex, group: GroupID, shard: Int) {
        self.topic = topic
        self.index = index
        self.group = group
        self.shard = shard
    }

    /// The leader epoch clients see; -1 until this broker leads with a confirmed term.
    package var leaderEpoch: Int32 { epoch.load(ordering: .acquiring) }
    package var highWatermark: Offset { Offset(published.load(ordering: .relaxed)) }
    package var logStartOffset: Offset { Offset(logStart.load(ordering: .relaxed)) }
    package var logEndOffset: Offset { Offset(logEnd.load(ordering: .relaxed)) }
    package var sizeBytes: Int { max(0, bytes.load(ordering: .relaxed)) }
    /// Whether this broker has, or had, a replica of the partition.
    package var isHosted: Bool { bytes.load(ordering: .relaxed) >= 0 }

    /// The share of the log's bytes whose keys compaction has not compared; nil where the log is not compacted.
    package var dirtyRatio: Double? {
        let ratio = Double(bitPattern: dirty.load(ordering: .relaxed))
        return ratio.isNaN ? nil : ratio
    }

    package func publish(dirtyRatio: Double?) {
        dirty.store((dirtyRatio ?? .nan).bitPattern, ordering: .relaxed)
    }

    package func publish(leaderEpoch: Int32) {
        epoch.store(leaderEpoch, ordering: .releasing)
    }

    package func publish(highWatermark: Offset, logStart start: Offset, logEnd end: Offset, sizeBytes size: Int) {
        published.store(highWatermark.rawValue, ordering: .relaxed)
        logStart.store(start.rawValue, ordering: .relaxed)
        logEnd.store(end.rawValue, ordering: .relaxed)
        bytes.store(size, ordering: .relaxed)
    }
}
