// SPDX-License-Identifier: Apache-2.0
//
// GroupMemberTests.swift
// Joining, staying alive and rebalancing against a scripted coordinator; the range assignor.

import KafkaProtocol
import Model
import NIOCore
import Synchronization
import Testing

@testable import KafkaClient

@Suite struct GroupMemberTests {
    /// A coordinator of one group with one member.
    private final class Coordinator: Sendable {
        struct State {
            var generation: Int32 = 0
            var heartbeat = KafkaErrorCode.none
            var committed: [Int32: Int64] = [:]
            var hasLeft = false
            var joins: [String] = []
            var syncErrors: [KafkaErrorCode] = []
        }

        let state = Mutex(State())

        func reply(to request: KafkaRequest) -> ScriptedReply? {
            switch request {
            case .findCoordinator: .answer(FindCoordinatorResponse(nodeID: 1, host: "127.0.0.1", port: 1))
            case .joinGroup(let request): .answer(join(request))
            case .syncGroup(let request): .answer(sync(request))
            case .heartbeat: .answer(HeartbeatResponse(errorCode: state.withLock { $0.heartbeat }))
            case .offsetCommit(let request): .answer(commit(request))
            case .leaveGroup: .answer(leave())
            default: nil
            }
        }

        private func join(_ request: JoinGroupRequest) -> JoinGroupResponse {
            state.withLock { state in
                state.joins.append(request.memberID)
                guard !request.memberID.isEmpty else {
                    return JoinGroupResponse(errorCode: .memberIDRequired, leader: "", memberID: "m1")
                }
                state.generation += 1
                state.heartbeat = .none
                return JoinGroupResponse(
                    generationID: state.generation, protocolType: "consumer", protocolName: "range", leader: "m1",
                    memberID: "m1", members: [.init(memberID: "m1", metadata: request.protocols[0].metadata)])
            }
        }

        private func sync(_ request: SyncGroupRequest) -> SyncGroupResponse {
            state.withLock { state in
                let code = state.syncErrors.isEmpty ? KafkaErrorCode.none : state.syncErrors.removeFirst()
                return SyncGroupResponse(
                    errorCode: code, protocolType: "consumer", protocolName: "range",
                    assignment: code == .none ? request.assignments.first?.assignment ?? [] : [])
            }
        }

        private func commit(_ request: OffsetCommitRequest) -> OffsetCommitResponse {
            state.withLock { state in
                OffsetCommitResponse(
                    topics: request.topics.map { topic in
                        .init(
                            name: topic.name,
                            partitions: topic.partitions.map {
                                state.committed[$0.index] = $0.committedOffset
                                return .init(index: $0.index)
                            })
                    })
            }
        }

        private func leave() -> LeaveGroupResponse {
            state.withLock { $0.hasLeft = true }
            return LeaveGroupResponse()
        }
    }

    private func partitions(_ numbers: Range<Int32>) -> [TopicPartition] {
        numbers.map { TopicPartition(topic: "t", partition: PartitionIndex(rawValue: $0)) }
    }

    @Test func joinsCommitsAndLeaves() async throws {
        let coordinator = Coordinator()
        try await withMiniBroker(partitions: 3, override: { coordinator.reply(to: $0) }) { _, _, client in
            let member = GroupMember(client, group: "g", topics: ["t"])
            let assignment = try await member.join()
            #expect(assignment == .init(generation: 1, partitions: partitions(0..<3)))
            #expect(try await member.heartbeat())
            try await member.commit([partitions(0..<3)[1]: Offset(42)])
            await member.leave()
            let state = coordinator.state.withLock { $0 }
            #expect(state.joins == ["", "m1"])
            #expect(state.committed == [1: 42])
            #expect(state.hasLeft)
        }
    }

    @Test func aRebalanceMeansJoiningAgainWithTheSameID() async throws {
        let coordinator = Coordinator()
        try await withMiniBroker(override: { coordinator.reply(to: $0) }) { _, _, client in
            let member = GroupMember(client, group: "g", topics: ["t"])
            _ = try await member.join()
            coordinator.state.withLock { $0.heartbeat = .rebalanceInProgress }
            #expect(try await member.heartbeat() == false)
            #expect(try await member.join().generation == 2)
            #expect(coordinator.state.withLock { $0.joins } == ["", "m1", "m1"])
        }
    }

    @Test func aMemberThatWasForgottenStartsAnew() async throws {
        let coordinator = Coordinator()
        try await withMiniBroker(override: { coordinator.reply(to: $0) }) { _, _, client in
            let member = GroupMember(client, group: "g", topics: ["t"])
            _ = try await member.join()
            coordinator.state.withLock { $0.heartbeat = .unknownMemberID }
            #expect(try await member.heartbeat() == false)
            _ = try await member.join()
            #expect(coordinator.state.withLock { $0.joins } == ["", "m1", "", "m1"])
        }
    }

    @Test func aRebalanceDuringSyncIsJoinedAgain() async throws {
        let coordinator = Coordinator()
        coordinator.state.withLock { $0.syncErrors = [.rebalanceInProgress, .notCoordinator] }
        try await withMiniBroker(override: { coordinator.reply(to: $0) }) { _, server, client in
            let member = GroupMember(client, group: "g", topics: ["t"])
            let assignment = try await member.join()
            #expect(assignment.generation == 3)
            #expect(server.count(.findCoordinator) == 2)
        }
    }

    @Test(
        arguments: [
            (["a"], 3, ["a": [0, 1, 2]]), (["a", "b"], 3, ["a": [0, 1], "b": [2]]),
            (["b", "a", "c"], 2, ["a": [0], "b": [1], "c": []]), (["a", "b"], 0, ["a": [], "b": []]),
        ] as [([String], Int, [String: [Int32]])])
    func rangesAreCutEvenly(_ members: [String], _ count: Int, _ expected: [String: [Int32]]) {
        let subscriptions = Dictionary(uniqueKeysWithValues: members.map { ($0, ["t"]) })
        let result = RangeAssignor.assign(partitionCounts: ["t": count], subscriptions: subscriptions)
        #expect(result.mapValues { $0.map(\.partition.rawValue) } == expected)
    }

    @Test func membersGetOnlyTopicsThatTheyWant() {
        let result = RangeAssignor.assign(
            partitionCounts: ["x": 2, "y": 2], subscriptions: ["a": ["x"], "b": ["x", "y"]])
        #expect(result["a"]?.map(\.description) == ["x/0"])
        #expect(result["b"]?.map(\.description) == ["x/1", "y/0", "y/1"])
    }
}
