// SPDX-License-Identifier: Apache-2.0
//
// CompactionPass.swift
// One pass over one log: the keys of what is new first, then the segments, some at a time.

internal import Model
internal import NIOCore
internal import Records

/// A pass on its way.
struct CompactionPass {
    let plan: CompactionPlan
    private(set) var statistics = CompactionStatistics()
    private var filter: CompactionFilter?
    /// The next segment to rewrite.
    private var next: Int

    init(_ plan: CompactionPlan) {
        self.plan = plan
        next = plan.choice.from
    }

    /// Rewrites the next segments; nil when the pass is through.
    mutating func advance(
        _ core: StoreCore, pace: @escaping (Int) throws(StoreError) -> Void
    ) throws(StoreError) -> RewrittenSegment? {
        if filter == nil { filter = try makeFilter(core, pace) }
        guard var rules = filter else { return nil }
        let sources = plan.sources.prefix { $0.baseOffset < rules.keysThrough }
        guard next < sources.count else { return nil }
        let range = CompactionChoice.group(sources, from: next, bytesMax: plan.segmentBytes)
        var rewriter = try SegmentRewriter(core, plan, range, pace: pace)
        let made = try rewriter.run(&rules)
        filter = rules
        next = range.upperBound
        return made
    }

    /// What was offered last is in place.
    mutating func took(_ made: RewrittenSegment) {
        statistics.segments += made.sources.count
        statistics.bytesRead += made.bytesRead
        statistics.bytesWritten += made.info.end
        statistics.recordsRemoved += made.recordsRemoved
    }

    // MARK: Keys

    private mutating func makeFilter(
        _ core: StoreCore, _ pace: (Int) throws(StoreError) -> Void
    ) throws(StoreError) -> CompactionFilter {
        let limit = plan.sources.last?.endOffset ?? plan.choice.dirtyFrom
        var keys = KeyOffsets(byteCountMax: core.settings.compactionMemory.bytes)
        let through = try gather(&keys, upTo: plan.choice.keysThrough ?? limit, core, pace)
        statistics.keys = keys.count
        var (bounds, settings) = (plan.bounds, plan.settings)
        if core.mutates(.compactionForgetsProducers) { bounds.lastBatches = [:] }
        if core.mutates(.compactionDropsDeletions) { settings.deleteRetentionMilliseconds = -1 }
        return CompactionFilter(
            keys: keys, through: through, bounds: bounds, settings: settings, now: plan.now,
            sawAll: plan.choice.from == 0)
    }

    /// Notes the newest offset of each key from the first that was not compared on; returns where the map was full.
    private func gather(
        _ keys: inout KeyOffsets, upTo end: Offset, _ core: StoreCore, _ pace: (Int) throws(StoreError) -> Void
    ) throws(StoreError) -> Offset {
        let context = CompressionContext()
        guard let unpacker = try? ZstdDecompressor() else { throw .diskFailed("no memory for decompression") }
        let aborted = CompactionFilter.index(core.mutates(.compactionCountsAborted) ? [] : plan.bounds.aborted)
        var through = plan.choice.dirtyFrom
        for info in plan.sources where info.endOffset > plan.choice.dirtyFrom && info.baseOffset < end {
            var cursor = FrameCursor(try core.files.reading(info.segment), from: 0, upTo: info.end)
            var next = info.segment.base
            while cursor.position < info.end {
                let (header, payload) = try SegmentRewriter.frame(&cursor, info, next)
                next = header.lastIndex.next
                try pace(header.frameBytes)
                cursor.skip(header)
                guard header.endOffset > plan.choice.dirtyFrom, header.baseOffset < end else { continue }
                if header.kind == .data, header.storedLength > 0 {
                    let raw = try header.unpack(payload, unpacker)
                    // The first frame is taken whatever it holds, or the pass would never come further.
                    let isFirst = through == plan.choice.dirtyFrom
                    guard try Self.note(raw, in: &keys, aborted, context, isForced: isFirst) else { return through }
                }
                through = max(through, header.endOffset)
            }
        }
        return through
    }

    /// Returns false when the map was full before all keys of the frame were in it.
    private static func note(
        _ payload: ByteBuffer, in keys: inout KeyOffsets, _ aborted: [ProducerID: [AbortedRange]],
        _ context: CompressionContext, isForced: Bool
    ) throws(StoreError) -> Bool {
        var isWhole = true
        do throws(RecordError) {
            var cursor = RecordBatchCursor(payload)
            while isWhole, let batch = try cursor.next() {
                guard !batch.isControl, !CompactionFilter.isAborted(batch, aborted) else { continue }
                try batch.forEachCompactionRecord(context: context) { record in
                    guard isWhole, let key = record.key else { return }
                    isWhole = keys.put(key, record.offset, isForced: isForced)
                }
            }
        } catch {
            throw .corrupt(
                Corruption(group: nil, file: "", position: 0, reason: "a stored batch cannot be read: \(error)"))
        }
        return isWhole
    }
}
