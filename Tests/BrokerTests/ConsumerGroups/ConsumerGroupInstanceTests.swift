// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupInstanceTests.swift
// Every transition of a member, and every refusal.

import Model
import Settings
import Testing

@testable import Broker

@Suite struct ConsumerGroupInstanceTests {
    private func makeHarness(partitions: Int32 = 4, settings: GroupSettings = GroupSettings()) -> ConsumerGroupHarness {
        let harness = ConsumerGroupHarness(settings)
        harness.setTopics([("t", partitions), ("u", 2), ("other", 1)])
        return harness
    }

    private func set(_ harness: ConsumerGroupHarness, _ topic: String = "t", _ partitions: Int32...) -> PartitionSet {
        PartitionSet([harness.topic(topic): Set(partitions)])
    }

    // MARK: Joining, giving up, leaving

    @Test func theFirstMemberGetsEverythingAndTheSecondWhatTheFirstGivesUp() throws {
        let harness = makeHarness()
        let first = try #require(harness.join("a"))
        #expect(first.epoch == 1)
        #expect(first.assignment == set(harness, "t", 0, 1, 2, 3))

        let second = try #require(harness.join("b"))
        #expect(second.epoch == 2 && second.assignment == PartitionSet(), "nothing is free yet")
        #expect(harness.table.live["g"]?.phase == .reconciling)

        let asked = try #require(harness.heartbeat("a", 1))
        let kept = try #require(asked.assignment)
        #expect(asked.epoch == 1 && kept.count == 2, "it stays in its epoch until it has given up")
        #expect(harness.heartbeat("a", 1)?.assignment == nil, "told once")
        #expect(harness.heartbeat("b", 2)?.assignment == nil, "still not free")

        let done = try #require(harness.heartbeat("a", 1, owned: kept))
        #expect(done.epoch == 2)
        let given = try #require(harness.heartbeat("b", 2))
        #expect(given.epoch == 2 && given.assignment?.count == 2)
        #expect(given.assignment?.isDisjoint(with: kept) == true)
        #expect(harness.table.live["g"]?.phase == .stable)
    }

    @Test func leavingGivesTheRestToTheOthers() throws {
        let harness = makeHarness()
        harness.join("a")
        harness.join("b")
        let left = try #require(harness.heartbeat("a", -1))
        #expect(left.epoch == -1)
        #expect(harness.removed["a"] == .left)
        let all = try #require(harness.heartbeat("b", 2))
        #expect(all.epoch == 3 && all.assignment == set(harness, "t", 0, 1, 2, 3))
        #expect(harness.heartbeat("b", -1)?.error == nil)
        #expect(harness.table.live["g"] == nil && harness.state.groups["g"]?.consumer?.members.isEmpty == true)
        #expect(harness.heartbeat("b", 3)?.error == .unknownMemberID)
        #expect(harness.join("c")?.epoch == 5, "epochs go on where they were")
    }

    @Test func aRebalanceThatTakesTooLongEndsTheMember() throws {
        let harness = makeHarness()
        harness.join("a", timeout: 10_000)
        harness.join("b")
        harness.heartbeat("a", 1)
        harness.pass(9_999)
        #expect(harness.removed["a"] == nil)
        harness.pass(1)
        #expect(harness.removed["a"] == .didNotRevoke)
        #expect(harness.heartbeat("a", 1)?.error == .unknownMemberID)
        #expect(harness.heartbeat("b", 2)?.assignment?.count == 4)
    }

    @Test func silenceForTheSessionEndsTheMember() throws {
        let harness = makeHarness()
        harness.join("a")
        harness.join("b")
        harness.pass(30_000)
        harness.heartbeat("b", 2)
        harness.pass(15_000)
        #expect(harness.removed == ["a": .sessionExpired])
        #expect(harness.heartbeat("b", 2)?.assignment?.count == 4)
    }

    @Test func subscriptionsThatChangeAreAssignedAnew() throws {
        let harness = makeHarness()
        harness.join("a")
        let more = try #require(harness.heartbeat("a", 1, names: ["t", "u"]))
        #expect(more.epoch == 2 && more.assignment?.count == 6)
        let less = try #require(harness.heartbeat("a", 2, names: ["u"]))
        #expect(less.epoch == 2 && less.assignment == set(harness, "u", 0, 1))
        #expect(harness.heartbeat("a", 2, owned: set(harness, "u", 0, 1))?.epoch == 3)
        #expect(harness.heartbeat("a", 3, names: ["u"])?.epoch == 3, "the same is no change")
    }

