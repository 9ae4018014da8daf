// SPDX-License-Identifier: Apache-2.0
//
// PartitionText.swift
// A partition's leader and replicas as cells of a table and members of a document.

import KafkaClient
import Model
import Terminal

extension ClusterMetadata.Partition {
    /// The columns of ``cells``.
    static let columns: [Table.Column] = [
        .init("leader", .right), .init("epoch", .right), .init("replicas"), .init("in-sync"),
    ]

    /// Leader, epoch, replicas, and which of them are in sync.
    var cells: [TableCell] {
        [
            leader.map { .number($0.rawValue) } ?? TableCell("none", state: .failed), .number(leaderEpoch),
            .list(replicas.map(\.rawValue)),
            TableCell(
                TableCell.list(inSync.map(\.rawValue)).text, state: inSync.count < replicas.count ? .degraded : nil),
        ]
    }

    /// The partition's number, leader and replicas.
    var members: [(String, JSONValue)] {
        [
            ("partition", .integer(index.rawValue)), ("leader", leader.map { .integer($0.rawValue) } ?? .null),
            ("leaderEpoch", .integer(leaderEpoch)), ("replicas", .array(replicas.map { .integer($0.rawValue) })),
            ("inSync", .array(inSync.map { .integer($0.rawValue) })),
        ]
    }
}
