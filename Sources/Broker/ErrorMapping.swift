// SPDX-License-Identifier: Apache-2.0
//
// ErrorMapping.swift
// Every module's errors to Kafka's codes: the one table.

import KafkaProtocol
import LogStore
import Raft
import Records
import Replication

enum ErrorMapping {
    /// The answer to a batch that validation refused.
    static func outcome(of error: RecordError) -> ProduceOutcome {
        var outcome = ProduceOutcome.failure(code(of: error), "\(error)")
        if let index = error.recordIndex {
            outcome.recordErrors = [ProduceResponse.RecordError(batchIndex: Int32(index), message: "\(error)")]
        }
        return outcome
    }

    /// What a producer is told when the coordinator did not confirm its transaction.
    ///
    /// Whatever is over soon is NOT_ENOUGH_REPLICAS, which every producer tries again; and only clients from version 11 on
    /// know TRANSACTION_ABORTABLE.
    static func code(ofVerification error: KafkaErrorCode, version: Int16) -> KafkaErrorCode {
        switch error {
        case .coordinatorLoadInProgress, .coordinatorNotAvailable, .notCoordinator, .concurrentTransactions,
            .requestTimedOut, .networkException, .operationNotAttempted:
            .notEnoughReplicas
        case .invalidTxnState, .transactionAbortable: version >= 11 ? .transactionAbortable : .invalidTxnState
        case .producerFenced: .invalidProducerEpoch
        default: error
        }
    }

    static func code(of error: RecordError) -> KafkaErrorCode {
        switch error.category {
        case .corrupt: .corruptMessage
        case .tooLarge: .messageTooLarge
        case .failure: .kafkaStorageError
        case .unsupportedCompression: .unsupportedCompressionType
        case .invalidTimestamp: .invalidTimestamp
        case .invalidRecord: .invalidRecord
        }
    }

    /// A full disk and a failed one are both storage errors to clients: they retry while an operator acts.
    static func code(of error: StoreError) -> KafkaErrorCode {
        switch error {
        case .outOfRange: .offsetOutOfRange
        default: .kafkaStorageError
        }
    }

    static func code(of error: ReplicationError) -> KafkaErrorCode {
        switch error {
        case .logFailed(let error), .notNow(let error): code(of: error)
        case .tooLarge: .policyViolation
        case .refused(let refusal):
            if case .uncommittedBytes = refusal { .notEnoughReplicas } else { .notLeaderOrFollower }
        }
    }
}
