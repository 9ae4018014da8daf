// SPDX-License-Identifier: Apache-2.0
//
// ShareWindowPropertyTests.swift
// Random histories of a share group in a partition against a model that knows every record for itself, with leaders
// that fail and go on from what was stored.

import KafkaProtocol
import Model
import Testing

@testable import Broker

/// A random history.
private struct ShareHistory {
    let limits = ShareWindow.Limits(recordsMax: 40, deliveriesMax: 4, lockMilliseconds: 50)
    var random: SeededRandom
    var now: Int64 = 0
    var log: [BatchExtent] = []
    var window: ShareWindow
    var model: ShareWindowModel
    var stored = ShareState(stateEpoch: 0, leaderEpoch: 0, startOffset: 0, batches: [])
    var writing: (number: Int, change: ShareStateChange)?
    var nextWrite = 1
    /// Accepted, and the member was told so.
    var confirmed: Set<Int64> = []
    var awaiting: [Int: Set<Int64>] = [:]

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        window = ShareWindow(startingAt: 0, [], limits: limits)
        model = ShareWindowModel(limits: limits)
    }

    var instant: Instant { Instant(nanoseconds: UInt64(now) * 1_000_000) }

    mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

    mutating func step() {
        now += Int64(number(0...8))
        switch number(0...11) {
        case 0...3: acquire()
        case 4...6: acknowledge()
        case 7: startWrite()
        case 8: endWrite()
        case 9: expire()
        case 10: leave()
        default: if number(0...3) == 0 { retain() } else if number(0...5) == 0 { fail() }
        }
        compare()
    }

    private mutating func grow() {
        let first = (log.last?.last ?? -1) + 1 + (number(0...5) == 0 ? Int64(number(1...3)) : 0)
        log.append(
            BatchExtent(first: first, last: first + Int64(number(0...9)), isDeliverable: number(0...6) > 0))
    }

    private var owner: String { ["a", "b", "c"][Int(now % 3)] }

    private mutating func acquire() {
        if number(0...1) == 0 || log.isEmpty { grow() }
        #expect(window.nextReadOffset == model.nextRead)
        guard window.hasRoom else { return }
        let offset = window.nextReadOffset
        let extents = Array(log.filter { $0.last >= offset }.prefix(number(1...4)))
        let (max, isStrict) = (number(1...15), number(0...1) == 0)
        let acquired = window.acquire(
            extents, from: offset, owner: owner, recordsMax: max, isStrict: isStrict, now: instant)
        let expected = model.acquire(
            extents, from: offset, owner: owner, max: max, isStrict: isStrict, now: instant)
        var found: [Int64: Int16] = [:]
        for range in acquired { for one in range.first...range.last { found[one] = range.deliveryCount } }
        #expect(found == expected)
        #expect(confirmed.isDisjoint(with: found.keys), "an accepted record is delivered again")
    }

    private mutating func acknowledge() {
        let known = Int(window.startOffset)...Int(max(window.startOffset, window.endOffset))
        let first = Int64(number(known))
        var types: [(Int64, ShareAcknowledgeType)] = []
        var offset = first
        for _ in 0..<number(1...8) {
            // Mostly what the member has.
            if model.records[offset]?.lock?.owner != owner, number(0...5) > 0 { break }
            types.append((offset, ShareAcknowledgeType.allCases[number(0...4)]))
            offset += 1
        }
        guard !types.isEmpty else { return }
        let word = ShareAcknowledgement(first: first, last: offset - 1, types: types.map(\.1.rawValue))
        let outcome = window.acknowledge(
            [word], by: owner, write: nextWrite, allowsRenewal: true, now: instant)
        let expected = model.acknowledge(types, owner: owner, write: nextWrite, now: instant)
        switch outcome {
        case .success(let admission):
            #expect(expected == admission.needsWrite)
            awaiting[nextWrite, default: []].formUnion(types.filter { $0.1 == .accept }.map(\.0))
        case .failure(let code): #expect(expected == nil && code == .invalidRecordState)
        }
    }

    private mutating func startWrite() {
        guard writing == nil, let content = window.makeWrite(nextWrite) else { return }
        #expect(content.startOffset >= window.startOffset)
        let change = ShareStateChange(
            key: ShareKey(groupID: "g", topicID: .zero, partition: 0), stateEpoch: 0, leaderEpoch: 0,
            number: UInt64(nextWrite), startOffset: content.startOffset, batches: content.batches)
        writing = (nextWrite, change)
        nextWrite += 1
    }

    private mutating func endWrite() {
        guard let (write, change) = writing else { return }
        writing = nil
        let isStored = number(0...3) > 0
        if isStored {
            #expect(stored.refusal(of: change) == nil)
            stored.apply(change)
            window.commit(write)
            confirmed.formUnion(awaiting.removeValue(forKey: write) ?? [])
        } else {
            window.rollBack(write)
            awaiting[write] = nil
        }
        model.settle(write, isStored: isStored)
    }

    private mutating func expire() {
        let now = instant
        _ = window.expireLocks(now: now)
        model.giveBack(wasDelivered: true) { $0.deadline <= now }
    }

    private mutating func leave() {
        let owner = owner
        _ = window.release(owner: owner)
        model.giveBack(wasDelivered: false) { $0.owner == owner }
    }

    private mutating func retain() {
        let offset = window.startOffset + Int64(number(0...6))
        guard offset <= (log.last?.last ?? -1) + 1 else { return }
        window.moveLogStart(to: offset)
        model.moveLogStart(to: offset)
    }

    /// The leader is gone: another one has what was stored, and perhaps what was on its way.
    private mutating func fail() {
        if let (_, change) = writing, number(0...1) == 0 { stored.apply(change) }
        writing = nil
        awaiting = [:]
        let logStart = window.logStart
        window = ShareWindow(startingAt: stored.startOffset, stored.batches, limits: limits)
        model = ShareWindowModel(limits: limits, start: stored.startOffset, end: stored.startOffset)
        for batch in stored.batches {
            while model.end < batch.firstOffset {
                model.records[model.end] = ModelRecord()
                model.end += 1
            }
            for offset in batch.firstOffset...batch.lastOffset {
                model.records[offset] = ModelRecord(state: batch.state, deliveryCount: batch.deliveryCount)
                model.end = offset + 1
            }
        }
        model.moveLogStart(to: 0)
        window.moveLogStart(to: logStart)
        model.moveLogStart(to: logStart)
        for (offset, record) in model.records where record.state == .available {
            #expect(!confirmed.contains(offset), "an accepted record is to be delivered again")
        }
    }

    private func compare() {
        #expect(window.startOffset == model.start && window.endOffset == model.end)
        var expected = window.startOffset
        for range in window.ranges {
            #expect(range.first == expected && range.last >= range.first)
            expected = range.last + 1
            for offset in range.first...range.last {
                let record = model.records[offset]
                #expect(record?.state == range.state && record?.lock == range.lock)
                #expect(record?.deliveryCount == range.deliveryCount)
            }
        }
        #expect(expected == window.endOffset)
        #expect(window.ranges.first?.isDone != true)
        #expect(window.lockedCount == model.records.values.filter { $0.lock != nil }.count)
        let waiting = model.records.values.compactMap { $0.lock }.filter { $0.pending == nil }
        #expect(window.nextDeadline == waiting.map(\.deadline).min())
    }
}

@Suite struct ShareWindowPropertyTests {
    @Test(arguments: 1...60 as ClosedRange<UInt64>)
    func aWindowDoesWhatTheModelDoes(seed: UInt64) {
        var history = ShareHistory(seed: seed)
        for _ in 0..<600 { history.step() }
    }

    /// The histories go somewhere, and not only by retention.
    @Test func recordsAreAcceptedInTheseHistories() {
        var lively = 0
        for seed in UInt64(1)...60 {
            var history = ShareHistory(seed: seed)
            for _ in 0..<600 { history.step() }
            if !history.confirmed.isEmpty { lively += 1 }
        }
        #expect(lively > 50)
    }
}
