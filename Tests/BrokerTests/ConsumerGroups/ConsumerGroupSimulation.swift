// SPDX-License-Identifier: Apache-2.0
//
// ConsumerGroupSimulation.swift
// Members, restarts, lost answers, failing storage and new coordinators at random. No partition is ever read by two
// members at once, and when everything is quiet every partition is read.

import Model
import Testing

@testable import Broker

@Suite struct ConsumerGroupSimulation {
    /// A consumer as clients are: it reads what it was told to, and gives up before it says that it did.
    private final class Member {
        var id: String
        let instance: String?
        var names: [String]?
        var pattern: String?
        var epoch: Int32 = 0
        var owned = PartitionSet()
        var told: PartitionSet?
        var isAlive = true
        var sendsAll = true

        init(_ id: String, instance: String?, names: [String]?, pattern: String?) {
            self.id = id
            self.instance = instance
            self.names = names
            self.pattern = pattern
        }
    }

    private final class World {
        let harness: ConsumerGroupHarness
        var random: SeededRandom
        var members: [Member] = []
        var lastID = 0
        var partitions: Int32 = 5

        init(seed: UInt64) {
            random = SeededRandom(seed: seed)
            harness = ConsumerGroupHarness(GroupSettings(consumerSessionTimeoutMilliseconds: 30_000))
            harness.setTopics([("t", 5), ("u", 3)])
        }

