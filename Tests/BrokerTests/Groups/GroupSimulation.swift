// SPDX-License-Identifier: Apache-2.0
//
// GroupSimulation.swift
// Random clients against a coordinator: groups, replicated state, stored records and failovers together, with the
// invariants checked after every step. A seed replays a run.

import Model
import Testing

@testable import Broker

struct GroupSimulation {
    static let rebalanceTimeoutMax: Int32 = 30_000
    static let groupIDs = ["g1", "g2"]

    private struct Client {
        var group: String
        var name: String
        var instanceID: String?
        var version: Int
        var memberID = ""
        var generation: Int32 = -1
        var step = Step.join
        var protocols: [GroupProtocol] = []
    }

    /// What a well-behaved client does next.
    private enum Step { case join, sync, heartbeat }

    private struct Waiter {
        var client: Int
        var group: String
        var isJoin: Bool
        var since: Int64
    }

    /// What every member of a generation must agree on.
    private struct Generation: Hashable {
        var group: String
        var incarnation: Int
        var generation: Int32
    }

    private var random: SeededRandom
    private var clients: [Client]
    private var waiters: [WaiterID: Waiter] = [:]
    private var lastWaiter: UInt64 = 0
    private var milliseconds: Int64 = 1_000
    private var state = CoordinatorState()
    private var records: [[UInt8]: [UInt8]] = [:]
    private var table: GroupTable
    private var unstored: [(group: String, sequence: UInt64, snapshot: GroupSnapshot)] = []
    private var incarnation = 0
    private var leaders: [Generation: String] = [:]
    private var protocols: [Generation: String] = [:]
    private var generations: [String: Int32] = [:]
    private(set) var joinsAnswered = 0
    private(set) var syncsAnswered = 0
    private(set) var stableGenerations: Set<Int32> = []

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        clients = (0..<8).map { number in
            Client(
                group: Self.groupIDs[number % 2], name: "c\(number)", instanceID: number < 4 ? nil : "i\(number / 4)",
                version: [3, 5, 9][number % 3])
        }
        table = GroupTable(
            leading: state, settings: Self.settings,
            now: Moment(instant: Instant(nanoseconds: 0), wallTime: WallTime(milliseconds: 0)))
    }

    private static let settings = GroupSettings(membersMax: 4, pendingMembersMax: 5)

    // MARK: Steps

    mutating func run(steps: Int) {
        for _ in 0..<steps {
            step()
            check()
        }
        drain()
    }

    private mutating func step() {
        let client = Int.random(in: clients.indices, using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<60: behave(client)
        case 60..<64: join(client)
        case 64..<68: sync(client)
        case 68..<72: commit(client)
        case 72..<74: leave(client)
        case 74..<76: loseConnection()
        case 76..<88: settle(succeed: true)
        case 88..<89: settle(succeed: false)
        case 89..<99: wait(Int64.random(in: 0...5_000, using: &random))
        default: failOver()
        }
    }

    /// The client goes on as the protocol wants it, unless it waits for an answer.
    private mutating func behave(_ client: Int) {
        if waiters.values.contains(where: { $0.client == client }) { return }
        switch clients[client].step {
        case .join: join(client)
        case .sync: sync(client)
        case .heartbeat: heartbeat(client)
        }
    }

    /// No client does anything any more: everything parked must be answered and every group must empty.
    private mutating func drain() {
        for _ in 0..<4 {
            settle(succeed: true)
            wait(400_000)
            check()
        }
        #expect(waiters.isEmpty)
        for id in Self.groupIDs {
            #expect(table.live[id] == nil, "group \(id) is not idle")
            #expect(state.groups[id]?.snapshot?.members.isEmpty != false)
        }
    }

    private mutating func join(_ index: Int) {
        let client = clients[index]
        let forgetsID = Int.random(in: 0..<8, using: &random) == 0
        if client.protocols.isEmpty || Int.random(in: 0..<8, using: &random) == 0 {
            let left = Int.random(in: 2...3, using: &random)
            clients[index].protocols = ["range", "rr", "sticky"].shuffled(using: &random).prefix(left).map {
                GroupProtocol(name: $0, metadata: [UInt8.random(in: 0...9, using: &random)])
            }
        }
        let request = GroupJoin(
            memberID: forgetsID ? "" : client.memberID, instanceID: client.instanceID, clientID: client.name,
            clientHost: "host", sessionTimeoutMilliseconds: [6_000, 10_000, 45_000].randomElement(using: &random) ?? 0,
            rebalanceTimeoutMilliseconds: [5_000, Self.rebalanceTimeoutMax].randomElement(using: &random) ?? 0,
            protocolType: "consumer",
            protocols: clients[index].protocols,
            requiresKnownMemberID: client.version >= 4, supportsSkippingAssignment: client.version >= 9,
            entropy: MemberIDEntropy(high: random.next(), low: random.next()))
        let waiter = park(index, isJoin: true)
        perform { $0.join(group: client.group, request, waiter: waiter, state: $1, now: $2, into: &$3) }
    }

    private mutating func sync(_ index: Int) {
        let client = clients[index]
        let live = table.live[client.group]
        let everyone = live?.leaderID == client.memberID ? live?.members.keys.sorted() ?? [] : []
        let assignments = everyone.map { MemberAssignment(memberID: $0, assignment: [1]) }
        let request = GroupSync(
            memberID: client.memberID, instanceID: client.instanceID, generation: client.generation,
            protocolType: nil, protocolName: nil, assignments: assignments)
        let waiter = park(index, isJoin: false)
        perform { $0.sync(group: client.group, request, waiter: waiter, state: $1, now: $2, into: &$3) }
    }

    private mutating func heartbeat(_ index: Int) {
        let client = clients[index]
        let error = table.heartbeat(group: client.group, claim(client), state: state, now: now)
        if error != nil { clients[index].step = .join }
        if error == .unknownMemberID || error == .fencedInstanceID { clients[index].memberID = "" }
    }

    private mutating func commit(_ index: Int) {
        let client = clients[index]
        let isSimple = Int.random(in: 0..<5, using: &random) == 0
        let none = MemberClaim(memberID: "", instanceID: nil, generation: -1)
        let partition = TopicPartition(topic: "t\(index % 3)", partition: PartitionIndex(rawValue: Int32(index)))
        let entry = OffsetCommitBatch.Entry(
            partition: partition, offset: Int64.random(in: 0..<1_000, using: &random), metadata: client.name)
        let request = OffsetCommit(
            group: client.group, claim: isSimple ? none : claim(client), entries: [entry], retentionMilliseconds: nil)
        if case .propose(let command?, _) = table.commit(request, state: state, now: now) { apply(command) }
    }

    private mutating func leave(_ index: Int) {
        let client = clients[index]
        let leaving = LeavingMember(memberID: client.memberID, instanceID: client.instanceID)
        perform { _ = $0.leave(group: client.group, [leaving], state: $1, now: $2, into: &$3) }
        clients[index].memberID = ""
        clients[index].step = .join
    }

    private mutating func loseConnection() {
        guard let (waiter, lost) = waiters.sorted(by: { $0.key < $1.key }).randomElement(using: &random) else { return }
        waiters[waiter] = nil
        perform { table, _, now, directives in
            table.waiterGone(group: lost.group, waiter, now: now, into: &directives)
        }
    }

    private mutating func settle(succeed: Bool) {
        let settled = unstored
        unstored = []
        for (group, sequence, snapshot) in settled {
            if succeed { apply(.groupMetadata(group: group, snapshot: snapshot)) }
            perform { table, _, now, directives in
                if succeed {
                    table.persisted(group: group, sequence: sequence, now: now, into: &directives)
                } else {
                    table.persistFailed(group: group, sequence: sequence, now: now, into: &directives)
                }
            }
        }
    }

    private mutating func wait(_ duration: Int64) {
        let end = milliseconds + duration
        while let deadline = table.nextDeadline, deadline.nanoseconds <= UInt64(end) * 1_000_000 {
            milliseconds = max(milliseconds, Int64(deadline.nanoseconds / 1_000_000))
            perform { table, _, now, directives in table.timerFired(now: now, into: &directives) }
            if duration > 100_000 { settle(succeed: true) }
        }
        milliseconds = end
    }

    /// Another broker takes over with nothing but the stored records.
    private mutating func failOver() {
        perform { table, _, _, directives in table.resign(into: &directives) }
        #expect(waiters.isEmpty, "resigning left requests unanswered")
        unstored = []
        var loaded = CoordinatorState()
        do {
            for (key, value) in records { try loaded.load(key: key, value: value) }
        } catch {
            Issue.record("a stored record cannot be read: \(error)")
        }
        #expect(loaded.groups == state.groups, "the records differ from the state")
        state = loaded
        incarnation += 1
        generations = [:]
        table = GroupTable(leading: state, settings: Self.settings, now: now)
    }

    // MARK: Plumbing

    private var now: Moment {
        Moment(
            instant: Instant(nanoseconds: UInt64(milliseconds) * 1_000_000),
            wallTime: WallTime(milliseconds: milliseconds))
    }

    private func claim(_ client: Client) -> MemberClaim {
        MemberClaim(memberID: client.memberID, instanceID: client.instanceID, generation: client.generation)
    }

    private mutating func park(_ client: Int, isJoin: Bool) -> WaiterID {
        lastWaiter += 1
        let waiter = WaiterID(rawValue: lastWaiter)
        waiters[waiter] = Waiter(client: client, group: clients[client].group, isJoin: isJoin, since: milliseconds)
        return waiter
    }

    private mutating func apply(_ command: CoordinatorCommand) {
        var writes: [CoordinatorWrite] = []
        do {
            state.apply(try CoordinatorCommand(decoding: command.encoded()), into: &writes)
        } catch {
            Issue.record("a command cannot be read: \(error)")
        }
        for write in writes { records[write.key] = write.value }
    }

    private mutating func perform(
        _ event: (inout GroupTable, CoordinatorState, Moment, inout [GroupDirective]) -> Void
    ) {
        var directives: [GroupDirective] = []
        event(&table, state, now, &directives)
        for directive in directives { carryOut(directive) }
    }

    private mutating func carryOut(_ directive: GroupDirective) {
        switch directive {
        case .completeJoin(let waiter, let result): joined(waiter, result)
        case .completeSync(let waiter, let result):
            let answered = waiters.removeValue(forKey: waiter)
            #expect(answered?.isJoin == false, "a sync was answered that does not wait")
            guard let answered else { return }
            clients[answered.client].step = result.error == nil ? .heartbeat : .join
            if result.error == nil { syncsAnswered += 1 }
        case .persistGroup(let group, let sequence, let snapshot):
            unstored.append((group, sequence, snapshot))
        case .stateChanged(_, .stable, let generation): stableGenerations.insert(generation)
        case .memberRemoved, .stateChanged: break
        }
    }

    private mutating func joined(_ waiter: WaiterID, _ result: JoinResult) {
        guard let answered = waiters.removeValue(forKey: waiter) else {
            Issue.record("a join was answered that does not wait")
            return
        }
        #expect(answered.isJoin)
        switch result.error {
        case nil: break
        case .memberIDRequired:
            clients[answered.client].memberID = result.memberID
            return
        case .unknownMemberID, .fencedInstanceID, .groupMaxSizeReached:
            clients[answered.client].memberID = ""
            return
        default: return
        }
        joinsAnswered += 1
        clients[answered.client].memberID = result.memberID
        clients[answered.client].generation = result.generation
        clients[answered.client].step = .sync
        let key = Generation(group: answered.group, incarnation: incarnation, generation: result.generation)
        #expect(protocols[key, default: result.protocolName ?? ""] == result.protocolName)
        protocols[key] = result.protocolName
        if !result.members.isEmpty, !result.skipAssignment {
            #expect(result.leaderID == result.memberID)
            #expect(leaders[key, default: result.memberID] == result.memberID, "two leaders in one generation")
            leaders[key] = result.memberID
        }
    }

    // MARK: Invariants

    private mutating func check() {
        for id in Self.groupIDs {
            guard let group = table.live[id] else { continue }
            group.checkInvariants()
            #expect(group.generation >= generations[id, default: 0], "the generation fell")
            generations[id] = group.generation
            if let deadline = group.nextDeadline {
                #expect(table.nextDeadline.map { $0 <= deadline } ?? false, "the table's timer is late")
            }
            for member in group.members.values {
                guard let waiter = member.joinWaiter, let parked = waiters[waiter] else { continue }
                let age = milliseconds - parked.since
                #expect(age < Int64(Self.rebalanceTimeoutMax) || age == 0, "a join waits for \(age) ms")
            }
        }
        let parked = Set(table.live.values.flatMap(\.parked.keys))
        #expect(parked == Set(waiters.keys), "parked and unanswered requests differ")
    }
}

