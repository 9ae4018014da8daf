// SPDX-License-Identifier: Apache-2.0
//
// World+Keys.swift
// Key compaction on the production store: every replica makes passes of its own, whenever it likes, over what it knows to be
// committed, and must hold the newest record of each key at any time.

internal import LogStore
internal import Model
internal import NIOCore
internal import Raft
internal import Records

extension World {
    // MARK: - Passes

    /// One replica looks whether its log is to be compacted, or closes a segment for the next time.
    func compactKeys(_ group: Int) {
        let node = nodes[Int.random(in: 0..<nodes.count, using: &workRandom)]
        guard node.isUp, !node.isDoomed, node.pausedUntil <= now, let production = node.production,
            let log = production.logs[group] as? PartitionLog, let core = node.replicas[group].core,
            !node.replicas[group].isInstalling
        else { return }
        production.clock.set(now)
        if chance(100, &workRandom) { log.roll() }
        let keys = keyHistory(group)
        let limit = min(core.committedIndex, core.flushedIndex, keys.through)
        let settings = CompactionSettings(
            dirtyRatioMin: Bool.random(using: &workRandom) ? 0 : 0.5,
            deleteRetentionMilliseconds: production.plan.deleteRetention)
        let begins = log.compactIfDue(now: production.clock.clock.wallTime(), settings: settings) {
            keys.bounds(at: limit)
        }
        guard begins else { return }
        trace("\(node.id)/\(group): compacts keys up to \(limit)")
        note("keys: a pass")
        production.unreported[group].compactsThrough = max(production.unreported[group].compactsThrough, limit)
    }

    /// Listens to what compaction does to a log.
    func followKeys(_ log: PartitionLog, _ node: Node, _ group: Int) {
        let life = node.life
        log.onSegmentsReplaced = { [weak self, weak log] in
            guard let self, let log, node.life == life, !node.isDoomed else { return }
            segmentsReplaced(log, node, group)
        }
        log.onCompacted = { [weak self] outcome in
            guard let self, node.life == life else { return }
            switch outcome {
            case .success(let done): note(done.recordsRemoved > 0 ? "keys: records removed" : "keys: nothing removed")
            case .failure(let error): note("keys: a pass failed, \(error.kind)")
            }
        }
        log.onMarkersRemoved = { [weak self] _ in self?.note("keys: markers removed") }
        node.unchecked.insert(group)
    }

    /// Entries cannot be given one by one any more: to consensus the log begins behind them.
    private func segmentsReplaced(_ log: PartitionLog, _ node: Node, _ group: Int) {
        note("keys: segments replaced")
        node.unchecked.insert(group)
        noteBase(of: log, node, group)
    }

    /// Lets the oracle know where the log begins, which compaction and installations of compacted logs move.
    func noteBase(of log: PartitionLog, _ node: Node, _ group: Int) {
        let through = log.firstIndex.previous
        guard through > node.store.mirror[group].base.index else { return }
        trace("\(node.id)/\(group): begins behind \(through), compacted")
        node.store.mirror[group].apply(.trim(through))
        run(node, group) { core, _ in
            core.compacted(through: min(through, core.committedIndex, core.flushedIndex))
        }
    }

    // MARK: - Checks

    /// What is committed in a group, up to now.
    private func keyHistory(_ group: Int) -> KeyHistory {
        if let production = nodes[0].production { keys[group].extend(histories[group], production.ledgers[group]) }
        return keys[group]
    }

    /// Looks at logs in which something has changed.
    func checkChangedKeys(_ node: Node) {
        let changed = node.unchecked.sorted()
        node.unchecked = []
        for group in changed where violation == nil { checkKeys(node, group) }
    }

    /// Reads all of a log and compares it with what is committed (K1 to K5).
    func checkKeys(_ node: Node, _ group: Int) {
        guard node.isUp, !node.isDoomed, let production = node.production, node.replicas[group].core != nil,
            let log = production.logs[group] as? PartitionLog, !node.replicas[group].isInstalling
        else { return }
        let keys = keyHistory(group)
        let mirror = node.store.mirror[group]
        var limit = min(keys.through, mirror.last)
        // What another leader made is not committed, or not what is.
        while limit > mirror.base.index, mirror.chain(at: limit) != histories[group].chain(at: limit) {
            limit = limit.previous
        }
        let (start, end) = (log.logStartOffset, keys.stable(at: limit))
        guard start < end, let batches = production.readBatches(log, from: start, upTo: end) else { return }
        let time = production.clock.clock.wallTime().milliseconds
        let problem = keys.check(
            batches, from: start, upTo: end, now: time, retention: production.plan.deleteRetention)
        if let problem { fail("\(problem) (node \(node.id), group \(group))") }
        note("keys: a log compared")
    }
}

extension ProductionStore {
    /// All batches between two offsets, as a consumer reads them; nil when a read fails.
    func readBatches(_ log: PartitionLog, from start: Offset, upTo end: Offset) -> [RecordBatch]? {
        var batches: [RecordBatch] = []
        var next = start
        while next < end {
            var answer: Result<ReadResult, StoreError>?
            log.read(from: next, upTo: end, maxBytes: 4_000) { answer = $0 }
            while answer == nil {
                let didRead = steps?.run(.read) ?? false
                guard didRead || loop.hasWork else { return nil }
                loop.turn()
            }
            guard case .success(let result) = answer, result.nextOffset > next else { return nil }
            for slice in result.slices {
                guard let found = try? RecordBatch.batches(in: slice) else { return nil }
                batches += found
            }
            next = result.nextOffset
        }
        return batches
    }
}