    @Test func topicsThatChangeAreAssignedAnew() throws {
        let harness = makeHarness()
        harness.join("a", names: nil, pattern: "(t|new.*)")
        harness.setTopics([("t", 6), ("u", 2), ("other", 1)])
        #expect(harness.heartbeat("a", 1)?.assignment?.count == 6)
        harness.setTopics([("t", 6), ("u", 2), ("other", 1), ("new-one", 3)])
        #expect(harness.heartbeat("a", 2)?.assignment?.count == 9)
        let before = harness.assignments
        harness.setTopics([("t", 6), ("u", 2), ("other", 1), ("new-one", 3), ("unread", 3)])
        #expect(harness.assignments == before, "nobody reads it")
        harness.setTopics([("u", 2), ("other", 1), ("new-one", 3)])
        let rest = try #require(harness.heartbeat("a", 3))
        #expect(rest.assignment?.count == 3)
    }

    @Test func aNewCoordinatorFindsTopicsThatChangedMeanwhile() {
        let harness = makeHarness()
        harness.join("a")
        harness.topics[0].partitions = 5
        harness.failOver()
        harness.setTopics(harness.topics.map { ($0.name, $0.partitions) })
        #expect(harness.heartbeat("a", 1)?.assignment?.count == 5)
    }

    @Test func theAssignorIsTheOneThatMostPrefer() {
        let harness = makeHarness()
        harness.join("a", assignor: "range")
        #expect(harness.table.live["g"]?.snapshot.header.assignor == "range")
        harness.join("b", assignor: "uniform")
        #expect(harness.table.live["g"]?.snapshot.header.assignor == "uniform", "even: the one configured first")
        harness.heartbeat("b", 2, assignor: "range")
        #expect(harness.table.live["g"]?.snapshot.header.assignor == "range")
        #expect(harness.join("c", assignor: "sticky")?.error == .unsupportedAssignor)
    }

    // MARK: Epochs

