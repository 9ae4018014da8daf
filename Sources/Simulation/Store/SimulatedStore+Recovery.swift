// SPDX-License-Identifier: Apache-2.0
//
// SimulatedStore+Recovery.swift
// What a crash leaves of the storage, and how the store finds its way back from that.

internal import Model
internal import Raft

/// What happens to the flush in flight when a process dies.
enum InFlightFate {
    case lost
    case torn
    case kept
}

/// What recovery found that is not as it was left.
struct Recovery {
    /// The first damaged entry of each group, where there is one.
    var damagedFrom: [LogIndex?]
    /// Whether a durable part of the journal cannot be read, so that promises may be forgotten.
    var isJournalDamaged = false
    /// Rules that were broken: what no injected fault explains.
    var problems: [String] = []
}

extension SimulatedStore {
    /// The process dies.
    ///
    /// With `isPowerLoss`, each unsynced page is kept, lost or torn on its own; otherwise the page cache survives.
    func crash(isPowerLoss: Bool, fate: InFlightFate, random: inout SeededRandom) {
        if let block = inFlight.take() {
            switch fate {
            case .lost: break
            case .torn:
                var torn = block
                torn.isDamaged = true
                ring[Int(block.sequence % UInt64(slots))] = torn
            case .kept:
                ring[Int(block.sequence % UInt64(slots))] = block
                for record in block.records { durable[record.group].apply(record.write) }
            }
        }
        for (group, place) in dirty {
            guard var slot = segments[group][place], slot.isDirty else { continue }
            switch isPowerLoss ? Int.random(in: 0..<3, using: &random) : 0 {
            case 0: slot.flush()
            case 1: slot = SegmentSlot(medium: slot.medium, cached: slot.medium)
            default: slot = SegmentSlot(medium: slot.cached ^ 1, cached: slot.cached ^ 1)
            }
            segments[group][place] = slot
        }
        dirty.removeAll()
        queue.removeAll()
        unapplied.removeAll()
        unsynced.removeAll()
        checkpointing = nil
    }

    /// The disk is replaced by an empty one.
    func replaceDisk() {
        for group in index.indices {
            index[group] = GroupImage(.empty)
            if mutation != .lossForgotten { index[group].apply(.markAmnesiac) }
            segments[group].removeAll()
        }
        ring = Array(repeating: nil, count: slots)
        (synced, newest) = ((0, 0), (0, 0))
        durable = index
        injected.removeAll()
    }

    /// Removes what one replica stored, while the process is down; it is to begin again at a floor.
    func recreate(_ group: Int, floor: Raft.Position?) {
        _ = recover()
        index[group] = GroupImage(.empty, floor: floor)
        segments[group].removeAll()
        injected.removeAll { $0.group == group }
        durable = index
    }

    /// Reads the medium after a crash; afterwards `mirror` is what the process knows.
    func recover() -> Recovery {
        var recovery = Recovery(damagedFrom: Array(repeating: nil, count: index.count))
        replayJournal(&recovery)
        if recovery.isJournalDamaged {
            for group in index.indices { index[group].apply(.markAmnesiac) }
            durable = index
        }
        // Without the journal, segments may be ahead of the index; an amnesiac serves nobody from them.
        for group in index.indices where !index[group].isAmnesiac { verify(group, &recovery) }
        for group in index.indices where !index[group].holdsSame(as: durable[group]) {
            recovery.problems.append(
                "S3: group \(group) recovered to \(index[group].summary), durable was \(durable[group].summary)")
        }
        newest = synced
        mirror = index
        durable = index
        return recovery
    }

    private func replayJournal(_ recovery: inout Recovery) {
        var next = synced
        for _ in 0..<slots {
            guard var block = ring[Int((next.sequence + 1) % UInt64(slots))] else { break }
            let isNext = block.sequence == next.sequence + 1 && block.previous == next.checksum
            if block.isDamaged && mutation == .tornAccepted {
                block.records.removeLast(block.records.count / 2)
            } else if block.isDamaged || !(isNext || mutation == .noSequenceCheck) {
                break
            }
            for record in block.records {
                if mutation == .noSequenceCheck, !index[record.group].accepts(record.write) { continue }
                writeReplayed(record)
            }
            next = (next.sequence + 1, block.checksum)
        }
        let end = next.sequence
        // A readable block beyond the end proves that what lies between was durable.
        let isHole = ring.contains { block in block.map { !$0.isDamaged && $0.sequence > end } ?? false }
        if isHole && mutation != .noSequenceCheck {
            recovery.isJournalDamaged = true
            if !isJournalInjected { recovery.problems.append("S3: the journal has a hole after block \(end)") }
            ring = Array(repeating: nil, count: slots)
        }
        isJournalInjected = false
        synced = next
        flushSegments()
    }

