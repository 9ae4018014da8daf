// SPDX-License-Identifier: Apache-2.0
//
// Profile.swift
// Rare combinations that chance alone would not bring about in a short run. One seed in six is after one of them.

/// What a run is after.
package enum Profile: String, CaseIterable, Sendable {
    /// One follower is given entries by leader after leader and hears of its writes long afterwards: the reports name
    /// entries that were cut and appended again meanwhile.
    case laggard
    /// Replicas leave, lose everything and come back within a term, while answers and requests of their earlier lives
    /// are still under way.
    case newcomers
    /// Snapshots that are on their way while the log grows past them.
    case snapshots

    /// How many nodes there may be.
    var nodes: [Int] {
        switch self {
        case .laggard: [5]
        case .newcomers: [3, 4, 5]
        case .snapshots: [3, 3, 5]
        }
    }

    /// The faults of such a run; of those that were drawn, it keeps the ones that do no harm to it.
    func faults(beside drawn: Faults) -> Faults {
        switch self {
        case .laggard:
            drawn.intersection([.duplication, .reordering, .drift, .reads, .transfer, .slowDisk])
                .union([.hunt, .lateReports])
        case .newcomers:
            drawn.intersection([.reordering, .drift, .reads, .loss, .oneWay, .crash, .compaction, .transfer])
                .union([.delay, .duplication, .membership, .lostDisk, .hunt, .pause, .partition])
        case .snapshots:
            drawn.intersection([.loss, .drift, .power, .pause, .slowDisk, .hunt, .transfer])
                .union([.delay, .duplication, .reordering, .compaction, .oneWay, .partition, .crash])
        }
    }
}