        func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &random) < percent }

        // MARK: What happens

        func step() {
            switch Int.random(in: 0..<100, using: &random) {
            case ..<8 where members.count < 7: start()
            case ..<12: end()
            case ..<15: restartStatic()
            case ..<17:
                partitions += 1
                harness.setTopics([("t", partitions), ("u", 3)])
            case ..<20: failOver()
            case ..<24: harness.pass(Int64.random(in: 1...8_000, using: &random))
            case ..<30:
                if let member = members.randomElement(using: &random), member.isAlive {
                    member.names = chance(50) ? ["t"] : ["t", "u"]
                    member.sendsAll = true
                }
            default: if let member = members.randomElement(using: &random) { beat(member) }
            }
            check()
        }

        private func start() {
            lastID += 1
            let instance = chance(30) ? "i\(lastID)" : nil
            let usesPattern = chance(30)
            members.append(
                Member(
                    "m\(lastID)", instance: instance, names: usesPattern ? nil : ["t", "u"],
                    pattern: usesPattern ? "[tu]" : nil))
        }

        private func end() {
            guard let member = members.randomElement(using: &random) else { return }
            members.removeAll { $0 === member }
            member.owned = PartitionSet()
            // A process that is killed says nothing; its session has to end.
            if chance(60) { send(member, epoch: -1) }
        }

        private func restartStatic() {
            guard let member = members.filter({ $0.instance != nil }).randomElement(using: &random) else { return }
            member.owned = PartitionSet()
            member.told = nil
            if chance(70) { send(member, epoch: -2) }
            lastID += 1
            member.id = "m\(lastID)"
            member.epoch = 0
            member.sendsAll = true
        }

        private func failOver() {
            if chance(50) {
                // Some of what was on its way is stored all the same.
                harness.held = []
                for member in members where chance(50) { beat(member) }
                let changes = harness.held ?? []
                for change in changes.prefix(Int.random(in: 0...changes.count, using: &random)) {
                    harness.commit(change)
                }
                harness.failOver()
                harness.held = nil
            } else {
                harness.held = []
                for member in members where chance(50) { beat(member) }
                let changes = harness.held ?? []
                harness.held = nil
                for (number, change) in changes.enumerated() {
                    if number > 0, chance(30) { harness.fail(change) } else { harness.commit(change) }
                }
            }
        }

        func beat(_ member: Member) {
            // What was taken away is given up between two heartbeats, sometimes late.
            if let told = member.told, chance(80) {
                member.owned = told
                member.told = nil
                member.sendsAll = true
            }
            send(member, epoch: member.epoch)
        }

        private func send(_ member: Member, epoch: Int32) {
            let isJoin = epoch == 0
            let all = isJoin || member.sendsAll
            let waiterBefore = harness.lastWaiter
            let result = harness.heartbeat(
                member.id, epoch, instance: member.instance, names: all && epoch >= 0 ? member.names : nil,
                pattern: all && epoch >= 0 ? member.pattern : nil,
                owned: isJoin ? PartitionSet() : all && epoch >= 0 ? member.owned : nil,
                timeout: all && epoch >= 0 ? 20_000 : -1)
            #expect(harness.lastWaiter == waiterBefore + 1)
            guard epoch >= 0 else { return }
            guard let result, !chance(5) else {
                member.sendsAll = true
                return
            }
            take(member, result)
        }

        private func take(_ member: Member, _ result: ConsumerHeartbeatResult) {
            switch result {
            case .success(let answer):
                member.epoch = answer.epoch
                member.sendsAll = false
                guard let assignment = answer.assignment else { return }
                // Nothing is given up before it is said: what is new is read at once.
                let lost = member.owned.subtracting(assignment)
                member.owned = member.owned.union(assignment)
                member.told = lost.isEmpty ? nil : assignment
                if lost.isEmpty { member.sendsAll = true }
            case .failure(let refusal):
                switch refusal.error {
                case .fencedMemberEpoch, .unknownMemberID, .fencedInstanceID, .unreleasedInstanceID:
                    member.owned = PartitionSet()
                    member.told = nil
                    member.epoch = 0
                    member.sendsAll = true
                default: member.sendsAll = true
                }
            }
        }

        // MARK: What must hold

        func check() {
            guard let group = harness.table.live["g"] else { return }
            var owners: [TopicID: [Int32: String]] = [:]
            for member in group.members {
                #expect(member.assigned.isDisjoint(with: member.revoking))
                #expect(member.epoch <= group.snapshot.header.epoch)
                for (topic, indexes) in member.held.topics {
                    for index in indexes {
                        #expect(owners[topic]?[index] == nil, "two members hold \(index) of \(topic)")
                        owners[topic, default: [:]][index] = member.id
                    }
                }
            }
            #expect(owners == group.owners)
            // What clients read: only one of those that the coordinator has not given up.
            var readers: [TopicID: [Int32: String]] = [:]
            for member in members where group.snapshot.members[member.id] != nil {
                for (topic, indexes) in member.owned.topics {
                    for index in indexes {
                        #expect(readers[topic]?[index] == nil, "two members read \(index) of \(topic)")
                        readers[topic, default: [:]][index] = member.id
                    }
                }
            }
        }

        /// Everyone alive is heard until nothing changes any more.
        func settle() {
            for _ in 0..<60 {
                harness.pass(4_000)
                for member in members {
                    if let told = member.told {
                        member.owned = told
                        member.told = nil
                        member.sendsAll = true
                    }
                    send(member, epoch: member.epoch)
                }
                check()
            }
        }

        func expectSettled() {
            guard !members.isEmpty else { return }
            guard let group = harness.table.live["g"] else {
                Issue.record("the group is gone")
                return
            }
            #expect(group.phase == .stable)
            #expect(Set(group.members.map(\.id)) == Set(members.map(\.id)))
            var read: [TopicID: Set<Int32>] = [:]
            for member in members {
                #expect(group.snapshot.members[member.id]?.assigned == member.owned)
                for (topic, indexes) in member.owned.topics { read[topic, default: []].formUnion(indexes) }
            }
            var wanted = [harness.topic("t"): Set(0..<partitions)]
            if members.contains(where: { $0.pattern != nil || $0.names?.contains("u") == true }) {
                wanted[harness.topic("u")] = [0, 1, 2]
            }
            #expect(read == wanted)
            #expect(harness.state.groups["g"]?.consumer == group.snapshot)
        }
    }

    @Test(arguments: 1...UInt64(20))
    func nothingIsReadTwiceAndEverythingIsReadInTheEnd(seed: UInt64) {
        let world = World(seed: seed)
        for _ in 0..<300 { world.step() }
        world.settle()
        world.expectSettled()
    }
}