    private func writeReplayed(_ record: (group: Int, write: Write)) {
        let block = Block(sequence: synced.sequence, previous: 0, salt: 0, records: [record])
        if case .append(let frames) = record.write {
            for frame in frames {
                segments[record.group][frame.entry.index] = SegmentSlot(medium: frame.chain, cached: frame.chain)
            }
        }
        applyToIndex(block)
    }

    /// Compares every pointer with the frame it names.
    private func verify(_ group: Int, _ recovery: inout Recovery) {
        let damaged = index[group].frames.filter { segments[group][$0.entry.index]?.medium != $0.chain }
        guard let first = damaged.first?.entry.index else { return }
        for frame in damaged where !injected.contains(where: { $0.group == group && $0.index == frame.entry.index }) {
            recovery.problems.append("S1: the frame of entry \(frame.entry.index) of group \(group) is not what it was")
        }
        switch mutation {
        case .damageIsTorn: index[group].cut(from: first)
        case .noChecksum:
            for frame in damaged {
                index[group].damage(frame.entry.index, chain: segments[group][frame.entry.index]?.medium ?? 1)
            }
        default: recovery.damagedFrom[group] = first
        }
    }

    // MARK: - Damage

    /// Injected places whose frame is still needed and still wrong.
    func damage(of group: Int) -> [LogIndex] {
        injected.filter { place in
            guard place.group == group, let expected = mirror[group].chain(at: place.index),
                place.index > mirror[group].base.index, index[group].chain(at: place.index) == expected
            else { return false }
            return segments[group][place.index]?.medium != expected
        }.map(\.index)
    }

    /// Forgets injected places that are repaired or no longer part of any log.
    func pruneInjected() {
        injected.removeAll { place in
            guard let expected = index[place.group].chain(at: place.index), place.index > index[place.group].base.index
            else { return true }
            return segments[place.group][place.index]?.medium == expected
        }
    }

    /// Rewrites a frame that a peer sent.
    func repair(_ place: LogIndex, of group: Int, chain: UInt64) {
        segments[group][place] = SegmentSlot(medium: chain, cached: chain)
    }

    /// Flips a bit of a stored frame.
    ///
    /// Returns whether there was one.
    func flip(random: inout SeededRandom) -> Bool {
        guard let (group, place) = pickFrame(random: &random) else { return false }
        let wrong = mix(segments[group][place]?.medium ?? 0, 1)
        segments[group][place] = SegmentSlot(medium: wrong, cached: wrong)
        injected.append((group, place))
        return true
    }

    /// A write that was confirmed never reached the medium, or reached the place of another frame.
    func misplace(isLost: Bool, random: inout SeededRandom) -> Bool {
        guard let (group, place) = pickFrame(random: &random) else { return false }
        let content = segments[group][place]?.medium ?? 0
        segments[group][place] = SegmentSlot()
        injected.append((group, place))
        if !isLost, let (_, other) = pickFrame(in: group, random: &random) {
            segments[group][other] = SegmentSlot(medium: content, cached: content)
            injected.append((group, other))
        }
        return true
    }

    /// Makes a block of the journal unreadable that recovery would need and that is not the last one.
    ///
    /// The last one is left alone: nothing on a single disk tells it from a flush that never completed.
    func damageJournal() -> Bool {
        guard newest.sequence > synced.sequence + 1 else { return false }
        let place = Int((synced.sequence + 1) % UInt64(slots))
        guard ring[place]?.sequence == synced.sequence + 1 else { return false }
        ring[place]?.isDamaged = true
        isJournalInjected = true
        return true
    }

    private func pickFrame(random: inout SeededRandom) -> (group: Int, index: LogIndex)? {
        pickFrame(in: Int.random(in: 0..<index.count, using: &random), random: &random)
    }

    private func pickFrame(in group: Int, random: inout SeededRandom) -> (group: Int, index: LogIndex)? {
        let image = index[group]
        guard !image.frames.isEmpty else { return nil }
        let place = image.base.index + Int.random(in: 1...image.frames.count, using: &random)
        guard let slot = segments[group][place], !slot.isDirty else { return nil }
        return (group, place)
    }
}

extension GroupImage {
    /// Whether another image holds the same promises: hard state and every entry.
    func holdsSame(as other: GroupImage) -> Bool {
        guard hardState == other.hardState, base == other.base, baseChain == other.baseChain, last == other.last
        else { return false }
        return zip(frames, other.frames).allSatisfy { $0.chain == $1.chain }
            && configurations.current == other.configurations.current
    }

    /// Whether a write can be applied here at all.
    func accepts(_ write: Write) -> Bool {
        switch write {
        case .append(let frames): frames[0].entry.index == last.next
        default: true
        }
    }

    /// Term, vote and extent in a few words.
    var summary: String { "\(hardState), log \(base)...\(last), configuration \(configuration.configuration)" }
}
