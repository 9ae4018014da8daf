// SPDX-License-Identifier: Apache-2.0
//
// SnapshotFetch.swift
// Pulls one snapshot from a peer, piece by piece, into the staging place of a log. Goes on where a former fetch ended.

internal import LogStore
internal import Model
internal import NIOCore
internal import Raft
internal import Telemetry

/// Why a fetch ended.
enum FetchError: Error, Sendable {
    /// The peer did not answer as it should.
    case peer(PeerCallError)
    /// What came is no description of the snapshot that was offered.
    case malformed
    /// It could not be stored, or is not right.
    case store(StoreError)
}

/// One fetch, confined to the group's loop.
///
/// Waits for its turn with the governor, then has one piece on its way at a time; each is stored and checked before the
/// next is asked for.
final class SnapshotFetch {
    let info: Raft.SnapshotInfo
    private let peer: NodeID
    private let host: GroupHost
    private let target: any SnapshotLog
    private weak var group: ReplicaGroup?
    private var snapshot: LogSnapshot?
    private var sizes: [Int] = []
    private var file = 0
    private var isGranted = false
    private var isDone = false
    /// What to do with the next tick, when the governor has to be asked again.
    private var waiting: (() -> Void)?

    init(
        _ info: Raft.SnapshotInfo, of group: ReplicaGroup, into target: any SnapshotLog, from peer: NodeID,
        host: GroupHost
    ) {
        self.info = info
        self.group = group
        self.target = target
        self.peer = peer
        self.host = host
        begin()
    }

    /// Ends it without a word.
    func cancel() {
        guard !isDone else { return }
        isDone = true
        waiting = nil
        if isGranted { host.governor.finish() }
    }

    /// A tick has passed: what had to wait is tried again.
    func tick() {
        guard let next = waiting.take() else { return }
        next()
    }

    private func end(_ error: FetchError?) {
        guard !isDone else { return }
        cancel()
        group?.fetchEnded(info, error)
    }

    // MARK: Steps

    private func begin() {
        guard host.governor.begin() else { return waiting = { [weak self] in self?.begin() } }
        isGranted = true
        ask(.snapshotManifest, nil) { [weak self] bytes in self?.described(bytes) }
    }

    private func described(_ bytes: ByteBuffer) {
        guard let group, let snapshot = LogSnapshot(Array(bytes.readableBytesView)), snapshot.group == group.id,
            snapshot.index == info.position.index, snapshot.term == info.position.term
        else { return end(.malformed) }
        self.snapshot = snapshot
        target.stage(snapshot) { [weak self] result in
            guard let self, !isDone else { return }
            switch result {
            case .success(let sizes):
                self.sizes = sizes
                next()
            case .failure(let error): end(.store(error))
            }
        }
    }

    private func next() {
        guard let snapshot, !isDone else { return }
        while file < sizes.count, sizes[file] == snapshot.byteCount(ofFile: file) { file += 1 }
        guard file < sizes.count else { return check() }
        let count = min(host.settings.recovery.rangeBytes, snapshot.byteCount(ofFile: file) - sizes[file])
        guard host.governor.take(count) else { return waiting = { [weak self] in self?.next() } }
        let piece = SnapshotRequest.Piece(file: file, position: sizes[file], count: count)
        ask(.snapshotRange, piece) { [weak self] bytes in self?.store(bytes, piece) }
    }

    private func store(_ bytes: ByteBuffer, _ piece: SnapshotRequest.Piece) {
        guard bytes.readableBytes == piece.count else { return end(.malformed) }
        host.metrics.snapshotBytes.increment(by: piece.count)
        target.addStaged(bytes, file: piece.file, at: piece.position) { [weak self] result in
            guard let self, !isDone else { return }
            switch result {
            case .success:
                sizes[piece.file] += piece.count
                next()
            case .failure(let error): end(.store(error))
            }
        }
    }

    private func check() {
        target.checkStaged { [weak self] result in
            guard let self, !isDone else { return }
            switch result {
            case .success(true): end(nil)
            case .success(false): check()
            case .failure(let error): end(.store(error))
            }
        }
    }

    private func ask(
        _ type: PeerRequestType, _ piece: SnapshotRequest.Piece?, _ then: @escaping (ByteBuffer) -> Void
    ) {
        guard let group, let link = host.link else { return end(.peer(.notConnected)) }
        let request = SnapshotRequest(group: group.id, index: info.position.index, piece: piece)
        let loop = host.loop
        let bound = NIOLoopBound((fetch: self, then: then), eventLoop: loop)
        link.call(type, request.encoded, to: peer, timeout: host.settings.recovery.rangeTimeout) { result in
            loop.execute { bound.value.fetch.answered(result, type, piece, bound.value.then) }
        }
    }

    private func answered(
        _ result: Result<ByteBuffer, PeerCallError>, _ type: PeerRequestType, _ piece: SnapshotRequest.Piece?,
        _ then: @escaping (ByteBuffer) -> Void
    ) {
        guard !isDone else { return }
        switch result {
        case .success(let bytes): then(bytes)
        case .failure(.busy): waiting = { [weak self] in self?.ask(type, piece, then) }
        case .failure(let error): end(.peer(error))
        }
    }
}
