// SPDX-License-Identifier: Apache-2.0
//
// Catalogue+Transactions.swift
// The keys of the section `transactions`.

import Model

extension Catalogue {
    static let transactionsMaxTimeout = SettingKey<Duration>(
        "transactions.max_timeout", .duration(milliseconds(1)...days(7)), default: "15m", .medium,
        "The longest transaction timeout a producer may ask for.")
    static let transactionsIDExpiration = SettingKey<Duration>(
        "transactions.id_expiration", .duration(seconds(1)...days(3650)), default: "7d", .low,
        "How long a transactional id that nobody uses is kept.")
    static let transactionsMaxIDs = SettingKey<Int>(
        "transactions.max_ids", .integer(1...10_000_000), default: "100000", .low,
        "Transactional ids that may exist; further ones are refused.")
    static let transactionsMaxPartitions = SettingKey<Int>(
        "transactions.max_partitions", .integer(1...100_000), default: "10000", .low,
        "Partitions of one transaction, and groups whose offsets it commits; further ones are refused.")
    static let transactions = [
        transactionsMaxTimeout.definition, transactionsIDExpiration.definition, transactionsMaxIDs.definition,
        transactionsMaxPartitions.definition,
    ]
}
