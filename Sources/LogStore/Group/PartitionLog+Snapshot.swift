// SPDX-License-Identifier: Apache-2.0
//
// PartitionLog+Snapshot.swift
// Snapshots of a partition: its segment files as they are, read by range here, put in place of the log there.

internal import DequeModule
public import Model
public import NIOCore

extension PartitionLog: SnapshotLog {
    // MARK: Giving

    /// See the type.
    public func makeSnapshot(
        through last: LogIndex, configurations: [ConfigurationRecord],
        completion: @escaping (Result<LogSnapshot, StoreError>) -> Void
    ) {
        // What is compacted is committed, with an entry behind it: a snapshot never ends in what cannot be read entry by entry,
        // nor before what the passes knew.
        let least = compactedThrough > .zero ? max(firstIndex, committedAtLeast) : last
        let last = min(max(last, least), progress.applied)
        guard !isClosed, failure == nil, !isSwapping else { return later { completion(.failure(.closed)) } }
        guard last >= firstIndex.previous, let term = term(at: last) else {
            return later { completion(.failure(.outOfRange(first: self.firstIndex, last: self.lastIndex))) }
        }
        let ranges = segments.prefix { $0.segment.base <= last }.map { info in
            SnapshotRange(
                segment: info.segment, lastIndex: info.lastIndex, isSealed: info.isSealed,
                start: info.floor(index: last), end: info.end)
        }
        let chain: UInt32?
        do throws(StoreError) { chain = try ranges.isEmpty ? chainBeforeFirst() : nil } catch {
            return later { completion(.failure(error)) }
        }
        pinnedFrom = ranges.first?.segment.base ?? last.next
        let meta = meta
        let starts = termStarts.filter { $0.firstIndex <= last }
        submit([], .describe(ranges, through: last)) { [weak self] outcome in
            guard let self else { return completion(.failure(.closed)) }
            switch outcome {
            case .described(let segments, let producers):
                completion(
                    .success(
                        LogSnapshot(
                            group: id, index: last, term: term, configurations: configurations.through(last),
                            firstIndex: meta.firstIndex, previousTerm: meta.previousTerm, firstOffset: meta.firstOffset,
                            logStartOffset: meta.logStartOffset, chain: chain, termStarts: starts, producers: producers,
                            content: .segments(segments))))
            case .failure(let error):
                releaseSnapshot()
                completion(.failure(error))
            default: preconditionFailure("a description of segments was answered with something else")
            }
        }
    }

    /// The checksum that the first frame of the log continues, or will.
    private func chainBeforeFirst() throws(StoreError) -> UInt32 {
        guard let first = segments.first else { return lastChecksum }
        return try frame(at: first.segment.base, in: first).header.previous
    }

    /// See the type.
    public func readSnapshot(
        _ snapshot: LogSnapshot, file: Int, from position: Int, count: Int,
        completion: @escaping (Result<ByteBuffer, StoreError>) -> Void
    ) {
        guard case .segments(let files) = snapshot.content, file < files.count, position >= 0, count > 0,
            position + count <= files[file].byteCount,
            let info = segments.first(where: { $0.segment.name == files[file].name })
        else { return later { completion(.failure(.outOfRange(first: self.firstIndex, last: self.lastIndex))) } }
        submit([], .bytes(info.segment, from: position, count: count)) { outcome in
            switch outcome {
            case .bytes(let bytes): completion(.success(bytes))
            case .failure(let error): completion(.failure(error))
            default: preconditionFailure("a read of bytes was answered with something else")
            }
        }
    }

    /// See the type.
    public func releaseSnapshot() { pinnedFrom = nil }

    // MARK: Receiving

    /// See the type.
    public func stage(_ snapshot: LogSnapshot, completion: @escaping (Result<[Int], StoreError>) -> Void) {
        guard !isClosed, failure == nil else { return later { completion(.failure(.closed)) } }
        let stage = desk.begin(snapshot, core)
        desk.submit(.begin(stage), ticket: makeTicket(), handle, core) { completion($0.sizes) }
    }

    /// See the type.
    public func addStaged(
        _ bytes: ByteBuffer, file: Int, at position: Int, completion: @escaping (Result<Void, StoreError>) -> Void
    ) {
        guard let stage = desk.stage else { return later { completion(.failure(.closed)) } }
        let work = StageJob.Work.write(stage, bytes, file: file, at: position)
        desk.submit(work, ticket: makeTicket(), handle, core) { completion($0.written) }
    }

    /// See the type.
    public func checkStaged(completion: @escaping (Result<Bool, StoreError>) -> Void) {
        guard let stage = desk.stage else { return later { completion(.failure(.closed)) } }
        desk.submit(.check(stage), ticket: makeTicket(), handle, core) { completion($0.checked) }
    }

    /// See the type.
    public func installStaged(completion: @escaping (Result<Void, StoreError>) -> Void) {
        guard let stage = desk.stage else { return later { completion(.failure(.closed)) } }
        isInstalling = true
        cancelCompaction()
        forgetWaiting()
        desk.submit(.install(stage, settings), ticket: makeTicket(), handle, core) { [weak self] outcome in
            guard let self else { return completion(.failure(.closed)) }
            // A log that closes meanwhile never hears how it ended.
            isInstalling = isClosed
            desk.finish()
            completion(
                outcome.installed.map { group in
                    self.adopt(group)
                    return ()
                })
        }
    }

    /// What the codec still has must not be given a place in a log that is going.
    private func forgetWaiting() {
        for entry in waiting { core.addPending(-rawLength(of: entry.draft)) }
        waiting.removeAll()
        heldProducers = nil
    }

    /// Takes over what an installed snapshot left.
    private func adopt(_ recovered: RecoveredGroup) {
        dropTail(from: .zero)
        lastIndex = recovered.lastIndex
        lastTerm = recovered.lastTerm
        logEndOffset = recovered.logEndOffset
        termStarts = recovered.termStarts
        configurations = recovered.configurations
        maxTimestamp = recovered.maxTimestamp
        producerSnapshot = recovered.producerSnapshot
        meta = recovered.meta
        meta.closed = nil
        segments = recovered.segments
        noteCompacted()
        lastChecksum = recovered.lastChecksum
        progress.reset(to: recovered.lastIndex)
        releasedThrough = recovered.lastIndex
        wantsRoll = false
        pinnedFrom = nil
    }
}
