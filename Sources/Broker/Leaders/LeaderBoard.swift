// SPDX-License-Identifier: Apache-2.0
//
// LeaderBoard.swift
// Collects what is said of leaders, on this broker and by others, and gives it to every event loop and every peer.
// Confined to the first event loop.

import Model
import NIOCore

/// The broker's own table of leaders, from which the event loops have their copies.
final class LeaderBoard {
    private(set) var table = LeaderTable()
    private let node: NodeID
    private let shards: ShardDirectory
    /// Passes on what this broker's replicas say of themselves to all peers.
    var onOwnNews: (([LeaderChange]) -> Void)?
    /// Called when the leader of one of the broker's own groups has changed.
    var onOwnGroup: ((GroupID, Leadership) -> Void)?

    /// Groups that others should lead, and what happens when they do.
    private var awaited: (groups: Set<GroupID>, then: () -> Void)?

    init(node: NodeID, shards: ShardDirectory) {
        self.node = node
        self.shards = shards
    }

    /// Begins to listen to the shards; on the first loop.
    func start(on loop: any EventLoop) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        for number in 0..<shards.count {
            shards.execute(on: number) { shard in
                shard.onLeaderChanges = { changes in
                    if loop.inEventLoop { return bound.value.take(changes, from: number) }
                    loop.execute { bound.value.take(changes, from: number) }
                }
            }
        }
    }

    /// Takes news of a replica of this broker that lives on shard `number`, or of the broker's own groups.
    func take(_ changes: [LeaderChange], from number: Int?) {
        let news = table.merge(changes)
        spread(news, except: number)
        // Followers' views stay here: what counts is what leaders say.
        let own = news.filter { $0.leadership.revision > 0 }
        if !own.isEmpty { onOwnNews?(own) }
    }

    /// Takes what a peer says.
    func heard(_ changes: [LeaderChange]) {
        spread(table.merge(changes), except: nil)
    }

    private func spread(_ news: [LeaderChange], except number: Int?) {
        guard !news.isEmpty else { return }
        for change in news where change.group < .firstPartition { onOwnGroup?(change.group, change.leadership) }
        for other in 0..<shards.count where other != number {
            shards.execute(on: other) { shard in _ = shard.leaders.merge(news) }
        }
        // Last: whoever waited lets go of clients, which are to be told of the new leaders first.
        checkAwaited()
    }

    /// Runs `then` once it is known that other brokers lead these groups; a later call takes the place of an earlier one.
    func whenOthersLead(_ groups: Set<GroupID>, then: @escaping () -> Void) {
        awaited = (groups, then)
        checkAwaited()
    }

    private func checkAwaited() {
        guard let (groups, then) = awaited else { return }
        let left = groups.filter { table[$0]?.leader.map { $0 == node } ?? true }
        awaited = left.isEmpty ? nil : (left, then)
        if left.isEmpty { then() }
    }

    /// A broker cannot be reached, or can again: what it leads may have another leader any moment, so that clients should
    /// rather ask again than go there.
    func setAbsent(_ peer: NodeID, _ isAbsent: Bool) {
        guard table.setAbsent(peer, isAbsent) else { return }
        for number in 0..<shards.count {
            shards.execute(on: number) { shard in _ = shard.leaders.setAbsent(peer, isAbsent) }
        }
    }

    /// What this broker leads, for a peer that just connected.
    var ownLeadership: [LeaderChange] { table.led(by: node).filter { $0.leadership.revision > 0 } }

    /// Forgets groups that were deleted.
    func forget(below limit: GroupID, except kept: Set<GroupID>) {
        table.forget(below: limit) { kept.contains($0) }
        for number in 0..<shards.count {
            shards.execute(on: number) { $0.leaders.forget(below: limit) { kept.contains($0) } }
        }
    }
}
