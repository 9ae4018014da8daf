// SPDX-License-Identifier: Apache-2.0
//
// ShareStateStore.swift
// Where leaders of partitions keep what share groups have read: with the group's coordinator, replicated.

import KafkaProtocol
import Model

/// A partition as one share group reads it.
struct ShareKey: Hashable, Sendable {
    /// The share group.
    var groupID: String
    /// The topic's id: a topic that is made again under the name starts afresh.
    var topicID: TopicID
    /// The partition.
    var partition: Int32
}

/// What became of records, as it is kept: records that are acquired are kept as available, for locks do not outlive
/// a leader (KIP-932).
enum ShareDeliveryState: Int8, Sendable {
    /// May be delivered, again or for the first time.
    case available = 0
    /// Processed.
    case acknowledged = 2
    /// Given up: rejected, delivered as often as allowed, or gone from the log.
    case archived = 4
}

/// Records of a partition in the same state.
struct ShareStateBatch: Hashable, Sendable {
    /// The first record.
    var firstOffset: Int64
    /// The last record, included.
    var lastOffset: Int64
    /// What became of them.
    var state: ShareDeliveryState
    /// How often they were delivered.
    var deliveryCount: Int16
}

/// The durable state of a partition in a share group.
struct ShareState: Hashable, Sendable {
    /// Counts the times that the state was set from outside, as by AlterShareGroupOffsets.
    var stateEpoch: Int32
    /// The highest leader epoch that wrote or read.
    var leaderEpoch: Int32
    /// The number of the change of that leader that was applied last; 0 before the first.
    var lastChange: UInt64 = 0
    /// The first record that may still be delivered; -1 when nothing was delivered yet: the group's
    /// `share.auto.offset.reset` decides.
    var startOffset: Int64
    /// Records from the start offset on whose state is not "never delivered", by rising offset, without overlaps.
    var batches: [ShareStateBatch]
}

/// What a leader wants kept.
struct ShareStateChange: Hashable, Sendable {
    /// The partition and the group.
    var key: ShareKey
    /// The state epoch that the leader read: another one means that the state was set from outside since.
    var stateEpoch: Int32
    /// The leader's epoch; a leader with a lower one than was seen before is refused.
    var leaderEpoch: Int32
    /// Rises from each change that a broker sends to its next one: one that was given up must not come behind later ones,
    /// and one that is sent again is applied once.
    var number: UInt64
    /// The start offset from now on, which never falls; -1 when it has not changed.
    var startOffset: Int64 = -1
    /// Ranges whose state replaces what is kept of the same records; records of others stay as they are.
    var batches: [ShareStateBatch] = []
}

/// Reads and writes the state of partitions in share groups, wherever the group's coordinator is.
///
/// Answers are:
/// - `coordinatorNotAvailable`, `notCoordinator`, `coordinatorLoadInProgress`, `requestTimedOut`, `networkException`:
///   try again, the change may or may not have been kept, or be kept later (under its number it is kept once, and not
///   behind one with a higher number);
/// - `fencedLeaderEpoch`: another leader has the partition;
/// - `fencedStateEpoch`: the state was set from outside, read it again and start from it; or a later change was kept;
/// - `unknownTopicOrPartition`: the group has no state of the partition (it is initialised when a member subscribes
///   to the topic), or it was deleted: what is in memory of it is to be dropped;
/// - `groupIDNotFound`: there is no such share group.
protocol ShareStateStore: Sendable {
    /// Reads the state of `key` and notes that the leader of `leaderEpoch` did: writes of earlier ones are refused
    /// from then on.
    ///
    /// `done` is called once, on any thread.
    func read(
        _ key: ShareKey, leaderEpoch: Int32, _ done: @escaping @Sendable (Result<ShareState, KafkaErrorCode>) -> Void)

    /// Keeps a change; when `done` hears of success, it is committed.
    ///
    /// `done` is called once, on any thread.
    func write(_ change: ShareStateChange, _ done: @escaping @Sendable (Result<Void, KafkaErrorCode>) -> Void)
}
