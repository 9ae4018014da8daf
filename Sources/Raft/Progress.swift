// SPDX-License-Identifier: Apache-2.0
//
// Progress.swift
// What the leader knows of one peer.

public import Model

extension Raft {
    /// How a leader feeds one peer.
    public enum ProgressState: Hashable, Sendable {
        /// The peer's log end is unknown: one append at a time, then wait for its answer or a heartbeat's.
        case probe
        /// The logs agree: appends are sent optimistically, within the window.
        case replicate
        /// The peer needs entries that are compacted.
        ///
        /// The index is that of the snapshot on offer, nil until one is provided.
        case snapshot(pending: LogIndex?)
    }

    /// A leader's view of one peer.
    ///
    /// Invariants: `match < next`; `match <= appended`; nothing is in flight except in ``ProgressState/replicate``.
    struct Progress: Sendable {
        /// The peer.
        let id: NodeID
        /// Tells this membership of the peer from earlier ones in the same term: the index of the configuration that
        /// brought it.
        let session: UInt64
        /// The last entry the peer has flushed and that equals ours.
        ///
        /// What quorums count. Goes back only when the peer turns out to have lost it.
        private(set) var match: LogIndex = .zero
        /// The last entry the peer says it has in its log, flushed or not.
        private(set) var appended: LogIndex = .zero
        /// The next entry to send.
        private(set) var next: LogIndex
        /// How the peer is fed.
        private(set) var state = ProgressState.probe
        /// The highest commit index that a message in flight or confirmed carries.
        var commitSent: LogIndex = .zero
        /// Unconfirmed appends.
        private(set) var inflights: Inflights
        /// Whether the peer answered since the last quorum check.
        var isRecentlyActive = false
        /// The latest round of heartbeats it answered.
        var heartbeatRound: UInt64 = 0
        /// In ``ProgressState/probe``: whether an append is out and unanswered.
        var isProbeSent = false
        /// The number of the load under way in the shell for this peer.
        var loadTicket: UInt64?
        /// Whether the peer's answers count in quorums: false for an amnesiac.
        private(set) var isTrusted = true
        /// Ticks since a snapshot was last offered or asked for.
        var snapshotTicks = 0

        /// A peer of which nothing is known; probing begins at `next`.
        init(id: NodeID, session: UInt64 = 0, next: LogIndex, settings: Settings) {
            self.id = id
            self.session = session
            self.next = next
            inflights = Inflights(messagesMax: settings.windowMessagesMax, bytesMax: settings.windowBytesMax)
        }

        /// Whether no append with entries may be sent now.
        var isPaused: Bool {
            if loadTicket != nil { return true }
            return switch state {
            case .probe: isProbeSent
            case .replicate: inflights.isFull
            case .snapshot: true
            }
        }

        /// Whether the peer has flushed all up to `last`, has answered lately, and nothing is on its way to it.
        func isLevel(with last: LogIndex) -> Bool {
            state == .replicate && isTrusted && isRecentlyActive && match == last && next == last.next
                && inflights.count == 0 && loadTicket == nil
        }

        /// Notes an append of entries up to `last`.
        mutating func sent(through last: LogIndex, bytes: Int) {
            switch state {
            case .probe: isProbeSent = true
            case .replicate:
                inflights.add(last: last, bytes: bytes)
                next = last.next
            case .snapshot: preconditionFailure("append to node \(id), which waits for a snapshot")
            }
        }

        /// Notes what the peer confirms.
        ///
        /// Returns whether `match` moved.
        mutating func confirm(appended newAppended: LogIndex, flushed: LogIndex, freesWindow: Bool = true) -> Bool {
            precondition(flushed <= newAppended, "node \(id) flushed \(flushed) of \(newAppended)")
            let moved = flushed > match
            match = max(match, flushed)
            appended = max(appended, newAppended)
            if case .snapshot = state {} else { next = max(next, newAppended.next) }
            next = max(next, match.next)
            if freesWindow { inflights.free(through: match) }
            return moved
        }

        /// The logs were found to agree up to `appended`: feed optimistically.
        mutating func becomeReplicate() {
            reset(to: .replicate)
            next = max(match, appended).next
        }

        /// The peer's log end is in doubt: probe from `next`.
        mutating func becomeProbe(next newNext: LogIndex) {
            reset(to: .probe)
            next = max(newNext, match.next)
            appended = max(match, min(appended, next.previous))
        }

        /// The peer's log is shorter than what it confirmed: what it says next counts.
        mutating func forget() {
            match = .zero
            appended = .zero
        }

        /// The peer needs a snapshot; `pending` is the one on offer.
        mutating func becomeSnapshot(pending: LogIndex?) {
            reset(to: .snapshot(pending: pending))
            next = max(match.next, next)
        }

        /// Changes whether the peer counts.
        ///
        /// What an amnesiac once confirmed is void.
        mutating func setTrusted(_ trusted: Bool) {
            guard trusted != isTrusted else { return }
            isTrusted = trusted
            match = .zero
            appended = .zero
            commitSent = .zero
            reset(to: .probe)
        }

        private mutating func reset(to newState: ProgressState) {
            state = newState
            isProbeSent = false
            loadTicket = nil
            snapshotTicks = 0
            commitSent = min(commitSent, match)
            inflights.reset()
        }

        /// Stops when an invariant is broken.
        func checkInvariants() {
            precondition(
                match < next && match <= appended, "node \(id): match \(match), appended \(appended), next \(next)")
            if case .replicate = state { return }
            precondition(inflights.count == 0 && inflights.bytes == 0, "node \(id): appends in flight in \(state)")
        }
    }
}
