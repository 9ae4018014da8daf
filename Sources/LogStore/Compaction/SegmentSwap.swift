// SPDX-License-Identifier: Apache-2.0
//
// SegmentSwap.swift
// Puts a compacted segment in the place of others. A rename decides: before it the log is what it was, from then on the new
// file stands for what it covers, and whoever finds an older one beside it removes that.

internal import Dispatch
internal import Model
internal import NIOCore
internal import RocksKV

/// One replacement, on the thread `store-stage`: never beside an installation or a deletion of the group.
struct SegmentSwap {
    let core: StoreCore
    let made: RewrittenSegment

    /// Carries it out; the files that were replaced stay, for those who read them.
    func run() throws(StoreError) {
        // Pointers of what follows become durable, and the journal lets go of what is replaced: a start needs to read neither.
        let done = DispatchSemaphore(value: 0)
        core.flushQueue.post(.forward(.checkpoint(done)))
        core.wait(for: done, by: [.flush, .apply])
        if let failure = core.failure { throw failure }
        if core.marks.value.deferredFrom != nil { throw core.noSpace }
        let segment = made.info.segment
        do throws(StoreError) {
            core.files.forget(segment.path)
            try core.system.rename(made.temporaryPath, to: segment.path)
        } catch {
            try? core.system.remove(made.temporaryPath)
            // Nothing was written then, as with any other name.
            if !error.isNoSpace { core.fail(error, during: "name a compacted segment") }
            throw error
        }
        do throws(StoreError) {
            if !core.mutates(.compactionUnsynced) { try core.system.syncDirectory(segment.directory) }
            try indexed { () throws(IndexError) in
                var batch = try core.index.makeBatch()
                try batch.replaceFrames(of: made.info, with: made.sparse, newestBefore: made.newestBefore)
                for index in made.lastEntries {
                    _ = batch.deletePointers(from: index, upTo: index.next, of: made.group)
                }
                try batch.commit(durability: .buffered)
            }
        } catch {
            core.fail(error, during: "replace segments by a compacted one")
            throw error
        }
    }
}

extension IndexBatch {
    /// Makes the frames of a compacted segment findable instead of those it replaced; without these entries reads begin at
    /// its start.
    ///
    /// `newestBefore` is the newest timestamp of all segments before this one: what the time index has of this segment's entries
    /// is not older. Sees committed records only.
    mutating func replaceFrames(
        of info: SegmentInfo, with sparse: [SparseEntry], newestBefore: Int64
    ) throws(IndexError) {
        let group = info.segment.group
        let (base, last) = (info.segment.base, info.lastIndex)
        let (from, upTo) = (KeySpace.number(info.baseOffset), KeySpace.number(info.endOffset))
        if from < upTo { try delete(in: .offsetIndex, over: KeySpace.range(of: group, from: from, upTo: upTo)) }
        var newest = newestBefore
        let family = IndexFamily.timeIndex
        let start = KeySpace.ordered(max(0, newestBefore))
        try index.forEach(in: family, over: KeySpace.range(of: group, from: start), fillsCache: false) {
            key, value throws(RecordDamage) in
            let entry = try FrameReference(decoding: value).index
            guard entry <= last else { return false }
            if entry >= base { batch.delete(key, in: family.family) }
            return true
        }
        for entry in sparse {
            let at = SegmentPosition(segment: info.segment.name, position: entry.position)
            putOffsetIndex(
                OffsetIndexEntry(
                    offset: entry.offset, index: entry.index, at: at, segmentMaxTimestamp: entry.maxTimestamp),
                of: group)
            newest = max(newest, entry.maxTimestamp ?? -1)
            guard newest >= 0 else { continue }
            putTimeIndex(
                TimeIndexEntry(maxTimestampSoFar: newest, offset: entry.offset, index: entry.index, at: at), of: group)
        }
    }
}
