// SPDX-License-Identifier: Apache-2.0
//
// World+ProductionFaults.swift
// Damage to the files of the production store, clean stops, scrubbing, and the last look at all bytes.

internal import LogStore
internal import Model
internal import Raft

extension World {
    // MARK: - Stops

    /// Stops a process as its operator does: everything is done first, and the next start must find all of it.
    func stopCleanly(_ node: Node, _ production: ProductionStore) {
        trace("\(node.id): stops")
        noteSnapshots(atEndOf: node)
        // What an earlier life of a replica out of service had asked for, this one does not write.
        let served = node.replicas.indices.filter { node.replicas[$0].core != nil }
        for group in node.replicas.indices { node.replicas[group] = Replica() }
        node.life += 1
        let isWell = !node.isDoomed
        check(production.close())
        if isWell, !production.hasFailed, !production.disk.isDead, !node.isDiskFull {
            for group in served where !node.store.mirror[group].isAmnesiac {
                // What was appended is written, whoever was told.
                for step in production.unreported[group].steps { node.store.durable[group].apply(step) }
                if let state = production.unreported[group].hardStates.last {
                    node.store.durable[group].apply(.hardState(state))
                }
                production.unreported[group].steps = []
                production.unreported[group].hardStates = []
            }
        }
        production.disk.end(nil)
        ended(node)
        note("fault: clean stop")
    }

    // MARK: - Damage

    /// Damages what a disk holds; returns how bad it is, nil when nothing was damaged.
    func damageProduction(_ node: Node, _ production: ProductionStore, _ kind: Faults) -> DiskHealth? {
        switch kind {
        case .bitFlip, .lostWrite, .misdirected:
            return damageFrame(node, production, kind) ? .damaged : nil
        case .journalDamage:
            if Bool.random(using: &faultRandom) { return restoreIndex(node, production) ? .lost : nil }
            return damageJournal(node, production) ? .lost : nil
        default:
            crash(node, isPowerLoss: true)
            loseDisk(node, production)
            queue.add(.restart(node: node.number), at: now + plan.tick)
            return .lost
        }
    }

    /// Picks a durable frame that a pointer proves, and changes its bytes.
    private func damageFrame(_ node: Node, _ production: ProductionStore, _ kind: Faults) -> Bool {
        let group = Int.random(in: 0..<plan.groups, using: &faultRandom)
        guard node.isUp, let store = production.store, store.failure == nil, !production.plan.isCommands(group),
            !production.disk.isFull, !node.store.mirror[group].isAmnesiac, !node.replicas[group].isDamaged
        else { return false }
        store.checkpoint()
        // What recovery found is proven by pointers that no checkpoint syncs before the next append.
        guard (try? store.metadata.syncWAL()) != nil else { return false }
        let durable = node.store.durable[group]
        let id = production.plan.id(of: group)
        let prefix = "/store/groups/\(id.rawValue)/"
        let paths = production.disk.paths.filter { $0.hasPrefix(prefix) }
        guard !paths.isEmpty, let path = paths.randomElement(using: &faultRandom),
            let bytes = production.disk.bytes(of: path)
        else { return false }
        let frames = StoredFrame.all(in: bytes, of: id).filter { frame in
            durable.frame(at: LogIndex(frame.index)).map { $0.entry.term.rawValue == frame.term } ?? false
        }
        guard let frame = frames.randomElement(using: &faultRandom),
            let chain = durable.chain(at: LogIndex(frame.index))
        else { return false }
        let other = frames.randomElement(using: &faultRandom)
        let offset = Int.random(in: 0..<(96 + frame.storedLength), using: &faultRandom)
        let bit = UInt8(1) << UInt8.random(in: 0..<8, using: &faultRandom)
        production.disk.damage(path) { bytes in
            switch kind {
            case .bitFlip: bytes[frame.position + (offset < 96 ? offset : offset + frame.lead)] ^= bit
            case .lostWrite: for place in frame.position..<min(frame.end, bytes.count) { bytes[place] = 0 }
            default:
                // The bytes of another frame, or of nothing, in the place of this one.
                let source = other?.position == frame.position ? nil : other
                for place in frame.position..<min(frame.end, bytes.count) {
                    let from = source.map { $0.position + place - frame.position }
                    bytes[place] = from.flatMap { $0 < bytes.count ? bytes[$0] : nil } ?? 0xAA
                }
            }
        }
        trace("\(node.id)/\(group): \(kind.text) at entry \(frame.index)")
        production.damaged.append(DamagedPlace(group: group, index: LogIndex(frame.index), chain: chain))
        return true
    }

    /// Makes a block of the journal unreadable that is not the last one: nothing on one disk tells the loss of that one
    /// from a flush that never completed.
    private func damageJournal(_ node: Node, _ production: ProductionStore) -> Bool {
        var blocks: [(path: String, position: Int, sequence: UInt64)] = []
        for path in production.disk.paths where path.hasPrefix("/store/journal/") {
            guard let bytes = production.disk.bytes(of: path) else { continue }
            for position in stride(from: 0, to: bytes.count, by: 4_096) {
                if let sequence = StoredFrame.journalSequence(bytes, at: position) {
                    blocks.append((path, position, sequence))
                }
            }
        }
        guard let last = blocks.map(\.sequence).max() else { return false }
        let candidates = blocks.filter { $0.sequence < last && $0.sequence + 6 > last }
        guard let block = candidates.randomElement(using: &faultRandom) else { return false }
        crash(node, isPowerLoss: true)
        production.disk.damage(block.path) { $0[block.position + 16] ^= 0x40 }
        production.isJournalDamaged = true
        trace("\(node.id): journal block \(block.sequence) of \(last) damaged")
        queue.add(.restart(node: node.number), at: now + plan.tick)
        return true
    }

