// SPDX-License-Identifier: Apache-2.0
//
// ShareGroupInstanceTests.swift
// Joining, living, leaving and dying in a share group, and every refusal.

import Model
import Settings
import Testing

@testable import Broker

@Suite struct ShareGroupInstanceTests {
    private func makeHarness(partitions: Int32 = 4, settings: GroupSettings = GroupSettings()) -> ShareGroupHarness {
        let harness = ShareGroupHarness(settings)
        harness.setTopics([("t", partitions), ("u", 2)])
        return harness
    }

    private func set(_ topic: String, _ partitions: Int32...) -> PartitionSet {
        PartitionSet([ShareGroupHarness.id(topic): Set(partitions)])
    }

    @Test func membersGetTheirSharesAtOnceAndHearOfChangesWithTheNextHeartbeat() throws {
        let harness = makeHarness()
        let first = try #require(harness.join("a"))
        #expect(first.epoch == 1 && first.assignment == set("t", 0, 1, 2, 3))
        let second = try #require(harness.join("b"))
        #expect(second.epoch == 2 && second.assignment?.count == 2, "nobody has to give up anything first")
        let told = try #require(harness.heartbeat("a", 1))
        #expect(told.epoch == 2 && told.assignment?.count == 2)
        let rest = try #require(second.assignment)
        let both = try #require(told.assignment?.union(rest))
        #expect(both == set("t", 0, 1, 2, 3))

        let quiet = try #require(harness.heartbeat("a", 2))
        #expect(quiet.epoch == 2 && quiet.assignment == nil, "nothing is new")
        let before = harness.proposals
        harness.heartbeat("a", 2)
        #expect(harness.proposals == before, "and nothing is stored")
        #expect(harness.heartbeat("a", 1)?.epoch == 2, "the answer before was lost")
    }

