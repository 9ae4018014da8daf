// SPDX-License-Identifier: Apache-2.0
//
// ClusterSimulation.swift
// A cluster of decisions: brokers that apply the controller's log late, groups that elect and change members, disks that
// are lost; the planner and every broker's reconciler run as they do in the shell.

import LogStore
import Model
import Settings
import Testing

@testable import Broker

/// A cluster without networks, disks and records.
///
/// One broker at most is out of order at a time, because that is what three replicas promise to bear.
struct ClusterSimulation {
    /// A broker's process and disk.
    struct Process {
        var isUp = true
        var storeID: UInt64 = 1
        var incarnation: UInt64 = 1
        /// Whether it began with nothing in the present incarnation.
        var isBlank = false
        /// How much of the controller's log it has applied.
        var state = ClusterState()
        var replicas: [GroupID: Replica] = [:]
    }

    /// A replica on a disk.
    struct Replica {
        /// Whether it counts as a member from the beginning.
        let isFounder: Bool
        /// Share of the log it has, in percent.
        var copied: Int
    }

    /// A group as its members agree on it.
    struct Group {
        var members: GroupMembership
        var leader: NodeID?
        /// The disk that each member had when it became one: a leader brings no other disk up to date.
        var disks: [NodeID: UInt64] = [:]
        /// Brokers that ever voted in it, with the disk they did it on; one that deleted its replica has none any more.
        var voted: [NodeID: UInt64?] = [:]
        /// How often the members changed.
        var changes: UInt64 = 0
    }

