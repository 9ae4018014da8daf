// SPDX-License-Identifier: Apache-2.0
//
// JournalReplay.swift
// Brings what was durable in the journal only to its place, before any group is opened. Doing it twice changes nothing.

internal import Model
internal import NIOCore
internal import RocksKV

/// Applies journal items to segments and the index.
struct JournalReplay: ~Copyable {
    private let core: StoreCore
    private var batch: IndexBatch
    private var writer = FrameWriter()
    private var metas: [GroupID: GroupMeta?] = [:]
    private var terms: [GroupID: Term] = [:]
    /// The last entry of each group that the index knows, or that was brought to its place.
    private var tips: [GroupID: LogIndex] = [:]
    private var segments: [SegmentKey: Segment] = [:]
    private var frames: [SealedFrame] = []
    private var bytes = 0
    /// The first entry of each group that was written again.
    private(set) var firstReplayed: [GroupID: LogIndex] = [:]
    /// Frames that were applied.
    private(set) var frameCount = 0

    private struct SegmentKey: Hashable {
        let group: GroupID
        let base: LogIndex
    }

    /// How much is gathered before it is written.
    private static let gatheredBytesMax = 8 << 20

    init(_ core: StoreCore) throws(StoreError) {
        self.core = core
        batch = try indexed { () throws(IndexError) in try core.index.makeBatch() }
    }

    /// Takes one item; items come in the order they were journaled.
    mutating func apply(_ item: JournalItem) throws(StoreError) {
        switch item {
        case .hardState(let group, let state):
            if try meta(of: group) != nil { batch.putHardState(state, of: group) }
        case .frame(let header, let payload, let base, let position):
            // A group without facts was deleted; entries before the first index were let go.
            guard let meta = try meta(of: header.group), header.index >= meta.firstIndex else { return }
            try add(header, payload, base, position, meta)
        }
    }

    private mutating func meta(of group: GroupID) throws(StoreError) -> GroupMeta? {
        if let known = metas[group] { return known }
        let meta = try indexed { () throws(IndexError) in try core.index.groupMeta(of: group) }
        metas[group] = .some(meta)
        let last = try indexed { () throws(IndexError) in try core.index.termStarts(of: group) }.last
        terms[group] = last?.term ?? .zero
        let pointer = try indexed { () throws(IndexError) in try core.index.lastPointer(of: group) }
        tips[group] = max(pointer?.index ?? .zero, meta?.firstIndex.previous ?? .zero)
        return meta
    }

    private mutating func add(
        _ header: FrameHeader, _ payload: ByteBuffer, _ base: LogIndex?, _ position: UInt32, _ meta: GroupMeta
    ) throws(StoreError) {
        let group = header.group
        let startsTerm = header.term > (terms[group] ?? .zero)
        if startsTerm { terms[group] = header.term }
        firstReplayed[group] = min(firstReplayed[group] ?? header.index, header.index)
        let meta = base == nil ? meta : noteGap(before: header, meta)
        frames.append(
            SealedFrame(
                handle: nil, generation: 0, segment: base.map { segment(group, $0, header.salt) }, position: position,
                header: header, payload: payload, isIndexed: false, maxTimestampSoFar: -1, startsTerm: startsTerm,
                meta: withConfiguration(header, payload, meta)))
        frameCount += 1
        bytes += header.frameBytes
        if bytes > Self.gatheredBytesMax { try write() }
    }

    /// Notes that the index lost frames that are in their segment; those behind them would hide that.
    ///
    /// The note is committed with them, or before.
    private mutating func noteGap(before header: FrameHeader, _ meta: GroupMeta) -> GroupMeta {
        let group = header.group
        let tip = tips[group] ?? .zero
        tips[group] = max(tip, header.index)
        guard header.index > tip.next, !core.mutates(.scanTrustsIndex) else { return meta }
        var changed = meta
        changed.unindexedFrom = min(meta.unindexedFrom ?? tip.next, tip.next)
        metas[group] = .some(changed)
        batch.putGroupMeta(changed, of: group)
        return changed
    }

    /// The group's facts with the configuration that a frame holds; nil when it holds none that is new.
    private mutating func withConfiguration(
        _ header: FrameHeader, _ payload: ByteBuffer, _ meta: GroupMeta
    ) -> GroupMeta? {
        guard header.kind == .configuration else { return nil }
        var history = [ConfigurationRecord](decoding: meta.configurations) ?? []
        guard header.index > (history.last?.index ?? .zero) else { return nil }
        history.append(ConfigurationRecord(index: header.index, bytes: Array(payload.readableBytesView)))
        var changed = meta
        changed.configurations = history.encoded
        metas[header.group] = .some(changed)
        return changed
    }

    private mutating func segment(_ group: GroupID, _ base: LogIndex, _ salt: UInt64) -> Segment {
        let key = SegmentKey(group: group, base: base)
        if let known = segments[key] { return known }
        let made = Segment(group: group, base: base, salt: salt, root: core.settings.directory)
        segments[key] = made
        return made
    }

    private mutating func write() throws(StoreError) {
        for (segment, frames) in frames.groupedBySegment() {
            let end = frames.reduce(0) { max($0, $1.endPosition) }
            let file = try core.files.writing(segment, upTo: end)
            _ = try writer.write(frames, to: file)
        }
        // The journal made them durable, and keeps them until the segments are flushed.
        for frame in frames { batch.putFrame(frame) }
        do throws(IndexError) { try batch.commit(durability: .buffered) } catch { throw StoreError(error) }
        frames.removeAll(keepingCapacity: true)
        bytes = 0
    }

    /// Makes everything durable where it belongs; the journal can be overwritten from `next` on.
    mutating func finish(next: UInt64) throws(StoreError) {
        try write()
        let written = segments.values.sorted { ($0.group.rawValue, $0.base) < ($1.group.rawValue, $1.base) }
        for segment in written { try core.files.reading(segment).flush() }
        try core.files.nameDurably(written)
        batch.putJournalApplied(JournalPosition(rawValue: next))
        do throws(IndexError) { try batch.commit(durability: .synced) } catch { throw StoreError(error) }
    }
}
