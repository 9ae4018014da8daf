// SPDX-License-Identifier: Apache-2.0
//
// ShareState+Changes.swift
// How a partition's state in a share group takes over what its leader says. Pure.

import KafkaProtocol

extension ShareState {
    /// Ranges that one state may have: more than the 10,000 records that may be in flight at the highest setting can make, when
    /// a change that names each of them cuts as many ranges in two.
    ///
    /// A change that might exceed it is refused, and its leader ends.
    static let batchesMax = 32_000

    /// A partition of which nothing was delivered.
    static let initial = ShareState(stateEpoch: 0, leaderEpoch: -1, startOffset: -1, batches: [])

    /// Why `change` does not apply; nil when it does.
    func refusal(of change: ShareStateChange) -> KafkaErrorCode? {
        if change.leaderEpoch < leaderEpoch { return .fencedLeaderEpoch }
        if change.stateEpoch != stateEpoch { return .fencedStateEpoch }
        if change.leaderEpoch == leaderEpoch, change.number < lastChange { return .fencedStateEpoch }
        if change.startOffset < -1 || !change.hasOrderedBatches { return .invalidRequest }
        return batches.count + 2 * change.batches.count > Self.batchesMax ? .recordListTooLarge : nil
    }

    /// Whether a change was applied before: its sender did not hear of it.
    func hasApplied(_ change: ShareStateChange) -> Bool {
        change.stateEpoch == stateEpoch && change.leaderEpoch == leaderEpoch && change.number == lastChange
    }

    /// Writes of earlier leaders are refused from now on; the epoch is higher than any that was seen.
    mutating func lead(_ epoch: Int32) {
        leaderEpoch = epoch
        lastChange = 0
    }

    /// Takes over a change that ``refusal(of:)`` lets pass.
    ///
    /// Cost: one walk over the ranges of both.
    mutating func apply(_ change: ShareStateChange) {
        leaderEpoch = change.leaderEpoch
        lastChange = change.number
        startOffset = max(startOffset, change.startOffset)
        let merged = (Self.cut(batches, by: change.batches) + change.batches).sorted {
            $0.firstOffset < $1.firstOffset
        }
        batches = []
        for var batch in merged where batch.lastOffset >= startOffset {
            batch.firstOffset = max(batch.firstOffset, startOffset)
            append(batch)
        }
    }

    /// Begins anew at `offset`: whoever leads the partition has to read the state again.
    mutating func restart(at offset: Int64) {
        stateEpoch &+= 1
        startOffset = offset
        batches = []
    }

    /// How many records from the start offset on need no delivery any more.
    var doneCount: Int64 {
        batches.reduce(0) { $1.state == .available ? $0 : $0 + $1.lastOffset - $1.firstOffset + 1 }
    }

    /// Adds a range behind all others; neighbours that differ in nothing become one.
    private mutating func append(_ batch: ShareStateBatch) {
        if let last = batches.last, last.lastOffset + 1 == batch.firstOffset, last.state == batch.state,
            last.deliveryCount == batch.deliveryCount
        {
            batches[batches.count - 1].lastOffset = batch.lastOffset
        } else {
            batches.append(batch)
        }
    }

    /// What of `kept` lies outside of all `ranges`; both are in order and without overlaps.
    private static func cut(_ kept: [ShareStateBatch], by ranges: [ShareStateBatch]) -> [ShareStateBatch] {
        guard !ranges.isEmpty else { return kept }
        var result: [ShareStateBatch] = []
        var next = 0
        for batch in kept {
            var rest = batch
            var isGone = false
            while next < ranges.count, ranges[next].lastOffset < rest.firstOffset { next += 1 }
            var place = next
            while place < ranges.count, ranges[place].firstOffset <= rest.lastOffset {
                let range = ranges[place]
                if range.firstOffset > rest.firstOffset {
                    var head = rest
                    head.lastOffset = range.firstOffset - 1
                    result.append(head)
                }
                isGone = range.lastOffset >= rest.lastOffset
                if isGone { break }
                rest.firstOffset = range.lastOffset + 1
                place += 1
            }
            if !isGone { result.append(rest) }
        }
        return result
    }
}

extension ShareStateChange {
    /// Whether the ranges are ranges, by rising offset and without overlaps.
    fileprivate var hasOrderedBatches: Bool {
        var end: Int64 = -1
        for batch in batches {
            guard batch.firstOffset > end, batch.lastOffset >= batch.firstOffset, batch.lastOffset < .max,
                batch.deliveryCount >= 0
            else { return false }
            end = batch.lastOffset
        }
        return true
    }
}
