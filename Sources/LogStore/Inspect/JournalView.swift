// SPDX-License-Identifier: Apache-2.0
//
// JournalView.swift
// What is durable in the journal and may not be in the segments yet, as an overlay on them. The inspector's replay: it
// remembers instead of writing.

internal import Model
internal import NIOCore

/// A frame that is durable in the journal.
struct JournalFrame: Sendable {
    let header: FrameHeader
    /// The segment it belongs to; nil for a command.
    let base: LogIndex?
    let position: Int
    /// The stored bytes, kept for the group of interest only.
    let payload: ByteBuffer?
    /// What is wrong with the batches in it.
    let fault: String?
}

/// The part of the journal that was not checkpointed.
///
/// Memory: about 150 bytes for each frame in it, and the payloads of one group at most; the ring bounds both.
struct JournalView: Sendable {
    /// The first block that replay would read.
    let applied: UInt64
    /// The frames of each group; their indices rise.
    private(set) var frames: [GroupID: [JournalFrame]] = [:]
    /// The newest terms and votes.
    private(set) var hardStates: [GroupID: HardStateRecord] = [:]
    /// The sequence that the next block will have.
    private(set) var nextSequence: UInt64
    /// Blocks that were read.
    private(set) var blocks = 0
    /// Whether the last block is torn.
    private(set) var endsTorn = false
    /// A block that cannot be read, although others follow it.
    private(set) var damage: Corruption?
    /// Bytes of the frames that were read.
    private(set) var bytes = 0

    /// A view of nothing.
    init(applied: UInt64) {
        self.applied = applied
        nextSequence = applied
    }

    /// Reads the blocks from `applied` on; with `check` the batches in them too.
    ///
    /// Damage is noted, not thrown: what stands before it is kept.
    init(
        _ journal: JournalReader, from applied: UInt64, keeping kept: GroupID?, check: PayloadCheck?
    ) throws(StoreError) {
        self.init(applied: applied)
        var view = self
        do throws(StoreError) {
            let outcome = try journal.read(from: applied) { item throws(StoreError) in
                view.take(item, kept, check)
            }
            view.nextSequence = outcome.nextSequence
            view.blocks = outcome.blocks
            view.endsTorn = outcome.endsTorn
        } catch {
            guard case .corrupt(let damage) = error else { throw error }
            view.damage = damage
        }
        self = view
    }

    private mutating func take(_ item: JournalItem, _ kept: GroupID?, _ check: PayloadCheck?) {
        switch item {
        case .hardState(let group, let state): hardStates[group] = state
        case .frame(let header, let payload, let base, let position):
            bytes += header.frameBytes
            let copy = header.group == kept ? ByteBuffer(bytes: payload.readableBytesView) : nil
            let frame = JournalFrame(
                header: header, base: base, position: Int(position), payload: copy,
                fault: check?.fault(of: header, payload))
            // An entry that is written again replaces what followed the old one.
            while let last = frames[header.group]?.last, last.header.index >= header.index {
                frames[header.group]?.removeLast()
            }
            frames[header.group, default: []].append(frame)
        }
    }

    /// The frame of the entry `index`.
    func frame(of group: GroupID, at index: LogIndex) -> JournalFrame? {
        guard let frames = frames[group] else { return nil }
        let place = frames.partitioningIndex { $0.header.index >= index }
        return place < frames.count && frames[place].header.index == index ? frames[place] : nil
    }

    /// The first frame behind the entry `index` that belongs to the segment `base`.
    func firstFrame(of group: GroupID, behind index: LogIndex, in base: LogIndex) -> JournalFrame? {
        frames[group]?.first { $0.header.index > index && $0.base == base }
    }

    /// The last entry of `group` in the journal.
    func lastIndex(of group: GroupID) -> LogIndex? { frames[group]?.last?.header.index }

    /// How many frames there are.
    var frameCount: Int { frames.values.reduce(0) { $0 + $1.count } }
}
