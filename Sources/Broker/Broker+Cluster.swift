// SPDX-License-Identifier: Apache-2.0
//
// Broker+Cluster.swift
// A broker among others: where what they say goes, and how it leaves without a gap in leadership.

import KafkaProtocol
import Model
import NIOCore
import Replication
import Synchronization

extension Broker {
    /// Begins to take what other brokers say; on the first loop, before any replica starts.
    func join(_ cluster: ClusterParts) {
        guard let exchange = control.value.exchange else { preconditionFailure("a cluster without an exchange") }
        let bound = NIOLoopBound(exchange, eventLoop: home)
        let shards = shards
        let home = home
        cluster.inbox.bind(
            PeerInbox.Receiver(
                messages: { peer, messages in shards.receive(messages, from: peer) },
                leaders: { peer, leaders in home.execute { bound.value.announced(leaders, by: peer) } },
                peer: { [control] peer, news in
                    shards.hosts?.connection(peer, news)
                    home.execute {
                        bound.value.peer(peer, news)
                        control.value.controller.connection(peer, news)
                    }
                },
                heartbeats: { peer, roster in shards.hosts?.receive(roster, from: peer) }))
        shards.hosts?.serve(on: cluster.requests)
        cluster.requests.serve(.leadersSnapshot) { request, answer in
            home.execute { answer(bound.value.serve(request.body, from: request.from)) }
        }
        cluster.requests.serve(.forwardKafkaRequest) { [weak self] request, answer in
            guard let self else { return answer(.failure(.failed("the broker has stopped"))) }
            serveForwarded(request.body, answer: answer)
        }
        cluster.requests.serve(.shareState) { [weak self] request, answer in
            guard let self else { return answer(.failure(.failed("the broker has stopped"))) }
            serveShareState(request.body, answer: answer)
        }
    }

    /// How long handing over may take: what is left is for the others to find out.
    private static let handOverTime = TimeAmount.milliseconds(300)

    /// Proposes what is open and hands leadership over; `then` runs once, on the first loop.
    func handOver(then: @escaping @Sendable () -> Void) {
        control.value.controller.leave()
        let once = Once()
        let finish: @Sendable () -> Void = { [home] in if once.isFirst { home.execute(then) } }
        home.scheduleTask(in: Self.handOverTime, finish)
        let gathering = Gathering<[GroupID]>(count: shards.count + 1) { [home, control] given in
            // Clients that leave before the new leaders are known would be sent back here by the other brokers.
            home.execute { control.value.leaders.whenOthersLead(Set(given.joined()), then: finish) }
        }
        for number in 0..<shards.count {
            shards.execute(on: number) { shard in shard.handOver { gathering.set(number, $0) } }
        }
        control.value.handOver { [shards] in gathering.set(shards.count, $0) }
    }
}

/// Lets one of several through.
private final class Once: Sendable {
    private let isTaken = Atomic<Bool>(false)

    /// Whether nobody asked before.
    var isFirst: Bool { !isTaken.exchange(true, ordering: .acquiringAndReleasing) }
}

extension ShardDirectory {
    /// Brings messages to the replicas they are for, with one hop to each loop.
    func receive(_ messages: [PeerMessage], from peer: NodeID) { hosts?.receive(messages, from: peer) }
}
