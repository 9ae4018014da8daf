// SPDX-License-Identifier: Apache-2.0
//
// ReplicaGroup+Snapshots.swift
// Bringing up to date a peer whose next entries are gone, and being brought up to date.

internal import LogStore
internal import Logging
internal import Model
internal import NIOCore
internal import Raft
internal import Telemetry

/// The snapshot that this replica has on offer: one for all peers, kept while somebody fetches it.
struct SnapshotOffer {
    let snapshot: LogSnapshot
    /// When a piece of it was asked for last.
    var usedAt: UInt64
}

extension ReplicaGroup {
    private var source: (any SnapshotLog)? { log as? any SnapshotLog }

    // MARK: Giving

    /// Makes a snapshot for a peer and offers it; the core asks again when none comes of it.
    func provideSnapshot(to peer: NodeID) {
        guard let host, let source else { return }
        if let offer, offer.snapshot.index >= core.firstIndex.previous {
            return whenIdle { [self] in enter { [self] in offerSnapshot(offer.snapshot, to: peer) } }
        }
        guard !isMakingOffer else { return }
        dropOffer()
        isMakingOffer = true
        let history = core.configurations.elements.map {
            ConfigurationRecord(index: $0.index, bytes: $0.configuration.encoded)
        }
        source.makeSnapshot(through: committed, configurations: history) { [weak self] result in
            guard let self else { return }
            isMakingOffer = false
            switch result {
            case .success(let snapshot):
                guard self.host != nil, hasPeers else { return source.releaseSnapshot() }
                offer = SnapshotOffer(snapshot: snapshot, usedAt: host.now)
                host.wake(self)
                host.metrics.snapshotsProvided.increment()
                enter { [self] in offerSnapshot(snapshot, to: peer) }
            case .failure(let error):
                host.logger.warning(
                    "No snapshot could be made", metadata: ["group": "\(id.rawValue)", "error": "\(error)"])
            }
        }
    }

    private func offerSnapshot(_ snapshot: LogSnapshot, to peer: NodeID) {
        guard snapshot.index <= core.committedIndex else { return }
        let info = Raft.SnapshotInfo(
            position: Raft.Position(index: snapshot.index, term: snapshot.term),
            configuration: core.configurations.element(at: snapshot.index).configuration)
        core.snapshotProvided(info, to: peer, into: &directives)
    }

    /// Lets go of a snapshot that nobody fetches.
    ///
    /// At once when every peer has nearly all entries: for as long as it is on offer its files can neither be compacted nor go.
    /// But only after a while when a peer is away or far behind: what it is fed with could be compacted before it gets it, and
    /// then it may come back and go on with the snapshot.
    func tickOffer(_ now: UInt64) {
        guard let offer, let host else { return }
        let isOld = offer.usedAt + UInt64(host.settings.recovery.idleTicksMax) < now
        if isOld || feedsAllPeers { dropOffer() }
    }

    /// Entries that a peer may lack which has nearly all: about what is under way to one that follows a busy leader.
    private static let nearlyAllEntries = 1024

    private var feedsAllPeers: Bool {
        let last = log.lastIndex
        return core.role == .leader
            && core.peerStatus.allSatisfy {
                $0.state == .replicate && $0.isRecentlyActive && last - $0.match <= Self.nearlyAllEntries
            }
    }

    func dropOffer() {
        guard offer != nil else { return }
        offer = nil
        source?.releaseSnapshot()
    }

    /// Answers a peer that fetches: with the description, or with a piece.
    func serveSnapshot(_ request: SnapshotRequest, answer: @escaping (Result<ByteBuffer, PeerCallError>) -> Void) {
        guard var current = offer, current.snapshot.index == request.index, let source, let host else {
            return answer(.failure(.failed("the snapshot is not on offer any more")))
        }
        current.usedAt = host.now
        offer = current
        guard let piece = request.piece else { return answer(.success(ByteBuffer(bytes: current.snapshot.bytes))) }
        guard host.governor.take(piece.count) else { return answer(.failure(.busy)) }
        source.readSnapshot(current.snapshot, file: piece.file, from: piece.position, count: piece.count) { result in
            answer(result.mapError { .failed("\($0)") })
        }
    }

