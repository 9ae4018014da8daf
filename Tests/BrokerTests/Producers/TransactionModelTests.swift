// SPDX-License-Identifier: Apache-2.0
//
// TransactionModelTests.swift
// What is visible to who reads committed records, against a model that reads the whole log again for every question:
// random transactions with markers, commits, cuts, snapshots and restarts.

import Model
import Records
import Testing

@testable import Broker

/// One batch of the model's log.
private enum Logged {
    case data(ProducerBatch)
    case marker(TransactionMarker, Offset)

    var baseOffset: Offset {
        switch self {
        case .data(let batch): batch.baseOffset
        case .marker(_, let offset): offset
        }
    }
    var nextOffset: Offset {
        switch self {
        case .data(let batch): batch.lastOffset + 1
        case .marker(_, let offset): offset + 1
        }
    }
}

/// A log and how much of it is committed.
private struct ModelLog {
    var entries: [Logged] = []
    var highWatermark = Offset.zero

    var endOffset: Offset { entries.last?.nextOffset ?? .zero }

    /// All transactions by their first offset; without `last` they are open.
    var transactions: [(producer: Int64, first: Int64, last: Int64?, isAborted: Bool)] {
        var all: [(producer: Int64, first: Int64, last: Int64?, isAborted: Bool)] = []
        for entry in entries {
            switch entry {
            case .data(let batch):
                let id = batch.producerID.rawValue
                guard batch.isTransactional, !all.contains(where: { $0.producer == id && $0.last == nil }) else {
                    continue
                }
                all.append((id, batch.baseOffset.rawValue, nil, false))
            case .marker(let marker, let offset):
                guard let at = all.firstIndex(where: { $0.producer == marker.producerID.rawValue && $0.last == nil })
                else { continue }
                all[at].last = offset.rawValue
                all[at].isAborted = marker.outcome == .abort
            }
        }
        return all
    }

    /// Where the first undecided transaction begins; nil when all below the high watermark are decided.
    var stable: Int64 {
        let undecided = transactions.filter { ($0.last ?? .max) >= highWatermark.rawValue }
        return min(undecided.map { $0.first }.min() ?? .max, highWatermark.rawValue)
    }

    func aborted(from: Int64, upTo: Int64) -> [[Int64]] {
        transactions.filter { $0.isAborted && ($0.last ?? 0) >= from && $0.first < upTo }.map {
            [$0.producer, $0.first]
        }
    }

    /// The batches from `from` on that count, below the last stable offset, from the log alone.
    func visible(from: Int64) -> [Int64] {
        let decided = transactions
        let end = stable
        return entries.compactMap { entry in
            guard case .data(let batch) = entry else { return nil }
            let offset = batch.baseOffset.rawValue
            guard offset >= from, offset < end else { return nil }
            let isAborted =
                batch.isTransactional
                && decided.contains {
                    $0.isAborted && $0.producer == batch.producerID.rawValue && $0.first <= offset
                        && ($0.last ?? .max) > offset
                }
            return isAborted ? nil : offset
        }
    }

    /// What a client makes of the batches of a fetch and the list that comes with it.
    func filtered(from: Int64, upTo: Int64, _ aborted: [AbortedTransaction]) -> [Int64] {
        var waiting = aborted[...]
        var active: Set<Int64> = []
        var seen: [Int64] = []
        for entry in entries where entry.baseOffset.rawValue >= from && entry.baseOffset.rawValue < upTo {
            while let next = waiting.first, next.firstOffset < entry.nextOffset.rawValue {
                active.insert(next.producerID)
                waiting.removeFirst()
            }
            switch entry {
            case .marker(let marker, _):
                if marker.outcome == .abort { active.remove(marker.producerID.rawValue) }
            case .data(let batch):
                if !batch.isTransactional || !active.contains(batch.producerID.rawValue) {
                    seen.append(batch.baseOffset.rawValue)
                }
            }
        }
        return seen
    }
}

@Suite struct TransactionModelTests {
    private static let now = WallTime(milliseconds: 5)

    private func replay(_ entries: some Sequence<Logged>, onto table: inout ProducerStateTable) {
        for entry in entries {
            switch entry {
            case .data(let batch): table.replay(batch, at: Self.now)
            case .marker(let marker, let offset): table.end(marker, at: offset, now: Self.now)
            }
        }
    }

    private func rebuilt(_ model: ModelLog) -> ProducerStateTable {
        var table = ProducerStateTable()
        replay(model.entries, onto: &table)
        table.commit(upTo: model.highWatermark)
        return table
    }

