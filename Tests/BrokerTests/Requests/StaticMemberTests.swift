// SPDX-License-Identifier: Apache-2.0
//
// StaticMemberTests.swift
// A static member that leads its group is started again: what each version of JoinGroup tells it (KIP-814).

import KafkaProtocol
import Testing

@testable import Broker

@Suite struct StaticMemberTests {
    private func join(version: Int16, _ broker: BrokerHarness) async throws -> JoinGroupResponse {
        try await broker.call(
            JoinGroupRequest(
                groupID: "g", sessionTimeoutMilliseconds: 10_000, rebalanceTimeoutMilliseconds: 10_000, memberID: "",
                groupInstanceID: "i", protocolType: "consumer", protocols: [.init(name: "range", metadata: [7])],
                reason: "started"), version: version)
    }

    @Test(arguments: [Int16(8), 9])
    func theLeaderComesBackWithoutARebalance(version: Int16) async throws {
        try await BrokerHarness.withBroker { (broker: BrokerHarness) async throws in
            let first = try await join(version: version, broker)
            #expect(first.errorCode == .none && first.leader == first.memberID && !first.skipAssignment)
            let sync = SyncGroupRequest(
                groupID: "g", generationID: first.generationID, memberID: first.memberID, groupInstanceID: "i",
                assignments: [.init(memberID: first.memberID, assignment: [1])])
            #expect(try await broker.call(sync, version: 5).errorCode == .none)
            let second = try await join(version: version, broker)
            #expect(second.errorCode == .none && second.generationID == first.generationID)
            #expect(second.memberID != first.memberID)
            // Up to version 8 it is to take itself for a follower; from 9 on it is told to keep what there is.
            let isLeader = version >= 9
            #expect(second.leader == (isLeader ? second.memberID : first.memberID))
            #expect(second.skipAssignment == isLeader && second.members.count == (isLeader ? 1 : 0))
            let leave = LeaveGroupRequest(
                groupID: "g", members: [.init(memberID: "", groupInstanceID: "i", reason: "stopped")])
            #expect(try await broker.call(leave, version: 5).members.map(\.errorCode) == [.none])
        }
    }
}
