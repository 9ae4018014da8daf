// SPDX-License-Identifier: Apache-2.0
//
// GroupTableTests.swift
// What the coordinator answers for groups that do not exist, and what it proposes for those that do.

import Model
import Testing

@testable import Broker

@Suite struct GroupTableTests {
    /// A coordinator whose proposals are applied at once.
    private final class Coordinator {
        var settings = GroupSettings(initialRebalanceDelayMilliseconds: 0)
        var state = CoordinatorState()
        var table: GroupTable
        var milliseconds: Int64 = 0
        var lastWaiter: UInt64 = 0
        var joins: [JoinResult] = []
        var syncs: [SyncResult] = []

        init(settings: GroupSettings = GroupSettings(initialRebalanceDelayMilliseconds: 0)) {
            self.settings = settings
            table = GroupTable(leading: state, settings: settings, now: Self.moment(0))
        }

        static func moment(_ milliseconds: Int64) -> Moment {
            Moment(instant: Instant(nanoseconds: UInt64(milliseconds) * 1_000_000), wallTime: wall(milliseconds))
        }

        var now: Moment { Self.moment(milliseconds) }

        func waiter() -> WaiterID {
            lastWaiter += 1
            return WaiterID(rawValue: lastWaiter)
        }

        func carryOut(_ directives: [GroupDirective]) {
            for directive in directives {
                switch directive {
                case .completeJoin(_, let result): joins.append(result)
                case .completeSync(_, let result): syncs.append(result)
                case .persistGroup(let group, let sequence, let snapshot):
                    apply(.groupMetadata(group: group, snapshot: snapshot))
                    var more: [GroupDirective] = []
                    table.persisted(group: group, sequence: sequence, now: now, into: &more)
                    carryOut(more)
                case .memberRemoved, .stateChanged: break
                }
            }
        }

        func apply(_ command: CoordinatorCommand) {
            var writes: [CoordinatorWrite] = []
            state.apply(command, into: &writes)
        }

        @discardableResult
        func join(
            _ group: String, memberID: String = "", type: String = "consumer", topics: [String] = ["t"]
        ) -> JoinResult? {
            var metadata: [UInt8] = [0, 1, 0, 0, 0, UInt8(topics.count)]
            for topic in topics { metadata += [0, UInt8(topic.utf8.count)] + Array(topic.utf8) }
            let request = GroupJoin(
                memberID: memberID, instanceID: nil, clientID: "c", clientHost: "h",
                sessionTimeoutMilliseconds: 10_000, rebalanceTimeoutMilliseconds: 30_000, protocolType: type,
                protocols: [GroupProtocol(name: "range", metadata: metadata)], requiresKnownMemberID: false,
                entropy: MemberIDEntropy(high: 0, low: lastWaiter))
            let count = joins.count
            var directives: [GroupDirective] = []
            table.join(group: group, request, waiter: waiter(), state: state, now: now, into: &directives)
            carryOut(directives)
            return joins.count > count ? joins.last : nil
        }

        func sync(_ group: String, _ joined: JoinResult) -> SyncResult? {
            let request = GroupSync(
                memberID: joined.memberID, instanceID: nil, generation: joined.generation, protocolType: nil,
                protocolName: nil, assignments: [])
            var directives: [GroupDirective] = []
            table.sync(group: group, request, waiter: waiter(), state: state, now: now, into: &directives)
            carryOut(directives)
            return syncs.last
        }

        func leave(_ group: String, _ memberID: String) -> [GroupError?] {
            var directives: [GroupDirective] = []
            let leaving = [LeavingMember(memberID: memberID, instanceID: nil)]
            let results = table.leave(group: group, leaving, state: state, now: now, into: &directives)
            carryOut(directives)
            return results
        }

        func commit(
            _ group: String, memberID: String = "", generation: Int32 = -1, metadata: String = "",
            retention: Int64? = nil, knows: Bool = false
        ) -> CoordinatorDecision {
            let entry = OffsetCommitBatch.Entry(partition: partition("t", 0), offset: 1, metadata: metadata)
            let claim = MemberClaim(memberID: memberID, instanceID: nil, generation: generation)
            let request = OffsetCommit(
                group: group, claim: claim, entries: [entry], retentionMilliseconds: retention,
                knowsGroupIDNotFound: knows)
            let decision = table.commit(request, state: state, now: now)
            if case .propose(let command?, _) = decision { apply(command) }
            return decision
        }

        func expire() -> [CoordinatorCommand] {
            let commands = table.expirations(state: state, now: now.wallTime)
            for command in commands { apply(command) }
            return commands
        }
    }

