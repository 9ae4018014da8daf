// SPDX-License-Identifier: Apache-2.0
//
// FlushPolicy.swift
// Decides which way a round of frames becomes durable, from what earlier rounds cost. No clock, no I/O.

/// A way to durability.
package enum FlushPath: String, Sendable, Hashable, CaseIterable {
    /// One write to the shared journal; segments follow later.
    case journal
    /// Segments are written and flushed themselves.
    case direct
}

/// What a round consists of.
package struct FlushRound: Sendable, Hashable {
    /// Frames in the round.
    package var frames = 0
    /// Their bytes.
    package var bytes = 0
    /// Segments they go to.
    package var segments = 0
    /// Whether it has hard states or commands, which have no segment.
    package var hasOthers = false

    /// An empty round.
    package init(frames: Int = 0, bytes: Int = 0, segments: Int = 0, hasOthers: Bool = false) {
        self.frames = frames
        self.bytes = bytes
        self.segments = segments
        self.hasOthers = hasOthers
    }
}

/// Chooses by measured cost: a fixed part per flush, learned from small rounds, and a part per byte, learned from large ones.
package struct FlushPolicy: Sendable {
    /// From this mean frame size on the direct way is considered: below it the journal always won.
    package static let directFrameBytesMin = 128 << 10
    /// Up to this many segments a round with large frames is flushed without the journal.
    package static let directSegmentsMax = 16
    /// Below this a round's duration is taken as fixed cost.
    static let smallRoundBytes = 64 << 10
    /// From this on a round's duration tells the cost per byte.
    static let largeRoundBytes = 512 << 10
    /// Journaled bytes are written once more later: the second copy competes with the flushes to come, and wears the disk.
    static let secondCopyWeight = 2.5
    /// How much one round changes an average.
    static let weight = 0.1

    private let mode: StoreSettings.JournalMode
    private var journalFixed = 80_000.0
    private var journalPerByte = 0.5
    private var directFixed = 120_000.0
    private var directPerByte = 0.5
    private var directRounds: UInt64 = 0

    /// Starts from the figures of a fast disk.
    package init(mode: StoreSettings.JournalMode) { self.mode = mode }

    /// Whether there is a journal at all.
    package var usesJournal: Bool { mode != .off }

    /// The way this round goes.
    package func choose(_ round: FlushRound) -> FlushPath {
        switch mode {
        case .on: return .journal
        case .off: return .direct
        case .auto: break
        }
        guard isOpen(round), round.bytes / round.frames >= Self.directFrameBytesMin else { return .journal }
        return cost(.direct, round) <= cost(.journal, round) ? .direct : .journal
    }

    /// Whether the round may go either way, were its cost the right one.
    package func isOpen(_ round: FlushRound) -> Bool {
        mode == .auto && !round.hasOthers && round.frames > 0 && round.segments <= Self.directSegmentsMax
    }

    /// The expected nanoseconds of disk work.
    package func cost(_ path: FlushPath, _ round: FlushRound) -> Double {
        switch path {
        case .journal: journalFixed + Double(round.bytes) * journalPerByte * Self.secondCopyWeight
        case .direct: directFixed + Double(round.bytes) * directPerByte
        }
    }

    /// Learns from a round that took `nanoseconds`.
    package mutating func completed(_ path: FlushPath, _ round: FlushRound, nanoseconds: UInt64) {
        let time = Double(nanoseconds)
        switch path {
        case .journal: Self.learn(round.bytes, time, fixed: &journalFixed, perByte: &journalPerByte)
        case .direct where round.segments <= Self.directSegmentsMax:
            Self.learn(round.bytes, time, fixed: &directFixed, perByte: &directPerByte)
        case .direct: break
        }
    }

    private static func learn(_ bytes: Int, _ time: Double, fixed: inout Double, perByte: inout Double) {
        // One slow flush (a stalled disk) must not decide the next hundred rounds.
        let time = min(time, 20 * (fixed + Double(bytes) * perByte))
        if bytes <= smallRoundBytes {
            fixed += (time - fixed) * weight
        } else if bytes >= largeRoundBytes {
            perByte += (max(0, time - fixed) / Double(bytes) - perByte) * weight
        }
    }
}
