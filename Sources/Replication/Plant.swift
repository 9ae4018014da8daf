// SPDX-License-Identifier: Apache-2.0
//
// Plant.swift
// Deliberate bugs of a whole broker, to prove that the tests with real processes see them. Where MUTATIONS is not
// defined, as in every product, the question whether one is on is a constant and the compiler removes it with its answer.

#if MUTATIONS
    import Foundation
    import Raft
#endif

/// A deliberate bug outside of the core; those inside are `Raft.Mutation`.
///
/// The environment variable `GOULETTE_MUTATION` names the one that a process has, of either kind.
package enum Plant: String, CaseIterable, Sendable {
    /// A replica's term and vote are called durable and stay in memory.
    case skipVoteSync = "skip-vote-sync"
    /// Entries count as flushed when they were handed to the log, on leaders and followers.
    case acknowledgeUnflushed = "acknowledge-unflushed"
    /// `acks=all` is answered when the leader has the batch.
    case acknowledgeAtLeader = "acknowledge-at-leader"
    /// Consumers get what is in the leader's log, committed or not.
    case readPastHighWatermark = "read-past-high-watermark"
    /// A follower does not follow what producers have sent, so a new leader does not know them.
    case forgetProducers = "forget-producers"
    /// A leader that hears no quorum goes on leading, and says where the log ends without asking anybody.
    case serveDeposed = "serve-deposed"
    /// Commits of a group's offsets are answered before they are in the coordinator's log, and then dropped.
    case dropCommits = "drop-commits"
}

extension Plant {
    #if MUTATIONS
        private static let name = ProcessInfo.processInfo.environment["GOULETTE_MUTATION"]
        private static let chosen = name.flatMap(Plant.init)

        /// The deliberate bug of this process's cores.
        static let core: Raft.Mutation? = chosen == .serveDeposed ? .noCheckQuorum : name.flatMap(Raft.Mutation.init)
    #endif

    /// Whether this process has this bug.
    @inline(__always)
    package var isOn: Bool {
        #if MUTATIONS
            Self.chosen == self
        #else
            false
        #endif
    }
}
