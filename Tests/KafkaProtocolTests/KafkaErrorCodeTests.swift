// SPDX-License-Identifier: Apache-2.0
//
// KafkaErrorCodeTests.swift
// The table has a row for every code, and says about the important ones what clients expect.

import NIOCore
import Testing

@testable import KafkaProtocol

@Suite struct KafkaErrorCodeTests {
    @Test(arguments: KafkaErrorCode.allCases)
    func everyCodeHasANameAndAMeaning(_ code: KafkaErrorCode) {
        #expect(code.name.allSatisfy { $0.isUppercase || $0 == "_" })
        #expect(code.meaning.hasSuffix("."))
        #expect(code.isRetriable || !code.refreshesMetadata)
    }

    @Test func namesAreUnique() {
        #expect(Set(KafkaErrorCode.allCases.map(\.name)).count == KafkaErrorCode.allCases.count)
    }

    @Test func clientsRetryWhatMayPass() {
        for code: KafkaErrorCode in [.notLeaderOrFollower, .unknownTopicOrPartition, .fencedLeaderEpoch] {
            #expect(code.isRetriable && code.refreshesMetadata)
        }
        for code: KafkaErrorCode in [.coordinatorLoadInProgress, .notEnoughReplicas, .requestTimedOut] {
            #expect(code.isRetriable && !code.refreshesMetadata)
        }
        for code: KafkaErrorCode in [.none, .messageTooLarge, .offsetOutOfRange, .invalidProducerEpoch] {
            #expect(!code.isRetriable)
        }
        #expect("\(KafkaErrorCode.notController)" == "NOT_CONTROLLER (41)")
    }

    @Test func aCodeThatIsNotInTheTableCountsAsUnknown() throws {
        var reader = WireReader(.init(bytes: [0x7F, 0x00]))
        #expect(try reader.errorCode() == .unknownServerError)
    }
}