    /// Appends what `table` admits: the next batch of some producer, or a marker.
    private func append(to model: inout ModelLog, _ table: inout ProducerStateTable, _ random: inout SeededRandom) {
        let producer = Int64.random(in: 0..<5, using: &random)
        let entry = table.producers[producer]
        let epoch = entry?.epoch ?? 0
        if Int.random(in: 0..<4, using: &random) == 0 {
            let version: Int8 = producer.isMultiple(of: 2) ? 1 : 2
            let raise: Int16 = version == 2 || Int.random(in: 0..<5, using: &random) == 0 ? 1 : 0
            let end = marker(
                Bool.random(using: &random) ? .abort : .commit, producer, epoch: epoch + raise,
                coordinator: Int32.random(in: 0..<3, using: &random), version: version)
            guard table.check(end) == .append else { return }
            table.end(end, at: model.endOffset, now: Self.now)
            model.entries.append(.marker(end, model.endOffset))
            return
        }
        let next = entry.map { $0.newest.map { ProducerSequence.advanced($0.lastSequence, by: 1) } ?? $0.awaited } ?? 0
        var data = batch(
            producer, epoch: epoch, sequence: next, count: Int32.random(in: 1...3, using: &random),
            offset: model.endOffset.rawValue)
        data.isTransactional = Int.random(in: 0..<5, using: &random) > 0
        data.enrolsPartition = data.isTransactional && Bool.random(using: &random)
        switch table.check(data) {
        case .append, .verify:
            table.record(data, at: Self.now)
            model.entries.append(.data(data))
        case .verifyBehindOpen: Issue.record("a batch of the current epoch waits for no marker")
        case .duplicate, .error: break
        }
    }

    private func compare(_ model: ModelLog, _ table: inout ProducerStateTable, _ random: inout SeededRandom) {
        let stable = min(table.transactions.firstUnstable() ?? .max, model.highWatermark.rawValue)
        #expect(stable == model.stable)
        let from = Int64.random(in: 0...max(0, stable), using: &random)
        let upTo = Int64.random(in: from...max(from, stable), using: &random)
        let found = table.transactions.aborted(from: Offset(from), upTo: Offset(upTo))
        if from < upTo {
            #expect(found.map { [$0.producerID, $0.firstOffset] } == model.aborted(from: from, upTo: upTo))
        }
        // A client that reads from a batch on sees what the log says.
        let start = model.entries.first { $0.baseOffset.rawValue >= from }?.baseOffset.rawValue ?? from
        let all = table.transactions.aborted(from: Offset(start), upTo: Offset(stable))
        #expect(model.filtered(from: start, upTo: stable, all) == model.visible(from: start))
    }

    @Test(arguments: 0..<30 as Range<UInt64>)
    func whatIsVisibleIsWhatTheLogSays(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        var model = ModelLog()
        var table = ProducerStateTable()
        for _ in 0..<300 {
            append(to: &model, &table, &random)
            switch Int.random(in: 0..<24, using: &random) {
            case 0..<6:
                // Some more is committed.
                let kept = model.entries.filter { $0.nextOffset > model.highWatermark }.randomElement(using: &random)
                model.highWatermark = kept?.nextOffset ?? model.highWatermark
                table.commit(upTo: model.highWatermark)
            case 6, 7:
                // A cut, or a frame that the log did not take.
                let uncommitted = model.entries.count { $0.baseOffset >= model.highWatermark }
                model.entries.removeLast(Int.random(in: 0...uncommitted, using: &random))
                if table.truncate(to: model.endOffset) == .needsRebuild {
                    table = rebuilt(model)
                }
            case 8:
                // A restart, on the snapshot of some committed end.
                let ends = [Offset.zero] + model.entries.map(\.nextOffset).filter { $0 <= model.highWatermark }
                let end = ends.last ?? .zero
                var restored = try ProducerStateTable(decoding: table.encodeSnapshot(upTo: end))
                replay(model.entries.filter { $0.baseOffset >= end }, onto: &restored)
                restored.commit(upTo: model.highWatermark)
                table = restored
            default: break
            }
            compare(model, &table, &random)
        }
        #expect(model.transactions.count > 5)
    }

    /// What a frame that was refused held is as if it had never been: a leader goes on with what it has.
    @Test(arguments: 100..<120 as Range<UInt64>)
    func whatIsTakenBackIsForgotten(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var model = ModelLog()
        var table = ProducerStateTable()
        for _ in 0..<200 {
            append(to: &model, &table, &random)
            compare(model, &table, &random)
            guard Int.random(in: 0..<10, using: &random) == 0 else { continue }
            let before = (model, table)
            for _ in 0..<Int.random(in: 1...6, using: &random) { append(to: &model, &table, &random) }
            _ = table.takeBack(from: before.0.endOffset)
            model = before.0
            compare(model, &table, &random)
            #expect(table.transactions.open == before.1.transactions.open)
            for (id, entry) in before.1.producers { #expect(table.producers[id]?.epoch == entry.epoch) }
            table = rebuilt(model)
        }
    }
}
