// SPDX-License-Identifier: Apache-2.0
//
// World.swift
// A whole cluster in one thread: processes, network, disks and clients, driven by one queue of events.

internal import Model
internal import Raft

/// A simulated cluster and what must hold in it.
///
/// Everything is decided by the seed: five generators, one each for network, disks, faults, clients and connections, so
/// that switching one off disturbs the others little.
package final class World {
    let options: Options
    package let plan: Plan
    var now = 0
    var queue = EventQueue()
    let nodes: [Node]
    let histories: [GroupHistory]
    /// What is committed in compacted topics.
    let keys: [KeyHistory]
    var violation: Violation?
    var statistics = Statistics()
    var digest: UInt64 = 0
    var isFaulty = true

    var networkRandom: SeededRandom
    var diskRandom: SeededRandom
    var faultRandom: SeededRandom
    var workRandom: SeededRandom
    var linkRandom: SeededRandom

    /// Whether messages from the first node to the second are lost.
    var blocked: [[Bool]]
    /// When the last message on each link arrives, where order is kept.
    var lastArrival: [[Int]]
    var nextOperation: UInt64 = 1
    var directives: Core.Directives = []
    var carriedOut: Core.Directives = []
    /// Whether the first block on the way to the fate of a partition was drawn; see `healLinks`.
    var isPartitioned = false

    private let sink: ((String) -> Void)?

    /// Prepares a run; `trace` is called with every step when there is one.
    package init(_ options: Options, trace sink: ((String) -> Void)? = nil) {
        self.options = options
        self.sink = sink
        let plan = Plan(options)
        self.plan = plan
        networkRandom = SeededRandom(seed: mix(options.seed, 1))
        diskRandom = SeededRandom(seed: mix(options.seed, 2))
        faultRandom = SeededRandom(seed: mix(options.seed, 3))
        workRandom = SeededRandom(seed: mix(options.seed, 4))
        linkRandom = SeededRandom(seed: mix(options.seed, 5))
        blocked = Array(repeating: Array(repeating: false, count: plan.nodes), count: plan.nodes)
        lastArrival = Array(repeating: Array(repeating: 0, count: plan.nodes), count: plan.nodes)
        let founders = Self.founders(plan)
        histories = founders.map { GroupHistory(founders: $0, nodes: plan.nodes) }
        keys = founders.map { _ in KeyHistory() }
        let ledgers = founders.map { _ in EntryLedger() }
        var mutation: ShellMutation?
        var sabotage: DiskMutation?
        if case .shell(let chosen)? = options.mutation { mutation = chosen }
        if case .disk(let chosen)? = options.mutation { sabotage = chosen }
        nodes = (0..<plan.nodes).map { number in
            let id = NodeID(rawValue: Int32(number + 1))
            let initial = founders.map { $0.contains(id) ? $0 : .empty }
            let store = SimulatedStore(configurations: initial, slots: plan.journalSlots, mutation: mutation)
            let production = plan.production.map { setup in
                ProductionStore(
                    plan: setup, node: id, ledgers: ledgers, seed: mix(options.seed, UInt64(100 + number)),
                    mutation: sabotage)
            }
            return Node(number: number, store: store, production: production, initial: initial, tick: plan.tick)
        }
    }

    /// The founding members of each group: the first ones for the first group, then shifted.
    private static func founders(_ plan: Plan) -> [Raft.Configuration] {
        (0..<plan.groups).map { group in
            Raft.Configuration(
                voters: (0..<plan.founders).map { NodeID(rawValue: Int32((group + $0) % plan.nodes + 1)) })
        }
    }

    /// Runs to the end, or to the first broken rule.
    package func run() -> Outcome {
        trace("plan: \(plan.nodes) nodes, \(plan.groups) groups, \(plan.founders) voters, \(plan.faults.text)")
        for node in nodes {
            if isTracing { node.production?.log = StoreLog() }
            if plan.faults.contains(.drift) {
                node.tick = plan.tick * Int.random(in: 80...125, using: &faultRandom) / 100
            }
            start(node)
        }
        queue.add(.fault, at: plan.faultInterval)
        queue.add(.operation, at: plan.operationInterval)
        while statistics.events < plan.events, violation == nil { step() }
        if violation == nil { finish() }
        for node in nodes { node.production?.leave() }
        trace("end: \(violation.map(\.text) ?? "all rules held"), digest \(String(digest, radix: 16))")
        statistics.time = now
        return Outcome(violation: violation, digest: digest, statistics: statistics, trace: [])
    }

    /// Lets the next event happen.
    func step() {
        guard let (time, event) = queue.next() else {
            fail("L0: nothing happens any more")
            return
        }
        now = max(now, time)
        statistics.events += 1
        digest = mix(digest, UInt64(now))
        if let (number, life) = event.process {
            let node = nodes[number]
            guard node.life == life else { return }
            if node.pausedUntil > now {
                queue.add(event, at: node.pausedUntil)
                return
            }
            happen(event, on: node)
        } else {
            happen(event)
        }
        if plan.production != nil { for node in nodes { tend(node) } }
    }

    private func happen(_ event: Event) {
        switch event {
        case .deliver(let packet): deliver(packet)
        case .restart(let number): start(nodes[number])
        case .fault:
            if isFaulty {
                drawFault()
                if plan.noticesDisconnections { resetConnections() }
                queue.add(.fault, at: now + Int.random(in: 1...2 * plan.faultInterval, using: &faultRandom))
            }
        case .operation:
            operate()
            queue.add(.operation, at: now + Int.random(in: 1...2 * plan.operationInterval, using: &workRandom))
        case .heal: healLinks()
        default: preconditionFailure("event \(event) belongs to a process")
        }
    }

    private func happen(_ event: Event, on node: Node) {
        switch event {
        case .tick: tick(node)
        case .flushed: flushed(node)
        case .reports(_, _, let reports): deliver(reports, to: node)
        case .apply: apply(node)
        case .checkpointed: checkpointed(node)
        case .load(_, _, let group, let request): load(request, node, group)
        case .provide(_, _, let group, let peer): provide(node, group, to: peer)
        case .fetched(_, _, let group, let info, let source): fetched(info, from: source, node, group)
        case .pull(_, _, let group, let pull): nextPiece(pull, node, group)
        case .repair: repair(node)
        case .hunted: strike(node)
        case .disconnected(_, _, let peer): disconnected(node, from: peer)
        case .work(_, _, let worker): work(worker, node)
        case .turn: turn(node)
        default: preconditionFailure("event \(event) belongs to no process")
        }
    }

    // MARK: - Records

    /// Notes a broken rule; the first one ends the run.
    func fail(_ text: String) {
        if violation == nil {
            violation = Violation(time: now, text: text)
            trace("VIOLATION \(text)")
        }
    }

    /// Notes a broken rule when there is one.
    func check(_ problem: String?) {
        if let problem { fail(problem) }
    }

    var isTracing: Bool { sink != nil }

    func trace(_ line: @autoclosure () -> String) {
        guard let sink else { return }
        sink("\(now) \(line())")
    }

    /// Counts something for the report of what was reached.
    func note(_ item: @autoclosure () -> String) {
        if options.countsCoverage { statistics.coverage[item(), default: 0] += 1 }
    }

    // MARK: - Random choices

    func chance(_ permille: Int, _ random: inout SeededRandom) -> Bool {
        permille > 0 && Int.random(in: 0..<1_000, using: &random) < permille
    }

    /// The running replicas that lead a group.
    func leaders(of group: Int) -> [Node] {
        nodes.filter { $0.isUp && $0.replicas[group].core?.isLeader == true }
    }

    func node(_ id: NodeID) -> Node { nodes[Int(id.rawValue) - 1] }
}