    @Test func moreMembersThanPartitionsShareThem() throws {
        let harness = makeHarness(partitions: 1)
        for member in ["a", "b", "c"] { #expect(harness.join(member)?.assignment == set("t", 0)) }
        #expect(harness.heartbeat("a", -1)?.epoch == -1)
        #expect(harness.removed == ["a": .left])
        #expect(harness.members.allSatisfy { $0.assigned == set("t", 0) })
    }

    @Test func aMemberThatIsSilentIsRemovedAndItsPartitionsGoToTheOthers() throws {
        let harness = makeHarness()
        harness.join("a")
        harness.pass(20_000)
        harness.join("b")
        harness.pass(25_000)
        #expect(harness.removed == ["a": .sessionExpired])
        #expect(harness.heartbeat("b", 2)?.assignment == set("t", 0, 1, 2, 3))
        #expect(harness.heartbeat("a", 1)?.error == .unknownMemberID)
        harness.pass(45_000)
        #expect(harness.table.live.isEmpty && harness.state.groups["g"]?.share?.members.isEmpty == true)
        #expect(harness.table.describe(group: "g", state: harness.state, now: harness.now)?.phase == .empty)
        #expect(harness.heartbeat("b", 3)?.error == .unknownMemberID)
        #expect(harness.heartbeat("b", 3, group: "none")?.error == .groupIDNotFound)
        let epoch = try #require(harness.join("c")?.epoch)
        #expect(epoch > 3, "epochs go on where they were")
    }

    @Test func epochsFence() throws {
        let harness = makeHarness()
        harness.join("a")
        harness.join("b")
        harness.join("c")
        #expect(harness.heartbeat("b", 9)?.error == .fencedMemberEpoch)
        #expect(harness.heartbeat("b", 2)?.epoch == 3)
        #expect(harness.heartbeat("b", 1)?.error == .fencedMemberEpoch)
        #expect(harness.heartbeat("d", 1)?.error == .unknownMemberID)
        #expect(harness.heartbeat("d", -1)?.error == .unknownMemberID)
        let again = try #require(harness.join("b"))
        #expect(again.epoch == 3 && again.assignment != nil, "whoever joins again is told everything")
    }

    @Test func requestsThatMakeNoSenseAreRefused() {
        let harness = makeHarness()
        #expect(harness.heartbeat("a", 0)?.error == .invalidRequest, "no topics")
        #expect(harness.heartbeat("a", 0, names: [])?.error == .invalidRequest)
        #expect(harness.heartbeat("", 0, names: ["t"])?.error == .invalidRequest)
        #expect(harness.heartbeat(String(repeating: "a", count: 1_025), 0, names: ["t"])?.error == .invalidRequest)
        #expect(harness.heartbeat("a", 0, names: ["t"], rack: "")?.error == .invalidRequest)
        #expect(harness.heartbeat("a", -2, names: ["t"])?.error == .invalidRequest)
        #expect(harness.heartbeat("a", 0, group: "", names: ["t"])?.error == .invalidRequest)
        #expect(harness.state.groups.isEmpty)
    }

    @Test func aGroupAndTheBrokerAreLimited() {
        var settings = GroupSettings()
        settings.shareMembersMax = 2
        settings.groupsMax = 1
        let harness = makeHarness(settings: settings)
        harness.join("a")
        harness.join("b")
        #expect(harness.join("c")?.error == .groupMaxSizeReached)
        #expect(harness.join("b")?.error == nil, "who is in may come again")
        #expect(harness.heartbeat("a", 0, group: "h", names: ["t"])?.error == .groupMaxSizeReached)
    }

    @Test func subscriptionsAndTopicsChangeTheAssignment() throws {
        let harness = makeHarness(partitions: 1)
        harness.join("a", names: ["t", "later"])
        #expect(harness.heartbeat("a", 1, names: ["u"])?.assignment == set("u", 0, 1))
        #expect(harness.heartbeat("a", 2, names: ["t", "later"])?.assignment == set("t", 0))
        harness.setTopics([("t", 2), ("later", 1)])
        let told = try #require(harness.heartbeat("a", 3)?.assignment)
        #expect(told == set("t", 0, 1).union(set("later", 0)))
        let states = try #require(harness.state.groups["g"]?.share?.states)
        #expect(states[ShareGroupHarness.id("t")]?.keys.sorted() == [0, 1])
        #expect(states[ShareGroupHarness.id("u")]?.count == 2, "kept until it is deleted")
        #expect(states[ShareGroupHarness.id("later")] == [0: .initial])
    }

    @Test func answersWaitForWhatTheyRestOn() throws {
        let harness = makeHarness()
        harness.held = []
        #expect(harness.join("a") == nil)
        #expect(harness.heartbeat("a", 1) == nil, "it rests on the join")
        let change = try #require(harness.held?.first)
        #expect(harness.held?.count == 1)
        harness.held = nil
        harness.commit(change)
        #expect(harness.answers.count == 2 && harness.answers.values.allSatisfy { $0.error == nil })
    }

    @Test func aChangeThatCannotBeStoredIsTakenBack() throws {
        let harness = makeHarness()
        harness.join("a")
        harness.held = []
        harness.join("b")
        let change = try #require(harness.held?.first)
        harness.fail(change)
        #expect(harness.answers[WaiterID(rawValue: 2)]?.error == .coordinatorNotAvailable)
        harness.held = nil
        #expect(harness.members.map(\.id) == ["a"])
        #expect(harness.heartbeat("a", 1)?.epoch == 1)
        #expect(harness.join("b")?.epoch == 2)
    }

    @Test func anotherBrokerGoesOnFromWhatIsStored() throws {
        let harness = makeHarness()
        harness.join("a")
        harness.join("b")
        let before = harness.members
        harness.failOver()
        #expect(harness.members == before)
        #expect(harness.heartbeat("a", 1)?.epoch == 2)
        harness.pass(44_999)
        #expect(harness.members.count == 2, "a full session from the beginning")
        harness.pass(1)
        #expect(harness.members.isEmpty)
    }

    @Test func whoeverWaitsIsAnsweredWhenTheCoordinatorMoves() {
        let harness = makeHarness()
        harness.held = []
        harness.join("a")
        var directives: [ShareGroupDirective] = []
        harness.table.resign(.notCoordinator, into: &directives)
        harness.carryOut(directives)
        #expect(harness.answers.values.map(\.error) == [.notCoordinator])
    }

    /// A group's own session timeout holds from the next heartbeat on, also where another broker takes over.
    @Test func aGroupMayHaveItsOwnTimes() throws {
        let harness = ShareGroupHarness()
        harness.setTopics([("t", 2)])
        for group in ["own", "other"] {
            _ = harness.heartbeat("of \(group)", 0, group: group, names: ["t"])
        }
        harness.configurations = ["own": GroupConfiguration(stored: ["share.session.timeout.ms": "10000"])]
        harness.pass(20_000)
        #expect(harness.removed.isEmpty, "what runs keeps its deadline")
        for group in ["own", "other"] { _ = harness.heartbeat("of \(group)", 1, group: group) }
        harness.pass(9_999)
        #expect(harness.removed.isEmpty)
        harness.pass(1)
        #expect(harness.removed == ["of own": .sessionExpired])
        _ = harness.heartbeat("again", 0, group: "own", names: ["t"])
        harness.failOver()
        harness.pass(10_000)
        #expect(harness.removed == ["of own": .sessionExpired, "again": .sessionExpired])
        harness.configurations = [:]
        let after = harness.heartbeat("more", 0, group: "own", names: ["t"])
        #expect(after?.epoch != nil)
        harness.pass(44_999)
        #expect(harness.removed["more"] == nil && harness.removed["of other"] == .sessionExpired)
        harness.pass(1)
        #expect(harness.removed["more"] == .sessionExpired)
    }
}
