// SPDX-License-Identifier: Apache-2.0
//
// OpenTransaction.swift
// A transaction as a partition sees it, and whether it hangs: its coordinator would never end it (KIP-664).

public import Model

/// A transaction that is open in a partition.
public struct OpenTransaction: Hashable, Sendable {
    /// The partition.
    public let partition: TopicPartition
    /// Who produces it.
    public let producerID: ProducerID
    /// The producer's epoch.
    public let producerEpoch: Int16
    /// The term of the coordinator that ended the producer's last transaction here; -1 when none did.
    public let coordinatorEpoch: Int32
    /// The offset of its first record; what commits after it is held back from who reads committed records.
    public let startOffset: Offset
    /// The time of the producer's last record, in milliseconds since 1970.
    public let lastMilliseconds: Int64

    /// Whether it is the same transaction, and not a later one of the same producer.
    func isSame(as other: OpenTransaction) -> Bool {
        partition == other.partition && producerID == other.producerID && startOffset == other.startOffset
    }

    /// Whether the coordinator of the transactional id that `known` describes will end it.
    ///
    /// It will, when the partition is part of an open transaction of this epoch, or of a decided one of which the
    /// partitions are still being told; the epoch of that one may have been raised already.
    func isAwaited(by known: TransactionDescription) -> Bool {
        guard known.producerID == producerID, known.partitions.contains(partition) else { return false }
        return known.state.hasPrefix("Prepare") ? known.epoch >= producerEpoch : known.epoch == producerEpoch
    }
}