extension GroupInstance {
    /// Records an issue for each broken invariant.
    func checkInvariants() {
        let ids = Set(members.keys)
        #expect(joinWaiting == members.values.count { $0.joinWaiter != nil })
        #expect((state == .preparingRebalance) == (joinPhase != nil))
        #expect((state == .empty || state == .dead) == members.isEmpty)
        #expect(pendingSync.isSubset(of: ids))
        #expect(pendingSync.isEmpty || syncDeadline != nil)
        #expect(leaderID.map { ids.contains($0) } ?? true)
        #expect(state != .stable || leaderID != nil)
        #expect(pendingMembers.keys.allSatisfy { !ids.contains($0) })
        let named = members.values.compactMap { member in member.instanceID.map { ($0, member.id) } }
        #expect(staticMembers == Dictionary(uniqueKeysWithValues: named))
        var support: [String: Int] = [:]
        for member in members.values { for one in member.protocols { support[one.name, default: 0] += 1 } }
        #expect(protocolSupport == support)
        #expect(members.isEmpty || support.values.contains(members.count))
        for member in members.values {
            let waits = [member.joinWaiter, member.syncWaiter].compactMap(\.self)
            #expect(waits.allSatisfy { parked[$0] == member.id })
            #expect(member.syncWaiter == nil || state == .completingRebalance)
            #expect(member.joinWaiter == nil || state == .preparingRebalance)
            // A member without a running session must be proved alive by a parked request.
            #expect(member.sessionDeadline != nil || member.isParked)
        }
        let deadlines =
            members.values.compactMap(\.sessionDeadline) + pendingMembers.values
            + [joinPhase?.deadline, syncDeadline, storeRetryDeadline].compactMap(\.self)
        if let earliest = deadlines.min() { #expect(nextDeadline.map { $0 <= earliest } ?? false) }
    }
}

@Suite struct GroupSimulationTests {
    @Test(arguments: 0..<60 as Range<UInt64>)
    func randomClients(seed: UInt64) {
        var simulation = GroupSimulation(seed: seed)
        simulation.run(steps: 400)
        #expect(simulation.joinsAnswered > 0)
    }

    /// The simulation is worth something only if groups get as far as being stable in it.
    @Test func groupsBecomeStable() {
        var stable = 0
        var syncs = 0
        for seed in 100..<110 as Range<UInt64> {
            var simulation = GroupSimulation(seed: seed)
            simulation.run(steps: 400)
            stable += simulation.stableGenerations.count
            syncs += simulation.syncsAnswered
        }
        #expect(stable > 20)
        #expect(syncs > 40)
    }
}
