// SPDX-License-Identifier: Apache-2.0
//
// GroupWalk.swift
// Walks all frames of one partition in order: from its segments, and from the journal where the segments do not have
// them yet. Goes on behind damage, and says what it found and what it left out.

internal import Model
internal import NIOCore

/// Walks one partition.
struct GroupWalk {
    let reader: StoreReader
    let group: InspectedGroup
    let options: WalkOptions
    /// The last entry that is known to be durable.
    let provenThrough: LogIndex
    /// What was found besides frames.
    var findings = WalkFindings()
    /// The segments that were seen.
    var segments: [InspectedSegment] = []
    /// Where the log stands.
    var tip: LogTip
    /// The offset is not known behind damage.
    var knowsOffset = true
    /// The caller has seen enough.
    var isStopped = false
    /// The log's end was reached; what follows belongs to nothing.
    var isAtEnd = false

    init(_ reader: StoreReader, _ group: InspectedGroup, _ options: WalkOptions) {
        self.reader = reader
        self.group = group
        self.options = options
        provenThrough = max(group.last?.index ?? .zero, reader.journal.lastIndex(of: group.id) ?? .zero)
        tip = LogTip(
            nextIndex: group.meta.firstIndex, term: group.meta.previousTerm, nextOffset: group.meta.firstOffset,
            checksum: nil)
    }

    /// Passes every frame to `body` until it returns false.
    mutating func run(_ body: (WalkedFrame) -> Bool) throws(StoreError) {
        let folder = Segment.directory(of: group.id, root: reader.directory)
        var bases = try names(in: folder)
        try skipToStart(&bases)
        for (place, name) in bases.enumerated() where !isStopped {
            let following = place + 1 < bases.count ? Segment.base(of: bases[place + 1]) : nil
            guard try join(name, folder) else { continue }
            var segment = SegmentWalk(name, folder: folder, following: following, reader: reader)
            try walk(&segment, body)
            segments.append(segment.summary)
        }
        guard !isStopped, tip.nextIndex <= provenThrough else { return }
        let last = segments.last.map { ($0.file, $0.frameBytes) } ?? (reader.relative(folder), 0)
        let missing = "the entries from \(tip.nextIndex) to \(provenThrough) are in no segment"
        report(.segmentMissing, last.0, segments.isEmpty ? nil : last.1, missing)
    }

    /// The segments of the log by their names, oldest first; warns of files that are none of it.
    private mutating func names(in folder: String) throws(StoreError) -> [LogIndex] {
        let stored = try reader.system.list(folder).compactMap { Segment.name(ofFileName: $0) }
        let journaled = (reader.journal.frames[group.id] ?? []).compactMap(\.base)
        let names = try SegmentNames(Array(Set(stored).union(journaled))) { name throws(StoreError) in
            try reader.footer(of: name, in: folder)?.index
        }
        func warn(_ segment: LogIndex, _ reason: String) {
            let name = reader.relative("\(folder)/\(Segment.fileName(segment))")
            findings.add(
                group.warning(.leftoverSegment, file: name, "\(name) \(reason); the next start removes it"))
        }
        for name in names.replaced where stored.contains(name) { warn(name, "was replaced by a compacted segment") }
        let first = group.meta.firstIndex
        for name in names.current where Segment.base(of: name) < first { warn(name, "lies before the log's start") }
        return names.current.filter { Segment.base(of: $0) >= first }
    }

    /// Leaves out whole segments before the offset the caller wants; they are not looked at.
    private mutating func skipToStart(_ bases: inout [LogIndex]) throws(StoreError) {
        guard let from = options.from, from > group.meta.firstOffset else { return }
        let entry = try indexed { () throws(IndexError) in
            try reader.index.offsetIndexFloor(of: group.id, offset: from)
        }
        guard let entry,
            let place = bases.lastIndex(where: { Segment.base(of: $0) <= Segment.base(of: entry.at.segment) }),
            place > 0
        else { return }
        bases.removeFirst(place)
        tip.nextIndex = Segment.base(of: bases[0])
        forgetWhatCameBefore()
    }

    /// Judges how the segment that begins with `base` joins what came before; false when it is no part of the log.
    private mutating func join(_ segment: LogIndex, _ folder: String) throws(StoreError) -> Bool {
        let base = Segment.base(of: segment)
        guard base != tip.nextIndex || isAtEnd else { return true }
        let name = reader.relative("\(folder)/\(Segment.fileName(segment))")
        if isAtEnd || base < tip.nextIndex || tip.nextIndex > provenThrough {
            let reason = base < tip.nextIndex ? "begins inside the segment before it" : "lies behind the log's end"
            findings.add(group.warning(.leftoverSegment, file: name, "\(name) \(reason); it was left out"))
            return false
        }
        // Damage inside the segment before was reported where it is.
        if segments.last.map({ $0.lastIndex.next == tip.nextIndex }) ?? true {
            let missing = "the segment with the entries from \(tip.nextIndex) to \(base.previous) is not there"
            report(.segmentMissing, reader.relative("\(folder)/\(Segment.fileName(tip.nextIndex))"), nil, missing)
        }
        tip.nextIndex = base
        forgetWhatCameBefore()
        return true
    }

    // MARK: One segment

    private mutating func walk(
        _ segment: inout SegmentWalk, _ body: (WalkedFrame) -> Bool
    ) throws(StoreError) {
        try segment.open(group)
        while !isStopped {
            if let following = segment.following, tip.nextIndex >= following { return try close(&segment) }
            if try stored(&segment, body) { continue }
            if segment.isAtFooter { return }
            if let frame = reader.journal.frame(of: group.id, at: tip.nextIndex), frame.base == segment.segment,
                frame.position >= segment.position
            {
                segment.position = frame.position
                try take(frame.header, frame.payload, &segment, isInJournal: true, frame.fault, body)
                continue
            }
            guard tip.nextIndex <= provenThrough else {
                isAtEnd = true
                return try leftover(&segment)
            }
            try goOnBehindDamage(&segment)
            if segment.isAtFooter { return }
        }
    }

