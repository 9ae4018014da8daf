// SPDX-License-Identifier: Apache-2.0
//
// CommandLog+Snapshot.swift
// Snapshots of a state machine: its keys and the entry they reflect, in one piece.

internal import DequeModule
public import Model
public import NIOCore
internal import Records

extension CommandLog: SnapshotLog {
    // MARK: Giving

    /// See the type.
    ///
    /// Ends with the entry that the stored state reflects, whatever `last` says: that one is committed.
    public func makeSnapshot(
        through last: LogIndex, configurations: [ConfigurationRecord],
        completion: @escaping (Result<LogSnapshot, StoreError>) -> Void
    ) {
        guard let family = stateFamily, !isClosed, failure == nil else {
            return later { completion(.failure(.closed)) }
        }
        submit(.state(family)) { [weak self] outcome in
            guard let self else { return completion(.failure(.closed)) }
            switch outcome {
            case .state(let applied, let image):
                self.image = image
                // The state may reflect entries that were appended since the call.
                let known = configurations.filter { $0.index <= last } + self.configurations.filter { $0.index > last }
                completion(
                    .success(
                        LogSnapshot(
                            group: id, index: applied.index, term: applied.term,
                            configurations: known.through(applied.index), firstIndex: applied.index.next,
                            previousTerm: applied.term, firstOffset: .zero, logStartOffset: .zero, chain: nil,
                            termStarts: [], producers: nil,
                            content: .state(
                                family, byteCount: image.readableBytes, checksum: CRC32C.checksum(image)))))
            case .failure(let error): completion(.failure(error))
            default: preconditionFailure("a read of state was answered with something else")
            }
        }
    }

    private func submit(_ query: ReadQuery, completion: @escaping (ReadOutcome) -> Void) {
        let ticket = makeTicket()
        reads[ticket] = completion
        core.read(ReadJob(handle: handle, ticket: ticket, ranges: [], query: query), of: id)
    }

    private func makeTicket() -> UInt64 {
        nextTicket += 1
        return nextTicket
    }

    /// See the type.
    public func readSnapshot(
        _ snapshot: LogSnapshot, file: Int, from position: Int, count: Int,
        completion: @escaping (Result<ByteBuffer, StoreError>) -> Void
    ) {
        guard file == 0, position >= 0, case .state(_, image.readableBytes, _) = snapshot.content,
            let bytes = image.getSlice(at: image.readerIndex + position, length: count)
        else { return later { completion(.failure(.outOfRange(first: self.firstIndex, last: self.lastIndex))) } }
        later { completion(.success(bytes)) }
    }

    /// See the type.
    public func releaseSnapshot() { image = ByteBuffer() }

    // MARK: Receiving

    /// See the type.
    public func stage(_ snapshot: LogSnapshot, completion: @escaping (Result<[Int], StoreError>) -> Void) {
        guard !isClosed, failure == nil, case .state = snapshot.content else {
            return later { completion(.failure(.closed)) }
        }
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
        let work = StageJob.Work.install(stage, GroupLogSettings())
        desk.submit(work, ticket: makeTicket(), handle, core) { [weak self] outcome in
            guard let self else { return completion(.failure(.closed)) }
            desk.finish()
            completion(
                outcome.installed.map { group in
                    self.adopt(group)
                    return ()
                })
        }
    }

    private func adopt(_ recovered: RecoveredGroup) {
        lastIndex = recovered.lastIndex
        lastTerm = recovered.lastTerm
        termStarts = recovered.termStarts
        configurations = recovered.configurations
        meta = recovered.meta
        meta.closed = nil
        recent.removeAll()
        recentBytes = 0
        lastChecksum = 0
        progress.reset(to: recovered.lastIndex)
    }
}

extension [ConfigurationRecord] {
    /// Those of entries up to `index`, and the first in any case.
    func through(_ index: LogIndex) -> [ConfigurationRecord] {
        let kept = filter { $0.index <= index }
        guard kept.isEmpty, let first else { return kept }
        return [ConfigurationRecord(index: index, bytes: first.bytes)]
    }
}
