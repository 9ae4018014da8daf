// SPDX-License-Identifier: Apache-2.0
//
// PartitionLog+Compaction.swift
// A log's part in its compaction: asks for a pass when one is due, decides about each segment that is offered, takes it over.

public import Model
internal import NIOCore
internal import Telemetry

/// A pass that is under way.
struct PresentCompaction {
    let order: CompactionOrder
    /// The segments that are being replaced at this moment: nothing else may touch them.
    var swapping: RewrittenSegment?
}

extension PartitionLog {
    /// Asks for a pass when the log is due; returns whether one is under way.
    ///
    /// Passes of all logs are made by one thread, one after the other. What it reads is sealed and committed; the segments that
    /// entries are appended to stay as they are. `bounds` is asked for only when there is something to look at.
    ///
    /// - Cost: a look at each segment.
    @discardableResult
    public func compactIfDue(
        now: WallTime, settings: CompactionSettings, bounds: () -> CompactionBounds?
    ) -> Bool {
        guard compaction == nil else { return true }
        guard segments.count > 1, !isClosed, failure == nil, !isInstalling, pinnedFrom == nil,
            lastIndex.rawValue >> Segment.generationShift == 0, core.failure == nil, var bounds = bounds()
        else { return false }
        let committed = bounds.committed
        if core.mutates(.compactionUncommitted) { (bounds.end, bounds.committed) = (logEndOffset, lastIndex) }
        let last = min(progress.applied, bounds.committed)
        guard last > .zero else { return false }
        // Another leader's entry behind a segment that is not followed by a committed one would go on in it.
        let choice = CompactionChoice(segments, settings: settings, bounds: bounds, last: last.previous, now: now)
        guard let choice else { return false }
        let order = CompactionOrder()
        compaction = PresentCompaction(order: order)
        core.compactionQueue.post(
            .begin(
                CompactionPlan(
                    handle: handle, order: order, sources: Array(segments[..<choice.sources]), choice: choice,
                    settings: settings, bounds: bounds, committed: committed, now: now.milliseconds,
                    segmentBytes: self.settings.segmentBytes,
                    compressionLevel: self.settings.compressesFrames ? core.settings.compressionLevel : 0)))
        return true
    }

    /// The share of the log's bytes whose keys were not compared, for metrics: 0 without any, 1 at most.
    public var dirtyRatio: Double {
        let dirtyFrom = CompactionChoice.Progress(segments).dirtyFrom
        let dirty = segments.reduce(0) { $0 + ($1.compacted == nil || $1.endOffset > dirtyFrom ? $1.end : 0) }
        return dirty == 0 ? 0 : Double(dirty) / Double(sizeBytes)
    }

    /// Ends a pass that is under way; what it has reached stays.
    func cancelCompaction() {
        guard let present = compaction else { return }
        compaction = nil
        present.order.cancel()
        core.compactionQueue.post(.proceed(present.order, false))
    }

    /// Whether files are being replaced, which others must leave alone until it is done.
    var isSwapping: Bool { compaction?.swapping != nil }

    // MARK: What the thread says

    func handle(_ report: CompactionReport, of order: CompactionOrder) {
        guard let present = compaction, present.order === order else { return }
        switch report {
        case .rewritten(let made):
            guard canTake(made) else { return cancelCompaction() }
            compaction?.swapping = made
            if !made.removedMarkers.isEmpty { onMarkersRemoved?(made.removedMarkers) }
            desk.submit(.swap(made), ticket: makeTicket(), handle, core) { [weak self] outcome in
                self?.swapped(made, outcome)
            }
        case .finished(let statistics):
            compaction = nil
            onCompacted?(.success(statistics))
        case .failed(let error):
            compaction = nil
            guard error != .closed else { return }
            // What retention has taken meanwhile cannot be read, and is not damaged.
            if case .corrupt(let damage) = error, !isClosed,
                segments.contains(where: { $0.segment.path == damage.file })
            {
                onDamage?(damage)
            }
            onCompacted?(.failure(error))
        }
    }

    private func canTake(_ made: RewrittenSegment) -> Bool {
        !isClosed && failure == nil && !isInstalling && pinnedFrom == nil && place(of: made) != nil
    }

    /// Where the segments stand that were rewritten; nil when some are gone.
    private func place(of made: RewrittenSegment) -> Range<Int>? {
        guard let first = segments.firstIndex(where: { $0.segment === made.sources.first }) else { return nil }
        let range = first..<(first + made.sources.count)
        guard range.upperBound < segments.count,
            zip(segments[range], made.sources).allSatisfy({ $0.segment === $1 })
        else { return nil }
        return range
    }

    private func swapped(_ made: RewrittenSegment, _ outcome: StageOutcome) {
        compaction?.swapping = nil
        guard case .success = outcome.swapped, !isClosed, !isInstalling, let range = place(of: made) else {
            let order = compaction?.order
            cancelCompaction()
            if order != nil, case .failure(let error) = outcome.swapped { onCompacted?(.failure(error)) }
            return
        }
        segments.replaceSubrange(range, with: CollectionOfOne(made.info))
        noteCompacted()
        // What is in memory goes too: an aborted record must not outlive the marker that says so.
        core.readCache.drop(id)
        _ = evictTail(through: made.info.lastIndex)
        retire(made.sources)
        core.metrics.compactedSegments.increment(by: made.sources.count)
        core.metrics.compactedRecords.increment(by: made.recordsRemoved)
        if let order = compaction?.order { core.compactionQueue.post(.proceed(order, true)) }
        onSegmentsReplaced?()
    }

    /// The files go when the reads that were asked for before are done: they are answered in their order.
    private func retire(_ replaced: [Segment]) {
        core.read(
            ReadJob(handle: handle, ticket: 0, ranges: [], query: .retire(replaced)), of: id)
    }

    /// Notes up to where entries cannot be read one by one any more, and what the passes knew.
    func noteCompacted() {
        compactedThrough = segments.last { $0.compacted != nil }?.lastIndex ?? .zero
        compactionKnew = segments.reduce(.zero) { max($0, $1.compacted?.committed ?? .zero) }
    }
}
