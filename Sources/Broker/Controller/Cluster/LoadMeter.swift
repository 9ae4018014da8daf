// SPDX-License-Identifier: Apache-2.0
//
// LoadMeter.swift
// From the positions that partitions publish to a broker's load report. A value.

import Model

/// Measures what partitions took between two looks.
struct LoadMeter {
    private var ends: [GroupID: Offset] = [:]
    private var measuredAt: Instant?

    /// The load since the last look at these partitions.
    mutating func measure(_ handles: [PartitionHandle], at now: Instant) -> BrokerLoad {
        let seconds = measuredAt.map { Double(max(1, now.milliseconds(since: $0))) / 1000 } ?? 1
        var load = BrokerLoad()
        var busiest: [GroupLoad] = []
        var current: [GroupID: Offset] = [:]
        for handle in handles {
            load.replicas += 1
            load.storedBytes += Int64(handle.sizeBytes)
            guard handle.leaderEpoch >= 0 else { continue }
            load.leaders += 1
            let end = handle.logEndOffset
            current[handle.group] = end
            guard let before = ends[handle.group], end > before else { continue }
            let rate = Int64(Double(end - before) / seconds)
            load.recordsPerSecond += rate
            if rate > 0 { busiest.append(GroupLoad(group: handle.group, recordsPerSecond: rate)) }
        }
        ends = current
        measuredAt = now
        if busiest.count > BrokerLoad.busiestMax {
            busiest.sort { ($1.recordsPerSecond, $0.group) < ($0.recordsPerSecond, $1.group) }
            busiest.removeLast(busiest.count - BrokerLoad.busiestMax)
        }
        load.busiest = busiest
        return load
    }
}
