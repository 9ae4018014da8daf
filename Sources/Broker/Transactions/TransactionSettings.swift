// SPDX-License-Identifier: Apache-2.0
//
// TransactionSettings.swift
// The limits and delays of the transaction coordinator, with Kafka's defaults where Kafka has them.

import Model
import Settings

/// Limits and delays of transactions.
struct TransactionSettings: Hashable, Sendable {
    /// The longest timeout that a producer may ask for (`transaction.max.timeout.ms`).
    var timeoutMaxMilliseconds: Int64 = 900_000
    /// How long an unused transactional id is kept (`transactional.id.expiration.ms`).
    var expirationMilliseconds: Int64 = 7 * 24 * 3_600_000
    /// Most transactional ids of this coordinator.
    var idsMax: Int = 100_000
    /// Most partitions and groups of one transaction.
    var partitionsMax: Int = 10_000
    /// Most offsets that wait for the end of one transaction.
    var pendingOffsetsMax: Int = 10_000
    /// Most requests that wait for another change of their transactional id.
    var waitingMax: Int = 10_000
    /// Most partitions in one request with markers.
    var markersMax: Int = 1_000
}

extension TransactionSettings {
    /// The coordinator's part of the broker's settings.
    init(_ transactions: BrokerSettings.Transactions) {
        self.init()
        timeoutMaxMilliseconds = transactions.maxTimeout.milliseconds
        expirationMilliseconds = transactions.idExpiration.milliseconds
        idsMax = transactions.maxIDs
        partitionsMax = transactions.maxPartitions
    }
}
