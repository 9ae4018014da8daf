// SPDX-License-Identifier: Apache-2.0
//
// World+ProductionWork.swift
// What replicas do with the production store besides Raft's writes: catch-up reads, consumers, retention, compaction of
// commands, snapshots of producers.

internal import LogStore
internal import Model
internal import Raft

extension World {
    /// Loads entries for a peer.
    func loadProduction(_ request: Raft.EntriesRequest, _ node: Node, _ production: ProductionStore, _ group: Int) {
        guard let log = production.logs[group] else { return }
        let life = node.life
        log.readEntries(from: request.from, through: request.through, maxBytes: request.bytesMax) {
            [weak self] answer in
            guard let self, node.life == life, !node.isDoomed else { return }
            switch answer {
            case .failure(let error):
                trace("\(node.id)/\(group): entries from \(request.from) on: \(error)")
                run(node, group) { $0.entriesUnavailable(request, into: &$1) }
                if case .corrupt(let corruption) = error { foundDamage(corruption, node, production, group) }
            case .success(let stored): loaded(stored.map(EntryBytes.init), request, node, production, group)
            }
        }
    }

    private func loaded(
        _ stored: [EntryBytes], _ request: Raft.EntriesRequest, _ node: Node, _ production: ProductionStore,
        _ group: Int
    ) {
        var entries: [Entry] = []
        var bytes = 0
        for (place, found) in stored.enumerated() {
            guard let record = production.ledgers[group].record(found.index, found.term), record.stored == found,
                found.index == request.from + place
            else {
                return fail(
                    "S10: node \(node.id) reads entry \(found.index) of group \(group), which is not what was stored")
            }
            if !entries.isEmpty && bytes + record.entry.byteCount > request.bytesMax { break }
            entries.append(record.entry)
            bytes += record.entry.byteCount
        }
        run(node, group) { core, directives in
            if entries.isEmpty {
                core.entriesUnavailable(request, into: &directives)
            } else {
                core.entriesLoaded(request, entries: entries, into: &directives)
            }
        }
    }

    /// Removes what is committed and old from one log, now and then only as far as every member has it.
    func compactProduction(_ node: Node, _ production: ProductionStore, _ group: Int) {
        guard let core = node.replicas[group].core, let log = production.logs[group], !node.isDoomed,
            !node.replicas[group].isInstalling
        else { return }
        var limit = min(core.committedIndex, core.flushedIndex)
        // Those who have not come so far are given a snapshot.
        if Bool.random(using: &workRandom) {
            for id in core.configuration.members { limit = min(limit, self.node(id).store.durable[group].last) }
        }
        let former = log.firstIndex
        guard limit >= former, node.store.mirror[group].chain(at: limit) != nil else { return }
        let life = node.life
        do throws(StoreError) {
            if let partition = log as? PartitionLog {
                try retain(partition, upTo: limit, node, production, group)
            } else {
                try compactCommands(log, upTo: limit, node, production, group)
            }
        } catch {
            return doom(node, life, "\(error)")
        }
        guard log.firstIndex > former else { return }
        let through = log.firstIndex.previous
        trace("\(node.id)/\(group): begins behind \(through)")
        note(production.plan.isCommands(group) ? "operation: commands compacted" : "operation: segments deleted")
        production.unreported[group].bases.append(through)
        node.store.mirror[group].apply(.trim(through))
        run(node, group) { core, _ in core.compacted(through: through) }
    }

    private func retain(
        _ log: PartitionLog, upTo limit: LogIndex, _ node: Node, _ production: ProductionStore, _ group: Int
    ) throws(StoreError) {
        guard let term = node.store.mirror[group].term(at: limit),
            let stored = production.ledgers[group].record(limit, term)?.stored
        else { return }
        let end = stored.baseOffset + Int(stored.recordCount)
        switch Int.random(in: 0..<4, using: &workRandom) {
        case 0: log.roll()
        case 1:
            let chain = node.store.mirror[group].lastChain
            log.saveProducerSnapshot(Self.bytes(chain), at: log.logEndOffset)
        case 2: try log.trim(to: max(end, log.logStartOffset), committed: limit)
        default:
            try log.applyRetention(
                now: production.clock.clock.wallTime(), retentionMilliseconds: nil,
                retentionBytes: Int.random(in: 0...20_000, using: &workRandom), upTo: end, committed: limit)
        }
    }

