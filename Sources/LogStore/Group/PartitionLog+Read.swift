// SPDX-License-Identifier: Apache-2.0
//
// PartitionLog+Read.swift
// Reads: from the tail in memory at once, from segments through a reader thread.

internal import DequeModule
public import Model
internal import NIOCore
internal import Records
internal import Telemetry

extension PartitionLog {
    /// Reads whole batches from the one that holds `offset`, below `end`, from memory; nil when the disk is needed.
    ///
    /// - Cost: a binary search and one slice per frame; no copy.
    public func readCached(from offset: Offset, upTo end: Offset, maxBytes: Int) -> ReadResult? {
        guard offset < end, let first = tail.first, first.header.baseOffset <= offset else {
            return offset < end ? nil : ReadResult(slices: [], byteCount: 0, nextOffset: offset)
        }
        let start = tail.partitioningIndex { $0.header.endOffset > offset }
        guard start < tail.count else { return ReadResult(slices: [], byteCount: 0, nextOffset: offset) }
        var position = start
        var collector = BatchCollector(from: offset, upTo: end, bytesMax: maxBytes)
        while position < tail.count, !collector.isFull {
            let header = tail[position].header
            if header.kind == .data {
                guard let raw = rawPayload(at: position) else { return nil }
                collector.add(raw, base: header.baseOffset, frameEnd: header.endOffset)
            }
            position += 1
        }
        core.metrics.tailHits.increment()
        handle.owner.tails.value?.read(at: tail[start].ledgerPosition)
        return collector.result
    }

    /// Reads whole batches from the one that holds `offset`, below `end`.
    ///
    /// `completion` runs on the owner's loop after this call has returned. What is in memory only may be left for the next read.
    public func read(
        from offset: Offset, upTo end: Offset, maxBytes: Int,
        completion: @escaping (Result<ReadResult, StoreError>) -> Void
    ) {
        if let found = readCached(from: offset, upTo: end, maxBytes: maxBytes) {
            return later { completion(.success(found)) }
        }
        guard offset >= meta.firstOffset, !isClosed else {
            let error: StoreError = isClosed ? .closed : .outOfRange(first: meta.firstIndex, last: lastIndex)
            return later { completion(.failure(error)) }
        }
        noteMissed(offset)
        let ranges = ranges {
            $0.endOffset > offset
        } start: {
            $0.floor(offset: offset)
        }
        let cuts = progress.generation
        submit(ranges, .batches(from: offset, upTo: end, bytesMax: maxBytes)) { [weak self] outcome in
            switch outcome {
            case .batches(let result): completion(.success(result))
            case .failure(.corrupt) where self?.wasCut(since: cuts) ?? false:
                self?.read(from: offset, upTo: end, maxBytes: maxBytes, completion: completion)
            case .failure(let error): self?.refuse(error, completion) ?? completion(.failure(error))
            default: preconditionFailure("a read of batches was answered with something else")
            }
        }
    }

    /// Answers a read that failed; damage is told of first.
    private func refuse<Found>(_ error: StoreError, _ completion: (Result<Found, StoreError>) -> Void) {
        if case .corrupt(let damage) = error, !isClosed { onDamage?(damage) }
        completion(.failure(error))
    }

    /// Whether the log was cut while a read was under way: what the read took for damage may be what was cut, or is
    /// being written in its place.
    private func wasCut(since generation: Int) -> Bool { !isClosed && progress.generation != generation }

    /// What of the segments may be read, from the first that `holds` what is looked for.
    private func ranges(
        where holds: (SegmentInfo) -> Bool, start: (SegmentInfo) -> Int
    ) -> [SegmentRange] {
        let first = segments.partitioningIndex(where: holds)
        // Enough for any one read: a reader goes on with the next call.
        return segments[first...].prefix(8).enumerated().map { number, info in
            range(of: info, from: number == 0 ? start(info) : 0)
        }
    }

    private func range(of info: SegmentInfo, from start: Int) -> SegmentRange {
        let frames = max(1, info.lastIndex.next - info.segment.base)
        return SegmentRange(
            segment: info.segment, baseOffset: info.baseOffset, endOffset: info.endOffset, start: start,
            end: appliedEnd(of: info), isLong: info.end / frames >= core.settings.unbufferedBytesMin)
    }

    /// The position up to which a segment's frames are in its file.
    private func appliedEnd(of info: SegmentInfo) -> Int {
        guard info.lastIndex > progress.applied else { return info.end }
        // The first frame that is not applied is in the tail.
        guard let first = tail.first?.header.index, progress.applied.next >= first else { return 0 }
        let position = progress.applied.next - first
        guard position < tail.count, tail[position].header.index >= info.segment.base else { return 0 }
        return Int(tail[position].position)
    }

    /// Reads entries as they are stored, for followers that catch up.
    public func readEntries(
        from index: LogIndex, through last: LogIndex, maxBytes: Int,
        completion: @escaping (Result<[StoredEntry], StoreError>) -> Void
    ) {
        guard index >= firstIndex else {
            return later { completion(.failure(.outOfRange(first: self.firstIndex, last: self.lastIndex))) }
        }
        readFrames(from: index, through: last, maxBytes: maxBytes, completion: completion)
    }

