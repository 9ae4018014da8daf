// SPDX-License-Identifier: Apache-2.0
//
// TransactionMarker.swift
// What ends a transaction in a partition, and what a partition says to it.

package import Model
package import Records

/// How a transaction ended, as its coordinator tells each of its partitions.
package struct TransactionMarker: Hashable, Sendable {
    /// Whose transaction it is.
    package var producerID: ProducerID
    /// The epoch of the transaction in version 1; from version 2 on a higher one, which the next transaction has.
    package var producerEpoch: Int16
    /// Whether the records count.
    package var outcome: ControlRecord.Kind
    /// Tells the terms of coordinators apart: who was replaced has a lower one.
    package var coordinatorEpoch: Int32
    /// How transactions and epochs go together (KIP-890): 2 when each transaction has an epoch of its own.
    package var transactionVersion: Int8

    /// Makes a marker.
    package init(
        producerID: ProducerID, producerEpoch: Int16, outcome: ControlRecord.Kind, coordinatorEpoch: Int32,
        transactionVersion: Int8
    ) {
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.outcome = outcome
        self.coordinatorEpoch = coordinatorEpoch
        self.transactionVersion = transactionVersion
    }

    /// The marker that a control batch of the log is; nil for anything else.
    ///
    /// Which version it was made for is not in the log, and does not matter any more.
    init?(_ batch: RecordBatch) {
        guard batch.isControl, batch.hasProducer, batch.header.producerEpoch >= 0,
            let control = try? ControlRecord(of: batch)
        else { return nil }
        self.init(
            producerID: batch.header.producerID, producerEpoch: batch.header.producerEpoch, outcome: control.kind,
            coordinatorEpoch: control.coordinatorEpoch, transactionVersion: 0)
    }
}

/// What is to be done with a marker.
enum MarkerVerdict: Hashable, Sendable {
    /// Append it, then call ``ProducerStateTable/end(_:at:now:)``.
    case append
    /// It is in the log: answer once `offset` is committed; at once without one.
    case repeated(offset: Offset?)
    /// It is refused.
    case error(ProducerError)
}
