// SPDX-License-Identifier: Apache-2.0
//
// RecoveryTable.swift
// What recovery makes of the bytes at a position, as data. Every case stands in the table; a test walks all of them.

/// What stands where the next frame of a log is expected.
package enum RecoveryFinding: String, Sendable, Hashable, CaseIterable {
    /// A whole frame that continues the log: salt, index, term and chain fit, both checksums hold.
    case next
    /// A whole frame of this segment's life that does not continue the log: index, term or chain differ.
    case remains
    /// A footer that fits what was read.
    case footer
    /// A header that fits, with a payload that fails its checksum and has a sector of nothing but zeros.
    case tornPayload
    /// A header that fits, with a payload that fails its checksum and has no empty sector.
    case badPayload
    /// Nothing but zeros.
    case zeros
    /// Bytes of the file's earlier life, or none that make a frame.
    case foreign
    /// The end of the file.
    case end
}

/// What is known besides the bytes.
package struct RecoveryCase: Sendable, Hashable {
    /// What stands there.
    package var finding: RecoveryFinding
    /// Whether a pointer proves that a frame was durable here.
    package var isProven: Bool
    /// Whether a frame of this segment's life with a higher index stands further on.
    package var hasLater: Bool

    /// A case.
    package init(_ finding: RecoveryFinding, isProven: Bool, hasLater: Bool) {
        self.finding = finding
        self.isProven = isProven
        self.hasLater = hasLater
    }
}

/// What is done.
package enum RecoveryVerdict: String, Sendable, Hashable {
    /// The frame belongs to the log; go on behind it.
    case take
    /// The segment ends here and was sealed; go on with the next one.
    case nextSegment
    /// The log ends here; nothing has to be changed.
    case end
    /// The log ends here; what follows is wiped so that it is never taken for a frame again.
    case wipe
    /// What was durable is damaged: nothing is cut, the replica is marked.
    case corrupt
}

/// The decision table (storage rules 3.6, steps 4 and 5).
package enum RecoveryTable {
    /// finding → (proven, unproven with a later frame, unproven without one).
    ///
    /// Proven bytes can only be taken or be damaged. Beyond the last pointer, what a crash can leave behind ends the log: zeros,
    /// foreign bytes, a payload whose sectors did not all arrive, and frames that a truncation left. Only a whole header over a
    /// full but wrong payload cannot come from an interrupted write alone; a later frame then proves damage.
    static let rows: [RecoveryFinding: (RecoveryVerdict, RecoveryVerdict, RecoveryVerdict)] = [
        .next: (.take, .take, .take),
        .footer: (.corrupt, .nextSegment, .nextSegment),
        .remains: (.corrupt, .wipe, .wipe),
        .tornPayload: (.corrupt, .wipe, .wipe),
        .badPayload: (.corrupt, .corrupt, .wipe),
        .zeros: (.corrupt, .wipe, .end),
        .foreign: (.corrupt, .wipe, .wipe),
        .end: (.corrupt, .end, .end),
    ]

    /// The verdict on one case.
    package static func verdict(_ item: RecoveryCase) -> RecoveryVerdict {
        guard let row = rows[item.finding] else { preconditionFailure("no row for \(item.finding)") }
        if item.isProven { return row.0 }
        return item.hasLater ? row.1 : row.2
    }
}
