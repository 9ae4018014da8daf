// SPDX-License-Identifier: Apache-2.0
//
// Mutation.swift
// Deliberate bugs. Those of the core and of the store exist only where MUTATIONS is defined; those of shell, model and
// disks live in the simulated ones.

package import LogStore
package import Raft

/// A deliberate bug of the simulated storage or shell, to prove that the checkers see it.
package enum ShellMutation: String, CaseIterable, Sendable {
    /// Writes are reported durable when they are issued.
    case reportBeforeFlush = "report-before-flush"
    /// A flush is taken to cover what was queued after it began.
    case flushCoversLater = "flush-covers-later"
    /// Term and vote are reported durable at once and written at the next checkpoint only.
    case voteUnsynced = "vote-unsynced"
    /// Journal blocks are overwritten before a checkpoint has passed them.
    case recycleEarly = "recycle-early"
    /// Recovery replays journal blocks of an earlier round.
    case noSequenceCheck = "no-sequence-check"
    /// Recovery replays what it can read of a torn block.
    case tornAccepted = "torn-accepted"
    /// The index is synced before the segments: a pointer before its bytes.
    case pointerBeforeFlush = "pointer-before-flush"
    /// Damage is taken for a torn end and cut.
    case damageIsTorn = "damage-is-torn"
    /// Damaged entries are used as they are.
    case noChecksum = "no-checksum"
    /// A truncation is not written.
    case truncateUnlogged = "truncate-unlogged"
    /// A failed flush is tried again and believed.
    case retryFailedFlush = "retry-failed-flush"
    /// A snapshot replaces the log but not the configuration at its base.
    case installKeepsConfiguration = "install-keeps-configuration"
    /// A replaced disk is taken for a new one.
    case lossForgotten = "loss-forgotten"
    /// An amnesiac starts anew before it has left the group.
    case recreateEarly = "recreate-early"
    /// Retention removes entries that are not committed.
    case trimUncommitted = "trim-uncommitted"
    /// Clients are answered when their entry is appended.
    case answerAppended = "answer-appended"
    /// Clients are answered when their index commits, whoever wrote it.
    case answerByIndex = "answer-by-index"
    /// A new leader serves its high watermark before its term is confirmed.
    case serveUnconfirmed = "serve-unconfirmed"
}

/// A deliberate bug beneath the production store: something it asks for is not done, as if it had forgotten to ask.
package enum DiskMutation: String, CaseIterable, Sendable {
    /// Flushed files are not durable.
    case noFlush = "disk-no-flush"
    /// Names in directories are not durable.
    case noDirectorySync = "disk-no-directory-sync"
    /// The journal's writes are not durable when they return.
    case noDirectSync = "disk-no-direct-sync"
    /// Synced commits of the index database are not durable.
    case noIndexSync = "disk-no-index-sync"
}

/// A deliberate bug.
package enum Mutation: Hashable, Sendable {
    /// One of the core.
    case core(Raft.Mutation)
    /// One of the simulated storage or shell.
    case shell(ShellMutation)
    /// One of the production store.
    case store(StoreMutation)
    /// One of the disks under the production store.
    case disk(DiskMutation)

    /// The kind of storage on which it can be shown.
    package var storage: StorageKind {
        switch self {
        case .core, .shell: .model
        case .store(let mutation): mutation.concernsCompaction ? .compacted : .production
        case .disk: .production
        }
    }

    /// Every bug this build can show.
    package static var all: [Mutation] {
        (Raft.Mutation.isAvailable ? Raft.Mutation.allCases.map(Mutation.core) : [])
            + ShellMutation.allCases.map(Mutation.shell)
            + (Raft.Mutation.isAvailable ? StoreMutation.allCases.map(Mutation.store) : [])
            + DiskMutation.allCases.map(Mutation.disk)
    }

    /// The name that commands take.
    package var name: String {
        switch self {
        case .core(let mutation): mutation.rawValue
        case .shell(let mutation): mutation.rawValue
        case .store(let mutation): mutation.rawValue
        case .disk(let mutation): mutation.rawValue
        }
    }

    /// The bug of that name.
    package static func named(_ name: String) -> Mutation? { all.first { $0.name == name } }
}