    @Test func epochsThatAreNotTheMembersFenceIt() throws {
        let harness = makeHarness()
        harness.join("a")
        #expect(harness.heartbeat("a", 2)?.error == .fencedMemberEpoch)
        harness.heartbeat("a", 1, names: ["t", "u"])
        let all = try #require(harness.table.live["g"]?.snapshot.members["a"]?.assigned)
        #expect(harness.heartbeat("a", 1)?.error == .fencedMemberEpoch, "one behind, and it does not say what it owns")
        #expect(harness.heartbeat("a", 1, owned: set(harness, "other", 0))?.error == .fencedMemberEpoch)
        let repeated = try #require(
            harness.heartbeat(
                "a", 1, names: ["t", "u"], owned: set(harness, "t", 0, 1, 2, 3), timeout: 60_000))
        #expect(repeated.epoch == 2 && repeated.assignment == all, "its last answer was lost")
        #expect(harness.heartbeat("a", 0, names: ["t"], owned: PartitionSet(), timeout: 1_000)?.error == nil)
        #expect(harness.heartbeat("nobody", 1)?.error == .unknownMemberID)
    }

    @Test func whoeverJoinsAgainHasEverythingAtOnce() throws {
        let harness = makeHarness()
        harness.join("a")
        harness.join("b")
        harness.heartbeat("a", 1)
        #expect(harness.table.live["g"]?.snapshot.members["a"]?.state == .unrevoked)
        let again = try #require(harness.join("a"))
        #expect(again.epoch == 2 && again.assignment?.count == 2)
        #expect(harness.heartbeat("b", 2)?.assignment?.count == 2)
    }

    @Test func requestsThatMakeNoSense() {
        let harness = makeHarness()
        #expect(harness.heartbeat("", 1)?.error == .invalidRequest)
        #expect(harness.heartbeat("a", -3)?.error == .invalidRequest)
        #expect(harness.heartbeat("a", -2)?.error == .invalidRequest, "only static members leave for a while")
        #expect(harness.heartbeat("a", 0, names: ["t"], timeout: 1)?.error == .invalidRequest)
        #expect(harness.heartbeat("a", 0, names: ["t"], owned: PartitionSet())?.error == .invalidRequest)
        #expect(harness.heartbeat("a", 0, owned: PartitionSet(), timeout: 1)?.error == .invalidRequest)
        let owned = set(harness, "t", 0)
        #expect(harness.heartbeat("a", 0, names: ["t"], owned: owned, timeout: 1)?.error == .invalidRequest)
        #expect(harness.heartbeat("a", 0, group: "")?.error == .invalidRequest)
        #expect(harness.join("a", names: nil, pattern: "(")?.error == .invalidRegularExpression)
        #expect(harness.join("a", instance: "")?.error == .invalidRequest)
        let long = String(repeating: "i", count: 1025)
        #expect(harness.join(long)?.error == .invalidRequest)
        #expect(harness.join("a", instance: long)?.error == .invalidRequest)
        #expect(harness.state.groups.isEmpty && harness.table.live.isEmpty, "nothing came into being")
    }

    @Test func groupsAndTheirMembersAreLimited() {
        let harness = makeHarness(settings: GroupSettings(consumerMembersMax: 2, groupsMax: 1))
        harness.join("a")
        harness.join("b")
        #expect(harness.join("c")?.error == .groupMaxSizeReached)
        #expect(harness.join("a")?.error == nil, "it is in already")
        let other = harness.heartbeat("x", 0, group: "h", names: ["t"], owned: PartitionSet(), timeout: 1)
        #expect(other?.error == .groupMaxSizeReached)
    }

    @Test func expressionsThatAreForgottenAreMatchedAgain() throws {
        var resolver = SubscriptionResolver(
            topics: TopicCatalogue([.init(name: "t", id: TopicID(high: 1, low: 1), partitions: 1)]))
        var member = ConsumerGroupMember(
            id: "a", instanceID: nil, rackID: nil, clientID: "", clientHost: "", rebalanceTimeoutMilliseconds: 0,
            topicNames: [], pattern: nil, assignor: nil)
        for number in 0...SubscriptionResolver.patternsMax {
            member.pattern = "t|x\(number)"
            #expect(resolver.topics(of: member).count == 1)
        }
        #expect(resolver.patternCount == 1)
        member.pattern = "t|x0"
        #expect(resolver.topics(of: member).count == 1)
    }

    // MARK: Static members

    @Test func aStaticMemberComesBackWithoutARebalance() throws {
        let harness = makeHarness()
        harness.join("a", instance: "one")
        harness.join("b")
        let kept = try #require(harness.heartbeat("a", 1, instance: "one")?.assignment)
        harness.heartbeat("a", 1, instance: "one", owned: kept)
        harness.heartbeat("b", 2)
        let assignments = harness.assignments
        #expect(harness.heartbeat("a", -2, instance: "one")?.epoch == -2)
        harness.pass(20_000)
        harness.heartbeat("b", 2)
        let back = try #require(harness.join("a2", instance: "one"))
        #expect(back.epoch == 2 && back.assignment == kept)
        #expect(harness.assignments == assignments, "no rebalance")
        #expect(harness.heartbeat("b", 2)?.epoch == 2)
        #expect(harness.heartbeat("a", 2, instance: "one")?.error == .fencedInstanceID)
    }

    @Test func aStaticMemberThatStaysAwayLosesItsPartitions() {
        let harness = makeHarness()
        harness.join("a", instance: "one")
        harness.join("b")
        harness.heartbeat("a", -2, instance: "one")
        harness.pass(40_000)
        harness.heartbeat("b", 2)
        #expect(harness.removed.isEmpty)
        harness.pass(5_000)
        #expect(harness.removed == ["a": .sessionExpired])
        #expect(harness.heartbeat("b", 2)?.assignment?.count == 4)
    }

    @Test func anInstanceIDBelongsToOne() {
        let harness = makeHarness()
        harness.join("a", instance: "one")
        #expect(harness.join("b", instance: "one")?.error == .unreleasedInstanceID)
        #expect(harness.heartbeat("b", 1, instance: "one")?.error == .fencedInstanceID)
        #expect(harness.heartbeat("b", 1, instance: "two")?.error == .unknownMemberID)
        #expect(harness.join("a", instance: "one")?.error == nil, "the same one again")
        #expect(harness.heartbeat("b", -1, instance: "one")?.error == .fencedInstanceID)
        #expect(harness.heartbeat("a", -1, instance: "one")?.error == nil)
        #expect(harness.join("b", instance: "one")?.error == nil)
    }

    // MARK: Offsets

    @Test func offsetsAreCommittedWithTheMembersEpoch() {
        let harness = makeHarness()
        #expect(harness.commitRefusal("", -1) == nil, "no such group: anyone may")
        harness.join("a")
        #expect(harness.commitRefusal("a", 1) == nil)
        #expect(harness.commitRefusal("a", 0) == .staleMemberEpoch)
        #expect(harness.commitRefusal("a", 1, knowsEpoch: false) == .unsupportedVersion)
        #expect(harness.commitRefusal("b", 1) == .unknownMemberID)
        #expect(harness.commitRefusal("", -1) == .unknownMemberID)
        #expect(harness.table.fetchRefusal(group: "g", memberID: "a", epoch: 1) == nil)
        #expect(harness.table.fetchRefusal(group: "g", memberID: "a", epoch: 7) == .staleMemberEpoch)
        #expect(harness.table.fetchRefusal(group: "g", memberID: "b", epoch: 1) == .unknownMemberID)
        #expect(harness.table.fetchRefusal(group: "g", memberID: nil, epoch: -1) == nil)
        harness.heartbeat("a", -1)
        #expect(harness.commitRefusal("", -1) == nil)
        #expect(harness.commitRefusal("a", 1) == .unknownMemberID)
    }

    @Test func offsetsAreCommittedInTransactionsWithTheMembersEpoch() {
        let harness = makeHarness()
        harness.join("a")
        func verdict(_ member: String, _ epoch: Int32) -> ConsumerGroupTable.CommitVerdict {
            harness.table.transactionalVerdict(
                on: OffsetCommit(
                    group: "g", claim: MemberClaim(memberID: member, instanceID: nil, generation: epoch), entries: []),
                state: harness.state)
        }
        #expect(verdict("a", 1) == .admit)
        #expect(verdict("a", 0) == .refuse(.illegalGeneration))
        #expect(verdict("b", 1) == .refuse(.unknownMemberID))
        #expect(verdict("", -1) == .admit, "a producer that says nothing of the group")
        harness.heartbeat("a", -1)
        #expect(verdict("", -1) == .other)
    }

    @Test func offsetsOfTopicsThatAreReadStay() {
        let harness = makeHarness()
        harness.join("a", names: ["u"], pattern: "t")
        let partitions = ["t", "u", "other"].map { partition($0, 0) }
        let decision = harness.table.deleteOffsets(group: "g", partitions, state: harness.state)
        #expect(
            decision
                == .propose(
                    .deleteOffsets(group: "g", partitions: [partition("other", 0)]),
                    refused: [.groupSubscribedToTopic, .groupSubscribedToTopic, nil]))
    }

    // MARK: Storing

    @Test func nothingIsToldBeforeItIsStored() throws {
        let harness = makeHarness()
        harness.held = []
        #expect(harness.join("a") == nil)
        let behind = harness.join("b")
        #expect(behind == nil)
        let changes = try #require(harness.held)
        #expect(changes.count == 2)
        harness.commit(changes[0])
        #expect(harness.answers.count == 1)
        harness.commit(changes[1])
        #expect(harness.answers.values.compactMap(\.epoch).sorted() == [1, 2])
    }

    @Test func aChangeThatIsNotStoredTakesThoseBehindItAlong() throws {
        let harness = makeHarness()
        harness.join("a")
        harness.held = []
        harness.join("b")
        harness.heartbeat("a", 1, names: ["u"])
        let changes = try #require(harness.held)
        #expect(changes.count == 2)
        harness.fail(changes[0])
        #expect(harness.answers.values.filter { $0.error == .coordinatorNotAvailable }.count == 2)
        #expect(harness.heartbeat("a", 1)?.error == .coordinatorLoadInProgress, "one is still on its way")
        harness.commit(changes[1])
        #expect(harness.state.groups["g"]?.consumer?.header.revision == 1, "made for a state that never was")
        harness.held = nil
        #expect(harness.heartbeat("a", 1)?.epoch == 1, "as it was stored")
        #expect(harness.join("b")?.epoch == 2)
    }

    @Test func aNewCoordinatorKnowsEveryEpoch() throws {
        let harness = makeHarness()
        harness.join("a", instance: "one", timeout: 30_000)
        harness.join("b")
        let kept = try #require(harness.heartbeat("a", 1, instance: "one")?.assignment)
        let before = harness.state.groups["g"]?.consumer
        harness.failOver()
        #expect(harness.table.live["g"]?.snapshot == before)
        #expect(harness.heartbeat("b", 2)?.epoch == 2)
        #expect(harness.heartbeat("a", 1, instance: "one", owned: kept)?.epoch == 2)
        harness.failOver()
        harness.pass(44_999)
        #expect(harness.removed.isEmpty, "a full session to be heard from")
        harness.pass(1)
        #expect(harness.removed.count == 2)
    }

    @Test func heartbeatsWithoutNewsAreNotStored() {
        let harness = makeHarness()
        harness.join("a")
        let revision = harness.state.groups["g"]?.consumer?.header.revision
        for _ in 0..<10 {
            harness.pass(5_000)
            #expect(harness.heartbeat("a", 1)?.epoch == 1)
        }
        #expect(harness.state.groups["g"]?.consumer?.header.revision == revision)
    }

    // MARK: The other kind of group

    @Test func aGroupChangesItsKindWhileItIsEmpty() {
        let harness = makeHarness()
        let classic = CoordinatorStateTests.snapshot
        var writes: [CoordinatorWrite] = []
        harness.state.apply(.groupMetadata(group: "g", snapshot: classic), into: &writes)
        let table = GroupTable(leading: harness.state, settings: GroupSettings(), now: harness.now)
        #expect(table.consumerRefusal(group: "g", state: harness.state) == .groupIDNotFound)

        harness.state.apply(.groupMetadata(group: "g", snapshot: CoordinatorStateTests.emptied), into: &writes)
        #expect(
            GroupTable(leading: harness.state, settings: GroupSettings(), now: harness.now)
                .consumerRefusal(group: "g", state: harness.state) == nil)
        #expect(harness.join("a")?.epoch == 1)
        #expect(harness.state.groups["g"]?.snapshot == nil)
        #expect(harness.table.classicRefusal(group: "g") == .inconsistentGroupProtocol)
        #expect(harness.table.deleteRefusal(group: "g", state: harness.state) == .nonEmptyGroup)

        harness.heartbeat("a", -1)
        #expect(harness.table.classicRefusal(group: "g") == nil)
        harness.state.apply(.groupMetadata(group: "g", snapshot: classic), into: &writes)
        #expect(harness.state.groups["g"]?.consumer == nil)
    }

    /// A group's own session timeout holds from the next heartbeat on, also where another broker takes over.
    @Test func aGroupMayHaveItsOwnTimes() throws {
        let harness = ConsumerGroupHarness()
        harness.setTopics([("t", 2)])
        for group in ["own", "other"] {
            _ = harness.heartbeat("of \(group)", 0, group: group, names: ["t"], owned: PartitionSet(), timeout: 60_000)
        }
        harness.configurations = ["own": GroupConfiguration(stored: ["consumer.session.timeout.ms": "10000"])]
        harness.pass(20_000)
        #expect(harness.removed.isEmpty, "what runs keeps its deadline")
        for group in ["own", "other"] { _ = harness.heartbeat("of \(group)", 1, group: group) }
        harness.pass(9_999)
        #expect(harness.removed.isEmpty)
        harness.pass(1)
        #expect(harness.removed == ["of own": .sessionExpired])
        _ = harness.heartbeat("again", 0, group: "own", names: ["t"], owned: PartitionSet(), timeout: 60_000)
        harness.failOver()
        harness.pass(10_000)
        #expect(harness.removed == ["of own": .sessionExpired, "again": .sessionExpired])
        harness.configurations = [:]
        let after = harness.heartbeat("more", 0, group: "own", names: ["t"], owned: PartitionSet(), timeout: 60_000)
        #expect(after?.epoch != nil)
        harness.pass(44_999)
        #expect(harness.removed["more"] == nil && harness.removed["of other"] == .sessionExpired)
        harness.pass(1)
        #expect(harness.removed["more"] == .sessionExpired)
    }
}