    var log: [ClusterEntry] = []
    var state = ClusterState()
    var processes: [NodeID: Process] = [:]
    var groups: [GroupID: Group] = [:]
    var random: SeededRandom
    var time: Int64 = 0
    let planner: ReassignmentPlanner
    let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
        random = SeededRandom(seed: seed)
        var settings = ReassignmentPlanner.Settings()
        settings.movesMax = Int.random(in: 1...6, using: &random)
        settings.movesPerBrokerMax = Int.random(in: 1...3, using: &random)
        planner = ReassignmentPlanner(settings: settings)
        for id in 1...Int32.random(in: 3...6, using: &random) { addBroker(id) }
        for name in 0..<Int.random(in: 1...4, using: &random) { addTopic("t\(name)") }
    }

    // MARK: Commands

    mutating func propose(_ command: ClusterCommand) {
        let entry = ClusterEntry(time: WallTime(milliseconds: time), actor: "simulation", command: command)
        log.append(entry)
        _ = state.apply(entry)
    }

    mutating func addBroker(_ id: Int32) {
        let node = NodeID(rawValue: id)
        // The first three form the cluster.
        processes[node] = Process(isBlank: id > 3)
        register(node)
    }

    mutating func register(_ node: NodeID) {
        guard let process = processes[node] else { return }
        let endpoint = BrokerEndpoint(host: "h\(node)", port: 1)
        propose(
            .registerBroker(
                BrokerRegistration(
                    id: node, incarnation: process.incarnation, storeID: process.storeID, kafka: endpoint,
                    peer: endpoint, isBlank: process.isBlank)))
        guard state.brokers[node] != nil else { return }
        propose(.unfenceBroker(node, incarnation: process.incarnation))
    }

    mutating func addTopic(_ name: String) {
        let able = state.brokers.values.filter(\.acceptsReplicas).map { PlacementBroker(id: $0.id) }
        guard able.count >= 3 else { return }
        let id = TopicID(high: seed, low: random.next())
        var placement = Placement(policy: .roundRobin, brokers: able)
        let count = Int.random(in: 1...8, using: &random)
        guard let placed = try? placement.place(topic: id, count: count, replicationFactor: 3) else { return }
        let first = state.nextGroup.rawValue
        let partitions = placed.enumerated().map { number, replicas in
            PartitionRecord(group: GroupID(rawValue: first + UInt64(number)), replicas: replicas)
        }
        propose(.createTopic(TopicRecord(name: name, id: id, partitions: partitions, configuration: [:])))
    }

    // MARK: Time

    /// One round: logs are applied, groups elect and copy, brokers reconcile, the planner plans.
    mutating func step() {
        time += 1
        for node in processes.keys.sorted() { advance(node) }
        for group in groups.keys.sorted() { run(group) }
        for command in planner.plan(state, replaceable: replaceable) { propose(command) }
        checkBounds()
    }

    var replaceable: Set<NodeID> = []

    private mutating func advance(_ node: NodeID) {
        guard var process = processes[node], process.isUp else { return }
        let behind = log.count - Int(process.state.lastOperation)
        for _ in 0..<min(behind, Int.random(in: 0...8, using: &random)) {
            _ = process.state.apply(log[Int(process.state.lastOperation)])
        }
        processes[node] = process
        // A broker that is not known any more asks to be let in, as it does after every start.
        if state.brokers[node] == nil, state.retired[node] != process.storeID { register(node) }
        let reconciler = ClusterReconciler(
            node: node, storeID: process.storeID, incarnation: process.incarnation)
        let actions = reconciler.actions(
            process.state, running: running(node), stored: Set(process.replicas.keys))
        for action in actions { carryOut(action, on: node) }
    }

    private func running(_ node: NodeID) -> [GroupID: LocalReplica] {
        guard let process = processes[node] else { return [:] }
        var running: [GroupID: LocalReplica] = [:]
        for group in process.replicas.keys {
            let leads = groups[group]?.leader == node
            let caughtUp = processes.filter { $0.value.isUp && $0.value.replicas[group]?.copied == 100 }.keys
            running[group] = LocalReplica(
                group: group, leads: leads, membership: leads ? groups[group]?.members : nil,
                caughtUp: leads ? Set(caughtUp) : [],
                floor: JoinFloor(term: Term(1), index: LogIndex(groups[group]?.changes ?? 0)))
        }
        return running
    }

    private mutating func carryOut(_ action: ReconcileAction, on node: NodeID) {
        switch action {
        case .start(let start):
            processes[node]?.replicas[start.group] = Replica(isFounder: !start.joins, copied: start.joins ? 0 : 100)
            let store = processes[node]?.storeID ?? 0
            // A founder that comes so late that members have changed: no leader has heard of another disk of it.
            if let disks = groups[start.group]?.disks, disks[node] == nil { groups[start.group]?.disks[node] = store }
            guard !start.joins else { return }
            let earlier = groups[start.group]?.voted[node]
            #expect(earlier == nil || earlier == store, "seed \(seed): \(node) founds \(start.group) again, forgetful")
            if groups[start.group] == nil {
                groups[start.group] = Group(members: GroupMembership(voters: start.founders))
            }
            groups[start.group]?.disks[node] = store
            groups[start.group]?.voted[node] = store
        case .stop(let group):
            processes[node]?.replicas[group] = nil
            if groups[group]?.voted[node] != nil { groups[group]?.voted[node] = .some(nil) }
        case .awaitLeaving, .setAside: break
        case .changeMembership(let group, let members): change(group, members)
        case .propose(let command): propose(command)
        }
    }

    // MARK: Groups

    private func isUp(_ node: NodeID, _ group: GroupID) -> Bool {
        processes[node]?.isUp == true && processes[node]?.replicas[group] != nil
    }

    /// Whether most of `voters` are there with what is committed.
    private func hasQuorum(_ voters: [NodeID], _ group: GroupID) -> Bool {
        voters.count { isUp($0, group) && processes[$0]?.replicas[group]?.copied == 100 } * 2 > voters.count
    }

    private mutating func change(_ group: GroupID, _ members: GroupMembership) {
        guard let current = groups[group]?.members else { return }
        // Joint consensus: both sets must agree, and newcomers have to be learners first.
        guard hasQuorum(current.voters, group), hasQuorum(members.voters, group) else { return }
        for node in members.voters where !current.voters.contains(node) {
            #expect(current.learners.contains(node), "seed \(seed): \(node) votes in \(group) without having listened")
        }
        groups[group]?.members = members
        groups[group]?.changes += 1
        for node in members.members where !current.members.contains(node) {
            groups[group]?.disks[node] = processes[node]?.storeID ?? 0
        }
        for node in members.voters { groups[group]?.voted[node] = processes[node]?.storeID ?? 0 }
    }

    private mutating func run(_ group: GroupID) {
        guard let current = groups[group] else { return }
        if let leader = current.leader,
            !isUp(leader, group) || !current.members.voters.contains(leader)
                || !hasQuorum(current.members.voters, group)
        {
            groups[group]?.leader = nil
        }
        if groups[group]?.leader == nil, hasQuorum(current.members.voters, group) {
            let able = current.members.voters.filter { node in
                isUp(node, group) && processes[node]?.replicas[group]?.copied == 100
            }
            groups[group]?.leader = able.randomElement(using: &random)
        }
        guard groups[group]?.leader != nil else { return }
        for node in current.members.members where isUp(node, group) {
            guard let copied = processes[node]?.replicas[group]?.copied, copied < 100,
                current.disks[node] == processes[node]?.storeID
            else { continue }
            processes[node]?.replicas[group]?.copied = min(100, copied + Int.random(in: 0...60, using: &random))
        }
    }

    // MARK: Faults

    mutating func kill(_ node: NodeID) {
        processes[node]?.isUp = false
        propose(.fenceBroker(node, incarnation: processes[node]?.incarnation ?? 0))
    }

    mutating func restart(_ node: NodeID, wiped: Bool) {
        guard processes[node]?.isUp == false else { return }
        processes[node]?.isUp = true
        processes[node]?.incarnation += 1
        processes[node]?.isBlank = wiped
        if wiped {
            processes[node]?.storeID += 1
            processes[node]?.replicas = [:]
            processes[node]?.state = ClusterState()
        }
        guard state.brokers[node] != nil else { return }
        register(node)
    }

    /// Nothing moves, and everything is where it should be.
    var isSettled: Bool {
        state.reassigning.isEmpty && processes.values.allSatisfy { !$0.isUp || $0.state == state }
            && state.locations.keys.allSatisfy { isWhole($0) }
    }

    private func isWhole(_ group: GroupID) -> Bool {
        guard let partition = state.partition(group), let live = groups[group] else { return false }
        return partition.rejoining.isEmpty && live.leader != nil && live.members == partition.membership
            && partition.replicas.allSatisfy { processes[$0]?.replicas[group]?.copied == 100 }
            && processes.allSatisfy { node, process in
                !process.isUp || (process.replicas[group] != nil) == partition.replicas.contains(node)
            }
    }

    private func checkBounds() {
        let moving = state.reassigning.compactMap { state.partition($0) }.filter { $0.reassignment?.phase != .queued }
        #expect(moving.count <= planner.settings.movesMax, "seed \(seed)")
        for node in state.brokers.keys {
            let copies = moving.count { $0.adding.contains(node) }
            #expect(copies <= planner.settings.movesPerBrokerMax, "seed \(seed): \(copies) copies to \(node)")
        }
    }
}

