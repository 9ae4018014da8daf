// SPDX-License-Identifier: Apache-2.0
//
// ShareSessions.swift
// The share sessions of a broker behind one lock: a member may come back on another connection, of another event loop.

import KafkaProtocol
import Model
import Synchronization
import Telemetry

/// The broker's share sessions.
///
/// A lock instead of a loop: each request holds it for a few steps, and every fetch would hop otherwise.
final class ShareSessions: Sendable {
    private let table = Mutex(ShareSessionTable(limits: .init(sessionsMax: 0)))
    private let metrics: ShareMetrics

    init(metrics: ShareMetrics) { self.metrics = metrics }

    /// See ``ShareSessionTable/fetch(_:epoch:adding:forgetting:connection:)``.
    func fetch(
        _ member: ShareMember, _ request: ShareFetchRequest, sessionsMax: Int, connection: ConnectionEnd?
    ) -> Result<ShareSessionTable.Admission, KafkaErrorCode> {
        let adding = request.topics.flatMap { topic in
            topic.partitions.map { SharedPartition(topicID: topic.topicID, index: $0.index) }
        }
        let forgetting = request.forgottenTopics.flatMap { topic in
            topic.partitions.map { SharedPartition(topicID: topic.topicID, index: $0) }
        }
        let connection = connection.map { ObjectIdentifier($0) }
        return change { table in
            table.limits.sessionsMax = sessionsMax
            return table.fetch(
                member, epoch: request.shareSessionEpoch, adding: adding, forgetting: forgetting,
                connection: connection)
        }
    }

    /// See ``ShareSessionTable/acknowledge(_:epoch:)``.
    func acknowledge(_ member: ShareMember, epoch: Int32) -> Result<ShareSessionTable.Admission, KafkaErrorCode> {
        change { $0.acknowledge(member, epoch: epoch) }
    }

    /// See ``ShareSessionTable/disconnect(_:)``.
    func disconnect(_ connection: ObjectIdentifier) -> [(member: ShareMember, partitions: [SharedPartition])] {
        change { $0.disconnect(connection) }
    }

    private func change<Answer: Sendable>(_ body: (inout ShareSessionTable) -> Answer) -> Answer {
        table.withLock { table in
            let (count, partitions) = (table.count, table.partitionCount)
            let answer = body(&table)
            metrics.sessions.add(table.count - count)
            metrics.sessionPartitions.add(table.partitionCount - partitions)
            return answer
        }
    }
}
