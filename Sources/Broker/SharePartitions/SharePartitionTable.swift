// SPDX-License-Identifier: Apache-2.0
//
// SharePartitionTable.swift
// The partitions of one event loop whose records are handed out to share groups. Confined to that loop.

import KafkaProtocol
import Logging
import Model
import NIOCore
import Settings

/// Share groups' leaders of partitions on one loop.
final class SharePartitionTable {
    /// A partition that nobody asked for during this time is forgotten: its state is stored.
    static let idleMilliseconds: Int64 = 300_000

    private let environment: ShareEnvironment
    /// How many loops there are, which share the bound of the broker.
    private let loopCount: Int
    private var leaders: [ShareKey: SharePartitionLeader] = [:]

    init(loopCount: Int, _ environment: ShareEnvironment) {
        self.environment = environment
        self.loopCount = loopCount
    }

    var count: Int { leaders.count }

    /// The leader of a partition for a group; made when there is none for the present term.
    ///
    /// - Parameter joining: whether a member begins to read the partition. If nobody else has anything there, the state
    ///   is read again: an operator may have set it while the group was empty.
    func leader(
        _ key: ShareKey, _ partition: Partition?, _ settings: BrokerSettings.ShareGroups, joining: Bool = false
    ) -> Result<SharePartitionLeader, KafkaErrorCode> {
        guard let partition else { return .failure(.notLeaderOrFollower) }
        if let known = leaders[key] {
            let isStale = joining && known.isIdle(since: environment.clock.now().advanced(byMilliseconds: 1))
            if known.partition === partition, known.isUsable, !isStale {
                known.adopt(ShareReadSettings(settings))
                return .success(known)
            }
            leaders[key] = nil
            known.end(.notLeaderOrFollower)
        }
        if let refusal = partition.refusal { return .failure(refusal) }
        let epoch = partition.handle.leaderEpoch
        guard epoch >= 0 else { return .failure(.notLeaderOrFollower) }
        guard leaders.count < max(1, settings.maxPartitions / loopCount) else {
            return .failure(.coordinatorNotAvailable)
        }
        let leader = SharePartitionLeader(
            key, partition, leaderEpoch: epoch, settings: ShareReadSettings(settings), environment)
        leaders[key] = leader
        return .success(leader)
    }

    /// The leader of a partition for a group, if there is one.
    func existing(_ key: ShareKey) -> SharePartitionLeader? { leaders[key] }

    /// Drops what this broker does not lead any more, and what nobody asks for.
    func tick(isHere: (Partition) -> Bool) {
        guard !leaders.isEmpty else { return }
        let idle = environment.clock.now().advanced(byMilliseconds: -Self.idleMilliseconds)
        for (key, leader) in leaders {
            let isGone = !isHere(leader.partition) || !leader.isUsable
            guard isGone || leader.isIdle(since: idle) else { continue }
            leaders[key] = nil
            leader.end(.notLeaderOrFollower)
        }
    }

    /// Answers everything that waits.
    func stop() {
        let all = leaders
        leaders.removeAll()
        for leader in all.values { leader.end(.notLeaderOrFollower) }
    }
}

extension Shard {
    /// The settings of share groups as they are for `group`.
    func shareSettings(of group: String?) -> BrokerSettings.ShareGroups {
        settings.typed.shareGroups.adapted(to: group.flatMap { image.groupConfigurations[$0] })
    }
}

extension ShardDirectory {
    /// Asks a share group's leader of a partition something and brings the answer back to `loop`, the current one.
    ///
    /// `body` runs on the partition's loop and calls its second argument once, now or later; `then` runs on `loop`.
    func withShare<Answer: Sendable>(
        _ key: ShareKey, _ handle: PartitionHandle, from loop: any EventLoop, joining: Bool = false,
        _ body: @escaping @Sendable (Result<SharePartitionLeader, KafkaErrorCode>, @escaping (Answer) -> Void) -> Void,
        then: @escaping (Answer) -> Void
    ) {
        let back = NIOLoopBound(then, eventLoop: loop)
        execute(on: handle.shard) { shard in
            let settings = shard.shareSettings(of: key.groupID)
            let found =
                shard.shares?.leader(key, shard.partitions[handle.group], settings, joining: joining)
                ?? .failure(.coordinatorNotAvailable)
            body(found) { answer in
                if loop.inEventLoop { back.value(answer) } else { loop.execute { back.value(answer) } }
            }
        }
    }
}
