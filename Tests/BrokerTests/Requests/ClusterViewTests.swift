// SPDX-License-Identifier: Apache-2.0
//
// ClusterViewTests.swift
// Which replicas a broker tells clients are in sync, whatever it has heard of their leader.

import KafkaProtocol
import Model
import Testing

@testable import Broker

@Suite struct ClusterViewTests {
    private static let group = GroupID(rawValue: 1024)

    private static func broker(_ id: Int32) -> (NodeID, BrokerRecord) {
        let endpoint = BrokerEndpoint(host: "h\(id)", port: 1)
        let registration = BrokerRegistration(
            id: NodeID(rawValue: id), incarnation: 1, storeID: 1, kafka: endpoint, peer: endpoint)
        return (
            NodeID(rawValue: id),
            BrokerRecord(
                registration: registration, health: id == 4 ? .failed : .active, since: WallTime(milliseconds: 0))
        )
    }

    /// What broker 1 says of a partition with replicas 1, 2 and 3 of which it has heard `leadership`.
    private func inSync(
        replicas: [Int32] = [1, 2, 3], rejoining: [Int32] = [], _ leadership: Leadership?
    ) -> [Int32] {
        described(replicas: replicas, rejoining: rejoining, leadership).isrNodes
    }

    private func view(_ leadership: Leadership?) -> ClusterView {
        var leaders = LeaderTable()
        if let leadership { _ = leaders.merge(LeaderChange(group: Self.group, leadership: leadership)) }
        let image = ClusterImage(
            clusterID: "c", node: NodeID(rawValue: 1), controller: nil,
            brokers: Dictionary(uniqueKeysWithValues: (1...4).map(Self.broker)), topics: [:])
        return ClusterView(
            node: NodeID(rawValue: 1), image: image, leaders: leaders,
            me: BrokerAddress(id: NodeID(rawValue: 1), host: "me", port: 1), rack: "r")
    }

    private func described(
        replicas: [Int32] = [1, 2, 3], rejoining: [Int32] = [], absent: Int32? = nil, _ leadership: Leadership?
    ) -> MetadataResponse.Partition {
        var leaders = LeaderTable()
        if let absent { _ = leaders.setAbsent(NodeID(rawValue: absent), true) }
        if let leadership { _ = leaders.merge(LeaderChange(group: Self.group, leadership: leadership)) }
        let image = ClusterImage(
            clusterID: "c", node: NodeID(rawValue: 1), controller: nil,
            brokers: Dictionary(uniqueKeysWithValues: (1...4).map(Self.broker)), topics: [:])
        let view = ClusterView(
            node: NodeID(rawValue: 1), image: image, leaders: leaders,
            me: BrokerAddress(id: NodeID(rawValue: 1), host: "me", port: 1), rack: nil)
        var record = PartitionRecord(group: Self.group, replicas: replicas.map { NodeID(rawValue: $0) })
        record.rejoining = rejoining.map { NodeID(rawValue: $0) }
        let handle = PartitionHandle(topic: "t", index: PartitionIndex(rawValue: 0), group: Self.group, shard: 0)
        return view.describe(handle, record)
    }

    private func said(_ leader: Int32?, _ inSync: [Int32] = []) -> Leadership {
        Leadership(
            term: Term(3), revision: inSync.isEmpty ? 0 : 1, leader: leader.map { NodeID(rawValue: $0) },
            inSync: inSync.map { NodeID(rawValue: $0) })
    }

    @Test func whoAskedAnotherBrokerIsToldOfTheLeaderAndItsAddress() {
        let handle = PartitionHandle(topic: "t", index: PartitionIndex(rawValue: 0), group: Self.group, shard: 0)
        var endpoints: [NodeEndpoint] = []
        #expect(view(nil).currentLeader(handle, &endpoints) == nil)
        #expect(view(said(nil)).currentLeader(handle, &endpoints) == nil)
        #expect(view(said(4)).currentLeader(handle, &endpoints) == nil, "it is fenced")
        #expect(endpoints.isEmpty)
        let known = view(said(2)).currentLeader(handle, &endpoints)
        #expect(known == LeaderAndEpoch(leaderID: 2, leaderEpoch: 3))
        _ = view(said(2)).currentLeader(handle, &endpoints)
        #expect(endpoints == [.init(nodeID: 2, host: "h2", port: 1)], "each broker once")
        _ = view(said(1)).currentLeader(handle, &endpoints)
        #expect(endpoints.last == .init(nodeID: 1, host: "me", port: 1, rack: "r"))
    }

    @Test func whatTheLeaderSaidCounts() {
        #expect(inSync(said(2, [2, 3])) == [2, 3])
    }

    @Test func whatIsNotKnownIsNotInSync() {
        #expect(inSync(said(2)) == [2], "a follower has told who leads, and cannot tell more")
        #expect(inSync(said(nil)).isEmpty)
        #expect(inSync(nil).isEmpty)
    }

    @Test func whatIsLostOrAwayIsNotInSync() {
        #expect(inSync(rejoining: [3], said(2, [1, 2, 3])) == [1, 2])
        #expect(inSync(replicas: [1, 2, 4], said(2, [1, 2, 4])) == [1, 2])
        #expect(inSync(replicas: [1, 2], said(2, [1, 2, 3])) == [1, 2], "3 is no replica any more")
    }

    @Test func clientsAreNotSentToALeaderThatIsAway() {
        let known = described(absent: 3, said(2, [1, 2]))
        #expect(known.leaderID == 2 && known.errorCode == .none)
        let away = described(absent: 2, said(2, [1, 2]))
        #expect(away.leaderID == -1 && away.errorCode == .leaderNotAvailable && away.leaderEpoch == 3)
        #expect(away.isrNodes == [1, 2], "what it said of its replicas stands")
    }
}