@Suite struct ClusterSimulationTests {
    @Test(arguments: 0..<8) func convergesAfterFailures(seed: UInt64) {
        var world = ClusterSimulation(seed: seed)
        var broken: NodeID?
        for _ in 0..<400 {
            act(&world, &broken)
            world.step()
        }
        if let broken { world.restart(broken, wiped: false) }
        world.replaceable = []
        for node in world.state.brokers.keys where world.state.brokers[node]?.drain == .leaders {
            world.propose(.resumeBroker(node))
        }
        var rounds = 0
        while rounds < 3_000, !world.isSettled || !world.planner.plan(world.state, replaceable: []).isEmpty {
            world.step()
            rounds += 1
        }
        #expect(world.isSettled, "seed \(seed): not settled; \(ReassignmentPlanner.progress(world.state))")
        let history = OperationHistory(
            operations: world.log.enumerated().map { ClusterOperation(id: UInt64($0.offset + 1), entry: $0.element) })
        #expect(throws: Never.self) { try history.verify(against: world.state) }
    }

    /// Perhaps one thing that operators, users or fate do.
    private func act(_ world: inout ClusterSimulation, _ broken: inout NodeID?) {
        let nodes = world.state.brokers.keys.sorted()
        switch Int.random(in: 0..<60, using: &world.random) {
        case 0, 1:
            guard broken == nil, world.isSettled, let node = nodes.randomElement(using: &world.random) else { return }
            broken = node
            world.kill(node)
        case 2, 3:
            guard let node = broken else { return }
            world.restart(node, wiped: Int.random(in: 0..<3, using: &world.random) == 0)
            world.replaceable = []
            broken = nil
        case 4: if let node = broken { world.replaceable = [node] }
        case 5:
            guard nodes.count < 8 else { return }
            world.addBroker((world.processes.keys.max()?.rawValue ?? 0) + 1)
        case 6:
            guard nodes.count > 4, let node = nodes.randomElement(using: &world.random) else { return }
            let mode = DrainMode.allCases.randomElement(using: &world.random) ?? .leaders
            world.propose(.drainBroker(node, mode))
        case 7: if let node = nodes.randomElement(using: &world.random) { world.propose(.resumeBroker(node)) }
        case 8: world.addTopic("x\(world.time)")
        case 9:
            if let group = world.state.reassigning.sorted().randomElement(using: &world.random) {
                world.propose(.cancelReassignment(group))
            }
        case 10:
            let topics = world.state.topics.keys.sorted { $0.low < $1.low }
            if topics.count > 2, let id = topics.randomElement(using: &world.random) {
                world.propose(.deleteTopic(id))
            }
        default: break
        }
    }
}