    @Test func groupsThatDoNotExist() {
        let coordinator = Coordinator()
        #expect(coordinator.join("g", memberID: "m")?.error == .unknownMemberID)
        #expect(coordinator.leave("g", "m") == [.unknownMemberID])
        let claim = MemberClaim(memberID: "m", instanceID: nil, generation: 1)
        #expect(
            coordinator.table.heartbeat(group: "g", claim, state: coordinator.state, now: coordinator.now)
                == .unknownMemberID)
        #expect(coordinator.commit("g", memberID: "m", generation: 1) == .refuse(.illegalGeneration))
        #expect(coordinator.commit("g", memberID: "m", generation: 1, knows: true) == .refuse(.groupIDNotFound))
        #expect(
            coordinator.table.delete(group: "g", state: coordinator.state, now: coordinator.now)
                == .refuse(.groupIDNotFound))
        #expect(
            coordinator.table.deleteOffsets(
                group: "g", [partition("t", 0)], state: coordinator.state, now: coordinator.now)
                == .refuse(.groupIDNotFound))
        let described = coordinator.table.describe(group: "g", state: coordinator.state, now: coordinator.now)
        #expect(described == .dead("g"))
        #expect(coordinator.table.live.isEmpty)
    }

    @Test func emptyGroupIDsAreInvalid() {
        let coordinator = Coordinator()
        #expect(coordinator.join("")?.error == .invalidGroupID)
        #expect(coordinator.leave("", "m") == [.invalidGroupID])
        #expect(coordinator.commit("") == .refuse(.invalidGroupID))
    }

    @Test func aSimpleConsumerCreatesItsGroup() {
        let coordinator = Coordinator()
        guard case .propose = coordinator.commit("g") else {
            Issue.record("refused")
            return
        }
        #expect(coordinator.state.fetch(group: "g", partition("t", 0)).offset == 1)
        let listed = coordinator.table.list(state: coordinator.state)
        #expect(listed == [GroupListing(id: "g", protocolType: "", state: .empty)])
        #expect(coordinator.table.live.isEmpty, "a simple group needs no live value")
    }

    @Test func longNotesAreRefusedForTheirPartition() {
        let coordinator = Coordinator()
        let fits = String(repeating: "x", count: 4_096)
        #expect(coordinator.commit("g", metadata: fits + "x") == .propose(nil, refused: [.offsetMetadataTooLarge]))
        #expect(coordinator.state.groups.isEmpty)
        _ = coordinator.commit("g", metadata: fits)
        #expect(coordinator.state.fetch(group: "g", partition("t", 0)).metadata == fits)
    }

    @Test func theNumberOfGroupsIsLimited() {
        let coordinator = Coordinator(settings: GroupSettings(initialRebalanceDelayMilliseconds: 0, groupsMax: 1))
        #expect(coordinator.join("g")?.error == nil)
        #expect(coordinator.join("h")?.error == .groupMaxSizeReached)
        #expect(coordinator.commit("h") == .refuse(.groupMaxSizeReached))
    }

    @Test func deletingAGroup() throws {
        let coordinator = Coordinator()
        let joined = try #require(coordinator.join("g"))
        #expect(
            coordinator.table.delete(group: "g", state: coordinator.state, now: coordinator.now)
                == .refuse(.nonEmptyGroup))
        #expect(coordinator.leave("g", joined.memberID) == [nil])
        #expect(coordinator.table.live.isEmpty, "an empty group that is stored is not live")
        let decision = coordinator.table.delete(group: "g", state: coordinator.state, now: coordinator.now)
        #expect(decision == .propose(.deleteGroup(group: "g"), refused: []))
        #expect(coordinator.join("g")?.error == .coordinatorNotAvailable)
        #expect(coordinator.commit("g") == .refuse(.coordinatorNotAvailable))
        coordinator.table.deleteFailed(group: "g")
        #expect(coordinator.table.live.isEmpty)
        _ = coordinator.table.delete(group: "g", state: coordinator.state, now: coordinator.now)
        coordinator.apply(.deleteGroup(group: "g"))
        coordinator.table.deleted(group: "g")
        #expect(!coordinator.table.exists("g", state: coordinator.state))
        #expect(coordinator.join("g")?.generation == 1)
    }

    @Test func offsetsOfSubscribedTopicsStay() throws {
        let coordinator = Coordinator()
        _ = coordinator.commit("g")
        let joined = try #require(coordinator.join("g", topics: ["t"]))
        let wanted = [partition("t", 0), partition("u", 0)]
        #expect(
            coordinator.table.deleteOffsets(group: "g", wanted, state: coordinator.state, now: coordinator.now)
                == .propose(
                    .deleteOffsets(group: "g", partitions: [partition("u", 0)]),
                    refused: [.groupSubscribedToTopic, nil]))
        _ = coordinator.leave("g", joined.memberID)
        #expect(
            coordinator.table.deleteOffsets(group: "g", wanted, state: coordinator.state, now: coordinator.now)
                == .propose(.deleteOffsets(group: "g", partitions: wanted), refused: [nil, nil]))
    }

    @Test func offsetsOfALiveGroupOfAnotherKindStay() throws {
        let coordinator = Coordinator()
        _ = try #require(coordinator.join("g", type: "connect"))
        #expect(
            coordinator.table.deleteOffsets(
                group: "g", [partition("t", 0)], state: coordinator.state, now: coordinator.now)
                == .refuse(.nonEmptyGroup))
    }

    @Test func anEmptyGroupExpiresAWeekAfterItEmptied() throws {
        let coordinator = Coordinator()
        let week = coordinator.settings.offsetsRetentionMilliseconds
        let joined = try #require(coordinator.join("g"))
        #expect(coordinator.sync("g", joined)?.error == nil)
        _ = coordinator.commit("g", memberID: joined.memberID, generation: joined.generation)
        coordinator.milliseconds = 5_000
        #expect(coordinator.leave("g", joined.memberID) == [nil])
        coordinator.milliseconds = week + 4_999
        #expect(coordinator.expire().isEmpty)
        coordinator.milliseconds = week + 5_000
        #expect(coordinator.expire().count == 2)
        #expect(coordinator.state.groups.isEmpty)
    }

    @Test func aLiveGroupKeepsWhatItReads() throws {
        let coordinator = Coordinator()
        let joined = try #require(coordinator.join("g", topics: ["other"]))
        #expect(coordinator.sync("g", joined)?.error == nil)
        _ = coordinator.commit("g", memberID: joined.memberID, generation: joined.generation)
        coordinator.milliseconds = coordinator.settings.offsetsRetentionMilliseconds
        #expect(coordinator.expire().count == 1, "nobody reads t any more")
        #expect(coordinator.state.groups["g"]?.snapshot?.members.count == 1)
    }

    @Test func aSimpleGroupExpiresAfterItsOwnRetention() {
        let coordinator = Coordinator()
        _ = coordinator.commit("g", retention: 100)
        coordinator.milliseconds = 100
        #expect(coordinator.expire().count == 2)
        #expect(coordinator.state.groups.isEmpty)
    }

    @Test func listsByStateWhateverTheCase() throws {
        let coordinator = Coordinator()
        _ = coordinator.commit("simple")
        let joined = try #require(coordinator.join("busy"))
        #expect(coordinator.sync("busy", joined)?.error == nil)
        #expect(coordinator.table.list(states: ["stable"], state: coordinator.state).map(\.id) == ["busy"])
        #expect(coordinator.table.list(states: ["Empty", "Dead"], state: coordinator.state).map(\.id) == ["simple"])
        #expect(coordinator.table.list(state: coordinator.state).map(\.id) == ["busy", "simple"])
    }

    @Test func memberIDsAreVersionFourUUIDs() {
        let text = MemberIDEntropy(high: .max, low: .max).uuidText
        #expect(text == "ffffffff-ffff-4fff-bfff-ffffffffffff")
        #expect(MemberIDEntropy(high: 0, low: 0).uuidText == "00000000-0000-4000-8000-000000000000")
    }

    @Test func deadlinesComeUpInOrder() {
        var heap = DeadlineHeap()
        var random = SeededRandom(seed: 3)
        var latest: [String: Instant] = [:]
        for _ in 0..<500 {
            let name = "g\(Int.random(in: 0..<50, using: &random))"
            let deadline = Instant(nanoseconds: UInt64.random(in: 0..<1_000, using: &random))
            heap.schedule(name, at: deadline)
            latest[name] = latest[name].map { min($0, deadline) } ?? deadline
        }
        heap.remove("g7")
        latest["g7"] = nil
        var order: [String] = []
        while let name = heap.popDue(now: Instant(nanoseconds: 1_000)) { order.append(name) }
        #expect(Set(order) == Set(latest.keys))
        #expect(order.count == latest.count)
        let instants = order.compactMap { latest[$0] }
        #expect(instants == instants.sorted())
    }

    @Test(
        arguments: [
            ([0, 0, 0, 0, 0, 1, 0, 1, 116, 0, 0, 0, 0], ["t"] as [String]?),
            ([0, 3, 0, 0, 0, 0], []),
            ([0, 1, 0, 0, 0, 2, 0, 1, 116], nil),
            ([0, 1, 127, 255, 255, 255], nil),
            ([255, 255, 0, 0, 0, 0], nil),
            ([], nil),
        ] as [([UInt8], [String]?)])
    func subscriptions(bytes: [UInt8], topics: [String]?) {
        #expect(ConsumerSubscription.topics(in: bytes) == topics)
    }
}
