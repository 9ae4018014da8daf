// SPDX-License-Identifier: Apache-2.0
//
// Partition+Acknowledge.swift
// When producers are answered: at the local flush, at the commit, or when more replicas than a majority have the batch.

import DequeModule
import KafkaProtocol
import LogStore
package import Model
import Raft
import Replication
import Settings

/// Producers of a committed frame that want more replicas to have it.
struct AwaitedFrame {
    let index: LogIndex
    var waiters: [ProduceWaiter]
}

extension Partition {
    /// `acks=1` asks for the leader's copy only.
    package func replicaFlushed(upTo index: LogIndex) {
        for position in inFlight.indices {
            guard inFlight[position].index <= index else { return }
            inFlight[position].waiters.removeAll { waiter in
                guard waiter.isAnsweredAtFlush else { return false }
                waiter.succeed(logStart: log.logStartOffset)
                return true
            }
        }
    }

    /// Answers the producers of a committed frame, but for those who wait for more than a majority.
    func acknowledge(_ frame: FrameInFlight) {
        guard asksBeyondQuorum else {
            for waiter in frame.waiters { waiter.succeed(logStart: log.logStartOffset) }
            return
        }
        var waiting: [ProduceWaiter] = []
        for waiter in frame.waiters {
            if waiter.isAnsweredAtFlush { waiter.succeed(logStart: log.logStartOffset) } else { waiting.append(waiter) }
        }
        guard !waiting.isEmpty else { return }
        awaited.append(AwaitedFrame(index: frame.index, waiters: waiting))
        acknowledgeAwaited(now: environment.clock.now())
    }

    /// Whether `min.insync.replicas` is more than what a commit takes.
    var asksBeyondQuorum: Bool { isReplicated && configuration.minInsyncReplicas > quorum }

    /// How often replicas are looked at while producers wait for more of them than a majority.
    private static let pollMilliseconds: Int64 = 5

    /// Answers producers whose batch enough replicas have flushed by now, or will not have.
    func acknowledgeAwaited(now: Instant) {
        guard !awaited.isEmpty else { return }
        let voters = replica.configuration.voters
        let matches = replica.progress.filter { voters.contains($0.id) }.map(\.match)
        let isFlushed = log.flushedIndex
        while let first = awaited.first {
            let copies = (isFlushed >= first.index ? 1 : 0) + matches.count { $0 >= first.index }
            guard copies >= configuration.minInsyncReplicas else { break }
            awaited.removeFirst()
            for waiter in first.waiters { waiter.succeed(logStart: log.logStartOffset) }
        }
        if replica.inSyncReplicas.count < configuration.minInsyncReplicas { failAwaited(.notEnoughReplicasAfterAppend) }
        for position in awaited.indices { awaited[position].waiters.removeAll { $0.isOver(at: now) } }
        guard !awaited.isEmpty, !isAwaitedPolled else { return }
        isAwaitedPolled = true
        environment.closeAt(self, now.advanced(byMilliseconds: Self.pollMilliseconds))
    }

    func failAwaited(_ error: KafkaErrorCode) {
        let frames = awaited
        awaited.removeAll()
        for frame in frames { for waiter in frame.waiters { waiter.fail(error) } }
    }
}

extension ProduceWaiter {
    /// Answers a producer whose time is up; its batch may still be committed.
    fileprivate func isOver(at now: Instant) -> Bool {
        guard deadline <= now else { return false }
        fail(.requestTimedOut)
        return true
    }
}
