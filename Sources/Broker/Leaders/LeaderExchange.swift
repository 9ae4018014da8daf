// SPDX-License-Identifier: Apache-2.0
//
// LeaderExchange.swift
// Tells other brokers what this one leads, and takes what they say. Confined to the first event loop.
//
// News of leaders goes out at once as `leaders` frames. Which replicas are in sync, and everything when a connection
// comes up, goes as a request (1010).

import Logging
import Model
import NIOCore
import Replication

/// The part of the leader board that speaks to peers.
final class LeaderExchange {
    private let board: LeaderBoard
    private let link: any PeerLink
    private let loop: any EventLoop
    private let logger: Logger
    private var peers: Set<NodeID> = []
    private static let timeout = Duration.seconds(10)
    private static let pause = TimeAmount.seconds(1)
    /// How long clients are not sent to a broker that cannot be reached from here: by then its partitions have other
    /// leaders, or it is only this broker that does not reach it.
    private static let absence = TimeAmount.seconds(2)
    /// The end of each broker's absence.
    private var returns: [NodeID: Scheduled<Void>] = [:]

    init(board: LeaderBoard, link: any PeerLink, loop: any EventLoop, logger: Logger) {
        self.board = board
        self.link = link
        self.loop = loop
        self.logger = logger
        board.onOwnNews = { [unowned self] in tell($0) }
    }

    // MARK: Peers

    func peer(_ peer: NodeID, _ news: PeerState) {
        switch news {
        case .down:
            peers.remove(peer)
            setAbsent(peer)
        case .up:
            peers.insert(peer)
            returned(peer)
            exchange(board.ownLeadership, with: peer)
        }
    }

    private func setAbsent(_ peer: NodeID) {
        board.setAbsent(peer, true)
        let bound = NIOLoopBound(self, eventLoop: loop)
        returns[peer]?.cancel()
        returns[peer] = loop.scheduleTask(in: Self.absence) { bound.value.returned(peer) }
    }

    private func returned(_ peer: NodeID) {
        returns.removeValue(forKey: peer)?.cancel()
        board.setAbsent(peer, false)
    }

    /// Passes on what this broker's replicas say of themselves.
    private func tell(_ news: [LeaderChange]) {
        guard !peers.isEmpty else { return }
        let leaders = news.filter(\.leadership.isAnnounced).map {
            GroupLeader(group: $0.group, term: $0.leadership.term, leader: $0.leadership.leader)
        }
        let details = news.filter { !$0.leadership.inSync.isEmpty }
        for peer in peers {
            if !leaders.isEmpty { link.announce(leaders, to: peer) }
            if !details.isEmpty { exchange(details, with: peer) }
        }
    }

    /// Tells a peer changes in full; all of them again when it was too busy to take them.
    private func exchange(_ changes: [LeaderChange], with peer: NodeID) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        for frame in LeaderTable.encode(changes) {
            link.call(.leadersSnapshot, frame, to: peer, timeout: Self.timeout) { [loop] result in
                switch result {
                case .success, .failure(.unknownPeer), .failure(.notConnected), .failure(.disconnected): break
                case .failure:
                    loop.scheduleTask(in: Self.pause) {
                        let exchange = bound.value
                        guard exchange.peers.contains(peer) else { return }
                        exchange.exchange(exchange.board.ownLeadership, with: peer)
                    }
                }
            }
        }
    }

    // MARK: What peers say

    /// A peer's word on leaders; what it says of itself is its first word of the term, or its last.
    func announced(_ leaders: [GroupLeader], by peer: NodeID) {
        board.heard(
            leaders.map { said in
                let revision: UInt32 = said.leader == nil ? .max : said.leader == peer ? 1 : 0
                return LeaderChange(
                    group: said.group,
                    leadership: Leadership(term: said.term, revision: revision, leader: said.leader))
            })
    }

    /// Serves request 1010: takes what the peer leads.
    func serve(_ body: ByteBuffer, from peer: NodeID) -> Result<ByteBuffer, PeerCallError> {
        do {
            board.heard(try LeaderTable.decode(body))
            return .success(ByteBuffer())
        } catch {
            logger.warning(
                "What a broker says of leaders cannot be read", metadata: ["peer": "\(peer)", "error": "\(error)"])
            return .failure(.failed("what is said of leaders cannot be read: \(error)"))
        }
    }
}
