// SPDX-License-Identifier: Apache-2.0
//
// TelemetrySubscription.swift
// Which metrics clients are asked for, and how (KIP-714).

import Model
import Settings

/// What every client is asked for.
struct TelemetrySubscription: Equatable, Sendable {
    /// What the names of the wanted metrics begin with; empty when none is wanted, only `*` for all.
    var prefixes: [String]
    var pushIntervalMilliseconds: Int64
    /// The largest push as it is sent.
    var pushBytesMax: Int
    /// How many clients may be known at once.
    var instancesMax: Int

    init(_ settings: BrokerSettings.Telemetry) {
        prefixes = settings.metrics.contains { $0.matchesAll } ? ["*"] : settings.metrics.map(\.text)
        pushIntervalMilliseconds = settings.pushInterval.wholeMilliseconds
        pushBytesMax = settings.maxBytes.bytes
        instancesMax = settings.maxInstances
    }

    /// The number by which one client names the subscription.
    ///
    /// Brokers of the same settings give the same one, as a client may push to any of them; other settings give another one,
    /// by which a client learns that it has to ask again.
    func id(for instance: UniqueID) -> Int32 {
        // FNV-1a, because Swift's own hashes differ from process to process.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func add(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        for prefix in prefixes {
            for byte in prefix.utf8 { add(byte) }
            add(0xFF)
        }
        for shift in stride(from: UInt64(0), to: 64, by: 8) {
            add(UInt8(truncatingIfNeeded: UInt64(bitPattern: pushIntervalMilliseconds) >> shift))
            add(UInt8(truncatingIfNeeded: instance.high >> shift))
            add(UInt8(truncatingIfNeeded: instance.low >> shift))
        }
        return Int32(truncatingIfNeeded: hash ^ hash >> 32)
    }
}

extension Duration {
    /// Whole milliseconds, at most what an `Int64` holds.
    fileprivate var wholeMilliseconds: Int64 {
        let (milliseconds, isOver) = components.seconds.multipliedReportingOverflow(by: 1000)
        return isOver ? .max : milliseconds + components.attoseconds / 1_000_000_000_000_000
    }
}
