// SPDX-License-Identifier: Apache-2.0
//
// Faults.swift
// The classes of faults and operations. A seed enables some of them; shrinking disables what a failure does not need.

/// Classes of faults and operations, as a set.
package struct Faults: OptionSet, Hashable, Sendable {
    /// One bit per class, in the order of ``names``.
    package let rawValue: UInt32
    /// Makes a set of its bits.
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The name of each class, by bit.
    package static let names = [
        "loss", "duplication", "reordering", "delay", "partition", "one-way", "crash", "power", "pause", "drift",
        "slow-disk", "hang", "io-error", "disk-full", "bit-flip", "lost-write", "misdirected", "journal-damage",
        "lost-disk", "transfer", "membership", "compaction", "reads", "resign", "late-reports", "deaf", "hunt",
    ]

    private static func bit(_ name: String) -> Faults {
        guard let place = names.firstIndex(of: name) else { preconditionFailure("no fault class \(name)") }
        return Faults(rawValue: 1 << UInt32(place))
    }

    static let loss = bit("loss")
    static let duplication = bit("duplication")
    static let reordering = bit("reordering")
    static let delay = bit("delay")
    static let partition = bit("partition")
    static let oneWay = bit("one-way")
    static let crash = bit("crash")
    static let power = bit("power")
    static let pause = bit("pause")
    static let drift = bit("drift")
    static let slowDisk = bit("slow-disk")
    static let hang = bit("hang")
    static let ioError = bit("io-error")
    static let diskFull = bit("disk-full")
    static let bitFlip = bit("bit-flip")
    static let lostWrite = bit("lost-write")
    static let misdirected = bit("misdirected")
    static let journalDamage = bit("journal-damage")
    static let lostDisk = bit("lost-disk")
    static let transfer = bit("transfer")
    static let membership = bit("membership")
    static let compaction = bit("compaction")
    static let reads = bit("reads")
    static let resign = bit("resign")
    static let lateReports = bit("late-reports")
    static let deaf = bit("deaf")
    /// Whatever begins to lead is soon stopped, paused or cut off.
    static let hunt = bit("hunt")

    /// All classes.
    package static let all = Faults(rawValue: (1 << UInt32(names.count)) - 1)
    /// No class.
    package static let none: Faults = []
    /// What damages a disk; the atlas bounds these.
    static let damage: Faults = [.bitFlip, .lostWrite, .misdirected, .journalDamage, .lostDisk]

    /// The classes of a comma-separated list; nil when one is unknown.
    package init?(parsing text: String) {
        var bits: UInt32 = 0
        for name in text.split(separator: ",") {
            guard let place = Self.names.firstIndex(of: String(name)) else { return nil }
            bits |= 1 << UInt32(place)
        }
        self.init(rawValue: bits)
    }

    /// The single classes of this set, in order.
    package var elements: [Faults] {
        Self.names.indices.map { Faults(rawValue: 1 << UInt32($0)) }.filter { contains($0) }
    }

    /// The names, separated by commas.
    package var text: String {
        Self.names.indices.filter { contains(Faults(rawValue: 1 << UInt32($0))) }.map { Self.names[$0] }
            .joined(separator: ",")
    }
}