    /// Takes what stands at the present position when it is the next frame, or proven to be it; false when it is neither.
    private mutating func stored(
        _ segment: inout SegmentWalk, _ body: (WalkedFrame) -> Bool
    ) throws(StoreError) -> Bool {
        // Where nothing proves a frame, its payload decides whether it is one.
        let readsPayload = options.depth > .headers || tip.nextIndex > provenThrough
        switch try segment.peek(readsPayload: readsPayload) {
        case .frame(let header, let payload):
            if header.kind == .footer, segment.isOurs(header, group.id), header.index.next == tip.nextIndex {
                try close(&segment)
                return false
            }
            guard continues(header, segment) else { return false }
            let fault = options.depth == .records ? reader.payloads.fault(of: header, payload) : nil
            try take(header, payload, &segment, isInJournal: false, fault, body)
            return true
        case .damagedPayload(let header)
        where continues(header, segment) && header.index <= provenThrough
            && segment.position + header.frameBytes <= segment.size:
            if reader.journal.frame(of: group.id, at: tip.nextIndex) != nil { return false }
            report(
                .payload, segment.name, segment.position, "the payload of entry \(tip.nextIndex) fails its checksum")
            findings.add(
                group.skipped(
                    .undecodable, segment.name, at: segment.position, bytes: header.frameBytes,
                    "a frame of \(header.recordCount) records that cannot be trusted"))
            segment.position += header.frameBytes
            step(over: header)
            return true
        default: return false
        }
    }

    private mutating func take(
        _ header: FrameHeader, _ payload: ByteBuffer?, _ segment: inout SegmentWalk, isInJournal: Bool,
        _ fault: String?, _ body: (WalkedFrame) -> Bool
    ) throws(StoreError) {
        if let fault {
            report(.batch, segment.name, segment.position, fault)
        } else {
            findings.frames += 1
            findings.bytes += header.frameBytes
        }
        segment.summary.take(header)
        var raw: ByteBuffer?
        if options.unpacks, header.kind == .data, fault == nil, let payload, isWanted(header) {
            do throws(StoreError) {
                raw = try reader.payloads.unpack(header, payload)
            } catch {
                report(.batch, segment.name, segment.position, "the payload cannot be unpacked")
            }
        }
        let frame = WalkedFrame(
            header: header, segment: segment.segment, file: segment.name, position: segment.position,
            isInJournal: isInJournal, payload: raw)
        segment.position += header.frameBytes
        step(over: header)
        if isWanted(header), !body(frame) { isStopped = true }
    }

    private func isWanted(_ header: FrameHeader) -> Bool {
        guard let from = options.from else { return true }
        return header.endOffset > from
    }

    // MARK: Where the log stands

    mutating func step(over header: FrameHeader) {
        tip = LogTip(
            nextIndex: header.lastIndex.next, term: header.term, nextOffset: header.endOffset,
            checksum: header.checksum)
        knowsOffset = true
    }

    mutating func forgetWhatCameBefore() {
        tip.checksum = nil
        knowsOffset = false
    }

    private func continues(_ header: FrameHeader, _ segment: SegmentWalk) -> Bool {
        segment.isOurs(header, group.id) && header.kind != .footer && header.index == tip.nextIndex
            && header.term >= tip.term && (!knowsOffset || tip.nextOffset == header.baseOffset)
            && (tip.checksum.map { $0 == header.previous } ?? true)
    }

    mutating func report(_ kind: Damage.Kind, _ name: String, _ position: Int?, _ reason: String) {
        findings.add(
            group.damage(
                kind, name, at: position, index: tip.nextIndex, offset: knowsOffset ? tip.nextOffset : nil, reason))
    }
}

extension StoreReader {
    /// The footer of a segment in `folder`; nil when there is none, or the file is gone.
    func footer(of name: LogIndex, in folder: String) throws(StoreError) -> FrameHeader? {
        guard let file = try segmentFile("\(folder)/\(Segment.fileName(name))") else { return nil }
        let footer = try SegmentWalk.header(file, at: try file.size() - FrameHeader.byteCount)
        return footer?.kind == .footer ? footer : nil
    }

    /// The last entry of `group` that compaction has rewritten; 0 without any.
    func lastCompacted(of group: InspectedGroup) throws(StoreError) -> LogIndex {
        let folder = Segment.directory(of: group.id, root: directory)
        var last = LogIndex.zero
        for name in try system.list(folder).compactMap({ Segment.name(ofFileName: $0) })
        where Segment.generation(of: name) > 0 {
            last = max(last, try footer(of: name, in: folder)?.index ?? .zero)
        }
        return last
    }

    /// Passes every frame of `group` to `body`, oldest first, until it returns false.
    public func walk(
        _ group: InspectedGroup, _ options: WalkOptions = WalkOptions(),
        _ body: (WalkedFrame) -> Bool = { _ in true }
    ) throws(StoreError) -> WalkFindings {
        if options.unpacks { try keep(group.id) }
        var walk = GroupWalk(self, group, options)
        try walk.run(body)
        return walk.findings
    }

    /// The segments of `group` by the headers of their frames, which are passed to `body`.
    public func segments(
        of group: InspectedGroup, _ body: (WalkedFrame) -> Void = { _ in }
    ) throws(StoreError) -> [InspectedSegment] {
        var walk = GroupWalk(self, group, WalkOptions(depth: .headers))
        try walk.run {
            body($0)
            return true
        }
        return walk.segments
    }
}
