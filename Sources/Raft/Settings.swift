// SPDX-License-Identifier: Apache-2.0
//
// Settings.swift
// The limits and timeouts of one instance, each with what breaks when it is wrong.

extension Raft {
    /// Limits and timeouts.
    ///
    /// Times are in ticks of the shell.
    public struct Settings: Sendable {
        /// Ticks without a leader before a pre-vote; the actual wait is drawn from `electionTicks ..< 2 *
        /// electionTicks`.
        ///
        /// Too small and a slow flush looks like a dead leader.
        public var electionTicks = 10
        /// Ticks between heartbeats; must leave room for several within an election timeout.
        public var heartbeatTicks = 2
        /// Payload bytes in one append message.
        ///
        /// A single larger entry still travels, alone.
        public var messageBytesMax = 1 << 20
        /// Append messages in flight to one peer.
        ///
        /// Bounds what a peer must buffer, together with `windowBytesMax`.
        public var windowMessagesMax = 256
        /// Payload bytes in flight to one peer.
        ///
        /// One message may exceed it when nothing else is in flight.
        public var windowBytesMax = 8 << 20
        /// Bytes proposed but not committed before proposals are refused.
        ///
        /// A proposal may exceed it when it is the only one.
        public var uncommittedBytesMax = 64 << 20
        /// A transfer stops accepting proposals when its target is at most this many entries behind.
        public var transferLagEntriesMax = 128
        /// Ticks a transfer may spend bringing its target near, while proposals go on.
        public var transferPrepareTicks = 100
        /// Ticks a transfer may refuse proposals, until it is given up.
        public var transferBlockTicks = 10
        /// A learner becomes a voter only when at most this many entries behind the leader.
        public var promotionLagEntriesMax = 128
        /// Reads waiting for a leadership check; more are refused.
        public var pendingReadsMax = 4096
        /// Replies that wait for the hard state; older ones are dropped, which senders must survive anyway.
        public var heldMessagesMax = 256
        #if MUTATIONS
            /// A deliberate bug.
            package var mutation: Mutation?
        #endif

        /// The defaults, good for ticks of 50 to 100 milliseconds.
        public init() {}

        /// Stops on values no instance can work with.
        func check() {
            precondition(heartbeatTicks >= 1 && electionTicks > heartbeatTicks, "electionTicks > heartbeatTicks >= 1")
            precondition(windowMessagesMax >= 1 && windowBytesMax >= 1 && messageBytesMax >= 1, "windows are positive")
            precondition(
                uncommittedBytesMax >= 1 && pendingReadsMax >= 1 && heldMessagesMax >= 1, "limits are positive")
            precondition(transferPrepareTicks >= 1 && transferBlockTicks >= 1, "transfer timeouts are positive")
        }
    }
}
