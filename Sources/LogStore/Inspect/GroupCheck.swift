// SPDX-License-Identifier: Apache-2.0
//
// GroupCheck.swift
// Verifies one group: its facts and its log against each other, and everything the index derives from the log.

internal import Model

/// Verifies one group.
struct GroupCheck {
    let reader: StoreReader
    let group: InspectedGroup
    private(set) var findings = WalkFindings()

    init(_ reader: StoreReader, _ group: InspectedGroup) {
        self.reader = reader
        self.group = group
    }

    /// Looks at everything the group has; `progress` is told of each frame's bytes.
    mutating func run(_ depth: WalkDepth, _ progress: (Int) -> Void) throws(StoreError) {
        guard checkFacts() else { return }
        if group.isPartition {
            try checkPartition(depth, progress)
        } else {
            var commands = CommandCheck(reader, group)
            commands.run(progress)
            findings.add(commands.findings)
            checkTerm(commands.lastTerm)
        }
    }

    private mutating func report(_ kind: Damage.Kind, _ index: LogIndex?, _ offset: Offset?, _ reason: String) {
        findings.add(group.damage(kind, "rocksdb", index: index, offset: offset, reason))
    }

    // MARK: Facts

    /// Whether the facts make sense by themselves; without that the log cannot be looked at.
    private mutating func checkFacts() -> Bool {
        let meta = group.meta
        if meta.isDamaged {
            findings.add(group.warning(.markedDamaged, "\(group.name) is marked as damaged; it does not lead"))
        }
        if meta.isAmnesiac {
            findings.add(group.warning(.markedAmnesiac, "\(group.name) may have forgotten a vote or an entry"))
        }
        if let cut = meta.cut {
            findings.add(
                group.warning(
                    .cutPending, "a truncation from entry \(cut.from) may not be finished; the next start finishes it"))
        }
        guard meta.isPlausible else {
            report(.group, meta.firstIndex, meta.firstOffset, "the facts of \(group.name) make no sense")
            return false
        }
        if group.configurations == nil {
            report(.group, meta.firstIndex, nil, "the memberships of \(group.name) cannot be read")
        }
        if meta.logStartOffset < meta.firstOffset {
            report(
                .group, meta.firstIndex, meta.logStartOffset,
                "the log starts at offset \(meta.logStartOffset), before its first record \(meta.firstOffset)")
        }
        return true
    }

    /// Rule R2: recovery takes the log's last term when the noted one is lower.
    private mutating func checkTerm(_ last: Term) {
        let noted = group.hardState?.term ?? .zero
        guard noted < last else { return }
        findings.add(
            group.warning(
                .hardStateBehind, "\(group.name) has entries of term \(last), its noted term is \(noted)"))
    }

    // MARK: Partitions

    private mutating func checkPartition(_ depth: WalkDepth, _ progress: (Int) -> Void) throws(StoreError) {
        var walk = GroupWalk(reader, group, WalkOptions(depth: depth))
        var check = PartitionCheck(reader, group)
        try walk.run { frame in
            check.take(frame)
            progress(frame.frameBytes)
            return true
        }
        // After a truncation that is not finished, files and index contradict each other.
        let isDamaged = !walk.findings.isClean || walk.tip.nextIndex <= walk.provenThrough
        check.finish(isDamaged: isDamaged)
        findings.add(walk.findings)
        if group.meta.cut == nil { findings.add(check.findings) }
        checkTerm(walk.tip.term)
        guard !isDamaged else { return }
        checkEnd(walk.tip, walk.segments.last)
        checkCompaction(walk.tip, walk.segments)
        checkProducers(walk.tip)
    }

    /// What compaction has compared with is durable before what it made; a replica that forgot gets it from its leader.
    private mutating func checkCompaction(_ tip: LogTip, _ segments: [InspectedSegment]) {
        guard let known = segments.compactMap(\.committedThrough).max(), known >= tip.nextIndex else { return }
        findings.add(
            group.warning(
                .compactedAhead,
                "keys were compared with what was committed up to entry \(known), the log ends with "
                    + "\(tip.nextIndex.previous)"))
    }

    private mutating func checkEnd(_ tip: LogTip, _ last: InspectedSegment?) {
        let meta = group.meta
        if meta.logStartOffset > tip.nextOffset {
            report(
                .group, tip.nextIndex.previous, meta.logStartOffset,
                "the log starts at offset \(meta.logStartOffset), behind its end \(tip.nextOffset)")
        }
        guard let closed = meta.closed else { return }
        let isThere =
            closed.lastIndex == tip.nextIndex.previous && closed.nextOffset == tip.nextOffset
            && (closed.lastIndex < meta.firstIndex || closed.lastTerm == tip.term)
            && (tip.checksum.map { $0 == closed.lastFrameChecksum } ?? true)
            && (last.map { $0.base == closed.end.segment && $0.frameBytes == Int(closed.end.position) } ?? true)
        if isThere { return }
        report(
            .group, closed.lastIndex, closed.nextOffset,
            "closed behind entry \(closed.lastIndex) and offset \(closed.nextOffset), the log ends behind entry "
                + "\(tip.nextIndex.previous) and offset \(tip.nextOffset)")
    }

    private mutating func checkProducers(_ tip: LogTip) {
        do throws(IndexError) {
            for snapshot in try reader.index.producerSnapshots(of: group.id) {
                if snapshot.offset > tip.nextOffset {
                    report(
                        .producerSnapshot, snapshot.index, snapshot.offset,
                        "producer state of offset \(snapshot.offset), the log ends at \(tip.nextOffset)")
                } else if snapshot.index >= tip.nextIndex {
                    findings.add(
                        group.warning(
                            .producersAhead,
                            "producer state reflects entry \(snapshot.index), the log ends with "
                                + "\(tip.nextIndex.previous)"))
                }
            }
        } catch {
            report(.database, nil, nil, "producer snapshots cannot be read: \(error)")
        }
    }
}

extension GroupMeta {
    /// Whether the numbers are some that a log can have, so that computing with them is safe.
    var isPlausible: Bool {
        let limit: UInt64 = 1 << 62
        return firstIndex.rawValue > 0 && firstIndex.rawValue < limit && firstOffset.rawValue >= 0
            && firstOffset.rawValue < Int64(limit) && logStartOffset.rawValue >= 0
            && (closed.map { $0.lastIndex.rawValue < limit } ?? true)
    }
}
