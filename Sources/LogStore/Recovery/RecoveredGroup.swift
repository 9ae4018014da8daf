// SPDX-License-Identifier: Apache-2.0
//
// RecoveredGroup.swift
// What recovery found of one group, on its way to the loop that will own its log.

public import Model

/// A recovered log that has no owner yet.
public struct RecoveredGroup: Sendable {
    /// The group.
    public let id: GroupID
    /// Its facts.
    public internal(set) var meta: GroupMeta
    /// Its term and vote: the term is at least that of the last entry (rule R2).
    public internal(set) var hardState: HardStateRecord
    /// The last entry.
    public internal(set) var lastIndex: LogIndex
    /// The term of that entry.
    public internal(set) var lastTerm: Term
    /// The offset after the last record.
    public internal(set) var logEndOffset: Offset
    /// The producers' state that was stored last.
    public internal(set) var producerSnapshot: ProducerSnapshot?
    /// Damage that was found.
    ///
    /// The log keeps its length and its terms; it must not lead, and what is damaged cannot be read.
    public internal(set) var damage: Corruption?
    /// Frames behind the last pointer that were found whole.
    public internal(set) var foundFrames = 0
    /// Bytes of a torn tail that were cut.
    public internal(set) var cutBytes = 0

    /// How the scan of each segment ended.
    package internal(set) var endings: [RecoveryCase] = []

    var settings = GroupLogSettings()
    var termStarts: [TermStart] = []
    var configurations: [ConfigurationRecord] = []
    var segments: [SegmentInfo] = []
    /// The checksum that the next frame's chain continues.
    var lastChecksum: UInt32 = 0
    var maxTimestamp: Int64 = -1
}

extension RecoveredGroup {
    /// A group whose entries are commands, as the index database has it.
    init(commands record: GroupRecord, meta known: GroupMeta) {
        var meta = known
        // The suffix went in the batch that wrote the marker.
        meta.cut = nil
        self.init(
            id: record.id, meta: meta, hardState: record.hardState ?? HardStateRecord(term: .zero, votedFor: nil),
            lastIndex: record.last?.index ?? meta.firstIndex.previous,
            lastTerm: record.last?.pointer.term ?? meta.previousTerm, logEndOffset: .zero)
        if lastIndex < meta.firstIndex {
            lastIndex = meta.firstIndex.previous
            lastTerm = meta.previousTerm
        }
        termStarts = record.termStarts
        configurations = [ConfigurationRecord](decoding: meta.configurations) ?? []
        if lastTerm > hardState.term { hardState = HardStateRecord(term: lastTerm, votedFor: nil) }
    }

    /// A segment that is not there, which nobody would notice who reads from one to the next.
    var hole: Corruption? {
        var next = meta.firstIndex
        for info in segments {
            if info.segment.base > next {
                return Corruption(
                    group: id, file: info.segment.directory, position: 0, index: next,
                    reason: "the segments of entries \(next) to \(info.segment.base.previous) are missing")
            }
            next = info.lastIndex.next
        }
        return nil
    }
}
