// SPDX-License-Identifier: Apache-2.0
//
// ProductionPlan.swift
// What a seed decides about the production store: sizes so small that files roll, rings are lapped and caches overflow
// within a short run.

internal import LogStore
internal import Model

/// How the stores of one run are set up.
struct ProductionPlan {
    let journal: StoreSettings.JournalMode
    let journalFiles: Int
    let segmentBytes: Int
    let compresses: Bool
    let checkpointMilliseconds: Int64
    let recycled: Int
    let tailBytes: Int
    let reserve: Int
    /// Payloads: most are at most so large, a few in a thousand reach beyond a block of the journal.
    let payloadBytes: Int
    let largePermille: Int
    /// Whether the first group is a log of commands.
    let hasCommands: Bool
    /// Whether logs are compacted.
    let compactsKeys: Bool
    /// How long deletions stay, in milliseconds.
    let deleteRetention: Int64

    private let mutation: Mutation?

    init(_ options: Options, _ faults: Faults) {
        mutation = options.mutation
        var random = SeededRandom(seed: options.seed ^ 0x4C4F_4753)
        func pick<T>(_ values: [T]) -> T { values[Int.random(in: 0..<values.count, using: &random)] }
        journal = pick([.on, .auto, .auto, .off])
        journalFiles = pick([2, 2, 3])
        // Where logs are shortened, whole segments have to go.
        let sizes = faults.contains(.compaction) ? [1_500, 1_500, 6_000, 30_000] : [1_500, 6_000, 30_000, 90_000]
        let size = pick(sizes)
        compresses = pick([true, false])
        checkpointMilliseconds = pick([10, 100, 1_000])
        recycled = pick([0, 2, 8])
        tailBytes = pick([0, 8_000, 1 << 20])
        reserve = faults.contains(.diskFull) ? pick([0, 600 << 10]) : 0
        payloadBytes = pick([100, 400, 1_500])
        largePermille = pick([0, 10, 60])
        let first = pick([true, false, false])
        compactsKeys = options.storage == .compacted
        hasCommands = first && !compactsKeys
        // With a generator of its own: nothing else of a run is to depend on it.
        var keys = SeededRandom(seed: options.seed ^ 0x4B_4559_53)
        deleteRetention = Plan.pick([100, 2_000, 60_000], &keys)
        segmentBytes = compactsKeys ? Plan.pick([1_500, 1_500, 4_000, 12_000], &keys) : size
    }

    /// The settings of one machine's store.
    func settings(node: NodeID, clock: Clock, steps: StoreSteps) -> StoreSettings {
        var settings = StoreSettings(directory: "/store")
        settings.nodeID = node
        settings.clock = clock
        settings.execution = .steps(steps)
        settings.journal = journal
        settings.journalFile = .kibibytes(64)
        settings.journalFiles = journalFiles
        settings.checkpointMilliseconds = checkpointMilliseconds
        settings.recycledSegments = recycled
        settings.tailCache = ByteCount(tailBytes)
        settings.readCache = ByteCount(8_000)
        settings.openFiles = 8
        settings.diskReserve = ByteCount(reserve)
        settings.compressionBytesMin = 300
        settings.unbufferedBytesMin = 4_096
        settings.leadBytesMin = 8_192
        #if MUTATIONS
            if case .store(let mutation)? = mutation { settings.mutation = mutation }
        #endif
        return settings
    }

    /// The settings of partitions' logs.
    var logSettings: GroupLogSettings {
        GroupLogSettings(segmentBytes: segmentBytes, compressesFrames: compresses)
    }

    /// The number of a group.
    func id(of group: Int) -> GroupID {
        isCommands(group) ? .controller : GroupID(rawValue: UInt64(1_024 + group))
    }

    /// Whether the entries of a group are commands.
    func isCommands(_ group: Int) -> Bool { hasCommands && group == 0 }

    /// The size of an operation's payload.
    func payloadBytes(of operation: UInt64) -> Int {
        var random = SeededRandom(seed: operation ^ 0x53_495A_45)
        guard Int.random(in: 0..<1_000, using: &random) < largePermille else {
            return Int.random(in: 70...70 + payloadBytes, using: &random)
        }
        return Int.random(in: 4_000...44_000, using: &random)
    }
}
