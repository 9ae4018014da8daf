// SPDX-License-Identifier: Apache-2.0
//
// StoreMutation.swift
// Deliberate bugs of the store, to prove that the simulation sees them. Where MUTATIONS is not defined, as in every
// product, the question whether one is on is a constant and the compiler removes it with its answer.

/// A deliberate bug of the store.
package enum StoreMutation: String, CaseIterable, Sendable {
    /// Recovery believes what the index says of terms and pointers before the last one.
    case scanTrustsIndex = "scan-trusts-index"
    /// A group that an old index does not know at all is made anew without a mark.
    case forgottenUnmarked = "forgotten-unmarked"
    /// What the journal has of the old log is still there when a snapshot takes its place.
    case installOverJournal = "install-over-journal"
    /// The files of a snapshot are not flushed before they take the place of the log.
    case installUnflushed = "install-unflushed"
    /// The record that decides an installation is not synced before the log goes.
    case installUndecided = "install-undecided"
    /// An installed snapshot is reported before its last step is synced.
    case installUnsynced = "install-unsynced"
    /// The log begins where it did before the snapshot took its place.
    case installKeepsStart = "install-keeps-start"
    /// An installation that a crash cut short is not finished.
    case installForgotten = "install-forgotten"
    /// A compacted segment is not flushed before it takes the place of others.
    case compactionUnflushed = "compaction-unflushed"
    /// The name of a compacted segment is not synced before what it replaces goes.
    case compactionUnsynced = "compaction-unsynced"
    /// Entries that are not committed are compacted too.
    case compactionUncommitted = "compaction-uncommitted"
    /// Deletions go with the second pass that sees them, whatever time they have.
    case compactionDropsDeletions = "compaction-drops-deletions"
    /// Records of aborted transactions say what is newest of a key.
    case compactionCountsAborted = "compaction-counts-aborted"
    /// The last batch of a producer goes when its records do.
    case compactionForgetsProducers = "compaction-forgets-producers"

    /// Whether only compacted logs can show it.
    package var concernsCompaction: Bool {
        switch self {
        case .scanTrustsIndex, .forgottenUnmarked, .installOverJournal, .installUnflushed, .installUndecided: false
        case .installUnsynced, .installKeepsStart, .installForgotten: false
        case .compactionUnflushed, .compactionUnsynced, .compactionUncommitted, .compactionDropsDeletions: true
        case .compactionCountsAborted, .compactionForgetsProducers: true
        }
    }
}

extension StoreCore {
    /// Whether a deliberate bug is on.
    @inline(__always)
    func mutates(_ candidate: StoreMutation) -> Bool {
        #if MUTATIONS
            settings.mutation == candidate
        #else
            false
        #endif
    }
}
