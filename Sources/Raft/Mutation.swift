// SPDX-License-Identifier: Apache-2.0
//
// Mutation.swift
// Deliberate bugs, to prove that the tests see them. Where MUTATIONS is not defined, as in every product, the question
// whether one is on is a constant and the compiler removes it with its answer.

internal import Model

extension Raft {
    /// A deliberate bug.
    package enum Mutation: String, CaseIterable, Sendable {
        /// The leader commits entries of older terms by counting.
        case commitOldTerm = "commit-old-term"
        /// The leader counts what peers have appended, not what they have flushed.
        case countAppended = "count-appended"
        /// A follower confirms entries before they are flushed.
        case confirmUnflushed = "confirm-unflushed"
        /// The leader counts its own entries before they are flushed.
        case countOwnUnflushed = "count-own-unflushed"
        /// Half of the voters are a majority.
        case halfIsMajority = "half-is-majority"
        /// A joint configuration asks the incoming voters only.
        case ignoreOutgoing = "ignore-outgoing"
        /// A vote is given and not remembered.
        case forgetVote = "forget-vote"
        /// Votes go to candidates whatever their log.
        case voteWithoutLog = "vote-without-log"
        /// Messages do not wait for the hard state they reveal.
        case revealUndurable = "reveal-undurable"
        /// A candidate counts its own vote before it is durable.
        case ownVoteUndurable = "own-vote-undurable"
        /// A report of a write counts whatever term it names.
        case ignoreReportTerm = "ignore-report-term"
        /// A report may belong to an entry that was cut and appended again (A-B-A).
        case forgetFences = "forget-fences"
        /// An append cuts everything after it, also what agrees.
        case cutAlways = "cut-always"
        /// A follower takes entries it has not compared for committed.
        case commitUnverified = "commit-unverified"
        /// What a follower has compared survives a change of leaders.
        case verifiedKept = "verified-kept"
        /// Appends are taken without looking at the entry before them.
        case acceptUnchecked = "accept-unchecked"
        /// A configuration stays in effect when its entry is cut.
        case configurationKept = "configuration-kept"
        /// Voters change without a joint configuration.
        case skipJoint = "skip-joint"
        /// A joint configuration is left before it is committed.
        case leaveJointEarly = "leave-joint-early"
        /// A change may begin while another one is not committed.
        case changesOverlap = "changes-overlap"
        /// A leader that hears no quorum goes on leading.
        case noCheckQuorum = "no-check-quorum"
        /// A leader that was removed goes on leading.
        case removedLeads = "removed-leads"
        /// Reads are answered without a round of heartbeats.
        case readWithoutRound = "read-without-round"
        /// Reads are answered before the term is confirmed.
        case readUnconfirmed = "read-unconfirmed"
        /// A replica that lost its promises votes.
        case amnesiacVotes = "amnesiac-votes"
        /// A replica that was never a member votes.
        case strangerVotes = "stranger-votes"
        /// A replica that comes back begins anywhere.
        case noJoinFloor = "no-join-floor"
        /// Following a leader does not use up the vote of its term.
        case leaderForgotten = "leader-forgotten"
        /// Answers of an earlier membership count.
        case sessionIgnored = "session-ignored"
        /// What an untrusted replica confirms counts.
        case amnesiacCounts = "amnesiac-counts"
        /// A replica with damaged entries campaigns.
        case corruptLeads = "corrupt-leads"
        /// A replica confirms damaged entries.
        case corruptConfirms = "corrupt-confirms"
        /// A snapshot replaces a log that holds as much.
        case staleSnapshot = "stale-snapshot"
        /// Confirmed appends stay in the window.
        case windowLeak = "window-leak"
        /// A probe that is lost is never repeated.
        case probeOnce = "probe-once"
        /// A load that fails is never repeated.
        case loadOnce = "load-once"
        /// A snapshot is asked for once.
        case snapshotOnce = "snapshot-once"
        /// A transfer that fails goes on refusing proposals.
        case transferForever = "transfer-forever"
        /// A leader begins its term without an entry.
        case noEmptyEntry = "no-empty-entry"
        /// A follower that was started anew waits for the next entry to learn what is committed.
        case neverDoubts = "never-doubts"
        /// What a peer has confirmed counts, also when it turns out to have lost it.
        case matchKept = "match-kept"
        /// Leaders that step down and new ones keep the answers of old elections.
        case votesKept = "votes-kept"
    }
}

extension Raft.Mutation {
    /// Whether this build can show any.
    package static var isAvailable: Bool {
        #if MUTATIONS
            true
        #else
            false
        #endif
    }
}

extension Raft.Instance {
    /// Whether a deliberate bug is on.
    @inline(__always)
    func mutates(_ candidate: Raft.Mutation) -> Bool {
        #if MUTATIONS
            settings.mutation == candidate
        #else
            false
        #endif
    }

    /// The configuration whose quorums decide: the one in effect.
    @inline(__always)
    var deciding: Raft.Configuration {
        if mutates(.ignoreOutgoing) { return Raft.Configuration(voters: configuration.voters) }
        if mutates(.halfIsMajority) {
            return Raft.Configuration(
                voters: Array(configuration.voters.dropLast(configuration.voters.count > 2 ? 1 : 0)))
        }
        return configuration
    }
}

extension Raft.Settings {
    /// The floor that a replica begins at.
    @inline(__always)
    func heeds(_ floor: Raft.Position?) -> Raft.Position? {
        #if MUTATIONS
            if mutation == .noJoinFloor { return nil }
        #endif
        return floor
    }
}
