// SPDX-License-Identifier: Apache-2.0
//
// SimulationTests.swift
// A pinned corpus of seeds, some fresh ones, determinism, and the proof that planted bugs are found. Many more seeds:
// `make simulate`, `make mutations`.

import Foundation
import Simulation
import Testing

@Suite struct SimulationTests {
    /// Seeds that once failed, each with what it found.
    static let pinned: [UInt64] = [
        17_222,  // reports of an entry that was cut and written again were doubted for ever
        10,  // requests for votes fell victim to the limit on held messages
        77, 230,  // the same, with a deaf leader
        4250, 8532,  // a replica without a configuration had been made a voter and refused to vote
        506_736,  // a confirmation that waited was sent after its entries were found damaged
        // Without floors these elected replicas that had been deleted and came back.
        52_816, 56_968, 62_209,
        14_767,  // a bug of the simulator: a change that was taken back was in effect where nobody heard of that
        35, 92, 187, 1268, 1769, 3649, 4710, 8122, 503_464,  // bugs of the simulator itself
    ]

    /// Seeds of clusters on the production store, each with what it found in the store or in the core.
    static let pinnedProduction: [UInt64] = [
        19,  // a replica that had rolled went on in another segment than its leader
        188, 1972,  // a damaged block of the journal that was not needed hid the one behind it
        334, 652,  // a damaged first block of a journal file hid the file
        1012, 1996,  // a misdirected frame was served, or skipped, by readers
        2779,  // retention dropped an entry without records that was not committed
        805,  // entries were compacted while they were loaded
        20_481, 1_947_775_124,  // a segment went while another leader's next entry belonged into it
        1_947_774_924, 7_000_704, 7_002_592,  // a read that a truncation overtook was taken for damage
        7_001_951,  // a group that a failing disk did not delete was opened again
        7_003_208,  // a follower that was started anew learned what is committed with the next entry only
        7_004_456,  // the files of a deleted group came back under its successor
        31, 76, 215,  // a term began too late: its first entry was lost in a segment that had its footer
        80_001_711, 80_004_456,  // without a journal a compaction took a change of members back
        80_002_013, 80_002_503,  // the producers' state reflected entries that were cut while they were compressed
        // Bugs of the simulator itself.
        3139, 3166, 3475, 7_003_591, 70_003_766, 80_000_278, 80_000_426, 80_001_415,
    ]

    /// `SEEDS=n` runs that many fresh seeds.
    static let fresh: [UInt64] = {
        let count = ProcessInfo.processInfo.environment["SEEDS"].flatMap(Int.init) ?? 20
        return (0..<count).map { _ in UInt64.random(in: 1...UInt64(UInt32.max)) }
    }()

    @Test(arguments: pinned) func pinnedSeed(_ seed: UInt64) { expectSound(seed) }

    @Test(arguments: fresh) func freshSeed(_ seed: UInt64) { expectSound(seed) }

    @Test(arguments: pinnedProduction + fresh.prefix(fresh.count / 2))
    func productionSeed(_ seed: UInt64) { expectSound(seed, .production) }

    /// Compacted topics; the first ones found that what was aborted displaced what was committed, where its marker stood behind
    /// the first record of an open transaction; 2538047803 that a leader could not help a follower when it did not know of the
    /// entry behind what it had compacted that it was committed; the next two that its snapshots ended before what the keys had
    /// been compared with; the last one that a snapshot which went on from another replica was never whole.
    @Test(
        arguments: [1, 3, 6, 11, 19, 26, 2_538_047_803, 2_774_270_247, 2_774_270_233, 2_054_043_157]
            + fresh.prefix(fresh.count / 2))
    func compactedSeed(_ seed: UInt64) { expectSound(seed, .compacted) }

    private func expectSound(_ seed: UInt64, _ storage: StorageKind = .model) {
        var options = Options(seed: seed)
        options.storage = storage
        let outcome = World(options).run()
        #expect(outcome.violation == nil, "seed \(seed): \(outcome.violation?.text ?? "")")
    }

    @Test(arguments: [3, 77, 230, 4710] as [UInt64], StorageKind.allCases)
    func sameSeedSameTrace(_ seed: UInt64, _ storage: StorageKind) {
        let runs = (0..<2).map { _ in
            var trace: [String] = []
            var options = Options(seed: seed)
            options.storage = storage
            options.eventsMax = 1_500
            let outcome = World(options) { trace.append($0) }.run()
            return (outcome.digest, trace)
        }
        #expect(runs[0].0 == runs[1].0)
        #expect(runs[0].1 == runs[1].1)
        #expect(runs[0].1.count > 300)
    }

    @Test func tracingChangesNothing() {
        let silent = World(Options(seed: 5)).run()
        let traced = World(Options(seed: 5)) { _ in }.run()
        #expect(silent.digest == traced.digest)
    }

    @Test func disabledFaultsStayAway() {
        var options = Options(seed: 2)
        options.disabled = .all
        let statistics = World(options).run().statistics
        #expect(statistics.crashes == 0 && statistics.damages == 0 && statistics.answered > 0)
    }

    @Test func namesParse() {
        #expect(Faults(parsing: "crash,loss")?.text == "loss,crash")
        #expect(Faults(parsing: "") == Faults.none)
        #expect(Faults(parsing: "typhoon") == nil)
        #expect(Mutation.named("torn-accepted") == .shell(.tornAccepted))
        #expect(Set(Mutation.all.map(\.name)).count == Mutation.all.count)
    }
}
