// SPDX-License-Identifier: Apache-2.0
//
// AbortedFilter.swift
// Which batches of an answer belong to aborted transactions. The broker sends them all, with a list of where those
// transactions begin; their markers in the log say where they end.

import KafkaProtocol
import Model
import Records

/// Goes over the batches of one answer in order and tells which are to be left out.
struct AbortedFilter {
    /// Transactions that begin further on, by rising first offset.
    private var coming: ArraySlice<FetchResponse.AbortedTransaction>
    /// The producers whose present transaction was aborted.
    private var aborting: Set<Int64> = []

    /// Begins with the list of an answer.
    init(_ aborted: [FetchResponse.AbortedTransaction]) {
        coming = aborted.sorted { $0.firstOffset < $1.firstOffset }[...]
    }

    /// Whether the next batch holds records that count.
    mutating func keeps(_ batch: RecordBatch) -> Bool {
        while let next = coming.first, next.firstOffset < batch.nextOffset.rawValue {
            aborting.insert(next.producerID)
            coming.removeFirst()
        }
        let producer = batch.header.producerID.rawValue
        guard batch.isControl else { return !(batch.isTransactional && aborting.contains(producer)) }
        if let control = try? ControlRecord(of: batch), control.kind == .abort { aborting.remove(producer) }
        return false
    }
}
