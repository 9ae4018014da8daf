// SPDX-License-Identifier: Apache-2.0
//
// Statistics.swift
// What a run did, so that one can see that its faults happened at all.

/// Counts of one or many runs.
package struct Statistics: Sendable {
    /// Simulated events.
    package var events = 0
    /// Simulated microseconds.
    package var time = 0
    /// Operations proposed and answered.
    package var proposed = 0
    package var answered = 0
    /// Linearizable reads answered.
    package var reads = 0
    /// Terms that had a leader.
    package var elections = 0
    /// Processes that died, and those that lost power.
    package var crashes = 0
    package var powerLosses = 0
    /// Messages sent and lost.
    package var sent = 0
    package var lost = 0
    /// Damaged disks and repaired entries.
    package var damages = 0
    package var repairs = 0
    /// Snapshots installed.
    package var snapshots = 0
    /// Logs cut.
    package var truncations = 0
    /// Finished changes of members, and replicas that started anew.
    package var changes = 0
    package var recreations = 0
    /// Transfers that ended with another leader.
    package var transfers = 0
    /// What was reached, by its name; counted on request.
    package var coverage: [String: Int] = [:]

    /// Nothing counted.
    package init() {}

    /// Adds another run's.
    package mutating func add(_ other: Statistics) {
        events += other.events
        proposed += other.proposed
        answered += other.answered
        reads += other.reads
        elections += other.elections
        crashes += other.crashes
        powerLosses += other.powerLosses
        sent += other.sent
        lost += other.lost
        damages += other.damages
        repairs += other.repairs
        snapshots += other.snapshots
        truncations += other.truncations
        changes += other.changes
        recreations += other.recreations
        transfers += other.transfers
        time += other.time
        coverage.merge(other.coverage, uniquingKeysWith: +)
    }

    /// The counts in a line.
    package var text: String {
        "\(events) events, \(proposed) proposed, \(answered) answered, \(reads) reads, \(elections) elections, "
            + "\(crashes) crashes, \(powerLosses) power losses, \(sent) messages (\(lost) lost), \(damages) damages, "
            + "\(repairs) repairs, \(snapshots) snapshots, \(truncations) truncations, \(changes) changes, "
            + "\(recreations) recreations, \(transfers) transfers"
    }
}

/// A rule that was broken.
package struct Violation: Sendable {
    /// When, in simulated microseconds.
    package let time: Int
    /// The rule's number and what was seen.
    package let text: String
}

/// How a run ended.
package struct Outcome: Sendable {
    /// The first rule that was broken, nil when all held.
    package let violation: Violation?
    /// A checksum over everything that happened, in order.
    package let digest: UInt64
    /// What happened, counted.
    package let statistics: Statistics
    /// Every step, when tracing was asked for.
    package let trace: [String]
}