    /// Reads entries as they are stored, also compacted ones, of which each stands for all that its frame covers.
    func readFrames(
        from index: LogIndex, through last: LogIndex, maxBytes: Int,
        completion: @escaping (Result<[StoredEntry], StoreError>) -> Void
    ) {
        guard index >= meta.firstIndex, index <= lastIndex, !isClosed else {
            let error: StoreError = isClosed ? .closed : .outOfRange(first: meta.firstIndex, last: lastIndex)
            return later { completion(.failure(error)) }
        }
        if let entries = tailEntries(from: index, through: last, maxBytes: maxBytes) {
            return later { completion(.success(entries)) }
        }
        noteMissed(index)
        let ranges = ranges {
            $0.lastIndex >= index
        } start: {
            $0.floor(index: index)
        }
        let cuts = progress.generation
        let query = ReadQuery.entries(from: index, through: min(last, progress.applied), bytesMax: maxBytes)
        submit(ranges, query) { [weak self] outcome in
            switch outcome {
            case .entries(let entries): completion(.success(entries))
            case .failure(.corrupt) where self?.wasCut(since: cuts) ?? false:
                self?.readFrames(from: index, through: last, maxBytes: maxBytes, completion: completion)
            case .failure(let error): self?.refuse(error, completion) ?? completion(.failure(error))
            default: preconditionFailure("a read of entries was answered with something else")
            }
        }
    }

    /// The entries from `index` on in their stored form, when memory has the first one in it.
    ///
    /// A follower's place in the tail is kept for it like a consumer's.
    private func tailEntries(from index: LogIndex, through last: LogIndex, maxBytes: Int) -> [StoredEntry]? {
        guard let first = tail.first?.header.index, index >= first else { return nil }
        var entries: [StoredEntry] = []
        var bytes = 0
        var position = index - first
        while position < tail.count, tail[position].header.index <= last {
            let frame = tail[position]
            guard let stored = frame.stored ?? (frame.header.codec == .none || !frame.isUnpacked ? frame.payload : nil)
            else { break }
            guard entries.isEmpty || bytes + stored.readableBytes <= maxBytes else { break }
            bytes += stored.readableBytes
            entries.append(frame.header.entry(stored))
            position += 1
        }
        if entries.isEmpty, position < tail.count { return nil }
        if !entries.isEmpty { handle.owner.tails.value?.read(at: tail[index - first].ledgerPosition) }
        return entries
    }

    /// See the type.
    public func sealedEntries(from index: LogIndex, through last: LogIndex) -> [StoredEntry]? {
        guard let entries = tailEntries(from: index, through: last, maxBytes: .max) else { return nil }
        return entries.last?.index == last ? entries : nil
    }

    /// Finds the first record whose timestamp is at least `timestamp`, between the log's start and `end`.
    public func offset(
        forTimestamp timestamp: Int64, upTo end: Offset,
        completion: @escaping (Result<TimestampMatch?, StoreError>) -> Void
    ) {
        guard !isClosed else { return later { completion(.failure(.closed)) } }
        guard timestamp <= maxTimestamp else { return later { completion(.success(nil)) } }
        let start = meta.logStartOffset
        let ranges = segments.filter { $0.maxTimestamp >= timestamp && $0.endOffset > start }.map {
            range(of: $0, from: 0)
        }
        let (searched, cuts) = (progress.applied, progress.generation)
        submit(ranges, .timestamp(timestamp, from: start, upTo: end)) { [weak self] outcome in
            switch outcome {
            case .timestamp(let match?): completion(.success(match))
            case .timestamp(nil):
                guard let self else { return completion(.failure(.closed)) }
                if progress.applied > searched, tail.first.map({ $0.header.index > searched.next }) ?? true {
                    // What was in memory only when the search began has gone to disk meanwhile.
                    return offset(forTimestamp: timestamp, upTo: end, completion: completion)
                }
                completion(searchTail(timestamp, from: start, upTo: end))
            case .failure(.corrupt) where self?.wasCut(since: cuts) ?? false:
                self?.offset(forTimestamp: timestamp, upTo: end, completion: completion)
            case .failure(let error): completion(.failure(error))
            default: preconditionFailure("a search was answered with something else")
            }
        }
    }

    /// Searches what is in memory; frames that are on disk as well were searched there.
    private func searchTail(
        _ timestamp: Int64, from start: Offset, upTo end: Offset
    ) -> Result<TimestampMatch?, StoreError> {
        let context = CompressionContext()
        for position in tail.indices where tail[position].header.maxTimestamp >= timestamp {
            let header = tail[position].header
            guard header.kind == .data, header.baseOffset < end, let raw = rawPayload(at: position) else { continue }
            do throws(StoreError) {
                let match = try raw.firstRecord(
                    atOrAfter: timestamp, from: start, upTo: end, term: header.term, context)
                if let match { return .success(match) }
            } catch {
                return .failure(error)
            }
        }
        return .success(nil)
    }
}