    /// The state that stands for the commands goes into the index first (rule R7).
    private func compactCommands(
        _ log: any GroupLog, upTo limit: LogIndex, _ node: Node, _ production: ProductionStore, _ group: Int
    ) throws(StoreError) {
        guard let store = production.store, let term = node.store.mirror[group].term(at: limit),
            let chain = node.store.mirror[group].chain(at: limit)
        else { return }
        do throws(IndexError) {
            var batch = try store.metadata.makeBatch()
            batch.put(Self.key, Self.bytes(chain), in: .controller, of: log.id)
            batch.putApplied(AppliedPosition(index: limit, term: term), in: .controller, of: log.id)
            try batch.commitBuffered()
        } catch {
            throw .index("\(error)")
        }
        if Bool.random(using: &workRandom) { try log.compact(upTo: limit) }
    }

    private static let key: [UInt8] = [0x73]

    private static func bytes(_ chain: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: chain >> (8 * $0)) }
    }

    /// R7: what stands for dropped commands, and the snapshot of producers, fit the log.
    func checkApplied(
        _ node: Node, _ production: ProductionStore, _ group: Int, _ log: any GroupLog
    ) -> String? {
        let image = node.store.mirror[group]
        if let partition = log as? PartitionLog {
            guard let snapshot = partition.producerSnapshot else { return nil }
            guard snapshot.index <= image.last else {
                return "R7: producers at \(snapshot.index), the log of group \(group) ends at \(image.last)"
            }
            guard let chain = image.chain(at: snapshot.index) else { return nil }
            return snapshot.bytes == Self.bytes(chain) ? nil : "R7: producers at \(snapshot.index) of another log"
        }
        do throws(IndexError) {
            guard let store = production.store else { return nil }
            let applied = try store.metadata.applied(in: .controller, of: log.id)?.index ?? .zero
            if applied.next < log.firstIndex {
                return "R7: commands up to \(log.firstIndex.previous) are gone, applied \(applied)"
            }
            guard applied > .zero, let chain = histories[group].chain(at: applied) else { return nil }
            let value = try store.metadata.value(of: Self.key, in: .controller, of: log.id)
            return value == Self.bytes(chain) ? nil : "R7: the state applied up to \(applied) is another one"
        } catch {
            return "R7: \(error)"
        }
    }

    /// A consumer reads from a replica, from memory or from the disk (S10).
    func consume(_ group: Int) {
        let node = nodes[Int.random(in: 0..<nodes.count, using: &workRandom)]
        guard node.isUp, !node.isDoomed, node.pausedUntil <= now, let production = node.production,
            let log = production.logs[group] as? PartitionLog, node.replicas[group].core != nil,
            !node.replicas[group].isInstalling,
            log.logStartOffset < log.logEndOffset
        else { return }
        guard !production.plan.compactsKeys else { return checkKeys(node, group) }
        let end = log.logEndOffset
        let start = Int64.random(in: log.logStartOffset.rawValue..<end.rawValue, using: &workRandom)
        production.clock.set(now)
        let problem = production.consume(
            log, group, from: Offset(start), upTo: end, image: node.store.mirror[group])
        if let problem { fail("\(problem.text) (node \(node.id))") }
    }

    /// A replica starts anew in the same process: its files go, and a new log takes their place.
    func recreateProduction(_ node: Node, _ production: ProductionStore, _ group: Int, floor: Raft.Position?) {
        guard !node.isDoomed else { return }
        node.replicas[group] = Replica()
        node.returns[group] = Return(floor: floor)
        let life = node.life
        do throws(StoreError) {
            if let state = try comeBack(node, production, group) { startCore(node, group, state) }
        } catch {
            doom(node, life, "\(error)")
        }
    }

    /// Deletes what is stored of a replica and makes it anew; nil when a rule is broken.
    func comeBack(
        _ node: Node, _ production: ProductionStore, _ group: Int
    ) throws(StoreError) -> Raft.DurableState? {
        let floor = node.returns[group]?.floor
        let log = try production.recreateLog(
            group, floor: floor.map { JoinFloor(term: $0.term, index: $0.index) })
        guard log.lastIndex == .zero, log.firstIndex == LogIndex(1), log.hardState.term == .zero else {
            fail("S4: group \(group) was deleted on node \(node.id) and is back")
            return nil
        }
        node.returns[group] = nil
        node.behindSnapshot.remove(group)
        node.forgetful.remove(group)
        node.initial[group] = .empty
        node.store.mirror[group] = GroupImage(.empty, floor: floor)
        node.store.durable[group] = GroupImage(.empty, floor: floor)
        return durableState(of: log, initial: .empty)
    }
}