    // MARK: Receiving

    /// Pulls a snapshot from a peer into a staging place.
    func fetchSnapshot(_ info: Raft.SnapshotInfo, from peer: NodeID) {
        fetch?.cancel()
        guard let host, let source else { return abandon(info) }
        fetch = SnapshotFetch(info, of: self, into: source, from: peer, host: host)
        host.wake(self)
    }

    func abandon(_ info: Raft.SnapshotInfo) {
        whenIdle { [self] in enter { [self] in core.snapshotAbandoned(info) } }
    }

    /// A fetch has ended; with an error, the leader will offer again.
    func fetchEnded(_ info: Raft.SnapshotInfo, _ error: FetchError?) {
        guard let error else {
            enter { [self] in core.snapshotFetched(info, into: &directives) }
            // It may not be wanted any more.
            return whenIdle { [self] in if fetch?.info == info { fetch = nil } }
        }
        fetch = nil
        host?.logger.notice(
            "A snapshot could not be fetched",
            metadata: ["group": "\(id.rawValue)", "position": "\(info.position)", "error": "\(error)"])
        abandon(info)
    }

    /// Replaces log and state by the snapshot that was fetched.
    func installSnapshot(_ info: Raft.SnapshotInfo) {
        guard let source, fetch?.info == info else { preconditionFailure("\(id): \(info.position) was not fetched") }
        fetch = nil
        isInstalling = true
        committed = info.position.index
        source.installStaged { [weak self] result in
            guard let self else { return }
            isInstalling = false
            switch result {
            case .success: enter { [self] in installed(info) }
            case .failure(let error): enter { [self] in fail(error) }
            }
        }
    }

    private func installed(_ info: Raft.SnapshotInfo) {
        host?.metrics.snapshotsInstalled.increment()
        host?.logger.notice(
            "A snapshot has replaced the log",
            metadata: ["group": "\(id.rawValue)", "position": "\(info.position)"])
        observer?.replicaInstalled(info.position)
        core.snapshotInstalled(info, into: &directives)
    }
}

/// What a peer asks of a snapshot: its description, or a piece of one of its files.
struct SnapshotRequest: Sendable, Hashable {
    /// A part of a file.
    struct Piece: Sendable, Hashable {
        let file: Int
        let position: Int
        let count: Int
    }

    let group: GroupID
    /// The last entry of the snapshot.
    let index: LogIndex
    var piece: Piece?

    /// The request on the wire: group, index, and for a piece its file, position and count.
    var encoded: ByteBuffer {
        var bytes = ByteBuffer()
        bytes.writeInteger(group.rawValue)
        bytes.writeInteger(index.rawValue)
        if let piece {
            bytes.writeInteger(UInt32(piece.file))
            bytes.writeInteger(UInt64(piece.position))
            bytes.writeInteger(UInt32(piece.count))
        }
        return bytes
    }

    /// The largest piece that is served.
    static let pieceBytesMax = 16 << 20

    init(group: GroupID, index: LogIndex, piece: Piece? = nil) {
        self.group = group
        self.index = index
        self.piece = piece
    }

    /// Reads what ``encoded`` made; nil when it is anything else.
    init?(_ body: ByteBuffer) {
        var body = body
        guard let group = body.readInteger(as: UInt64.self), let index = body.readInteger(as: UInt64.self) else {
            return nil
        }
        self.group = GroupID(rawValue: group)
        self.index = LogIndex(index)
        guard body.readableBytes > 0 else { return }
        guard let file = body.readInteger(as: UInt32.self), let position = body.readInteger(as: UInt64.self),
            let count = body.readInteger(as: UInt32.self), body.readableBytes == 0, count > 0,
            count <= Self.pieceBytesMax, position <= UInt64(Int.max >> 1)
        else { return nil }
        piece = Piece(file: Int(file), position: Int(position), count: Int(count))
    }
}
