// SPDX-License-Identifier: Apache-2.0
//
// Plan.swift
// What a seed decides before the run begins: topology, sizes, times, the mix of faults and the workload.

internal import Model
package import Raft

/// What a caller may change about a run.
package struct Options: Sendable {
    /// Decides everything else.
    package var seed: UInt64
    /// Classes that are off whatever the seed says.
    package var disabled: Faults = .none
    /// The most events of the first phase; nil leaves it to the seed.
    package var eventsMax: Int?
    /// Whether every step is printed.
    package var isTracing = false
    /// A deliberate bug.
    package var mutation: Mutation?
    /// What keeps the logs.
    package var storage = StorageKind.model
    /// Whether everything that happens is counted by its kind.
    package var countsCoverage = false

    /// Options of an undisturbed run.
    package init(seed: UInt64) { self.seed = seed }
}

/// What keeps the logs of a simulated cluster.
package enum StorageKind: String, CaseIterable, Sendable {
    /// A model of the store in blocks and frames; fast.
    case model
    /// The production store on simulated disks.
    case production
    /// The same, and the topics are compacted.
    case compacted
}

/// What a seed decides.
///
/// Times are in microseconds of simulated time.
package struct Plan: Sendable {
    /// Processes, each with one disk.
    package let nodes: Int
    /// Groups; every node can host a replica of each.
    package let groups: Int
    /// Voters of each group at the start.
    package let founders: Int
    /// Limits and timeouts of the cores.
    package let settings: Raft.Settings
    /// The classes that may happen.
    package let faults: Faults
    /// Events of the first phase.
    package let events: Int

    let tick: Int
    let latency: ClosedRange<Int>
    let lossPermille: Int
    let duplicatePermille: Int
    let spikePermille: Int
    let flush: ClosedRange<Int>
    let applyDelay: ClosedRange<Int>
    let reportDelay: ClosedRange<Int>
    let journalSlots: Int
    let checkpointBlocks: Int
    let faultInterval: Int
    let operationInterval: Int
    let payloadBytesMax: Int
    /// A rare combination that this run is after.
    package let profile: Profile?
    /// The node whose reports of appends come long after they were made.
    let laggard: Int?
    /// How long they may take.
    let lag: Int
    /// Whether nodes are told of connections that are lost, or find out by waiting only.
    let noticesDisconnections: Bool
    /// How the production store is set up, when it is what runs.
    let production: ProductionPlan?

    /// Draws a plan.
    package init(_ options: Options) {
        var random = SeededRandom(seed: options.seed ^ 0x504C_414E)
        // Of its own generator: what the others draw does not depend on it.
        var choice = SeededRandom(seed: options.seed ^ 0x50_524F_46)
        let profile = Int.random(in: 0..<6, using: &choice) == 0 ? Self.pick(Profile.allCases, &choice) : nil
        self.profile = profile
        let nodes = Self.pick([1, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7], &random)
        let groups = Self.pick([1, 1, 1, 1, 1, 1, 2, 2, 3, 4, Int.random(in: 5...20, using: &random)], &random)
        let founders = min(nodes, Self.pick([1, 2, 3, 3, 3, 5, nodes], &random))
        let chosen = profile.map { Self.pick($0.nodes, &choice) } ?? nodes
        self.nodes = chosen
        self.groups = profile == nil ? groups : 1
        self.founders = profile.map { min(chosen, $0 == .laggard ? 5 : 3) } ?? founders
        var mix = Self.drawFaults(&random)
        if let profile { mix = profile.faults(beside: mix) }
        faults = mix.subtracting(options.disabled)
        production =
            options.storage != .model
            ? ProductionPlan(options, faults) : nil
        let drawn = Int.random(in: 1_500...6_000, using: &random) + 200 * (profile == nil ? groups : 1)
        events = min(options.eventsMax ?? .max, drawn)
        tick = Int.random(in: 10_000...50_000, using: &random)
        let fastest = Int.random(in: 50...2_000, using: &random)
        latency = fastest...fastest + Int.random(in: 1_000...tick, using: &random)
        lossPermille = faults.contains(.loss) ? Int.random(in: 5...200, using: &random) : 0
        duplicatePermille = faults.contains(.duplication) ? Int.random(in: 5...150, using: &random) : 0
        let spikes = faults.contains(.delay) ? Int.random(in: 2...60, using: &random) : 0
        spikePermille = profile == .newcomers ? 3 * spikes + 50 : spikes
        let flushFastest = Int.random(in: 100...3_000, using: &random)
        let spread = faults.contains(.slowDisk) ? tick * 6 : 4_000
        flush = flushFastest...flushFastest + Int.random(in: 500...spread, using: &random)
        applyDelay = 1_000...Int.random(in: 2_000...1_000_000, using: &random)
        reportDelay = 10...(faults.contains(.lateReports) ? Int.random(in: 1_000...4 * tick, using: &random) : 200)
        journalSlots = Self.pick([3, 4, 8, 32], &random)
        checkpointBlocks = Int.random(in: 1...max(1, journalSlots - 2), using: &random)
        faultInterval = Self.pick([3, 10, 20, 60], &random) * tick
        let interval = Int.random(in: 2_000...2 * tick, using: &random)
        operationInterval = profile == nil ? interval : min(interval, tick / 2)
        payloadBytesMax = Self.pick([4, 64, 1_000], &random)
        var settings = Self.drawSettings(payloadBytesMax: payloadBytesMax, &random, options)
        if profile != nil {
            // Elections that meet, and soon the next one.
            settings.heartbeatTicks = 1
            settings.electionTicks = Self.pick([3, 4, 6], &choice)
        }
        self.settings = settings
        var links = SeededRandom(seed: options.seed ^ 0x4C_494E_4B)
        noticesDisconnections = Bool.random(using: &links)
        laggard = profile == .laggard ? Int.random(in: 0..<chosen, using: &choice) : nil
        lag = Self.pick([2, 6, 15], &choice) * settings.electionTicks * tick
    }

    /// A random half of the classes; sometimes nearly all or few, sometimes a theme: rare combinations need room.
    private static func drawFaults(_ random: inout SeededRandom) -> Faults {
        let half = Faults(rawValue: UInt32.random(in: 0...Faults.all.rawValue, using: &random))
        let other = Faults(rawValue: UInt32.random(in: 0...Faults.all.rawValue, using: &random))
        switch Int.random(in: 0..<10, using: &random) {
        case 0: return half.union(other)
        case 1: return half.intersection(other)
        case 2: return half.intersection(other).union([.hunt, .crash, .power, .partition])
        case 3: return half.intersection(other).union([.hunt, .slowDisk, .hang, .lateReports, .oneWay])
        case 4: return half.intersection(other).union([.lostDisk, .membership, .delay, .duplication, .hunt])
        case 5: return half.intersection(other).union([.compaction, .duplication, .reordering, .delay, .oneWay])
        default: return half
        }
    }

    /// Network latency; when the faults have stopped, an election timeout has room for several round trips.
    func latency(isFaulty: Bool) -> ClosedRange<Int> {
        isFaulty ? latency : min(latency.lowerBound, tick / 8)...min(latency.upperBound, tick / 4)
    }

    /// The length of a flush.
    func flush(isFaulty: Bool) -> ClosedRange<Int> {
        isFaulty ? flush : min(flush.lowerBound, tick / 8)...min(flush.upperBound, tick / 4)
    }

    /// From the end of a flush to its report.
    func reportDelay(isFaulty: Bool) -> ClosedRange<Int> { isFaulty ? reportDelay : 10...200 }

    private static func drawSettings(
        payloadBytesMax: Int, _ random: inout SeededRandom, _ options: Options
    ) -> Raft.Settings {
        var settings = Raft.Settings()
        settings.heartbeatTicks = Int.random(in: 1...3, using: &random)
        settings.electionTicks = settings.heartbeatTicks * Int.random(in: 3...6, using: &random)
        settings.messageBytesMax = pick([1, payloadBytesMax, payloadBytesMax * 8, 1 << 20], &random)
        settings.windowMessagesMax = pick([1, 2, 4, 64], &random)
        settings.windowBytesMax = pick([1, payloadBytesMax * 2, payloadBytesMax * 16, 8 << 20], &random)
        settings.uncommittedBytesMax = pick([payloadBytesMax * 4, payloadBytesMax * 64], &random)
        settings.transferLagEntriesMax = pick([0, 2, 128], &random)
        settings.transferPrepareTicks = Int.random(in: 5...50, using: &random)
        settings.transferBlockTicks = Int.random(in: 3...12, using: &random)
        settings.promotionLagEntriesMax = pick([0, 3, 128], &random)
        settings.pendingReadsMax = pick([1, 16], &random)
        settings.heldMessagesMax = pick([1, 4, 256], &random)
        #if MUTATIONS
            if case .core(let mutation)? = options.mutation { settings.mutation = mutation }
        #endif
        return settings
    }

    static func pick<T>(_ values: [T], _ random: inout SeededRandom) -> T {
        values[Int.random(in: 0..<values.count, using: &random)]
    }
}