    /// Puts an index back that was set aside a while ago: the store must notice.
    private func restoreIndex(_ node: Node, _ production: ProductionStore) -> Bool {
        // What was synced since the last mark is not missed: without a journal, votes are; the mark is noted now and
        // then.
        guard let former = production.formerIndex, let marked = production.markedSequence, former.sequence < marked
        else {
            return false
        }
        crash(node, isPowerLoss: true)
        trace("\(node.id): the index is an old one")
        note("fault: old index")
        production.medium.restore(former)
        // Of a group that it does not know, the files tell. One without any begins anew; that it may not, only we know.
        production.traced = Set(
            node.replicas.indices.filter { group in
                let id = production.plan.id(of: group)
                return former.knows(id)
                    || production.disk.paths.contains { $0.hasPrefix("/store/groups/\(id.rawValue)/") }
            })
        if node.replicas.indices.contains(where: { !former.knows(production.plan.id(of: $0)) }) {
            note("fault: index older than a group")
        }
        // The journal may not reach back so far.
        production.isJournalDamaged = true
        production.isIndexOld = true
        production.formerIndex = nil
        queue.add(.restart(node: node.number), at: now + plan.tick)
        return true
    }

    /// Reads everything; what is damaged is found and taken out of service.
    func scrubProduction(_ node: Node, _ production: ProductionStore) {
        guard node.isUp, !node.isDoomed, production.store?.failure == nil else { return }
        if production.formerIndex == nil { production.formerIndex = production.medium.durable }
        for group in node.replicas.indices {
            guard !node.store.mirror[group].isAmnesiac, node.replicas[group].core != nil,
                let log = production.logs[group]
            else { continue }
            guard case .failure(let error) = production.readAll(log), node.isUp, !node.isDoomed else { continue }
            guard case .corrupt(let corruption) = error else { continue }
            foundDamage(corruption, node, production, group)
        }
    }

    /// A read has met damage.
    func foundDamage(_ corruption: Corruption, _ node: Node, _ production: ProductionStore, _ group: Int) {
        guard production.damaged.contains(where: { $0.group == group }) else {
            return fail("S1: node \(node.id): \(corruption)")
        }
        note("recovery: damage found by a read")
        trace("\(node.id)/\(group): damage found at \(corruption.index ?? .zero)")
        setStanding(.corrupt(from: corruption.index ?? node.store.mirror[group].base.index.next), node, group)
    }

    /// Forgets damage to what is no longer part of any log.
    func pruneDamage(_ node: Node, _ production: ProductionStore) {
        production.damaged.removeAll { place in
            let image = node.store.durable[place.group]
            return image.isAmnesiac || image.base.index >= place.index || image.chain(at: place.index) != place.chain
        }
    }

    // MARK: - The end

    /// S7, S8, S10: reads everything back, compares the segments of all replicas byte for byte, closes all stores, and
    /// finds everything again.
    func readBackProduction() {
        for group in 0..<plan.groups where violation == nil { readBack(group) }
        for node in nodes {
            guard violation == nil, let production = node.production, node.isUp else { continue }
            stopCleanly(node, production)
            if violation == nil { start(node) }
            checkChangedKeys(node)
        }
    }

    private func readBack(_ group: Int) {
        guard let leader = leaders(of: group).first, let core = leader.replicas[group].core else { return }
        var segments: [String: (node: NodeID, bytes: ArraySlice<UInt8>)] = [:]
        for id in core.configuration.members {
            let node = node(id)
            guard let production = node.production, let log = production.logs[group] else { continue }
            production.settle()
            switch production.readAll(log) {
            case .failure(let error): fail("S10: node \(id) cannot read group \(group): \(error)")
            case .success(let entries):
                let isSame = entries.allSatisfy { bytes in
                    production.ledgers[group].record(bytes.index, bytes.term)?.stored == bytes
                }
                if !isSame || entries.last?.index ?? log.lastIndex != log.lastIndex {
                    fail("S7: node \(id) reads other entries in group \(group) than were stored")
                }
            }
            if production.plan.compactsKeys {
                checkKeys(node, group)
            } else if let partition = log as? PartitionLog {
                let image = node.store.mirror[group]
                check(
                    production.consume(
                        partition, group, from: partition.logStartOffset, upTo: partition.logEndOffset, image: image)?
                        .text)
            }
            // Damage that nobody has read is there until somebody does.
            if production.damaged.isEmpty { compareSegments(group, node, production, &segments) }
        }
    }

    /// S7: segments of one name begin alike, as far as both have frames.
    private func compareSegments(
        _ group: Int, _ node: Node, _ production: ProductionStore,
        _ known: inout [String: (node: NodeID, bytes: ArraySlice<UInt8>)]
    ) {
        let id = production.plan.id(of: group)
        let prefix = "/store/groups/\(id.rawValue)/"
        // Each replica compacts for itself.
        for path in production.disk.paths where path.hasPrefix(prefix) && !path.dropFirst(prefix.count).contains("-") {
            guard let bytes = production.disk.bytes(of: path) else { continue }
            let end = StoredFrame.all(in: bytes, of: id).last?.end ?? 0
            let frames = bytes[..<min(end, bytes.count)]
            if let other = known[path] {
                let common = min(other.bytes.count, frames.count)
                if other.bytes.prefix(common) != frames.prefix(common) {
                    fail("S7: \(path) differs on nodes \(other.node) and \(node.id)")
                }
            }
            known[path] = (node.id, frames)
        }
    }
}
